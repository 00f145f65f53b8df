"""Reports of all folds of a cross-validation as one, for the leaderboard.

What a leaderboard shows of pooled predictions, reports tell as well: accuracies
are means over rows, and the F1 of a genre is one of counts.
"""

import collections
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from gtzan_jax.scores import metrics

ALL = "all folds"


def fold(report: Mapping) -> str | None:
  """ "fold 2", ALL of a pooled one, None where the protocol has no folds."""
  if "kfold" not in report["protocol"] or "external" in report:
    return None
  number = report["config"].get("data", {}).get("fold")  # none of an ensemble
  return f"fold {number}" if isinstance(number, int) else number


def pooled(reports: Iterable[Mapping]) -> list[Mapping]:
  """The same with one report for all folds, where every track was tested.

  Reports belong together that differ in `config.data.fold` alone; what is left
  of a cross-validation stays as it is. A pooled report has the parameters of
  one model, the seconds of all, and of its headline `track` (`n`, `accuracy`,
  `macro_f1`), `segment` (`n`, `accuracy`), `known_artists`, `missing` and
  `sha256`; in place of `commit` it has `commits`.
  """
  groups, whole = collections.defaultdict(list), []
  for one in reports:
    if fold(one) is None:
      whole.append(one)
    else:
      groups[_experiment(one)].append(one)
  for group in groups.values():
    tested = sum(_test(one)["track"]["n"] for one in group)
    complete = len(group) > 1 and tested == group[0]["tracks"]
    whole += [_pool(group)] if complete else group
  return whole


def _experiment(one: Mapping) -> str:
  config = {**one["config"], "data": {**one["config"]["data"], "fold": ALL}}
  named = [one[key] for key in ("source", "data_fingerprint", "headline")]
  return json.dumps([*named, config], sort_keys=True)


def _test(one: Mapping) -> Mapping:
  return one["splits"][one["headline"]]


def _pool(group: Sequence[Mapping]) -> dict:
  group = sorted(group, key=lambda one: one["config"]["data"]["fold"])
  first, tests = group[0], [_test(one) for one in group]
  met = [test["known_artists"] for test in tests]
  digests = "".join(f"{test['sha256']}\n" for test in tests)
  test = {
    "missing": max(test["missing"] for test in tests),
    "sha256": hashlib.sha256(digests.encode()).hexdigest(),
    "known_artists": None
    if None in met
    else {key: sum(one[key] for one in met) for key in ("tracks", "of")},
    "track": {**_mean(tests, "track"), "macro_f1": _macro_f1(tests)},
    "segment": _mean(tests, "segment"),
  }
  data = {**first["config"]["data"], "fold": ALL}
  return {
    **first,
    "config": {**first["config"], "data": data},
    "seconds": sum(one["seconds"] for one in group),
    "commits": [commit for one in group for commit in commits(one)],
    "splits": {**first["splits"], first["headline"]: test},
  }


def _mean(tests: Sequence[Mapping], level: str) -> dict:
  n = sum(test[level]["n"] for test in tests)
  right = sum(test[level]["n"] * test[level]["accuracy"] for test in tests)
  return {"n": n, "accuracy": right / n}


def _macro_f1(tests: Sequence[Mapping]) -> float:
  counts = np.sum([test["track"]["confusion"] for test in tests], axis=0)
  return metrics.macro_f1(np.diag(counts), counts.sum(1), counts.sum(0))


def commits(one: Mapping) -> Sequence[str | None]:
  """Of what code a report is: of one commit, or of one for each fold."""
  return one["commits"] if "commits" in one else [one["commit"]]
