"""Settings of the JAX process, and how a training step is compiled."""

import os
from collections.abc import Callable

import jax

from gtzan_jax.training import sharding


def use_compilation_cache(folder: str) -> None:
  """Keeps compiled programs on disk between runs; "" keeps none."""
  if not folder:
    return
  jax.config.update("jax_compilation_cache_dir", os.path.expanduser(folder))
  # The defaults skip small and quick programs: here those are most of them.
  jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
  jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)


def jit_step(train_step: Callable, mesh: jax.sharding.Mesh) -> Callable:
  """A task's step, `(state, batch)` -> `(state, scalars)`, for a mesh.

  Parameters are replicated over the mesh; the memory of the state given is
  reused for the state returned.
  """
  everywhere = sharding.replicated(mesh)
  return jax.jit(
    train_step, donate_argnums=0, out_shardings=(everywhere, everywhere)
  )
