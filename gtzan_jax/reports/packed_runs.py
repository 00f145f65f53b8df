"""Many runs in two files, F/runs.json and F/predictions.npz.

They hold facts, a few columns of the history, and predictions, from which the
report is computed. docs/report.md lists what is left out.
"""

import functools
import json
import os
import pathlib
from collections.abc import Mapping

from gtzan_jax import atomic
from gtzan_jax.reports import rebuild, schema
from gtzan_jax.scores import packed_predictions
from gtzan_jax.scores.predictions import Predictions

RUNS_FILE, TABLES_FILE = "runs.json", "predictions.npz"
_RUNS = {"shared": {...: object}, "runs": {...: {...: object}}}
_COLUMNS = {"history": {...: [object]}, ...: object}
# Of a history and of a split, what is packed.
_HISTORY = ("epoch", "step", "validation/loss", "validation/track_accuracy")
_SPLIT = ("n", "missing", "sha256", "clusters", "known_artists")
_LEVELS = ("segment", "track")
_DIGITS = 5  # of a number in a packed history


def write(
  reports: Mapping[str, Mapping],
  tables: Mapping[packed_predictions.Key, Predictions],
  out: pathlib.Path,
  tolerance: float,
) -> None:
  """Writes both files from {path of a run: report} and {(path, name):
  predictions}; see `packed_predictions.save` for `tolerance`."""
  found = _shared({name: _facts(one) for name, one in reports.items()})
  text = ",\n".join(
    f"{_text(name)}: {_text(run)}" for name, run in found["runs"].items()
  )
  packed_predictions.save(out / TABLES_FILE, tables, tolerance)
  atomic.write(
    out / RUNS_FILE,
    f'{{"shared": {_text(found["shared"])},\n"runs": {{\n{text}\n}}}}\n',
  )


def again(folder: str | os.PathLike) -> dict:
  """Recomputes the runs.json of a folder."""
  found = study(folder)
  return _shared({name: _facts(found.report(name)) for name in found.runs})


class Study:
  """A packed study; reports are computed once."""

  def __init__(self, folder: pathlib.Path):
    self.folder = folder
    found = schema.read_json(folder / RUNS_FILE, _RUNS, "verify")
    self.runs = {
      name: _merged(found["shared"], own) for name, own in found["runs"].items()
    }
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
      rebuild.check(where, facts, _COLUMNS)
      columns = facts["history"]
      rows = zip(*columns.values(), strict=False)
      facts = {
        **facts,
        "history": [dict(zip(columns, row, strict=True)) for row in rows],
      }
      rebuild.check(where, facts, rebuild.RAW)
      self._reports[run] = rebuild.from_tables(where, facts, self.of(run))
    return self._reports[run]


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


def _facts(found: Mapping) -> dict:
  """The packed facts of a report."""
  columns = [
    key for key in _HISTORY if any(key in row for row in found["history"])
  ]
  return {
    **{
      key: value
      for key, value in found.items()
      if key not in ("splits", "calibration", "history")
    },
    "splits": {
      name: {
        **{key: split[key] for key in _SPLIT},
        **{
          level: {
            key: split[level][key]
            for key in ("n", "accuracy")
            if key in split[level]
          }
          for level in _LEVELS
        },
      }
      for name, split in found["splits"].items()
    },
    "history": {
      key: [_rounded(row.get(key)) for row in found["history"]]
      for key in columns
    },
  }


def _rounded(value: object) -> object:
  return float(f"{value:.{_DIGITS}g}") if isinstance(value, float) else value


def _text(value: object) -> str:
  return json.dumps(value, allow_nan=False, ensure_ascii=False)


_ABSENT = object()


def _shared(runs: Mapping[str, dict]) -> dict:
  """What all runs share, once, and what each has besides."""
  alike = _alike(list(runs.values()))
  return {
    "shared": alike,
    "runs": {name: _beside(run, alike) for name, run in runs.items()},
  }


def _alike(values: list) -> object:
  first, *others = values
  if all(isinstance(one, dict) for one in values):
    inner = {
      key: _alike([one[key] for one in values])
      for key in first
      if all(key in one for one in others)
    }
    return {key: one for key, one in inner.items() if one is not _ABSENT}
  if all(type(one) is type(first) and one == first for one in others):
    return first
  return _ABSENT


def _beside(own: Mapping, alike: Mapping) -> dict:
  found = {}
  for key, value in own.items():
    if key not in alike:
      found[key] = value
    elif isinstance(value, dict) and (inner := _beside(value, alike[key])):
      found[key] = inner
  return found


def _merged(alike: Mapping, own: Mapping) -> dict:
  found = {**alike}
  for key, value in own.items():
    if isinstance(value, dict) and isinstance(alike.get(key), dict):
      value = _merged(alike[key], value)
    found[key] = value
  return found
