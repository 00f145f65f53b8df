"""Verified results in small: the runs of a folder in two files, and pages."""

import fnmatch
import os
import pathlib
import shutil
from collections.abc import Mapping

from gtzan_jax import errors
from gtzan_jax.reports import packed_runs, report, stored_runs
from gtzan_jax.scores import packed_predictions, predictions
from gtzan_jax.studies.crossval import measure as crossval
from gtzan_jax.studies.leak import measure as leak
from gtzan_jax.studies.verify import run as verification

_POOLED = "pooled*"  # tables that a cross-validation makes of its folds
# Kept beside the files that `verify` recomputes.
_BESIDE = ("*.png", leak.PLAN_FILE, crossval.FOLDS_FILE)
# How much loss, calibration error and top-3 accuracy may change; 0 is tried
# where that would show on a page.
_TOLERANCES = (packed_predictions.TOLERANCE, 0.0)


def pack(folder: str | os.PathLike, out: str | os.PathLike) -> None:
  """Writes verified results into another folder, all runs in two files (see
  `packed_runs`); probabilities are rounded as far as no page changes."""
  folder, out = pathlib.Path(folder), pathlib.Path(out)
  if out.resolve().is_relative_to(folder.resolve()):
    raise errors.InputError(f"--out={out}: give a folder outside {folder}")
  reports = {
    run.relative_to(folder).as_posix(): stored_runs.read(run)
    for run in stored_runs.find([folder])
  }
  tables = _tables(folder, reports)
  recomputed = [
    file.relative_to(folder)
    for file in verification.find([folder])
    if file.is_relative_to(folder)
    and file.name not in (report.REPORT_FILE, packed_runs.RUNS_FILE)
  ]
  beside = [
    file.relative_to(folder)
    for place in {file.parent for file in recomputed}
    for pattern in _BESIDE
    for file in (folder / place).glob(pattern)
  ]
  for tolerance in _TOLERANCES:
    with errors.writing(f"--out={out}"):
      out.mkdir(parents=True, exist_ok=True)
      packed_runs.write(reports, tables, out, tolerance)
      for file in (*beside, *recomputed):
        (out / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(folder / file, out / file)
      for file in (out / file for file in recomputed if file.suffix == ".json"):
        report.save(file, verification.RECOMPUTED[file.name](file.parent))
    wrong = verification.verify([out]).wrong
    if not wrong:
      return
  raise errors.InputError(f"--out={out}: {wrong[0]}")


def _tables(
  folder: pathlib.Path, reports: Mapping[str, Mapping]
) -> dict[packed_predictions.Key, predictions.Predictions]:
  """Headline predictions of each classifier, and all that have no report."""
  tables = {
    (run, one["headline"]): stored_runs.table(folder / run, one["headline"])
    for run, one in reports.items()
    if one["headline"] and "gan" not in one
  }
  for file in stored_runs.files(folder, packed_runs.RUNS_FILE):
    place = file.parent.relative_to(folder)
    for (run, name), table in packed_runs.study(file.parent).tables.items():
      tables[(place / run).as_posix(), name] = table
  for file in stored_runs.files(folder, "*.npz"):
    run = file.parent.parent
    if (
      file.parent.name == "predictions"
      and not (run / report.REPORT_FILE).exists()
      and not fnmatch.fnmatch(file.stem, _POOLED)
    ):
      name = run.relative_to(folder).as_posix()
      tables[name, file.stem] = predictions.load(file)
  return tables
