"""What the source documents state for each recipe, and on what they measured.

Only the figures; none of them comes from the protocols recommended here. Where
a document gives ranges or only a bound, it stands as it is given.
"""

from typing import NamedTuple


class Published(NamedTuple):
  """A figure of a source document.

  Attributes:
    source: number of the source document.
    percent: accuracy as it stands there.
    measured: on what.
    protocol: ours that splits as the source did, as far as it tells; None where
      it does not.
    level: "segment" or "track", whichever it counts.
  """

  source: int
  percent: str
  measured: str
  protocol: str | None
  level: str


_PICTURES = "101 test tracks; {}, 50 / 100 epochs"
_KEPT_OUT = "{} test tracks, no validation part"
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
    0, "55 / 51", f"{_PICTURES.format('Adam')} (RMSprop: 39 / 60)", *_TENTH
  ),
  "image_cnn2": Published(
    0, "69 / 65", f"{_PICTURES.format('Adam')} (RMSprop: 61 / 59)", *_TENTH
  ),
  "image_cnn_bn": Published(0, "69 / 71", _PICTURES.format("Adam"), *_TENTH),
  "image_cnn_bn_rmsprop": Published(
    0, "57 / 68", _PICTURES.format("RMSprop"), *_TENTH
  ),
  "lstm": Published(
    0, "85", f"999 test {_LEAKY}", "leaky_segments_70_20_10", "segment"
  ),
  "mlp": Published(1, "80.00", _KEPT_OUT.format(200), *_FIFTH),
  "image_cnn": Published(1, "50.75", _KEPT_OUT.format(199), *_FIFTH),
  "mobilenet_v2": Published(1, "62.81", _KEPT_OUT.format(199), *_FIFTH),
  "slice_cnn": Published(
    1, "77.17", f"{_LEAKY}, no validation part", *_LEAKY_FIFTH
  ),
  "resnet": Published(
    1, "88.83", f"{_LEAKY}, no validation part", *_LEAKY_FIFTH
  ),
  "fusion_cnn": Published(
    2, "61", "200 tracks that also stopped the training", *_SELECTED
  ),
  "mel_cnn": Published(3, "79.88", _LIKELY, *_LEAKY_FIFTH),
  "cnn_lstm": Published(3, "87.63", _LIKELY, *_LEAKY_FIFTH),
  "cnn_gru": Published(3, "91.29", _LIKELY, *_LEAKY_FIFTH),
  "parallel_cnn": Published(4, "about 70", _UNKNOWN, *_UNTOLD),
  "cnn_rnn": Published(4, "over 50", _UNKNOWN, *_UNTOLD),
  "cnn_bilstm": Published(4, "87", _UNKNOWN, *_UNTOLD),
}
