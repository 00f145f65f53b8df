"""Dropout that draws one byte a value."""

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from jax import lax


class Dropout(nn.Dropout):
  """`nn.Dropout` with a quarter of its random bits.

  Linen draws 32 bits a value, which on a CPU take longer than a small layer.
  Here the rate is rounded to a multiple of 1/256 (0.3 is 77/256), and what is
  kept is scaled by the rate that was used: the mean stays exact. Rates below
  0.05 or above 0.95, which that could change by more than 4 %, are Linen's.
  """

  @nn.compact
  def __call__(self, inputs, deterministic=None, rng=None):
    """`[...]` to the same shape; see `nn.Dropout`."""
    if not 0.05 <= self.rate <= 0.95:
      return super().__call__(inputs, deterministic, rng)
    if nn.merge_param("deterministic", self.deterministic, deterministic):
      return inputs
    dropped = round(256 * self.rate)
    key = rng if rng is not None else self.make_rng(self.rng_collection)
    shape = tuple(
      1 if {axis, axis - inputs.ndim} & {*self.broadcast_dims} else size
      for axis, size in enumerate(inputs.shape)
    )
    bytes_ = random_bytes(key, shape)
    scale = 256 / (256 - dropped)
    return jnp.where(bytes_ >= jnp.uint8(dropped), inputs * scale, 0)


def random_bytes(key: jax.Array, shape: tuple[int, ...]) -> jax.Array:
  """Uniform uint8, four from each word of 32 bits."""
  count = int(np.prod(shape))
  words = jax.random.bits(key, (-(-count // 4),), jnp.uint32)
  return (
    lax.bitcast_convert_type(words, jnp.uint8)
    .reshape(-1)[:count]
    .reshape(shape)
  )
