"""Adversarial losses."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp


class Adversarial(NamedTuple):
  """Losses from scores `[batch]`: of (real, generated), and of generated."""

  discriminator: Callable[[jax.Array, jax.Array], jax.Array]
  generator: Callable[[jax.Array], jax.Array]


# "bce" takes scores as logits and is non-saturating (Goodfellow et al. 2014);
# "hinge" is that of Lim and Ye 2017 (arXiv:1705.02894).
ADVERSARIAL: dict[str, Adversarial] = {
  "bce": Adversarial(
    lambda real, fake: (jax.nn.softplus(-real) + jax.nn.softplus(fake)).mean(),
    lambda fake: jax.nn.softplus(-fake).mean(),
  ),
  "hinge": Adversarial(
    lambda real, fake: (jax.nn.relu(1 - real) + jax.nn.relu(1 + fake)).mean(),
    lambda fake: -fake.mean(),
  ),
}


def squared_gradient(
  score: Callable[[jax.Array], jax.Array], x: jax.Array
) -> tuple[jax.Array, jax.Array]:
  """Mean over examples of the squared norm of d score / d x; the scores.

  Half of it times gamma is R1 (Mescheder et al. 2018, arXiv:1801.04406), which
  keeps a discriminator flat around real examples. `score` maps `[batch, ...]`
  to `[batch]`, each from its own example.
  """

  def summed(x):
    scores = score(x)
    return scores.sum(), scores

  slope, scores = jax.grad(summed, has_aux=True)(x)
  return jnp.square(slope).sum() / x.shape[0], scores
