"""Max pooling whose gradient is right under `jit` and cheap on every device.

`x.reshape(...).max((2, 4))` looks like the cheap way, and is wrong: the
gradient of a reduced maximum asks which values *equal* the result, and where
XLA computes `x` anew inside another fusion its last bit may differ, so that
nothing is equal and the gradient is silently lost (measured on the CPU: up to
half of the largest entry of a kernel's gradient). Here values are compared
with each other, or picked by index.
"""

import functools

import jax
import jax.numpy as jnp


def max_pool(x: jax.Array, window: tuple[int, int] = (2, 2)) -> jax.Array:
  """Largest value of each window, strides equal to the window, "same" padding.

  `nn.max_pool(x, window, window, "SAME")` gives the same numbers, but its
  gradient (select-and-scatter) costs on a CPU as much as the rest of a small
  CNN. Between two equal values the gradient is shared; there it goes to the
  first.

  Args:
    x: `[batch, height, width, channels]`.
    window: height and width of a window. "Same" padding adds at the far end
      only, as a pad never reaches a whole window.

  Returns:
    `[batch, ceil(height / window[0]), ceil(width / window[1]), channels]`.
  """
  rows, columns = window
  pads = ((0, 0), (0, -x.shape[1] % rows), (0, -x.shape[2] % columns), (0, 0))
  x = jnp.pad(x, pads, constant_values=-jnp.inf)
  corners = (
    x[:, row::rows, column::columns]
    for row in range(rows)
    for column in range(columns)
  )
  return functools.reduce(jnp.maximum, corners)


def axis_max(x: jax.Array, axis: int) -> jax.Array:
  """`x.max(axis)`; the gradient goes to the first of equal values."""
  place = jax.lax.stop_gradient(x).argmax(axis, keepdims=True)
  return jnp.take_along_axis(x, place, axis).squeeze(axis)
