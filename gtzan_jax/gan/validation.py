"""How good what a GAN generates is, while it trains and when it has been.

Generated examples are compared with held-out real ones by
gtzan_jax.gan.fidelity, on embeddings of a trained classifier
(gtzan_jax.gan.judge).
"""

import pathlib
from collections.abc import Callable, Mapping
from typing import NamedTuple

import jax
import ml_collections
import numpy as np

from gtzan_jax.data import pipeline
from gtzan_jax.gan import fidelity, judge, sampling
from gtzan_jax.gan import task as gan
from gtzan_jax.training.state import TrainState

JUDGE_FOLDER = "judge"
_BLOCK = 512  # examples read at a time


class Real(NamedTuple):
  """Real examples of a part in the judge's eyes.

  Attributes:
    seen: judge.Seen of n examples.
    label: `[n]`.
  """

  seen: judge.Seen
  label: np.ndarray


def judge_path(
  config: ml_collections.ConfigDict, workdir: pathlib.Path
) -> pathlib.Path:
  """Where the judge of a GAN is: given, or trained for it in its workdir."""
  if config.gan.judge:
    return pathlib.Path(config.gan.judge).expanduser()
  return workdir / JUDGE_FOLDER


def look(see: Callable, records: pipeline.Records) -> Real:
  """All examples of a part in the judge's eyes."""
  seen = []
  for start in range(0, len(records), _BLOCK):
    stop = min(start + _BLOCK, len(records))
    seen.append(see(records.take(np.arange(start, stop))["features"]))
  return Real(judge.join(seen), records.labels())


def wanted(label: np.ndarray, count: int) -> np.ndarray:
  """`[count]` genres in the shares that they have in `label`.

  The Fréchet distance would else measure the difference of the shares too.
  """
  places = np.linspace(0, len(label), count, endpoint=False).astype(int)
  return np.sort(label)[places].astype(np.int32)


def measure(
  label: np.ndarray, seen: judge.Seen, held_out: Real, train: Real
) -> dict[str, float]:
  """Every measure of gtzan_jax.gan.fidelity.

  Args:
    label: `[n]`, the genres of generated examples.
    seen: what the judge makes of them.
    held_out: of real examples that no training has seen.
    train: of the train part.
  """
  return fidelity.measure(
    seen.embedding,
    label,
    seen.probabilities,
    held_out.seen.embedding,
    held_out.label,
    train.seen.embedding,
  )


def validator(
  config: ml_collections.ConfigDict,
  dataset: pipeline.Dataset,
  task: gan.Gan,
  records: Mapping[str, pipeline.Records],
  mesh: jax.sharding.Mesh,
  workdir: pathlib.Path,
) -> Callable[[TrainState, Callable[[], None]], dict[str, float]]:
  """What the loop asks after each epoch: a state's scores on validation.

  The same noise each time, so that what changes is the generator.
  """
  del mesh  # a few hundred examples: one device is enough
  size = config.eval.batch_size
  see = judge.load(judge_path(config, workdir), size)
  sample = sampling.sampler(task.networks, task.source, dataset.spec)
  train = look(see, records["train"])
  held_out = look(see, records["validation"])
  label = wanted(held_out.label, config.gan.samples)
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
      index=sampling.numbered(label),
      seed=config.seed,
      batch_size=size,
    ):
      check()
      blocks.append(block)
    generated = sampling.join(blocks)
    some = np.linspace(0, len(label) - 1, size).astype(int)
    few = {key: value[some] for key, value in generated.items()}
    scores = {"real": score(state, real), "generated": score(state, few)}
    seen = see(generated["features"])
    return measure(label, seen, held_out, train) | {
      f"score_{name}": float(np.mean(value)) for name, value in scores.items()
    }

  return validate
