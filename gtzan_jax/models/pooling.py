"""Max pooling that keeps the place of each maximum.

`x.reshape(...).max((2, 4))` would lose gradients under `jit`: the gradient of a
reduced maximum goes to the values that equal the result, and where XLA
recomputes `x` in another fusion its last bit may differ, so that none is equal
(on a CPU up to half of the largest entry of a kernel's gradient). Up to JAX
0.10 `jnp.maximum` of two arrays does the same. Here values are compared with
each other, or picked by index.
"""

import functools
import math
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from gtzan_jax.errors import InputError
from gtzan_jax.models.derivatives import custom_vjp


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
  pads = lax.padtype_to_pads(x.shape[1:3], window, strides, padding)
  for axis, size, (low, high) in zip((1, 2), window, pads, strict=True):
    if x.shape[axis] + low + high < size:
      raise InputError(
        f"a pool of {size} does not fit what the layers before it leave of the"
        f" input, {x.shape[axis]} (frames or bins); give the model more of them"
      )
  if strides == window:
    return _apart(window, tuple(pads), x.shape, x)
  return _overlapping(window, strides, pads, x)


def _overlapping(window, strides, pads, x):
  """Each axis is pooled alone: fewer comparisons."""
  for axis, size, stride in zip((1, 2), window, strides, strict=True):
    padded = [(0, 0)] * x.ndim
    padded[axis] = pads[axis - 1]
    x = jnp.pad(x, padded, constant_values=-jnp.inf)
    # Where the last window starts.
    last = (x.shape[axis] - size) // stride * stride
    cut = functools.partial(lax.slice_in_dim, stride=stride, axis=axis)
    places = (cut(x, start, start + last + 1) for start in range(size))
    x = functools.reduce(larger, places)
  return x


@functools.partial(custom_vjp, nondiff_argnums=(0, 1, 2))
def _apart(window, pads, shape, x):
  return largest(window, pads, x)[0]


def _forward(window, pads, shape, x):
  return largest(window, pads, x)


def _backward(window, pads, shape, place, dy):
  return (spread(window, pads, shape, place, dy),)


_apart.defvjp(_forward, _backward)


def _place_type(window: tuple[int, int]) -> Any:
  return jnp.uint8 if math.prod(window) <= 256 else jnp.int32


def largest(
  window: tuple[int, int], pads: tuple, x: jax.Array
) -> tuple[jax.Array, jax.Array]:
  """The maximum of each window, and its place in it.

  Args:
    window: height and width; windows do not overlap.
    pads: (low, high) of each axis, outside of which nothing is larger.
    x: `[batch, height, width, channels]`.

  Returns:
    the maxima, `[batch, rows, columns, channels]`, and the row of each times
    the window's width plus its column, uint8 of at most 256 cells; the first of
    equal values.
  """
  x = jnp.pad(x, ((0, 0), *pads, (0, 0)), constant_values=-jnp.inf)
  high, wide = window
  rows, columns = x.shape[1] // high, x.shape[2] // wide
  cells = [
    x[:, row : rows * high : high, column : columns * wide : wide]
    for row in range(high)
    for column in range(wide)
  ]
  kind = _place_type(window)
  value, place = cells[0], jnp.zeros(cells[0].shape, kind)
  for number, cell in enumerate(cells[1:], 1):
    # NaN is larger than any number, as for jnp.maximum.
    place = jnp.where(value >= cell, place, kind(number))
    value = larger(value, cell)
  # Else XLA finds the place anew for each value of the gradient.
  return lax.optimization_barrier((value, place))


def spread(
  window: tuple[int, int],
  pads: tuple,
  shape: tuple[int, ...],
  place: jax.Array,
  dy: jax.Array,
) -> jax.Array:
  """The transpose of `largest`: `dy` at the places, 0 elsewhere, `[*shape]`."""
  high, wide = window
  batch, rows, columns, channels = dy.shape
  inside = jnp.arange(high * wide, dtype=_place_type(window))
  at = place[:, :, None, :, None] == inside.reshape(1, 1, high, 1, wide, 1)
  x = jnp.where(at, dy[:, :, None, :, None], 0)
  x = x.reshape(batch, rows * high, columns * wide, channels)
  (top, _), (left, _) = pads
  x = x[:, top : top + shape[1], left : left + shape[2]]
  missing = [(0, n - m) for n, m in zip(shape, x.shape, strict=True)]
  x = jnp.pad(x, missing)  # what no window covers ("VALID")
  return lax.optimization_barrier(x)  # else once for each use: dx, dk, db


def axis_max(x: jax.Array, axis: int) -> jax.Array:
  """`x.max(axis)`; the gradient goes to the first of equal values."""
  place = lax.stop_gradient(x).argmax(axis, keepdims=True)
  return jnp.take_along_axis(x, place, axis).squeeze(axis)
