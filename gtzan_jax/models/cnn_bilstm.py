"""Two small CNNs whose output is read as a sequence (the BiLSTM project).

The source (Keras, eight classes) reads log-mel pictures `[mel, frames]` of
80 x 80. The last pool's output becomes a sequence row by row: through time
within a band, then on to the next band. A step is one place (`CNNRNN`) or four
neighbours in time (`CNNBiLSTM`).
"""

import jax
import jax.numpy as jnp
from flax import linen as nn

from gtzan_jax.models import layers, pooling
from gtzan_jax.models.base import Classifier
from gtzan_jax.models.scan_rnn import Bidirectional, ScanLSTM


def as_picture(x: jax.Array, smallest: int = 1) -> jax.Array:
  """`[batch, frames, bins]` to `[batch, bins, frames, 1]`.

  A side shorter than `smallest` is padded with zeros at its end.
  """
  picture = x.swapaxes(1, 2)[..., None]
  rows, columns = (max(0, smallest - n) for n in picture.shape[1:3])
  return jnp.pad(picture, ((0, 0), (0, rows), (0, columns), (0, 0)))


def as_sequence(x: jax.Array, width: int) -> jax.Array:
  """`[batch, ...]` to `[batch, steps, width]`, row by row.

  The last step is padded with zeros (at 80 x 80 it is whole).
  """
  x = x.reshape(x.shape[0], -1)
  x = jnp.pad(x, ((0, 0), (0, -x.shape[1] % width)))
  return x.reshape(x.shape[0], -1, width)


class CNNRNN(Classifier):
  """Phase P1.2: two linear convolutions, two LSTMs, Dense 200.

  "Valid" padding, 80 -> 77 -> 38 -> 36 -> 18, so 324 steps of 6. 98,510
  parameters with eight classes, at any size; sides shorter than 11 are padded.

  Attributes:
    dropout: dropout rate of the Dense layer.
  """

  dropout: float = 0.2

  @nn.compact
  def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
    x = as_picture(layers.InputStats(name="standardise")(x), smallest=11)
    for number, (channels, side) in enumerate(((8, 4), (6, 3))):
      conv = layers.keras_conv(
        channels, (side, side), padding="VALID", name=f"conv{number}"
      )
      x = pooling.max_pool(conv(x), padding="VALID")
    x = as_sequence(x, 6)
    x = ScanLSTM(128, name="lstm0")(x)
    x = ScanLSTM(32, name="lstm1")(x, last=True)
    return layers.keras_head(self, x, 200, train)


class CNNBiLSTM(Classifier):
  """Phase P2: convolution, BatchNorm, LeakyReLU, pool, twice; two BiLSTMs.

  "Same" padding, 80 -> 40 -> 20, so 100 steps of 24: four places of six
  channels. 245,894 values with BatchNorm statistics and eight classes, at any
  size.

  Attributes:
    dropout: dropout rate of the Dense layer.
  """

  dropout: float = 0.3

  @nn.compact
  def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
    x = as_picture(layers.InputStats(name="standardise")(x))
    for number, (channels, side) in enumerate(((8, 4), (6, 3))):
      x = layers.keras_conv(channels, (side, side), name=f"conv{number}")(x)
      norm = layers.keras_batch_norm(not train, name=f"norm{number}")
      x = norm(x, pool=(2, 2), slope=0.3)
    x = as_sequence(x, 24)
    x = Bidirectional(ScanLSTM, 128, name="lstm0")(x)
    x = Bidirectional(ScanLSTM, 32, name="lstm1")(x, last=True)
    return layers.keras_head(self, x, 200, train)
