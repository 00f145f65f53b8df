"""Measures generated examples against validation examples, epoch by epoch."""

import pathlib
from collections.abc import Callable, Mapping

import jax
import ml_collections
import numpy as np

from gtzan_jax.data import pipeline
from gtzan_jax.gan import adversarial_step, fidelity, judge, sampling
from gtzan_jax.training.state import TrainState

_BLOCK = 512  # examples read at a time


def embed_records(
  embed_fn: judge.EmbedFn, records: pipeline.Records
) -> fidelity.Embeddings:
  """Real examples of a split."""
  blocks = np.split(
    np.arange(len(records)), range(_BLOCK, len(records), _BLOCK)
  )
  return sampling.join(
    embed_fn(records.take(block)["features"], records.labels()[block])
    for block in blocks
  )


def requested(label: np.ndarray, count: int) -> np.ndarray:
  """`[count]` genres in the shares of `label`.

  With other shares the Fréchet distance would include their difference.
  """
  places = np.linspace(0, len(label), count, endpoint=False).astype(int)
  return np.sort(label)[places].astype(np.int32)


def validator(
  config: ml_collections.ConfigDict,
  dataset: pipeline.Dataset,
  task: adversarial_step.Gan,
  records: Mapping[str, pipeline.Records],
  mesh: jax.sharding.Mesh,
  workdir: pathlib.Path,
) -> Callable[[TrainState, Callable[[], None]], dict[str, float]]:
  """(state, check) -> validation scalars; always with the same noise."""
  del mesh  # a few hundred examples: one device is enough
  size = config.eval.batch_size
  embed_fn = judge.load(judge.path_of(config, workdir), size)
  sample = sampling.sampler(task.networks, task.source, dataset.spec)
  train = embed_records(embed_fn, records["train"])
  held_out = embed_records(embed_fn, records["validation"])
  label = requested(held_out.label, config.gan.samples)
  some = np.linspace(0, len(records["validation"]) - 1, size).astype(int)
  real = records["validation"].take(some)

  @jax.jit
  def score(state, batch):
    return task.score(state, task.real(state, batch), batch["label"])

  def validate(state, check):
    state = jax.device_get(state.replace(key=None, opt_state={}))
    blocks = []
    for block in sampling.batches(
      sample,
      task.variables_of(state),
      task.networks.generator.noise,
      label=label,
      seed=config.seed,
      batch_size=size,
    ):
      check()
      blocks.append(block)
    generated = sampling.join(blocks)
    some = np.linspace(0, len(label) - 1, size).astype(int)
    few = {key: value[some] for key, value in generated.items()}
    scores = {"real": score(state, real), "generated": score(state, few)}
    embeddings = embed_fn(generated["features"], label)
    return fidelity.measure(embeddings, held_out, train) | {
      f"score_{name}": float(np.mean(value)) for name, value in scores.items()
    }

  return validate
