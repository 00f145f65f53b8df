"""LSTM and GRU layers against Linen's and finite differences; their models."""

import math
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from jax.test_util import check_grads

from gtzan_jax.errors import InputError
from gtzan_jax.models.cnn_bilstm import (
  CNNRNN,
  CNNBiLSTM,
  as_picture,
  as_sequence,
)
from gtzan_jax.models.cnn_gru import CNNGRU, CNNLSTM
from gtzan_jax.models.lstm import LSTM
from gtzan_jax.models.scan_rnn import (
  GRU_CELL,
  LSTM_CELL,
  Bidirectional,
  ScanGRU,
  ScanLSTM,
  recur,
  torch_init,
)

BATCH, FRAMES, BINS, HIDDEN = 3, 6, 5, 4
GATES = {"lstm": "ifgo", "gru": "rzn"}
LAYERS = {"lstm": ScanLSTM, "gru": ScanGRU}
CELLS = {"lstm": LSTM_CELL, "gru": GRU_CELL}
LINEN = {"lstm": nn.OptimizedLSTMCell, "gru": nn.GRUCell}


def normal(seed, *shape):
  return np.random.default_rng(seed).normal(0, 0.7, shape).astype(np.float32)


def as_linen(kind, params):
  """Our parameters, or a gradient of their shape, in Linen's names.

  Linen's LSTM has its bias at the state's kernels, its GRU at the input's and
  one more at the candidate's.
  """
  gates = GATES[kind]
  kernels = {
    f"{side}{gate}": {"kernel": part}
    for side, kernel in (
      ("i", params["input"]["kernel"]),
      ("h", params["kernel"]),
    )
    for gate, part in zip(
      gates, jnp.split(kernel, len(gates), axis=1), strict=True
    )
  }
  if kind == "gru":
    kernels["hn"]["bias"] = params["bias"]
  side, bias = ("h", params["bias"])
  if kind == "gru":
    side, bias = ("i", params["input"]["bias"])
  for gate, part in zip(gates, jnp.split(bias, len(gates)), strict=True):
    kernels[f"{side}{gate}"]["bias"] = part
  return kernels


def filled(layer, x):
  """Variables of a module, every value drawn at random."""
  shapes = jax.eval_shape(layer.init, jax.random.key(0), x)
  leaves, tree = jax.tree.flatten(shapes)
  return tree.unflatten(
    [jnp.asarray(normal(n, *leaf.shape)) for n, leaf in enumerate(leaves)]
  )


@pytest.mark.slow
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("kind", sorted(LAYERS))
def test_layer_and_gradient_are_those_of_linen(kind, reverse):
  x = jnp.asarray(normal(10, BATCH, FRAMES, BINS))
  weight = normal(11, BATCH, FRAMES, HIDDEN)
  layer = LAYERS[kind](HIDDEN, reverse=reverse)
  linen = nn.RNN(LINEN[kind](HIDDEN), reverse=reverse, keep_order=True)
  params = filled(layer, x)["params"]

  def ours(params, x):
    y = layer.apply({"params": params}, x)
    return (weight * y).sum(), y

  def theirs(params, x):
    y = linen.apply({"params": {"cell": params}}, x)
    return (weight * y).sum(), y

  gradient = partial(jax.value_and_grad, argnums=(0, 1), has_aux=True)
  (_, y), (dparams, dx) = jax.jit(gradient(ours))(params, x)
  mapped = as_linen(kind, params)
  (_, y_linen), (dlinen, dx_linen) = jax.jit(gradient(theirs))(mapped, x)
  close = partial(np.testing.assert_allclose, rtol=1e-4, atol=1e-5)
  close(y, y_linen)
  close(dx, dx_linen)
  jax.tree.map(close, as_linen(kind, dparams), dlinen)
  last = layer.apply({"params": params}, x, last=True)
  close(last, y[:, 0 if reverse else -1])


@pytest.mark.slow
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("kind", sorted(CELLS))
def test_gradient_agrees_with_finite_differences(kind, reverse):
  """In float64, where central differences are good to 1e-6."""
  gates = len(GATES[kind]) * HIDDEN
  shapes = ((FRAMES, BATCH, gates), (HIDDEN, gates), (gates,))
  with jax.enable_x64(True):
    values = [
      jnp.asarray(normal(n, *shape), jnp.float64)
      for n, shape in enumerate(shapes)
    ]
    run = partial(recur, CELLS[kind], reverse)
    check_grads(run, values, order=1, modes=["rev"], atol=1e-6, rtol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("kind", sorted(LAYERS))
def test_layer_can_be_mapped_over_inputs_and_over_parameters(kind):
  layer = LAYERS[kind](HIDDEN)
  xs = jnp.asarray(normal(1, 2, BATCH, FRAMES, BINS))
  one = filled(layer, xs[0])
  two = jax.tree.map(lambda leaf: 0.5 * leaf, one)

  def gradient(params, x):
    return jax.grad(lambda p: jnp.square(layer.apply(p, x)).sum())(params)

  close = partial(np.testing.assert_allclose, rtol=1e-4, atol=1e-5)
  stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), one, two)
  for axes, arguments, second in (
    ((None, 0), (one, xs), (one, xs[1])),
    ((0, None), (stacked, xs[0]), (two, xs[0])),
  ):
    mapped = jax.jit(jax.vmap(gradient, axes))(*arguments)
    found = jax.tree.map(lambda leaf: leaf[1], mapped)
    jax.tree.map(close, found, jax.jit(gradient)(*second))


def test_counts_of_parameters():
  x = jnp.zeros((1, 2, 33))
  for layer, expected in (
    (ScanLSTM(128), 4 * (128 * (33 + 128) + 128)),
    (ScanLSTM(128, two_biases=True), 4 * (128 * (33 + 128) + 2 * 128)),
    (ScanGRU(128), 3 * (128 * (33 + 128) + 128) + 128),
    (Bidirectional(ScanLSTM, 128), 8 * (128 * (33 + 128) + 128)),
  ):
    leaves = jax.tree.leaves(jax.eval_shape(layer.init, jax.random.key(0), x))
    assert sum(math.prod(leaf.shape) for leaf in leaves) == expected


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
  layer = ScanGRU(HIDDEN)
  first = layer.apply(ahead, x)
  second = layer.apply(back, x[:, ::-1])[:, ::-1]
  close = partial(np.testing.assert_allclose, rtol=1e-5, atol=1e-6)
  close(both.apply(variables, x), jnp.concatenate([first, second], -1))
  ends = jnp.concatenate([first[:, -1], second[:, 0]], -1)
  close(both.apply(variables, x, last=True), ends)


def shapes(model, *size):
  x = jnp.zeros((2, *size))
  return jax.eval_shape(partial(model.init, train=False), jax.random.key(0), x)


def layer_shapes(model, *size):
  """The shape of what each layer gives, by its path."""
  x = jnp.zeros((2, *size))
  run = partial(
    model.apply, train=False, capture_intermediates=True, mutable=True
  )
  _, state = jax.eval_shape(run, shapes(model, *size), x)
  leaves = jax.tree.leaves_with_path(state["intermediates"])
  return {
    "/".join(str(key.key) for key in path[:-2]): leaf.shape
    for path, leaf in leaves
  }


@pytest.mark.parametrize(
  ("model", "size", "layer", "expected"),
  [
    (CNNGRU(10), (38, 128), "recurrent/input", (10, 2, 3 * 128)),
    (CNNLSTM(10), (258, 128), "recurrent/input", (65, 2, 4 * 128)),
    (CNNRNN(8), (80, 80), "conv1", (2, 36, 36, 6)),
    (CNNRNN(8), (80, 80), "lstm0/input", (324, 2, 4 * 128)),
    (CNNRNN(8), (80, 80), "lstm1", (2, 32)),
    (CNNBiLSTM(8), (80, 80), "lstm0/ahead/input", (100, 2, 4 * 128)),
    (CNNBiLSTM(8), (80, 80), "lstm1", (2, 64)),
    (LSTM(10), (61, 33), "Dropout_0", (2, 61, 128)),
    (LSTM(10), (61, 33), "Dropout_1", (2, 128)),
  ],
)
def test_layers_give_the_sources_shapes(model, size, layer, expected):
  assert layer_shapes(model, *size)[layer] == expected


def test_picture_is_read_band_by_band():
  """As the source's `[mel, frames]` is by a row-major reshape."""
  x = jnp.asarray(normal(3, 2, 6, 4))  # 6 frames of 4 bands
  picture = as_picture(x)
  assert picture.shape == (2, 4, 6, 1)
  found = as_sequence(picture, 3)
  np.testing.assert_array_equal(found, np.asarray(x).mT.reshape(2, 8, 3))
  uneven = as_sequence(picture, 5)
  assert uneven.shape == (2, 5, 5)
  np.testing.assert_array_equal(uneven.reshape(2, 25)[:, 24], 0)


@pytest.mark.parametrize("model", [CNNRNN(8), CNNBiLSTM(8)])
@pytest.mark.parametrize("size", [(1, 13), (7, 80), (39, 9)])
def test_picture_models_take_any_size(model, size):
  assert layer_shapes(model, *size)["head"] == (2, 8)


@pytest.mark.slow
@pytest.mark.parametrize(
  ("model", "layer", "expected"),
  [
    # -1, through a kernel of 3 x 3 x 8 ones, over 6 channels.
    (CNNRNN(8), "lstm0", -1.0 * 72 * 6),
    # BatchNorm of -1 is -1 + 0.5, which LeakyReLU makes 0.3 of; 24 of these.
    (CNNBiLSTM(8), "lstm0/ahead", (-1 / math.sqrt(1.001) + 0.5) * 0.3 * 24),
  ],
)
def test_order_of_convolution_norm_and_activation(model, layer, expected):
  size = (16, 12)
  variables = jax.tree.map(
    lambda leaf: jnp.zeros(leaf.shape), shapes(model, *size)
  )
  variables["input_stats"]["standardise"]["std"] += 1.0
  params = variables["params"]
  if isinstance(model, CNNRNN):
    params["conv0"]["bias"] -= 1.0
    params["conv1"]["kernel"] += 1.0
  else:
    params["conv1"]["bias"] -= 1.0
    params["norm1"]["scale"] += 1.0
    params["norm1"]["bias"] += 0.5
    variables["batch_stats"]["norm1"]["var"] += 1.0
  inner = params
  for key in layer.split("/"):
    inner = inner[key]
  inner["input"]["kernel"] += 1.0
  run = partial(
    model.apply, train=False, capture_intermediates=True, mutable=True
  )
  _, state = jax.jit(run)(variables, jnp.ones((1, *size)))
  inner = state["intermediates"]
  for key in layer.split("/"):
    inner = inner[key]
  product = inner["input"]["__call__"][0]
  np.testing.assert_allclose(product[0], expected, rtol=1e-5)


def test_options_of_unequal_length_are_refused():
  with pytest.raises(InputError, match=r"channels=\(4, 4\), pool_frames=\(2,"):
    shapes(CNNGRU(10, channels=(4, 4)), 38, 128)
