"""Is one model better than another, on the same tracks?

Two models that hear the same music err in part on the same of it, so the
difference is better known than either accuracy. It is resampled itself, by
clusters of tracks; McNemar's exact test looks at the tracks that only one of
the two gets right.
"""

import statistics
from collections.abc import Mapping, Sequence

import numpy as np

from gtzan_jax.errors import InputError
from gtzan_jax.scores import alignment, metrics
from gtzan_jax.scores.predictions import Predictions

RESAMPLES = 20_000  # with 1,000 a bound of few artists moves by a point


def compare(
  a: Predictions,
  b: Predictions,
  *,
  resamples: int = RESAMPLES,
) -> dict:
  """Two tables of the same rows, in any order.

  Args:
    a: the first; where two know artists differently, as it does.
    b: the second.
    resamples: behind the interval.

  Returns:
    n (rows), clusters, accuracy_a, accuracy_b, difference (a - b), its ci95 (a
    paired bootstrap of clusters) and mcnemar: only_a, only_b (rows that only
    one gets right) and p (two-sided, exact). mcnemar is None where a track has
    several rows, which are no independent trials.

  Raises:
    InputError: other genres, tracks, labels or segments.
  """
  right_a, right_b = _right([a, b])
  return {
    **_paired(a, [right_a], [right_b], resamples),
    "mcnemar": _mcnemar(right_a, right_b) if _one_row_a_track(a) else None,
  }


def compare_many(
  a: Sequence[Predictions],
  b: Sequence[Predictions],
  *,
  resamples: int = RESAMPLES,
) -> dict:
  """Two recipes, each over several seeds, on the same rows.

  The accuracies are means over the seeds. A resample takes a cluster with what
  all seeds said of it, so the interval is of these runs on other music; how the
  seeds spread is said beside it.

  Args:
    a: the tables of the first, two seeds or more.
    b: of the second; equal seeds in equal places.
    resamples: behind the interval.

  Returns:
    as `compare`, with deviation_a and deviation_b (over the seeds, n - 1 in the
    divisor); mcnemar has one entry for each two tables in the same place.

  Raises:
    InputError: fewer than two seeds of one; or as `compare`.
  """
  for name, given in (("first", a), ("second", b)):
    if len(given) < 2:
      raise InputError(
        f"{len(given)} seed of the {name} was given; to compare over seeds give"
        " two or more of each"
      )
  right = _right([*a, *b])
  right_a, right_b = right[: len(a)], right[len(a) :]
  return {
    **_paired(a[0], right_a, right_b, resamples),
    "deviation_a": statistics.stdev(float(x.mean()) for x in right_a),
    "deviation_b": statistics.stdev(float(x.mean()) for x in right_b),
    "mcnemar": list(map(_mcnemar, right_a, right_b))
    if _one_row_a_track(a[0])
    else None,
  }


def mean_accuracy(tables: Sequence[Predictions]) -> dict:
  """Of a recipe: the mean over its seeds, on the very same rows.

  Returns:
    accuracy; deviation over the seeds (n - 1; None of one); ci95 [low, high] of
    the mean, a bootstrap over clusters, each with what all seeds said of it.

  Raises:
    InputError: other genres, tracks, labels or segments.
  """
  right = _right(tables)
  values = [float(one.mean()) for one in right]
  return {
    "accuracy": statistics.fmean(values),
    "deviation": statistics.stdev(values) if len(values) > 1 else None,
    "ci95": metrics.bootstrap(
      tables[0].clusters, np.mean(right, axis=0), resamples=RESAMPLES
    ),
  }


def said(mean: Mapping) -> str:
  """What `mean_accuracy` returns, in per cent: "57.7 ± 0.4 [50.1, 65.3]"."""
  low, high = (100 * x for x in mean["ci95"])
  spread = (
    "(n=1)" if mean["deviation"] is None else f"± {100 * mean['deviation']:.1f}"
  )
  return f"{100 * mean['accuracy']:.1f} {spread} [{low:.1f}, {high:.1f}]"


def _right(tables: Sequence[Predictions]) -> list[np.ndarray]:
  """Of each table [N] bool: is it right? Rows as in the first."""
  first = tables[0]
  if not len(first):
    raise InputError("predictions: 0 rows received, one or more are accepted")
  for number, other in enumerate(tables[1:], start=2):
    for problem in alignment.differences(first, other):
      raise InputError(f"predictions 1 and {number} differ: {problem}")
    if not alignment.same_rows([first, other]):
      raise InputError(
        f"predictions 1 and {number} differ: their tracks were cut into other"
        " segments; compare them by track"
      )
  return [table.right[alignment.places(first, table)] for table in tables]


def _paired(
  table: Predictions,
  right_a: Sequence[np.ndarray],
  right_b: Sequence[np.ndarray],
  resamples: int,
) -> dict:
  """What one seed and several have in common."""
  share_a, share_b = np.mean(right_a, axis=0), np.mean(right_b, axis=0)
  return {
    "n": len(table),
    "clusters": table.n_clusters,
    "accuracy_a": float(share_a.mean()),
    "accuracy_b": float(share_b.mean()),
    "difference": float(share_a.mean() - share_b.mean()),
    "ci95": metrics.bootstrap(
      table.clusters, share_a - share_b, resamples=resamples
    ),
  }


def _one_row_a_track(table: Predictions) -> bool:
  return len(np.unique(table.track)) == len(table)


def _mcnemar(right_a: np.ndarray, right_b: np.ndarray) -> dict:
  """If neither is better, each wins half of what only one gets right."""
  from scipy import stats

  only_a, only_b = int(sum(right_a & ~right_b)), int(sum(right_b & ~right_a))
  lost = only_a + only_b
  p = stats.binomtest(only_a, lost).pvalue if lost else 1.0
  return {"only_a": only_a, "only_b": only_b, "p": float(p)}
