"""The project's own side: a recipe's task, as the training loop runs it."""

from benchmarks.twins import protocol

SPEC, answer = protocol.begin()

# ruff: noqa: E402 (the protocol owns standard output from here on)
import types

import jax
import numpy as np
from flax import traverse_util

from benchmarks.twins import recipes
from gtzan_jax import __version__, features
from gtzan_jax.training import allocator, classify, jax_process, sharding


def create(spec):
  """The config and the task of a spec; no data set is opened."""
  check = bool(spec.get("check"))
  config = recipes.config(spec["recipe"], spec["batch_size"], check)
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
  allocator.keep_memory()
  config, task = create(SPEC)
  jax_process.use_compilation_cache(config.log.compilation_cache)
  mesh = sharding.make_mesh()
  state = jax_process.jit_init(task.init, mesh)(jax.random.key(0))
  step = jax_process.JitStep(task.train_step, mesh)
  x, label = protocol.batch(SPEC)
  batch = sharding.put({"features": x, "label": label}, mesh)
  if SPEC.get("check"):
    check(task, step, state, batch)
    return
  versions = {"gtzan_jax": __version__, "jax": jax.__version__}
  facts = {"versions": versions, "device": sharding.describe(mesh)}
  box = [state]

  def run() -> None:
    box[0], scalars = step(box[0], batch)
    jax.block_until_ready((box[0], scalars))

  protocol.serve(answer, run, facts)


def check(task, step, state, batch) -> None:
  """Stores weights, and a GAN's draws, for the twins; answers with losses."""
  draw = np.random.default_rng(1)

  def changed(path, value):
    """No bias is 0 and no scale 1: a twin might not have them."""
    if value.ndim != 1:
      return value
    kind = path[-1].key
    change = draw.uniform(-0.1, 0.1, value.shape).astype("float32")
    return value + change if kind != "var" else value + abs(change)

  state = state.replace(
    params=jax.tree.map_with_path(changed, state.params),
    model_state={
      name: jax.tree.map_with_path(changed, tree)
      if name == "batch_stats"
      else tree
      for name, tree in state.model_state.items()
    },
  )
  arrays = {}
  for tree in (state.params, state.model_state.get("batch_stats", {})):
    flat = traverse_util.flatten_dict(tree, sep="/")
    arrays |= {f"weights/{path}": np.asarray(x) for path, x in flat.items()}
  for number in range(protocol.CHECKED_STEPS):
    if SPEC["task"] == "gan":
      arrays |= draws(task, state.key, number)
  np.savez(SPEC["check"], **arrays)
  box = [state]

  def run(number: int) -> list:
    box[0], scalars = step(box[0], batch)
    return [value for name, value in scalars.items() if name.endswith("_loss")]

  protocol.check(answer, run, lambda: None)


def draws(task, key, number: int) -> dict[str, np.ndarray]:
  """Noise and genres of a GAN's step, as adversarial_step draws them."""
  found = {}
  keys = jax.random.split(jax.random.fold_in(key, number + 1))
  for which, each in enumerate(keys):
    noise_key, label_key = jax.random.split(each)
    size = SPEC["batch_size"], task.networks.generator.noise
    noise = jax.random.normal(noise_key, size)
    label = jax.random.randint(label_key, size[:1], 0, SPEC["classes"])
    prefix = f"draws/{number}/{which}"
    found |= {f"{prefix}/noise": noise, f"{prefix}/label": label}
  return found


if __name__ == "__main__":
  main()
