"""Accuracies that the source projects state for each recipe, as they give
them."""

from typing import NamedTuple


class Published(NamedTuple):
  """A stated accuracy. `source` is a project's name (docs/sources.md);
  `protocol` is ours that splits alike, None if the source gives too little;
  `level` is "segment" or "track"."""

  source: str
  percent: str
  measured: str
  protocol: str | None
  level: str


_PICTURES = "101 test tracks; {}, 50 / 100 epochs"
_KEPT_OUT = "{} test tracks, no validation split"
_LEAKY = "segments, split by segment (leak)"
_LIKELY = "segments, most likely split by segment (leak), stopped on test"
_UNKNOWN = (
  "2,400 validation segments of 8 genres; how they were split is unknown"
)
# protocol and level
_TENTH = ("tracks_70_20_10", "track")
_FIFTH = ("tracks_80_20", "track")
_LEAKY_FIFTH = ("leaky_segments_80_20", "segment")
_SELECTED = ("leaky_selection_80_20", "track")
_UNTOLD = (None, "segment")

PUBLISHED = {
  "fcn": Published(
    "LSTM-GAN",
    "55 / 51",
    f"{_PICTURES.format('Adam')} (RMSprop: 39 / 60)",
    *_TENTH,
  ),
  "image_cnn2": Published(
    "LSTM-GAN",
    "69 / 65",
    f"{_PICTURES.format('Adam')} (RMSprop: 61 / 59)",
    *_TENTH,
  ),
  "image_cnn_bn": Published(
    "LSTM-GAN", "69 / 71", _PICTURES.format("Adam"), *_TENTH
  ),
  "image_cnn_bn_rmsprop": Published(
    "LSTM-GAN", "57 / 68", _PICTURES.format("RMSprop"), *_TENTH
  ),
  "lstm": Published(
    "LSTM-GAN", "85", f"999 test {_LEAKY}", "leaky_segments_70_20_10", "segment"
  ),
  "mlp": Published("ResNet", "80.00", _KEPT_OUT.format(200), *_FIFTH),
  "image_cnn": Published("ResNet", "50.75", _KEPT_OUT.format(199), *_FIFTH),
  "mobilenet_v2": Published("ResNet", "62.81", _KEPT_OUT.format(199), *_FIFTH),
  "slice_cnn": Published(
    "ResNet", "77.17", f"{_LEAKY}, no validation split", *_LEAKY_FIFTH
  ),
  "resnet": Published(
    "ResNet", "88.83", f"{_LEAKY}, no validation split", *_LEAKY_FIFTH
  ),
  "fusion_cnn": Published(
    "Fusion", "61", "200 tracks that also stopped the training", *_SELECTED
  ),
  "mel_cnn": Published("CNN-GRU", "79.88", _LIKELY, *_LEAKY_FIFTH),
  "cnn_lstm": Published("CNN-GRU", "87.63", _LIKELY, *_LEAKY_FIFTH),
  "cnn_gru": Published("CNN-GRU", "91.29", _LIKELY, *_LEAKY_FIFTH),
  "parallel_cnn": Published("BiLSTM", "about 70", _UNKNOWN, *_UNTOLD),
  "cnn_rnn": Published("BiLSTM", "over 50", _UNKNOWN, *_UNTOLD),
  "cnn_bilstm": Published("BiLSTM", "87", _UNKNOWN, *_UNTOLD),
}
