"""A report computed anew from predictions, and facts that they do not hold."""

import json
import os
import pathlib
from collections.abc import Mapping

from gtzan_jax import ranges
from gtzan_jax.errors import InputError
from gtzan_jax.reports import report, schema
from gtzan_jax.reports.report import REPORT_FILE
from gtzan_jax.scores import bootstrap, predictions
from gtzan_jax.scores.predictions import Predictions

# What a report is computed from, of whatever version it is.
RAW = {
  "config": {...: object},
  "history": [{...: object}],
  "splits": {
    ranges.FILE: {
      "n": int,
      "missing": int,
      "sha256": (str, type(None)),
      "track": {"n": int, ...: object},
      ...: object,
    }
  },
  ...: object,
}


def rebuild(folder: str | os.PathLike) -> dict:
  """The report of a folder, recomputed from its predictions; run facts and
  history are those of report.json, of any version. Train scores and known
  artists are too, where the train predictions were left out."""
  folder = pathlib.Path(folder)
  stored = load_json(folder / REPORT_FILE)
  check(folder, stored, RAW)
  places = folder / "predictions"
  splits = stored["splits"]
  names = {file.stem for file in places.glob("*.npz")}
  names |= {name for name in scored(splits) if name != "train"}
  order = [*(name for name in splits if name in names), *(names - {*splits})]
  loaded = {name: predictions.load(places / f"{name}.npz") for name in order}
  return from_tables(folder, stored, loaded)


def from_tables(
  where: pathlib.Path, stored: Mapping, loaded: Mapping[str, Predictions]
) -> dict:
  """A report from its facts (`stored`, checked against RAW) and predictions by
  split; scores of a split without predictions stay. Messages name `where`."""
  splits = stored["splits"]
  facts = {
    key: value
    for key, value in stored.items()
    if key not in (*schema.COMPUTED, "history")
  }
  digests = {
    name: predictions.digest(one.track.tolist()) for name, one in loaded.items()
  }
  try:
    built = report.build(
      facts,
      loaded,
      stored["history"],
      missing={name: split["missing"] for name, split in splits.items()},
      sha256={
        name: split["sha256"] and digests.get(name, split["sha256"])
        for name, split in splits.items()
      },
      tracks={
        name: split["n"] for name, split in splits.items() if name not in loaded
      },
      resamples=_resamples(where, stored["config"]),
    )
  except ValueError as error:
    raise InputError(f"{where} holds no report: {error}") from error
  left_out = [name for name in scored(splits) if name not in loaded]
  built["splits"] |= {name: splits[name] for name in left_out}
  if "train" in left_out:
    for name, split in built["splits"].items():
      split["known_artists"] = splits.get(name, {}).get("known_artists")
  if not loaded:
    built["genres"] = stored.get("genres", [])
  return built


def check(where: pathlib.Path, facts: object, spec: Mapping) -> None:
  for problem in schema.violations(facts, spec):
    raise InputError(f"{where} holds no report: {problem}")


def _resamples(where: pathlib.Path, config: Mapping) -> int:
  """The stored number of resamples; an ensemble has no such setting."""
  settings = config.get("eval", {})
  drawn = bootstrap.RESAMPLES
  if isinstance(settings, dict):
    drawn = settings.get("bootstrap", drawn)
  accepted = ranges.CONFIG["eval.bootstrap"]
  if not isinstance(settings, dict) or not accepted.holds(drawn):
    raise InputError(
      f"{where} holds no report: config.eval.bootstrap is to be"
      f" {accepted.accepted}, config.eval is {ranges.brief(settings)}"
    )
  return drawn


def scored(splits: Mapping) -> list[str]:
  return [name for name, split in splits.items() if split["track"]["n"]]


def load_json(file: pathlib.Path) -> object:
  """The content of a JSON file; InputError if it cannot be read."""
  try:
    return json.loads(file.read_text("utf-8"))
  except (OSError, ValueError, RecursionError) as error:
    raise InputError(f"{file} cannot be read: {error}") from error
