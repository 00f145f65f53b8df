"""MobileNetV2: counts, padding, an independent forward pass, what trains."""

import math
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import traverse_util

from gtzan_jax.errors import InputError
from gtzan_jax.models.mobilenet import BLOCKS, DepthwiseConv, MobileNetV2

PICTURES = np.random.default_rng(5).random((2, 45, 32, 3), np.float32)


def shapes(model, size=64):
  x = jnp.zeros((1, size, size, 3))
  return jax.eval_shape(partial(model.init, train=False), jax.random.key(0), x)


def flat(tree):
  return traverse_util.flatten_dict(dict(tree), sep="/")


@pytest.fixture(scope="module")
def variables():
  """Five classes, random values that keep the signal's size."""
  rng = np.random.default_rng(0)

  def value(path, leaf):
    if path[-1].key == "kernel":
      scale = math.sqrt(2 / math.prod(leaf.shape[:-1]))
      return jnp.asarray(rng.normal(0, scale, leaf.shape), jnp.float32)
    if path[-1].key in ("scale", "var"):
      return jnp.asarray(rng.uniform(0.5, 1.5, leaf.shape), jnp.float32)
    return jnp.asarray(rng.normal(0, 0.2, leaf.shape), jnp.float32)

  drawn = jax.tree.map_with_path(value, shapes(MobileNetV2(5)))
  stats = {"mean": jnp.zeros(3), "std": jnp.ones(3)}
  return {**drawn, "input_stats": {"standardise": stats}}


@pytest.mark.parametrize("size", [1, 31, 32, 224])
def test_halves_five_times_at_any_size(size):
  layer = partial(DepthwiseConv, 2)
  for padding in ("tf", "torch"):
    shape = (1, size, size, 4)
    for _ in range(5):
      shape = jax.eval_shape(
        layer(padding).init_with_output,
        jax.random.key(0),
        jax.ShapeDtypeStruct(shape, jnp.float32),
      )[0].shape
    assert shape == (1, math.ceil(size / 32), math.ceil(size / 32), 4)


@pytest.mark.slow
@pytest.mark.parametrize(
  ("padding", "size", "centres"),
  # tf pads an even size at the end only: the first window begins at pixel 0,
  # so its centre is pixel 1. An odd size gets one pixel on each side.
  [
    ("tf", 6, [1, 3, 5]),
    ("torch", 6, [0, 2, 4]),
    ("tf", 5, [0, 2, 4]),
    ("torch", 5, [0, 2, 4]),
  ],
)
def test_padding_decides_where_windows_lie(padding, size, centres):
  centre_only = np.zeros((3, 3, 1, 1), np.float32)
  centre_only[1, 1] = 1
  x = np.arange(size * size, dtype=np.float32).reshape(1, size, size, 1)
  y = DepthwiseConv(2, padding).apply({"params": {"kernel": centre_only}}, x)
  np.testing.assert_array_equal(y, x[:, centres][:, :, centres])


def by_hand(variables, x, padding):
  """The same network from jax.lax's convolutions and a folded BatchNorm.

  As torchvision writes it: a table of (t, c, n, s), padding in pixels.
  """
  params, stats = flat(variables["params"]), flat(variables["batch_stats"])

  def layer(x, name, stride=1, groups=1, relu=True):
    kernel = params[f"{name}/conv/kernel"]
    pads = [(0, 0), (0, 0)]
    if kernel.shape[0] == 3:
      pads = "SAME" if padding == "tf" else [(1, 1), (1, 1)]
    gain = params[f"{name}/norm/scale"] / jnp.sqrt(
      stats[f"{name}/norm/var"] + 1e-3
    )
    y = jax.lax.conv_general_dilated(
      x,
      kernel * gain[None, None, None],
      (stride, stride),
      pads,
      dimension_numbers=("NHWC", "HWIO", "NHWC"),
      feature_group_count=groups,
    )
    shift = params[f"{name}/norm/bias"] - stats[f"{name}/norm/mean"] * gain
    y = y + shift[None, None, None]
    return jnp.clip(y, 0, 6) if relu else y

  x = layer(x, "stem", 2)
  number = 0
  for t, c, n, s in (
    *((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2)),
    *((6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1)),
  ):
    for repeat in range(n):
      name, y = f"block{number}", x
      if t != 1:
        y = layer(y, f"{name}/expand")
      stride = s if repeat == 0 else 1
      y = layer(y, f"{name}/depthwise", stride, groups=y.shape[-1])
      y = layer(y, f"{name}/project", relu=False)
      assert y.shape[-1] == c
      x = x + y if repeat else y
      number += 1
  assert number == len(BLOCKS)
  pooled = layer(x, "last").mean((1, 2))
  return pooled @ params["head/kernel"] + params["head/bias"][None]


@pytest.mark.slow
@pytest.mark.parametrize("origin", ["tf", "torch"])
def test_is_the_network_written_out(variables, origin):
  model = MobileNetV2(5, padding=origin, scaling=origin)
  found = jax.jit(partial(model.apply, train=False))(variables, PICTURES)
  scaled = PICTURES * 2 - 1
  if origin == "torch":
    mean = np.array([[[[0.485, 0.456, 0.406]]]], np.float32)
    scaled = (PICTURES - mean) / np.array([[[[0.229, 0.224, 0.225]]]], "f")
  wanted = jax.jit(partial(by_hand, padding=origin))(variables, scaled)
  assert found.dtype == jnp.float32
  assert np.std(wanted) > 0.1
  np.testing.assert_allclose(found, wanted, atol=2e-4 * np.abs(wanted).max())


def step(model, variables, layers=None):
  """Of a compiled step: gradients of these layers, changed averages, cost."""
  params = variables["params"]
  chosen = {name: params[name] for name in layers or params}

  def loss(chosen):
    logits, changed = model.apply(
      {**variables, "params": {**params, **chosen}},
      PICTURES,
      train=True,
      rngs={"dropout": jax.random.key(1)},
      mutable=["batch_stats"],
    )
    return (logits**2).sum(), changed

  compiled = jax.jit(jax.grad(loss, has_aux=True)).lower(chosen).compile()
  gradients, changed = compiled(chosen)
  return flat(gradients), changed, compiled.cost_analysis()["flops"]


@pytest.mark.slow
def test_frozen_trains_the_head_alone_and_costs_no_backward_pass(variables):
  gradients, changed, cost = step(MobileNetV2(5), variables)
  for name, gradient in gradients.items():
    assert np.any(gradient) == name.startswith("head/"), name
  jax.tree.map(
    np.testing.assert_array_equal,
    changed["batch_stats"],
    variables["batch_stats"],
  )
  forward = jax.jit(partial(MobileNetV2(5).apply, train=False))
  forward = forward.lower(variables, PICTURES).compile()
  assert cost < 1.2 * forward.cost_analysis()["flops"]


@pytest.mark.slow
def test_second_stage_trains_from_a_block_on(variables):
  gradients, changed, _ = step(MobileNetV2(5, trainable_from=15), variables)
  trained = {"block15", "block16", "last", "head"}
  for name, gradient in gradients.items():
    assert np.any(gradient) == (name.split("/")[0] in trained), name
  # BatchNorm keeps its averages there too.
  jax.tree.map(
    np.testing.assert_array_equal,
    changed["batch_stats"],
    variables["batch_stats"],
  )


@pytest.mark.slow
def test_unfrozen_trains_from_the_first_layer_and_averages(variables):
  model = MobileNetV2(5, frozen=False)
  gradients, changed, _ = step(model, variables, ("stem", "block9"))
  for name, gradient in gradients.items():
    assert np.isfinite(gradient).all(), name
    assert np.any(gradient), name
  before = flat(variables["batch_stats"])
  for name, value in flat(changed["batch_stats"]).items():
    assert not np.array_equal(value, before[name]), name


@pytest.mark.slow
def test_bfloat16_and_vmap(variables):
  model = MobileNetV2(5)
  apply = partial(model.apply, train=False)
  half = jax.tree.map(lambda leaf: leaf.astype(jnp.bfloat16), variables)
  pictures = jnp.asarray(PICTURES[:, None])  # vmap over pictures, one a batch

  whole = jax.jit(apply)(variables, PICTURES)
  mapped = jax.jit(jax.vmap(apply, (None, 0)))(variables, pictures)
  np.testing.assert_allclose(mapped[:, 0], whole, atol=1e-4)
  rough = jax.jit(apply)(half, PICTURES.astype(jnp.bfloat16))
  assert rough.dtype == jnp.bfloat16
  largest = np.abs(whole).max()
  np.testing.assert_allclose(
    rough.astype(jnp.float32), whole, atol=0.1 * largest
  )


@pytest.mark.parametrize(
  ("field", "value", "accepted"),
  [
    ("padding", "same", "'tf' or 'torch'"),
    ("scaling", "imagenet", "'tf' or 'torch'"),
    ("trainable_from", 18, "0 to 17"),
    ("trainable_from", -1, "0 to 17"),
  ],
)
def test_fields_are_checked_at_once(field, value, accepted):
  with pytest.raises(InputError, match=f"{field}={value!r}: give {accepted}"):
    MobileNetV2(5, **{field: value})


@pytest.mark.parametrize("shape", [(2, 130, 13), (2, 64, 64, 1)])
def test_takes_pictures_only(shape):
  with pytest.raises(InputError, match="takes pictures"):
    jax.eval_shape(
      partial(MobileNetV2(5).init, train=False),
      jax.random.key(0),
      jnp.zeros(shape),
    )
