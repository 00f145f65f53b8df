"""Networks of fully connected layers: the LSTM-GAN and ResNet projects."""

import jax
from flax import linen as nn

from gtzan_jax.models import keras_layers, torch_layers
from gtzan_jax.models.base import Classifier
from gtzan_jax.models.input_stats import InputStats


class FCN(Classifier):
  """The LSTM-GAN project's Net1, the baseline: a flattened picture, two layers.

  Reads `[batch, height, width, channels]` (any shape behind `batch`, fixed at
  init); ReLU between the layers, initialised as torch does. 50,034,698
  parameters at 180 x 180 x 3 and ten classes.

  Attributes:
    widths: units of each hidden layer.
  """

  widths: tuple[int, ...] = (512, 512)

  @nn.compact
  def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
    x = InputStats(name="standardise")(x)
    x = x.reshape(x.shape[0], -1)
    for number, width in enumerate(self.widths):
      x = torch_layers.dense(width, x.shape[-1], name=f"dense{number}")(x)
      x = nn.relu(x)
    return torch_layers.dense(self.num_classes, x.shape[-1], name="head")(x)


class MLP(Classifier):
  """The ResNet project's phase 1: three layers on a table of features.

  Reads `[batch, columns]` (any shape behind `batch`, which is flattened);
  ReLU after each layer, dropout after each but the last, initialised as Keras
  does. 56,650 parameters at 57 columns and ten classes.

  Attributes:
    widths: units of each hidden layer.
    dropout: share of a hidden layer dropped in training.
  """

  widths: tuple[int, ...] = (256, 128, 64)
  dropout: float = 0.3

  @nn.compact
  def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
    x = InputStats(name="standardise")(x)
    x = x.reshape(x.shape[0], -1)
    for number, width in enumerate(self.widths):
      if number > 0:
        x = nn.Dropout(self.dropout, deterministic=not train)(x)
      x = nn.relu(keras_layers.dense(width, name=f"dense{number}")(x))
    return keras_layers.dense(self.num_classes, name="head")(x)
