"""The CNN on stacked features (the Fusion project)."""

import jax
from flax import linen as nn

from gtzan_jax.models import layers, pooling
from gtzan_jax.models.base import Classifier
from gtzan_jax.models.dropout import Dropout


class FusionCNN(Classifier):
  """Three convolutions, global mean, Dense 256; for `[batch, 130, 187]`.

  A block is a 3x3 convolution of "same" padding, ReLU, a 2x2 max pool (not in
  the last), BatchNorm and dropout. Dense, ReLU, BatchNorm and dropout follow.
  Keras's initialisers. 440,842 values with BatchNorm statistics at any size and
  ten classes. The source has frequency along the height, time along the width:
  the axes of every kernel are exchanged here.

  The source's L2 penalty of 1e-3 on the kernel of `dense` is part of the loss,
  see `gtzan_jax.training.losses.l2`.

  Attributes:
    channels: output channels of each block.
    dense: width of the hidden layer.
    block_dropout: dropout rate of each block's output.
    dropout: dropout rate of the hidden layer.
  """

  channels: tuple[int, ...] = (64, 128, 256)
  dense: int = 256
  block_dropout: float = 0.3
  dropout: float = 0.7

  @nn.compact
  def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
    x = layers.InputStats(name="standardise")(x)[..., None]
    for number, channels in enumerate(self.channels):
      x = nn.relu(layers.keras_conv(channels, (3, 3), name=f"conv{number}")(x))
      if number < len(self.channels) - 1:
        x = pooling.max_pool(x, padding="VALID")
      x = layers.keras_batch_norm(not train, name=f"norm{number}")(x)
      x = Dropout(self.block_dropout, deterministic=not train)(x)
    x = x.mean((1, 2))
    x = nn.relu(layers.keras_dense(self.dense, name="dense")(x))
    x = layers.keras_batch_norm(not train, name="dense_norm")(x)
    x = Dropout(self.dropout, deterministic=not train)(x)
    return layers.keras_dense(self.num_classes, name="head")(x)
