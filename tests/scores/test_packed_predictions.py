"""Tables of predictions in one file: what stays, what is refused."""

import dataclasses

import numpy as np
import pytest
from stored import made

from gtzan_jax.errors import InputError
from gtzan_jax.scores import calibration, metrics, packed_predictions


def test_what_is_predicted_comes_back(tmp_path):
  """Of tables with common rows, other rows, other genres and no rows."""
  tables = {
    ("a", "test"): made(60, 5, seed=1, artists=7),
    ("b", "test"): made(60, 5, seed=2, artists=7),
    ("b/c", "noise_1"): made(9, 1, seed=3, first=500),
    ("d", "test"): made(6, seed=4, genres=("ska", "jazz", "rock")),
    ("d", "none"): made(0),
  }
  packed_predictions.save(tmp_path / "t.npz", tables)
  result = packed_predictions.Tables(tmp_path / "t.npz")
  assert list(result) == list(tables)
  for key, table in tables.items():
    for name in ("track", "segment", "label", "artist"):
      np.testing.assert_array_equal(
        getattr(result[key], name), getattr(table, name)
      )
    assert result[key].genres == table.genres
    for vote in ("mean", "majority"):
      np.testing.assert_array_equal(
        result[key].by_track(vote).predicted, table.by_track(vote).predicted
      )
    np.testing.assert_array_equal(result[key].predicted, table.predicted)
    np.testing.assert_allclose(
      result[key].probabilities, table.probabilities, atol=0.06
    )
  packed_predictions.save(tmp_path / "none.npz", {})
  assert not packed_predictions.Tables(tmp_path / "none.npz")


@pytest.mark.parametrize("tolerance", [0.02, 0.001])
def test_scores_change_less_than_the_tolerance(tmp_path, tolerance):
  table = made(200, 5, seed=1)
  packed = packed_again(tmp_path, table, tolerance)
  for one, other in ((table, packed), (table.by_track(), packed.by_track())):
    for score in (
      lambda x: calibration.loss(x.probabilities, x.label),
      lambda x: calibration.ece(x.probabilities, x.correct),
      metrics.top3,
    ):
      assert score(other) == pytest.approx(score(one), abs=tolerance)


def packed_again(folder, table, tolerance=0.02):
  file, key = folder / "t.npz", ("a", "test")
  packed_predictions.save(file, {key: table}, tolerance)
  return packed_predictions.Tables(file)[key]


def test_near_ties_are_decided_as_before(tmp_path):
  """Genres that differ in the fourth digit, in segments and their means."""
  table = made(40, 3, seed=5)
  even = np.full_like(table.probabilities, 1 / 3)
  near = even + np.random.default_rng(0).normal(0, 1e-4, even.shape)
  for probabilities in (even, near):
    table = dataclasses.replace(table, probabilities=probabilities)
    packed = packed_again(tmp_path, table)
    np.testing.assert_array_equal(packed.predicted, table.predicted)


def test_what_cannot_be_stored_is_one_line(tmp_path):
  table = made(3)
  table.probabilities[2] = np.nan
  with pytest.raises(InputError, match="a, test: NaN"):
    packed_again(tmp_path, table)
  assert not (tmp_path / "t.npz").exists()


def test_a_damaged_file_is_one_line(tmp_path):
  file = tmp_path / "t.npz"
  packed_predictions.save(file, {("a", "test"): made(3)})
  with np.load(file) as held:
    columns = dict(held)
  for changed in (
    {"codes8": columns["codes8"][:-1]},
    {"rows": columns["rows"] + 7},
    {"entry": columns["entry"] + 99},
    {"genre": np.full_like(columns["genre"], "ska")},
  ):
    np.savez(file, **{**columns, **changed})
    with pytest.raises(InputError, match="is damaged"):
      packed_predictions.Tables(file)["a", "test"]
  del columns["levels"]
  np.savez(file, **columns)
  with pytest.raises(InputError, match="no levels inside"):
    packed_predictions.Tables(file)
