"""Paired comparison of evaluated runs on the same tracks.

Two run folders, or several seeds of two recipes. An ensemble is a run too.
"""

import collections
import itertools
import json
import os
import pathlib
from collections.abc import Mapping, Sequence

from gtzan_jax.errors import InputError, writing
from gtzan_jax.inference import ensemble
from gtzan_jax.inference.ensemble import Member
from gtzan_jax.reports import artist_note, leaderboard, report, schema
from gtzan_jax.scores import alignment, paired_tests
from gtzan_jax.training import workdir

FILE = "compare.json"


def compare_runs(
  paths: Sequence[str | os.PathLike], seen_from: str | os.PathLike = "."
) -> dict:
  """What compare.json holds, from two evaluated runs or ensembles, or from at
  least two seeds of each of two recipes; its paths are relative to `seen_from`.
  `segment` is None where tracks were cut differently. InputError for other
  tracks or another number of recipes."""
  sides = _sides(ensemble.read_all(paths, "a comparison"))
  split = ensemble.same_test([*sides[0], *sides[1]])
  tables = [[one.predictions[split] for one in side] for side in sides]
  tracks = [[one.by_track("mean") for one in side] for side in tables]
  same = alignment.same_rows([*tables[0], *tables[1]])
  return {
    "split": split,
    "a": _facts(sides[0], seen_from),
    "b": _facts(sides[1], seen_from),
    "track": _compared(sides, *tracks),
    "segment": _compared(sides, *tables) if same else None,
  }


def again(folder: str | os.PathLike) -> dict:
  """Recomputes a folder's compare.json."""
  file = pathlib.Path(folder) / FILE
  side = {"workdirs": [str], ...: object}
  spec = {"a": side, "b": side, ...: object}
  result = schema.read_json(file, spec, "compare")
  named = [*result["a"]["workdirs"], *result["b"]["workdirs"]]
  return compare_runs([file.parent / name for name in named], seen_from=folder)


def write(result: Mapping, out: str | os.PathLike) -> pathlib.Path:
  """Writes compare.json into a folder, created if needed."""
  file = pathlib.Path(out) / FILE
  with writing(f"--out={out}"):
    file.parent.mkdir(parents=True, exist_ok=True)
    report.save(file, result)
  return file


def lines(result: Mapping) -> list[str]:
  """The comparison as lines of text."""
  split, track = result["split"], result["track"]
  text, notes = [], []
  for name in ("a", "b"):
    side = {**result[name], "track": track}
    seeds = ", ".join(map(str, side["seeds"]))
    leaks = f"; LEAKS: {side['leak']}" if side["leak"] else ""
    text.append(
      f"{name}: {side['recipe']}, seed {seeds} ({side['protocol']}){leaks}"
    )
    if artist_note.artists_decide(side):
      notes.append(f"{name}: {artist_note.note(split, side)}")
  if split != "test":
    text.append(
      f"no test tracks present: the {split} split also chose the checkpoints"
    )
  text += [
    *notes,
    f"{split}: {track['n']} tracks in {track['clusters']} clusters (artists,"
    " where known)",
    f"{'':10}{'a':>7}{'b':>7}{'a - b':>9}   95 % interval",
  ]
  for level in ("track", "segment"):
    if one := result[level]:
      low, high = one["ci95"]
      text.append(
        f"{level:10}{one['accuracy_a']:7.3f}{one['accuracy_b']:7.3f}"
        f"{one['difference']:+z9.3f}   {low:+z.3f} to {high:+z.3f}"
      )
  tests = track["mcnemar"]
  for test in [tests] if isinstance(tests, dict) else tests:
    of = f" of seed {test['seed']}" if "seed" in test else ""
    text.append(
      f"McNemar's exact test{of}: {test['only_a']} tracks correct in a only,"
      f" {test['only_b']} in b only, p = {test['p']:.3g}"
    )
  return text


def _sides(members: Sequence[Member]) -> tuple[list[Member], list[Member]]:
  """The runs of each side; shared seeds first, in order."""
  if len(members) == 2:
    return [members[0]], [members[1]]
  groups = collections.defaultdict(list)
  for member in members:
    groups[_experiment(member.report)].append(member)
  sides = list(groups.values())
  if len(sides) != 2:
    named = ", ".join(sorted(side[0].report["recipe"] for side in sides))
    raise InputError(
      f"{len(members)} --workdir of {len(sides)} experiments ({named}): give"
      " two, or several seeds of two recipes that differ in nothing else"
    )
  both = set.intersection(*({_seed(one) for one in side} for side in sides))
  for side in sides:
    if len(side) < 2:
      raise InputError(
        f"--workdir={side[0].path} is the only seed of"
        f" {side[0].report['recipe']}: give two seeds or more of each recipe,"
        " or one of each"
      )
    side.sort(key=lambda one: (_seed(one) not in both, _seed(one)))
    for one, other in itertools.pairwise(side):
      if _seed(one) == _seed(other):
        raise InputError(
          f"--workdir={other.path} has seed {_seed(other)}, like"
          f" --workdir={one.path}: give each seed once"
        )
  return tuple(sides)


def _seed(member: Member) -> int:
  return member.report["seed"]


def _experiment(result: Mapping) -> str:
  """A key that runs differing only in the seed share."""
  named = [result[key] for key in ("recipe", "corpus", "source", "protocol")]
  return json.dumps([named, leaderboard.experiment(result)], sort_keys=True)


def _facts(side: Sequence[Member], folder: str | os.PathLike) -> dict:
  first = side[0].report
  return {
    **{key: first[key] for key in ("recipe", "protocol", "leak")},
    "known_artists": first["splits"][first["headline"]]["known_artists"],
    "seeds": [_seed(one) for one in side],
    "workdirs": [workdir.seen_from(one.path, folder) for one in side],
  }


def _compared(sides, a: Sequence, b: Sequence) -> dict:
  """One level; with several seeds, McNemar's test names the seed of each."""
  if len(a) == len(b) == 1:
    return paired_tests.compare(a[0], b[0])
  result = paired_tests.compare_many(a, b)
  seeds = [[_seed(one) for one in side] for side in sides]
  if result["mcnemar"]:
    result["mcnemar"] = [
      {"seed": one, **test}
      for one, other, test in zip(*seeds, result["mcnemar"], strict=False)
      if one == other
    ]
  return result
