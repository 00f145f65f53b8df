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


def one_a_track(probabilities, label, genres=GENRES) -> Predictions:
  tracks = [f"t{i:04d}" for i in range(len(label))]
  return Predictions(tracks, [0] * len(label), label, probabilities, genres)


def ece(table: Predictions) -> float:
  return calibration.ece(table.probabilities, table.correct)


def loss_of(table: Predictions) -> float:
  return calibration.loss(table.probabilities, table.label)


def bins_of(table: Predictions) -> list[dict]:
  return calibration.reliability(table.probabilities, table.correct)


def by_loop(table: Predictions) -> float:
  """Guo et al.'s equations 2 to 4, read aloud."""
  total = 0.0
  for m in range(1, 16):
    inside = [
      (float(row.max()), row.argmax() == true)
      for row, true in zip(table.probabilities, table.label, strict=True)
      if (m - 1) / 15 < row.max() <= m / 15
    ]
    if inside:
      confidence = sum(p for p, _ in inside) / len(inside)
      accuracy = sum(right for _, right in inside) / len(inside)
      total += len(inside) / len(table) * abs(accuracy - confidence)
  return total


@pytest.mark.parametrize("sure", [0.3, 1.0, 5.0])
def test_the_calibration_error_is_that_of_a_loop(sure):
  for table in (made(sure=sure), made(sure=sure).by_track()):
    got = ece(table)
    assert got == pytest.approx(by_loop(table), abs=1e-12)
    assert 0.01 < got < 0.6


def test_reliability_counts_every_row_once():
  table = made()
  bins = bins_of(table)
  total = sum(row["n"] for row in bins)
  assert total == len(table)
  mean = sum(row["n"] * row["accuracy"] for row in bins) / total
  assert mean == pytest.approx((table.predicted == table.label).mean())
  sure = sum(row["n"] * row["confidence"] for row in bins) / total
  assert sure == pytest.approx(table.probabilities.max(axis=1).mean())
  certain = one_a_track([[1, 0], [1, 0]], [0, 1], ("a", "b"))
  assert bins_of(certain) == [{"confidence": 1.0, "accuracy": 0.5, "n": 2}]
  none = one_a_track(np.zeros((0, 5)), [])
  assert bins_of(none) == []


def test_a_bin_holds_its_upper_edge():
  """0.6 and 0.8 are the edges 9 and 12 of 15, to the bit."""
  edges = np.linspace(0, 1, calibration.BINS + 1)
  assert (edges[9], edges[12]) == (0.6, 0.8)
  sure = [0.55, 0.6, 0.6, np.nextafter(0.6, 1), 0.8, 0.81, 1.0]
  rows = [[p, 1 - p] for p in sure]
  bins = bins_of(one_a_track(rows, [0, 0, 1, 0, 0, 0, 0], ("a", "b")))
  assert [(row["n"], row["accuracy"]) for row in bins] == [
    (3, pytest.approx(2 / 3)),
    *[(1, 1.0)] * 4,
  ]
  assert bins[0]["confidence"] == pytest.approx(1.75 / 3)


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
  after = calibration.scaled(table.probabilities, ours)
  assert calibration.loss(after, table.label) == pytest.approx(
    theirs.fun, abs=2e-4
  )
  assert loss_of(table) == pytest.approx(loss([1.0]), abs=1e-9)
  assert abs(ours - 1) > 0.1 or sure == 1.0


@pytest.mark.parametrize("by", [calibration.COLDEST, calibration.HOTTEST])
def test_no_temperature_changes_an_answer(by):
  """Genres that are nearly equal are no tie afterwards."""
  rng = np.random.default_rng(0)
  table = one_a_track(
    scipy.special.softmax(rng.normal(size=(4_000, 5)) / 30, 1), [0] * 4_000
  )
  after = calibration.scaled(table.probabilities, by)
  np.testing.assert_array_equal(after.argmax(axis=1), table.predicted)
  np.testing.assert_allclose(after.sum(axis=1), 1)


def test_where_a_temperature_changes_nothing_it_is_one():
  assert calibration.temperature(np.full((9, 5), 0.2), np.arange(9) % 5) == 1


def test_a_temperature_stays_within_its_bounds():
  """All right though unsure, or all wrong though sure."""
  rows = np.array([[0.6, 0.1, 0.1, 0.1, 0.1]] * 9)
  for label, wanted in ((0, 1 / 20), (1, 20)):
    t = calibration.temperature(rows, np.full(9, label))
    assert t == pytest.approx(wanted, rel=0.05)
    assert 1 / 20 <= t <= 20


def test_test_is_scaled_by_what_validation_gives():
  tables = {"validation": made(seed=1), "test": made(seed=2, sure=2.0)}
  found = calibration.calibrate(tables, "test")
  assert found["fitted_on"] == "validation"
  for level in calibration.LEVELS:
    one, other = (
      t.by_track() if level == "track" else t for t in tables.values()
    )
    t = calibration.temperature(one.probabilities, one.label)
    after = calibration.scaled(other.probabilities, t)
    assert found[level] == {
      "temperature": pytest.approx(t),
      "ece": ece(other),
      "ece_after": calibration.ece(after, other.correct),
      "loss": loss_of(other),
      "loss_after": calibration.loss(after, other.label),
      "reliability": calibration.reliability(after, other.correct),
    }
    assert found[level]["loss_after"] < found[level]["loss"]
    # Not by what the test part itself would have.
    own = calibration.temperature(other.probabilities, other.label)
    assert abs(own - t) > 0.05


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
  after = calibration.scaled(table.probabilities, temperatures)
  assert result["segment"]["loss_after"] == calibration.loss(after, table.label)


@pytest.mark.parametrize(
  ("tables", "headline"),
  [
    ({"validation": made()}, None),
    ({"test": made()}, "test"),
    ({"test": made(), "validation": made(tracks=0)}, "test"),
    ({"validation": made(artists=1)}, "validation"),
  ],
)
def test_where_nothing_can_be_fitted_nothing_is_said(tables, headline):
  assert calibration.calibrate(tables, headline) is None
