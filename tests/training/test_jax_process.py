"""How a step is compiled."""

import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest

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
