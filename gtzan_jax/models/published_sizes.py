"""Each recipe's model: its source, input shape and published parameter count.

`launch.py models` prints the table, which is part of docs/models.md.
"""

import dataclasses
import math
import pathlib
import re

import jax

from gtzan_jax import models
from gtzan_jax.errors import InputError

_MARKS = re.compile(
  r"(<!-- drawn by .*? -->\n).*?(<!-- end of the table -->)", re.S
)


@dataclasses.dataclass(frozen=True)
class Reference:
  """A model at its source's input size.

  Attributes:
    source: the project (docs/sources.md) and its name of the model.
    features: the feature set that its recipe uses.
    published: parameters with BatchNorm statistics by the source's
      description; None where it names no sizes.
    model: the key of MODELS, where it is not the recipe's name.
    classes: number of genres in the source.
  """

  source: str
  features: str
  published: int | None = None
  model: str = ""
  classes: int = 10

  @property
  def input(self) -> tuple[int, ...]:
    """Shape of one example."""
    return INPUTS[self.features]


INPUTS = {
  "image_180": (180, 180, 3),
  "sequence": (61, 33),
  "table57": (57,),
  "image_256": (256, 256, 3),
  "mfcc_slices": (130, 13),
  "fusion": (130, 187),
  "logmel_1024": (258, 128),
  "patches": (80, 80),
}

REFERENCE: dict[str, Reference] = {
  "fcn": Reference("LSTM-GAN, Net1", "image_180", 50_034_698),
  "image_cnn2": Reference("LSTM-GAN, Net2", "image_180", 66_460_522),
  "image_cnn_bn": Reference("LSTM-GAN, Net3", "image_180", 66_461_546),
  "image_cnn_bn_rmsprop": Reference(
    "LSTM-GAN, Net4", "image_180", 66_461_546, "image_cnn_bn"
  ),
  "lstm": Reference("LSTM-GAN, Net5", "sequence", 216_842),
  "mlp": Reference("ResNet, phase 1", "table57", 56_650),
  "image_cnn": Reference("ResNet, phase 2", "image_256", 16_871_882),
  "mobilenet_v2": Reference("ResNet, phase 3", "image_256", 2_270_794),
  "slice_cnn": Reference("ResNet, phase 4", "mfcc_slices", 45_514),
  "resnet": Reference("ResNet, phase 5", "mfcc_slices", 217_226),
  "fusion_cnn": Reference("Fusion", "fusion", 440_842),
  "mel_cnn": Reference("CNN-GRU, base CNN", "logmel_1024"),
  "cnn_lstm": Reference("CNN-GRU, CNN + LSTM", "logmel_1024"),
  "cnn_gru": Reference("CNN-GRU, CNN + GRU", "logmel_1024"),
  "parallel_cnn": Reference("BiLSTM, P1.1", "patches", 54_255, classes=8),
  "cnn_rnn": Reference("BiLSTM, P1.2", "patches", 98_510, classes=8),
  "cnn_bilstm": Reference("BiLSTM, P2", "patches", 245_894, classes=8),
  "transformer": Reference("CNN-GRU, future work", "logmel_1024"),
}


def count(name: str) -> dict[str, int]:
  """Number of values in each collection of a recipe's model."""
  reference = REFERENCE[name]
  model = models.create(reference.model or name, reference.classes)
  return {
    collection: sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(tree))
    for collection, tree in models.shapes(model, reference.input).items()
  }


def table() -> str:
  """All models as a Markdown table."""
  rows = [
    "| recipe | source | class | feature set | input | classes"
    " | parameters | with BatchNorm statistics | the source's count |",
    "|---|---|---|---|---|---|---|---|---|",
  ]
  for name, reference in REFERENCE.items():
    cls, counts = models.MODELS[reference.model or name], count(name)
    trained = counts["params"]
    whole = trained + counts.get("batch_stats", 0)
    published = reference.published
    rows.append(
      f"| `{name}` | {reference.source}"
      f" | {cls.__module__.split('.')[-1]}.{cls.__name__}"
      f" | `{reference.features}` | {' x '.join(map(str, reference.input))}"
      f" | {reference.classes} | {trained:,} | {whole:,}"
      f" | {f'{published:,}' if published else 'names no sizes'} |"
    )
  return "\n".join(rows)


def redraw(path: str) -> None:
  """Replaces the table between the marks of a page.

  Raises:
    InputError: no such file, or no marks in it.
  """
  page = pathlib.Path(path)
  try:
    text = page.read_text()
  except OSError as error:
    raise InputError(
      f"--out={path} cannot be read: {error.strerror}"
    ) from error
  drawn, number = _MARKS.subn(
    lambda marks: f"{marks[1]}\n{table()}\n\n{marks[2]}", text
  )
  if number != 1:
    raise InputError(
      f"--out={path} has no table of models: it is drawn between the marks"
      " `<!-- drawn by ... -->` and `<!-- end of the table -->`"
    )
  page.write_text(drawn)
