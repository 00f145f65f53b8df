"""Max pooling whose gradient is right under `jit` and cheap on every device.

`x.reshape(...).max((2, 4))` looks like the cheap way, and is wrong: the
gradient of a reduced maximum asks which values *equal* the result, and where
XLA computes `x` anew inside another fusion its last bit may differ, so that
nothing is equal and the gradient is silently lost (measured on the CPU: up to
half of the largest entry of a kernel's gradient). Up to JAX 0.10 `jnp.maximum`
of two arrays asks the same. Here values are compared with each other, or picked
by index.
"""

import functools

import jax
import jax.numpy as jnp

from gtzan_jax.errors import InputError


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
  """Largest value of each window, as `nn.max_pool` gives it.

  The gradient of `nn.max_pool` (select-and-scatter) costs on a CPU as much as
  the rest of a small CNN. A window's maximum is that of its columns' maxima, so
  each axis is pooled alone: fewer comparisons where windows overlap.

  Args:
    x: `[batch, height, width, channels]`.
    window: height and width of a window.
    strides: steps from window to window along height and width; None stands
      for the window's own size. A window may be the larger of the two.
    padding: "SAME" (one output for each stride begun; the padding, smallest of
      all values, is shared by both ends, its odd one last) or "VALID" (windows
      that fit; what is left over at the far end is dropped).

  Returns:
    `[batch, rows, columns, channels]`: an axis of `n` values becomes
    `ceil(n / stride)` ("SAME") or `1 + floor((n - window) / stride)` ("VALID").

  Raises:
    InputError: if nothing is left, as no window fits ("VALID").
  """
  for axis, size, stride in zip((1, 2), window, strides or window, strict=True):
    x = _pool_axis(x, axis, size, stride, padding)
  return x


def _pool_axis(x, axis: int, size: int, stride: int, padding: str) -> jax.Array:
  shape = (x.shape[axis],)
  ((before, after),) = jax.lax.padtype_to_pads(
    shape, (size,), (stride,), padding
  )
  pads = [(0, 0)] * x.ndim
  pads[axis] = (before, after)
  x = jnp.pad(x, pads, constant_values=-jnp.inf)
  if x.shape[axis] < size:
    raise InputError(
      f"a pool of {size} does not fit what the layers before it leave of the"
      f" input, {x.shape[axis]} (frames or bins); give the model more of them"
    )
  last = (x.shape[axis] - size) // stride * stride  # where the last one starts
  return functools.reduce(
    larger,
    (
      jax.lax.slice_in_dim(x, start, start + last + 1, stride, axis=axis)
      for start in range(size)
    ),
  )


def axis_max(x: jax.Array, axis: int) -> jax.Array:
  """`x.max(axis)`; the gradient goes to the first of equal values."""
  place = jax.lax.stop_gradient(x).argmax(axis, keepdims=True)
  return jnp.take_along_axis(x, place, axis).squeeze(axis)
