"""The contract of every GAN."""

from collections.abc import Callable
from typing import NamedTuple

import jax
from flax import linen as nn


class Generator(nn.Module):
  """Generates examples of a genre from `noise` standard normal numbers each.

  The only collection is `params`: no running statistics, no dropout. An example
  depends on its own noise and label only.
  """

  num_classes: int
  example_shape: tuple[int, ...]
  noise: int

  def __call__(self, noise: jax.Array, label: jax.Array) -> jax.Array:
    """Noise `[batch, self.noise]` to float32 `[batch, *example_shape]`."""
    raise NotImplementedError(f"{type(self).__name__} defines no __call__")


class Discriminator(nn.Module):
  """Scores examples of a genre; the only collection is `params`.

  A score depends on no other example. Its gradient can be differentiated again,
  for gradient penalties.
  """

  num_classes: int

  def __call__(self, x: jax.Array, label: jax.Array) -> jax.Array:
    """Float32 logits `[batch]`, high for real, of views (see `Networks`)."""
    raise NotImplementedError(f"{type(self).__name__} defines no __call__")


class Networks(NamedTuple):
  """The two networks of a GAN, without variables.

  `view` makes the discriminator's input of examples; gradient penalties are
  with respect to the view.
  """

  generator: Generator
  discriminator: Discriminator
  view: Callable[[jax.Array], jax.Array] = lambda x: x
