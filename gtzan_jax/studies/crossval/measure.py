"""Scores of a cross-validation, from the finished runs of all folds.

W/runs/fold0, fold0-seed1, ...   ordinary runs; folds.json lists the folds
W/crossval.json   from `measure`; docs/measures.md explains it
W/predictions/pooled.npz, pooled-seed1.npz, ...   every track, tested once
"""

import collections
import dataclasses
import itertools
import pathlib
import statistics
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from gtzan_jax.errors import InputError
from gtzan_jax.reports import report, stored_runs
from gtzan_jax.reports import schema as report_schema
from gtzan_jax.scores import artist_names, paired_tests, predictions
from gtzan_jax.scores.predictions import Predictions

FOLDS_FILE, CROSSVAL_FILE = "folds.json", "crossval.json"
_COUNT = {"tracks": int, "segments": int}
_PLAN = {
  "seeds": [int],
  "tracks": int,
  "folds": [{**dict.fromkeys(report.SPLITS, _COUNT), "sha256": str}],
}
# Keys of a report that must be equal in all runs.
_FACTS = ("recipe", "corpus", "source", "data_fingerprint", "protocol", "leak")


class Tested(NamedTuple):
  """All folds, tested: folds.json, the report of one run, and {seed: the test
  predictions of each fold}."""

  plan: Mapping
  report: Mapping
  tables: Mapping[int, Sequence[Predictions]]


def run_name(fold: int, seed: int) -> str:
  """The run folder's name; seed 0 has no suffix, so that seeds can be added."""
  return f"fold{fold}{_suffix(seed)}"


def collect(folder: str | pathlib.Path, plan: Mapping) -> Tested:
  """Reports and test predictions of all planned runs; InputError if the runs
  are of several experiments or a track is not tested exactly once."""
  runs, facts = pathlib.Path(folder) / "runs", {}
  tables = {
    seed: [
      _read(runs / run_name(fold, seed), fold, seed, planned, facts)
      for fold, planned in enumerate(plan["folds"])
    ]
    for seed in plan["seeds"]
  }
  for of_seed in tables.values():
    tested = collections.Counter(
      name for table in of_seed for name in sorted({*table.track.tolist()})
    )
    name, times = tested.most_common(1)[0]
    if times > 1 or len(tested) != plan["tracks"]:
      raise InputError(
        f"{folder}: {len(tested)} of {plan['tracks']} tracks are tested, {name}"
        f" {times} times; every track once is accepted"
      )
  return Tested(plan, facts, tables)


def _read(
  path: pathlib.Path, fold: int, seed: int, planned: Mapping, facts: dict
) -> Predictions:
  """One run's test predictions; `facts` becomes the first run's report."""
  run, table = stored_runs.read(path), stored_runs.table(path, "test")
  for key, value in (facts or run).items():
    if key in (*_FACTS, "genres") and run[key] != value:
      raise InputError(
        f"{path}: {key} {run[key]!r} received, {value!r} as in the other folds"
        " is accepted"
      )
  facts.update(facts or run)
  where = (run["config"].get("data", {}).get("fold"), run["seed"])
  if where != (fold, seed):
    raise InputError(
      f"{path}: fold {where[0]}, seed {where[1]} received; fold {fold}, seed"
      f" {seed} is accepted"
    )
  if (
    predictions.digest(table.track.tolist()) != planned["sha256"]
    or len(table) != planned["test"]["segments"]
    or list(table.genres) != run["genres"]
  ):
    raise InputError(
      f"{path}: its predictions are not of the tracks that fold {fold} tests;"
      " the corpus changed since: give another --workdir"
    )
  return table


def pool(tables: Sequence[Predictions]) -> Predictions:
  """The rows of all folds, in order; InputError if two folds share a row."""
  names = {x.name for x in dataclasses.fields(Predictions)} - {"genres"}
  return dataclasses.replace(
    tables[0],
    **{x: np.concatenate([getattr(one, x) for one in tables]) for x in names},
  )


def measure(tested: Tested) -> dict:
  """Everything in crossval.json (docs/measures.md)."""
  by_seed = list(tested.tables.values())
  pooled = [pool(tables) for tables in by_seed]
  run = tested.report
  folds = [
    {
      "fold": fold,
      **{part: plan[part] for part in report.SPLITS},
      "genres": dict(
        zip(run["genres"], _by_genre(tables[0]).tolist(), strict=True)
      ),
      "artists": tables[0].n_clusters,
      **_levels(tables),
    }
    for fold, (plan, *tables) in enumerate(
      zip(tested.plan["folds"], *by_seed, strict=True)
    )
  ]
  resamples = run["config"]["eval"]["bootstrap"]
  return {
    **{key: run[key] for key in (*_FACTS, "genres")},
    "seeds": list(tested.tables),
    "accuracy": _levels(pooled),
    "spread": {
      level: _spread([fold[level]["accuracy"] for fold in folds])
      for level in ("track", "segment")
    },
    "balance": balance(by_seed[0]),
    "folds": folds,
    "pooled": [
      {"seed": seed, **report.scored(table, resamples=resamples)}
      for seed, table in zip(tested.tables, pooled, strict=True)
    ],
  }


def balance(tables: Sequence[Predictions]) -> dict:
  """How the folds' test splits differ in size, genres and artists."""
  counts = np.array([_by_genre(table) for table in tables])
  sizes, corpus = counts.sum(1), counts.sum(0) / counts.sum()
  share = counts / sizes[:, None]
  fold, genre = np.unravel_index(np.abs(share - corpus).argmax(), share.shape)
  artists = [
    list(map(artist_names.known, table.by_track().artist.tolist()))
    for table in tables
  ]
  folds_of = collections.Counter(
    artist for of_fold in artists for artist in set().union(*of_fold)
  )
  crossing = {artist for artist, folds in folds_of.items() if folds > 1}
  of_tracks = list(itertools.chain.from_iterable(artists))
  return {
    "smallest": float(sizes.min() / sizes.sum()),
    "largest": float(sizes.max() / sizes.sum()),
    "genre": {
      "fold": int(fold),
      "genre": tables[0].genres[genre],
      "share": float(share[fold, genre]),
      "corpus": float(corpus[genre]),
    },
    "crossing": {
      "artists": len(crossing),
      "tracks": sum(not crossing.isdisjoint(names) for names in of_tracks),
      "unknown": of_tracks.count([]),
    },
  }


def save_pooled(tested: Tested, folder: pathlib.Path) -> None:
  """Writes the pooled predictions of each seed; removes other seeds'."""
  places = folder / "predictions"
  names = {_pooled_name(seed) for seed in tested.tables}
  for path in places.glob("pooled*.npz"):
    if path.name not in names:
      path.unlink()
  for seed, tables in tested.tables.items():
    pool(tables).save(places / _pooled_name(seed))


def again(folder: str | pathlib.Path) -> dict:
  """Recomputes crossval.json; InputError if the stored pooled predictions
  differ from those of the folds."""
  folder = pathlib.Path(folder)
  plan = report_schema.read_json(
    folder / FOLDS_FILE,
    _PLAN,
    "crossval",
    lambda plan: (
      "" if plan["seeds"] and plan["folds"] else "no seed or no fold"
    ),
  )
  tested = collect(folder, plan)
  for seed, tables in tested.tables.items():
    path = folder / "predictions" / _pooled_name(seed)
    if not path.parent.exists():
      continue  # packed, without what follows from the folds
    pooled, wanted = predictions.load(path), pool(tables)
    for x in dataclasses.fields(Predictions):
      if not np.array_equal(getattr(pooled, x.name), getattr(wanted, x.name)):
        raise InputError(f"{path}: another {x.name} than the folds'")
  return measure(tested)


def _suffix(seed: int) -> str:
  return f"-seed{seed}" if seed else ""


def _pooled_name(seed: int) -> str:
  return f"pooled{_suffix(seed)}.npz"


def _by_genre(table: Predictions) -> np.ndarray:
  """[C] tracks of each genre."""
  return np.bincount(table.by_track().label, minlength=len(table.genres))


def _levels(tables: Sequence[Predictions]) -> dict:
  return {
    "track": paired_tests.mean_accuracy([one.by_track() for one in tables]),
    "segment": paired_tests.mean_accuracy(tables),
  }


def _spread(values: Sequence[float]) -> dict[str, float]:
  return {
    "mean": statistics.fmean(values),
    "deviation": statistics.stdev(values),
    "lowest": min(values),
    "highest": max(values),
  }
