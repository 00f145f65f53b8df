"""Integrated gradients for files or tracks: of the predicted and the true
genre."""

import dataclasses
import functools
import os
import pathlib
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

import jax
import ml_collections
import numpy as np

from gtzan_jax import errors, features
from gtzan_jax.data import notices, pipeline, standardize
from gtzan_jax.data.open_dataset import open_dataset
from gtzan_jax.errors import InputError, shown
from gtzan_jax.inference import ensemble, inputs, predict
from gtzan_jax.reports import report
from gtzan_jax.scores import metrics
from gtzan_jax.studies.explain import attribution
from gtzan_jax.studies.explain import page as explain_page
from gtzan_jax.studies.explain.page import Explained
from gtzan_jax.training import checkpoint, classify, evaluate, workdir


class Item(NamedTuple):
  """A file or track to explain: float32 [segments, frames, bins]; `genre` is
  None if unknown."""

  name: str
  where: str
  genre: str | None
  examples: np.ndarray


def explain(
  path: pathlib.Path,
  words: Sequence[str],
  config: ml_collections.ConfigDict,
  skipped: list[InputError] | None = None,
) -> pathlib.Path:
  """Explains a network's predictions for files or track ids (default: lowest
  and highest confidence of the headline split) and returns the path of
  explain.html. `skipped` receives the error of each unreadable file. The run's
  data is opened only where it is needed."""
  run = workdir.load(path)
  _check(path, run)

  @functools.cache
  def opened() -> pipeline.Dataset:
    dataset = open_dataset(config)
    evaluate.facts_of_data(path, run, dataset)  # refuses other data
    return dataset

  items, skipped = [], [] if skipped is None else skipped
  for word in words or _extremes(path):
    for item in _items(word, run, opened, config.data):
      (items if isinstance(item, Item) else skipped).append(item)
  if not items:
    raise skipped[0]
  for error in skipped:
    print(f"skipped: {shown(str(error))}", file=sys.stderr)
  model, variables, _ = evaluate.restore_best(path, run)
  baseline = _baseline(run, variables, opened)
  answer = jax.jit(functools.partial(classify.predict, model, variables))
  attribute = attribution.attributor(model, variables)
  explained = []
  for item in items:
    evaluate.check_shape(path, run, item.examples)
    explained.append(_explained(item, run, answer, attribute, baseline))
    print(explain_page.line(explained[-1]))
  best = checkpoint.Store(path / "best")
  facts = {
    **{key: run["config"][key] for key in ("recipe", "seed")},
    "best_epoch": best.facts()["epoch"],
    "features": run["feature_spec"]["name"],
    "steps": attribution.STEPS,
    "baseline": baseline.tolist(),
  }
  best.close()
  with workdir.locked(path):
    page = explain_page.write(path, facts, explained, run)
    if (path / report.REPORT_FILE).exists():
      report.redraw(path)  # which shows the pictures
  return page


def _check(path: pathlib.Path, run: Mapping) -> None:
  task, shape = run["config"]["task"], run["example_shape"]
  if task != "classify":
    raise InputError(
      f"--workdir={path} has config.task={task}: only a classifier network has"
      " gradients that explain its predictions"
    )
  if len(shape) != 2:
    raise InputError(
      f"--workdir={path} takes examples of shape {shape}"
      f" ({run['feature_spec']['name']}): only [frames, bins], such as log-mel,"
      " can be explained in time and frequency"
    )


def _extremes(path: pathlib.Path) -> list[str]:
  """Headline tracks of lowest and highest probability of the true genre."""
  member = ensemble.read(path)
  split = member.report["headline"]
  if split is None:
    raise InputError(
      f"--workdir={path} has no scored split: name files or tracks"
    )
  table = member.predictions[split]
  rows = metrics.hardest(table, len(table))
  return list(dict.fromkeys(rows[i]["track"] for i in (0, -1)))


def _items(
  word: str,
  run: Mapping,
  opened: Callable[[], pipeline.Dataset],
  data: ml_collections.ConfigDict,
) -> Iterator[Item | InputError]:
  """The files or the track of a word; errors for unreadable files."""
  if not os.path.exists(word):
    yield _of_data(word, opened())
    return
  sources, passed_over = predict.find([word], run["kind"], data)
  notices.passed_over(passed_over, sys.stderr)
  for source in sources:
    try:
      with predict.opened(source) as file:
        x = predict.examples(file, run)
    except InputError as error:
      yield error
    else:
      yield Item(errors.shown(source.name), "file", None, x)


def _of_data(track: str, dataset: pipeline.Dataset) -> Item:
  """A track of the prepared data, in any split."""
  for row in dataset.metadata["rows"]:
    if row["id"] == track and row["genre"] in dataset.genres:
      break
  else:
    raise InputError(
      f"{track!r} is neither a file nor a track of the run's data: give files,"
      f" folders or ids such as {dataset.metadata['rows'][0]['id']}"
    )
  ids = tuple((track, segment) for segment in range(row["segments"]))
  alone = dataclasses.replace(dataset, parts={"it": ids})
  records = pipeline.Records(alone, "it", ["features"])
  parts = [part for part, held in dataset.parts.items() if {*ids} & {*held}]
  return Item(
    track,
    f"{' and '.join(parts) or 'no'} split",
    row["genre"],
    records.take(range(len(ids)))["features"],
  )


def _baseline(
  run: Mapping, variables: Mapping, opened: Callable[[], pipeline.Dataset]
) -> np.ndarray:
  """float32 [bins]: the train mean that standardisation subtracts; without
  standardisation it is computed."""
  if run["config"]["data"]["standardize"] != "none":
    (stats,) = variables["input_stats"].values()
    return np.asarray(stats["mean"])
  records = pipeline.Records(opened(), "train", ["features"])
  return standardize.input_statistics(records, "bin")[0]


def _explained(
  item: Item,
  run: Mapping,
  answer: Callable,
  attribute: Callable,
  baseline: np.ndarray,
) -> Explained:
  """Prediction for all segments; attributions of the middle of a file, as many
  segments as a track has."""
  spec = features.FeatureSpec.from_dict(run["feature_spec"])
  size = 1 if spec.whole_clip else inputs.BATCH
  rows = [
    np.asarray(answer(batch))[:n]
    for batch, n in inputs.batches(item.examples, size)
  ]
  probabilities = np.concatenate(rows).astype(np.float64).mean(axis=0)
  genres = run["genres"]
  predicted = genres[int(probabilities.argmax())]
  count = min(len(item.examples), spec.segments_per_track)
  first = (len(item.examples) - count) // 2
  shown = item.examples[first : first + count]
  return Explained(
    name=item.name,
    where=item.where,
    genre=item.genre,
    predicted=predicted,
    probabilities=dict(zip(genres, probabilities.tolist(), strict=True)),
    segments=len(item.examples),
    first=first,
    features=shown,
    attributions={
      genre: [attribute(one, baseline, genres.index(genre)) for one in shown]
      for genre in dict.fromkeys([predicted, item.genre or predicted])
    },
  )
