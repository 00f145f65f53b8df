"""Input statistics, pooling, initialisers, the residual block."""

import math
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from gtzan_jax import models
from gtzan_jax.models import layers
from gtzan_jax.models.resnet import ResidualBlock
from gtzan_jax.training import sharding


def test_input_stats_are_the_identity_at_init():
  x = jnp.asarray(np.random.default_rng(0).normal(size=(3, 5, 2)))
  layer = layers.InputStats()
  stats = layer.init(jax.random.key(0), x)
  assert set(stats) == {"input_stats"}
  np.testing.assert_array_equal(layer.apply(stats, x), x)


def test_filled_input_stats_leave_constant_bins_unscaled():
  variables = layers.InputStats().init(jax.random.key(0), jnp.ones((1, 2)))
  variables = {"input_stats": {"standardise": variables["input_stats"]}}
  filled = layers.fill_input_stats(variables, [3.0, 4.0], [0.0, 2.0])
  np.testing.assert_array_equal(
    filled["input_stats"]["standardise"]["std"], [1.0, 2.0]
  )
  assert variables["input_stats"]["standardise"]["std"][1] == 1.0
  with pytest.raises(ValueError, match=r"shape \(3,\)"):
    layers.fill_input_stats(variables, np.zeros(3), np.ones(3))


@pytest.mark.slow
@pytest.mark.parametrize(
  ("shape", "window", "strides", "padding"),
  [
    ((2, 5, 6, 3), (2, 2), None, "SAME"),
    ((1, 1, 1, 2), (2, 2), None, "SAME"),
    ((2, 9, 11, 3), (3, 3), (2, 2), "SAME"),
    ((2, 8, 4, 1), (3, 3), (2, 2), "SAME"),
    ((1, 1, 2, 2), (3, 3), (2, 2), "SAME"),
    ((2, 10, 7, 2), (3, 2), None, "SAME"),
    ((2, 11, 9, 2), (4, 2), None, "VALID"),
    ((2, 9, 10, 2), (3, 3), (2, 1), "VALID"),
  ],
)
def test_pools_agree_with_linen(shape, window, strides, padding):
  x = jax.random.normal(jax.random.key(0), shape) - 5.0  # padding must not win

  @jax.jit
  def both(x):
    expected, back = jax.vjp(
      lambda v: nn.max_pool(v, window, strides or window, padding), x
    )
    pooled, own_back = jax.vjp(
      lambda v: layers.max_pool(v, window, strides, padding), x
    )
    grad = jnp.cos(jnp.arange(pooled.size)).reshape(pooled.shape)
    return (pooled, *own_back(grad)), (expected, *back(grad))

  ours, expected = both(x)
  np.testing.assert_array_equal(ours[0], expected[0])
  np.testing.assert_allclose(ours[1], expected[1], atol=1e-6)


def test_the_gradient_of_a_maximum_goes_to_the_first_of_equal_values():
  x = jnp.ones((1, 3, 3, 1))
  pool = partial(layers.max_pool, window=(3, 3), strides=(2, 2))
  gradient = jax.grad(lambda v: pool(v, padding="VALID").sum())(x)
  np.testing.assert_array_equal(gradient.ravel(), [1] + [0] * 8)
  x = jnp.array([[1.0, 5.0, 5.0], [2.0, 0.0, -1.0]])
  largest, back = jax.vjp(lambda v: layers.axis_max(v, 1), x)
  np.testing.assert_array_equal(largest, [5.0, 2.0])
  np.testing.assert_array_equal(
    back(jnp.array([3.0, 4.0]))[0], [[0, 3, 0], [4, 0, 0]]
  )


def test_a_pool_keeps_nan():
  for place in range(4):
    x = jnp.arange(4.0).at[place].set(jnp.nan).reshape(1, 2, 2, 1)
    assert np.isnan(layers.max_pool(x)).all()


@pytest.mark.slow
@pytest.mark.parametrize("devices", [1, 4])
def test_gradients_through_pooling_survive_fusion(devices):
  """The gradient under jit is that of the model run operation by operation."""
  model = models.create("mel_cnn", 10, channels=(4, 8), dense=16, dropout=0.0)
  x = jax.random.normal(jax.random.key(0), (32, 130, 13))
  labels = jnp.arange(32) % 10
  variables = model.init(jax.random.key(1), x, train=False)
  rest = {name: variables[name] for name in ("batch_stats", "input_stats")}

  def loss(params, x):
    logits, _ = model.apply(
      {"params": params, **rest}, x, train=True, mutable=["batch_stats"]
    )
    return -jax.nn.log_softmax(logits)[jnp.arange(32), labels].mean()

  with jax.disable_jit():
    expected = jax.grad(loss)(variables["params"], x)
  mesh = sharding.make_mesh(jax.devices()[:devices])
  gradient = jax.jit(jax.grad(loss))(
    jax.device_put(variables["params"], sharding.replicated(mesh)),
    jax.device_put(x, sharding.batched(mesh)),
  )
  close = partial(np.testing.assert_allclose, atol=1e-5)
  jax.tree.map(close, gradient, expected)


@pytest.mark.slow
def test_initial_values_are_torchs_or_kerass():
  """Uniform up to the bound of each library; torch draws biases too."""
  x, picture = jnp.zeros((1, 50)), jnp.zeros((1, 1, 1, 32))

  @jax.jit
  def limits(key):
    variables = (
      layers.torch_dense(300, 50, name=None).init(key, x),
      layers.torch_conv(64, 32, (3, 2), name=None).init(key, picture),
      layers.keras_dense(300).init(key, x),
      layers.keras_conv(64, (3, 2)).init(key, picture),
    )
    return jax.tree.map(lambda leaf: jnp.abs(leaf).max(), variables)

  for layer, bound, bias in zip(
    limits(jax.random.key(3)),
    (50**-0.5, (32 * 6) ** -0.5, (6 / 350) ** 0.5, (6 / (96 * 6)) ** 0.5),
    (True, True, False, False),
    strict=True,
  ):
    largest = layer["params"]
    assert largest["kernel"] == pytest.approx(bound, rel=0.01)
    assert largest["bias"] == pytest.approx(bound * bias, rel=0.1)


@pytest.mark.slow
@pytest.mark.parametrize(("shortcut", "expected"), [(True, 3.5), (False, 0.5)])
def test_residual_block_is_conv_relu_norm_then_sum_then_relu(
  shortcut, expected
):
  """With zero kernels and a bias of -1 only the order decides the output.

  Conv gives -1, ReLU 0, BatchNorm (mean 0, variance 1, bias 0.5) 0.5; the
  shortcut adds 3. BatchNorm before ReLU would give 0 instead of 0.5.
  """
  block = ResidualBlock(2, shortcut)
  x = jnp.full((1, 4, 4, 2), 3.0)
  variables = jax.jit(partial(block.init, train=False))(jax.random.key(0), x)
  params = jax.tree.map(jnp.zeros_like, variables["params"])
  for layer in ("first", "second"):
    params[layer]["conv"]["bias"] = jnp.full(2, -1.0)
    params[layer]["norm"]["bias"] = jnp.full(2, 0.5)
    params[layer]["norm"]["scale"] = jnp.ones(2)
  y = block.apply({**variables, "params": params}, x, train=False)
  np.testing.assert_allclose(y, expected, rtol=1e-6)
  below = block.apply({**variables, "params": params}, -x, train=False)
  np.testing.assert_allclose(below, 0.0 if shortcut else 0.5, atol=1e-6)


def test_batch_norm_is_kerass():
  """Momentum 0.99, epsilon 1e-3: after one batch the mean has moved by 1 %."""
  block = ResidualBlock(1)
  x = jnp.zeros((1, 2, 2, 1))
  variables = jax.jit(partial(block.init, train=False))(jax.random.key(0), x)
  variables["params"]["first"]["conv"]["bias"] = jnp.array([2.0])
  _, changed = block.apply(variables, x, train=True, mutable=["batch_stats"])
  norm = changed["batch_stats"]["first"]["norm"]
  np.testing.assert_allclose(norm["mean"], 0.02, rtol=1e-5)
  np.testing.assert_allclose(norm["var"], 0.99, rtol=1e-5)
  _, state = block.apply(
    variables, x, train=False, capture_intermediates=True, mutable=True
  )
  out = state["intermediates"]["first"]["norm"]["__call__"][0]
  np.testing.assert_allclose(out, 2.0 / math.sqrt(1.001), rtol=1e-6)
