"""The CNN on MFCC slices (the ResNet project, phase 4)."""

import jax
from flax import linen as nn

from gtzan_jax.errors import InputError
from gtzan_jax.models import layers, pooling
from gtzan_jax.models.base import Classifier

WINDOWS = ((3, 3), (3, 3), (2, 2))  # side of each convolution and of its pool
MIN_SIDE = 11  # frames or bins: fewer leave nothing for the last convolution


class SliceCNN(Classifier):
  """Three blocks, Dense 64; for `[batch, 130, 13]` MFCCs.

  A block is a "valid" convolution, ReLU, a "same" pool of stride 2 and
  BatchNorm, as in the source's notebook (Keras); the first two pools overlap.
  At least 11 frames and 11 bins, whose number is fixed at init: 45,514 values
  with BatchNorm statistics at 130 x 13 and ten classes, 22,986 at the 38 or 39
  columns that a slice has in the archive.

  Attributes:
    channels: output channels of every convolution.
    dense: width of the hidden layer.
    dropout: dropout rate of the hidden layer.

  Raises:
    InputError: too few frames or bins.
  """

  channels: int = 32
  dense: int = 64
  dropout: float = 0.3

  @nn.compact
  def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
    if min(x.shape[1:]) < MIN_SIDE:
      raise InputError(
        f"slice_cnn got {x.shape[1]} frames of {x.shape[2]} bins; its"
        f" convolutions need at least {MIN_SIDE} of each"
      )
    x = layers.InputStats(name="standardise")(x)[..., None]
    for number, (conv, pool) in enumerate(WINDOWS):
      x = layers.keras_conv(
        self.channels, (conv, conv), padding="VALID", name=f"conv{number}"
      )(x)
      x = pooling.max_pool(nn.relu(x), (pool, pool), (2, 2))
      x = layers.keras_batch_norm(not train, name=f"norm{number}")(x)
    return layers.keras_head(self, x, self.dense, train)
