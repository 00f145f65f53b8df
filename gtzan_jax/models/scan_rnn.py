"""LSTM and GRU layers as one `lax.scan` with a custom gradient.

Computed outside the loop: the product with the input (one GEMM for all frames)
and, through a custom VJP, the gradient of the recurrent kernel, which autodiff
would sum frame by frame. One small product a frame and elementwise work remain
inside; unrolling was slower on a CPU. `jax.jvp` needs `derivatives.plain`.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
from flax import linen as nn
from flax.linen.dtypes import promote_dtype
from jax import lax

from gtzan_jax.models.dense import Dense, sum_of_products
from gtzan_jax.models.derivatives import custom_vjp
from gtzan_jax.models.layers import uniform

Arrays = tuple[jax.Array, ...]


class Cell(NamedTuple):
  """Elementwise functions on one frame; a state is `(h,)` or `(h, c)`.

  Attributes:
    gates: their number.
    biased: of how many gates, the last, the state's product has a bias.
    states: arrays in a state, each `[batch, hidden]`; the first is the output.
    step: (x, r, state) to (state, saved), where x is the product of the input
      with its kernel and r that of the state, both `[batch, gates * hidden]`.
    back: (saved, h before the step, gradient of the state after it) to
      (gradient of x, gradient of the state before the step except through r).
    through: (saved, gradient of x) to the gradient of r; any leading axes.
  """

  gates: int
  biased: int
  states: int
  step: Callable[[jax.Array, jax.Array, Arrays], tuple[Arrays, Arrays]]
  back: Callable[[Arrays, jax.Array, Arrays], tuple[jax.Array, Arrays]]
  through: Callable[[Arrays, jax.Array], jax.Array]


def _lstm_step(x, r, state):
  i, f, g, o = jnp.split(x + r, 4, axis=-1)
  i, f, o = jax.nn.sigmoid(i), jax.nn.sigmoid(f), jax.nn.sigmoid(o)
  g, before = jnp.tanh(g), state[1]
  c = f * before + i * g
  tanh_c = jnp.tanh(c)
  return (o * tanh_c, c), (i, f, g, o, before, tanh_c)


def _lstm_back(saved, h, grads):
  i, f, g, o, before, tanh_c = saved
  dh, dc = grads
  dc = dc + dh * o * (1 - tanh_c * tanh_c)
  di, df = dc * g * i * (1 - i), dc * before * f * (1 - f)
  dg, do = dc * i * (1 - g * g), dh * tanh_c * o * (1 - o)
  dx = jnp.concatenate([di, df, dg, do], axis=-1)
  return dx, (jnp.zeros_like(dh), dc * f)


def _gru_step(x, r, state):
  (h,) = state
  xr, xz, xn = jnp.split(x, 3, axis=-1)
  hr, hz, hn = jnp.split(r, 3, axis=-1)
  reset, update = jax.nn.sigmoid(xr + hr), jax.nn.sigmoid(xz + hz)
  new = jnp.tanh(xn + reset * hn)
  return ((1 - update) * new + update * h,), (reset, update, new, hn)


def _gru_back(saved, h, grads):
  reset, update, new, hn = saved
  (dh,) = grads
  dn = dh * (1 - update) * (1 - new * new)
  dz = dh * (h - new) * update * (1 - update)
  dr = dn * hn * reset * (1 - reset)
  return jnp.concatenate([dr, dz, dn], axis=-1), (dh * update,)


def _gru_through(saved, dx):
  dr, dz, dn = jnp.split(dx, 3, axis=-1)
  return jnp.concatenate([dr, dz, dn * saved[0]], axis=-1)


LSTM_CELL = Cell(4, 4, 2, _lstm_step, _lstm_back, lambda saved, dx: dx)
GRU_CELL = Cell(3, 1, 1, _gru_step, _gru_back, _gru_through)


@partial(custom_vjp, nondiff_argnums=(0, 1))
def recur(
  cell: Cell,
  reverse: bool,
  x: jax.Array,
  kernel: jax.Array,
  bias: jax.Array,
) -> jax.Array:
  """Runs a cell over time from a state of zeros.

  Args:
    cell: LSTM_CELL (gates i, f, g, o: input, forget, candidate, output) or
      GRU_CELL (gates r, z, n: reset, update, candidate).
    reverse: from the last frame to the first.
    x: the product of the input with its kernel,
      `[frames, batch, gates * hidden]`.
    kernel: the state's, `[hidden, gates * hidden]`.
    bias: added to the product of the state, `[gates * hidden]`.

  Returns:
    the state h after each frame, `[frames, batch, hidden]`, in their order.
  """
  return _forward(cell, reverse, x, kernel, bias)[0]


def _forward(cell, reverse, x, kernel, bias):
  def step(state, x):
    new, saved = cell.step(x, state[0] @ kernel + bias[None], state)
    return new, (new[0], state[0], saved)

  zeros = jnp.zeros((x.shape[1], kernel.shape[0]), x.dtype)
  start = (zeros,) * cell.states
  _, (y, before, saved) = lax.scan(step, start, x, reverse=reverse)
  return y, (kernel, before, saved)


def _backward(cell, reverse, residuals, dy):
  kernel, before, saved = residuals

  def step(grads, frame):
    dy, h, saved = frame
    dx, (dh, *rest) = cell.back(saved, h, (grads[0] + dy, *grads[1:]))
    dh = dh + cell.through(saved, dx) @ kernel.T
    return (dh, *rest), dx

  start = (jnp.zeros_like(dy[0]),) * cell.states
  _, dx = lax.scan(step, start, (dy, before, saved), reverse=not reverse)
  dr = cell.through(saved, dx)
  return dx, sum_of_products(before, dr), dr.sum((0, 1))


recur.defvjp(_forward, _backward)


def torch_init(hidden: int) -> dict[str, Any]:
  """PyTorch's initialisers, for a layer: uniform in ±1/sqrt(hidden)."""
  names = ("kernel_init", "recurrent_init", "bias_init")
  return dict.fromkeys(names, uniform(hidden**-0.5))


def forget_one(key, shape, dtype=jnp.float32) -> jax.Array:
  """Keras's initial bias of an LSTM: 1 for the forget gate, 0 elsewhere."""
  gate = jnp.arange(shape[0]) // (shape[0] // 4)
  return (gate == 1).astype(dtype)


class _Layer(nn.Module):
  """The base of LSTM and GRU; the default initialisers are Keras's.

  Attributes:
    hidden: size of the state.
    reverse: from the last frame to the first.
    kernel_init: for the input's kernel, `[bins, gates * hidden]`.
    recurrent_init: for the state's kernel, `[hidden, gates * hidden]`.
    bias_init: for every bias.
    two_biases: whether there is `input/bias`, `[gates * hidden]`, too.
  """

  hidden: int
  reverse: bool = False
  kernel_init: Callable = nn.initializers.glorot_uniform()
  recurrent_init: Callable = nn.initializers.orthogonal()
  bias_init: Callable = nn.initializers.zeros
  two_biases: bool = True

  cell: ClassVar[Cell]

  @nn.compact
  def __call__(self, x: jax.Array, *, last: bool = False) -> jax.Array:
    """`[batch, frames, bins]` to `[batch, frames, hidden]`.

    With `last`, the state after the last frame read: `[batch, hidden]`.
    """
    cell, width = self.cell, self.cell.gates * self.hidden
    kernel = self.param("kernel", self.recurrent_init, (self.hidden, width))
    bias = self.param("bias", self.bias_init, (cell.biased * self.hidden,))
    dense = Dense(
      width,
      use_bias=self.two_biases,
      kernel_init=self.kernel_init,
      bias_init=self.bias_init,
      name="input",
    )
    product = dense(x.swapaxes(0, 1))
    bias = jnp.pad(bias, (width - len(bias), 0))
    product, kernel, bias = promote_dtype(product, kernel, bias, dtype=None)
    y = recur(cell, self.reverse, product, kernel, bias)
    if last:
      return y[0] if self.reverse else y[-1]
    return y.swapaxes(0, 1)


class ScanLSTM(_Layer):
  """LSTM (Hochreiter and Schmidhuber 1997; forget gate: Gers et al. 2000).

  One bias a gate, as in Keras: 4 (hidden (bins + hidden) + hidden) parameters,
  `input/kernel`, `kernel` and `bias`, gates in the order i, f, g, o. PyTorch
  has `two_biases`. Only their sum has an effect, but its initial deviation is
  sqrt(2) times as large, and a step of Adam changes it twice as much.
  """

  bias_init: Callable = forget_one
  two_biases: bool = False

  cell: ClassVar[Cell] = LSTM_CELL


class ScanGRU(_Layer):
  """GRU (Cho et al. 2014), the reset gate applied after the product.

  As in PyTorch, cuDNN and `flax.linen.GRUCell`: the candidate's product has a
  `bias` `[hidden]`, beside `kernel`, `input/kernel` and `input/bias`, gates in
  the order r, z, n: 3 (hidden (bins + hidden) + hidden) + hidden parameters.
  """

  cell: ClassVar[Cell] = GRU_CELL


class Bidirectional(nn.Module):
  """Two layers, one in each direction of time, outputs concatenated.

  Attributes:
    layer: ScanLSTM or ScanGRU, or a partial of one.
    hidden: size of the state in each direction.
  """

  layer: Callable[..., nn.Module]
  hidden: int

  @nn.compact
  def __call__(self, x: jax.Array, *, last: bool = False) -> jax.Array:
    """`[batch, frames, bins]` to `[batch, frames, 2 * hidden]`.

    With `last`, each direction's last state: `[batch, 2 * hidden]`.
    """
    ahead = self.layer(self.hidden, name="ahead")
    back = self.layer(self.hidden, reverse=True, name="back")
    both = [ahead(x, last=last), back(x, last=last)]
    return jnp.concatenate(both, axis=-1)
