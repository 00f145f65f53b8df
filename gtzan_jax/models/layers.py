"""Layers that several models share: input statistics, initialisers.

`keras_*` and `torch_*` layers have the defaults of the library that a source
was written in; a source that names no value means these.
"""

import functools
import math
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from gtzan_jax.models.conv import Conv
from gtzan_jax.models.dense import Dense
from gtzan_jax.models.dropout import Dropout
from gtzan_jax.models.norm import BatchNorm

INPUT_STATS = "input_stats"  # the collection

# Keras: Glorot-uniform kernels, zero biases.
keras_conv = functools.partial(
  Conv, kernel_init=nn.initializers.glorot_uniform()
)
keras_dense = functools.partial(
  Dense, kernel_init=nn.initializers.glorot_uniform()
)
keras_batch_norm = functools.partial(BatchNorm, momentum=0.99, epsilon=1e-3)
# torch calls this momentum 0.1. The running variance averages the batch's,
# where torch takes n / (n - 1) of it.
torch_batch_norm = functools.partial(BatchNorm, momentum=0.9, epsilon=1e-5)


def keras_head(model: Any, x: jax.Array, width: int, train: bool) -> jax.Array:
  """Hidden layer `dense`, ReLU, the model's dropout, logits (layer `head`)."""
  x = x.reshape(x.shape[0], -1)
  x = nn.relu(keras_dense(width, name="dense")(x))
  x = Dropout(model.dropout, deterministic=not train)(x)
  return keras_dense(model.num_classes, name="head")(x)


def conv_norm_relu_pool(
  x: jax.Array,
  channels: int,
  number: int,
  train: bool,
  window: tuple[int, int],
  strides: tuple[int, int] = (1, 1),
) -> jax.Array:
  """3x3 convolution, BatchNorm, ReLU, max pool of `window`.

  The layers are called `conv<number>` and `norm<number>`.
  """
  # BatchNorm has a bias of its own, so the convolution needs none.
  conv = Conv(channels, (3, 3), strides, use_bias=False, name=f"conv{number}")
  norm = BatchNorm(not train, momentum=0.9, name=f"norm{number}")
  return norm(conv(x), pool=window)


def uniform(bound: float):
  """An initialiser: uniform in ±`bound`."""

  def init(key, shape, dtype=float):
    return jax.random.uniform(key, shape, dtype, -bound, bound)

  return init


def torch_dense(features: int, inputs: int, *, name: str | None) -> nn.Dense:
  """`torch.nn.Linear(inputs, features)`: uniform in ±1 / sqrt(inputs)."""
  init = uniform(1 / math.sqrt(inputs))
  return Dense(features, kernel_init=init, bias_init=init, name=name)


def torch_conv(
  features: int, inputs: int, kernel: tuple[int, int], *, name: str | None
) -> nn.Module:
  """`torch.nn.Conv2d(inputs, features, kernel, padding="same")`."""
  init = uniform(1 / math.sqrt(inputs * math.prod(kernel)))
  return Conv(features, kernel, kernel_init=init, bias_init=init, name=name)


class InputStats(nn.Module):
  """Standardises the input: `(x - mean) / std`; the identity at init.

  `mean` and `std`, `[bins]` each, are a collection of their own: saved with the
  model, neither trained nor counted as parameters.
  """

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    """`[..., bins]` to the same shape."""
    bins = x.shape[-1]
    mean = self.variable(INPUT_STATS, "mean", jnp.zeros, (bins,))
    std = self.variable(INPUT_STATS, "std", jnp.ones, (bins,))
    wide = (1,) * (x.ndim - 1) + (bins,)
    return (x - mean.value.reshape(wide)) / std.value.reshape(wide)


def fill_input_stats(variables: Mapping[str, Any], mean, std) -> dict[str, Any]:
  """A copy of a model's variables with its input statistics set.

  Args:
    variables: from `model.init`.
    mean: `[bins]`, over the train split only, in the unit of the input.
    std: `[bins]`; a constant bin (0) is centred and not scaled.

  Raises:
    ValueError: the shapes are not those of the model's input.
  """
  mean = jnp.asarray(mean, jnp.float32)
  std = jnp.asarray(std, jnp.float32)
  new = {"mean": mean, "std": jnp.where(std > 0, std, 1.0)}
  ((layer, old),) = variables[INPUT_STATS].items()
  for name, value in new.items():
    if value.shape != old[name].shape:
      raise ValueError(
        f"input_stats {name} has shape {value.shape},"
        f" the model's input {old[name].shape}"
      )
  return {**variables, INPUT_STATS: {layer: new}}
