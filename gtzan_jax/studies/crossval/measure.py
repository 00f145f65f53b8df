"""Cross-validation's numbers, read off the finished runs of all folds.

    W/runs/fold0, fold1, ...   ordinary runs; of further seeds fold0-seed1, ...
    W/folds.json   what the folds are, of which no report tells all
    W/crossval.json   what `measure` makes of the two
    W/predictions/pooled.npz, pooled-seed1.npz, ...   every track, tested once

Each track is tested by the one model that did not learn from it, so the pooled
predictions are of the whole corpus. docs/measures.md says how to read it.
"""

import collections
import dataclasses
import pathlib
import statistics
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from gtzan_jax.errors import InputError
from gtzan_jax.reports import report, stored_runs
from gtzan_jax.reports import schema as report_schema
from gtzan_jax.scores import artist_credits, compare, predictions
from gtzan_jax.scores.predictions import Predictions

FOLDS_FILE, CROSSVAL_FILE = "folds.json", "crossval.json"
_COUNT = {"tracks": int, "segments": int}
_PLAN = {
  "seeds": [int],
  "tracks": int,
  "folds": [{**dict.fromkeys(report.SPLITS, _COUNT), "sha256": str}],
}
# Of a report, what is the same of all runs.
_FACTS = ("recipe", "corpus", "source", "data_fingerprint", "protocol", "leak")


class Tested(NamedTuple):
  """All folds, tested.

  Attributes:
    plan: what folds.json holds.
    report: of one run; what `measure` reads of it is the same of all.
    tables: {seed: of each fold what was said of its test part}.
  """

  plan: Mapping
  report: Mapping
  tables: Mapping[int, Sequence[Predictions]]


def run_name(fold: int, seed: int) -> str:
  """Of a run's folder. Seed 0 has no suffix, so that seeds can be added."""
  return f"fold{fold}{_suffix(seed)}"


def read_plan(folder: str | pathlib.Path) -> dict:
  """What folds.json says.

  Raises:
    InputError: it cannot be read or is damaged.
  """
  return report_schema.read_json(
    pathlib.Path(folder) / FOLDS_FILE, _PLAN, "crossval", _problem
  )


def _problem(plan: Mapping) -> str:
  return "" if plan["seeds"] and plan["folds"] else "no seed or no fold"


def collect(folder: str | pathlib.Path, plan: Mapping) -> Tested:
  """The reports and test predictions of all runs of a plan.

  Args:
    folder: W.
    plan: what folds.json holds.

  Raises:
    InputError: something is missing or damaged, is of another experiment, or
      not of the tracks that the plan says; a track that is tested twice.
  """
  runs, facts = pathlib.Path(folder) / "runs", {}
  tables = {
    seed: [
      _read(runs / run_name(fold, seed), fold, seed, one, facts)
      for fold, one in enumerate(plan["folds"])
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
  """One run's table of its test part; `facts` become the first one's report."""
  found, table = stored_runs.read(path), stored_runs.table(path, "test")
  for key, value in (facts or found).items():
    if key in (*_FACTS, "genres") and found[key] != value:
      raise InputError(
        f"{path}: {key} {found[key]!r} received, {value!r} as in the other"
        " folds is accepted"
      )
  facts.update(facts or found)
  where = (found["config"].get("data", {}).get("fold"), found["seed"])
  if where != (fold, seed):
    raise InputError(
      f"{path}: fold {where[0]}, seed {where[1]} received; fold {fold}, seed"
      f" {seed} is accepted"
    )
  if (
    predictions.digest(table.track.tolist()) != planned["sha256"]
    or len(table) != planned["test"]["segments"]
    or list(table.genres) != found["genres"]
  ):
    raise InputError(
      f"{path}: its predictions are not of the tracks that fold {fold} tests;"
      " the corpus changed since: give another --workdir"
    )
  return table


def pool(tables: Sequence[Predictions]) -> Predictions:
  """The rows of all folds, one fold after the other; [sum of N] rows.

  Raises:
    InputError: one row stands in two folds.
  """
  names = {x.name for x in dataclasses.fields(Predictions)} - {"genres"}
  return dataclasses.replace(
    tables[0],
    **{x: np.concatenate([getattr(one, x) for one in tables]) for x in names},
  )


def measure(tested: Tested) -> dict:
  """Everything in crossval.json.

  Returns:
    `recipe`, `corpus`, `source`, `data_fingerprint`, `protocol`, `leak`,
    `genres`, `seeds`; `accuracy`, pooled, by `track` and `segment`: from
    `compare.mean_accuracy`, over all seeds; `spread`, by level the `mean`,
    `deviation` (n - 1), `lowest` and `highest` of the folds' accuracies;
    `balance`, from `balance`; `folds` [`fold`, `train`, `validation` and `test`
    (`tracks` and `segments`), `genres` {genre: tracks tested}, `artists`
    (clusters tested), `track` and `segment`: as `accuracy`]; `pooled` [`seed`
    and what a split in report.json has].
  """
  by_seed = list(tested.tables.values())
  by_fold = list(zip(*by_seed, strict=True))
  pooled = [pool(tables) for tables in by_seed]
  found = tested.report
  folds = [
    {
      "fold": fold,
      **{part: plan[part] for part in report.SPLITS},
      "genres": dict(
        zip(found["genres"], _by_genre(tables[0]).tolist(), strict=True)
      ),
      "artists": tables[0].n_clusters,
      **_levels(tables),
    }
    for fold, (plan, tables) in enumerate(
      zip(tested.plan["folds"], by_fold, strict=True)
    )
  ]
  drawn = found["config"]["eval"]["bootstrap"]
  return {
    **{key: found[key] for key in (*_FACTS, "genres")},
    "seeds": list(tested.tables),
    "accuracy": _levels(pooled),
    "spread": {
      level: _spread([one[level]["accuracy"] for one in folds])
      for level in ("track", "segment")
    },
    "balance": balance(by_seed[0]),
    "folds": folds,
    "pooled": [
      {"seed": seed, **report.scored(table, resamples=drawn)}
      for seed, table in zip(tested.tables, pooled, strict=True)
    ],
  }


def balance(tables: Sequence[Predictions]) -> dict:
  """How like each other the test parts of the folds are.

  Returns:
    `smallest` and `largest`, shares of all tracks; `genre`, where a genre's
    share in a fold is farthest from its share in the corpus: `fold`, `genre`,
    `share`, `corpus`; `crossing`, how many `artists` have tracks in several
    folds, how many `tracks` they have, and how many `unknown` tracks are by
    nobody known.
  """
  counts = np.array([_by_genre(table) for table in tables])
  sizes, corpus = counts.sum(1), counts.sum(0) / counts.sum()
  share = counts / sizes[:, None]
  fold, genre = np.unravel_index(np.abs(share - corpus).argmax(), share.shape)
  folds_of = collections.defaultdict(set)
  credits = [table.by_track().artist.tolist() for table in tables]
  for i, tested in enumerate(credits):
    for artist in set().union(*map(artist_credits.known, tested)):
      folds_of[artist].add(i)
  crossing = {x for x, among in folds_of.items() if len(among) > 1}
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
      "tracks": sum(
        not crossing.isdisjoint(artist_credits.known(credit))
        for tested in credits
        for credit in tested
      ),
      "unknown": sum(
        not artist_credits.known(credit)
        for tested in credits
        for credit in tested
      ),
    },
  }


def save_pooled(tested: Tested, folder: pathlib.Path) -> None:
  """Writes what every seed said of every track; no other seed's is left."""
  places = folder / "predictions"
  names = {_pooled_name(seed) for seed in tested.tables}
  for path in places.glob("pooled*.npz"):
    if path.name not in names:
      path.unlink()
  for seed, tables in tested.tables.items():
    pool(tables).save(places / _pooled_name(seed))


def again(folder: str | pathlib.Path) -> dict:
  """What crossval.json in a folder would hold if it were written now.

  Raises:
    InputError: see `collect`, or the pooled predictions beside it are others
      than those of the folds.
  """
  tested = collect(folder, read_plan(folder))
  for seed, tables in tested.tables.items():
    path = pathlib.Path(folder) / "predictions" / _pooled_name(seed)
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
  """[C] how many tracks each genre has."""
  return np.bincount(table.by_track().label, minlength=len(table.genres))


def _levels(tables: Sequence[Predictions]) -> dict:
  return {
    "track": compare.mean_accuracy([one.by_track() for one in tables]),
    "segment": compare.mean_accuracy(tables),
  }


def _spread(values: Sequence[float]) -> dict[str, float]:
  return {
    "mean": statistics.fmean(values),
    "deviation": statistics.stdev(values),
    "lowest": min(values),
    "highest": max(values),
  }
