"""Standardisation of the input, kept inside the model but never trained.

Mean and deviation travel with the checkpoint, so evaluation, prediction and
export need nothing beside it. They are no parameters: their collection is left
out of parameter counts, gradients and the optimiser.
"""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

COLLECTION = "input_stats"


class InputStats(nn.Module):
  """`y = (x - mean) / std` along the last axis; the identity at init.

  Variables `mean` and `std`, both `[bins]`, in the collection `input_stats`.
  """

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    """Returns `[..., bins]`, the shape of `x`."""
    bins = x.shape[-1]
    mean = self.variable(COLLECTION, "mean", jnp.zeros, (bins,))
    std = self.variable(COLLECTION, "std", jnp.ones, (bins,))
    wide = (1,) * (x.ndim - 1) + (bins,)
    return (x - mean.value.reshape(wide)) / std.value.reshape(wide)


def fill(variables: Mapping[str, Any], mean, std) -> dict[str, Any]:
  """A model's variables with its input statistics set.

  Args:
    variables: what `model.init` returned.
    mean: `[bins]`, over the training split only, in the unit of the input.
    std: `[bins]`; a bin that never varies (0) is centred and left unscaled.

  Returns:
    a new dict of variables; the argument is left as it is.

  Raises:
    ValueError: if the shapes are not those of the model's input.
  """
  mean = jnp.asarray(mean, jnp.float32)
  std = jnp.asarray(std, jnp.float32)
  new = {"mean": mean, "std": jnp.where(std > 0, std, 1.0)}
  ((layer, old),) = variables[COLLECTION].items()
  for name, value in new.items():
    if value.shape != old[name].shape:
      raise ValueError(
        f"input_stats {name} has shape {value.shape},"
        f" the model's input {old[name].shape}"
      )
  return {**variables, COLLECTION: {layer: new}}
