"""The contract of every GAN."""

from collections.abc import Callable
from typing import NamedTuple

import jax
from flax import linen as nn


class Generator(nn.Module):
  """Generates examples of a genre.

  The only collection is `params`: no running statistics, no dropout. An example
  depends on its own noise and label only.

  Attributes:
    num_classes: the number of genres.
    example_shape: of one example, without the batch.
    noise: standard normal numbers for one example.
  """

  num_classes: int
  example_shape: tuple[int, ...]
  noise: int

  def __call__(self, noise: jax.Array, label: jax.Array) -> jax.Array:
    """Examples, float32 `[batch, *example_shape]`.

    Args:
      noise: `[batch, self.noise]`, standard normal.
      label: integers `[batch]`, the genres.
    """
    raise NotImplementedError(f"{type(self).__name__} defines no __call__")


class Discriminator(nn.Module):
  """Scores examples of a genre; the only collection is `params`.

  A score depends on no other example. Its gradient can be differentiated again,
  for gradient penalties.

  Attributes:
    num_classes: the number of genres.
  """

  num_classes: int

  def __call__(self, x: jax.Array, label: jax.Array) -> jax.Array:
    """Logits, float32 `[batch]`: high means real.

    Args:
      x: `[batch, ...]`, views of examples (see `Networks`).
      label: integers `[batch]`, the genres.
    """
    raise NotImplementedError(f"{type(self).__name__} defines no __call__")


class Networks(NamedTuple):
  """The two networks of a GAN, without variables.

  Attributes:
    generator: generates examples.
    discriminator: scores views of them.
    view: `[batch, *example_shape]` to the discriminator's input, without
      variables; gradient penalties are with respect to the view.
  """

  generator: Generator
  discriminator: Discriminator
  view: Callable[[jax.Array], jax.Array] = lambda x: x
