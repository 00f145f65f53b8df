"""Random variables of a model, and MobileNetV2's."""

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gtzan_jax import models


def random_variables(shapes, seed: int = 0):
  """Values that keep the signal's size; the input statistics are the identity.

  Args:
    shapes: from `models.shapes`.
    seed: of the values.
  """
  rng = np.random.default_rng(seed)

  def value(path, leaf):
    if path[0].key == "input_stats":
      return jnp.full(leaf.shape, float(path[-1].key == "std"))
    if path[-1].key in ("scale", "var"):
      return jnp.asarray(rng.uniform(0.5, 1.5, leaf.shape), jnp.float32)
    width = math.sqrt(2 / math.prod(leaf.shape[:-1])) if leaf.ndim > 1 else 0.2
    return jnp.asarray(rng.normal(0, width, leaf.shape), jnp.float32)

  return jax.tree.map_with_path(value, shapes)


@pytest.fixture(scope="session")
def drawn() -> Callable:
  return random_variables


@pytest.fixture(scope="session")
def mobilenet():
  """MobileNetV2's variables for three classes."""
  model = models.create("mobilenet_v2", 3)
  return random_variables(models.shapes(model, (32, 32, 3)))
