"""Integrated gradients of a log probability with respect to the features.

Sundararajan, Taly and Yan (2017), "Axiomatic attribution for deep networks",
arXiv:1703.01365. By completeness the attributions sum to the log probability of
the example less that of the baseline; the error is reported beside it.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

STEPS = 64
_AT_ONCE = 16  # steps that go through the network as one batch


class Attribution(NamedTuple):
  """Attributions of one example for one genre, in nats: `values` float32
  [frames, bins], and the log probability less the baseline's."""

  values: np.ndarray
  difference: float

  @property
  def total(self) -> float:
    """The sum of `values`, to be compared with `difference`."""
    return float(self.values.sum(dtype=np.float64))


def attributor(
  model: nn.Module, variables: Mapping
) -> Callable[[np.ndarray, np.ndarray, int], Attribution]:
  """A function (example, baseline, genre) -> Attribution, compiled once:
  float32 [frames, bins], baseline [bins]; 64 midpoint steps."""

  def log_probability(x: jax.Array, genre: jax.Array) -> jax.Array:
    logits = model.apply(variables, x, train=False)
    return jax.nn.log_softmax(logits)[:, genre]

  @jax.jit
  def summed(x, baseline, fractions, genre):
    """The sum of the gradients at these fractions of the path."""
    path = x - baseline[None]
    points = baseline[None, None] + fractions[:, None, None] * path[None]
    return jax.grad(lambda p: log_probability(p, genre).sum())(points).sum(0)

  @jax.jit
  def difference(x, baseline, genre):
    ends = jnp.stack([x, jnp.broadcast_to(baseline[None], x.shape)])
    one, other = log_probability(ends, genre)
    return one - other

  middles = (np.arange(STEPS, dtype=np.float32) + 0.5) / STEPS

  def attribute(
    example: np.ndarray, baseline: np.ndarray, genre: int
  ) -> Attribution:
    genre = np.int32(genre)
    # Not jax.lax.map: on a CPU XLA makes convolutions in loops ten times slow.
    gradients = sum(
      summed(example, baseline, some, genre)
      for some in middles.reshape(-1, _AT_ONCE)
    )
    return Attribution(
      np.asarray(gradients) * (example - baseline) / STEPS,
      float(difference(example, baseline, genre)),
    )

  return attribute
