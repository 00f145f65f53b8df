"""The leak meter's numbers, read off its finished runs.

    W/runs/<arm or protocol>-seed<k>/   ordinary runs
    W/plan.json   which they are, and what no report of theirs says
    W/leak.json   what `measure` makes of the two

The arms differ in whose segments fill a few places in the train part and in
nothing else (tfds_gtzan/protocols/leak_arms.py), so what an arm scores above
the clean one is its leak. docs/measures.md says how to read it.
"""

import pathlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from gtzan_jax import provenance
from gtzan_jax.errors import InputError
from gtzan_jax.reports import schema as report_schema
from gtzan_jax.reports import stored
from gtzan_jax.scores import alignment, compare
from gtzan_jax.scores.predictions import Predictions

# What is compared, and the arms that are compared with it.
CLEAN, LEAKING = "clean", ("tracks", "artists")
PLAN_FILE, LEAK_FILE = "plan.json", "leak.json"
_PLAN = {
  "arms": {CLEAN: [str], ...: [str]},
  "protocols": [str],
  "left_out": {...: str},
  "same": {...: str},
}
# Of a report, what is the same of all runs.
_FACTS = ("recipe", "corpus", "source", "data_fingerprint")


class _Finished(NamedTuple):
  report: Mapping
  table: Predictions  # of the part that is reported


def measure(folder: str | pathlib.Path) -> dict:
  """Everything in leak.json, from plan.json, reports and predictions.

  Args:
    folder: W. Runs that are not finished are not counted.

  Returns:
    `recipe`, `corpus`, `source`, `data_fingerprint`; `split`, the part that the
    arms report; `tracks`, `segments` and `clusters` (artists), how many of it;
    `untested`, the genres that have none in it; `seeds` that every arm has;
    `alike`, whether in every arm all seeds answered all alike; `arms` {arm:
    `protocol`, `leak`, `n_train` (segments), `known_artists` (as in a report),
    `commits` of its runs, `touched` (tested tracks that it leaks), `track` and
    `segment`, each a `compare.mean_accuracy`}; `differences` {arm: `track` and
    `segment`, each what `compare_many` says of it (a) and the clean arm (b), on
    the touched tracks alone; `untouched`: the same on the others, None if there
    are none}; `tracks_over_artists`, what it says of these two on the tracks
    that both leak, None if there are none; `protocols` [`protocol`, `leak`,
    `seeds`, `known_artists`, `commits`, `split`, `tracks`, `n_train`, `track`,
    `segment`]; `left_out` {name: why}; `same` {protocol: one of `protocols`
    that comes to the same segments here}.

  Raises:
    InputError: something is missing or damaged, the runs are not of one meter,
      fewer than two seeds are finished of every arm, or there is nothing to
      compare.
  """
  folder = pathlib.Path(folder)
  plan = report_schema.read_json(folder / PLAN_FILE, _PLAN, "leak", _problem)
  runs = _finished(folder / "runs", [*plan["arms"], *plan["protocols"]])
  seeds = sorted(set.intersection(*(set(runs[arm]) for arm in plan["arms"])))
  if len(seeds) < 2:
    raise InputError(
      f"{folder}: seeds {', '.join(map(str, seeds)) or 'none'} are finished of"
      f" every arm ({', '.join(plan['arms'])}); two or more are needed"
    )
  tables = {
    arm: [runs[arm][seed].table for seed in seeds] for arm in plan["arms"]
  }
  protocols = [name for name in plan["protocols"] if runs[name]]
  if len(tables) == 1 and not protocols:
    raise InputError(
      f"{folder}: of no protocol a run is finished, and no arm leaks: there is"
      " nothing to compare"
    )
  first = runs[CLEAN][seeds[0]]
  tested = set(first.table.track.tolist())
  return {
    **{key: first.report[key] for key in _FACTS},
    "split": first.report["headline"],
    "segments": len(first.table),
    "tracks": len(set(first.table.track)),
    "clusters": first.table.n_clusters,
    "untested": [
      genre
      for i, genre in enumerate(first.table.genres)
      if i not in first.table.label
    ],
    "seeds": seeds,
    "alike": all(map(_alike, tables.values())),
    "arms": {
      arm: {
        **_said([runs[arm][seed] for seed in seeds]),
        "touched": len(touched),
        **_by_level(compare.mean_accuracy, tables[arm]),
      }
      for arm, touched in plan["arms"].items()
    },
    "differences": {
      arm: {
        **_difference(tables, arm, CLEAN, set(touched)),
        "untouched": _difference(tables, arm, CLEAN, tested - {*touched}),
      }
      for arm, touched in plan["arms"].items()
      if arm != CLEAN
    },
    "tracks_over_artists": _difference(
      tables,
      *LEAKING,
      set.intersection(*({*plan["arms"].get(arm, ())} for arm in LEAKING)),
    ),
    "protocols": [_protocol(runs[name]) for name in protocols],
    **{key: plan[key] for key in ("left_out", "same")},
  }


def _difference(
  tables: Mapping[str, Sequence[Predictions]],
  arm: str,
  other: str,
  tracks: set[str],
) -> dict | None:
  """What one arm has over another on some of the tested tracks."""
  if not tracks:
    return None
  return _by_level(
    compare.compare_many,
    *([_only(one, tracks) for one in tables[name]] for name in (arm, other)),
  )


def _problem(plan: Mapping) -> str:
  empty = [arm for arm in LEAKING if not plan["arms"].get(arm, True)]
  return f"arms.{empty[0]}: no track" if empty else ""


def _finished(
  folder: pathlib.Path, names: Iterable[str]
) -> dict[str, dict[int, _Finished]]:
  """{arm or protocol: {seed: its run}}, of those that left a report.

  Raises:
    InputError: reports that are not of one meter, or without predictions.
  """
  runs = {name: {} for name in names}
  facts = {}
  for path in stored.below(folder):
    found = stored.read(path)
    try:
      data = found["config"]["data"]
      name = data["leak"] or data["protocol"]
    except KeyError as error:
      raise InputError(f"{path} is of no run of a leak meter") from error
    runs.setdefault(name, {})[found["seed"]] = _Finished(
      found, stored.table(path, found["headline"])
    )
    for key in _FACTS:
      if facts.setdefault(key, found[key]) != found[key]:
        raise InputError(
          f"{path}: {key} {found[key]!r} received, {facts[key]!r} as in the"
          " other runs is accepted"
        )
  return runs


def _said(runs: Sequence[_Finished]) -> dict:
  found = runs[0].report
  tested = found["splits"][found["headline"]]
  return {
    "commits": sorted({provenance.short(one.report["commit"]) for one in runs}),
    "known_artists": tested["known_artists"],
    "protocol": found["protocol"],
    "leak": found["leak"],
    "n_train": found["splits"]["train"]["segment"]["n"],
  }


def _protocol(runs: Mapping[int, _Finished]) -> dict:
  seeds = sorted(runs)
  first = runs[seeds[0]]
  return {
    **_said([runs[seed] for seed in seeds]),
    "seeds": seeds,
    "split": first.report["headline"],
    "tracks": len(set(first.table.track)),
    **_by_level(compare.mean_accuracy, [runs[seed].table for seed in seeds]),
  }


def _by_level(score: Callable, *groups: Sequence[Predictions]) -> dict:
  return {
    "track": score(*([x.by_track() for x in group] for group in groups)),
    "segment": score(*groups),
  }


def _alike(tables: Sequence[Predictions]) -> bool:
  first = tables[0]
  return all(
    (one.predicted[alignment.places(first, one)] == first.predicted).all()
    for one in tables[1:]
  )


def _only(table: Predictions, tracks: Iterable[str]) -> Predictions:
  return table.select(np.isin(table.track, list(tracks)))
