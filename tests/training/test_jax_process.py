"""How a step is compiled."""

import re
import warnings
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from gtzan_jax.features import stft
from gtzan_jax.models import conv, norm, scan_rnn
from gtzan_jax.training import jax_process, sharding


def step(state, batch):
  layout = ("NHWC", "HWIO", "NHWC")
  kernel = jnp.ones((3, 3, 1, 4))

  def inner(x):
    return jax.lax.conv_general_dilated(
      x, kernel, (1, 1), "SAME", dimension_numbers=layout
    )

  return state + 1, jax.lax.cond(
    batch[0, 0, 0, 0] > 0, inner, inner, batch
  ).sum()


def attention(state, batch):
  x = batch[..., 0]  # [examples, frames, frames]
  jax.debug.callback(lambda: None)  # an equation without a result
  return state + 1, jnp.einsum("bij,bkj->bik", x, x).sum()


@pytest.mark.parametrize(
  ("step", "shape", "options"),
  [
    (step, (1, 4, 4, 1), None),
    (step, (1, 300, 300, 1), jax_process._CONVOLUTIONS),
    (attention, (20, 40, 40, 1), None),
    (attention, (20, 1600, 2, 1), jax_process._PRODUCTS),
  ],
)
def test_large_pictures_and_attention_are_onednns(
  step, shape, options, monkeypatch
):
  known = jax_process._known(**options) if options else {}
  given = []

  def jit(*arguments, real=jax.jit, **keywords):
    given.append(keywords.get("compiler_options"))
    return real(*arguments, **keywords)

  monkeypatch.setattr(jax, "jit", jit)
  mesh = sharding.make_mesh(jax.devices()[:1])
  run = jax_process.JitStep(step, mesh)
  state = jax.device_put(jnp.zeros(1), sharding.replicated(mesh))
  x = np.ones(shape, "float32")
  batch = sharding.put({"x": x}, mesh)["x"]
  with warnings.catch_warnings():
    warnings.simplefilter("error")
    state, total = run(state, batch)
    state, total = run(state, batch)
  assert state == 2
  expected = float(step(0.0, jnp.asarray(x))[1])
  assert float(total) == pytest.approx(expected, rel=1e-5)
  assert run.eval_shape(state, batch)[1].shape == ()
  assert given[-1] == (known or None)


@pytest.mark.parametrize("side", [4, 300])
def test_a_step_that_was_compiled_is_not_compiled_again(side):
  jax_process._known(**jax_process._CONVOLUTIONS)  # asked once a process
  compiled = []

  def count(event: str, seconds: float, **_):
    if event.endswith("backend_compile_duration"):
      compiled.append(seconds)

  mesh = sharding.make_mesh(jax.devices()[:1])
  run = jax_process.JitStep(step, mesh)
  state = jax.device_put(jnp.zeros(1), sharding.replicated(mesh))
  x = np.ones((1, side, side, 1), "float32")
  placed = sharding.put({"x": x}, mesh)["x"]
  batch = jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=placed.sharding)
  jax.monitoring.register_event_duration_secs_listener(count)
  try:
    run.compile(jax.eval_shape(lambda: state), batch)
    assert len(compiled) == 1
    run(state, placed)
    assert len(compiled) == 1
  finally:
    jax.monitoring.unregister_event_duration_listener(count)


def test_an_option_that_xla_does_not_know_is_left_out():
  assert jax_process._known(xla_cpu_no_such_option=True) == {}


class Network(nn.Module):
  """The layers that treat a batch or its frames in turns."""

  @nn.compact
  def __call__(self, x):
    x = stft.map_frames(jnp.abs, x, 2000, 1000)
    x = x.reshape(*x.shape[:2], 50, 40)[..., :3]  # [batch, frames, bins, 3]
    x = norm.BatchNorm()(conv.Conv(4, (3, 3))(x), pool=(2, 2))
    x = conv.Conv(4, (3, 3))(x)
    return scan_rnn.ScanGRU(5)(x.reshape(*x.shape[:2], -1), last=True).sum()


def test_no_device_needs_the_examples_of_another():
  network = Network()
  x = np.random.default_rng(0).normal(size=(8, 110_000)).astype("float32")
  variables = jax.device_get(network.init(jax.random.key(0), x))

  def step(variables, x):
    def loss(params):
      return network.apply({**variables, "params": params}, x, mutable=True)[0]

    return jax.value_and_grad(loss)(variables["params"])

  found = []
  for devices in (1, 4):
    mesh = sharding.make_mesh(jax.devices()[:devices])
    run = jax_process.JitStep(step, mesh)
    state = jax.device_put(variables, sharding.replicated(mesh))
    batch = jax.device_put(x, sharding.batched(mesh))
    program = run.compile(state, batch).lower(state, batch).compile().as_text()
    assert not re.findall("all-gather|all-to-all|collective-permute", program)
    assert ("all-reduce" in program) == (devices > 1)
    found.append(run(state, batch))
  jax.tree.map(
    partial(np.testing.assert_allclose, rtol=1e-4, atol=1e-5), *found
  )
