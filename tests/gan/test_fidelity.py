"""Measures of generated examples: by hand, by scipy and by scikit-learn."""

import numpy as np
import pytest
import scipy.linalg
import scipy.spatial.distance
from sklearn.neighbors import NearestNeighbors

from gtzan_jax.errors import InputError
from gtzan_jax.gan import fidelity


def normal(count, width=16, seed=0, scale=1.0) -> np.ndarray:
  x = np.random.default_rng(seed).normal(size=(count, width)) * scale
  return x.astype(np.float32)


def genres(count) -> np.ndarray:
  return np.arange(count) % 10


def judged(embedding, probabilities=None) -> fidelity.Embeddings:
  labels = genres(len(embedding))
  if probabilities is None:
    probabilities = np.eye(10)[labels]
  return fidelity.Embeddings(embedding, probabilities, labels)


def measure(fake, held_out, train, predicted=None):
  """All measures, where the judge is sure of what it predicts."""
  predictions = None if predicted is None else np.eye(10)[predicted]
  return fidelity.measure(
    judged(fake, predictions), judged(held_out), judged(train)
  )


# Fréchet distance.


@pytest.mark.parametrize("count", [300, 12])  # more and fewer than dimensions
def test_frechet_distance_is_that_of_scipys_matrix_root(count):
  turn = normal(20, 20, seed=3)
  a, b = normal(count, 20, seed=1), normal(count + 5, 20, seed=2) @ turn + 0.3
  one, two = (np.cov(x.astype(np.float64), rowvar=False) for x in (a, b))
  # Of a singular product the root is not to be had; a little noise mends it.
  jitter = 1e-9 * np.eye(20)
  root = scipy.linalg.sqrtm((one + jitter) @ (two + jitter)).real
  want = ((a.mean(0) - b.mean(0)) ** 2).sum() + np.trace(one + two - 2 * root)
  got = fidelity.frechet_distance(a, b)
  assert got == pytest.approx(want, rel=1e-4)
  assert fidelity.frechet_distance(b, a) == pytest.approx(got)


def test_frechet_distance_where_covariances_lack_rank():
  a = normal(5, 40)
  flat = np.repeat(a[:1], 5, axis=0)
  variance = a.var(axis=0, ddof=1, dtype=np.float64).sum()
  scaled = 3 * (a - a.mean(0)) + a.mean(0)
  for other, want in ((a, 0), (a + 2, 160), (scaled, 4 * variance)):
    got = fidelity.frechet_distance(a, other)
    assert got == pytest.approx(want, rel=1e-6, abs=1e-12)
    assert got >= 0
  assert fidelity.frechet_distance(flat, flat) == 0
  assert fidelity.frechet_distance(a[:1], a[1:2]) == pytest.approx(
    ((a[0] - a[1]) ** 2).sum()
  )


# Neighbours.


def test_coverage_and_density_are_those_of_scikit_learn():
  real, fake = normal(200), normal(150, seed=1) + 0.6
  radius = NearestNeighbors(n_neighbors=5).fit(real).kneighbors()[0][:, -1]
  balls = scipy.spatial.distance.cdist(real, fake) < radius[:, None]
  assert 0.1 < balls.any(1).mean() < 0.95
  assert fidelity.coverage(real, fake) == balls.any(axis=1).mean()
  assert fidelity.density(real, fake) == pytest.approx(
    balls.sum() / (5 * len(fake))
  )


def test_coverage_and_density_of_known_sets():
  real = normal(100)
  for fake, wanted in ((real, 1), (real[:3], 1), (real + 100, 0)):
    few = real[: len(fake)]
    assert fidelity.coverage(few, fake) == wanted
    assert fidelity.density(few, fake) == pytest.approx(wanted)
  assert 0 < fidelity.coverage(real, np.repeat(real[:1], 100, axis=0)) < 0.5
  assert np.isnan(fidelity.coverage(real[:1], real))
  assert np.isnan(fidelity.density(real[:1], real))


def test_nearest_is_that_of_scikit_learn_and_0_for_copies():
  train, held_out = normal(300), normal(90, seed=1)
  fake = normal(80, seed=2, scale=1.3)
  search = NearestNeighbors(n_neighbors=1).fit(train)
  want = np.median(search.kneighbors(fake)[0]) / np.median(
    search.kneighbors(held_out)[0]
  )
  assert fidelity.nearest(fake, train, held_out) == pytest.approx(want)
  each = [fidelity.nearest(x[None], train, held_out) for x in train[:40]]
  assert not np.any(each)  # of none a rounding is left
  noisy = train[7:90] + normal(83, seed=3, scale=0.1)
  assert 0.05 < fidelity.nearest(noisy, train, held_out) < 0.3
  assert np.isnan(fidelity.nearest(fake, train, train))


# Genres.


def test_diversity_by_scipy_over_the_genres_of_both():
  real, fake = normal(60) + 50, normal(40, seed=1)
  real_labels = np.repeat([0, 1, 2, 5], [20, 20, 19, 1])
  fake_labels = np.repeat([0, 1, 3, 5], [10, 10, 10, 10])
  fake[10:20] *= 0.25
  want = [
    scipy.spatial.distance.pdist(fake[fake_labels == genre]).mean()
    / scipy.spatial.distance.pdist(real[real_labels == genre]).mean()
    for genre in (0, 1)
  ]
  got = fidelity.diversity(fake, fake_labels, real, real_labels)
  assert got == pytest.approx(np.mean(want), rel=1e-5)
  alone = fidelity.diversity(fake[20:], fake_labels[20:], real, real_labels)
  assert np.isnan(alone)
  equal = np.full((7, 16), 0.1), np.zeros(7)  # their mean is not quite 0.1
  assert np.isnan(fidelity.diversity(fake, fake_labels, *equal))


def test_diversity_tells_collapse():
  real, labels = normal(500) + 10, genres(500)
  # Genres lie apart: that one genre is unlike another is no diversity.
  real += 20 * normal(10, seed=1)[labels]
  collapsed = real[:10][labels]  # one example of each genre
  jittered = collapsed + normal(500, seed=2, scale=0.3)
  two = real[:20][np.arange(500) % 20]
  for fake, low, high in (
    (collapsed, 0, 0),
    (jittered, 1e-3, fidelity.COLLAPSED),
    (two, 0.4, 0.6),
    (real, 1 - 1e-6, 1 + 1e-6),
  ):
    assert low <= fidelity.diversity(fake, labels, real, labels) <= high


def test_genre_share_by_hand():
  probabilities = np.array(
    [[0.6, 0.2, 0.2], [0.1, 0.8, 0.1], [0.5, 0.4, 0.1], [np.nan] * 3]
  )
  share, each = fidelity.genre_share(probabilities, np.array([0, 1, 1, 0]))
  assert share == 0.5
  np.testing.assert_array_equal(each, [0.5, 0.5, np.nan])


# All at once.


def test_measure_of_real_music_as_if_it_were_fake():
  train, held_out, fake = (normal(600, seed=i) for i in range(3))
  got = measure(fake, held_out, train)
  assert tuple(got) == fidelity.MEASURES
  assert all(type(value) is float for value in got.values())
  assert got["frechet_ratio"] == got["frechet_distance"] / got["frechet_real"]
  ratios = ("frechet_ratio", "density", "diversity", "nearest")
  assert [got[key] for key in ratios] == pytest.approx([1] * 4, abs=0.2)
  assert got["coverage"] > 0.9
  assert got["genre_share"] == 1
  assert measure(fake, held_out, train) == got


def test_measure_compares_at_equal_numbers(monkeypatch):
  """Or the bias of the larger set would pass for closeness."""
  monkeypatch.setattr(fidelity, "LARGEST", 100)
  fake, held_out, train = (normal(n, 24, seed=n) for n in (900, 500, 700))
  fake[:450] += 30  # drawn from all of it: half of them far off
  got = measure(fake, held_out, train)
  at_100 = fidelity.frechet_distance(train[-100:], held_out[-100:])
  assert got["frechet_real"] == pytest.approx(at_100, rel=0.15)
  assert 0.3 < got["density"] < 0.7
  # Of 100 with 50 near; of 900 it would be 1, of fakes by reals 0.5.
  assert 0.75 < got["coverage"] < 0.95
  # The same reals whatever is compared with them; fewer of all if one is few.
  again = measure(fake[:100], held_out, train)
  assert again["frechet_real"] == got["frechet_real"]
  few = measure(fake, held_out, train[:40])
  assert few["frechet_real"] > 1.5 * got["frechet_real"]


def test_measure_finds_what_is_copied_from_anywhere_in_train(monkeypatch):
  monkeypatch.setattr(fidelity, "LARGEST", 100)
  train = normal(2000)
  got = measure(train[-200:], normal(200, seed=1), train)
  assert got["nearest"] == 0
  assert got["frechet_ratio"] == pytest.approx(1, abs=0.2)


def test_measure_of_a_collapsed_generator_is_finite():
  train, held_out = normal(300), normal(300, seed=1)
  same = np.full((300, 16), 3.1, np.float32)
  got = measure(same, held_out, train, predicted=np.zeros(300, int))
  assert np.isfinite(list(got.values())).all()
  assert got["diversity"] == got["coverage"] == got["density"] == 0
  assert got["genre_share"] == pytest.approx(0.1)
  assert got["frechet_ratio"] > 10
  huge = measure(same * 1e30, held_out, train)
  assert np.isfinite(list(huge.values())).all()


def each_measure(fake, real, labels):
  return [
    lambda: fidelity.frechet_distance(real, fake),
    lambda: fidelity.coverage(real, fake),
    lambda: fidelity.density(real, fake),
    lambda: fidelity.diversity(fake, labels, real, labels),
    lambda: fidelity.nearest(fake, real, real),
  ]


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("where", ["fake", "probabilities", "train"])
def test_one_value_that_is_none_makes_every_measure_nan(where, value):
  train, held_out, fake = (normal(50, seed=i) for i in range(3))
  labels, probabilities = genres(50), np.eye(10)[genres(50)]
  {"fake": fake, "probabilities": probabilities, "train": train}[where][
    3, 2
  ] = value
  got = fidelity.measure(
    judged(fake, probabilities), judged(held_out), judged(train)
  )
  np.testing.assert_equal(got, dict.fromkeys(fidelity.MEASURES, np.nan))
  if where == "fake":
    assert np.isnan(
      [call() for call in each_measure(fake, held_out, labels)]
    ).all()


@pytest.mark.parametrize(
  "shape", [(0, 16), (5, 15), (16,)], ids=["none", "width", "rank"]
)
def test_sets_that_cannot_be_compared(shape):
  x, wrong, labels = normal(5), np.zeros(shape), np.zeros(5, int)
  for call in (
    *each_measure(wrong, x, labels),
    lambda: measure(x, wrong, x),
    lambda: fidelity.genre_share(np.zeros((0, 10)), []),
  ):
    with pytest.raises(
      InputError, match=r"^shapes .* received; \[n, width\] .* accepted$"
    ):
      call()
