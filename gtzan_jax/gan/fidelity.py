"""How close what a GAN makes comes to real music, as a classifier hears it.

Every measure compares embeddings: the values [n, d] of the last hidden layer of
a classifier trained on real examples, in which distance has to do with genre
rather than with single samples. One number cannot tell good from bad: what is
collapsed may be close to music, and what is copied from the train part is.

A NaN or an infinity among the values makes a measure NaN, so that a generator
that diverged is seen and never best. So does a ratio to a real distance of 0.
"""

import numpy as np

from gtzan_jax.errors import InputError
from gtzan_jax.reports.schema import GAN_MEASURES as MEASURES

LARGEST = 1_000  # examples of each side that `measure` takes
# A diversity below this is said to be collapse. In embeddings of mel_cnn and
# resnet on 443 GTZAN tracks, the segments of one song a genre have 0.53 to 0.66
# (90 % of draws) and two segments a genre, repeated, 0.3 to 0.6: what is below
# 0.5 is less varied than a single song.
COLLAPSED = 0.5
# Squared distances below this part of the squared lengths are rounding: 0.
_ROUNDING = 1e-12


def measure(
  fake: np.ndarray,
  fake_labels: np.ndarray,
  probabilities: np.ndarray,
  held_out: np.ndarray,
  held_out_labels: np.ndarray,
  train: np.ndarray,
  *,
  seed: int = 0,
) -> dict[str, float]:
  """All measures of one set of samples, in less than half a second.

  Of each set equally many examples are drawn, as the Fréchet distance and
  coverage depend on how many there are; only `nearest` looks through the whole
  train part, since what was copied from it could lie in the rest. The fakes
  should have genres in the shares of the held-out ones, or the Fréchet distance
  measures the difference of these too.

  Take a classifier that is about as sure of unheard music as of its own train
  part. Otherwise frechet_real is large by its overfitting: with resnet, which
  knows its train part by heart, three segments a genre, repeated, have a ratio
  of 1.2 (median of 8 draws); with mel_cnn 2.6.

  Args:
    fake: [n, d] embeddings of what was generated.
    fake_labels: [n] the genres it was conditioned on.
    probabilities: [n, genres] what the classifier says of it.
    held_out: [m, d] embeddings of real examples that no training has seen.
    held_out_labels: [m] their genres.
    train: [t, d] embeddings of what the GAN was trained on.
    seed: of the draw.

  Returns:
    a number for each of MEASURES. frechet_real is the distance of train and
    held-out examples, frechet_ratio that of the fakes over it: at 1 they are as
    close to unheard music as the train part itself. All are NaN if any value
    received is not finite.

  Raises:
    InputError: a set without examples, or embeddings of different widths.
  """
  _check(fake, held_out, train)
  if not _finite(fake, probabilities, held_out, train):
    return dict.fromkeys(MEASURES, np.nan)
  rng = np.random.default_rng(seed)
  count = min(LARGEST, len(fake), len(held_out), len(train))

  def draw(*arrays):
    chosen = rng.choice(len(arrays[0]), count, replace=False)
    return [np.asarray(array)[chosen] for array in arrays]

  # The reals first: the same ones whatever the fakes.
  held_out, held_out_labels = draw(held_out, held_out_labels)
  real = frechet_distance(*draw(train), held_out)
  share, _ = genre_share(probabilities, fake_labels)
  fake, fake_labels = draw(fake, fake_labels)
  distance = frechet_distance(fake, held_out)
  return {
    "frechet_distance": distance,
    "frechet_real": real,
    "frechet_ratio": _ratio(distance, real),
    "coverage": coverage(held_out, fake),
    "density": density(held_out, fake),
    "diversity": diversity(fake, fake_labels, held_out, held_out_labels),
    "nearest": nearest(fake, train, held_out),
    "genre_share": share,
  }


def frechet_distance(a: np.ndarray, b: np.ndarray) -> float:
  """Between Gaussians with the means and covariances of two sets.

  |mean a - mean b|^2 + tr(A + B - 2 (A B)^(1/2)), Heusel et al. 2017, there of
  an Inception network's embedding (FID). The trace of the root is the sum of
  the singular values of a bᵀ (both centred), which no lack of rank troubles:
  more dimensions than examples, or all examples equal, are fine.

  It is too large by a bias that falls with the number of examples (Chong and
  Forsyth 2020): compare at equal numbers only, and with what real examples
  have among themselves at that number.

  Args:
    a: [n, d] embeddings.
    b: [m, d] embeddings.

  Returns:
    a number from 0 up, in squared units of the embedding.

  Raises:
    InputError: no examples, or different widths.
  """
  _check(a, b)
  if not _finite(a, b):
    return np.nan
  a, b = (np.asarray(x, np.float64) for x in (a, b))
  shift = a.mean(axis=0) - b.mean(axis=0)
  a, b = ((x - x.mean(axis=0)) / max(len(x) - 1, 1) ** 0.5 for x in (a, b))
  # The triangular factors have the products that count, in d rows at most.
  a, b = (np.linalg.qr(x, mode="r") for x in (a, b))
  root = np.linalg.svd(a @ b.T, compute_uv=False).sum()
  squares = (shift**2).sum() + (a**2).sum() + (b**2).sum() - 2 * root
  return float(max(squares, 0.0))  # equal sets: a rounding below 0


def coverage(real: np.ndarray, fake: np.ndarray, k: int = 5) -> float:
  """Share of real examples with a fake among their k nearest (Naeem 2020).

  That is, nearer than the k-th nearest real one. Real against real of equal
  numbers has nearly 1 - 2^-k (0.97) where examples are independent, whatever
  their distribution; few modes, or none that is real, have about 0. Segments of
  a song lie close together: GTZAN's train part covers 0.6 to 0.7 of the
  held-out segments.

  Args:
    real: [n, d] embeddings.
    fake: [m, d] embeddings; as many, to compare.
    k: at most n - 1 are used; NaN for one real example.

  Raises:
    InputError: no examples, or different widths.
  """
  _check(real, fake)
  if len(real) < 2 or not _finite(real, fake):
    return np.nan
  return float(_inside(real, fake, k).any(axis=1).mean())


def density(real: np.ndarray, fake: np.ndarray, k: int = 5) -> float:
  """In how many of the reals' neighbourhoods a fake lies, over k (Naeem 2020).

  1 on average for real against real; about 0 for fakes far from what is real;
  above 1 where they keep to its densest parts. Arguments and errors are those
  of `coverage`.
  """
  _check(real, fake)
  if len(real) < 2 or not _finite(real, fake):
    return np.nan
  count = _inside(real, fake, k).sum(axis=0).mean()
  return float(count / min(k, len(real) - 1))


def diversity(
  fake: np.ndarray,
  fake_labels: np.ndarray,
  real: np.ndarray,
  real_labels: np.ndarray,
) -> float:
  """Mean distance of two fakes of a genre over that of two reals of it.

  Averaged over the genres of which both sides have two examples or more: 1 is
  as diverse as real music, 0 is the same thing each time; see COLLAPSED. It
  does not depend on how many there are. NaN if there is no such genre.

  Args:
    fake: [n, d] embeddings.
    fake_labels: [n] genres.
    real: [m, d] embeddings.
    real_labels: [m] genres.

  Raises:
    InputError: no examples, or different widths.
  """
  _check(fake, real)
  if not _finite(fake, real):
    return np.nan
  ratios = []
  for genre in np.intersect1d(fake_labels, real_labels):
    ours = _spread(np.asarray(fake)[np.asarray(fake_labels) == genre])
    theirs = _spread(np.asarray(real)[np.asarray(real_labels) == genre])
    ratios.append(_ratio(ours, theirs))
  known = [ratio for ratio in ratios if not np.isnan(ratio)]
  return float(np.mean(known)) if known else np.nan


def nearest(fake: np.ndarray, train: np.ndarray, held_out: np.ndarray) -> float:
  """How near fakes are to a train example, over how near unheard music is.

  The median distance of fakes to their nearest train example over that of the
  held-out ones. About 1 is right. Well below it the generator gives back what
  it was trained on (or keeps to the densest part: see diversity); well above,
  nothing like it.

  Args:
    fake: [n, d] embeddings.
    train: [t, d] embeddings; the whole part, as copies may be of any of it.
    held_out: [m, d] embeddings of real examples of other tracks.

  Raises:
    InputError: no examples, or different widths.
  """
  _check(fake, train, held_out)
  if not _finite(fake, train, held_out):
    return np.nan
  ours, theirs = (
    np.median(_distances(x, train).min(axis=1)) for x in (fake, held_out)
  )
  return _ratio(ours, theirs)


def genre_share(
  probabilities: np.ndarray, labels: np.ndarray
) -> tuple[float, np.ndarray]:
  """How often the conditioned genre is the one that a classifier hears.

  Args:
    probabilities: [n, genres]; a row with a NaN counts as wrong.
    labels: [n] the genres conditioned on.

  Returns:
    the share of all, and [genres] of each genre, NaN for one without examples.

  Raises:
    InputError: no examples.
  """
  _check(probabilities)
  probabilities, labels = np.asarray(probabilities), np.asarray(labels)
  right = probabilities.argmax(axis=1) == labels
  right &= np.isfinite(probabilities).all(axis=1)
  each = [right[labels == i] for i in range(probabilities.shape[1])]
  shares = [rows.mean() if len(rows) else np.nan for rows in each]
  return float(right.mean()), np.array(shares)


def _inside(real: np.ndarray, fake: np.ndarray, k: int) -> np.ndarray:
  """[n, m]: is a fake nearer than the k-th nearest of the other reals?"""
  k = min(k, len(real) - 1)  # the 0th is the example itself
  radius = np.partition(_distances(real, real), k, axis=1)[:, k]
  return _distances(real, fake) < radius[:, None]


def _spread(x: np.ndarray) -> float:
  """Mean distance of two different rows; NaN for fewer than two."""
  if len(x) < 2:
    return np.nan
  return _distances(x, x).sum() / (len(x) * (len(x) - 1))


def _distances(a: np.ndarray, b: np.ndarray) -> np.ndarray:
  """[n, m] Euclidean, by one product of matrices."""
  centre = np.mean(b, axis=0, dtype=np.float64)
  a, b = a - centre, b - centre  # short vectors round less
  lengths = (a**2).sum(axis=1)[:, None]
  squares = lengths + (b**2).sum(axis=1) - 2 * a @ b.T
  squares[squares < _ROUNDING * lengths] = 0
  return np.sqrt(squares, out=squares)


def _ratio(value: float, of: float) -> float:
  return float(value / of) if of > 0 else np.nan


def _finite(*arrays: np.ndarray) -> bool:
  return all(np.isfinite(x).all() for x in arrays)


def _check(*arrays: np.ndarray) -> None:
  """Refuses sets that cannot be compared: no examples, other widths."""
  shapes = [np.shape(x) for x in arrays]
  if any(len(s) != 2 or not s[0] or s[1] != shapes[0][1] for s in shapes):
    raise InputError(
      f"shapes {shapes} received; [n, width] with n > 0 and one width for all"
      " are accepted"
    )
