"""Accuracy on distorted audio, from predictions of the same tracks."""

import os
import pathlib
from collections.abc import Mapping

from gtzan_jax import config_ranges
from gtzan_jax.audio.distortions import DISTORTIONS, Distortion
from gtzan_jax.reports import schema as report_schema
from gtzan_jax.reports import stored_runs
from gtzan_jax.scores import metrics, paired_tests
from gtzan_jax.scores.predictions import Predictions

FILE = "robustness.json"
CLEAN = "undistorted"


def name(distortion: str, level: float) -> str:
  """Name of a table: "mp3_128", "time_stretch_0.8"."""
  return f"{distortion}_{level:g}"


def build(facts: Mapping, tables: Mapping[str, Predictions]) -> dict:
  """robustness.json: `facts` and scores of tracks by mean probability. `tables`
  has CLEAN and a `name` for each level; differences from CLEAN have a paired
  bootstrap interval over artists and the p of McNemar's exact test."""
  tracks = {key: table.by_track("mean") for key, table in tables.items()}
  clean = tracks[CLEAN]
  scored = metrics.scores(clean, resamples=paired_tests.RESAMPLES)
  return {
    **facts,
    "n": len(clean),
    "clusters": clean.n_clusters,
    "undistorted": {key: scored[key] for key in ("accuracy", "ci95")},
    "distortions": {
      key: {"label": one.label, "levels": levels}
      for key, one in DISTORTIONS.items()
      if (
        levels := [
          _row(level, tracks[name(key, level)], clean)
          for level in one.levels
          if name(key, level) in tracks
        ]
      )
    },
  }


def again(folder: str | os.PathLike) -> dict:
  """Recomputes a folder's robustness.json."""
  folder = pathlib.Path(folder)
  levels = [{"level": float, ...: object}]
  tables = {config_ranges.FILE: {"levels": levels, ...: object}}
  spec = {"distortions": tables, ...: object}
  stored = report_schema.read_json(folder / FILE, spec, "robustness")
  names = [
    name(key, row["level"])
    for key, one in stored["distortions"].items()
    for row in one["levels"]
  ]
  facts = {key: value for key, value in stored.items() if key not in _COMPUTED}
  tables = {key: stored_runs.table(folder, key) for key in (CLEAN, *names)}
  return build(facts, tables)


_COMPUTED = ("n", "clusters", "undistorted", "distortions")


def line(
  kind: Distortion, level: float, table: Predictions, clean: Predictions
) -> str:
  """One level in words."""
  row = _row(level, table.by_track("mean"), clean.by_track("mean"))
  low, high = row["ci95"]
  return (
    f"{kind.label} {level:g}: accuracy {row['accuracy']:.3f},"
    f" {row['difference']:+z.3f} (95 % {low:+z.3f} to {high:+z.3f})"
  )


def _row(level: float, table: Predictions, clean: Predictions) -> dict:
  paired = paired_tests.compare(table, clean)
  return {
    "level": level,
    "accuracy": paired["accuracy_a"],
    "difference": paired["difference"],
    "ci95": paired["ci95"],
    "p": paired["mcnemar"]["p"],
  }
