"""A report computed anew from predictions, and facts that they do not hold."""

import os
import pathlib
from collections.abc import Mapping

from gtzan_jax import config_ranges
from gtzan_jax.errors import InputError
from gtzan_jax.reports import report, schema
from gtzan_jax.reports.report import REPORT_FILE
from gtzan_jax.scores import bootstrap, predictions
from gtzan_jax.scores.predictions import Predictions

# What a report is computed from, of whatever version it is.
RAW = {
  "config": {
    "eval": {"bootstrap": config_ranges.CONFIG["eval.bootstrap"], ...: object},
    ...: object,
  },
  "history": [{...: object}],
  "splits": {
    config_ranges.FILE: {
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
  stored = schema.read_json(folder / REPORT_FILE, RAW, "evaluate")
  places, splits = folder / "predictions", stored["splits"]
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
  settings = stored["config"].get("eval", {})  # an ensemble has none
  left_out = [name for name in scored(splits) if name not in loaded]
  computed = (*schema.COMPUTED, "history")
  digests = {k: predictions.digest(t.track.tolist()) for k, t in loaded.items()}
  try:
    built = report.build(
      {k: value for k, value in stored.items() if k not in computed},
      loaded,
      stored["history"],
      missing={name: split["missing"] for name, split in splits.items()},
      sha256={
        name: split["sha256"] and digests.get(name, split["sha256"])
        for name, split in splits.items()
      },
      tracks={k: splits[k]["n"] for k in splits if k not in loaded},
      resamples=settings.get("bootstrap", bootstrap.RESAMPLES),
      known_artists={k: splits[k].get("known_artists") for k in splits}
      if "train" in left_out
      else {},
    )
  except ValueError as error:
    raise InputError(f"{where} holds no report: {error}") from error
  built["splits"] |= {name: splits[name] for name in left_out}
  if not loaded:
    built["genres"] = stored.get("genres", [])
  return built


def scored(splits: Mapping) -> list[str]:
  return [name for name, split in splits.items() if split["track"]["n"]]
