"""Ensembles: mean probabilities of several evaluated runs.

An ensemble needs neither data nor model, only reports and predictions.
"""

import dataclasses
import hashlib
import json
import os
import pathlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from gtzan_jax.errors import InputError
from gtzan_jax.reports import provenance, report, stored_runs
from gtzan_jax.scores import alignment
from gtzan_jax.scores.predictions import Predictions
from gtzan_jax.training import workdir

RECIPE = "ensemble"
# In these splits all members must have the same tracks. Train splits may differ
# (other tracks missing) and are then not scored.
_QUOTED = ("validation", "test")
# Keys in which external tests must agree, beside the data.
_COMPARED = ("tracks", "genres", "unmatched", "absent", "learnt", "namesakes")


@dataclasses.dataclass(frozen=True)
class Member:
  """An evaluated run: folder, report, predictions by split."""

  path: pathlib.Path
  report: Mapping
  predictions: Mapping[str, Predictions]


def combine(predictions: Sequence[Predictions]) -> Predictions:
  """The mean probability of several models, with equal weights.

  Takes a table for each, of the same tracks in any order; returns one in the
  order of the first: its rows, or one row a track where models have other
  segments. InputError: no table, or genres, tracks or labels that differ.
  """
  if not predictions:
    raise InputError("an ensemble of 0 predictions; give one table or more")
  for number, other in enumerate(predictions[1:], start=2):
    for problem in alignment.differences(predictions[0], other):
      raise InputError(f"predictions 1 and {number} differ: {problem}")
  if not alignment.same_rows(predictions):
    predictions = [table.by_track("mean") for table in predictions]
  first = predictions[0]
  total = np.zeros(first.probabilities.shape)
  for table in predictions:
    total += table.probabilities[alignment.places(first, table)]
  return dataclasses.replace(first, probabilities=total / len(predictions))


def evaluate(
  workdirs: Sequence[str | os.PathLike], out: str | os.PathLike
) -> pathlib.Path:
  """Combines evaluated runs and writes a report into `out`.

  The report's `config.members` lists the runs; `num_params` and `seconds` are
  sums, `seed` is theirs (0 if they differ), and there is no history. Returns
  the path of report.html. InputError: fewer than two runs, or one twice; one
  without report or predictions; other genres, protocols, tracks or test data;
  an `out` with other content.
  """
  members = read_all(workdirs, "an ensemble")
  first, *others = members
  for other in others:
    for problem in _obstacles(first, other):
      raise InputError(
        f"--workdir={other.path} cannot join --workdir={first.path}: {problem}"
      )
  facts, out = _facts(members), pathlib.Path(out)
  report.check_out(out, facts)
  combined = {}
  for split, table in first.predictions.items():
    given = _given(members, split)
    if len(given) == len(members) and not any(
      list(alignment.differences(table, other)) for other in given
    ):
      combined[split] = combine(given)
  splits = {
    name: [member.report["splits"][name] for member in members]
    for name in first.report["splits"]
  }
  sha256 = {s: _common(one["sha256"] for one in splits[s]) for s in splits}
  # Packed runs do not store the train table, but its numbers.
  known = {}
  if "train" not in combined and sha256.get("train"):
    counts = {s: [one["known_artists"] for one in splits[s]] for s in splits}
    known = {s: x[0] for s, x in counts.items() if x.count(x[0]) == len(x)}
  built = report.build(
    facts,
    combined,
    history=[],
    missing={s: max(one["missing"] for one in splits[s]) for s in splits},
    sha256=sha256,
    tracks={s: min(one["n"] for one in splits[s]) for s in splits},
    known_artists=known,
  )
  return report.write(out, built, combined)


def _given(members: Sequence[Member], split: str) -> list[Predictions]:
  return [m.predictions[split] for m in members if split in m.predictions]


def _common(values: Iterable) -> Any:
  """The value that all have; None if they differ."""
  first, *others = {*values}
  return None if others else first


def _obstacles(first: Member, other: Member) -> Iterator[str]:
  """Reasons why two runs cannot form an ensemble."""
  for key in ("protocol", "genres"):
    ours, theirs = first.report[key], other.report[key]
    if ours != theirs:
      yield f"{key} {theirs!r} received, {ours!r} is accepted"
  yield from _differing_tests(first.report, other.report)
  corpora = {member.report["corpus"] for member in (first, other)}
  if "synthetic" in corpora and len(corpora) > 1:
    yield "one is on the synthetic corpus, whose tracks share only their ids"
  for split in _QUOTED:
    tables = _given((first, other), split)
    if len(tables) == 1:
      yield f"only one of them has predictions of the {split} split"
    elif tables:
      for problem in alignment.differences(*tables):
        yield f"in the {split} split {problem}"
      if first.report["leak"] and not alignment.same_rows(tables):
        # Other segments of the same tracks: one may test what another trained
        # on.
        yield f"in the {split} split their leaking protocol has other segments"


def _differing_tests(first: Mapping, other: Mapping) -> Iterator[str]:
  """Reasons why two external tests are not comparable."""
  if "external" not in first:
    return  # nor in the other, which has the same protocol
  pairs = {"data_fingerprint": (first, other)} | dict.fromkeys(
    _COMPARED, (first["external"], other["external"])
  )
  for key, (ours, theirs) in pairs.items():
    if ours[key] != theirs[key]:
      yield (
        f"an external test with {key} {theirs[key]!r} received, {ours[key]!r}"
        " is accepted"
      )


def read_all(
  paths: Sequence[str | os.PathLike], what: str, given: str = "--workdir="
) -> list[Member]:
  """Reads two or more evaluated runs; see `read`.

  InputError: fewer than two, or one twice. It names `what` is made of them ("an
  ensemble") and `given`, the flag before each folder.
  """
  paths = workdir.distinct(paths, given)
  members = [read(path) for path in paths]
  if len(members) < 2:
    named = ", ".join(map(str, paths)) or "no run"
    raise InputError(
      f"{what} of {named}: give two evaluated runs or more"
      + (f", each as {given}FOLDER" if given else "")
    )
  return members


def read(path: pathlib.Path) -> Member:
  """An evaluated run; predictions of the train split may be missing.

  InputError: no folder, no valid report, a GAN's, or predictions that are
  missing or do not match the report.
  """
  stored = stored_runs.read(path)
  if "gan" in stored:
    raise InputError(
      f"{path} is a GAN, which does not classify: give run folders of"
      " classifiers"
    )
  tables = stored_runs.tables(path, stored)
  for split, table in tables.items():
    if problem := _not_of(table, stored["splits"][split]):
      file = path / "predictions" / f"{split}.npz"
      raise InputError(f"{file}: {problem}")
  return Member(path, stored, tables)


def _not_of(table: Predictions, split: Mapping) -> str | None:
  """Why predictions do not match a split of a report."""
  if (table.predicted < 0).any():
    track = table.track[table.predicted.argmin()]
    return f"NaN at track {track}, finite probabilities are accepted"
  for level, rows in (("track", table.by_track()), ("segment", table)):
    ours = (len(rows), round(float(rows.correct.mean()), 9))
    theirs = (split[level]["n"], round(split[level]["accuracy"], 9))
    if ours != theirs:
      return (
        f"accuracy {ours[1]:.6f} of {ours[0]} {level}s, but {theirs[1]:.6f} of"
        f" {theirs[0]} in {report.REPORT_FILE}: evaluate it again"
      )
  return None


def same_test(members: Sequence[Member], given: str = "--workdir=") -> str:
  """The headline split of all; `given` as in `read_all`.

  InputError: no split was scored, or other splits or tracks.
  """
  first, *others = members
  split = first.report["headline"]
  if split is None:
    raise InputError(f"{given}{first.path} has no scored split")
  for other in others:
    theirs = other.report["headline"]
    problem: str | None = f"its headline is the {theirs} split, not {split}"
    if theirs == split:
      tables = _given((first, other), split)
      problem = next(alignment.differences(*tables), None)
    if problem:
      raise InputError(
        f"{given}{other.path} was not tested on what {given}{first.path} was:"
        f" {problem}"
      )
  return split


def _facts(members: Sequence[Member]) -> dict:
  """The ensemble's values of the report."""
  reports = [member.report for member in members]

  def joined(key: str) -> str:
    return _joined(reports, key)

  skipped = {row["track"]: row for one in reports for row in one["skipped"]}
  warnings: list[Mapping] = []
  for one in reports:
    known = [warning["title"] for warning in warnings]
    own = one.get("warnings", ())
    warnings += [warning for warning in own if warning["title"] not in known]
  facts = {
    "recipe": RECIPE,
    "corpus": joined("corpus"),
    "source": joined("source"),
    "protocol": reports[0]["protocol"],
    "leak": reports[0]["leak"],
    "seed": _common(one["seed"] for one in reports) or 0,
    "num_params": sum(one["num_params"] for one in reports),
    "commit": provenance.commit(),
    "versions": provenance.versions(),
    "device": joined("device"),
    "config": {"recipe": RECIPE, "members": _listed(members)},
    "data_fingerprint": joined("data_fingerprint"),
    "tracks": min(one["tracks"] for one in reports),
    "skipped": [skipped[track] for track in sorted(skipped)],
    "warnings": warnings,
    "best_epoch": None,
    "epochs_run": 0,
    "seconds": sum(one["seconds"] for one in reports),
    "monitor": {"name": "none", "value": None},
  }
  if "external" in reports[0]:
    tests = [one["external"] for one in reports]
    keys = ("workdir", "trained_on", "kind")
    several = {key: _joined(tests, key) for key in keys}
    facts["external"] = tests[0] | several
  return facts


def _joined(values: Iterable[Mapping], key: str) -> str:
  return " + ".join(dict.fromkeys(one[key] for one in values))


def _listed(members: Sequence[Member]) -> dict[str, dict]:
  """{folder name: facts}; the whole path where names repeat."""
  names = [member.path.resolve().name for member in members]
  return {
    name if names.count(name) == 1 else str(member.path): {
      "recipe": member.report["recipe"],
      "seed": member.report["seed"],
      "data_fingerprint": report.trained_on(member.report),
      "config": hashlib.sha256(
        json.dumps(member.report["config"], sort_keys=True).encode()
      ).hexdigest(),
    }
    for name, member in zip(names, members, strict=True)
  }
