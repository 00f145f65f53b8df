"""Max pooling whose gradient is cheap on every device."""

import jax
import jax.numpy as jnp


def max_pool(x: jax.Array, window: tuple[int, int] = (2, 2)) -> jax.Array:
  """Largest value of each window, strides equal to the window, "same" padding.

  `nn.max_pool(x, window, window, "SAME")` gives the same numbers, but its
  gradient (select-and-scatter) costs on a CPU as much as the rest of a small
  CNN; that of a reshape and a max is elementwise. Among equal values of a
  window the gradient is shared here, there it goes to the first.

  Args:
    x: `[batch, height, width, channels]`.
    window: height and width of a window. "Same" padding adds at the far end
      only, as a pad never reaches a whole window.

  Returns:
    `[batch, ceil(height / window[0]), ceil(width / window[1]), channels]`.
  """
  batch, height, width, channels = x.shape
  rows, columns = -(-height // window[0]), -(-width // window[1])
  pad_rows = rows * window[0] - height
  pad_columns = columns * window[1] - width
  x = jnp.pad(
    x,
    ((0, 0), (0, pad_rows), (0, pad_columns), (0, 0)),
    constant_values=-jnp.inf,
  )
  x = x.reshape(batch, rows, window[0], columns, window[1], channels)
  return x.max((2, 4))
