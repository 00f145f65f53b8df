"""Settings of the JAX process."""

import os

import jax


def use_compilation_cache(folder: str) -> None:
  """Keeps compiled programs on disk between runs; "" keeps none."""
  if not folder:
    return
  jax.config.update("jax_compilation_cache_dir", os.path.expanduser(folder))
  # The defaults skip small and quick programs: here those are most of them.
  jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
  jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
