"""The residual network on MFCC slices (the ResNet project, phase 5).

Layer for layer as in the source's notebook (Keras): convolution, ReLU, then
BatchNorm; ReLU again after the sum; "same" padding and pooling throughout.
217,226 values with BatchNorm statistics at 130 x 13 and ten classes.
"""

import jax
from flax import linen as nn

from gtzan_jax.models import layers, pooling
from gtzan_jax.models.base import Classifier


class ConvReluNorm(nn.Module):
  """3x3 convolution, ReLU, BatchNorm: `[..., h, w, c]` to `[..., features]`."""

  features: int

  @nn.compact
  def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
    x = nn.relu(layers.keras_conv(self.features, (3, 3), name="conv")(x))
    return layers.keras_batch_norm(not train, name="norm")(x)


class ResidualBlock(nn.Module):
  """ReLU of (two Conv-ReLU-BatchNorm layers + shortcut).

  The shortcut is the input itself, or a 1x1 convolution of it (no BatchNorm)
  where the number of channels changes; with `shortcut=False` nothing is added.
  """

  features: int
  shortcut: bool = True

  @nn.compact
  def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
    y = ConvReluNorm(self.features, name="first")(x, train=train)
    y = ConvReluNorm(self.features, name="second")(y, train=train)
    if self.shortcut:
      if x.shape[-1] != self.features:
        x = layers.keras_conv(self.features, (1, 1), name="shortcut")(x)
      y = y + x
    return nn.relu(y)


class ResNet(Classifier):
  """Stem, two residual blocks, Dense 64; for `[batch, 130, 13]` MFCCs.

  Takes any number of frames and bins, fixed at init. The source's L2 penalty of
  1e-3 on the kernel of `dense` is part of the loss, see
  `gtzan_jax.training.losses.l2`.

  Attributes:
    dropout: dropout rate of the Dense layer.
    shortcuts: whether the residual blocks add their shortcut.
  """

  dropout: float = 0.4
  shortcuts: bool = True

  @nn.compact
  def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
    x = layers.InputStats(name="standardise")(x)[..., None]
    x = pooling.max_pool(ConvReluNorm(32, name="stem")(x, train=train))
    for number, features in enumerate((32, 64), start=1):
      block = ResidualBlock(features, self.shortcuts, name=f"block{number}")
      x = pooling.max_pool(block(x, train=train))
    return layers.keras_head(self, x, 64, train)
