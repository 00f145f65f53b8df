"""A convolutional conditional GAN on `[frames, bins]` of any size.

Time and frequency are the two sides of a grid. Low and high bins differ in
meaning, so both networks keep them apart at their smallest grid: the
generator's has its own values for every cell, the discriminator's is averaged
over time only.
"""

import math

import jax
import jax.numpy as jnp
from flax import linen as nn

from gtzan_jax.errors import InputError
from gtzan_jax.gan.networks import grids
from gtzan_jax.gan.networks.base import Discriminator, Generator, Networks

_SMALLEST = 5  # cells along a side of the smallest grid, at most


def latent(
  noise: jax.Array,
  label: jax.Array,
  *,
  num_classes: int,
  embedding: int,
  texture: int,
) -> tuple[jax.Array, jax.Array]:
  """Inputs of `grids.Rising`, for use in a compact method.

  The last `texture` numbers of the noise are texture; the others and an
  embedding of the genre describe the whole example.
  """
  whole, texture = jnp.split(noise, [-texture], axis=-1)
  init = nn.initializers.normal(1.0)
  genre = nn.Embed(num_classes, embedding, embedding_init=init, name="genre")
  return jnp.concatenate([whole, genre(label)], axis=-1), texture


def _sizes(shape: tuple[int, ...]) -> list[tuple[int, ...]]:
  return grids.shrinking(shape, _SMALLEST, first=4)


class ConvGenerator(Generator):
  """A small grid from noise and genre, doubled to the size of an example.

  `texture` noise numbers go into each cell of the second grid; `channels` as of
  `grids.Rising`.
  """

  embedding: int
  texture: int
  channels: tuple[int, ...]

  @nn.compact
  def __call__(self, noise: jax.Array, label: jax.Array) -> jax.Array:
    sizes = _sizes(self.example_shape)
    z = latent(
      noise,
      label,
      num_classes=self.num_classes,
      embedding=self.embedding,
      texture=self.texture * math.prod(sizes[1]),
    )
    return grids.Rising(sizes, self.channels, out=1, name="grid")(*z)[..., 0]


class ConvDiscriminator(Discriminator):
  """Grids that halve, then a projection on the genre."""

  channels: tuple[int, ...]

  @nn.compact
  def __call__(self, x: jax.Array, label: jax.Array) -> jax.Array:
    x = grids.Falling(_sizes(x.shape[1:]), self.channels, name="grid")(
      x[..., None]
    )
    return grids.Projection(self.num_classes, name="project")(x, label)


def cgan_conv(
  num_classes: int,
  example_shape: tuple[int, ...],
  *,
  noise: int = 100,
  embedding: int = 32,
  texture: int = 2,
  channels: tuple[int, ...] = (32, 64, 128, 128),
  critic_channels: tuple[int, ...] = (32, 64, 128, 128),
) -> Networks:
  """Networks for `[frames, bins]`; InputError for another or too small a shape.

  The generator takes `noise` numbers and `texture` for each cell of 4 x 4.
  """
  if len(example_shape) != 2 or max(example_shape) <= _SMALLEST:
    raise InputError(
      f"cgan_conv takes examples [frames, bins], one of them above {_SMALLEST},"
      f" not {list(example_shape)}"
    )
  return Networks(
    ConvGenerator(
      num_classes,
      example_shape,
      noise + texture * math.prod(_sizes(example_shape)[1]),
      embedding,
      texture,
      channels,
    ),
    ConvDiscriminator(num_classes, critic_channels),
  )
