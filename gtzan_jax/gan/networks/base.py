"""What every GAN promises, said once."""

from collections.abc import Callable
from typing import NamedTuple

import jax
from flax import linen as nn


class Generator(nn.Module):
  """Makes examples of a genre.

  Only the collection `params` exists: no running statistics, no dropout. An
  example depends on its own noise and label alone.

  Attributes:
    num_classes: the number of genres.
    example_shape: of one example, without the batch.
    noise: standard normal numbers that one example is made of.
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
  """Scores examples of a genre; the collections are those of a Generator.

  The score of an example depends on no other example. Its gradient can be
  differentiated again (gradient penalties need that).

  Attributes:
    num_classes: the number of genres.
  """

  num_classes: int

  def __call__(self, x: jax.Array, label: jax.Array) -> jax.Array:
    """Logits, float32 `[batch]`: high for what seems real.

    Args:
      x: `[batch, ...]`, views of examples (see `Networks`).
      label: integers `[batch]`, the genre each is said to be of.
    """
    raise NotImplementedError(f"{type(self).__name__} defines no __call__")


def unchanged(x: jax.Array) -> jax.Array:
  """The view of a discriminator that is shown examples as they are."""
  return x


class Networks(NamedTuple):
  """The two networks of a GAN, untrained and without variables.

  Attributes:
    generator: makes examples.
    discriminator: scores views of them.
    view: `[batch, *example_shape]` to what the discriminator is shown. It has
      no variables, and a gradient penalty is taken behind it.
  """

  generator: Generator
  discriminator: Discriminator
  view: Callable[[jax.Array], jax.Array] = unchanged
