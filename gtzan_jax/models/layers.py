"""Layers that several models share: input statistics, pooling, initialisers.

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

from gtzan_jax.errors import InputError

INPUT_STATS = "input_stats"  # the collection

# Keras: Glorot-uniform kernels, zero biases.
keras_conv = functools.partial(
  nn.Conv, kernel_init=nn.initializers.glorot_uniform()
)
keras_dense = functools.partial(
  nn.Dense, kernel_init=nn.initializers.glorot_uniform()
)
keras_batch_norm = functools.partial(nn.BatchNorm, momentum=0.99, epsilon=1e-3)
# torch calls this momentum 0.1. The running variance averages the batch's,
# where torch takes n / (n - 1) of it.
torch_batch_norm = functools.partial(nn.BatchNorm, momentum=0.9, epsilon=1e-5)


def keras_head(model: Any, x: jax.Array, width: int, train: bool) -> jax.Array:
  """Hidden layer `dense`, ReLU, the model's dropout, logits (layer `head`)."""
  x = x.reshape(x.shape[0], -1)
  x = nn.relu(keras_dense(width, name="dense")(x))
  x = nn.Dropout(model.dropout, deterministic=not train)(x)
  return keras_dense(model.num_classes, name="head")(x)


def conv_norm_relu(
  x: jax.Array,
  channels: int,
  number: int,
  train: bool,
  strides: tuple[int, int] = (1, 1),
) -> jax.Array:
  """3x3 convolution, BatchNorm, ReLU: layers `conv<number>`, `norm<number>`."""
  # BatchNorm has a bias of its own, so the convolution needs none.
  conv = nn.Conv(
    channels, (3, 3), strides, use_bias=False, name=f"conv{number}"
  )
  norm = nn.BatchNorm(not train, momentum=0.9, name=f"norm{number}")
  return nn.relu(norm(conv(x)))


def uniform(bound: float):
  """An initialiser: uniform in ±`bound`."""

  def init(key, shape, dtype=float):
    return jax.random.uniform(key, shape, dtype, -bound, bound)

  return init


def torch_dense(features: int, inputs: int, *, name: str | None) -> nn.Dense:
  """`torch.nn.Linear(inputs, features)`: uniform in ±1 / sqrt(inputs)."""
  init = uniform(1 / math.sqrt(inputs))
  return nn.Dense(features, kernel_init=init, bias_init=init, name=name)


def torch_conv(
  features: int, inputs: int, kernel: tuple[int, int], *, name: str | None
) -> nn.Conv:
  """`torch.nn.Conv2d(inputs, features, kernel, padding="same")`."""
  init = uniform(1 / math.sqrt(inputs * math.prod(kernel)))
  return nn.Conv(features, kernel, kernel_init=init, bias_init=init, name=name)


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


# Pooling. `x.reshape(...).max((2, 4))` would lose gradients under `jit`: the
# gradient of a reduced maximum goes to the values that equal the result, and
# where XLA recomputes `x` in another fusion its last bit may differ, so that
# none is equal (on a CPU up to half of the largest entry of a kernel's
# gradient). Up to JAX 0.10 `jnp.maximum` of two arrays does the same. Here
# values are compared with each other, or picked by index.


@jax.custom_jvp
def larger(x: jax.Array, y: jax.Array) -> jax.Array:
  """`jnp.maximum(x, y)`; the gradient goes to `x` where the two are equal."""
  return jnp.maximum(x, y)


@larger.defjvp
def _larger_jvp(primals, tangents):
  x, y = primals
  return larger(x, y), jnp.where(x >= y, *tangents)


def max_pool(
  x: jax.Array,
  window: tuple[int, int] = (2, 2),
  strides: tuple[int, int] | None = None,
  padding: str = "SAME",
) -> jax.Array:
  """`nn.max_pool`, whose own gradient costs as much as a small CNN on a CPU.

  Each axis is pooled alone: fewer comparisons where windows overlap.

  Args:
    x: `[batch, height, width, channels]`.
    window: height and width of a window.
    strides: along height and width; None for the window's size.
    padding: "SAME" or "VALID", as in Linen.

  Returns:
    `[batch, rows, columns, channels]`: an axis of `n` values becomes
    `ceil(n / stride)` ("SAME") or `1 + floor((n - window) / stride)` ("VALID").

  Raises:
    InputError: no window fits ("VALID").
  """
  strides = strides or window
  padded = jax.lax.padtype_to_pads(x.shape[1:3], window, strides, padding)
  for axis, size, stride in zip((1, 2), window, strides, strict=True):
    pads = [(0, 0)] * x.ndim
    pads[axis] = padded[axis - 1]
    x = jnp.pad(x, pads, constant_values=-jnp.inf)
    if x.shape[axis] < size:
      raise InputError(
        f"a pool of {size} does not fit what the layers before it leave of the"
        f" input, {x.shape[axis]} (frames or bins); give the model more of them"
      )
    # Where the last window starts.
    last = (x.shape[axis] - size) // stride * stride
    cut = functools.partial(jax.lax.slice_in_dim, stride=stride, axis=axis)
    places = (cut(x, start, start + last + 1) for start in range(size))
    x = functools.reduce(larger, places)
  return x


def axis_max(x: jax.Array, axis: int) -> jax.Array:
  """`x.max(axis)`; the gradient goes to the first of equal values."""
  place = jax.lax.stop_gradient(x).argmax(axis, keepdims=True)
  return jnp.take_along_axis(x, place, axis).squeeze(axis)
