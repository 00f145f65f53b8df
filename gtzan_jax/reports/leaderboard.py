"""The leaderboard: the report.json files of many runs, as tables.

Runs that differ only in the seed are one row: mean and standard deviation. A
table holds rows of the same corpus, protocol and scored tracks, or of one
external collection. The same reports give the same tables, in any order.
"""

import collections
import hashlib
import json
import pathlib
import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from gtzan_jax.config_ranges import flatten
from gtzan_jax.reports import artist_note, provenance, report
from gtzan_jax.reports.published_scores import PUBLISHED
from gtzan_jax.scores import metrics

# Keys of the config that do not make another experiment: the seed, what the
# recipe, the protocol and the data fingerprint say already, and what only
# decides how much is logged, kept in memory or resampled.
_SAME = (
  *("recipe", "seed", "data.path", "data.protocol", "data.dir"),
  "data.cache_mb",
)
_SAME_SECTIONS = ("eval.", "log.")


class Spread(NamedTuple):
  """Mean over runs, and their standard deviation (n - 1); None for one run."""

  mean: float
  deviation: float | None


def build(reports: Iterable[Mapping]) -> list[dict]:
  """The tables of a leaderboard as plain values; copies of a report count once.
  `fold` is None for protocols without folds, `collection` None but for external
  tests; `n` counts tracks, `artists_decide` is whether most are by artists of
  the train split. Rows, best first, have Spreads in `track`, `macro_f1` and
  `segment`, and `published` (Published or None)."""
  tables = collections.defaultdict(list)
  scored = [run for run in distinct(reports) if run["headline"] is not None]
  for run in pooled(scored):
    tables[_table_key(run)].append(_named(run))
  return [_table(tables[key]) for key in sorted(tables)]


def distinct(reports: Iterable[Mapping]) -> list[Mapping]:
  """Drops copies; of reports that differ only in seconds the fastest stays."""
  by_content = {
    json.dumps({**run, "seconds": 0}, sort_keys=True): run
    for run in sorted(reports, key=lambda run: -run["seconds"])
  }
  return list(by_content.values())


def _named(run: Mapping) -> Mapping:
  """An external test's report, its recipe named with the training data."""
  if "external" not in run or "members" in run["config"]:
    return run
  data = {"path": None, "protocol": "split unknown"}
  data |= run["config"].get("data", {})
  music = pathlib.Path(data["path"]).name if data["path"] else "synthetic"
  name = f"{run['recipe']} trained on {music}, {data['protocol']}"
  return {**run, "recipe": name}


def _headline(run: Mapping) -> Mapping:
  return run["splits"][run["headline"]]


def _table_key(run: Mapping) -> tuple:
  """Honest tables first, then leaking ones, then those of synthetic music."""
  return (
    run["corpus"] == "synthetic",
    run["leak"] or "",
    run["corpus"],
    run["source"],
    run["protocol"],
    fold_of(run) or "",
    run["headline"],
    _headline(run)["sha256"] or "",
    run["data_fingerprint"] if "external" in run else "",
  )


def _table(reports: list[Mapping]) -> dict:
  first = reports[0]
  groups = collections.defaultdict(list)
  for run in reports:
    settings = json.dumps(experiment(run), sort_keys=True)
    groups[run["recipe"], settings].append(run)
  rows = [
    _row(group, _varying(recipe, groups))
    for (recipe, _), group in groups.items()
  ]
  rows.sort(
    key=lambda row: (-row["track"].mean, row["recipe"], str(row["settings"]))
  )
  # The one with most tracks by artists of its train split.
  artists = max(
    map(_headline, reports),
    key=lambda split: (split["known_artists"] or {"tracks": -1})["tracks"],
  )
  fold = fold_of(first)
  return {
    **{key: first[key] for key in ("corpus", "source", "protocol", "leak")},
    "fold": fold,
    "single_fold": fold not in (None, ALL_FOLDS),
    "collection": _collection(reports),
    "split": first["headline"],
    "n": _headline(first)["track"]["n"],
    "synthetic": first["corpus"] == "synthetic",
    "artists_decide": artist_note.artists_decide(artists),
    "notes": _notes(first, artists),
    "rows": rows,
  }


def _collection(reports: list[Mapping]) -> str | None:
  """Names of an external collection, and its fingerprint; None without."""
  if "external" not in reports[0]:
    return None
  paths = {run["external"]["path"] for run in reports}
  names = {pathlib.Path(p).name or p if p else "synthetic" for p in paths}
  fingerprint = reports[0]["data_fingerprint"][:8]
  return f"{' or '.join(sorted(names))} ({fingerprint})"


def _notes(run: Mapping, artists: Mapping) -> list[str]:
  """Warnings beside a leak."""
  notes = []
  if run["headline"] != "test":
    notes.append(
      f"No test tracks at hand: the {run['headline']} split also chose the"
      " checkpoints, so expect somewhat less on unseen tracks."
    )
  if missing := _headline(run)["missing"]:
    notes.append(f"{missing} tracks of this split are missing from the corpus.")
  if note := artist_note.note(run["headline"], artists):
    notes.append(note)
  if run["source"] == "archive":
    notes.append(
      "The log-mel archive has a coarser time axis than audio gives."
    )
  return notes


def experiment(run: Mapping) -> dict[str, object]:
  """What makes other experiments other rows: training data and config; of an
  ensemble, those of each member."""
  if members := run["config"].get("members"):
    facts = sorted(
      (
        f"{member['recipe']} (seed {member['seed']})",
        member["data_fingerprint"][:8],
        member.get("config", "–")[:8],
      )
      for member in members.values()
    )
    joined = map(" + ".join, zip(*facts, strict=True))
    return dict(zip(("members", "data", "config"), joined, strict=True))
  return {"data": report.trained_on(run)[:8]} | {
    key: value
    for key, value in flatten(run["config"]).items()
    if key not in _SAME and not key.startswith(_SAME_SECTIONS)
  }


def _varying(recipe: str, groups: Mapping[tuple, list[Mapping]]) -> list[str]:
  """The settings in which the rows of a recipe differ."""
  first, *others = (
    experiment(group[0])
    for (name, _), group in groups.items()
    if name == recipe
  )
  keys = sorted({*first}.union(*others))
  return [k for k in keys if any(x.get(k) != first.get(k) for x in others)]


def _row(group: list[Mapping], varying: list[str]) -> dict:
  first, settings = group[0], experiment(group[0])
  splits = [_headline(run) for run in group]
  return {
    "recipe": first["recipe"],
    "settings": {key: settings.get(key, "–") for key in varying},
    "seeds": sorted(run["seed"] for run in group),
    "track": _spread(split["track"]["accuracy"] for split in splits),
    "macro_f1": _spread(split["track"]["macro_f1"] for split in splits),
    "segment": _spread(split["segment"]["accuracy"] for split in splits),
    "parameters": first["num_params"],
    "seconds": statistics.fmean(run["seconds"] for run in group),
    "data": " + ".join(dict.fromkeys(str(settings["data"]).split(" + "))),
    "commits": sorted(
      {provenance.short(x) for run in group for x in _commits(run)}
    ),
    "published": PUBLISHED.get(first["recipe"]),
  }


def _spread(values: Iterable[float]) -> Spread:
  values = list(values)
  deviation = statistics.stdev(values) if len(values) > 1 else None
  return Spread(statistics.fmean(values), deviation)


# Folds: of a cross-validation that was run whole, one report.

ALL_FOLDS = "all folds"


def fold_of(report: Mapping) -> str | None:
  """ "fold 2", ALL of a pooled report, None for protocols without folds."""
  if "kfold" not in report["protocol"] or "external" in report:
    return None
  number = report["config"].get("data", {}).get("fold")  # none of an ensemble
  return f"fold {number}" if isinstance(number, int) else number


def pooled(reports: Iterable[Mapping]) -> list[Mapping]:
  """Replaces the reports of all folds, which differ in `config.data.fold`
  alone, by one with pooled headline scores, summed seconds and `commits`.
  Reports of an incomplete cross-validation stay."""
  groups, whole = collections.defaultdict(list), []
  for run in reports:
    single = fold_of(run) is None
    (whole if single else groups[_experiment(run)]).append(run)
  for group in groups.values():
    tested = sum(_headline(run)["track"]["n"] for run in group)
    complete = len(group) > 1 and tested == group[0]["tracks"]
    whole += [_pool(group)] if complete else group
  return whole


def _experiment(run: Mapping) -> str:
  named = [run[key] for key in ("source", "data_fingerprint", "headline")]
  return json.dumps([*named, _of_all_folds(run["config"])], sort_keys=True)


def _of_all_folds(config: Mapping) -> dict:
  return {**config, "data": {**config["data"], "fold": ALL_FOLDS}}


def _pool(group: Sequence[Mapping]) -> dict:
  group = sorted(group, key=lambda run: run["config"]["data"]["fold"])
  first, tests = group[0], [_headline(run) for run in group]
  met = [test["known_artists"] for test in tests]
  digests = "".join(f"{test['sha256']}\n" for test in tests)
  test = {
    "missing": max(test["missing"] for test in tests),
    "sha256": hashlib.sha256(digests.encode()).hexdigest(),
    "known_artists": None
    if None in met
    else {key: sum(run[key] for run in met) for key in ("tracks", "of")},
    "track": {**_mean(tests, "track"), "macro_f1": _macro_f1(tests)},
    "segment": _mean(tests, "segment"),
  }
  return {
    **first,
    "config": _of_all_folds(first["config"]),
    "seconds": sum(run["seconds"] for run in group),
    "commits": [commit for run in group for commit in _commits(run)],
    "splits": {**first["splits"], first["headline"]: test},
  }


def _mean(tests: Sequence[Mapping], level: str) -> dict:
  n = sum(test[level]["n"] for test in tests)
  right = sum(test[level]["n"] * test[level]["accuracy"] for test in tests)
  return {"n": n, "accuracy": right / n}


def _macro_f1(tests: Sequence[Mapping]) -> float:
  counts = np.sum([test["track"]["confusion"] for test in tests], axis=0)
  return metrics.macro_f1(np.diag(counts), counts.sum(1), counts.sum(0))


def _commits(run: Mapping) -> Sequence[str | None]:
  """Commits of a report: one, or one for each fold."""
  return run["commits"] if "commits" in run else [run["commit"]]
