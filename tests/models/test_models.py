"""Models: the contract of every entry, the sources' counts, layer order."""

import math
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from flax import traverse_util

from gtzan_jax import models
from gtzan_jax.errors import InputError
from gtzan_jax.models import input_stats
from gtzan_jax.models.pooling import axis_max, max_pool
from gtzan_jax.models.resnet import ResidualBlock
from gtzan_jax.models.sources import REFERENCE
from gtzan_jax.training import sharding

# Every model small: the shape of an example, and the options that shrink it.
PAIRED = {"channels": (3, 4, 4, 4), "dense": 8}
RECURRENT = {
  "channels": (4, 4),
  "pool_frames": (2, 1),
  "pool_bins": (4, 4),
  "hidden": 8,
  "dense": 8,
}
SMALL = {
  "cnn_bilstm": ((16, 16), {}),
  "cnn_gru": ((12, 16), RECURRENT),
  "cnn_lstm": ((12, 16), RECURRENT),
  "cnn_rnn": ((16, 16), {}),
  "fcn": ((6, 5, 3), {"widths": (8, 8)}),
  "fusion_cnn": ((12, 16), {"channels": (4, 4, 4), "dense": 8}),
  "image_cnn": ((16, 16, 3), {"channels": (4, 4, 4), "dense": 8}),
  "image_cnn2": ((8, 8, 3), PAIRED),
  "image_cnn_bn": ((8, 8, 3), PAIRED),
  "lstm": ((8, 6), {"hidden": 8}),
  "mel_cnn": ((38, 128), {"channels": (4, 4), "dense": 8}),
  "mlp": ((57,), {"widths": (8, 8, 8)}),
  "mobilenet_v2": ((32, 32, 3), {}),
  "parallel_cnn": ((16, 16), {}),
  "resnet": ((39, 13), {}),
  "slice_cnn": ((24, 13), {"channels": 4, "dense": 8}),
  "transformer": ((12, 16), {"width": 8, "depth": 1, "heads": 2}),
}
# What has no dropout to draw (the sources' own choice).
WITHOUT_DROPOUT = {"fcn", "image_cnn2", "image_cnn_bn", "parallel_cnn"}


def shapes(model, *example):
  x = jnp.zeros((2, *example))
  return jax.eval_shape(partial(model.init, train=False), jax.random.key(0), x)


def count(variables, *collections):
  leaves = jax.tree.leaves([variables[c] for c in collections])
  return sum(math.prod(leaf.shape) for leaf in leaves)


@pytest.fixture(scope="module", params=sorted(models.MODELS))
def built(request):
  """Every model once: name, module, variables, input, evaluation."""
  name = request.param
  example, options = SMALL[name]
  model = models.create(name, 10, **options)
  rng = np.random.default_rng(1)
  x = jnp.asarray(rng.normal(size=(3, *example)), jnp.float32)

  # Compiling init would cost more than all the tests of a model together.
  def values(path, leaf):
    if path[-1].key in ("var", "std", "scale"):
      return jnp.ones(leaf.shape)
    if path[-1].key == "mean":
      return jnp.zeros(leaf.shape)
    return jnp.asarray(rng.normal(0, 0.05, leaf.shape), jnp.float32)

  variables = jax.tree.map_with_path(values, shapes(model, *example))
  apply = jax.jit(partial(model.apply, train=False))
  return name, model, variables, x, apply


def test_contract(built):
  name, model, variables, x, apply = built
  assert set(variables) <= {"params", "batch_stats", "input_stats"}
  logits = apply(variables, x)
  assert logits.shape == (3, 10)
  assert logits.dtype == jnp.float32
  # No example sees another: the second is the same in other company.
  company = x.at[0].set(7.0).at[2].set(-7.0)
  np.testing.assert_allclose(
    apply(variables, company)[1], logits[1], atol=1e-5, err_msg=name
  )

  @jax.jit
  def train(key):
    return model.apply(
      variables, x, train=True, rngs={"dropout": key}, mutable=["batch_stats"]
    )

  first, changed = train(jax.random.key(2))
  other, _ = train(jax.random.key(3))
  drawn = not np.allclose(first, other)
  assert drawn == (name not in WITHOUT_DROPOUT), f"{name}: dropout"
  assert set(changed) == set(variables) & {"batch_stats"}
  if name == "mobilenet_v2":  # frozen: its averages are its weights'
    return
  before = traverse_util.flatten_dict(variables.get("batch_stats", {}))
  moved = traverse_util.flatten_dict(dict(changed).get("batch_stats", {}))
  for path, value in moved.items():
    assert not np.array_equal(value, before[path]), (
      f"{name}: {path} stood still"
    )


def test_bfloat16_and_vmap_of_every_model(built):
  """By tracing alone: what they compute is tested beside each family."""
  name, model, variables, x, _ = built
  if name == "mobilenet_v2":
    pytest.skip("slow to trace; tests/test_mobilenet.py does it")
  apply = partial(model.apply, train=False)
  half = jax.tree.map(lambda leaf: leaf.astype(jnp.bfloat16), (variables, x))
  assert jax.eval_shape(apply, *half).dtype == jnp.bfloat16, name
  two = jax.tree.map(lambda leaf: jnp.stack([leaf, leaf]), (variables, x))
  assert jax.eval_shape(jax.vmap(apply), *two).shape == (2, 3, 10)


def test_every_model_applies_its_input_stats(built):
  _, _, variables, x, apply = built
  mean, std = jnp.arange(x.shape[-1]) / 7.0, 2.0 + jnp.arange(x.shape[-1])
  wide = (1,) * (x.ndim - 1) + (-1,)
  raw = x * std.reshape(wide) + mean.reshape(wide)
  filled = input_stats.fill(variables, mean, std)
  np.testing.assert_allclose(apply(filled, raw), apply(variables, x), atol=2e-4)


def test_input_stats_is_the_identity_at_first_and_holds_no_parameter(built):
  _, _, variables, x, _ = built
  assert "standardise" not in variables["params"]
  layer = input_stats.InputStats()
  stats = layer.init(jax.random.key(0), x)
  assert set(stats) == {"input_stats"}
  np.testing.assert_array_equal(layer.apply(stats, x), x)


def test_fill_leaves_constant_bins_unscaled_and_refuses_other_shapes():
  variables = input_stats.InputStats().init(jax.random.key(0), jnp.ones((1, 2)))
  variables = {"input_stats": {"standardise": variables["input_stats"]}}
  stats = input_stats.fill(variables, [3.0, 4.0], [0.0, 2.0])
  np.testing.assert_array_equal(
    stats["input_stats"]["standardise"]["std"], [1.0, 2.0]
  )
  assert variables["input_stats"]["standardise"]["std"][1] == 1.0
  with pytest.raises(ValueError, match=r"shape \(3,\)"):
    input_stats.fill(variables, np.zeros(3), np.ones(3))


@pytest.mark.parametrize(
  ("frames", "trainable", "total"),
  # 217,226 of which 216,778 trainable: printed by the source's notebook.
  [(130, 216_778, 217_226), (39, 118_474, 118_922)],
)
def test_resnet_has_the_sources_parameters(frames, trainable, total):
  variables = shapes(models.create("resnet", 10), frames, 13)
  assert count(variables, "params") == trainable
  assert count(variables, "params", "batch_stats") == total


def test_resnet_without_shortcuts_lacks_the_1x1_convolution_only():
  plain = shapes(models.create("resnet", 10, shortcuts=False), 130, 13)
  assert count(plain, "params", "batch_stats") == 217_226 - (32 * 64 + 64)


def test_mel_cnn_has_the_same_parameters_at_any_length():
  model = models.create("mel_cnn", 10)
  audio, archive = shapes(model, 258, 128), shapes(model, 38, 128)
  assert audio == archive
  convolutions = 9 * (1 * 16 + 16 * 32 + 32 * 64 + 64 * 128)
  norms = 2 * (16 + 32 + 64 + 128)
  dense = 8 * 2 * 128 * 128 + 128  # 8 bands left of 128, mean and max of each
  head = 128 * 10 + 10
  assert count(audio, "params") == convolutions + norms + dense + head


OF_FRAMES = sorted(
  name
  for name, (example, _) in SMALL.items()
  if len(example) == 2
  and name not in ("fusion_cnn", "parallel_cnn", "slice_cnn")
)


@pytest.mark.parametrize("name", OF_FRAMES)
@pytest.mark.parametrize("frames", [1, 2, 7])
def test_any_number_of_frames(name, frames):
  """But for those whose "valid" layers refuse too little by name."""
  model = models.create(name, 10)
  bins = REFERENCE[name].input[1]
  x = jnp.zeros((2, frames, bins))
  out, _ = jax.eval_shape(
    partial(model.init_with_output, train=False), jax.random.key(0), x
  )
  assert out.shape == (2, 10)


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
  variables["params"]["first"]["norm"]["bias"] = jnp.zeros(1)
  _, state = block.apply(
    variables, x, train=False, capture_intermediates=True, mutable=True
  )
  out = state["intermediates"]["first"]["norm"]["__call__"][0]
  np.testing.assert_allclose(out, 2.0 / math.sqrt(1.001), rtol=1e-6)


@pytest.mark.parametrize("shape", [(2, 5, 6, 3), (1, 1, 1, 2)])
def test_max_pool_agrees_with_linen(shape):
  x = jax.random.normal(jax.random.key(0), shape) - 5.0  # padding must not win
  expected, back = jax.vjp(lambda v: nn.max_pool(v, (2, 2), (2, 2), "SAME"), x)
  found, own_back = jax.vjp(max_pool, x)
  np.testing.assert_array_equal(found, expected)
  grad = jax.random.normal(jax.random.key(1), expected.shape)
  np.testing.assert_allclose(own_back(grad)[0], back(grad)[0], atol=1e-6)


def test_axis_max_sends_the_gradient_to_the_first_of_equal_values():
  x = jnp.array([[1.0, 5.0, 5.0], [2.0, 0.0, -1.0]])
  found, back = jax.vjp(lambda v: axis_max(v, 1), x)
  np.testing.assert_array_equal(found, [5.0, 2.0])
  np.testing.assert_array_equal(
    back(jnp.array([3.0, 4.0]))[0], [[0, 3, 0], [4, 0, 0]]
  )


def test_a_strided_stem_keeps_the_classes_and_shrinks_the_picture():
  model = models.create("mel_cnn", 10, stem_stride=(2, 4), channels=[8, 16])
  variables = shapes(model, 258, 128)
  # 128 bins / 4 / 2 / 2 = 8 bands of mean and max of 16 channels.
  assert variables["params"]["dense"]["kernel"].shape == (8 * 2 * 16, 128)


def test_unknown_names_are_refused_with_those_that_exist():
  with pytest.raises(InputError, match=r"'alexnet'.*mel_cnn, mlp.*resnet"):
    models.create("alexnet", 10)
  with pytest.raises(InputError, match=r"'width'.*dropout, shortcuts"):
    models.create("resnet", 10, width=3)
  with pytest.raises(InputError, match="'parent'"):
    models.create("resnet", 10, parent=None)


@pytest.mark.parametrize("devices", [1, 4])
def test_gradients_through_pooling_survive_fusion(devices):
  """Under jit the gradient is that of the same model step by step.

  A pooling whose gradient asks which values equal the maximum loses them where
  XLA computes those values twice, in two fusions that round differently.
  """
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
  found = jax.jit(jax.grad(loss))(
    jax.device_put(variables["params"], sharding.replicated(mesh)),
    jax.device_put(x, sharding.batched(mesh)),
  )
  jax.tree.map(
    lambda a, b: np.testing.assert_allclose(a, b, atol=1e-5), found, expected
  )


@pytest.mark.parametrize(
  ("name", "options", "message"),
  [
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
def test_an_option_out_of_its_range_is_refused(name, options, message):
  with pytest.raises(InputError, match=message):
    models.create(name, 10, **options)


def test_a_model_that_no_machine_holds_is_refused_before_it_is_made():
  model = models.create("lstm", 10, hidden=65_536)
  with pytest.raises(InputError, match=r"LSTM has \d+ parameters: give"):
    models.shapes(model, (61, 33))


def test_a_model_on_examples_of_another_rank_is_one_line():
  with pytest.raises(InputError, match=r"takes no examples of shape \(57,\)"):
    models.shapes(models.create("parallel_cnn", 10), (57,))
