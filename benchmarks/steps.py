"""Time and memory of one training step of each given recipe.

  python benchmarks/steps.py cnn_gru cnn_lstm [--rounds=15] [--batch_size=32]

On the synthetic corpus. Prints a JSON line for each: the median in ms, the
recipes taken in turns so that a busy machine slows all; `relative` is to the
first. `mib` is XLA's peak for the compiled step: state, batch and temporaries.
"""

import argparse
import json
import statistics
import time

import jax
import numpy as np

from gtzan_jax.data import pipeline
from gtzan_jax.data.open_dataset import open_dataset
from gtzan_jax.training import classify, find_recipe


def prepare(recipe: str, batch_size: int | None):
  """(a function that takes one step, facts of it)."""
  config = find_recipe.load(find_recipe.find(recipe))
  config.data.tracks_per_genre = 4
  config.data.protocol = "filtered"
  if config.model.name == "mobilenet_v2":
    config.train.init_from = "not read here"
  batch_size = batch_size or config.train.batch_size
  dataset = open_dataset(config)
  create = classify.create
  if config.task == "gan":
    from gtzan_jax.gan import adversarial_step  # the room may be deleted

    create = adversarial_step.create
  task = create(config, dataset, np.ones(10), 1)
  records = pipeline.Records(dataset, "train", [task.source])
  ids = np.resize(np.arange(len(records)), batch_size)
  batch = {
    name: value
    for name, value in records.take(ids).items()
    if name in (task.source, "label")
  }
  state = jax.jit(task.init)(jax.random.key(0))
  step = jax.jit(task.train_step).lower(state, batch).compile()
  memory = step.memory_analysis()
  needed = (
    memory.argument_size_in_bytes
    + memory.output_size_in_bytes
    + memory.temp_size_in_bytes
    - memory.alias_size_in_bytes
  )
  facts = {
    "recipe": recipe,
    "batch_size": batch_size,
    "example": list(dataset.example_shape),
    "mib": round(needed / 2**20),
  }
  return lambda: jax.block_until_ready(step(state, batch)), facts


def main() -> None:
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument("recipes", nargs="+")
  parser.add_argument("--rounds", type=int, default=15)
  parser.add_argument("--batch_size", type=int)
  asked = parser.parse_args()
  sides = [prepare(recipe, asked.batch_size) for recipe in asked.recipes]
  times: list[list[float]] = [[] for _ in sides]
  for run, _ in sides:
    run()
  for _ in range(asked.rounds):
    for (run, _), taken in zip(sides, times, strict=True):
      start = time.perf_counter()
      run()
      taken.append(1e3 * (time.perf_counter() - start))
  first = statistics.median(times[0])
  for (_, facts), taken in zip(sides, times, strict=True):
    median = statistics.median(taken)
    print(
      json.dumps(
        facts
        | {"ms": round(median, 1), "relative": round(median / first, 2)}
        | {"rounds": asked.rounds, "device": jax.devices()[0].platform}
      )
    )


if __name__ == "__main__":
  main()
