"""The sources' models: counts, order of layers, gradients, clean in JAX."""

import math
import re
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from gtzan_jax.errors import InputError
from gtzan_jax.models import keras_layers, pooling, torch_layers
from gtzan_jax.models.dense import FCN, MLP
from gtzan_jax.models.fusion_cnn import FusionCNN
from gtzan_jax.models.image_cnn import ImageCNN, PairedCNN, PairedNormCNN
from gtzan_jax.models.parallel_cnn import ParallelCNN
from gtzan_jax.models.slice_cnn import SliceCNN
from gtzan_jax.models.transformer import Transformer

# Each model small, and the shape of an example.
PAIRED = {"channels": (3, 4, 5, 6), "dense": 7}
SMALL = {
  "fcn": (FCN(4, widths=(5, 6)), (4, 5, 3)),
  "image_cnn2": (PairedCNN(4, **PAIRED), (9, 8, 3)),
  "image_cnn_bn": (PairedNormCNN(4, **PAIRED), (9, 8, 3)),
  "mlp": (MLP(4, widths=(8, 7, 6)), (9,)),
  "image_cnn": (ImageCNN(4, channels=(3, 4, 5), dense=6), (16, 17, 3)),
  "slice_cnn": (SliceCNN(4, channels=5, dense=6), (24, 13)),
  "fusion_cnn": (FusionCNN(4, channels=(3, 4, 5), dense=6), (10, 15)),
  "parallel_cnn": (ParallelCNN(4), (14, 17)),
  "transformer": (Transformer(4, width=8, depth=1, heads=2), (9, 6)),
}

# What the sources do between input and logits, in their order: a convolution
# ("conv0v" is "valid"), ReLU, BatchNorm, a pool ("pool3s2": 3x3, stride 2), the
# share dropped in training. All "same" but what says "v".
LAYERS = {
  "fcn": "flat dense0 relu dense1 relu head",
  "image_cnn2": "conv0 relu conv1 relu pool2s2"
  " conv2 relu conv3 relu pool2s2 flat dense relu head",
  "image_cnn_bn": "conv0 relu norm0 conv1 relu pool2s2 norm1"
  " conv2 relu norm2 conv3 relu pool2s2 norm3 flat dense relu head",
  "mlp": "dense0 relu drop0.3 dense1 relu drop0.3 dense2 relu head",
  "image_cnn": "conv0 relu pool2s2 conv1 relu pool2s2 conv2 relu pool2s2"
  " flat dense relu drop0.5 head",
  "slice_cnn": "conv0v relu pool3s2 norm0 conv1v relu pool3s2 norm1"
  " conv2v relu pool2s2 norm2 flat dense relu drop0.3 head",
  "fusion_cnn": "conv0 relu pool2s2v norm0 drop0.3"
  " conv1 relu pool2s2v norm1 drop0.3 conv2 relu norm2 drop0.3"
  " mean dense relu dense_norm drop0.7 head",
}
TORCH = {"fcn", "image_cnn2", "image_cnn_bn"}
WALK = sorted(SMALL.keys() - {"image_cnn2"})  # image_cnn_bn is that and more


def shapes(model, example):
  x = jnp.zeros((2, *example))
  return jax.eval_shape(partial(model.init, train=False), jax.random.key(0), x)


def count(variables, *collections):
  leaves = jax.tree.leaves([variables[c] for c in collections])
  return sum(math.prod(leaf.shape) for leaf in leaves)


def random(name):
  """A small model, random variables, three random examples."""
  model, example = SMALL[name]
  rng = np.random.default_rng(1)

  def values(path, leaf):
    if path[-1].key in ("var", "std"):
      return jnp.asarray(rng.uniform(0.5, 2.0, leaf.shape), jnp.float32)
    # BatchNorm's scales are of both signs: else it commutes with a pool.
    deviation = 1 / math.sqrt(max(1, math.prod(leaf.shape[:-1])))
    return jnp.asarray(rng.normal(0, deviation, leaf.shape), jnp.float32)

  variables = jax.tree.map_with_path(values, shapes(model, example))
  x = jnp.asarray(rng.normal(size=(3, *example)), jnp.float32)
  return model, variables, x


@pytest.mark.parametrize(
  ("model", "example", "trained", "total"),
  [
    (FCN(10), (180, 180, 3), 50_034_698, 50_034_698),
    (PairedCNN(10), (180, 180, 3), 66_460_522, 66_460_522),
    (PairedNormCNN(10), (180, 180, 3), 66_461_034, 66_461_546),
    (MLP(10), (57,), 56_650, 56_650),
    (ImageCNN(10), (256, 256, 3), 16_871_882, 16_871_882),
    (SliceCNN(10), (130, 13), 45_322, 45_514),
    (SliceCNN(10), (39, 13), 22_794, 22_986),
    (SliceCNN(10), (38, 13), 22_794, 22_986),
    (FusionCNN(10), (130, 187), 439_434, 440_842),
    (ParallelCNN(8), (80, 80), 54_255, 54_255),
  ],
  ids=lambda value: type(value).__name__,
)
def test_counts_are_the_sources(model, example, trained, total):
  variables = shapes(model, example)
  assert count(variables, "params") == trained
  statistics = {"params", "batch_stats"} & set(variables)
  assert count(variables, *statistics) == total


def test_the_flattened_sizes_that_the_sources_print():
  def rows(model, example, layer):
    return shapes(model, example)["params"][layer]["kernel"].shape[0]

  assert rows(PairedCNN(10), (180, 180, 3), "dense") == 259_200
  assert rows(SliceCNN(10), (130, 13), "dense") == 480
  assert rows(ParallelCNN(8), (80, 80), "head") == 6_748


def convolved(x, layer, padding):
  y = jax.lax.conv_general_dilated(
    x,
    layer["kernel"],
    (1, 1),
    padding,
    dimension_numbers=("NHWC", "HWIO", "NHWC"),
  )
  return y + layer["bias"][None, None, None]


def normalised(x, layer, stats, epsilon):
  wide = (None,) * (x.ndim - 1)
  y = (x - stats["mean"][wide]) / jnp.sqrt(stats["var"][wide] + epsilon)
  return y * layer["scale"][wide] + layer["bias"][wide]


def by_hand(model, variables, x):
  """LAYERS[model] one after the other, with Linen's and LAX's own functions."""
  params, stats = variables["params"], variables.get("batch_stats")
  for layer in LAYERS[model].split():
    padding = "VALID" if layer.endswith("v") else "SAME"
    name = layer.removesuffix("v")
    if layer == "relu":
      x = jnp.where(x > 0, x, 0)
    elif layer == "flat":
      x = x.reshape(len(x), -1)
    elif layer == "mean":
      x = x.mean((1, 2))
    elif name.startswith("pool"):
      window, stride = (int(digit) for digit in re.findall(r"\d", name))
      x = nn.max_pool(x, (window, window), (stride, stride), padding)
    elif name.startswith("conv"):
      x = convolved(x, params[name], padding)
    elif "norm" in name:
      epsilon = 1e-5 if model in TORCH else 1e-3
      x = normalised(x, params[name], stats[name], epsilon)
    elif not name.startswith("drop"):  # which does nothing in evaluation
      x = x @ params[name]["kernel"] + params[name]["bias"][None]
  return x


def standardised(variables, x):
  stats = variables["input_stats"]["standardise"]
  wide = (None,) * (x.ndim - 1)
  return (x - stats["mean"][wide]) / stats["std"][wide]


def parallel_by_hand(variables, x):
  params, flat = variables["params"], []
  for number, pool in enumerate((4, 2)):
    y = convolved(x.swapaxes(1, 2), params[f"conv{number}"], "VALID")
    y = nn.max_pool(jnp.where(y > 0, y, 0.3 * y), (pool, pool), (pool, pool))
    flat.append(y.reshape(len(y), -1))
  x = jnp.concatenate(flat, axis=1)
  return x @ params["head"]["kernel"] + params["head"]["bias"][None]


def logits_and_gradient(logits_of, variables, x):
  """Logits, and the gradient of a mixture of them: what a step comes to."""
  rest = {k: v for k, v in variables.items() if k != "params"}

  def mixture(params):
    logits = logits_of({"params": params, **rest}, x)
    return jnp.vdot(logits, jnp.cos(jnp.arange(logits.size))), logits

  (_, logits), gradient = jax.jit(jax.value_and_grad(mixture, has_aux=True))(
    variables["params"]
  )
  return logits, gradient


@pytest.mark.parametrize("name", [*LAYERS, "parallel_cnn"])
def test_layers_and_gradients_are_those_of_the_source_in_its_order(name):
  model, variables, x = random(name)
  found = logits_and_gradient(partial(model.apply, train=False), variables, x)

  def expected_logits(variables, x):
    x = standardised(variables, x)
    if x.ndim == 3:
      x = x[..., None]  # features are a picture of one channel
    if name == "parallel_cnn":
      return parallel_by_hand(variables, x)
    return by_hand(name, variables, x)

  expected = logits_and_gradient(expected_logits, variables, x)
  jax.tree.map(
    lambda a, b: np.testing.assert_allclose(a, b, atol=2e-5 * np.abs(b).max()),
    found,
    expected,
  )


@pytest.mark.parametrize("name", LAYERS)
def test_dropout_and_batch_norm_are_the_sources(name):
  """Calls in training, in order, with rates; Keras's and torch's constants."""
  model, example = SMALL[name]
  calls = []

  def record(run, args, kwargs, context):
    module = context.module
    if isinstance(module, nn.Dropout):
      assert not module.deterministic
      calls.append(f"drop{module.rate}")
    elif isinstance(module, nn.BatchNorm):
      constants = (0.9, 1e-5) if name in TORCH else (0.99, 1e-3)
      assert (module.momentum, module.epsilon) == constants
      calls.append(module.name)
    elif isinstance(module, nn.Dense | nn.Conv):
      calls.append(module.name)
    return run(*args, **kwargs)

  with nn.intercept_methods(record):
    keys = {"params": jax.random.key(0), "dropout": jax.random.key(1)}
    x = jnp.zeros((2, *example))
    jax.eval_shape(partial(model.init, train=True), keys, x)
  own = re.sub(r"\b(relu|flat|mean|pool\w+)\b|(?<=conv\d)v", "", LAYERS[name])
  assert calls == own.split()


def test_initialisation_is_torchs_or_kerass():
  """Uniform, to the very bound that each gives; torch draws biases too."""
  x, picture = jnp.zeros((1, 50)), jnp.zeros((1, 1, 1, 32))

  @jax.jit
  def limits(key):
    layers = (
      torch_layers.dense(300, 50, name=None).init(key, x),
      torch_layers.conv(64, 32, (3, 2), name=None).init(key, picture),
      keras_layers.dense(300).init(key, x),
      keras_layers.conv(64, (3, 2)).init(key, picture),
    )
    return jax.tree.map(lambda leaf: jnp.abs(leaf).max(), layers)

  for layer, bound, bias in zip(
    limits(jax.random.key(3)),
    (50**-0.5, (32 * 6) ** -0.5, (6 / 350) ** 0.5, (6 / (96 * 6)) ** 0.5),
    (True, True, False, False),
    strict=True,
  ):
    largest = layer["params"]
    assert largest["kernel"] == pytest.approx(bound, rel=0.01)
    assert largest["bias"] == pytest.approx(bound * bias, rel=0.1)


@pytest.mark.parametrize("name", WALK)
def test_jit_and_vmap_change_nothing(name):
  model, variables, x = random(name)
  apply = partial(model.apply, variables, train=False)
  alone = jax.jit(jax.vmap(lambda one: apply(one[None])[0]))(x)
  np.testing.assert_allclose(alone, apply(x), atol=2e-5)


@pytest.mark.parametrize("name", WALK)
def test_a_step_in_bfloat16_is_bfloat16_and_moves_every_parameter(name):
  model, *rest = random(name)
  variables, x = jax.tree.map(lambda v: v.astype(jnp.bfloat16), rest)
  x = jnp.concatenate([x, x + 1])
  evaluated = jax.eval_shape(partial(model.apply, train=False), variables, x)
  assert evaluated.dtype == jnp.bfloat16
  rest = {k: v for k, v in variables.items() if k != "params"}

  @jax.jit
  @partial(jax.grad, has_aux=True)
  def step(params):
    logits, _ = model.apply(
      {"params": params, **rest},
      x,
      train=True,
      rngs={"dropout": jax.random.key(5, impl="rbg")},  # quick to compile
      mutable=["batch_stats"],
    )
    loss = -jax.nn.log_softmax(logits)[jnp.arange(6), jnp.arange(6) % 4].mean()
    return loss, logits

  gradient, logits = step(variables["params"])
  assert logits.dtype == jnp.bfloat16
  assert np.isfinite(logits).all()
  for path, leaf in jax.tree_util.tree_leaves_with_path(gradient):
    assert np.isfinite(leaf).all(), path
    assert np.any(leaf), f"{path} has no gradient"


@pytest.mark.parametrize(
  ("shape", "window", "strides", "padding"),
  [
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
    found, own_back = jax.vjp(
      lambda v: pooling.max_pool(v, window, strides, padding), x
    )
    grad = jnp.cos(jnp.arange(found.size)).reshape(found.shape)
    return (found, *own_back(grad)), (expected, *back(grad))

  found, expected = both(x)
  np.testing.assert_array_equal(found[0], expected[0])
  np.testing.assert_allclose(found[1], expected[1], atol=1e-6)


def test_a_pool_gives_the_whole_gradient_to_one_of_equal_values():
  x = jnp.ones((1, 3, 3, 1))
  pool = partial(pooling.max_pool, window=(3, 3), strides=(2, 2))
  gradient = jax.grad(lambda v: pool(v, padding="VALID").sum())(x)
  np.testing.assert_array_equal(gradient.ravel(), [1] + [0] * 8)


def test_not_a_number_survives_a_pool():
  """A run that diverges must not look healthy."""
  for place in range(4):
    x = jnp.arange(4.0).at[place].set(jnp.nan).reshape(1, 2, 2, 1)
    assert np.isnan(pooling.max_pool(x)).all()


@pytest.mark.parametrize(
  ("name", "example", "message"),
  [
    ("slice_cnn", (10, 13), r"10 frames of 13 bins.*at least 11"),
    ("slice_cnn", (11, 10), r"11 frames of 10 bins.*at least 11"),
    ("fusion_cnn", (3, 187), r"pool of 2 does not fit.*, 1 "),
    ("parallel_cnn", (80, 10), r"pool of 4 does not fit.*, 3 "),
    ("parallel_cnn", (7, 80), r"pool of 4 does not fit.*, 0 "),
  ],
)
def test_too_little_input_is_one_line(name, example, message):
  with pytest.raises(InputError, match=message):
    shapes(SMALL[name][0], example)


def test_the_least_input_of_slice_cnn():
  assert shapes(SliceCNN(10), (11, 11))["params"]["dense"]["kernel"].shape == (
    (32, 64)
  )
