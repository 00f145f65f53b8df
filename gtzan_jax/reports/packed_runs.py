"""Many runs in two files, F/runs.json and F/predictions.npz.

They hold facts, a few columns of the history, and predictions, from which the
report is computed. docs/report.md lists what is left out.
"""

import functools
import json
import os
import pathlib
from collections.abc import Mapping
from typing import Any

from gtzan_jax import atomic
from gtzan_jax.errors import InputError
from gtzan_jax.reports import rebuild, schema
from gtzan_jax.scores import packed_predictions
from gtzan_jax.scores.predictions import Predictions

RUNS_FILE, TABLES_FILE = "runs.json", "predictions.npz"
_RUNS = {"shared": {...: object}, "runs": {...: {...: object}}}
_COLUMNS = {"history": {...: [object]}, ...: object}
# Of a history and of a split, what is packed.
_HISTORY = ("epoch", "step", "validation/loss", "validation/track_accuracy")
_SPLIT = ("n", "missing", "sha256", "clusters", "known_artists")
_LEVELS, _NUMBERS = ("segment", "track"), ("n", "accuracy")
_DIGITS = 5  # of a number in a packed history


def write(
  reports: Mapping[str, Mapping],
  tables: Mapping[packed_predictions.Key, Predictions],
  out: pathlib.Path,
  tolerance: float,
) -> None:
  """Writes both files from {path of a run: report} and {(path, name):
  predictions}; see `packed_predictions.save` for `tolerance`."""
  packed = _packed(reports)
  shared, runs = _text(packed["shared"]), packed["runs"].items()
  text = ",\n".join(f"{_text(name)}: {_text(own)}" for name, own in runs)
  packed_predictions.save(out / TABLES_FILE, tables, tolerance)
  content = f'{{"shared": {shared},\n"runs": {{\n{text}\n}}}}\n'
  atomic.write(out / RUNS_FILE, content)


def again(folder: str | os.PathLike) -> dict:
  """Recomputes the runs.json of a folder."""
  packed = study(folder)
  return _packed({name: packed.report(name) for name in packed.runs})


class Study:
  """A packed study; reports are computed once."""

  def __init__(self, folder: pathlib.Path):
    self.folder = folder
    packed = schema.read_json(folder / RUNS_FILE, _RUNS, "verify")
    shared, runs = packed["shared"], packed["runs"]
    self.runs = {name: _merged(shared, own) for name, own in runs.items()}
    self.tables = packed_predictions.Tables(folder / TABLES_FILE)
    self._reports = {}

  def of(self, run: str) -> dict[str, Predictions]:
    return {
      split: self.tables[run, split]
      for name, split in self.tables
      if name == run
    }

  def report(self, run: str) -> dict:
    if run not in self._reports:
      facts, where = self.runs[run], self.folder / run
      _check(where, facts, _COLUMNS)
      columns = facts["history"]
      rows = zip(*columns.values(), strict=False)
      history = [dict(zip(columns, row, strict=True)) for row in rows]
      facts = {**facts, "history": history}
      _check(where, facts, rebuild.RAW)
      self._reports[run] = rebuild.from_tables(where, facts, self.of(run))
    return self._reports[run]


def _check(where: pathlib.Path, facts: object, spec: Mapping) -> None:
  for problem in schema.violations(facts, spec):
    raise InputError(f"{where} holds no report: {problem}")


def around(path: pathlib.Path) -> tuple[Study, str] | None:
  """The packed study that has, or replaced, a folder, and its path there."""
  path = pathlib.Path(os.path.abspath(path))
  for folder in (path, *path.parents):
    if (folder / RUNS_FILE).is_file() and (folder / TABLES_FILE).is_file():
      return study(folder), path.relative_to(folder).as_posix()
  return None


def study(folder: str | os.PathLike) -> Study:
  """The packed study in a folder."""
  folder = pathlib.Path(os.path.abspath(folder))
  times = [
    file.stat().st_mtime_ns if file.exists() else 0
    for file in (folder / RUNS_FILE, folder / TABLES_FILE)
  ]
  return _opened(folder, *times)


@functools.lru_cache(maxsize=16)
def _opened(folder: pathlib.Path, *_: int) -> Study:
  return Study(folder)


def _packed(reports: Mapping[str, Mapping]) -> dict:
  """What all runs share, once, and what each has besides."""
  runs = {name: _facts(report) for name, report in reports.items()}
  shared = _alike(*runs.values())
  beside = {name: _beside(facts, shared) for name, facts in runs.items()}
  return {"shared": shared, "runs": beside}


def _facts(report: Mapping) -> dict:
  """The packed facts of a report."""
  history = report["history"]
  columns = [key for key in _HISTORY if any(key in row for row in history)]
  others = report.keys() - {"splits", "calibration", "history"}
  return {
    **{key: value for key, value in report.items() if key in others},
    "splits": {name: _split(split) for name, split in report["splits"].items()},
    "history": {
      key: [_rounded(row.get(key)) for row in history] for key in columns
    },
  }


def _split(split: Mapping) -> dict:
  accuracies = {
    level: {key: x for key, x in split[level].items() if key in _NUMBERS}
    for level in _LEVELS
  }
  return {key: split[key] for key in _SPLIT} | accuracies


def _rounded(value: object) -> object:
  return float(f"{value:.{_DIGITS}g}") if isinstance(value, float) else value


def _text(value: object) -> str:
  return json.dumps(value, allow_nan=False, ensure_ascii=False)


_ABSENT = object()


def _alike(first: Any, *others: Any) -> Any:
  """What all values have in common, of dicts key by key."""
  if all(isinstance(value, dict) for value in (first, *others)):
    inner = {
      key: _alike(value, *(other.get(key, _ABSENT) for other in others))
      for key, value in first.items()
    }
    return {key: one for key, one in inner.items() if one is not _ABSENT}
  same = all(type(one) is type(first) and one == first for one in others)
  return first if same else _ABSENT


def _beside(own: Mapping, alike: Mapping) -> dict:
  beside = {}
  for key, value in own.items():
    if key not in alike:
      beside[key] = value
    elif isinstance(value, dict) and (inner := _beside(value, alike[key])):
      beside[key] = inner
  return beside


def _merged(alike: Mapping, own: Mapping) -> dict:
  merged = {**alike}
  for key, value in own.items():
    if isinstance(value, dict) and isinstance(alike.get(key), dict):
      value = _merged(alike[key], value)
    merged[key] = value
  return merged
