"""The CNN on MFCC slices (the ResNet project, phase 4).

Layer for layer as in the source's notebook (Keras): "valid" convolutions, then
ReLU, a "same" pool of stride 2 and BatchNorm. The first two pools are 3x3 and
overlap. 45,514 values with BatchNorm statistics at 130 x 13 and ten classes.
"""

import jax
from flax import linen as nn

from gtzan_jax.errors import InputError
from gtzan_jax.models import keras_layers
from gtzan_jax.models.base import Classifier
from gtzan_jax.models.input_stats import InputStats
from gtzan_jax.models.pooling import max_pool

# Side of each block's convolution, and of its pool.
WINDOWS = ((3, 3), (3, 3), (2, 2))
MIN_SIDE = 11  # frames or bins: fewer leave nothing for the last convolution


class SliceCNN(Classifier):
  """Three blocks of Conv-ReLU-MaxPool-BatchNorm, Dense 64; `[b, 130, 13]`.

  The features are read as a picture of one channel, of at least 11 frames and
  11 bins; the flattened size, and with it the Dense layer, follows them: 480 at
  130 x 13; 128, and 22,986 values in all, at the 38 or 39 columns that a slice
  has in the archive.

  Attributes:
    channels: output channels of every convolution.
    dense: width of the hidden layer.
    dropout: share of the hidden layer dropped in training.
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
    x = InputStats(name="standardise")(x)[..., None]
    for number, (conv, pool) in enumerate(WINDOWS):
      x = keras_layers.conv(
        self.channels, (conv, conv), padding="VALID", name=f"conv{number}"
      )(x)
      x = max_pool(nn.relu(x), (pool, pool), (2, 2))
      x = keras_layers.batch_norm(
        use_running_average=not train, name=f"norm{number}"
      )(x)
    x = x.reshape(x.shape[0], -1)
    x = nn.relu(keras_layers.dense(self.dense, name="dense")(x))
    x = nn.Dropout(self.dropout, deterministic=not train)(x)
    return keras_layers.dense(self.num_classes, name="head")(x)
