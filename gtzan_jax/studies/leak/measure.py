"""Scores of a leakage meter, from its finished runs.

    W/runs/<arm or protocol>-seed<k>/   ordinary runs; plan.json lists them
    W/leak.json   from `measure`; docs/measures.md explains it

Arms differ only in the segments in the slots of their train split, so the gain
of an arm over the clean one is the effect of its leakage.
"""

import pathlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from gtzan_jax import provenance
from gtzan_jax.errors import InputError
from gtzan_jax.reports import schema as report_schema
from gtzan_jax.reports import stored_runs
from gtzan_jax.scores import alignment, compare
from gtzan_jax.scores.predictions import Predictions

# The reference arm, and the arms that are compared with it.
CLEAN, LEAKING = "clean", ("tracks", "artists")
PLAN_FILE, LEAK_FILE = "plan.json", "leak.json"
_PLAN = {
  "arms": {CLEAN: [str], ...: [str]},
  "protocols": [str],
  "left_out": {...: str},
  "same": {...: str},
}
# Keys of a report that must be equal in all runs.
_FACTS = ("recipe", "corpus", "source", "data_fingerprint")


class _Finished(NamedTuple):
  report: Mapping
  table: Predictions  # of the headline split


def measure(folder: str | pathlib.Path) -> dict:
  """Everything in leak.json (docs/measures.md), without unfinished runs.
  InputError if fewer than two seeds are finished in every arm."""
  folder = pathlib.Path(folder)
  plan = report_schema.read_json(folder / PLAN_FILE, _PLAN, "leak", _problem)
  runs = _finished(folder / "runs", [*plan["arms"], *plan["protocols"]])
  seeds = sorted(set.intersection(*(set(runs[arm]) for arm in plan["arms"])))
  if len(seeds) < 2:
    raise InputError(
      f"{folder}: seeds {', '.join(map(str, seeds)) or 'none'} are finished in"
      f" every arm ({', '.join(plan['arms'])}); two or more are needed"
    )
  tables = {
    arm: [runs[arm][seed].table for seed in seeds] for arm in plan["arms"]
  }
  protocols = [name for name in plan["protocols"] if runs[name]]
  if len(tables) == 1 and not protocols:
    raise InputError(
      f"{folder}: no run of a protocol is finished and no arm leaks: there is"
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
    "alike": all(map(_all_alike, tables.values())),
    "arms": {
      arm: {
        **_report_facts([runs[arm][seed] for seed in seeds]),
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
  """Gain of `arm` over `other` on these test tracks; None without tracks."""
  if not tracks:
    return None
  return _by_level(
    compare.compare_many,
    *([_only(x, tracks) for x in tables[name]] for name in (arm, other)),
  )


def _problem(plan: Mapping) -> str:
  empty = [arm for arm in LEAKING if not plan["arms"].get(arm, True)]
  return f"arms.{empty[0]}: no track" if empty else ""


def _finished(
  folder: pathlib.Path, names: Iterable[str]
) -> dict[str, dict[int, _Finished]]:
  """{arm or protocol: {seed: run}} of the runs that have a report."""
  runs = {name: {} for name in names}
  facts = {}
  for path in stored_runs.below(folder):
    report = stored_runs.read(path)
    try:
      data = report["config"]["data"]
      name = data["leak"] or data["protocol"]
    except KeyError as error:
      raise InputError(f"{path} is not a run of a leakage meter") from error
    runs.setdefault(name, {})[report["seed"]] = _Finished(
      report, stored_runs.table(path, report["headline"])
    )
    for key in _FACTS:
      if facts.setdefault(key, report[key]) != report[key]:
        raise InputError(
          f"{path}: {key} {report[key]!r} received, {facts[key]!r} as in the"
          " other runs is accepted"
        )
  return runs


def _report_facts(runs: Sequence[_Finished]) -> dict:
  report = runs[0].report
  tested = report["splits"][report["headline"]]
  return {
    "commits": sorted({provenance.short(run.report["commit"]) for run in runs}),
    "known_artists": tested["known_artists"],
    "protocol": report["protocol"],
    "leak": report["leak"],
    "n_train": report["splits"]["train"]["segment"]["n"],
  }


def _protocol(runs: Mapping[int, _Finished]) -> dict:
  seeds = sorted(runs)
  first = runs[seeds[0]]
  return {
    **_report_facts([runs[seed] for seed in seeds]),
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


def _all_alike(tables: Sequence[Predictions]) -> bool:
  first = tables[0]
  return all(
    (other.predicted[alignment.places(first, other)] == first.predicted).all()
    for other in tables[1:]
  )


def _only(table: Predictions, tracks: Iterable[str]) -> Predictions:
  return table.select(np.isin(table.track, list(tracks)))
