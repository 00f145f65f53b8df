"""Evaluated runs as they are stored: a folder each, or many in two files.

    F/<run>/report.json  F/<run>/predictions/<split>.npz   as a run leaves them
    F/runs.json  F/predictions.npz    the same of all runs in F, made by `pack`

A packed run is named by the path that its folder had, and whoever reads runs
reads both kinds. Of a packed run there are its facts, a few columns of its
history, and the predictions that its numbers are quoted of; its report is
computed from these. docs/report.md says what is left out.
"""

import fnmatch
import functools
import json
import os
import pathlib
from collections.abc import Iterable, Mapping

from gtzan_jax import atomic, errors, ranges
from gtzan_jax.errors import InputError
from gtzan_jax.reports import report, schema
from gtzan_jax.reports.report import REPORT_FILE
from gtzan_jax.scores import compact, metrics, predictions
from gtzan_jax.scores.predictions import Predictions

RUNS_FILE, TABLES_FILE = "runs.json", "predictions.npz"
# What a report is computed from, of whatever version it is.
_RAW = {
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
_RUNS = {"shared": {...: object}, "runs": {...: {...: object}}}
_COLUMNS = {"history": {...: [object]}, ...: object}
# Of a history and of a split, what is packed.
_HISTORY = ("epoch", "step", "validation/loss", "validation/track_accuracy")
_SPLIT = ("n", "missing", "sha256", "clusters", "known_artists")
_LEVELS = ("segment", "track")
_DIGITS = 5  # of a number in a packed history
_POOLED = "pooled*"  # tables that a cross-validation makes of its folds


def find(paths: Iterable[str | os.PathLike]) -> list[pathlib.Path]:
  """Every run in these folders, at any depth; each once.

  Args:
    paths: folders, or a report.json; of packed runs too.

  Raises:
    InputError: no path, one that does not exist, or one without a run.
  """
  found = {}
  for path in map(pathlib.Path, paths):
    if not path.exists() and not _packed(path):
      raise InputError(f"{path} does not exist: give folders of runs")
    runs = [path.parent] if path.is_file() else below(path)
    if not runs:
      raise InputError(
        f"{path} holds no {REPORT_FILE} at any depth: give folders of runs that"
        " ended"
      )
    found |= {run.resolve(): run for run in runs}
  if not found:
    raise InputError(
      "no run given: give workdirs or folders with workdirs, as"
      " results/leaderboard"
    )
  return list(found.values())


def below(folder: str | os.PathLike) -> list[pathlib.Path]:
  """Every run in a folder, at any depth, by name; none where it has none.

  Raises:
    InputError: see `files`; a damaged runs.json.
  """
  folder, found = pathlib.Path(folder), []
  if folder.is_dir():
    found += [file.parent for file in files(folder, REPORT_FILE)]
    for file in files(folder, RUNS_FILE):
      found += [file.parent / name for name in _study(file.parent).runs]
  if not found and (packed := _packed(folder)):
    study, name = packed
    found = [
      folder / pathlib.PurePath(run).relative_to(name)
      for run in study.runs
      if pathlib.PurePath(run).is_relative_to(name)
    ]
  return sorted(found)


def files(folder: pathlib.Path, pattern: str) -> list[pathlib.Path]:
  """Files of a folder at any depth, by a pattern of their names, in order.

  Raises:
    InputError: a folder that cannot be listed.
  """

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
  """The report of a run, from its report.json or computed.

  Raises:
    InputError: no run there, or a damaged one.
  """
  path = pathlib.Path(path)
  if (path / REPORT_FILE).exists():
    return report.read(path / REPORT_FILE)
  if packed := _packed(path):
    study, name = packed
    if name in study.runs:
      return study.report(name)
  if not path.is_dir():
    raise InputError(f"{path}: no such folder; train first")
  inner = [run for run in below(path) if run.parent == path]
  remedy = (
    f"give the runs in it, as {path / '*'}" if inner else "evaluate it first"
  )
  raise InputError(f"{path} holds no {REPORT_FILE}: {remedy}")


def table(path: str | os.PathLike, name: str) -> Predictions:
  """One table of predictions in the folder of a run.

  Args:
    path: the folder that has, or had, predictions/.
    name: of a split, or of a distortion.

  Raises:
    InputError: no such table, or a damaged one.
  """
  path = pathlib.Path(path)
  file = path / "predictions" / f"{name}.npz"
  if not file.exists() and (packed := _packed(path)):
    study, run = packed
    if (run, name) in study.tables:
      return study.tables[run, name]
  return predictions.load(file)


def tables(path: str | os.PathLike, found: Mapping) -> dict[str, Predictions]:
  """The tables behind a report; those of the train split may be left out.

  Args:
    path: of a run.
    found: its report.

  Raises:
    InputError: see `table`.
  """
  path = pathlib.Path(path)
  names = _scored(found["splits"])
  if (path / REPORT_FILE).exists():
    stored = path / "predictions"
    return {
      name: table(path, name)
      for name in names
      if name != "train" or (stored / f"{name}.npz").exists()
    }
  study, run = _packed(path)
  return study.of(run)


def rebuild(folder: str | os.PathLike) -> dict:
  """The report of a folder, computed anew from its predictions.

  Facts of the run and its history are those of report.json, be it of an older
  version. The train split's predictions may have been left out: its numbers,
  and how much of the others its artists made, are then those of report.json.

  Raises:
    InputError: no report.json, or none that can be read; no predictions of
      another split that it has numbers of.
  """
  folder = pathlib.Path(folder)
  stored = load_json(folder / REPORT_FILE)
  _check(folder, stored, _RAW)
  places = folder / "predictions"
  splits = stored["splits"]
  names = {file.stem for file in places.glob("*.npz")}
  names |= {name for name in _scored(splits) if name != "train"}
  order = [*(name for name in splits if name in names), *(names - {*splits})]
  loaded = {name: predictions.load(places / f"{name}.npz") for name in order}
  return _rebuilt(folder, stored, loaded)


def again(folder: str | os.PathLike) -> dict:
  """What the runs.json of a folder would hold if it were written now.

  Raises:
    InputError: it or the predictions beside it cannot be read.
  """
  study = _study(pathlib.Path(folder))
  return _shared({name: _facts(study.report(name)) for name in study.runs})


def load_json(file: pathlib.Path) -> object:
  """What a JSON file holds.

  Raises:
    InputError: it cannot be read.
  """
  try:
    return json.loads(file.read_text("utf-8"))
  except (OSError, ValueError, RecursionError) as error:
    raise InputError(f"{file} cannot be read: {error}") from error


def pack(
  folder: str | os.PathLike,
  out: str | os.PathLike,
  tolerance: float = compact.TOLERANCE,
) -> None:
  """Writes all runs of a folder as runs.json and predictions.npz.

  Args:
    folder: with runs, packed or not, at any depth.
    out: created where it does not exist.
    tolerance: see `compact.save`.

  Raises:
    InputError: no run in it, a damaged one, or `out` cannot be written.
  """
  folder, out = pathlib.Path(folder), pathlib.Path(out)
  runs, held = {}, {}
  for path in find([folder]):
    name = path.relative_to(folder).as_posix()
    found = read(path)
    runs[name] = _facts(found)
    # Those of a GAN are examples that a classifier was shown, not tracks.
    if (split := found["headline"]) and "gan" not in found:
      held[name, split] = table(path, split)
  for file in files(folder, RUNS_FILE):
    study, place = _study(file.parent), file.parent.relative_to(folder)
    for run, split in study.tables:
      held[(place / run).as_posix(), split] = study.tables[run, split]
  for path in files(folder, "*.npz"):
    run = path.parent.parent
    if path.parent.name == "predictions" and not (
      (run / REPORT_FILE).exists() or fnmatch.fnmatch(path.stem, _POOLED)
    ):
      held[run.relative_to(folder).as_posix(), path.stem] = predictions.load(
        path
      )
  found = _shared(runs)
  text = ",\n".join(
    f"{_text(name)}: {_text(run)}" for name, run in found["runs"].items()
  )
  with errors.writing(f"--out={out}"):
    out.mkdir(parents=True, exist_ok=True)
    compact.save(out / TABLES_FILE, held, tolerance)
    atomic.write(
      out / RUNS_FILE,
      f'{{"shared": {_text(found["shared"])},\n"runs": {{\n{text}\n}}}}\n',
    )


def _text(value: object) -> str:
  return json.dumps(value, allow_nan=False, ensure_ascii=False)


class _Study:
  """What `pack` wrote; reports are computed once."""

  def __init__(self, folder: pathlib.Path):
    self.folder = folder
    found = schema.read_json(folder / RUNS_FILE, _RUNS, "verify")
    self.runs = {
      name: _merged(found["shared"], own) for name, own in found["runs"].items()
    }
    self.tables = compact.Tables(folder / TABLES_FILE)
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
      facts = {
        **facts,
        "history": [dict(zip(columns, row, strict=True)) for row in rows],
      }
      _check(where, facts, _RAW)
      self._reports[run] = _rebuilt(where, facts, self.of(run))
    return self._reports[run]


def _packed(path: pathlib.Path) -> tuple[_Study, str] | None:
  """The packed study that a folder is, or was, in; and its path in there."""
  path = pathlib.Path(os.path.abspath(path))
  for folder in (path, *path.parents):
    if (folder / RUNS_FILE).is_file() and (folder / TABLES_FILE).is_file():
      return _study(folder), path.relative_to(folder).as_posix()
  return None


def _study(folder: pathlib.Path) -> _Study:
  folder = pathlib.Path(os.path.abspath(folder))
  times = [
    file.stat().st_mtime_ns if file.exists() else 0
    for file in (folder / RUNS_FILE, folder / TABLES_FILE)
  ]
  return _opened(folder, *times)


@functools.lru_cache(maxsize=16)
def _opened(folder: pathlib.Path, *_: int) -> _Study:
  return _Study(folder)


def _facts(found: Mapping) -> dict:
  """What is packed of a report."""
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


def _rebuilt(
  where: pathlib.Path, stored: Mapping, loaded: Mapping[str, Predictions]
) -> dict:
  """A report from its facts and its tables."""
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
  left_out = [name for name in _scored(splits) if name not in loaded]
  built["splits"] |= {name: splits[name] for name in left_out}
  if "train" in left_out:
    for name, split in built["splits"].items():
      split["known_artists"] = splits.get(name, {}).get("known_artists")
  if not loaded:
    built["genres"] = stored.get("genres", [])
  return built


def _check(where: pathlib.Path, facts: object, spec: Mapping) -> None:
  for problem in schema.violations(facts, spec):
    raise InputError(f"{where} holds no report: {problem}")


def _resamples(where: pathlib.Path, config: Mapping) -> int:
  """How many the run was reported with; an ensemble has no such setting."""
  settings = config.get("eval", {})
  drawn = metrics.RESAMPLES
  if isinstance(settings, dict):
    drawn = settings.get("bootstrap", drawn)
  accepted = ranges.CONFIG["eval.bootstrap"]
  if not isinstance(settings, dict) or not accepted.holds(drawn):
    raise InputError(
      f"{where} holds no report: config.eval.bootstrap is to be"
      f" {accepted.accepted}, config.eval is {ranges.brief(settings)}"
    )
  return drawn


def _scored(splits: Mapping) -> list[str]:
  return [name for name, split in splits.items() if split["track"]["n"]]


_ABSENT = object()


def _shared(runs: Mapping[str, dict]) -> dict:
  """What all runs have alike, once, and what each has beside it."""
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
