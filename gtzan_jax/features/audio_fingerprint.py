"""Finds near-duplicates: a recording at another level, offset or quality.

A track's fingerprint is its log-mel in 32 bands, about thirteen columns a
second, minus a local mean over seconds in each band and minus each column's
mean, with columns of length one. It changes little with gain, equaliser, noise,
codec and bandwidth. Two tracks are correlated at every offset by FFT; their
likeness is the mean cosine of the overlapping columns at the best one: 251,000
pairs of 30 s in five seconds. (Landmarks, A. Wang, ISMIR 2003, scale to
millions of tracks, but find no other transfers and mixes.)
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import threadpoolctl
import tqdm

from gtzan_jax.features import logmel_archive

RATE = 12.9  # columns a second, as GTZAN's log-mel archive has them
BANDS = 32
LONGEST = 120.0  # seconds compared, from the middle of a longer track
# Between GTZAN's likeliest pair of different recordings and its least likely
# pair of the same recording.
THRESHOLD = 0.4
_WINDOW = 0.25  # seconds that a column is the mean of
_LOCAL = 4.0  # seconds of the local mean
_RANGE = 60.0  # dB below a track's maximum
_SILENT = 1.0  # dB: columns of less are not scaled to length one
# Seconds of overlap for a likeness to count in full. In a shorter overlap
# chance reaches more, as 1 / sqrt(seconds), so it is weighted down.
_FULL = 10.0
_TILE = 128  # tracks compared with as many at once: 130 MB for 30 s each


class Pair(NamedTuple):
  """Two similar tracks.

  Attributes:
    first: index of one.
    second: index of the other, the larger one.
    likeness: up to 1.
    offset: second t of `first` matches second t + offset of `second`.
  """

  first: int
  second: int
  likeness: float
  offset: float


def fingerprint(db: np.ndarray, n_frames: int) -> np.ndarray:
  """A track's fingerprint from its log-mel.

  `RATE` rows a second of at most `LONGEST` seconds, float32 `[n, 32]`, of
  length one (shorter where nothing changes).

  Args:
    db: float32 `[columns, 128]`, absolute dB, spread evenly over the frames.
    n_frames: hop-512 frames at 22,050 Hz.
  """
  seconds = n_frames * logmel_archive.HOP / logmel_archive.SAMPLE_RATE
  # Values beyond any music must not overflow.
  power = 10 ** (np.clip(db, -300, 300).astype(np.float64) / 10)
  level = 10 * np.log10(power.reshape(len(db), BANDS, -1).mean(axis=2))
  level = np.maximum(level, level.max() - _RANGE)
  count = max(1, int(seconds * RATE))
  kept = min(count, int(LONGEST * RATE))
  middle = (np.arange(kept) + (count - kept) // 2 + 0.5) / RATE
  density = len(db) / seconds
  rows = _means(level, middle * density, _WINDOW * density)
  rows -= _means(rows, np.arange(kept) + 0.5, _LOCAL * RATE)
  rows -= rows.mean(axis=1, keepdims=True)
  length = np.linalg.norm(rows, axis=1, keepdims=True)
  return (rows / np.maximum(length, _SILENT)).astype(np.float32)


def of_audio(samples: np.ndarray) -> np.ndarray:
  """The fingerprint of a waveform, float32 `[n]` at 22,050 Hz, mono."""
  db = logmel_archive.logmel(samples)
  return fingerprint(db, len(db))


def _means(rows: np.ndarray, middle: np.ndarray, width: float) -> np.ndarray:
  """Means of `rows` over a width around each middle, narrower at the ends."""
  total = np.pad(rows.cumsum(axis=0), ((1, 0), (0, 0)))
  first = np.rint(middle - width / 2).astype(int).clip(0, len(rows) - 1)
  last = np.rint(middle + width / 2).astype(int).clip(first + 1, len(rows))
  return (total[last] - total[first]) / (last - first)[:, None]


def alike(
  prints: Sequence[np.ndarray], threshold: float = THRESHOLD
) -> list[Pair]:
  """Pairs of fingerprints at least so alike (0 to 1), highest first."""
  if not prints:
    return []
  lengths = np.array([*map(len, prints)])
  longest = lengths.max()
  # Zero-padded to twice the length, so that the correlation is not circular.
  size = 1 << (2 * int(longest) - 1).bit_length()
  padded = np.zeros((len(prints), longest, BANDS), np.float32)
  for track, rows in zip(padded, prints, strict=True):
    track[: len(rows)] = rows
  spectra = np.fft.rfft(padded, size, axis=1).transpose(1, 0, 2)
  spectra = np.ascontiguousarray(spectra, np.complex64)
  starts = range(0, len(prints), _TILE)
  tiles = [(a, b) for a in starts for b in starts if a <= b]
  pairs = []
  # Many small products: with threads ten times slower on a busy machine.
  with threadpoolctl.threadpool_limits(1, "blas"):
    for a, b in tqdm.tqdm(tiles, desc="comparing", unit="tile", disable=None):
      one, other = slice(a, a + _TILE), slice(b, b + _TILE)
      product = spectra[:, one].conj() @ spectra[:, other].transpose(0, 2, 1)
      sums = np.fft.irfft(product, size, axis=0)
      likeness, lag = _best(sums, lengths[one], lengths[other])
      for i, j in np.argwhere(likeness >= threshold):
        if a + i < b + j:
          values = float(likeness[i, j]), float(lag[i, j] / RATE)
          pairs.append(Pair(int(a + i), int(b + j), *values))
  return sorted(pairs, key=lambda pair: (-pair.likeness, pair[:2]))


def _best(
  sums: np.ndarray, first: np.ndarray, second: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
  """The best likeness and its lag, each `[m, n]`.

  `sums` `[size, m, n]` are the sums, at lag l, of the cosines of row t of one
  and row t + l of the other, negative lags at the end; `first` and `second` the
  numbers of rows of each.
  """
  likeness = np.full(sums.shape[1:], -np.inf, np.float32)
  best = np.zeros(sums.shape[1:], int)
  for lag in range(1 - first.max(), second.max()):
    shared = np.minimum(
      first[:, None] + min(lag, 0), second[None] - max(lag, 0)
    )
    shared = np.maximum(shared, 1)  # where there is no overlap, the sum is 0
    value = sums[lag] / np.sqrt(shared * np.maximum(shared, _FULL * RATE))
    better = value > likeness
    likeness[better], best[better] = value[better], lag
  return likeness, best
