"""Evaluates a GAN and writes its report."""

import pathlib
from collections.abc import Mapping

import jax
import ml_collections
import numpy as np

from gtzan_jax.data import pipeline
from gtzan_jax.gan import (
  adversarial_step,
  fidelity,
  generate,
  judge,
  sampling,
  upstream,
  validation,
)
from gtzan_jax.reports import report
from gtzan_jax.scores.predictions import Predictions
from gtzan_jax.training import evaluate as evaluation
from gtzan_jax.training import workdir

# Number of the first example: validation, which chose the checkpoint, uses
# those from 0 to config_ranges.MOST_SAMPLES.
FIRST = 100_000
# A fidelity.nearest below this counts as memorised.
MEMORISED = 0.5


def evaluate(
  path: pathlib.Path, dataset: pipeline.Dataset, mesh: jax.sharding.Mesh
) -> pathlib.Path:
  """Measures generated examples on one device; returns report.html's path."""
  from gtzan_jax.gan import gallery, page  # matplotlib, which no step needs

  run = workdir.load(path)
  about_data = evaluation.facts_of_data(path, run, dataset)
  config = ml_collections.ConfigDict(run["config"])
  workdir.check_unchanged(path, run["built_on"], upstream.find(config))
  generator = generate.load(path)
  judge_path = judge.path_of(config, path)
  if config.gan.judge:
    print(f"judge: {judge_path}, as {path / workdir.RUN_FILE} has it")
  embed_fn = judge.load(judge_path, config.eval.batch_size)
  fields = {generator.source, "features"}
  records = pipeline.load_parts(
    dataset,
    {split: fields for split, ids in dataset.parts.items() if ids},
    config.data.cache_mb,
  )
  real, generated = {}, {}
  for split in records:
    real[split] = validation.embed_records(embed_fn, records[split])
    if split != "train":
      label = validation.requested(real[split].label, config.gan.samples)
      made = sampling.join(generator.examples(label, config.seed, FIRST))
      generated[split] = embed_fn(made["features"], label)
  measures = {
    split: fidelity.measure(generated[split], real[split], real["train"])
    for split in ("validation", "test")
    if split in generated
  }
  judged = {"generated": generated["validation"], "real": real["validation"]}
  shares = {
    name: fidelity.genre_share(x.probabilities, x.label)
    for name, x in judged.items()
  }
  requested = judged["generated"].label
  facts, history = evaluation.facts_of(path, run, mesh)
  task = adversarial_step.create(
    config, dataset, np.ones(len(dataset.genres)), 1
  )
  params = jax.eval_shape(task.init, jax.random.key(0)).params
  facts |= about_data | {
    "num_params": sum(leaf.size for leaf in jax.tree.leaves(params)),
    "gan": {
      "domain": generator.source,
      "generated": len(requested),
      # at most what a constant prediction of the most requested genre gives
      "chance": float(np.bincount(requested).max() / len(requested)),
      **verdicts(measures["validation"]),
      "judge": {
        "recipe": workdir.load(judge_path, judge.KEY)["recipe"],
        "path": str(judge_path),
        "accuracy": shares["real"][0],
      },
      "measures": measures,
      "genre_share": dict(
        zip(dataset.genres, shares["generated"][1], strict=True)
      ),
    },
  }
  predictions = {
    name: _predictions(x, dataset.genres) for name, x in judged.items()
  }
  built = report.build(
    facts,
    predictions,
    history,
    missing=dataset.missing,
    sha256=dataset.sha256,
    tracks={
      split: len({track for track, _ in ids})
      for split, ids in dataset.parts.items()
    },
    resamples=config.eval.bootstrap,
  )
  shown = gallery.build(generator, records["train"], config.seed, first=FIRST)
  return report.write(path, built, predictions, page.content(built, shown))


def verdicts(measures: Mapping[str, float]) -> dict[str, bool]:
  """Warnings of a report, from fidelity's measures."""
  return {
    # a diverged generator has NaN, which is collapse too
    "collapsed": not measures["diversity"] >= fidelity.COLLAPSED,
    "memorised": measures["nearest"] < MEMORISED,
  }


def _predictions(
  judged: fidelity.Embeddings, genres: tuple[str, ...]
) -> Predictions:
  """Each example as a track of one segment."""
  numbers = zip(judged.label, sampling.numbered(judged.label), strict=True)
  names = [f"{genres[genre]}.{index:05d}" for genre, index in numbers]
  return Predictions(
    track=np.array(names, dtype=str),
    segment=np.zeros(len(names), np.int32),
    label=np.asarray(judged.label, np.int32),
    probabilities=judged.probabilities,
    genres=genres,
  )
