"""Two shallow convolutions side by side (the BiLSTM project, P1.1)."""

import jax
import jax.numpy as jnp
from flax import linen as nn

from gtzan_jax.models import layers, pooling
from gtzan_jax.models.base import Classifier


class ParallelCNN(Classifier):
  """Branches of convolution, LeakyReLU 0.3, max pool; `[batch, 80, 80]`.

  Convolutions and pools are "valid", Keras's default. Both branches are
  flattened and joined, 6,748 values at 80 x 80, and one Dense layer follows:
  54,255 parameters with the source's eight classes. The log-mel is turned to
  `[mel, frame]`, as in the source. No dropout.

  Attributes:
    channels: output channels of the convolution of each branch.
    kernels: side of its kernel.
    pools: side of its pool.
  """

  channels: tuple[int, ...] = (3, 4)
  kernels: tuple[int, ...] = (8, 4)
  pools: tuple[int, ...] = (4, 2)

  @nn.compact
  def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
    x = layers.InputStats(name="standardise")(x).swapaxes(1, 2)[..., None]
    branches = zip(self.channels, self.kernels, self.pools, strict=True)
    flat = []
    for number, (channels, kernel, pool) in enumerate(branches):
      conv = layers.keras_conv(
        channels, (kernel, kernel), padding="VALID", name=f"conv{number}"
      )
      # What no whole pool covers is not computed.
      rows, columns = (
        n - (n - kernel + 1) % pool if n >= kernel + pool else n
        for n in x.shape[1:3]
      )
      y = conv(x[:, :rows, :columns])
      # An increasing function and a maximum commute: fewer values first.
      y = pooling.max_pool(y, (pool, pool), padding="VALID")
      y = nn.leaky_relu(y, 0.3)
      flat.append(y.reshape(y.shape[0], -1))
    return layers.keras_dense(self.num_classes, name="head")(
      jnp.concatenate(flat, axis=-1)
    )
