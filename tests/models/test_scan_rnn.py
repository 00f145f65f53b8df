"""LSTM and GRU layers against Linen's."""

import math
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from gtzan_jax.models.scan_rnn import (
  Bidirectional,
  ScanGRU,
  ScanLSTM,
  torch_init,
)

BATCH, FRAMES, BINS, HIDDEN = 3, 6, 5, 4
GATES = {ScanLSTM: "ifgo", ScanGRU: "rzn"}
LINEN = {ScanLSTM: nn.OptimizedLSTMCell, ScanGRU: nn.GRUCell}
EVERY_LAYER = pytest.mark.parametrize("layer", [ScanLSTM, ScanGRU])
close = partial(np.testing.assert_allclose, rtol=1e-4, atol=1e-5)


def normal(seed, *shape):
  return np.random.default_rng(seed).normal(0, 0.7, shape).astype(np.float32)


def as_linen(layer, params):
  """Our parameters, or a gradient of their shape, in Linen's names.

  Linen's LSTM has its bias at the state's kernels, its GRU at the input's and
  one more at the candidate's.
  """
  gates, gru = GATES[layer], layer is ScanGRU
  split = partial(jnp.split, indices_or_sections=len(gates), axis=-1)
  linen = {
    side + gate: {"kernel": kernel}
    for side, kernels in (
      ("i", params["input"]["kernel"]),
      ("h", params["kernel"]),
    )
    for gate, kernel in zip(gates, split(kernels), strict=True)
  }
  biases = params["input"]["bias"] if gru else params["bias"]
  for gate, bias in zip(gates, split(biases), strict=True):
    linen[("i" if gru else "h") + gate]["bias"] = bias
  if gru:
    linen["hn"]["bias"] = params["bias"]
  return linen


def filled(layer, x):
  """Variables of a module, every value drawn at random."""
  shapes = jax.eval_shape(layer.init, jax.random.key(0), x)
  leaves, tree = jax.tree.flatten(shapes)
  return tree.unflatten(
    [jnp.asarray(normal(n, *leaf.shape)) for n, leaf in enumerate(leaves)]
  )


@pytest.mark.slow
@pytest.mark.parametrize("reverse", [False, True])
@EVERY_LAYER
def test_layer_and_gradient_are_those_of_linen(layer, reverse):
  x = jnp.asarray(normal(10, BATCH, FRAMES, BINS))
  weight = normal(11, BATCH, FRAMES, HIDDEN)
  ours = layer(HIDDEN, reverse=reverse)
  theirs = nn.RNN(LINEN[layer](HIDDEN), reverse=reverse, keep_order=True)
  params = filled(ours, x)["params"]

  def gradient(apply):
    def loss(params, x):
      y = apply({"params": params}, x)
      return (weight * y).sum(), y

    return jax.jit(jax.value_and_grad(loss, argnums=(0, 1), has_aux=True))

  (_, y), (dparams, dx) = gradient(ours.apply)(params, x)
  (_, y_linen), (dlinen, dx_linen) = gradient(theirs.apply)(
    {"cell": as_linen(layer, params)}, x
  )
  close(y, y_linen)
  close(dx, dx_linen)
  jax.tree.map(close, {"cell": as_linen(layer, dparams)}, dlinen)
  last = ours.apply({"params": params}, x, last=True)
  close(last, y[:, 0 if reverse else -1])


@pytest.mark.slow
def test_initial_values_are_kerass_or_torchs():
  x = jnp.zeros((1, 2, BINS))
  params = jax.jit(ScanLSTM(HIDDEN).init)(jax.random.key(0), x)["params"]
  np.testing.assert_array_equal(params["bias"], np.repeat([0, 1, 0, 0], HIDDEN))
  kernel = params["kernel"]
  np.testing.assert_allclose(kernel @ kernel.T, np.eye(HIDDEN), atol=1e-5)
  bound = math.sqrt(6 / (BINS + 4 * HIDDEN))  # Glorot, of the whole kernel
  largest = np.abs(params["input"]["kernel"]).max()
  assert 0.8 * bound < largest <= bound
  layer = ScanLSTM(256, two_biases=True, **torch_init(256))
  both = jax.jit(layer.init)(jax.random.key(0), x)["params"]
  whole = both["bias"] + both["input"]["bias"]  # of two uniforms in ±1/16
  assert np.std(whole) == pytest.approx(math.sqrt(2 / 3) / 16, rel=0.05)
  layer = ScanGRU(64, **torch_init(64))
  for leaf in jax.tree.leaves(jax.jit(layer.init)(jax.random.key(0), x)):
    assert 0.9 / 8 < np.abs(leaf).max() <= 1 / 8


def test_bidirectional_reads_from_both_ends():
  x = jnp.asarray(normal(2, BATCH, FRAMES, BINS))
  both = Bidirectional(ScanGRU, HIDDEN)
  variables = filled(both, x)
  ahead, back = (
    {"params": variables["params"][side]} for side in ("ahead", "back")
  )
  first = ScanGRU(HIDDEN).apply(ahead, x)
  second = ScanGRU(HIDDEN).apply(back, x[:, ::-1])[:, ::-1]
  close(both.apply(variables, x), jnp.concatenate([first, second], -1))
  ends = jnp.concatenate([first[:, -1], second[:, 0]], -1)
  close(both.apply(variables, x, last=True), ends)
