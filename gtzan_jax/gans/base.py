"""What every GAN promises, said once."""

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
      x: `[batch, *example_shape]`.
      label: integers `[batch]`, the genre each is said to be of.
    """
    raise NotImplementedError(f"{type(self).__name__} defines no __call__")


class Networks(NamedTuple):
  """The two networks of a GAN, untrained and without variables."""

  generator: Generator
  discriminator: Discriminator
