"""Settings of the JAX process, and how a training step is compiled."""

import functools
import math
import os
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
from absl import logging
from jax import lax

from gtzan_jax.training import allocator, sharding

_PRODUCTS = {
  "xla_cpu_use_onednn": True,
  "xla_cpu_experimental_onednn_fusion_type": "LIBRARY_FUSION_TYPE_DOT",
}
_CONVOLUTIONS = {"xla_cpu_experimental_onednn_custom_call": True, **_PRODUCTS}
# XLA's options for oneDNN by what a step has to have, and on how many positions
# (values over channels). On fewer nothing is gained: resnet has 54,080,
# slice_cnn 45,000, gan_mel_conv 66,560. Nor with products of matrices alone
# (lstm, fcn); those of attention are of batches (transformer: 33,024).
_ONEDNN = (
  (lax.conv_general_dilated_p, 60_000, _CONVOLUTIONS),
  (lax.dot_general_p, 30_000, _PRODUCTS),
)


def use_compilation_cache(folder: str) -> None:
  """Keeps compiled programs on disk between runs; "" keeps none."""
  if not folder:
    return
  jax.config.update("jax_compilation_cache_dir", os.path.expanduser(folder))
  # The defaults skip small and quick programs: here those are most of them.
  jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
  jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)


def jit_init(init: Callable, mesh: jax.sharding.Mesh) -> Any:
  """A task's `key` -> state before the first step, replicated over a mesh."""
  return jax.jit(init, out_shardings=sharding.replicated(mesh))


class JitStep:
  """A task's step, `(state, batch)` -> `(state, scalars)`, for a mesh.

  Parameters are replicated over the mesh; the memory of the state given is
  reused for the state returned. On a CPU the convolutions and products of a
  step with large pictures or attention are oneDNN's, where this jaxlib has
  them: up to a third of the step. Such a program cannot be kept on disk: it is
  compiled in every run. Before steps 1, 2, 4, 8... the process returns memory
  that earlier ones left behind.
  """

  def __init__(self, step: Callable, mesh: jax.sharding.Mesh):
    everywhere = sharding.replicated(mesh)
    self._jit = functools.partial(
      jax.jit,
      sharding.within(mesh, step),
      donate_argnums=0,
      out_shardings=(everywhere, everywhere),
    )
    self._plain = self._jit()
    self._chosen: Callable | None = None
    self._calls = 0

  def __call__(self, state: Any, batch: Any) -> tuple[Any, Any]:
    calls = self._calls
    if calls and calls & (calls - 1) == 0 and allocator.keeps():
      jax.block_until_ready(state)
      allocator.release_unused()
    self._calls += 1
    step = self._chosen or self.compile(state, batch)
    return step(state, batch)

  def compile(self, state: Any, batch: Any) -> Callable:
    """Compiles the step for arrays of these shapes, as the first call would."""
    chosen = self._choose(state, batch)
    with warnings.catch_warnings():
      warnings.filterwarnings("ignore", "Error writing persistent compilation")
      chosen.lower(state, batch).compile()
    self._chosen = chosen
    return chosen

  def eval_shape(self, state: Any, batch: Any) -> tuple[Any, Any]:
    """The shapes of what the step returns, by tracing."""
    return self._plain.eval_shape(state, batch)

  def _choose(self, state: Any, batch: Any) -> Any:
    if jax.default_backend() != "cpu":
      return self._plain
    traced = self._plain.trace(state, batch)
    largest = _largest(traced.jaxpr.jaxpr)
    for kind, positions, options in _ONEDNN:
      if largest[kind] >= positions:
        return self._jit(compiler_options=_known(**options))
    return self._plain


def _largest(jaxpr: Any) -> dict:
  """Positions of the largest convolution and product of batches in a program.

  They are those of the output: all axes but the channels.
  """
  largest = {kind: 0 for kind, *_ in _ONEDNN}
  for equation in jaxpr.eqns:
    kind = equation.primitive
    if kind in largest:
      shape = equation.outvars[0].aval.shape
      numbers = equation.params["dimension_numbers"]
      if kind is lax.conv_general_dilated_p:
        channels = shape[numbers.out_spec[1]]
      else:
        batches = numbers[1][0]
        channels = shape[-1] if batches else math.inf
      positions = math.prod(shape) // max(channels, 1)
      largest[kind] = max(largest[kind], positions)
    for inner in jax.tree.leaves(
      list(equation.params.values()), is_leaf=lambda x: hasattr(x, "jaxpr")
    ):
      inner = getattr(inner, "jaxpr", inner)
      if hasattr(inner, "eqns"):
        for kind, positions in _largest(inner).items():
          largest[kind] = max(largest[kind], positions)
  return largest


@functools.cache
def _known(**options: bool | str) -> dict:
  """The compiler options given if XLA knows them, else none."""
  try:
    jax.jit(lambda x: x, compiler_options=options).lower(0.0).compile()
  except jax.errors.JaxRuntimeError as error:
    logging.info("steps are compiled without oneDNN: %s", error)
    return {}
  return options


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
  state = jit_init(init, mesh).eval_shape(jax.random.key(0))
  JitStep(step, mesh).eval_shape(state, batch_shapes(fields, batch_size, mesh))
  return state


def batch_shapes(
  fields: Mapping[str, tuple], batch_size: int, mesh: jax.sharding.Mesh
) -> dict[str, jax.ShapeDtypeStruct]:
  """The shapes of a batch for a step; `fields` as in `trace`."""
  return {
    name: jax.ShapeDtypeStruct(
      (batch_size, *shape), dtype, sharding=sharding.batched(mesh)
    )
    for name, (shape, dtype) in {**fields, "label": ((), jnp.int32)}.items()
  }
