"""Scores by hand, by scikit-learn, and by the binomial distribution."""

import itertools
import math

import numpy as np
import pytest
import scipy.stats

from gtzan_jax.errors import InputError
from gtzan_jax.scores import bootstrap, calibration, metrics
from gtzan_jax.scores.predictions import Predictions

GENRES = ("blues", "jazz", "rock")


def guesses(true, predicted, sure=0.8, genres=GENRES) -> Predictions:
  """One segment a track; the predicted genre has probability `sure`."""
  count = len(genres)
  probabilities = np.full((len(true), count), (1 - sure) / (count - 1))
  probabilities[np.arange(len(true)), predicted] = sure
  return Predictions(
    np.array([f"t{i}" for i in range(len(true))]),
    np.zeros(len(true), np.int32),
    np.array(true, np.int32),
    probabilities,
    genres,
  )


def random_table(seed=0, tracks=60, segments=10, genres=10) -> Predictions:
  """Tracks of unequal length, half informed guesses, all genres present."""
  rng = np.random.default_rng(seed)
  lengths = rng.integers(1, segments + 1, tracks)
  track = np.repeat(np.arange(tracks), lengths)
  label = (np.arange(tracks) % genres)[track]
  probabilities = rng.dirichlet(np.ones(genres), len(track))
  probabilities[np.arange(len(track)), label] += 0.15
  probabilities /= probabilities.sum(axis=1, keepdims=True)
  return Predictions(
    np.array([f"t{i:03d}" for i in track]),
    np.concatenate([np.arange(n) for n in lengths]),
    label,
    probabilities,
    tuple(f"g{i}" for i in range(genres)),
  )


def test_by_hand():
  # true blues x3: two right, one predicted as jazz; jazz x2: one right, one as
  # rock; rock x1: right.
  got = metrics.scores(guesses([0, 0, 0, 1, 1, 2], [0, 0, 1, 1, 2, 2]))
  assert got["n"] == 6
  assert got["confusion"] == [[2, 1, 0], [0, 1, 1], [0, 0, 1]]
  assert got["accuracy"] == pytest.approx(4 / 6)
  assert got["per_genre"] == {
    "blues": {
      "precision": 1.0,
      "recall": pytest.approx(2 / 3),
      "f1": pytest.approx(0.8),
      "support": 3,
    },
    "jazz": {"precision": 0.5, "recall": 0.5, "f1": 0.5, "support": 2},
    "rock": {
      "precision": 0.5,
      "recall": 1.0,
      "f1": pytest.approx(2 / 3),
      "support": 1,
    },
  }
  assert got["macro_precision"] == pytest.approx((1 + 0.5 + 0.5) / 3)
  assert got["macro_recall"] == pytest.approx((2 / 3 + 0.5 + 1) / 3)
  assert got["macro_f1"] == pytest.approx((0.8 + 0.5 + 2 / 3) / 3)
  assert got["weighted_f1"] == pytest.approx((3 * 0.8 + 2 * 0.5 + 2 / 3) / 6)
  assert got["loss"] == pytest.approx(
    -(4 * math.log(0.8) + 2 * math.log(0.1)) / 6, rel=1e-3
  )


def test_quick_agrees_with_the_full_scores():
  for seed, genres in ((1, 10), (2, 3)):
    table = random_table(seed, genres=genres)
    quick, full = metrics.quick(table), metrics.evaluate(table)
    assert quick == {
      "loss": pytest.approx(full["segment"]["loss"]),
      "accuracy": pytest.approx(full["segment"]["accuracy"]),
      "track_loss": pytest.approx(full["track"]["loss"]),
      "track_accuracy": pytest.approx(full["track"]["accuracy"]),
      "track_macro_f1": pytest.approx(full["track"]["macro_f1"]),
    }


def test_an_absent_genre_is_left_out_of_the_means():
  # No rock at all, and one blues is predicted as rock.
  table = guesses([0, 0, 1, 1], [0, 2, 1, 1])
  got = metrics.scores(table)
  assert got["per_genre"]["rock"] == {
    "precision": None,
    "recall": None,
    "f1": None,
    "support": 0,
  }
  assert got["macro_recall"] == pytest.approx((0.5 + 1) / 2)
  assert got["macro_f1"] == pytest.approx((2 / 3 + 1) / 2)
  assert got["confusion"] == [[1, 0, 1], [0, 2, 0], [0, 0, 0]]
  assert metrics.quick(table)["track_macro_f1"] == pytest.approx(
    got["macro_f1"]
  )


def test_a_genre_never_predicted_counts_as_precision_zero():
  got = metrics.scores(guesses([0, 1], [0, 0]))
  assert got["per_genre"]["jazz"]["precision"] == 0
  assert got["macro_precision"] == pytest.approx(0.25)


def test_no_rows():
  none = guesses([], [])
  assert metrics.scores(none) == {"n": 0}
  assert metrics.evaluate(none) == {
    "segment": {"n": 0},
    "track": {"n": 0},
    "track_majority": {"n": 0},
  }
  assert metrics.hardest(none) == []
  with pytest.raises(InputError, match="0 rows"):
    metrics.quick(none)


def test_the_interval_of_independent_tracks_is_scipys():
  rng = np.random.default_rng(0)
  values = rng.choice([-1.0, 0.0, 1.0], 120, p=[0.2, 0.5, 0.3])
  ours = bootstrap.interval(np.arange(120), values, resamples=20_000, seed=0)
  theirs = scipy.stats.bootstrap(
    (values,),
    np.mean,
    n_resamples=20_000,
    method="percentile",
    rng=np.random.default_rng(1),
  ).confidence_interval
  # A hundredth of a percentile is 0.001 here; of 20,000 the error is less.
  np.testing.assert_allclose(ours, theirs, atol=0.006)


def test_five_clusters_by_enumeration():
  """Of all 5 ** 5 resamples the percentiles are known."""
  cluster = np.repeat(np.arange(5), [1, 2, 3, 4, 5])
  right = np.array([1, 1, 1, 0, 0, 0, 1, 1, 1, 1, 0, 0, 0, 1, 0])
  means = []
  for drawn in itertools.product(range(5), repeat=5):
    rows = np.concatenate([right[cluster == one] for one in drawn])
    means.append(rows.mean())
  wanted = np.percentile(means, [2.5, 97.5])
  got = bootstrap.interval(cluster, right, resamples=50_000, seed=0)
  np.testing.assert_allclose(got, wanted, atol=0.02)
  apart = bootstrap.interval(np.arange(15), right, resamples=50_000, seed=0)
  assert apart[1] - apart[0] < 0.8 * (got[1] - got[0])


def test_tracks_of_an_artist_are_drawn_together():
  """Only the intervals depend on the artists."""
  table = random_table()
  tracks = table.by_track()
  order = np.argsort(tracks.predicted == tracks.label, kind="stable")
  artists = {tracks.track[t]: f"by {i // 6}" for i, t in enumerate(order)}
  alone, together = (
    metrics.evaluate(one) for one in (table, table.with_artists(artists))
  )
  for level, scores in together.items():
    rows = {"segment": table, "track": tracks}.get(
      level, table.by_track("majority")
    )
    wanted = bootstrap.interval(
      [artists[track] for track in rows.track],
      rows.predicted == rows.label,
      resamples=bootstrap.RESAMPLES,
      seed=0,
    )
    assert scores["ci95"] == wanted
    (low, high), (first, last) = wanted, alone[level]["ci95"]
    assert high - low > 1.1 * (last - first)
    assert {**scores, "ci95": 0} == {**alone[level], "ci95": 0}


@pytest.mark.parametrize(
  ("row", "true", "wanted"),
  [
    ([0.4, 0.3, 0.2, 0.1], 2, 1),
    ([0.4, 0.3, 0.2, 0.1], 3, 0),
    # Equally likely ones: the first three in `genres`, as for the predicted.
    ([0.25, 0.25, 0.25, 0.25], 2, 1),
    ([0.25, 0.25, 0.25, 0.25], 3, 0),
    ([0.4, 0.2, 0.2, 0.2], 2, 1),
    ([0.4, 0.2, 0.2, 0.2], 3, 0),
    # One whole clip has one vote to give.
    ([0, 0, 1, 0], 2, 1),
    ([0, 0, 1, 0], 0, 0),
  ],
)
def test_the_three_likeliest_by_hand(row, true, wanted):
  table = Predictions(["t"], [0], [true], [row], tuple("abcd"))
  assert metrics.top3(table) == wanted


def covered_of_artists(artists, tries=300) -> float:
  """How often the interval has the truth, artists being unlike each other."""
  rng = np.random.default_rng(artists)
  covered = 0
  for seed in range(tries):
    tracks = rng.geometric(0.15, artists)
    chance = np.repeat(rng.beta(0.8, 0.8, artists), tracks)
    low, high = bootstrap.interval(
      np.repeat(np.arange(artists), tracks),
      rng.random(len(chance)) < chance,
      resamples=1_000,
      seed=seed,
    )
    covered += low <= 0.5 <= high
  return covered / tries


@pytest.mark.slow
def test_of_artists_it_covers_the_truth_if_they_are_many():
  """As in docs/evaluation.md: 0.94 for 30, 0.87 for 6; standard error 0.014."""
  assert 0.9 < covered_of_artists(30) < 0.98
  assert 0.8 < covered_of_artists(6) < 0.92


def test_segments_of_a_track_are_drawn_together():
  # Every track is wholly right or wholly wrong, so that ten segments a track
  # say no more than one: the interval must not shrink.
  right = np.arange(100) < 70
  single = bootstrap.interval(np.arange(100), right, resamples=1_000, seed=0)
  tenfold = bootstrap.interval(
    np.repeat(np.arange(100), 10),
    np.repeat(right, 10),
    resamples=1_000,
    seed=0,
  )
  assert tenfold == single
  assert single[1] - single[0] > 0.15


def test_the_interval_is_seeded():
  table = random_table()
  first = metrics.scores(table)["ci95"]
  assert metrics.scores(table)["ci95"] == first
  drawn = (table.clusters, table.correct)
  assert bootstrap.interval(*drawn, resamples=1_000) == first
  assert bootstrap.interval(*drawn, resamples=1_000, seed=1) != first


def test_certainty_of_the_wrong_genre_costs_a_finite_loss():
  table = guesses([0, 1, 2], [1, 2, 0], sure=1.0)
  expected = pytest.approx(-math.log(calibration.SMALLEST), rel=1e-3)
  assert metrics.scores(table)["loss"] == expected
  assert metrics.quick(table)["loss"] == expected


def test_a_diverged_model_is_no_result_but_training_may_see_it():
  table = guesses([0, 1], [0, 1])
  table.probabilities[1] = np.nan
  with pytest.raises(InputError, match="NaN at track t1"):
    metrics.scores(table)
  quick = metrics.quick(table)
  assert math.isnan(quick["loss"])
  assert quick["accuracy"] == quick["track_accuracy"] == 0.5


def test_hardest_tracks_by_hand():
  table = guesses([0, 1, 2, 2], [0, 0, 2, 1], sure=0.9)
  got = metrics.hardest(table, count=2)
  assert [row["track"] for row in got] == ["t1", "t3"]
  assert got[0] == {
    "track": "t1",
    "genre": "jazz",
    "predicted": "blues",
    "probability": pytest.approx(0.9, abs=5e-4),
    "true_probability": pytest.approx(0.05, abs=5e-4),
  }


def test_confused_pairs_by_hand():
  matrix = [[8, 2, 0], [1, 3, 0], [2, 0, 8]]
  assert metrics.confused(matrix, list(GENRES)) == [
    {"genre": "blues", "predicted": "jazz", "n": 2, "share": 0.2},
    {"genre": "rock", "predicted": "blues", "n": 2, "share": 0.2},
    {"genre": "jazz", "predicted": "blues", "n": 1, "share": 0.25},
  ]
