"""Input statistics, pooling, initialisers."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from gtzan_jax import models
from gtzan_jax.models import (
  conv,
  dense,
  derivatives,
  dropout,
  layers,
  norm,
  pooling,
  scan_rnn,
)
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

  ours = pooled(pooling.max_pool, strides)
  expected = pooled(nn.max_pool, strides or window)
  np.testing.assert_array_equal(ours[0], expected[0])
  np.testing.assert_allclose(ours[1], expected[1], atol=1e-6)


@pytest.mark.slow
def test_the_gradient_of_a_maximum_goes_to_the_first_of_equal_values():
  x = jnp.ones((1, 3, 3, 1))
  pool = partial(pooling.max_pool, window=(3, 3), strides=(2, 2))
  gradient = jax.grad(lambda v: pool(v, padding="VALID").sum())(x)
  np.testing.assert_array_equal(gradient.ravel(), [1] + [0] * 8)
  x = jnp.array([[1.0, 5.0, 5.0], [2.0, 0.0, -1.0]])
  largest, back = jax.vjp(lambda v: pooling.axis_max(v, 1), x)
  np.testing.assert_array_equal(largest, [5.0, 2.0])
  np.testing.assert_array_equal(
    back(jnp.array([3.0, 4.0]))[0], [[0, 3, 0], [4, 0, 0]]
  )


def test_a_pool_keeps_nan():
  for place in range(4):
    x = jnp.arange(4.0).at[place].set(jnp.nan).reshape(1, 2, 2, 1)
    assert np.isnan(pooling.max_pool(x)).all()


def test_a_window_may_have_more_cells_than_a_byte():
  x = jnp.arange(17.0 * 17).reshape(1, 17, 17, 1)
  y, back = jax.vjp(lambda v: pooling.max_pool(v, (17, 17)), x)
  assert y.ravel() == 288
  np.testing.assert_array_equal(back(y)[0].ravel(), [0.0] * 288 + [288.0])


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


def gradients(function, *arguments):
  """The values of a function and the gradients of their weighted sum."""

  def weighted(*arguments):
    y = function(*arguments)
    weights = np.random.default_rng(1).standard_normal(y.shape)
    return jnp.sum(y * jnp.float32(weights)), y

  every = tuple(range(len(arguments)))
  grad = jax.jit(jax.grad(weighted, argnums=every, has_aux=True))
  return grad(*arguments)


def assert_close(ours, expected, tolerance=1e-6):
  for a, b in zip(
    jax.tree.leaves(ours), jax.tree.leaves(expected), strict=True
  ):
    largest = np.abs(b).max(initial=0)
    np.testing.assert_allclose(a, b, atol=tolerance * largest)


@pytest.mark.parametrize("padding", ["SAME", "VALID", ((2, 0), (0, 1))])
@pytest.mark.parametrize(("channels", "features"), [(1, 4), (4, 4), (2, 9)])
@pytest.mark.parametrize("size", [(3, 3), (4, 2), (1, 1)])
def test_a_convolution_has_the_gradients_of_xla(
  size, channels, features, padding, monkeypatch
):
  # One, two or three examples at a time, by the kernel.
  monkeypatch.setattr(conv, "_VALUES", 2 * 9 * 7 * 12)
  draw = np.random.default_rng(0)
  x = draw.standard_normal((6, 9, 7, channels), "float32")
  kernel = draw.standard_normal((*size, channels, features), "float32")
  options = {"dimension_numbers": ("NHWC", "HWIO", "NHWC")}
  ours, expected = (
    gradients(lambda x, k, f=f: f(x, k, (1, 1), padding, **options), x, kernel)
    for f in (conv.conv_general_dilated, jax.lax.conv_general_dilated)
  )
  assert_close(ours, expected, 3e-6)


@pytest.mark.parametrize(
  "shape",
  [(7, 9, 7, 2), (0, 9, 7, 2), (3, 2, 7, 2)],
  ids=["prime batch", "no example", "no row of output"],
)
def test_a_batch_of_any_size_has_its_kernel_gradient(shape, monkeypatch):
  monkeypatch.setattr(conv, "_VALUES", 9 * 7 * 18 * 3)  # three at a time
  draw = np.random.default_rng(0)
  x = draw.standard_normal(shape, "float32")
  kernel = draw.standard_normal((3, 3, 2, 4), "float32")
  options = {"dimension_numbers": ("NHWC", "HWIO", "NHWC")}
  ours, expected = (
    gradients(lambda x, k, f=f: f(x, k, (1, 1), "VALID", **options), x, kernel)
    for f in (conv.conv_general_dilated, jax.lax.conv_general_dilated)
  )
  assert_close(ours, expected, 3e-6)


def test_a_kernel_gradient_in_bfloat16_is_rounded_once(monkeypatch):
  monkeypatch.setattr(conv, "_VALUES", 1)  # one example at a time
  x, dy = (
    jax.random.normal(key, (200, 4, 4, 3), jnp.bfloat16)
    for key in jax.random.split(jax.random.key(0))
  )
  pads = ((1, 1), (1, 1))
  found = conv.kernel_gradient(pads, (3, 3), x, dy)
  exact = conv.kernel_gradient(
    pads, (3, 3), x.astype(jnp.float32), dy.astype(jnp.float32)
  )
  assert found.dtype == jnp.bfloat16
  error = np.abs(found.astype(jnp.float32) - exact)
  assert (error <= 2**-8 * np.abs(exact) + 1e-4).all()


@pytest.mark.parametrize("padding", ["SAME", "VALID", ((4, 0), (0, 1))])
def test_the_slope_of_a_convolution_has_the_gradients_of_xla(padding):
  draw = np.random.default_rng(0)
  x = draw.standard_normal((4, 9, 7, 3), "float32")
  kernel = draw.standard_normal((3, 2, 3, 5), "float32")
  options = {"dimension_numbers": ("NHWC", "HWIO", "NHWC")}

  def slope(f):
    def score(x, kernel):
      return jnp.tanh(f(x, kernel, (1, 1), padding, **options)).sum()

    return jax.grad(score)

  ours, expected = (
    gradients(slope(f), x, kernel)
    for f in (conv.conv_general_dilated, jax.lax.conv_general_dilated)
  )
  assert_close(ours, expected, 3e-6)


@pytest.mark.parametrize("options", [
  {"strides": 2},
  {"kernel_dilation": 2},
  {"input_dilation": 2, "padding": 1},
  {"feature_group_count": 2},
  {"precision": "highest"},
])  # fmt: skip
def test_other_convolutions_are_xlas(options):
  x = np.random.default_rng(0).standard_normal((2, 8, 8, 4), "float32")
  layers_ = [make(4, (3, 3), **options) for make in (conv.Conv, nn.Conv)]
  variables = layers_[1].init(jax.random.key(0), x)
  ours, expected = (
    str(jax.make_jaxpr(layer.apply)(variables, x)) for layer in layers_
  )
  assert ours == expected


@pytest.mark.parametrize(
  ("window", "slope"), [(None, 0), ((2, 2), 0.3), ((1, 4), 0), ((3, 2), 0)]
)
@pytest.mark.parametrize("train", [True, False])
def test_batch_norm_is_linens_then_relu_and_a_pool(window, slope, train):
  draw = np.random.default_rng(0)
  x = draw.standard_normal((3, 9, 7, 5), "float32") + 2
  variables = {
    "params": {  # a negative scale turns maxima into minima
      "scale": jnp.array([1.0, -2.0, 0.5, -0.1, 3.0]),
      "bias": jnp.array([0.0, 1.0, -1.0, 0.2, 0.1]),
    },
    "batch_stats": {"mean": jnp.arange(5.0), "var": jnp.arange(5.0) + 1},
  }
  stats = {}

  def ours(variables, x):
    layer = norm.BatchNorm(not train, momentum=0.9)
    y, stats["ours"] = layer.apply(
      variables, x, pool=window, slope=slope, mutable=["batch_stats"]
    )
    return y

  def expected(variables, x):
    layer = nn.BatchNorm(not train, momentum=0.9)
    y, stats["expected"] = layer.apply(variables, x, mutable=["batch_stats"])
    if window:
      y = nn.max_pool(nn.leaky_relu(y, slope), window, window, "SAME")
    return y

  results = [gradients(f, variables, x) for f in (ours, expected)]
  assert_close(*results, 3e-6)
  for f in (ours, expected):
    f(variables, x)
  assert_close(stats["ours"], stats["expected"])


def test_batch_norm_starts_as_linens():
  x = jnp.ones((2, 3))
  ours, expected = (
    layer(False).init(jax.random.key(0), x)
    for layer in (norm.BatchNorm, nn.BatchNorm)
  )
  jax.tree.map(np.testing.assert_array_equal, ours, expected)


def test_dropout_keeps_the_mean_and_drops_its_rate():
  x = jnp.ones((64, 1000))
  layer = dropout.Dropout(0.3, deterministic=False)
  y = layer.apply({}, x, rngs={"dropout": jax.random.key(0)})
  kept = np.asarray(y) > 0
  rate = 77 / 256
  np.testing.assert_allclose(y[kept], 1 / (1 - rate), rtol=1e-6)
  spread = np.sqrt(rate * (1 - rate) / y.size)
  assert abs(1 - kept.mean() - rate) < 4 * spread
  # Neighbours, which share a word of random bits, are independent.
  for axis, step in ((0, 1), (1, 1), (1, 2), (1, 3)):
    both = kept & np.roll(kept, step, axis)
    expected = (1 - rate) ** 2
    spread = np.sqrt(expected * (1 - expected) / y.size)
    assert abs(both.mean() - expected) < 5 * spread
  whole = dropout.Dropout(0.5, broadcast_dims=(1,), deterministic=False)
  y = whole.apply({}, x, rngs={"dropout": jax.random.key(0)})
  assert set(np.unique(y.sum(1))) == {0.0, 2000.0}
  assert (dropout.Dropout(0.5, deterministic=True).apply({}, x) == x).all()


@pytest.mark.parametrize("shape", [(5, 3), (4, 6, 3), (2, 4, 6, 3)])
def test_a_dense_layer_is_linens_and_can_be_differentiated_twice(shape):
  x = np.random.default_rng(0).standard_normal(shape, "float32")
  ours, linens = (layer(7) for layer in (dense.Dense, nn.Dense))
  variables = linens.init(jax.random.key(0), x)

  def penalty(layer, variables):
    """Of the gradient with respect to the input, as R1 is."""
    slope = jax.grad(lambda x: jnp.sum(jnp.tanh(layer.apply(variables, x))))
    return jnp.sum(slope(x) ** 2)[None]

  assert_close(
    *(gradients(layer.apply, variables, x) for layer in (ours, linens)), 3e-6
  )
  twice = (gradients(partial(penalty, y), variables) for y in (ours, linens))
  assert_close(*twice, 3e-6)


@pytest.mark.parametrize("rate", [0.0, 0.001, 0.04, 0.96, 0.999, 1.0])
def test_rates_that_a_byte_cannot_tell_are_linens(rate):
  x, key = jnp.ones((64, 1000)), jax.random.key(0)
  ours, expected = (
    layer(rate, deterministic=False).apply({}, x, rngs={"dropout": key})
    for layer in (dropout.Dropout, nn.Dropout)
  )
  np.testing.assert_array_equal(ours, expected)


@pytest.mark.parametrize(
  ("ours", "linens"),
  [
    (dense.Dense(4), nn.Dense(4)),
    (norm.BatchNorm(), nn.BatchNorm(False)),
    (norm.BatchNorm(True), nn.BatchNorm(True)),
    [
      layer(0.5, deterministic=False) for layer in (dropout.Dropout, nn.Dropout)
    ],
  ],
)
@pytest.mark.parametrize("shape", [(0, 3), (2, 0, 5, 3)])
def test_an_empty_batch_has_the_values_and_gradients_of_linen(
  ours, linens, shape
):
  x = jnp.zeros(shape)
  rngs = dict.fromkeys(("params", "dropout"), jax.random.key(0))
  variables = linens.init(rngs, x)

  def applied(layer):
    def apply(variables, x):
      return layer.apply(variables, x, rngs=rngs, mutable=["batch_stats"])[0]

    return gradients(apply, variables, x)

  jax.tree.map(np.testing.assert_array_equal, applied(ours), applied(linens))


@pytest.mark.parametrize("strides", [(2, 2), (1, 2)])
def test_an_empty_batch_is_pooled(strides):
  x = jnp.zeros((0, 6, 5, 3))
  pool = partial(pooling.max_pool, strides=strides)
  (slope,), y = gradients(pool, x)
  assert slope.shape == x.shape
  assert y.shape == nn.max_pool(x, (2, 2), strides, "SAME").shape
  layer = norm.BatchNorm()
  variables = layer.init(jax.random.key(0), x)
  y, _ = layer.apply(variables, x, pool=(2, 2), mutable=["batch_stats"])
  assert y.shape == (0, 3, 3, 3)


@pytest.mark.parametrize("dtype", [jnp.float16, jnp.bfloat16, jnp.int32])
@pytest.mark.parametrize("window", [None, (2, 2)])
def test_batch_norm_counts_in_float32(dtype, window):
  x = 300 * np.random.default_rng(0).standard_normal((8, 6, 4, 3), "float32")
  x = jnp.asarray(x, dtype)  # whose squares exceed float16
  layer = norm.BatchNorm()
  variables = layer.init(jax.random.key(0), x)

  def apply(x):
    return layer.apply(variables, x, pool=window, mutable=["batch_stats"])[0]

  y = apply(x)
  assert y.dtype == jnp.float32
  np.testing.assert_allclose(y, apply(x.astype(jnp.float32)), atol=1e-5)
  if dtype != jnp.int32:
    assert gradients(apply, x)[0][0].dtype == dtype


def test_batch_norm_of_bfloat16_parameters_has_their_gradients():
  x = jnp.ones((4, 3))
  variables = norm.BatchNorm().init(jax.random.key(0), x)
  params = jax.tree.map(
    lambda array: array.astype(jnp.bfloat16), variables["params"]
  )

  def apply(params, x):
    given = {**variables, "params": params}
    return norm.BatchNorm().apply(given, x, mutable=["batch_stats"])[0]

  (found, slope), _ = gradients(apply, params, x)
  assert {leaf.dtype for leaf in found.values()} == {jnp.dtype(jnp.bfloat16)}
  assert slope.dtype == x.dtype


@pytest.mark.parametrize("checked", [True, False])
def test_layers_have_gradients_within_shard_map(checked):
  def loss(params, x):
    layout = ("NHWC", "HWIO", "NHWC")
    y = conv.conv_general_dilated(
      x, params["conv"], (1, 1), "SAME", dimension_numbers=layout
    )
    y = pooling.max_pool(nn.relu(y)).reshape(len(x), -1)
    y = dense.dot_general(y, params["dense"], (((1,), (0,)), ((), ())))
    return (y**2).sum()

  draw = np.random.default_rng(0)
  x = draw.standard_normal((16, 4, 4, 3), "float32")
  params = {
    "conv": draw.standard_normal((3, 3, 3, 2), "float32"),
    "dense": draw.standard_normal((8, 5), "float32"),
  }

  def summed(params, x):
    gradient = jax.grad(loss)(params, x)  # of all devices, if `checked`
    return gradient if checked else jax.lax.psum(gradient, "data")

  batch = jax.sharding.PartitionSpec("data")
  everywhere = jax.sharding.PartitionSpec()
  found = jax.shard_map(
    summed,
    mesh=sharding.make_mesh(jax.devices()[:4]),
    in_specs=(everywhere, batch),
    out_specs=everywhere,
    check_vma=checked,
  )(params, x)
  assert_close(found, jax.grad(loss)(params, x), 3e-6)


def test_dropout_counts_axes_from_the_end_too():
  layer = dropout.Dropout(0.5, broadcast_dims=(-1,), deterministic=False)
  y = layer.apply({}, jnp.ones((64, 8)), rngs={"dropout": jax.random.key(0)})
  assert 0 < (y[:, 0] > 0).mean() < 1
  np.testing.assert_array_equal(y, y[:, :1].repeat(8, 1))


def normed(x, **options):
  layer = norm.BatchNorm()
  variables = layer.init(jax.random.key(0), x)
  return layer.apply(variables, x, mutable=["batch_stats"], **options)[0]


def applied(layer):
  return lambda x: layer.apply(layer.init(jax.random.key(0), x), x)


@pytest.mark.parametrize(
  ("layer", "shape"),
  [
    (applied(dense.Dense(4)), (6, 3)),
    (applied(conv.Conv(4, (3, 3))), (2, 5, 4, 3)),
    (applied(conv.Conv(4, (1, 1))), (2, 5, 4, 3)),
    (applied(scan_rnn.ScanLSTM(4)), (6, 5, 3)),
    (applied(scan_rnn.ScanGRU(4)), (6, 5, 3)),
    (normed, (6, 3)),
    (partial(normed, pool=(2, 2), slope=0.3), (2, 5, 4, 3)),
    (pooling.max_pool, (2, 5, 4, 3)),
  ],
)
def test_plain_layers_have_derivatives_in_forward_mode(layer, shape):
  draw = np.random.default_rng(0)
  x, tangent = draw.standard_normal((2, *shape), "float32")
  y, back = jax.vjp(layer, x)
  weights = jnp.cos(jnp.arange(y.size, dtype=jnp.float32)).reshape(y.shape)
  with pytest.raises(TypeError, match="forward-mode"):
    jax.jvp(layer, (x,), (tangent,))

  def slope(x):
    return jax.grad(lambda x: (jnp.tanh(layer(x)) * weights).sum())(x)

  with derivatives.plain():
    plain, ahead = jax.jit(partial(jax.jvp, layer))((x,), (tangent,))
    np.testing.assert_allclose(plain, y, atol=1e-5)
    behind = back(weights)[0]
    np.testing.assert_allclose(
      (ahead * weights).sum(), (behind * tangent).sum(), rtol=1e-3
    )
    # The Hessian's product with the tangent, from differences of gradients.
    product = jax.jit(partial(jax.jvp, slope))((x,), (tangent,))[1]
  step = 1e-3
  sides = [slope(x + sign * step * tangent) for sign in (1, -1)]
  difference = (sides[0] - sides[1]) / (2 * step)
  scale = np.abs(difference).max()
  np.testing.assert_allclose(product, difference, atol=2e-2 * scale)
