"""Input statistics, pooling, initialisers."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from gtzan_jax import models
from gtzan_jax.models import layers
from gtzan_jax.training import sharding


def test_input_stats_are_the_identity_until_filled():
  x = jnp.asarray(np.random.default_rng(0).normal(size=(3, 5, 2)))
  stats = layers.InputStats().init(jax.random.key(0), x)
  assert set(stats) == {"input_stats"}
  np.testing.assert_array_equal(layers.InputStats().apply(stats, x), x)
  variables = {"input_stats": {"standardise": stats["input_stats"]}}
  filled = layers.fill_input_stats(variables, [3.0, 4.0], [0.0, 2.0])
  # A constant bin is not scaled.
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

  @partial(jax.jit, static_argnums=(0, 1))
  def pooled(pool, strides):
    y, back = jax.vjp(lambda v: pool(v, window, strides, padding), x)
    return y, *back(jnp.cos(jnp.arange(y.size)).reshape(y.shape))

  ours = pooled(layers.max_pool, strides)
  expected = pooled(nn.max_pool, strides or window)
  np.testing.assert_array_equal(ours[0], expected[0])
  np.testing.assert_allclose(ours[1], expected[1], atol=1e-6)


@pytest.mark.slow
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
def test_gradients_through_pooling_survive_fusion():
  """The gradient under jit is that of the model run operation by operation."""
  model = models.create("mel_cnn", 10, channels=(4, 8), dense=16, dropout=0.0)
  x = jax.random.normal(jax.random.key(0), (32, 130, 13))
  variables = model.init(jax.random.key(1), x, train=False)
  params = variables.pop("params")

  def loss(params, x):
    logits, _ = model.apply(
      {"params": params, **variables}, x, train=True, mutable=["batch_stats"]
    )
    chosen = jax.nn.log_softmax(logits)[jnp.arange(32), jnp.arange(32) % 10]
    return -chosen.mean()

  expected = jax.grad(loss)(params, x)
  for devices in (1, 4):
    mesh = sharding.make_mesh(jax.devices()[:devices])
    gradient = jax.jit(jax.grad(loss))(
      jax.device_put(params, sharding.replicated(mesh)),
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
