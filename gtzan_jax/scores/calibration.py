"""Is a model as often right as it says? And a temperature that helps it.

After Guo et al. (2017), "On Calibration of Modern Neural Networks": the
expected calibration error, and one number by which the logits are divided. That
changes no answer, only how sure of it the model is.
"""

from collections.abc import Mapping

import numpy as np

from gtzan_jax.scores.predictions import Predictions

BINS = 15  # of confidence, of equal width
SMALLEST = 1e-7  # probabilities are lifted to this before the logarithm
COLDEST, HOTTEST = 1 / 20, 20.0  # temperatures that are tried
LEVELS = ("segment", "track")


def lifted(probabilities: np.ndarray) -> np.ndarray:
  """Float64 rows without zeros that sum to 1 as closely as float64 can."""
  raised = np.maximum(probabilities.astype(np.float64), SMALLEST)
  return raised / raised.sum(axis=1, keepdims=True)


def loss(probabilities: np.ndarray, label: np.ndarray) -> float:
  """Mean cross-entropy in nats, of rows [N, C] of these labels [N]."""
  chosen = lifted(probabilities)[np.arange(len(label)), label]
  return float(-np.log(chosen).mean())


def reliability(probabilities: np.ndarray, right: np.ndarray) -> list[dict]:
  """How often a model is right among rows about equally sure of themselves.

  Args:
    probabilities: [N, C].
    right: [N] bool, whether the answer of each row is right.

  Returns:
    one {confidence, accuracy, n} a bin of the greatest probability that has
    rows: the mean of that probability, the share of right answers, the rows. A
    bin holds its upper edge.
  """
  if not len(right):
    return []
  from sklearn.calibration import calibration_curve

  sure = probabilities.max(axis=1).clip(0, 1)
  accuracy, confidence = calibration_curve(
    right, sure, n_bins=BINS, strategy="uniform", pos_label=True
  )
  # The same bins as calibration_curve, which returns no counts.
  place = np.searchsorted(np.linspace(0, 1, BINS + 1)[1:-1], sure)
  counts = np.bincount(place, minlength=BINS)
  return [
    {"confidence": float(c), "accuracy": float(a), "n": int(n)}
    for c, a, n in zip(confidence, accuracy, counts[counts > 0], strict=True)
  ]


def ece(probabilities: np.ndarray, right: np.ndarray) -> float:
  """Expected calibration error, 0 to 1, of what `reliability` takes; N > 0.

  The mean over all rows of how far, in the bin of each, the mean of the
  greatest probability is from the share of right answers.
  """
  return sum(
    row["n"] / len(right) * abs(row["accuracy"] - row["confidence"])
    for row in reliability(probabilities, right)
  )


def temperature(probabilities: np.ndarray, label: np.ndarray) -> float:
  """The one under which rows [N, C] of these labels [N] have the least loss.

  Between 1/20 and 20. Logits are known but for a constant: they are the
  logarithms of the probabilities. In 1/T the loss is convex, so that in log T
  it has one minimum.
  """
  from scipy import optimize, special

  logits, rows = np.log(lifted(probabilities)), np.arange(len(label))

  def loss_at(log_t: float) -> float:
    cooled = special.log_softmax(logits / np.exp(log_t), axis=1)
    return -cooled[rows, label].mean()

  found = optimize.minimize_scalar(
    loss_at, bounds=np.log([COLDEST, HOTTEST]), method="bounded"
  )
  # Where nothing is gained (all genres are alike to it), nothing is changed.
  return float(np.exp(found.x)) if found.fun < loss_at(0.0) else 1.0


def scaled(probabilities: np.ndarray, by: float | np.ndarray) -> np.ndarray:
  """Rows [N, C] with their logits divided by a temperature, or one a row [N].

  Float64: rounded as a table of predictions is, some would be ties that another
  genre wins.
  """
  logits = np.log(lifted(probabilities)) / np.reshape(by, (-1, 1))
  powers = np.exp(logits - logits.max(axis=1, keepdims=True))
  return powers / powers.sum(axis=1, keepdims=True)


def calibrate(
  predictions: Mapping[str, Predictions], headline: str | None
) -> dict | None:
  """What a temperature makes of the headline's calibration.

  Args:
    predictions: the tables of segments, by split.
    headline: the split whose numbers stand for the run.

  Returns:
    None where there is nothing to fit on; otherwise fitted_on and, at each of
    LEVELS, temperature, ece, ece_after, loss, loss_after and reliability (after
    it). For `test` it is fitted on validation. A headline that is `validation`
    itself is cross-fitted: each half of its clusters is divided by the other
    half's temperature, and `temperature` is the geometric mean over the rows.
  """
  fitted_on = predictions.get("validation")
  if headline is None or fitted_on is None or not len(fitted_on):
    return None
  crossed = headline == "validation"
  if crossed and fitted_on.n_clusters == 1:
    return None
  levels = {}
  for level in LEVELS:
    table, other = (
      one.by_track("mean") if level == "track" else one
      for one in (predictions[headline], fitted_on)
    )
    t = _crossed(table) if crossed else _fitted(other, len(table))
    before, right = table.probabilities, table.right
    after = scaled(before, t)
    levels[level] = {
      "temperature": float(np.exp(np.log(t).mean())),
      "ece": ece(before, right),
      "ece_after": ece(after, right),
      "loss": loss(before, table.label),
      "loss_after": loss(after, table.label),
      "reliability": reliability(after, right),
    }
  what = "halves of validation" if crossed else "validation"
  return {"fitted_on": what, **levels}


def _fitted(table: Predictions, rows: int) -> np.ndarray:
  """The temperature of a table, for each of so many rows of another."""
  return np.full(rows, temperature(table.probabilities, table.label))


def _crossed(table: Predictions) -> np.ndarray:
  """[N] for each row the temperature of the half that it is not in.

  The same clusters are in the same halves at every level.
  """
  cluster = table.clusters
  count = cluster.max() + 1
  order = np.random.default_rng(0).permutation(count)
  first = (order < count // 2)[cluster]
  one, other = (
    temperature(table.probabilities[half], table.label[half])
    for half in (first, ~first)
  )
  return np.where(first, other, one)
