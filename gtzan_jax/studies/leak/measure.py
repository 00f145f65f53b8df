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

from gtzan_jax.errors import InputError
from gtzan_jax.reports import provenance, stored_runs
from gtzan_jax.reports import schema as report_schema
from gtzan_jax.scores import alignment, paired_tests
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
  arms = {arm: [runs[arm][seed] for seed in seeds] for arm in plan["arms"]}
  protocols = {
    name: [run for _, run in sorted(runs[name].items())]
    for name in plan["protocols"]
    if runs[name]
  }
  if len(arms) == 1 and not protocols:
    raise InputError(
      f"{folder}: no run of a protocol is finished and no arm leaks: there is"
      " nothing to compare"
    )
  first, table = arms[CLEAN][0]
  tested = set(table.track.tolist())
  touched = {arm: set(tracks) for arm, tracks in plan["arms"].items()}

  def difference(arm: str, other: str, tracks: set[str]) -> dict | None:
    """Gain of `arm` over `other` on these tracks; None without tracks."""
    if not tracks:
      return None
    tables = (
      [x.select(np.isin(x.track, list(tracks))) for _, x in arms[name]]
      for name in (arm, other)
    )
    return _by_level(paired_tests.compare_many, *tables)

  return {
    **{key: first[key] for key in _FACTS},
    "split": first["headline"],
    "segments": len(table),
    "tracks": len(tested),
    "clusters": table.n_clusters,
    "untested": [
      genre for i, genre in enumerate(table.genres) if i not in table.label
    ],
    "seeds": seeds,
    "alike": all(map(_all_alike, arms.values())),
    "arms": {
      arm: {
        **_report_facts(own),
        "touched": len(plan["arms"][arm]),
        **_accuracies(own),
      }
      for arm, own in arms.items()
    },
    "differences": {
      arm: {
        **difference(arm, CLEAN, touched[arm]),
        "untouched": difference(arm, CLEAN, tested - touched[arm]),
      }
      for arm in arms
      if arm != CLEAN
    },
    "tracks_over_artists": difference(
      *LEAKING,
      set.intersection(*(touched.get(arm, set()) for arm in LEAKING)),
    ),
    "protocols": [
      {
        **_report_facts(own),
        "seeds": sorted(runs[name]),
        "split": own[0].report["headline"],
        "tracks": len(set(own[0].table.track)),
        **_accuracies(own),
      }
      for name, own in protocols.items()
    ],
    **{key: plan[key] for key in ("left_out", "same")},
  }


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


def _accuracies(runs: Sequence[_Finished]) -> dict:
  return _by_level(paired_tests.mean_accuracy, [run.table for run in runs])


def _by_level(score: Callable, *groups: Sequence[Predictions]) -> dict:
  return {
    "track": score(*([x.by_track() for x in group] for group in groups)),
    "segment": score(*groups),
  }


def _all_alike(runs: Sequence[_Finished]) -> bool:
  first, *others = (run.table for run in runs)
  return all(
    (other.predicted[alignment.places(first, other)] == first.predicted).all()
    for other in others
  )
