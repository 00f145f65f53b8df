"""The plain CNN on log-mel spectrograms (the CNN-GRU project's base CNN).

The source names convolution, pooling, dropout and fully connected layers but
no sizes; these were chosen on the validation split of the fault-filtered
partition.
"""

import jax
import jax.numpy as jnp
from flax import linen as nn

from gtzan_jax.models import layers, pooling
from gtzan_jax.models.base import Classifier
from gtzan_jax.models.dense import Dense
from gtzan_jax.models.dropout import Dropout


class MelCNN(Classifier):
  """Blocks of 3x3 convolution, BatchNorm, ReLU, 2x2 max pool; one hidden layer.

  After the last block each band keeps its mean and maximum over time. Any
  number of frames; the bins are fixed at init.

  Attributes:
    channels: output channels of each block.
    stem_stride: stride (frames, bins) of the first convolution, which sees the
      largest input and costs most.
    dense: width of the hidden layer.
    dropout: dropout rate before and after the hidden layer.
  """

  channels: tuple[int, ...] = (16, 32, 64, 128)
  stem_stride: tuple[int, int] = (1, 1)
  dense: int = 128
  dropout: float = 0.4

  @nn.compact
  def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
    x = layers.InputStats(name="standardise")(x)[..., None]
    for number, channels in enumerate(self.channels):
      stride = self.stem_stride if number == 0 else (1, 1)
      x = layers.conv_norm_relu_pool(x, channels, number, train, (2, 2), stride)
    x = jnp.concatenate([x.mean(1), pooling.axis_max(x, 1)], axis=-1)
    x = x.reshape(x.shape[0], -1)
    x = Dropout(self.dropout, deterministic=not train)(x)
    x = nn.relu(Dense(self.dense, name="dense")(x))
    x = Dropout(self.dropout, deterministic=not train)(x)
    return Dense(self.num_classes, name="head")(x)
