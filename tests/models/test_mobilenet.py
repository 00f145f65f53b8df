"""MobileNetV2: padding, an independent forward pass, what trains."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import traverse_util

from gtzan_jax.errors import InputError
from gtzan_jax.models.mobilenet import BLOCKS, DepthwiseConv, MobileNetV2

PICTURES = np.random.default_rng(5).random((2, 45, 32, 3), np.float32)


def flat(tree):
  return traverse_util.flatten_dict(dict(tree), sep="/")


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
    ("tf", 1, [0]),
    ("torch", 1, [0]),
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
@pytest.mark.parametrize(
  ("origin", "mean", "deviation"),
  [
    ("tf", (0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
    ("torch", (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
  ],
)
def test_is_the_network_written_out(mobilenet, origin, mean, deviation):
  model = MobileNetV2(3, padding=origin, scaling=origin)
  logits = jax.jit(partial(model.apply, train=False))(mobilenet, PICTURES)
  scaled = (PICTURES - np.float32(mean)) / np.float32(deviation)
  wanted = jax.jit(partial(by_hand, padding=origin))(mobilenet, scaled)
  assert logits.dtype == jnp.float32
  assert np.std(wanted) > 0.1
  np.testing.assert_allclose(logits, wanted, atol=2e-4 * np.abs(wanted).max())


@pytest.mark.slow
@pytest.mark.parametrize(
  ("options", "trained"),
  [
    ({}, {"head"}),
    ({"trainable_from": 15}, {"block15", "block16", "last", "head"}),
    ({"frozen": False}, {"stem", "block9"}),  # of these two gradients
  ],
  ids=["frozen", "second stage", "unfrozen"],
)
def test_what_a_step_trains_and_what_it_costs(mobilenet, options, trained):
  model, params = MobileNetV2(3, **options), mobilenet["params"]
  frozen = options.get("frozen", True)
  chosen = params if frozen else {name: params[name] for name in trained}

  def loss(chosen):
    logits, changed = model.apply(
      {**mobilenet, "params": {**params, **chosen}},
      PICTURES,
      train=True,
      rngs={"dropout": jax.random.key(1)},
      mutable=["batch_stats"],
    )
    return (logits**2).sum(), changed["batch_stats"]

  compiled = jax.jit(jax.grad(loss, has_aux=True)).lower(chosen).compile()
  gradients, averages = compiled(chosen)
  for name, gradient in flat(gradients).items():
    assert np.isfinite(gradient).all(), name
    assert np.any(gradient) == (name.split("/")[0] in trained), name
  before = flat(mobilenet["batch_stats"])
  for name, value in flat(averages).items():
    assert np.array_equal(value, before[name]) == frozen, name
  if not options:  # no backward pass through the backbone
    forward = jax.jit(partial(model.apply, train=False))
    forward = forward.lower(mobilenet, PICTURES).compile()
    flops = [one.cost_analysis()["flops"] for one in (compiled, forward)]
    assert flops[0] < 1.2 * flops[1]


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
    MobileNetV2(3, **{field: value})
