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
from gtzan_jax.models import layers
from gtzan_jax.models.norm import BatchNorm
from gtzan_jax.models.scan_rnn import Bidirectional, ScanLSTM

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
  "cnn_rnn": ((16, 10), {}),
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

# What the sources do between input and logits, in their order: layers by name,
# a convolution ("conv0V" is "valid"), a pool ("pool3/2": 3x3, stride 2),
# dropout with its rate. All "same" but what ends in "V". "keep" puts a copy
# aside, "swap" exchanges the two, "add" and "join" unite them.
TWICE = (
  "{0}/first/conv relu {0}/first/norm {0}/second/conv relu {0}/second/norm"
)
LAYERS = {
  "fcn": "flat dense0 relu dense1 relu head",
  "image_cnn2": "conv0 relu conv1 relu pool2/2"
  " conv2 relu conv3 relu pool2/2 flat dense relu head",
  "image_cnn_bn": "conv0 relu norm0 conv1 relu pool2/2 norm1"
  " conv2 relu norm2 conv3 relu pool2/2 norm3 flat dense relu head",
  "lstm": "lstm0 drop0.3 lstm1 last drop0.3 head",
  "mlp": "dense0 relu drop0.3 dense1 relu drop0.3 dense2 relu head",
  "image_cnn": "conv0 relu pool2/2 conv1 relu pool2/2 conv2 relu pool2/2"
  " flat dense relu drop0.5 head",
  "slice_cnn": "conv0V relu pool3/2 norm0 conv1V relu pool3/2 norm1"
  " conv2V relu pool2/2 norm2 flat dense relu drop0.3 head",
  "fusion_cnn": "conv0 relu pool2/2V norm0 drop0.3"
  " conv1 relu pool2/2V norm1 drop0.3 conv2 relu norm2 drop0.3"
  " mean dense relu dense_norm drop0.7 head",
  "resnet": "stem/conv relu stem/norm pool2/2"
  f" keep {TWICE.format('block1')} add relu pool2/2"
  f" keep {TWICE.format('block2')} swap block2/shortcut add relu pool2/2"
  " flat dense relu drop0.4 head",
  "resnet without shortcuts": "stem/conv relu stem/norm pool2/2"
  f" {TWICE.format('block1')} relu pool2/2"
  f" {TWICE.format('block2')} relu pool2/2 flat dense relu drop0.4 head",
  "parallel_cnn": "turn keep conv0V leaky pool4/4V flat"
  " swap conv1V leaky pool2/2V flat join head",
  # An input of 10 bands is padded to the 11 that the layers need.
  "cnn_rnn": "turn pad11 conv0V pool2/2V conv1V pool2/2V steps6"
  " lstm0 lstm1 last dense relu drop0.2 head",
  "cnn_bilstm": "turn conv0 norm0 leaky pool2/2 conv1 norm1 leaky pool2/2"
  " steps24 lstm0 lstm1 ends dense relu drop0.3 head",
}
TORCH = {"fcn", "image_cnn2", "image_cnn_bn"}


def build(name, classes=4):
  """A small model, random variables, three random examples."""
  name, without, _ = name.partition(" without ")
  example, options = SMALL[name]
  if without:
    options = {"shortcuts": False}
  model = models.create(name, classes, **options)
  rng = np.random.default_rng(1)

  def values(path, leaf):
    if path[-1].key in ("var", "std"):
      return jnp.asarray(rng.uniform(0.5, 2.0, leaf.shape), jnp.float32)
    # BatchNorm's scales are of both signs: else it commutes with a pool.
    deviation = 1 / math.sqrt(max(1, math.prod(leaf.shape[:-1])))
    return jnp.asarray(rng.normal(0, deviation, leaf.shape), jnp.float32)

  variables = jax.tree.map_with_path(values, models.shapes(model, example))
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
  _, _, variables, x, apply = built
  assert set(variables) <= {"params", "batch_stats", "input_stats"}
  assert "standardise" not in variables["params"]
  logits = apply(variables, x)
  assert logits.shape == (3, 10)
  assert logits.dtype == jnp.float32
  # The second example gives the same logits beside other examples.
  others = x.at[0].set(7.0).at[2].set(-7.0)
  close = partial(np.testing.assert_allclose, atol=3e-4 * np.abs(logits).max())
  close(apply(variables, others)[1], logits[1])
  # The input is standardised.
  stats = variables["input_stats"]["standardise"]
  filled = layers.fill_input_stats(
    variables, 7 + 2 * stats["mean"], 2 * stats["std"]
  )
  close(apply(filled, 2 * x + 7), logits)


@pytest.mark.slow
def test_a_step_in_bfloat16_drops_averages_and_moves_every_parameter(built):
  name, model, variables, x, _ = built
  variables, x = jax.tree.map(
    lambda v: v.astype(jnp.bfloat16), (variables, jnp.concatenate([x, x + 1]))
  )
  apply = partial(model.apply, train=False)
  assert jax.eval_shape(apply, variables, x).dtype == jnp.bfloat16
  two = jax.tree.map(lambda leaf: jnp.stack([leaf, leaf]), (variables, x))
  assert jax.eval_shape(jax.vmap(apply), *two).shape == (2, 6, 10)
  params, frozen = variables.pop("params"), name == "mobilenet_v2"

  @jax.jit
  @partial(jax.grad, has_aux=True)
  def step(trained, key):
    logits, changed = model.apply(
      {"params": {**params, **trained}, **variables},
      x,
      train=True,
      rngs={"dropout": key},
      mutable=["batch_stats"],
    )
    loss = -jax.nn.log_softmax(logits)[jnp.arange(6), jnp.arange(6)].mean()
    return loss, (logits, changed)

  trained = {"head": params["head"]} if frozen else params
  keys = [jax.random.key(n, impl="rbg") for n in (2, 3)]  # quick to compile
  (gradient, (logits, changed)), (_, (others, _)) = (
    step(trained, key) for key in keys
  )
  assert logits.dtype == jnp.bfloat16
  assert np.isfinite(logits).all()
  assert np.array_equal(logits, others) == (name in WITHOUT_DROPOUT)
  assert set(changed) == set(variables) & {"batch_stats"}
  before = traverse_util.flatten_dict(variables.get("batch_stats", {}))
  after = traverse_util.flatten_dict(dict(changed).get("batch_stats", {}))
  for path, value in after.items():  # a frozen backbone's are its weights'
    assert np.array_equal(value, before[path]) == frozen, path
  for path, leaf in jax.tree_util.tree_leaves_with_path(gradient):
    assert leaf.dtype == jnp.bfloat16
    assert np.isfinite(leaf).all(), path
    assert np.any(leaf), f"{path} has no gradient"


# The sources' counts and layers.


@pytest.mark.slow
@pytest.mark.parametrize(
  ("name", "options", "example", "trained"),
  # Beside those of the recipes, which tests/cli/test_recipes.py has.
  [
    # Printed by the source's notebook.
    ("resnet", {}, (130, 13), 216_778),
    ("resnet", {}, (39, 13), 118_474),
    # Without the 1x1 convolution of the shortcut.
    ("resnet", {"shortcuts": False}, (130, 13), 214_666),
    ("slice_cnn", {}, (39, 13), 22_794),
    ("slice_cnn", {}, (38, 13), 22_794),
    ("slice_cnn", {}, (11, 11), 16_650),
    ("lstm", {"hidden": 512}, (61, 33), 3_226_634),
    # Four blocks; 8 bands left of 128, mean and maximum of each; head.
    ("mel_cnn", {}, (38, 128), 360_954),
    # 128 bins / 4 / 2 / 2 = 8 bands.
    (
      "mel_cnn",
      {"stem_stride": (2, 4), "channels": [8, 16]},
      (258, 128),
      8 * 9 + 2 * 8 + 16 * 72 + 2 * 16 + (8 * 2 * 16 + 1) * 128 + 1290,
    ),
    # Each block 12 width^2 and 9 width.
    (
      "transformer",
      {},
      (258, 128),
      2 * 3 * 128**2 + 256 + 4 * (12 * 128**2 + 9 * 128) + 256 + 1290,
    ),
  ],
)
def test_counts_of_parameters(name, options, example, trained):
  variables = models.shapes(models.create(name, 10, **options), example)
  leaves = jax.tree.leaves(variables["params"])
  assert sum(math.prod(leaf.shape) for leaf in leaves) == trained


def by_hand(name, variables, x):
  """LAYERS[name] one after the other, with Linen's and LAX's own functions."""
  params = variables["params"]
  stats = traverse_util.flatten_dict(variables.get("batch_stats", {}), sep="/")
  aside = None

  def wide(vector):
    return vector[(None,) * (x.ndim - 1)]

  for step in LAYERS[name].split():
    padding = "VALID" if step.endswith("V") else "SAME"
    key = step.removesuffix("V")
    layer = params
    for part in key.split("/"):
      layer = layer.get(part, {})
    numbers = [int(digits) for digits in re.findall(r"\d+", key)]
    if step in ("relu", "leaky"):
      x = jnp.where(x > 0, x, 0.3 * x if step == "leaky" else 0)
    elif step == "flat":
      x = x.reshape(len(x), -1)
    elif step == "mean":
      x = x.mean((1, 2))
    elif step == "turn":
      x = x.swapaxes(1, 2)
    elif step == "last":
      x = x[:, -1]
    elif step == "ends":
      half = x.shape[-1] // 2
      x = jnp.concatenate([x[:, -1, :half], x[:, 0, half:]], -1)
    elif step == "keep":
      aside = x
    elif step == "swap":
      x, aside = aside, x
    elif step == "add":
      x = x + aside
    elif step == "join":
      x = jnp.concatenate([aside, x], -1)
    elif step.startswith("pad"):
      short = [(0, max(0, numbers[0] - side)) for side in x.shape[1:3]]
      x = jnp.pad(x, ((0, 0), *short, (0, 0)))
    elif step.startswith("steps"):
      x = x.reshape(len(x), -1)
      x = jnp.pad(x, ((0, 0), (0, -x.shape[1] % numbers[0])))
      x = x.reshape(len(x), -1, numbers[0])
    elif step.startswith("pool"):
      window, stride = numbers
      x = nn.max_pool(x, (window, window), (stride, stride), padding)
    elif step.startswith("lstm"):
      one = layer.get("ahead", layer)
      cell = partial(ScanLSTM, two_biases="bias" in one["input"])
      if one is not layer:
        cell = partial(Bidirectional, ScanLSTM)
      x = cell(len(one["kernel"])).apply({"params": layer}, x)
    elif "scale" in layer:
      epsilon = 1e-5 if name in TORCH else 1e-3
      x = (x - wide(stats[f"{key}/mean"])) / jnp.sqrt(
        wide(stats[f"{key}/var"]) + epsilon
      )
      x = x * wide(layer["scale"]) + wide(layer["bias"])
    elif not step.startswith("drop"):  # which does nothing in evaluation
      kernel = layer["kernel"]
      if kernel.ndim == 4:
        order = ("NHWC", "HWIO", "NHWC")
        x = jax.lax.conv_general_dilated(
          x, kernel, (1, 1), padding, dimension_numbers=order
        )
      else:
        x = x @ kernel
      x = x + wide(layer["bias"])
  return x


@pytest.mark.slow
@pytest.mark.parametrize("name", LAYERS)
def test_layers_and_gradients_are_those_of_the_source_in_its_order(name):
  model, variables, x = build(name)

  def expected_logits(variables, x):
    stats = variables["input_stats"]["standardise"]
    wide = (None,) * (x.ndim - 1)
    x = (x - stats["mean"][wide]) / stats["std"][wide]
    if x.ndim == 3 and name != "lstm":
      x = x[..., None]  # features are a picture of one channel
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


@pytest.mark.slow
@pytest.mark.parametrize("name", LAYERS)
def test_dropout_and_batch_norm_are_the_sources(name):
  """Calls in training, in order, with rates; Keras's and torch's constants."""
  calls = []

  def record(run, args, kwargs, context):
    module = context.module
    path = "/".join(module.path) if context.method_name == "__call__" else "/"
    if isinstance(module, nn.Dropout):
      assert not module.deterministic
      calls.append(f"drop{module.rate}")
    elif isinstance(module, BatchNorm):
      constants = (0.9, 1e-5) if name in TORCH else (0.99, 1e-3)
      assert (module.momentum, module.epsilon) == constants
      calls.append(path)
    elif re.fullmatch(r"(conv|dense|lstm|head)\w*|.*/(conv|shortcut)", path):
      calls.append(path)
    return run(*args, **kwargs)

  model, _, x = build(name)
  with nn.intercept_methods(record):
    keys = {"params": jax.random.key(0), "dropout": jax.random.key(1)}
    jax.eval_shape(partial(model.init, train=True), keys, x)
  named = r"(?:\w+/)*(?:conv|norm|dense|lstm|head|shortcut)\w*|drop\S+"
  wanted = re.findall(rf"(?<!\S)(?:{named})(?!\S)", LAYERS[name])
  assert calls == [re.sub(r"V$", "", step) for step in wanted]


# Creation and input.


@pytest.mark.slow
@pytest.mark.parametrize(
  ("name", "examples"),
  [
    *(
      (name, ((1, 128), (2, 128), (7, 128), (38, 128)))
      for name in ("cnn_gru", "cnn_lstm", "mel_cnn", "transformer")
    ),
    ("lstm", ((1, 33), (2, 33), (7, 33))),
    ("cnn_rnn", ((1, 13), (7, 80), (39, 9))),
    ("cnn_bilstm", ((1, 13), (7, 80), (39, 9))),
  ],
)
def test_the_same_parameters_at_any_length(name, examples):
  model = models.create(name, 10)
  trees = []
  for example in examples:
    logits, variables = jax.eval_shape(
      partial(model.init_with_output, train=False),
      jax.random.key(0),
      jnp.zeros((2, *example)),
    )
    assert logits.shape == (2, 10)
    trees.append(variables["params"])
  assert all(tree == trees[0] for tree in trees)


@pytest.mark.parametrize("frames", [1, 2, 7])
def test_a_resnet_takes_any_number_of_frames(frames):
  models.shapes(models.create("resnet", 10), (frames, 13))


@pytest.mark.parametrize(
  ("name", "frames", "steps"), [("cnn_gru", 38, 10), ("cnn_lstm", 258, 65)]
)
def test_recurrence_over_a_quarter_of_the_frames(name, frames, steps):
  model, x = models.create(name, 10), jnp.zeros((2, frames, 128))
  variables = models.shapes(model, (frames, 128))
  run = partial(model.apply, train=False, capture_intermediates=True)
  _, state = jax.eval_shape(partial(run, mutable=True), variables, x)
  (product,) = state["intermediates"]["recurrent"]["input"]["__call__"]
  assert product.shape[:2] == (steps, 2)


@pytest.mark.parametrize(
  ("name", "options", "example", "message"),
  [
    ("slice_cnn", {}, (10, 13), r"10 frames of 13 bins.*at least 11"),
    ("slice_cnn", {}, (11, 10), r"11 frames of 10 bins.*at least 11"),
    ("fusion_cnn", {}, (3, 187), r"pool of 2 does not fit.*, 1 "),
    ("parallel_cnn", {}, (80, 10), r"pool of 4 does not fit.*, 3 "),
    ("parallel_cnn", {}, (7, 80), r"pool of 4 does not fit.*, 0 "),
    ("parallel_cnn", {}, (57,), r"takes no examples of shape \(57,\)"),
    ("mobilenet_v2", {}, (130, 13), r"takes pictures.* not \[1, 130, 13\]"),
    ("mobilenet_v2", {}, (64, 64, 1), r"takes pictures.* 1\]"),
    ("cnn_gru", {"channels": (4, 4)}, (38, 128), r"=\(4, 4\), pool_frames=\(2"),
    *(
      (
        "transformer",
        {"width": width, "heads": heads},
        (8, 128),
        f"width={width} and heads={heads}.*multiple of twice",
      )
      for width, heads in ((128, 3), (6, 6), (9, 1))
    ),
    # Larger than any machine.
    ("lstm", {"hidden": 65_536}, (61, 33), r"LSTM has \d+ parameters: give"),
  ],
)
def test_shapes_and_sizes_that_do_not_fit(name, options, example, message):
  with pytest.raises(InputError, match=message):
    models.shapes(models.create(name, 10, **options), example)


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
