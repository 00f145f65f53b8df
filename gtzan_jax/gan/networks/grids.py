"""Building blocks of the convolutional GANs: grids that halve and double.

A grid is `[batch, *sides, channels]` with one side or two. Sides are halved by
folding neighbours into channels and doubled by the inverse; convolutions have
stride 1, because R1's gradient of a gradient takes ten times as long on a CPU
through strided ones.
"""

import itertools
import math
import operator

import jax
import jax.numpy as jnp
from flax import linen as nn

from gtzan_jax.models.conv import Conv
from gtzan_jax.models.dense import Dense


def shrinking(
  sides: tuple[int, ...], smallest: int, first: int
) -> list[tuple[int, ...]]:
  """Grids from the given one to one whose sides are all at most `smallest`.

  Each side above `smallest` is divided, rounded up: by `first`, thereafter by
  two. (38, 128), 5, 4: [(38, 128), (10, 32), (5, 16), (5, 8), (5, 4)].
  """
  grids, step = [tuple(sides)], first
  while max(grids[-1]) > smallest:
    grids.append(
      tuple(n if n <= smallest else -(-n // step) for n in grids[-1])
    )
    step = 2
  return grids


def _blocks(sides: tuple[int, ...], small: tuple[int, ...]) -> list[int]:
  """Cells of `sides` for each of `small`, along each side."""
  return [-(-n // m) for n, m in zip(sides, small, strict=True)]


def fold(x: jax.Array, small: tuple[int, ...]) -> jax.Array:
  """`[batch, *sides, c]` to `[batch, *small, c * cells]`, padded by zeros."""
  batch, *sides, channels = x.shape
  split = list(zip(small, _blocks(sides, small), strict=True))
  ends = [m * k - n for n, (m, k) in zip(sides, split, strict=True)]
  x = jnp.pad(x, [(0, 0), *((0, end) for end in ends), (0, 0)])
  x = x.reshape(batch, *itertools.chain(*split), channels)
  axes = range(1, x.ndim - 1)
  x = x.transpose(0, *axes[::2], *axes[1::2], x.ndim - 1)
  return x.reshape(batch, *small, -1)


def unfold(x: jax.Array, sides: tuple[int, ...]) -> jax.Array:
  """Inverse of `fold`: `[batch, *small, c * cells]` to `[batch, *sides, c]`."""
  batch, *small, _ = x.shape
  blocks = _blocks(sides, small)
  x = x.reshape(batch, *small, *blocks, -1)
  n = len(small)
  x = x.transpose(
    0, *(i + j for i in range(1, 1 + n) for j in (0, n)), 1 + 2 * n
  )
  x = x.reshape(batch, *map(operator.mul, small, blocks), x.shape[-1])
  return x[(slice(None), *map(slice, sides))]


def cells(sides: tuple[int, ...], small: tuple[int, ...]) -> int:
  """Cells of a grid for each cell of the next smaller."""
  return math.prod(_blocks(sides, small))


class Rising(nn.Module):
  """From numbers to a grid: a small grid, doubled to its final size.

  At each size a residual 3-wide convolution; before it every cell is normalised
  over its channels, then scaled and shifted by noise and genre (conditional
  normalisation: V. Dumoulin et al., arXiv:1610.07629; as in BigGAN: A. Brock et
  al., arXiv:1809.11096). The second grid gets separate noise in every cell for
  texture (T. Karras et al., arXiv:1812.04948): spectra of music are rough.

  `grids` and `channels` have the largest first; `channels` omits the largest
  grid (its number is `out`), its last also serves all smaller grids.
  """

  grids: list[tuple[int, ...]]
  channels: tuple[int, ...]
  out: int
  kernel: int = 3

  @nn.compact
  def __call__(self, z: jax.Array, texture: jax.Array) -> jax.Array:
    """`[batch, n]` and `[batch, m]` to `[batch, *grids[0], out]`.

    m is a multiple of the cells of `grids[1]`.
    """
    widths = [self.out] + [
      self.channels[min(i, len(self.channels) - 1)]
      for i in range(len(self.grids) - 1)
    ]
    small = self.grids[-1]
    x = Dense(math.prod(small) * widths[-1], name="first")(z)
    x = x.reshape(-1, *small, widths[-1])
    for level in reversed(range(1, len(self.grids))):
      if level == 1:
        texture = texture.reshape(*x.shape[:-1], -1)
        x = x + Dense(widths[1], use_bias=False, name="texture")(texture)
      y = _Conditioned(name=f"norm{level}")(x, z)
      kernel = (self.kernel,) * len(small)
      x = x + Conv(widths[level], kernel, name=f"conv{level}")(nn.relu(y))
      large = self.grids[level - 1]
      size = widths[level - 1] * cells(large, self.grids[level])
      y = nn.relu(_Conditioned(name=f"out_norm{level}")(x, z))
      x = unfold(Dense(size, name=f"up{level}")(y), large)
    return x


class _Conditioned(nn.Module):
  """Normalises each cell over its channels; `z` gives scale and shift."""

  @nn.compact
  def __call__(self, x: jax.Array, z: jax.Array) -> jax.Array:
    x = nn.LayerNorm(use_scale=False, use_bias=False, name="norm")(x)
    change = Dense(2 * x.shape[-1], name="change")(z)
    change = change.reshape(len(z), *(1,) * (x.ndim - 2), 2, x.shape[-1])
    return x * (1 + change[..., 0, :]) + change[..., 1, :]


class Falling(nn.Module):
  """From a grid to numbers for a score, without normalisation.

  As `Rising`, but the first of `channels` are of the second grid.
  """

  grids: list[tuple[int, ...]]
  channels: tuple[int, ...]
  kernel: int = 3

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    """`[batch, *grids[0], c]` to `[batch, n]`: time averaged, bins kept."""
    for level in range(1, len(self.grids)):
      width = self.channels[min(level, len(self.channels)) - 1]
      x = fold(x, self.grids[level])
      x = Dense(width, name=f"down{level}")(x)
      kernel = (self.kernel,) * len(self.grids[level])
      y = Conv(width, kernel, name=f"conv{level}")(nn.leaky_relu(x, 0.2))
      x = x + y
    return nn.leaky_relu(x, 0.2).mean(1).reshape(len(x), -1)


class Projection(nn.Module):
  """Score `v . f + genre . f` (T. Miyato and M. Koyama, arXiv:1802.05637)."""

  num_classes: int

  @nn.compact
  def __call__(self, features: jax.Array, label: jax.Array) -> jax.Array:
    """`[batch, n]` and `[batch]` to scores `[batch]`."""
    size = features.shape[-1]
    init = nn.initializers.normal(1 / math.sqrt(size))
    genre = nn.Embed(self.num_classes, size, embedding_init=init, name="genre")(
      label
    )
    score = Dense(1, name="score")(features)[:, 0]
    return score + (genre * features).sum(-1)
