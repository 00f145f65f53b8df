"""The contract of every model; the sources' counts and orders of layers."""

import math
import re
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from flax import traverse_util

from gtzan_jax import models
from gtzan_jax.errors import InputError
from gtzan_jax.models import layers, sources

# Every model small: the shape of an example, and the options that shrink it.
PAIRED = {"channels": (3, 4, 5, 6), "dense": 7}
RECURRENT = {
  "channels": (4, 4),
  "pool_frames": (2, 1),
  "pool_bins": (4, 4),
  "hidden": 8,
  "dense": 8,
}
SMALL = {
  "cnn_bilstm": ((8, 9), {}),
  "cnn_gru": ((12, 16), RECURRENT),
  "cnn_lstm": ((12, 16), RECURRENT),
  "cnn_rnn": ((16, 12), {}),
  "fcn": ((4, 5, 3), {"widths": (5, 6)}),
  "fusion_cnn": ((10, 15), {"channels": (3, 4, 5), "dense": 6}),
  "image_cnn": ((16, 17, 3), {"channels": (3, 4, 5), "dense": 6}),
  "image_cnn2": ((9, 8, 3), PAIRED),
  "image_cnn_bn": ((9, 8, 3), PAIRED),
  "lstm": ((6, 5), {"hidden": 8}),
  "mel_cnn": ((38, 16), {"channels": (4, 4), "dense": 8}),
  "mlp": ((9,), {"widths": (8, 7, 6)}),
  "mobilenet_v2": ((32, 32, 3), {}),
  "parallel_cnn": ((14, 17), {}),
  "resnet": ((39, 13), {}),
  "slice_cnn": ((24, 13), {"channels": 5, "dense": 6}),
  "transformer": ((9, 6), {"width": 8, "depth": 1, "heads": 2}),
}
# The sources' own choice.
WITHOUT_DROPOUT = {"fcn", "image_cnn2", "image_cnn_bn", "parallel_cnn"}

# What the sources do between input and logits, in their order: a convolution
# ("conv0v" is "valid"), ReLU, BatchNorm, a pool ("pool3s2": 3x3, stride 2),
# dropout with its rate. All "same" but what ends in "v".
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


def shapes(model, *example):
  x = jnp.zeros((2, *example))
  return jax.eval_shape(partial(model.init, train=False), jax.random.key(0), x)


def count(variables, *collections):
  leaves = jax.tree.leaves([variables[c] for c in collections])
  return sum(math.prod(leaf.shape) for leaf in leaves)


def build(name, classes=4):
  """A small model, random variables, three random examples."""
  example, options = SMALL[name]
  model = models.create(name, classes, **options)
  rng = np.random.default_rng(1)

  def values(path, leaf):
    if path[-1].key in ("var", "std"):
      return jnp.asarray(rng.uniform(0.5, 2.0, leaf.shape), jnp.float32)
    # BatchNorm's scales are of both signs: else it commutes with a pool.
    deviation = 1 / math.sqrt(max(1, math.prod(leaf.shape[:-1])))
    return jnp.asarray(rng.normal(0, deviation, leaf.shape), jnp.float32)

  variables = jax.tree.map_with_path(values, shapes(model, *example))
  x = jnp.asarray(rng.normal(size=(3, *example)), jnp.float32)
  return model, variables, x


@pytest.fixture(scope="module", params=sorted(models.MODELS))
def built(request):
  """Every model once: name, module, variables, input, evaluation."""
  model, variables, x = build(request.param, 10)
  apply = jax.jit(partial(model.apply, train=False))
  return request.param, model, variables, x, apply


@pytest.mark.slow
def test_contract(built):
  name, model, variables, x, apply = built
  assert set(variables) <= {"params", "batch_stats", "input_stats"}
  assert "standardise" not in variables["params"]
  logits = apply(variables, x)
  assert logits.shape == (3, 10)
  assert logits.dtype == jnp.float32
  # The second example gives the same logits beside other examples.
  others = x.at[0].set(7.0).at[2].set(-7.0)
  largest = np.abs(logits).max()
  np.testing.assert_allclose(
    apply(variables, others)[1], logits[1], atol=1e-4 * largest, err_msg=name
  )

  @jax.jit
  def train(key):
    return model.apply(
      variables, x, train=True, rngs={"dropout": key}, mutable=["batch_stats"]
    )

  first, changed = train(jax.random.key(2))
  other, _ = train(jax.random.key(3))
  dropped = not np.allclose(first, other)
  assert dropped == (name not in WITHOUT_DROPOUT), f"{name}: dropout"
  assert set(changed) == set(variables) & {"batch_stats"}
  if name == "mobilenet_v2":  # frozen: its averages are its weights'
    return
  before = traverse_util.flatten_dict(variables.get("batch_stats", {}))
  after = traverse_util.flatten_dict(dict(changed).get("batch_stats", {}))
  for path, value in after.items():
    assert not np.array_equal(value, before[path]), f"{name}: {path} unchanged"


@pytest.mark.slow
def test_every_model_applies_its_input_stats(built):
  _, _, variables, x, apply = built
  bins = x.shape[-1]
  mean, std = jnp.arange(bins) / 7.0, 2.0 + jnp.arange(bins)
  wide = (1,) * (x.ndim - 1) + (-1,)
  raw = x * std.reshape(wide) + mean.reshape(wide)
  plain = layers.fill_input_stats(variables, jnp.zeros(bins), jnp.ones(bins))
  filled = layers.fill_input_stats(variables, mean, std)
  logits = apply(plain, x)
  np.testing.assert_allclose(
    apply(filled, raw), logits, atol=3e-4 * np.abs(logits).max()
  )


@pytest.mark.slow
def test_a_step_in_bfloat16_is_bfloat16_and_moves_every_parameter(built):
  name, model, variables, x, _ = built
  if name == "mobilenet_v2":
    pytest.skip("slow to compile; test_mobilenet.py does it")
  variables, x = jax.tree.map(
    lambda v: v.astype(jnp.bfloat16), (variables, jnp.concatenate([x, x + 1]))
  )
  apply = partial(model.apply, train=False)
  assert jax.eval_shape(apply, variables, x).dtype == jnp.bfloat16
  two = jax.tree.map(lambda leaf: jnp.stack([leaf, leaf]), (variables, x))
  assert jax.eval_shape(jax.vmap(apply), *two).shape == (2, 6, 10)
  params = variables.pop("params")

  @jax.jit
  @partial(jax.grad, has_aux=True)
  def step(params):
    logits, _ = model.apply(
      {"params": params, **variables},
      x,
      train=True,
      rngs={"dropout": jax.random.key(5, impl="rbg")},  # quick to compile
      mutable=["batch_stats"],
    )
    loss = -jax.nn.log_softmax(logits)[jnp.arange(6), jnp.arange(6)].mean()
    return loss, logits

  gradient, logits = step(params)
  assert logits.dtype == jnp.bfloat16
  assert np.isfinite(logits).all()
  for path, leaf in jax.tree_util.tree_leaves_with_path(gradient):
    assert leaf.dtype == jnp.bfloat16
    assert np.isfinite(leaf).all(), path
    assert np.any(leaf), f"{path} has no gradient"


# The sources' counts and layers.


@pytest.mark.slow
@pytest.mark.parametrize("recipe", sources.REFERENCE)
def test_counts_are_the_sources(recipe):
  counts = sources.count(recipe)
  total = counts["params"] + counts.get("batch_stats", 0)
  assert sources.REFERENCE[recipe].published in (None, total)


@pytest.mark.slow
@pytest.mark.parametrize(
  ("name", "options", "example", "trained", "total"),
  # 217,226 of which 216,778 trainable: printed by the source's notebook.
  [
    ("resnet", {}, (130, 13), 216_778, 217_226),
    ("resnet", {}, (39, 13), 118_474, 118_922),
    # Without the 1x1 convolution of the shortcut.
    ("resnet", {"shortcuts": False}, (130, 13), 214_666, 215_114),
    ("image_cnn_bn", {}, (180, 180, 3), 66_461_034, 66_461_546),
    ("slice_cnn", {}, (130, 13), 45_322, 45_514),
    ("slice_cnn", {}, (39, 13), 22_794, 22_986),
    ("slice_cnn", {}, (38, 13), 22_794, 22_986),
    ("fusion_cnn", {}, (130, 187), 439_434, 440_842),
    ("lstm", {"hidden": 512}, (61, 33), 3_226_634, 3_226_634),
    ("mobilenet_v2", {}, (224, 224, 3), 2_236_682, 2_270_794),
    # Four blocks; 8 bands left of 128, mean and maximum of each; head.
    ("mel_cnn", {}, (258, 128), 360_954, 361_434),
    ("mel_cnn", {}, (38, 128), 360_954, 361_434),
  ],
)
def test_counts_of_parameters(name, options, example, trained, total):
  variables = shapes(models.create(name, 10, **options), *example)
  assert count(variables, "params") == trained
  statistics = {"params", "batch_stats"} & set(variables)
  assert count(variables, *statistics) == total


@pytest.mark.parametrize(
  ("name", "options", "example", "layer", "rows"),
  [
    ("image_cnn2", {}, (180, 180, 3), "dense", 259_200),
    ("slice_cnn", {}, (130, 13), "dense", 480),
    ("slice_cnn", {}, (11, 11), "dense", 32),
    ("parallel_cnn", {}, (80, 80), "head", 6_748),
    # 128 bins / 4 / 2 / 2 = 8 bands of mean and maximum of 16 channels.
    (
      "mel_cnn",
      {"stem_stride": (2, 4), "channels": [8, 16]},
      (258, 128),
      "dense",
      8 * 2 * 16,
    ),
  ],
)
def test_flattened_sizes(name, options, example, layer, rows):
  variables = shapes(models.create(name, 10, **options), *example)
  assert variables["params"][layer]["kernel"].shape[0] == rows


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


def by_hand(name, variables, x):
  """LAYERS[name] one after the other, with Linen's and LAX's own functions."""
  params, stats = variables["params"], variables.get("batch_stats")
  for layer in LAYERS[name].split():
    padding = "VALID" if layer.endswith("v") else "SAME"
    key = layer.removesuffix("v")
    if layer == "relu":
      x = jnp.where(x > 0, x, 0)
    elif layer == "flat":
      x = x.reshape(len(x), -1)
    elif layer == "mean":
      x = x.mean((1, 2))
    elif key.startswith("pool"):
      window, stride = (int(digit) for digit in re.findall(r"\d", key))
      x = nn.max_pool(x, (window, window), (stride, stride), padding)
    elif key.startswith("conv"):
      x = convolved(x, params[key], padding)
    elif "norm" in key:
      epsilon = 1e-5 if name in TORCH else 1e-3
      x = normalised(x, params[key], stats[key], epsilon)
    elif not key.startswith("drop"):  # which does nothing in evaluation
      x = x @ params[key]["kernel"] + params[key]["bias"][None]
  return x


def parallel_by_hand(variables, x):
  params, flat = variables["params"], []
  for number, pool in enumerate((4, 2)):
    y = convolved(x.swapaxes(1, 2), params[f"conv{number}"], "VALID")
    y = nn.max_pool(jnp.where(y > 0, y, 0.3 * y), (pool, pool), (pool, pool))
    flat.append(y.reshape(len(y), -1))
  x = jnp.concatenate(flat, axis=1)
  return x @ params["head"]["kernel"] + params["head"]["bias"][None]


@pytest.mark.slow
@pytest.mark.parametrize("name", [*LAYERS, "parallel_cnn"])
def test_layers_and_gradients_are_those_of_the_source_in_its_order(name):
  model, variables, x = build(name)

  def expected_logits(variables, x):
    stats = variables["input_stats"]["standardise"]
    wide = (None,) * (x.ndim - 1)
    x = (x - stats["mean"][wide]) / stats["std"][wide]
    if x.ndim == 3:
      x = x[..., None]  # features are a picture of one channel
    if name == "parallel_cnn":
      return parallel_by_hand(variables, x)
    return by_hand(name, variables, x)

  def logits_and_gradient(logits_of):
    rest = {k: v for k, v in variables.items() if k != "params"}

    def mixture(params):
      logits = logits_of({"params": params, **rest}, x)
      return jnp.vdot(logits, jnp.cos(jnp.arange(logits.size))), logits

    return jax.jit(jax.grad(mixture, has_aux=True))(variables["params"])

  jax.tree.map(
    lambda a, b: np.testing.assert_allclose(a, b, atol=2e-5 * np.abs(b).max()),
    logits_and_gradient(partial(model.apply, train=False)),
    logits_and_gradient(expected_logits),
  )


@pytest.mark.parametrize("name", LAYERS)
def test_dropout_and_batch_norm_are_the_sources(name):
  """Calls in training, in order, with rates; Keras's and torch's constants."""
  example, options = SMALL[name]
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
    model = models.create(name, 4, **options)
    x = jnp.zeros((2, *example))
    jax.eval_shape(partial(model.init, train=True), keys, x)
  own = re.sub(r"\b(relu|flat|mean|pool\w+)\b|(?<=conv\d)v", "", LAYERS[name])
  assert calls == own.split()


# Creation and input.


@pytest.mark.slow
@pytest.mark.parametrize(
  "name",
  sorted(
    name
    for name, (example, _) in SMALL.items()
    if len(example) == 2
    and name not in ("fusion_cnn", "parallel_cnn", "slice_cnn")
  ),
)
@pytest.mark.parametrize("frames", [1, 2, 7])
def test_any_number_of_frames(name, frames):
  model, bins = models.create(name, 10), sources.REFERENCE[name].input[1]
  out, _ = jax.eval_shape(
    partial(model.init_with_output, train=False),
    jax.random.key(0),
    jnp.zeros((2, frames, bins)),
  )
  assert out.shape == (2, 10)


@pytest.mark.parametrize(
  ("name", "example", "message"),
  [
    ("slice_cnn", (10, 13), r"10 frames of 13 bins.*at least 11"),
    ("slice_cnn", (11, 10), r"11 frames of 10 bins.*at least 11"),
    ("fusion_cnn", (3, 187), r"pool of 2 does not fit.*, 1 "),
    ("parallel_cnn", (80, 10), r"pool of 4 does not fit.*, 3 "),
    ("parallel_cnn", (7, 80), r"pool of 4 does not fit.*, 0 "),
    ("parallel_cnn", (57,), r"takes no examples of shape \(57,\)"),
  ],
)
def test_other_shapes_are_refused(name, example, message):
  with pytest.raises(InputError, match=message):
    models.shapes(models.create(name, 10), example)


@pytest.mark.parametrize(
  ("name", "options", "message"),
  [
    ("alexnet", {}, r"'alexnet'.*mel_cnn, mlp.*resnet"),
    ("resnet", {"width": 3}, r"'width'.*dropout, shortcuts"),
    ("resnet", {"parent": None}, "'parent'"),
    ("mel_cnn", {"channels": (0,)}, r"channels=\(0,\): give 1 to 64 values"),
    ("mel_cnn", {"channels": ()}, r"channels=\(\)"),
    ("mel_cnn", {"stem_stride": (2, 0)}, "stem_stride"),
    ("mel_cnn", {"dense": -1}, "dense=-1: give a whole number from 1 to 65536"),
    ("mel_cnn", {"dense": 10**9}, "dense=1000000000"),
    ("mel_cnn", {"dense": 2.0}, "dense=2.0"),
    ("mel_cnn", {"dropout": 1.0}, "dropout=1.0: give a number from 0 and bel"),
    ("mel_cnn", {"dropout": math.nan}, "dropout=nan"),
    ("lstm", {"layers": 10**4}, "layers=10000: give a whole .* 1 to 256"),
    ("cnn_gru", {"hidden": True}, "hidden=True"),
    ("cnn_gru", {"pool_bins": (10**6,) * 4}, "pool_bins"),
    ("transformer", {"heads": 0}, "heads=0"),
    ("parallel_cnn", {"kernels": (0, 4)}, "kernels"),
  ],
)
def test_unknown_names_and_values_out_of_range(name, options, message):
  with pytest.raises(InputError, match=message):
    models.create(name, 10, **options)


def test_a_model_larger_than_any_machine_is_refused():
  model = models.create("lstm", 10, hidden=65_536)
  with pytest.raises(InputError, match=r"LSTM has \d+ parameters: give"):
    models.shapes(model, (61, 33))
