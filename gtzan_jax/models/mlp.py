"""Networks of fully connected layers: the LSTM-GAN and ResNet projects."""

import jax
from flax import linen as nn

from gtzan_jax.models.base import Classifier
from gtzan_jax.models.dropout import Dropout
from gtzan_jax.models.layers import InputStats, keras_dense, torch_dense


class FCN(Classifier):
  """The LSTM-GAN project's Net1: a flattened picture, two hidden layers, ReLU.

  Reads `[batch, height, width, channels]` (any shape behind `batch`, fixed at
  init). torch's initialisers. 50,034,698 parameters at 180 x 180 x 3 and ten
  classes.

  Attributes:
    widths: units of each hidden layer.
  """

  widths: tuple[int, ...] = (512, 512)

  @nn.compact
  def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
    x = InputStats(name="standardise")(x)
    x = x.reshape(x.shape[0], -1)
    for number, width in enumerate(self.widths):
      x = nn.relu(torch_dense(width, x.shape[-1], name=f"dense{number}")(x))
    return torch_dense(self.num_classes, x.shape[-1], name="head")(x)


class MLP(Classifier):
  """The ResNet project's phase 1: hidden layers on a table of features.

  Reads `[batch, columns]` (any shape behind `batch`, which is flattened). ReLU
  after each hidden layer, dropout after each but the last. Keras's
  initialisers. 56,650 parameters at 57 columns and ten classes.

  Attributes:
    widths: units of each hidden layer.
    dropout: dropout rate.
  """

  widths: tuple[int, ...] = (256, 128, 64)
  dropout: float = 0.3

  @nn.compact
  def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
    x = InputStats(name="standardise")(x)
    x = x.reshape(x.shape[0], -1)
    for number, width in enumerate(self.widths):
      if number > 0:
        x = Dropout(self.dropout, deterministic=not train)(x)
      x = nn.relu(keras_dense(width, name=f"dense{number}")(x))
    return keras_dense(self.num_classes, name="head")(x)
