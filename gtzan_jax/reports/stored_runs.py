"""Stored evaluated runs, in run folders or packed; all functions read both.

F/<run>/report.json  F/<run>/predictions/<split>.npz   a run folder
F/runs.json  F/predictions.npz   all runs in F, packed (see `packed_runs`)
"""

import fnmatch
import os
import pathlib
from collections.abc import Iterable, Mapping

from gtzan_jax import errors
from gtzan_jax.errors import InputError
from gtzan_jax.reports import packed_runs, rebuild, report
from gtzan_jax.reports.report import REPORT_FILE
from gtzan_jax.scores import predictions
from gtzan_jax.scores.predictions import Predictions


def find(paths: Iterable[str | os.PathLike]) -> list[pathlib.Path]:
  """Every run in folders or report.json files, at any depth, each once; paths
  of packed runs need not exist. InputError for a path without a run."""
  every = {}
  for path in map(pathlib.Path, paths):
    if not path.exists() and not packed_runs.around(path):
      raise InputError(f"{path} does not exist: give folders of runs")
    runs = [path.parent] if path.is_file() else below(path)
    if not runs:
      raise InputError(
        f"{path} holds no {REPORT_FILE} at any depth: give folders of"
        " finished runs"
      )
    every |= {run.resolve(): run for run in runs}
  if not every:
    raise InputError(
      "no run given: give run folders, or folders that contain them, such as"
      " results/leaderboard"
    )
  return list(every.values())


def below(folder: str | os.PathLike) -> list[pathlib.Path]:
  """Every run in a folder, at any depth, sorted by path."""
  folder, runs = pathlib.Path(folder), []
  if folder.is_dir():
    runs += [file.parent for file in files(folder, REPORT_FILE)]
    for file in files(folder, packed_runs.RUNS_FILE):
      runs += [file.parent / run for run in packed_runs.study(file.parent).runs]
  if not runs and (holder := packed_runs.around(folder)):
    study, name = holder
    packed = map(pathlib.PurePath, study.runs)
    inside = (run for run in packed if run.is_relative_to(name))
    runs = [folder / run.relative_to(name) for run in inside]
  return sorted(runs)


def files(folder: pathlib.Path, pattern: str) -> list[pathlib.Path]:
  """Files in a folder, at any depth, whose names match a pattern, sorted."""

  def refuse(error: OSError) -> None:
    raise InputError(
      f"{errors.shown(error.filename)} cannot be listed: {error.strerror}"
    )

  return sorted(
    pathlib.Path(top, name)
    for top, _, names in os.walk(folder, onerror=refuse)
    for name in fnmatch.filter(names, pattern)
  )


def read(path: str | os.PathLike) -> dict:
  """The report of a run: its report.json, or rebuilt for a packed run."""
  path = pathlib.Path(path)
  if (path / REPORT_FILE).exists():
    return report.read(path / REPORT_FILE)
  if holder := packed_runs.around(path):
    study, name = holder
    if name in study.runs:
      return study.report(name)
  if not path.is_dir():
    raise InputError(f"{path}: no such folder; train first")
  remedy = "evaluate it first"
  if inner := [run for run in below(path) if run.parent == path]:
    remedy = f"give the runs in it, as {inner[0]}"
  raise InputError(f"{path} holds no {REPORT_FILE}: {remedy}")


def table(path: str | os.PathLike, name: str) -> Predictions:
  """Predictions of a run for a split or a distortion (docs/measures.md)."""
  path = pathlib.Path(path)
  file = path / "predictions" / f"{name}.npz"
  if not file.exists() and (holder := packed_runs.around(path)):
    study, run = holder
    if (run, name) in study.tables:
      return study.tables[run, name]
  return predictions.load(file)


def tables(path: str | os.PathLike, facts: Mapping) -> dict[str, Predictions]:
  """The predictions that a report is computed from; train may be absent."""
  path = pathlib.Path(path)
  names = rebuild.scored(facts["splits"])
  if (path / REPORT_FILE).exists():
    stored = path / "predictions"
    return {
      name: table(path, name)
      for name in names
      if name != "train" or (stored / f"{name}.npz").exists()
    }
  holder = packed_runs.around(path)
  assert holder  # without one, the run would have no report
  study, run = holder
  return study.of(run)
