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
  """

  source: int
  percent: str
  measured: str


_PICTURES = "101 test tracks; {}, 50 / 100 epochs"
_KEPT_OUT = "{} test tracks, no validation part"
_LEAKY = "segments, split by segment (leak)"
_LIKELY = "segments, most likely split by segment (leak), stopped on test"
_UNKNOWN = (
  "2,400 validation segments of 8 genres; how they were split is unknown"
)

PUBLISHED = {
  "fcn": Published(
    0, "55 / 51", f"{_PICTURES.format('Adam')} (RMSprop: 39 / 60)"
  ),
  "image_cnn2": Published(
    0, "69 / 65", f"{_PICTURES.format('Adam')} (RMSprop: 61 / 59)"
  ),
  "image_cnn_bn": Published(0, "69 / 71", _PICTURES.format("Adam")),
  "image_cnn_bn_rmsprop": Published(0, "57 / 68", _PICTURES.format("RMSprop")),
  "lstm": Published(0, "85", f"999 test {_LEAKY}"),
  "mlp": Published(1, "80.00", _KEPT_OUT.format(200)),
  "image_cnn": Published(1, "50.75", _KEPT_OUT.format(199)),
  "mobilenet_v2": Published(1, "62.81", _KEPT_OUT.format(199)),
  "slice_cnn": Published(1, "77.17", f"{_LEAKY}, no validation part"),
  "resnet": Published(1, "88.83", f"{_LEAKY}, no validation part"),
  "fusion_cnn": Published(2, "61", "200 tracks that also stopped the training"),
  "mel_cnn": Published(3, "79.88", _LIKELY),
  "cnn_lstm": Published(3, "87.63", _LIKELY),
  "cnn_gru": Published(3, "91.29", _LIKELY),
  "parallel_cnn": Published(4, "about 70", _UNKNOWN),
  "cnn_rnn": Published(4, "over 50", _UNKNOWN),
  "cnn_bilstm": Published(4, "87", _UNKNOWN),
}
