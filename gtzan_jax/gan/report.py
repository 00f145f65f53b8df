"""The report of a GAN: what it makes, measured, to be seen and heard."""

import pathlib
from collections.abc import Mapping

import jax
import ml_collections
import numpy as np

from gtzan_jax.data import pipeline
from gtzan_jax.gan import (
  fidelity,
  gallery,
  generate,
  judge,
  page,
  sampling,
  upstream,
)
from gtzan_jax.gan import task as gan
from gtzan_jax.gan import validation as gan_validation
from gtzan_jax.reports import report
from gtzan_jax.scores.predictions import Predictions
from gtzan_jax.training import evaluate as evaluation
from gtzan_jax.training import workdir

# Validation's noise, by which the generator was chosen, begins at 0 and has
# ranges.MOST_SAMPLES at most.
FIRST = 100_000
# Of fidelity's `nearest`: fakes half as far from a train example as real music.
MEMORISED = 0.5


def evaluate(
  path: pathlib.Path, dataset: pipeline.Dataset, mesh: jax.sharding.Mesh
) -> pathlib.Path:
  """Measures what a workdir's GAN generates and writes the report.

  Args:
    path: a workdir that training has been through.
    dataset: the data it was trained on.
    mesh: the devices, of which one is used.

  Returns:
    the path of report.html.

  Raises:
    InputError: no GAN, or data other than the run's.
  """
  run = workdir.load(path)
  about_data = evaluation.facts_of_data(path, run, dataset)
  config = ml_collections.ConfigDict(run["config"])
  workdir.check_unchanged(path, run["built_on"], upstream.find(config))
  generator = generate.load(path)
  judge_path = judge.path_of(config, path)
  if config.gan.judge:
    print(f"judge: {judge_path}, as {path / workdir.RUN_FILE} has it")
  embed_fn = judge.load(judge_path, config.eval.batch_size)
  records = pipeline.load_parts(
    dataset,
    {
      part: {generator.source, "features"}
      for part, ids in dataset.parts.items()
      if ids
    },
    config.data.cache_mb,
  )
  real = {
    part: gan_validation.embed_records(embed_fn, records[part])
    for part in records
  }
  heard = {
    part: _heard(generator, embed_fn, config, real[part].label)
    for part in ("validation", "test")
    if part in real
  }
  measures = {
    part: gan_validation.measure(*one, real[part], real["train"])
    for part, one in heard.items()
  }
  label, seen = heard["validation"]
  facts, history = evaluation.facts_of(path, run, mesh)
  task = gan.create(config, dataset, np.ones(len(dataset.genres)), 1)
  shares = fidelity.genre_share(seen.probabilities, label)[1]
  held_out, found = real["validation"], measures["validation"]
  facts |= about_data | {
    "num_params": _num_params(task),
    "gan": {
      "domain": generator.source,
      "generated": len(label),
      # nobody who hears nothing is right more often than who always answers
      # the genre that is asked for most
      "chance": float(np.bincount(label).max() / len(label)),
      **verdicts(found),
      "judge": {
        "recipe": workdir.load(judge_path, judge.KEY)["recipe"],
        "path": str(judge_path),
        "accuracy": fidelity.genre_share(
          held_out.embeddings.probabilities, held_out.label
        )[0],
      },
      "measures": measures,
      "genre_share": dict(zip(dataset.genres, shares, strict=True)),
    },
  }
  predictions = {
    "generated": _predictions(label, seen, dataset.genres),
    "real": _predictions(held_out.label, held_out.embeddings, dataset.genres),
  }
  built = report.build(
    facts,
    predictions,
    history,
    missing=dataset.missing,
    sha256=dataset.sha256,
    tracks={
      part: len({track for track, _ in ids})
      for part, ids in dataset.parts.items()
    },
    resamples=config.eval.bootstrap,
  )
  shown = gallery.build(generator, records["train"], config.seed, first=FIRST)
  return report.write(path, built, predictions, page.content(built, shown))


def _heard(generator, embed_fn, config, real: np.ndarray) -> tuple:
  """Genres in the shares of a part; what the judge makes of such examples."""
  label = gan_validation.requested(real, config.gan.samples)
  made = sampling.join(list(generator.examples(label, config.seed, FIRST)))
  return label, embed_fn(made["features"])


def verdicts(found: Mapping[str, float]) -> dict[str, bool]:
  """What a report warns of, from gtzan_jax.gan.fidelity's measures."""
  return {
    # a generator that diverged has NaN, which is no diversity either
    "collapsed": not found["diversity"] >= fidelity.COLLAPSED,
    "memorised": found["nearest"] < MEMORISED,
  }


def _num_params(task) -> int:
  """Of both networks."""
  state = jax.eval_shape(task.init, jax.random.key(0))
  return sum(leaf.size for leaf in jax.tree.leaves(state.params))


def _predictions(
  label: np.ndarray, seen: judge.Embeddings, genres: tuple[str, ...]
) -> Predictions:
  """Each example by itself, as a track of one segment."""
  return Predictions(
    track=np.array(
      [
        f"{genres[genre]}.{index:05d}"
        for genre, index in zip(label, sampling.numbered(label), strict=True)
      ],
      dtype=str,
    ),
    segment=np.zeros(len(label), np.int32),
    label=np.asarray(label, np.int32),
    probabilities=seen.probabilities,
    genres=genres,
  )
