"""Paired comparison of models on the same tracks.

A bootstrap of the difference by clusters of tracks, and McNemar's exact test.
"""

import statistics
from collections.abc import Mapping, Sequence

import numpy as np

from gtzan_jax.errors import InputError
from gtzan_jax.scores import alignment, bootstrap
from gtzan_jax.scores.predictions import Predictions

RESAMPLES = 20_000  # with 1,000 a bound varies by a point for few artists


def compare(
  a: Predictions,
  b: Predictions,
  *,
  resamples: int = RESAMPLES,
) -> dict:
  """Compares two tables of the same rows, in any order.

  Args:
    a: the first, whose artists are the clusters.
    b: the second.
    resamples: of the interval.

  Returns:
    n (rows), clusters, accuracy_a, accuracy_b, difference (a - b), its ci95 (a
    paired bootstrap of clusters) and mcnemar: only_a, only_b (rows that only
    one predicts correctly) and p (two-sided, exact). mcnemar is None where a
    track has several rows, which are not independent.

  Raises:
    InputError: other genres, tracks, labels or segments.
  """
  correct_a, correct_b = _correct([a, b])
  return {
    **_paired(a, [correct_a], [correct_b], resamples),
    "mcnemar": _mcnemar(correct_a, correct_b) if _one_row_a_track(a) else None,
  }


def compare_many(
  a: Sequence[Predictions],
  b: Sequence[Predictions],
  *,
  resamples: int = RESAMPLES,
) -> dict:
  """Compares two recipes, each over several seeds, on the same rows.

  The accuracies are means over the seeds. A resample takes a cluster with the
  predictions of all seeds, so the interval is for these runs on other tracks.

  Args:
    a: the tables of the first, two seeds or more.
    b: of the second; equal seeds at equal positions.
    resamples: of the interval.

  Returns:
    as `compare`, with deviation_a and deviation_b (over the seeds, n - 1 in the
    divisor); mcnemar has one entry for each pair of tables.

  Raises:
    InputError: fewer than two seeds of one; or as `compare`.
  """
  for name, given in (("first", a), ("second", b)):
    if len(given) < 2:
      raise InputError(
        f"{len(given)} seed of the {name} received; to compare over seeds two"
        " or more of each are accepted"
      )
  correct = _correct([*a, *b])
  correct_a, correct_b = correct[: len(a)], correct[len(a) :]
  return {
    **_paired(a[0], correct_a, correct_b, resamples),
    "deviation_a": statistics.stdev(float(x.mean()) for x in correct_a),
    "deviation_b": statistics.stdev(float(x.mean()) for x in correct_b),
    "mcnemar": list(map(_mcnemar, correct_a, correct_b))
    if _one_row_a_track(a[0])
    else None,
  }


def mean_accuracy(tables: Sequence[Predictions]) -> dict:
  """A recipe's mean accuracy over seeds, on the same rows.

  Returns:
    accuracy; deviation over the seeds (n - 1 in the divisor; None for one
    seed); ci95 [low, high] of the mean, a bootstrap over clusters, each with
    the predictions of all seeds.

  Raises:
    InputError: other genres, tracks, labels or segments.
  """
  correct = _correct(tables)
  values = [float(rows.mean()) for rows in correct]
  return {
    "accuracy": statistics.fmean(values),
    "deviation": statistics.stdev(values) if len(values) > 1 else None,
    "ci95": bootstrap.interval(
      tables[0].clusters, np.mean(correct, axis=0), resamples=RESAMPLES
    ),
  }


def as_text(mean: Mapping) -> str:
  """A `mean_accuracy` in per cent: "57.7 ± 0.4 [50.1, 65.3]"."""
  low, high = (100 * x for x in mean["ci95"])
  spread = (
    "(n=1)" if mean["deviation"] is None else f"± {100 * mean['deviation']:.1f}"
  )
  return f"{100 * mean['accuracy']:.1f} {spread} [{low:.1f}, {high:.1f}]"


def _correct(tables: Sequence[Predictions]) -> list[np.ndarray]:
  """[N] bool of each table, rows in the order of the first."""
  first = tables[0]
  if not len(first):
    raise InputError("predictions: 0 rows received, one or more are accepted")
  for number, other in enumerate(tables[1:], start=2):
    for problem in alignment.differences(first, other):
      raise InputError(f"predictions 1 and {number} differ: {problem}")
    if not alignment.same_rows([first, other]):
      raise InputError(
        f"predictions 1 and {number} differ: their tracks have other segments;"
        " compare them by track"
      )
  return [table.correct[alignment.places(first, table)] for table in tables]


def _paired(
  table: Predictions,
  correct_a: Sequence[np.ndarray],
  correct_b: Sequence[np.ndarray],
  resamples: int,
) -> dict:
  share_a, share_b = np.mean(correct_a, axis=0), np.mean(correct_b, axis=0)
  return {
    "n": len(table),
    "clusters": table.n_clusters,
    "accuracy_a": float(share_a.mean()),
    "accuracy_b": float(share_b.mean()),
    "difference": float(share_a.mean() - share_b.mean()),
    "ci95": bootstrap.interval(
      table.clusters, share_a - share_b, resamples=resamples
    ),
  }


def _one_row_a_track(table: Predictions) -> bool:
  return len(np.unique(table.track)) == len(table)


def _mcnemar(correct_a: np.ndarray, correct_b: np.ndarray) -> dict:
  """Null hypothesis: each has half of the rows that only one predicts."""
  from scipy import stats

  only_a = int(sum(correct_a & ~correct_b))
  only_b = int(sum(correct_b & ~correct_a))
  differing = only_a + only_b
  p = stats.binomtest(only_a, differing).pvalue if differing else 1.0
  return {"only_a": only_a, "only_b": only_b, "p": float(p)}
