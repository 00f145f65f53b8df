"""Recomputes stored results from their predictions.

Facts that predictions lack (history, seconds, parameters, GAN measures) are
taken as stored; so are train scores without predictions.
"""

import collections
import itertools
import json
import math
import os
import pathlib
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple

from gtzan_jax import errors
from gtzan_jax.reports import (
  document,
  leaderboard_page,
  packed_runs,
  rebuild,
  report,
)
from gtzan_jax.reports import stored_runs as stored
from gtzan_jax.studies.compare import run as compare_runs
from gtzan_jax.studies.crossval import measure as crossval
from gtzan_jax.studies.crossval import page as crossval_page
from gtzan_jax.studies.failures import measure as failures
from gtzan_jax.studies.failures import page as failures_page
from gtzan_jax.studies.leak import holdout_steps
from gtzan_jax.studies.leak import measure as leak
from gtzan_jax.studies.leak import page as leak_page
from gtzan_jax.studies.robustness import measure as robustness
from gtzan_jax.studies.robustness import page as robustness_page

TOLERANCE = 1e-9  # of numbers: those of another numpy may end otherwise


class Verified(NamedTuple):
  """`wrong`: a line for each file that differs; `summary`: one line on all."""

  wrong: list[str]
  summary: str


def verify(paths: Iterable[str | os.PathLike]) -> Verified:
  """Recomputes what RECOMPUTED and PAGES name in these folders, at any depth,
  and Markdown pages with the leaderboard of the folder of their name."""
  files, wrong = find(paths), []
  no_train, in_two, gans, known = 0, 0, {}, {}
  for file in files:
    try:
      held, again = _held(file), _again(file, known)
      # As it would come back from a file: tuples are lists there.
      problems = list(differences(held, json.loads(json.dumps(again))))
    except errors.InputError as error:
      problems = [str(error)]
    runs = []
    if problems:
      more = f" (and {len(problems) - 1} more)" if problems[1:] else ""
      wrong.append(f"{file}: {problems[0]}{more}")
    elif file.name == report.REPORT_FILE:
      runs = [held]
      stored_train = (file.parent / "predictions" / "train.npz").exists()
      no_train += "train" in rebuild.scored(held["splits"]) and not stored_train
    elif file.name == packed_runs.RUNS_FILE:
      runs = [stored.read(run) for run in stored.below(file.parent)]
      in_two += len(runs)
    if number := sum("gan" in run for run in runs):
      gans[str(file.parent)] = number
  counts = collections.Counter(file.name for file in files)
  held = ", ".join(f"{number} {name}" for name, number in counts.items())
  summary = f"verified: {held}; {len(wrong) or 'none'} of them wrong"
  if no_train:
    summary += f"; {no_train} train splits not stored"
  if in_two:
    summary += f"; {in_two} packed runs, each in its headline split"
  if gans:
    summary += (
      f"; measures of {sum(gans.values())} GANs not recomputed:"
      f" {', '.join(gans)}"
    )
  return Verified(wrong, summary)


# The name of a file -> from its folder what it should hold.
RECOMPUTED: dict[str, Callable[[pathlib.Path], object]] = {
  report.REPORT_FILE: rebuild.rebuild,
  packed_runs.RUNS_FILE: packed_runs.again,
  compare_runs.FILE: compare_runs.again,
  failures.FILE: failures.again,
  robustness.FILE: robustness.again,
  crossval.CROSSVAL_FILE: crossval.again,
  leaderboard_page.FILE: lambda x: leaderboard_page.of_runs([x]).markdown(),
  leak.LEAK_FILE: leak.measure,
  holdout_steps.FILE: holdout_steps.again,
}
# A page -> the one of these that it shows, and how.
PAGES: dict[str, tuple[str, Callable[[Mapping], document.Document]]] = {
  failures_page.FILE: (failures.FILE, failures_page.document),
  robustness_page.PAGE: (robustness.FILE, robustness_page.document),
  crossval_page.FILE: (crossval.CROSSVAL_FILE, crossval_page.document),
  leak_page.FILE: (leak.LEAK_FILE, leak_page.document),
}


def _again(file: pathlib.Path, known: dict[pathlib.Path, object]) -> object:
  """The recomputed content of a file; `known` caches the boards of pages."""
  if file.name in PAGES:
    name, draw = PAGES[file.name]
    source = file.with_name(name)
    if not source.is_file():
      raise errors.InputError(f"no {name} beside it")
    return draw(_again(source, known)).markdown()
  if file.name not in RECOMPUTED:  # a page with the leaderboard of a folder
    board = leaderboard_page.of_runs([file.with_suffix("")])
    return leaderboard_page.put(board, file)
  if file not in known:
    known[file] = RECOMPUTED[file.name](file.parent)
  return known[file]


def find(paths: Iterable[str | os.PathLike]) -> list[pathlib.Path]:
  """The files that `verify` checks, each once, in the order of RECOMPUTED."""
  checked = {}
  for path in map(pathlib.Path, paths):
    if not path.is_dir():
      raise errors.InputError(f"{path}: no such folder; give one with results")
    names = (*RECOMPUTED, *PAGES)
    files = [file for name in names for file in stored.files(path, name)]
    beside = path.with_name(f"{path.name}.md") if path.name else path
    files += [
      file
      for file in (*stored.files(path, "*.md"), beside)
      if file.is_file()
      and file.with_suffix("").is_dir()
      and leaderboard_page.has_marks(_held(file))
    ]
    if not files:
      raise errors.InputError(
        f"nothing to verify in {path}: no {', '.join(names)} at any depth"
      )
    checked |= {file.resolve(): file for file in files}
  if not checked:
    raise errors.InputError("nothing to verify: give folders, as results")
  return list(checked.values())


def _held(file: pathlib.Path) -> object:
  try:
    text = file.read_text("utf-8")
    return json.loads(text) if file.suffix == ".json" else text
  except (OSError, ValueError, RecursionError) as error:
    raise errors.InputError(f"{file} cannot be read: {error}") from error


def differences(stored, again, path: str = "") -> Iterator[str]:
  """Where two values of a JSON file differ: "seed: 1 stored, 2 recomputed"."""
  if isinstance(stored, dict) and isinstance(again, dict):
    dot = f"{path}." if path else ""
    for key in dict.fromkeys([*again, *stored]):
      yield from differences(
        stored.get(key, _ABSENT), again.get(key, _ABSENT), dot + key
      )
  elif isinstance(stored, list) and isinstance(again, list):
    if len(stored) != len(again):
      yield f"{path}: {len(stored)} items stored, {len(again)} recomputed"
    for i, (one, other) in enumerate(zip(stored, again, strict=False)):
      yield from differences(one, other, f"{path}[{i}]")
  elif isinstance(stored, str) and isinstance(again, str) and not path:
    lines = itertools.zip_longest(
      stored.splitlines(), again.splitlines(), fillvalue=_ABSENT
    )
    for number, (one, other) in enumerate(lines, 1):
      yield from differences(one, other, f"line {number}")
  elif not _same(stored, again):
    if isinstance(stored, str) and isinstance(again, str):
      stored, again = _parted(stored, again)
    yield f"{path}: {_brief(stored)} stored, {_brief(again)} recomputed"


_ABSENT = object()


def _same(one, other) -> bool:
  kinds = [type(x) for x in (one, other)]
  # Two integers compare as they are: a float may not hold them.
  if float in kinds and {*kinds} <= {int, float}:
    if max(map(abs, (one, other))) > sys.float_info.max:
      return one == other
    return math.isclose(one, other, rel_tol=TOLERANCE, abs_tol=TOLERANCE)
  return type(one) is type(other) and one == other


def _parted(one: str, other: str) -> list[str]:
  """Both texts, from a little before they first differ."""
  pairs = enumerate(zip(one, other, strict=False))
  at = next((i for i, (x, y) in pairs if x != y), min(len(one), len(other)))
  start = max(0, at - 30)
  return ["..." * (start > 0) + text[start:] for text in (one, other)]


def _brief(value) -> str:
  if value is _ABSENT:
    return "nothing"
  text = json.dumps(value, ensure_ascii=False)
  return text if len(text) < 60 else f"{text[:57]}..."
