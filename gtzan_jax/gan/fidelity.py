"""How close generated examples are to real music, in a classifier's embeddings.

Every measure compares embeddings, the values [n, d] of the last hidden layer of
a classifier trained on real examples, where distance relates to genre rather
than to single samples. No single number suffices: collapsed examples may be
close to real ones, and copies of train examples are.

A value that is not finite makes a measure NaN, so that a diverged generator is
visible and never best. So does a ratio to a distance of 0. Empty sets and sets
of different widths raise InputError.
"""

from typing import NamedTuple

import numpy as np

from gtzan_jax.errors import InputError
from gtzan_jax.reports.schema import GAN_MEASURES as MEASURES

LARGEST = 1_000  # examples of each set that `measure` uses
# A diversity below this is collapse. In embeddings of mel_cnn and resnet on 443
# GTZAN tracks, the segments of one song a genre have 0.53 to 0.66 (90 % of
# draws) and two segments a genre, repeated, 0.3 to 0.6.
COLLAPSED = 0.5
_NEIGHBOURS = 5
# Squared distances below this part of the squared lengths are rounding: 0.
_ROUNDING = 1e-12


class Embeddings(NamedTuple):
  """Examples as a classifier has them, float32.

  Attributes:
    embedding: `[n, d]`.
    probabilities: `[n, genres]`.
    label: `[n]` genres, those requested of generated examples.
  """

  embedding: np.ndarray
  probabilities: np.ndarray
  label: np.ndarray


def measure(
  fake: Embeddings, held_out: Embeddings, train: Embeddings
) -> dict[str, float]:
  """All measures (MEASURES) of one set of generated examples, `fake`.

  `held_out` are real examples of validation or test, `train` the GAN's train
  split. frechet_real is the distance of train and held-out examples,
  frechet_ratio that of the fakes divided by it.

  Equally many examples of each set are drawn, because the Fréchet distance and
  coverage depend on the number; only `nearest` uses the whole train split, any
  of which may have been copied. The fakes should have the genre shares of the
  held-out examples, or the Fréchet distance includes their difference.

  The classifier should be about as confident on unseen music as on its train
  split. Overfitting makes frechet_real large: with resnet three segments a
  genre, repeated, have a ratio of 1.2 (median of 8 draws), with mel_cnn 2.6.
  """
  sets = [x.embedding for x in (fake, held_out, train)]
  if not (_comparable(*sets) & _comparable(fake.probabilities)):
    return dict.fromkeys(MEASURES, np.nan)
  rng = np.random.default_rng(0)
  count = min(LARGEST, *map(len, sets))

  def draw(x: Embeddings) -> tuple[np.ndarray, np.ndarray]:
    chosen = rng.choice(len(x.embedding), count, replace=False)
    return x.embedding[chosen], x.label[chosen]

  # The reals first: the same ones whatever the fakes.
  real, real_labels = draw(held_out)
  reference = frechet_distance(draw(train)[0], real)
  made, labels = draw(fake)
  distance = frechet_distance(made, real)
  return {
    "frechet_distance": distance,
    "frechet_real": reference,
    "frechet_ratio": _ratio(distance, reference),
    "coverage": coverage(real, made),
    "density": density(real, made),
    "diversity": diversity(made, labels, real, real_labels),
    "nearest": nearest(made, train.embedding, real),
    "genre_share": genre_share(fake.probabilities, fake.label)[0],
  }


def frechet_distance(a: np.ndarray, b: np.ndarray) -> float:
  """Fréchet distance of Gaussians fitted to embeddings [n, d] and [m, d].

  |mean a - mean b|^2 + tr(A + B - 2 (A B)^(1/2)), Heusel et al. 2017. The trace
  of the root is the sum of the singular values of a bᵀ (both centred), which
  needs no full rank. Its bias falls with the number of examples (Chong and
  Forsyth 2020): compare at equal numbers only.
  """
  if not _comparable(a, b):
    return np.nan
  a, b = (np.asarray(x, np.float64) for x in (a, b))
  shift = a.mean(axis=0) - b.mean(axis=0)
  a, b = ((x - x.mean(axis=0)) / max(len(x) - 1, 1) ** 0.5 for x in (a, b))
  # The triangular factors have the same products, in d rows at most.
  a, b = (np.linalg.qr(x, mode="r") for x in (a, b))
  root = np.linalg.svd(a @ b.T, compute_uv=False).sum()
  squares = (shift**2).sum() + (a**2).sum() + (b**2).sum() - 2 * root
  return float(max(squares, 0.0))  # equal sets: a rounding below 0


def coverage(real: np.ndarray, fake: np.ndarray) -> float:
  """Share of reals with a fake nearer than the 5th nearest real (Naeem 2020).

  Equally many independent real examples have nearly 1 - 2^-5 (0.97); few or
  unreal modes about 0. Segments of a song lie close together: GTZAN's train
  split covers 0.6 to 0.7 of the validation segments. NaN for one real example.
  """
  if not _comparable(real, fake) or len(real) < 2:
    return np.nan
  return float(_inside(real, fake).any(axis=1).mean())


def density(real: np.ndarray, fake: np.ndarray) -> float:
  """Mean number of real neighbourhoods with a fake, over 5 (Naeem 2020).

  1 for real examples; about 0 far from them; above 1 in their densest regions.
  """
  if not _comparable(real, fake) or len(real) < 2:
    return np.nan
  count = _inside(real, fake).sum(axis=0).mean()
  return float(count / min(_NEIGHBOURS, len(real) - 1))


def diversity(
  fake: np.ndarray,
  fake_labels: np.ndarray,
  real: np.ndarray,
  real_labels: np.ndarray,
) -> float:
  """Mean distance of two fakes of a genre over that of two reals.

  Averaged over genres with two examples or more on both sides, else NaN. 1 is
  as diverse as real music, 0 always the same example. Independent of the
  numbers of examples.
  """
  if not _comparable(fake, real):
    return np.nan
  ratios = [
    _ratio(
      _spread(fake[fake_labels == genre]), _spread(real[real_labels == genre])
    )
    for genre in np.intersect1d(fake_labels, real_labels)
  ]
  known = [ratio for ratio in ratios if not np.isnan(ratio)]
  return float(np.mean(known)) if known else np.nan


def nearest(fake: np.ndarray, train: np.ndarray, held_out: np.ndarray) -> float:
  """Median distance of fakes to their nearest train example, over held-out's.

  About 1 is right; well below, the generator repeats train examples (or keeps
  to their densest region); well above, it is far from them.
  """
  if not _comparable(fake, train, held_out):
    return np.nan
  ours, theirs = (
    np.median(_distances(x, train).min(axis=1)) for x in (fake, held_out)
  )
  return _ratio(ours, theirs)


def genre_share(
  probabilities: np.ndarray, labels: np.ndarray
) -> tuple[float, np.ndarray]:
  """How often the requested genre is predicted: of all, and `[genres]` of each.

  NaN for a genre without examples; probabilities with a NaN count as wrong.
  """
  _comparable(probabilities)
  correct = probabilities.argmax(axis=1) == labels
  correct &= np.isfinite(probabilities).all(axis=1)
  each = [correct[labels == i] for i in range(probabilities.shape[1])]
  shares = [rows.mean() if len(rows) else np.nan for rows in each]
  return float(correct.mean()), np.array(shares)


def _inside(real: np.ndarray, fake: np.ndarray) -> np.ndarray:
  """[n, m]: whether a fake is nearer than the 5th nearest other real."""
  k = min(_NEIGHBOURS, len(real) - 1)  # the 0th is the example itself
  radius = np.partition(_distances(real, real), k, axis=1)[:, k]
  return _distances(real, fake) < radius[:, None]


def _spread(x: np.ndarray) -> float:
  """Mean distance of two different rows; NaN for fewer than two."""
  if len(x) < 2:
    return np.nan
  return _distances(x, x).sum() / (len(x) * (len(x) - 1))


def _distances(a: np.ndarray, b: np.ndarray) -> np.ndarray:
  """[n, m] Euclidean, by one matrix product."""
  centre = np.mean(b, axis=0, dtype=np.float64)
  a, b = a - centre, b - centre  # short vectors round less
  lengths = (a**2).sum(axis=1)[:, None]
  squares = lengths + (b**2).sum(axis=1) - 2 * a @ b.T
  squares[squares < _ROUNDING * lengths] = 0
  return np.sqrt(squares, out=squares)


def _ratio(value: float, of: float) -> float:
  return float(value / of) if of > 0 else np.nan


def _comparable(*arrays: np.ndarray) -> bool:
  """Whether all values are finite; refuses empty sets and unequal widths."""
  shapes = [np.shape(x) for x in arrays]
  if any(len(s) != 2 or not s[0] or s[1] != shapes[0][1] for s in shapes):
    raise InputError(
      f"shapes {shapes} received; [n, width] with n > 0 and one width for all"
      " are accepted"
    )
  return all(np.isfinite(x).all() for x in arrays)
