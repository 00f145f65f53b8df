"""Confidence intervals by resampling clusters."""

import numpy as np

RESAMPLES = 1_000
_AT_A_TIME = 500  # resamples: with thousands of clusters, a few MB


def interval(
  cluster: np.ndarray, values: np.ndarray, *, resamples: int, seed: int = 0
) -> list[float]:
  """95 % percentile interval of a mean over rows, resampling whole clusters.

  A resample takes clusters with replacement, each with all its rows (Field and
  Welsh, 2007), as rows of a cluster are not independent.

  Args:
    cluster: [N] the cluster of each row: Predictions.clusters; N > 0.
    values: [N] bool for an accuracy, differences of two models for a paired
      comparison.
    resamples: number of resamples.
    seed: of the random generator.

  Returns:
    [low, high]; equal if all values are equal.
  """
  _, group = np.unique(cluster, return_inverse=True)
  rows = np.bincount(group)
  total = np.bincount(group, weights=values)
  rng, means = np.random.default_rng(seed), []
  for start in range(0, resamples, _AT_A_TIME):
    shape = (min(_AT_A_TIME, resamples - start), len(rows))
    drawn = rng.integers(len(rows), size=shape)
    means.append(total[drawn].sum(axis=1) / rows[drawn].sum(axis=1))
  return np.percentile(np.concatenate(means), [2.5, 97.5]).tolist()
