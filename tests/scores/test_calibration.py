"""Calibration against loops, scikit-learn and another way to minimise."""

import numpy as np
import pytest
import scipy.optimize
import scipy.special
import sklearn.metrics

from gtzan_jax.scores import calibration
from gtzan_jax.scores.predictions import Predictions

GENRES = ("blues", "classical", "jazz", "pop", "rock")


def made(tracks=60, segments=4, sure=3.0, seed=0, artists=20) -> Predictions:
  """Half informed and far too sure, of some artists."""
  rng = np.random.default_rng(seed)
  label = np.repeat(np.arange(tracks) % 5, segments)
  logits = rng.normal(size=(len(label), 5))
  logits[np.arange(len(label)), label] += 1
  return Predictions(
    np.repeat([f"t{i:03d}" for i in range(tracks)], segments),
    np.tile(np.arange(segments), tracks),
    label,
    scipy.special.softmax(sure * logits, axis=1),
    GENRES,
    np.repeat([f"by {i % artists}" for i in range(tracks)], segments),
  )


def scores(table: Predictions, by=1.0) -> tuple[float, float]:
  """Loss and calibration error of a table whose logits are divided."""
  after = calibration.scaled(table.probabilities, by)
  loss = calibration.loss(after, table.label)
  return loss, calibration.ece(after, table.correct)


@pytest.mark.parametrize("sure", [0.3, 1.0, 5.0])
def test_the_calibration_error_is_that_of_a_loop(sure):
  """Guo et al.'s equations 2 to 4, read aloud."""
  for table in (made(sure=sure), made(sure=sure).by_track()):
    confidence = table.probabilities.max(axis=1)
    total = 0.0
    for m in range(1, 16):
      inside = (confidence > (m - 1) / 15) & (confidence <= m / 15)
      if inside.any():
        accuracy = (table.predicted == table.label)[inside].mean()
        gap = abs(accuracy - confidence[inside].mean())
        total += inside.sum() / len(table) * gap
    ece = calibration.ece(table.probabilities, table.correct)
    assert ece == pytest.approx(total, abs=1e-12)
    assert 0.01 < ece < 0.6


def test_a_bin_holds_its_upper_edge():
  """0.6 and 0.8 are the edges 9 and 12 of 15, to the bit."""
  edges = np.linspace(0, 1, calibration.BINS + 1)
  assert (edges[9], edges[12]) == (0.6, 0.8)
  sure = np.array([0.55, 0.6, 0.6, np.nextafter(0.6, 1), 0.8, 0.81, 1.0])
  rows, correct = np.stack([sure, 1 - sure], axis=1), np.arange(7) != 2
  bins = calibration.reliability(rows, correct)
  assert [(row["n"], row["accuracy"]) for row in bins] == [
    (3, pytest.approx(2 / 3)),
    *[(1, 1.0)] * 4,
  ]
  assert bins[0]["confidence"] == pytest.approx(1.75 / 3)
  assert bins[-1] == {"confidence": 1.0, "accuracy": 1.0, "n": 1}
  assert calibration.reliability(np.zeros((0, 5)), np.zeros(0, bool)) == []


@pytest.mark.parametrize("sure", [0.4, 1.0, 6.0])
def test_the_temperature_is_that_of_another_minimiser(sure):
  """Of scikit-learn's loss, over 1/T, without a derivative or a bound."""
  table = made(sure=sure)

  def loss(x):
    powers = calibration.lifted(table.probabilities) ** x[0]
    powers /= powers.sum(axis=1, keepdims=True)
    return sklearn.metrics.log_loss(table.label, powers)

  theirs = scipy.optimize.minimize(loss, [1.0], method="Nelder-Mead")
  ours = calibration.temperature(table.probabilities, table.label)
  assert ours == pytest.approx(1 / theirs.x[0], rel=1e-3)
  assert scores(table, ours)[0] == pytest.approx(theirs.fun, abs=2e-4)
  before = calibration.loss(table.probabilities, table.label)
  assert before == pytest.approx(loss([1.0]), abs=1e-9)
  assert abs(ours - 1) > 0.1 or sure == 1.0


@pytest.mark.parametrize("by", [calibration.COLDEST, calibration.HOTTEST])
def test_no_temperature_changes_an_answer(by):
  """Genres that are nearly equal are no tie afterwards."""
  rng = np.random.default_rng(0)
  rows = scipy.special.softmax(rng.normal(size=(4_000, 5)) / 30, 1)
  after = calibration.scaled(rows, by)
  np.testing.assert_array_equal(after.argmax(axis=1), rows.argmax(axis=1))
  np.testing.assert_allclose(after.sum(axis=1), 1)


@pytest.mark.parametrize(
  ("row", "label", "wanted"),
  [
    ([0.2] * 5, range(5), 1),  # nothing is gained
    ([0.6, *[0.1] * 4], [0], pytest.approx(1 / 20, rel=0.05)),  # all right
    ([0.6, *[0.1] * 4], [1], pytest.approx(20, rel=0.05)),  # all wrong
  ],
)
def test_a_temperature_stays_within_its_bounds(row, label, wanted):
  label = np.array(label)
  t = calibration.temperature(np.array([row] * len(label)), label)
  assert t == wanted
  assert 1 / 20 <= t <= 20


def test_test_is_scaled_by_what_validation_gives():
  tables = {"validation": made(seed=1), "test": made(seed=2, sure=2.0)}
  calibrated = calibration.calibrate(tables, "test")
  assert calibrated["fitted_on"] == "validation"
  for level in calibration.LEVELS:
    one, other = (
      t.by_track() if level == "track" else t for t in tables.values()
    )
    t = calibration.temperature(one.probabilities, one.label)
    own = calibration.temperature(other.probabilities, other.label)
    assert abs(own - t) > 0.05  # not what the test split itself would have
    got = calibrated[level]
    assert got["temperature"] == pytest.approx(t)
    assert (got["loss"], got["ece"]) == pytest.approx(scores(other))
    after = scores(other, t)
    assert (got["loss_after"], got["ece_after"]) == pytest.approx(after)
    assert sum(row["n"] for row in got["reliability"]) == len(other)
    assert got["loss_after"] < got["loss"]


def test_validation_is_scaled_half_by_half():
  """Each half of the artists gets the temperature of the other half."""
  table = made(artists=20)
  order = np.random.default_rng(0).permutation(20)
  first = (order < 10)[table.clusters]
  temperatures = np.zeros(len(table))
  for half in (first, ~first):
    temperatures[~half] = calibration.temperature(
      table.probabilities[half], table.label[half]
    )
  assert len(set(temperatures)) == 2
  result = calibration.calibrate({"validation": table}, "validation")
  assert result["fitted_on"] == "halves of validation"
  mean = np.exp(np.log(temperatures).mean())
  assert result["segment"]["temperature"] == pytest.approx(mean)
  assert result["segment"]["loss_after"] == scores(table, temperatures)[0]


@pytest.mark.parametrize(
  ("tables", "headline"),
  [
    ({"validation": made()}, None),
    ({"test": made()}, "test"),
    ({"test": made(), "validation": made(tracks=0)}, "test"),
    ({"validation": made(artists=1)}, "validation"),
  ],
)
def test_where_nothing_can_be_fitted_nothing_is_reported(tables, headline):
  assert calibration.calibrate(tables, headline) is None
