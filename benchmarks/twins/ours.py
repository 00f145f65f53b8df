"""The project's own side: a recipe's task, as the training loop runs it."""

from benchmarks.twins import protocol

SPEC, answer = protocol.begin()

# ruff: noqa: E402 (settings of the process come before JAX is imported)
import types

import jax
import numpy as np

from benchmarks.twins import recipes
from gtzan_jax import __version__, features
from gtzan_jax.training import classify, jax_process, sharding


def create(spec, dropout: bool = True):
  """The config and the task of a spec; no data set is opened."""
  config = recipes.config(spec["recipe"], spec["batch_size"], dropout)
  shape, classes = tuple(spec["shape"]), spec["classes"]
  dataset = types.SimpleNamespace(
    spec=features.get(config.data.features),
    genres=tuple(map(str, range(classes))),
    raw=None,
    example_shape=shape,
    columns_per_second=1.0,
    fields={"features": (shape, np.dtype("float32"))},
  )
  build = classify.create
  if config.task == "gan":
    from gtzan_jax.gan import adversarial_step  # the room may be deleted

    build = adversarial_step.create
  return config, build(config, dataset, recipes.EXAMPLES[:classes], 100)


def main() -> None:
  config, task = create(SPEC, dropout=not SPEC.get("check"))
  jax_process.use_compilation_cache(config.log.compilation_cache)
  mesh = sharding.make_mesh()
  replicated = sharding.replicated(mesh)
  state = jax.jit(task.init, out_shardings=replicated)(jax.random.key(0))
  step = jax_process.jit_step(task.train_step, mesh)
  x, label = protocol.batch(SPEC)
  batch = sharding.put({"features": x, "label": label}, mesh)
  versions = {"gtzan_jax": __version__, "jax": jax.__version__}
  facts = {
    "versions": versions,
    "device": sharding.describe(mesh),
    "mib": needed_mib(step.lower(state, batch).compile()),
  }
  box = [state]

  def run() -> None:
    box[0], scalars = step(box[0], batch)
    jax.block_until_ready((box[0], scalars))

  protocol.serve(answer, run, facts)


def needed_mib(compiled) -> int:
  """XLA's peak of a compiled step: state, batch and temporaries."""
  memory = compiled.memory_analysis()
  needed = (
    memory.argument_size_in_bytes
    + memory.output_size_in_bytes
    + memory.temp_size_in_bytes
    - memory.alias_size_in_bytes
  )
  return round(needed / 2**20)


if __name__ == "__main__":
  main()
