"""Scores by hand, by scikit-learn, and by the binomial distribution."""

import itertools
import math

import numpy as np
import pytest

from gtzan_jax.errors import InputError
from gtzan_jax.scores import bootstrap, calibration, metrics
from gtzan_jax.scores.predictions import Predictions

GENRES = ("blues", "jazz", "rock")


def guesses(true, predicted, sure=0.8) -> Predictions:
  """One segment a track; the predicted genre has probability `sure`."""
  probabilities = np.full((len(true), 3), (1 - sure) / 2)
  probabilities[np.arange(len(true)), predicted] = sure
  tracks = [f"t{i}" for i in range(len(true))]
  return Predictions(tracks, [0] * len(true), true, probabilities, GENRES)


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


@pytest.mark.parametrize(
  ("true", "predicted", "confusion", "per_genre", "macro"),
  [
    (
      [0, 0, 0, 1, 1, 2],
      [0, 0, 1, 1, 2, 2],
      [[2, 1, 0], [0, 1, 1], [0, 0, 1]],
      [(1, 2 / 3, 0.8, 3), (0.5, 0.5, 0.5, 2), (0.5, 1, 2 / 3, 1)],
      (2 / 3, (2 / 3 + 0.5 + 1) / 3, (0.8 + 0.5 + 2 / 3) / 3),
    ),
    # A genre that is absent, though predicted, is left out of the means.
    (
      [0, 0, 1, 1],
      [0, 2, 1, 1],
      [[1, 0, 1], [0, 2, 0], [0, 0, 0]],
      [(1, 0.5, 2 / 3, 2), (1, 1, 1, 2), (None, None, None, 0)],
      (1, 0.75, (2 / 3 + 1) / 2),
    ),
    # One that is never predicted has precision 0.
    (
      [0, 1],
      [0, 0],
      [[1, 0, 0], [1, 0, 0], [0, 0, 0]],
      [(0.5, 1, 2 / 3, 1), (0, 0, 0, 1), (None, None, None, 0)],
      (0.25, 0.5, 1 / 3),
    ),
  ],
)
def test_by_hand(true, predicted, confusion, per_genre, macro):
  table = guesses(true, predicted)
  got = metrics.scores(table)
  correct = np.equal(true, predicted)
  assert got["n"] == len(true)
  assert got["confusion"] == confusion
  assert got["accuracy"] == pytest.approx(correct.mean())
  assert list(got["per_genre"]) == list(GENRES)
  for values, wanted in zip(got["per_genre"].values(), per_genre, strict=True):
    assert list(values) == ["precision", "recall", "f1", "support"]
    assert tuple(values.values()) == pytest.approx(wanted)
  means = tuple(got[f"macro_{x}"] for x in ("precision", "recall", "f1"))
  assert means == pytest.approx(macro)
  weighted = sum((f1 or 0) * support for _, _, f1, support in per_genre)
  assert got["weighted_f1"] == pytest.approx(weighted / len(true))
  loss = -np.log(np.where(correct, 0.8, 0.1)).mean()
  assert got["loss"] == pytest.approx(loss, rel=1e-3)
  assert metrics.quick(table)["track_macro_f1"] == pytest.approx(macro[2])


@pytest.mark.slow
@pytest.mark.parametrize(("seed", "genres"), [(1, 10), (2, 3), (3, 70)])
def test_the_scores_are_those_of_scikit_learn(seed, genres):
  from sklearn import calibration as sklearn_calibration
  from sklearn import metrics as sklearn_metrics

  table = random_table(seed, genres=genres)  # of 70 genres ten are absent
  true, predicted = table.label, table.predicted
  present, every = np.unique(true), np.arange(genres)
  wanted = sklearn_metrics.classification_report(
    true, predicted, labels=present, output_dict=True, zero_division=0
  )
  got = metrics.scores(table, resamples=10)
  assert got["accuracy"] == sklearn_metrics.accuracy_score(true, predicted)
  lifted = calibration.lifted(table.probabilities)
  assert got["loss"] == sklearn_metrics.log_loss(true, lifted, labels=every)
  matrix = sklearn_metrics.confusion_matrix(true, predicted, labels=every)
  assert got["confusion"] == matrix.tolist()
  for key, name in (("precision",) * 2, ("recall",) * 2, ("f1-score", "f1")):
    assert got[f"macro_{name}"] == wanted["macro avg"][key]
    for label in present:
      row = got["per_genre"][f"g{label}"]
      assert row[name] == wanted[str(label)][key]
      assert row["support"] == wanted[str(label)]["support"]
  assert got["weighted_f1"] == wanted["weighted avg"]["f1-score"]
  bins = calibration.reliability(table.probabilities, table.correct)
  accuracy, confidence = sklearn_calibration.calibration_curve(
    table.correct, table.probabilities.max(1), n_bins=calibration.BINS
  )
  assert [row["accuracy"] for row in bins] == accuracy.tolist()
  assert [row["confidence"] for row in bins] == confidence.tolist()


@pytest.mark.parametrize(("seed", "genres"), [(1, 10), (2, 3)])
def test_quick_agrees_with_the_full_scores(seed, genres):
  table = random_table(seed, genres=genres)
  full = metrics.evaluate(table)
  segment, track = full["segment"], full["track"]
  assert metrics.quick(table) == pytest.approx(
    {
      **{"loss": segment["loss"], "accuracy": segment["accuracy"]},
      **{f"track_{x}": track[x] for x in ("loss", "accuracy", "macro_f1")},
    }
  )


def test_no_rows():
  none = guesses([], [])
  levels = ("segment", "track", "track_majority")
  assert metrics.evaluate(none) == {x: {"n": 0} for x in levels}
  assert metrics.hardest(none) == []
  with pytest.raises(InputError, match="0 rows"):
    metrics.quick(none)


def test_the_interval_of_five_clusters_by_enumeration():
  """Of all 5 ** 5 resamples the percentiles are known."""
  cluster = np.repeat(np.arange(5), [1, 2, 3, 4, 5])
  right = np.array([1, 1, 1, 0, 0, 0, 1, 1, 1, 1, 0, 0, 0, 1, 0])
  rows = [right[cluster == one] for one in range(5)]
  drawn = itertools.product(rows, repeat=5)
  means = [np.concatenate(one).mean() for one in drawn]
  wanted = np.percentile(means, [2.5, 97.5])
  got, apart = (
    bootstrap.interval(clusters, right, resamples=50_000)
    for clusters in (cluster, np.arange(15))
  )
  np.testing.assert_allclose(got, wanted, atol=0.02)
  assert apart[1] - apart[0] < 0.8 * (got[1] - got[0])
  values = np.arange(99), np.linspace(0, 1, 99)
  first, again, other = (
    bootstrap.interval(*values, resamples=100, seed=seed) for seed in (0, 0, 1)
  )
  assert first == again != other


def test_tracks_of_an_artist_are_drawn_together():
  """Only the intervals depend on the artists."""
  table = random_table()
  tracks = table.by_track()
  order = np.argsort(tracks.correct, kind="stable")
  artists = {tracks.track[t]: f"by {i // 6}" for i, t in enumerate(order)}
  alone, together = (
    metrics.evaluate(one) for one in (table, table.with_artists(artists))
  )
  levels = (table, tracks, table.by_track("majority"))
  for rows, (level, scores) in zip(levels, together.items(), strict=True):
    cluster = [artists[track] for track in rows.track]
    drawn = bootstrap.interval(cluster, rows.correct, resamples=1_000)
    assert scores["ci95"] == drawn
    (low, high), (first, last) = drawn, alone[level]["ci95"]
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


def test_tracks_of_artists_of_the_train_split_are_counted():
  table = guesses([0] * 6, [0] * 6)
  credits = ("Ann", "Ann; Bob", "Cy", "", "=t8 t9", "Dee")
  names = dict(zip(table.track.tolist(), credits, strict=True))
  train = guesses([0] * 3, [0] * 3)
  sung = {"t0": "Bob", "t1": "Ann;Eve", "t2": "=t8 t9"}
  got = metrics.known_artists(
    table.with_artists(names), train.with_artists(sung)
  )
  assert got == {"tracks": 2, "of": 4}
