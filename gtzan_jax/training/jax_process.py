"""Settings of the JAX process, and how a training step is compiled."""

import functools
import os
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
from absl import logging

from gtzan_jax.training import sharding

_ONEDNN = {"xla_cpu_experimental_onednn_custom_call": True}


def use_compilation_cache(folder: str) -> None:
  """Keeps compiled programs on disk between runs; "" keeps none."""
  if not folder:
    return
  jax.config.update("jax_compilation_cache_dir", os.path.expanduser(folder))
  # The defaults skip small and quick programs: here those are most of them.
  jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
  jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)


def jit_init(init: Callable, mesh: jax.sharding.Mesh) -> Callable:
  """A task's `key` -> state before the first step, replicated over a mesh."""
  return jax.jit(init, out_shardings=sharding.replicated(mesh))


def jit_step(step: Callable, mesh: jax.sharding.Mesh) -> Callable:
  """A task's step, `(state, batch)` -> `(state, scalars)`, for a mesh.

  Parameters are replicated over the mesh; the memory of the state given is
  reused for the state returned.
  """
  everywhere = sharding.replicated(mesh)
  return jax.jit(
    step,
    donate_argnums=0,
    out_shardings=(everywhere, everywhere),
    compiler_options=dict(_compiler_options()),
  )


@functools.cache
def _compiler_options() -> Mapping[str, bool]:
  """What a step is compiled with: oneDNN's convolutions on a CPU, if known."""
  if jax.default_backend() != "cpu":
    return {}
  try:  # XLA refuses an option that it does not know
    jax.jit(lambda x: x, compiler_options=_ONEDNN).lower(0.0).compile()
  except jax.errors.JaxRuntimeError as error:
    logging.info("steps are compiled without oneDNN: %s", error)
    return {}
  return _ONEDNN


def trace(
  init: Callable,
  step: Callable,
  fields: Mapping[str, tuple],
  batch_size: int,
) -> Any:
  """Traces a task's first step, as the loop runs it, without computing it.

  `fields` has (shape, dtype) of each array of an example but the label. Returns
  the shapes of the state; raises what `step` raises.
  """
  mesh = sharding.make_mesh()
  batch = {
    name: jax.ShapeDtypeStruct(
      (batch_size, *shape), dtype, sharding=sharding.batched(mesh)
    )
    for name, (shape, dtype) in {**fields, "label": ((), jnp.int32)}.items()
  }
  state = jit_init(init, mesh).eval_shape(jax.random.key(0))
  jit_step(step, mesh).eval_shape(state, batch)
  return state
