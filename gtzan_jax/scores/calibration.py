"""Calibration: reliability, expected calibration error, temperature scaling.

After Guo et al. (2017), "On Calibration of Modern Neural Networks". Dividing
the logits by a temperature changes confidences, not predictions.
"""

from collections.abc import Mapping

import numpy as np

from gtzan_jax.scores.predictions import Predictions

BINS = 15  # of confidence, of equal width
SMALLEST = 1e-7  # probabilities are raised to this before the logarithm
COLDEST, HOTTEST = 1 / 20, 20.0  # the range of temperatures
LEVELS = ("segment", "track")


def lifted(probabilities: np.ndarray) -> np.ndarray:
  """Rows without zeros that sum to 1, float64."""
  raised = np.maximum(probabilities.astype(np.float64), SMALLEST)
  return raised / raised.sum(axis=1, keepdims=True)


def loss(probabilities: np.ndarray, label: np.ndarray) -> float:
  """Mean cross-entropy in nats of rows [N, C] with labels [N]."""
  chosen = lifted(probabilities)[np.arange(len(label)), label]
  return float(-np.log(chosen).mean())


def reliability(probabilities: np.ndarray, correct: np.ndarray) -> list[dict]:
  """Accuracy by confidence, the greatest probability of a row.

  Args:
    probabilities: [N, C].
    correct: [N] bool.

  Returns:
    {confidence, accuracy, n} of each bin that has rows: mean confidence, share
    of correct predictions, number of rows. A bin includes its upper edge.
  """
  if not len(correct):
    return []
  highest = probabilities.max(axis=1).clip(0, 1)
  place = np.searchsorted(np.linspace(0, 1, BINS + 1)[1:-1], highest)
  n, confidence, accuracy = (
    np.bincount(place, weights, minlength=BINS)
    for weights in (None, highest, correct)
  )
  return [
    {
      "confidence": float(confidence[i] / n[i]),
      "accuracy": float(accuracy[i] / n[i]),
      "n": int(n[i]),
    }
    for i in np.flatnonzero(n)
  ]


def ece(probabilities: np.ndarray, correct: np.ndarray) -> float:
  """Expected calibration error, 0 to 1; arguments as `reliability`, N > 0.

  The mean over rows of |accuracy - confidence| of their bin.
  """
  return sum(
    row["n"] / len(correct) * abs(row["accuracy"] - row["confidence"])
    for row in reliability(probabilities, correct)
  )


def temperature(probabilities: np.ndarray, label: np.ndarray) -> float:
  """The temperature, 1/20 to 20, that minimises the loss of rows [N, C].

  The loss is convex in 1/T, so it has one minimum in log T.

  Args:
    probabilities: [N, C]; their logarithms are the logits.
    label: [N].
  """
  from scipy import optimize, special

  logits, rows = np.log(lifted(probabilities)), np.arange(len(label))

  def loss_at(log_t: float) -> float:
    cooled = special.log_softmax(logits / np.exp(log_t), axis=1)
    return -cooled[rows, label].mean()

  best = optimize.minimize_scalar(
    loss_at, bounds=np.log([COLDEST, HOTTEST]), method="bounded"
  )
  # 1 where nothing is gained, as for uniform probabilities.
  return float(np.exp(best.x)) if best.fun < loss_at(0.0) else 1.0


def scaled(probabilities: np.ndarray, by: float | np.ndarray) -> np.ndarray:
  """Rows [N, C] with logits divided by a temperature, or one a row [N]."""
  return softmax(np.log(lifted(probabilities)) / np.reshape(by, (-1, 1)))


def softmax(logits: np.ndarray) -> np.ndarray:
  """[N, C] to rows that sum to 1; scipy's would load all of scipy."""
  powers = np.exp(logits - logits.max(axis=1, keepdims=True))
  return powers / powers.sum(axis=1, keepdims=True)


def calibrate(
  predictions: Mapping[str, Predictions], headline: str | None
) -> dict | None:
  """Calibration of the headline split before and after temperature scaling.

  The temperature is fitted on validation. If the headline is validation, it is
  cross-fitted: each half of the clusters gets the other half's temperature, and
  `temperature` is the geometric mean over the rows.

  Args:
    predictions: tables of segments, by split.
    headline: the split of the run's headline numbers.

  Returns:
    None where there is nothing to fit on; otherwise fitted_on and, at each of
    LEVELS, temperature, ece, ece_after, loss, loss_after and reliability (after
    scaling).
  """
  fitted_on = predictions.get("validation")
  if headline is None or fitted_on is None or not len(fitted_on):
    return None
  crossed = headline == "validation"
  if crossed and fitted_on.n_clusters == 1:
    return None
  levels = {}
  for level in LEVELS:
    table, validation = (
      split.by_track("mean") if level == "track" else split
      for split in (predictions[headline], fitted_on)
    )
    if crossed:
      t = _crossed(table)
    else:
      fitted = temperature(validation.probabilities, validation.label)
      t = np.full(len(table), fitted)
    before, correct = table.probabilities, table.correct
    after = scaled(before, t)
    levels[level] = {
      "temperature": float(np.exp(np.log(t).mean())),
      "ece": ece(before, correct),
      "ece_after": ece(after, correct),
      "loss": loss(before, table.label),
      "loss_after": loss(after, table.label),
      "reliability": reliability(after, correct),
    }
  what = "halves of validation" if crossed else "validation"
  return {"fitted_on": what, **levels}


def _crossed(table: Predictions) -> np.ndarray:
  """[N] each row's temperature, fitted on the half of clusters it is not in."""
  cluster = table.clusters
  count = cluster.max() + 1
  order = np.random.default_rng(0).permutation(count)
  first = (order < count // 2)[cluster]
  of_first, of_second = (
    temperature(table.probabilities[half], table.label[half])
    for half in (first, ~first)
  )
  return np.where(first, of_second, of_first)
