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


@pytest.mark.parametrize(("side", "is_large"), [(4, False), (300, True)])
def test_large_pictures_are_onednns(side, is_large, monkeypatch):
  jax_process._onednn()  # asked once a process
  options = []

  def jit(*arguments, real=jax.jit, **keywords):
    options.append(keywords.get("compiler_options"))
    return real(*arguments, **keywords)

  monkeypatch.setattr(jax, "jit", jit)
  mesh = sharding.make_mesh(jax.devices()[:1])
  run = jax_process.jit_step(step, mesh)
  state = jax.device_put(jnp.zeros(1), sharding.replicated(mesh))
  batch = sharding.put({"x": np.ones((1, side, side, 1), "float32")}, mesh)["x"]
  with warnings.catch_warnings():
    warnings.simplefilter("error")
    state, total = run(state, batch)
    state, total = run(state, batch)
  assert state == 2
  assert total == pytest.approx(4 * (3 * side - 2) ** 2)
  assert run.eval_shape(state, batch)[1].shape == ()
  used = any(options)
  assert used == (is_large and bool(jax_process._onednn()))


@pytest.mark.parametrize("side", [4, 300])
def test_a_step_that_was_compiled_is_not_compiled_again(side):
  jax_process._onednn()
  compiled = []

  def count(event: str, seconds: float, **_):
    if event.endswith("backend_compile_duration"):
      compiled.append(seconds)

  mesh = sharding.make_mesh(jax.devices()[:1])
  run = jax_process.jit_step(step, mesh)
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


def test_an_option_that_xla_does_not_know_is_left_out(monkeypatch):
  monkeypatch.setattr(jax_process, "_ONEDNN", {"xla_cpu_no_such_option": True})
  jax_process._onednn.cache_clear()
  try:
    assert jax_process._onednn() == {}
  finally:
    jax_process._onednn.cache_clear()
