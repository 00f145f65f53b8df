"""Ensembles: the mean of what several runs said (the CNN-GRU project).

An ensemble needs neither data nor a model: it reads the report and the
predictions that stand in each workdir, and writes a report of its own.
"""

import dataclasses
import hashlib
import json
import os
import pathlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from gtzan_jax import provenance
from gtzan_jax.errors import InputError
from gtzan_jax.reports import report, stored
from gtzan_jax.scores import alignment
from gtzan_jax.scores.predictions import Predictions
from gtzan_jax.training import workdir

RECIPE = "ensemble"
# Numbers are quoted of these: here all members must have the same tracks. Two
# corpora may lack different tracks of the train part, which is then not scored.
_QUOTED = ("validation", "test")
# What external tests have to agree on, beside the music.
_COMPARED = ("tracks", "genres", "unmatched", "absent", "learnt", "namesakes")


@dataclasses.dataclass(frozen=True)
class Member:
  """An evaluated run: its folder, its report, its table of each split."""

  path: pathlib.Path
  report: Mapping
  predictions: Mapping[str, Predictions]


def combine(predictions: Sequence[Predictions]) -> Predictions:
  """The mean probability of several models, each with the same say.

  Args:
    predictions: one table a model, of the same tracks, in any order. Where all
      have the same (track, segment) rows, rows are averaged; otherwise (their
      segments were cut differently) the means of each track's rows.

  Returns:
    a table in the order of the first: its rows, or one row a track.

  Raises:
    InputError: no table, or genres, tracks or labels that differ.
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
  """Combines what evaluated runs have stored, and reports on it.

  Args:
    workdirs: two or more folders with report.json and predictions/.
    out: the ensemble's own folder; made if need be.

  Returns:
    the path of report.html. The report's `config.members` lists the members;
    its `num_params` and `seconds` are their sums, its `seed` is theirs (0 where
    they differ), and it has no history.

  Raises:
    InputError: fewer than two workdirs or one of them twice; one without a
      report or its predictions; members of other genres, protocols or tracks,
      or tested on other music; an `out` that holds something else.
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
    given = [
      member.predictions[split]
      for member in members
      if split in member.predictions
    ]
    if len(given) == len(members) and not any(
      problem
      for other in given
      for problem in alignment.differences(table, other)
    ):
      combined[split] = combine(given)
  splits = {
    name: [member.report["splits"][name] for member in members]
    for name in first.report["splits"]
  }
  built = report.build(
    facts,
    combined,
    history=[],
    missing={s: max(one["missing"] for one in splits[s]) for s in splits},
    sha256={s: _common(one["sha256"] for one in splits[s]) for s in splits},
    tracks={s: min(one["n"] for one in splits[s]) for s in splits},
  )
  return report.write(out, built, combined)


def _common(values) -> Any:
  """What all values are; None where they differ."""
  found = set(values)
  return found.pop() if len(found) == 1 else None


def _obstacles(first: Member, other: Member) -> Iterator[str]:
  """Why two runs cannot be members of one ensemble."""
  for key in ("protocol", "genres"):
    ours, theirs = first.report[key], other.report[key]
    if ours != theirs:
      yield f"{key} {theirs!r} received, {ours!r} is accepted"
  yield from _differing_tests(first.report, other.report)
  corpora = {member.report["corpus"] for member in (first, other)}
  if "synthetic" in corpora and len(corpora) > 1:
    yield "one is of the synthetic corpus, whose tracks only share their names"
  for split in _QUOTED:
    tables_of = [
      member.predictions[split]
      for member in (first, other)
      if split in member.predictions
    ]
    if len(tables_of) == 1:
      yield f"only one of them has predictions of the {split} part"
    elif tables_of:
      for problem in alignment.differences(*tables_of):
        yield f"in the {split} part {problem}"
      if first.report["leak"] and not alignment.same_rows(tables_of):
        # Other segments of the same tracks: what one tests, another learnt.
        yield f"in the {split} part their leaking protocol cut other segments"


def _differing_tests(first: Mapping, other: Mapping) -> Iterator[str]:
  """Why two external tests are not of the same thing."""
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
  """The members of what is made of several evaluated runs.

  Args:
    paths: their folders.
    what: it is, "an ensemble".
    given: what stood before each folder when the user named it.

  Raises:
    InputError: fewer than two, one of them twice; see `read`.
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
  """A member from its folder. The train part's table may have been left out.

  Raises:
    InputError: no folder, no report or not one of ours, a GAN's, or no
      predictions of another split that the report has numbers of, or others.
  """
  found = stored.read(path)
  if "gan" in found:
    raise InputError(
      f"{path} is of a GAN, which generates examples and tells no"
      " genres: give workdirs of classifiers"
    )
  tables = stored.tables(path, found)
  for split, table in tables.items():
    if problem := _not_of(table, found["splits"][split]):
      file = path / "predictions" / f"{split}.npz"
      raise InputError(f"{file}: {problem}")
  return Member(path, found, tables)


def _not_of(table: Predictions, split: Mapping) -> str | None:
  """Why a table is not the one that a report's numbers are of."""
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
  """The part that the numbers of all are quoted of.

  Args:
    members: one or more.
    given: what stood before each folder when the user named it.

  Raises:
    InputError: no part was scored, or not the same one, or of other tracks.
  """
  first, *others = members
  split = first.report["headline"]
  if split is None:
    raise InputError(f"{given}{first.path} has no part that was scored")
  for other in others:
    theirs = other.report["headline"]
    problem: str | None = None
    if theirs != split:
      problem = f"its numbers are of the {theirs} part, not of {split}"
    else:
      tables_of = [one.predictions[split] for one in (first, other)]
      problem = next(iter(alignment.differences(*tables_of)), None)
    if problem:
      raise InputError(
        f"{given}{other.path} was not tested on what {given}{first.path} was:"
        f" {problem}"
      )
  return split


def _facts(members: Sequence[Member]) -> dict:
  """What the report says of the run that an ensemble is."""

  def every(key: str) -> list:
    return [member.report[key] for member in members]

  def joined(key: str) -> str:
    return " + ".join(dict.fromkeys(every(key)))

  skipped = {row["track"]: row for rows in every("skipped") for row in rows}
  warnings: list[Mapping] = []
  for member in members:
    known = [one["title"] for one in warnings]
    own = member.report.get("warnings", ())
    warnings += [one for one in own if one["title"] not in known]
  return _external(members) | {
    "recipe": RECIPE,
    "corpus": joined("corpus"),
    "source": joined("source"),
    "protocol": members[0].report["protocol"],
    "leak": members[0].report["leak"],
    "seed": _common(every("seed")) or 0,
    "num_params": sum(every("num_params")),
    "commit": provenance.commit(),
    "versions": provenance.versions(),
    "device": joined("device"),
    "config": {"recipe": RECIPE, "members": _listed(members)},
    "data_fingerprint": joined("data_fingerprint"),
    "tracks": min(every("tracks")),
    "skipped": [skipped[track] for track in sorted(skipped)],
    "warnings": warnings,
    "best_epoch": None,
    "epochs_run": 0,
    "seconds": sum(every("seconds")),
    "monitor": {"name": "none", "value": None},
  }


def _external(members: Sequence[Member]) -> dict:
  """Of external tests, {"external": what their reports say of the test}."""
  if "external" not in members[0].report:
    return {}
  tests = [member.report["external"] for member in members]
  return {
    "external": tests[0]
    | {
      key: " + ".join(dict.fromkeys(test[key] for test in tests))
      for key in ("workdir", "trained_on", "kind")
    }
  }


def _listed(members: Sequence[Member]) -> dict[str, dict]:
  """{name of the folder: what it holds}; the whole path where names repeat."""
  names = [member.path.resolve().name for member in members]
  return {
    name if names.count(name) == 1 else str(member.path): {
      "recipe": member.report["recipe"],
      "seed": member.report["seed"],
      "data_fingerprint": report.trained_on(member.report),
      "config": _digest(member.report["config"]),
    }
    for name, member in zip(names, members, strict=True)
  }


def _digest(config: Mapping) -> str:
  text = json.dumps(config, sort_keys=True)
  return hashlib.sha256(text.encode()).hexdigest()
