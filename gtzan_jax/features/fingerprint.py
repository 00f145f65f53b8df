"""Near-duplicates: the same recording at another level, offset or quality.

A track's fingerprint is its log-mel in 32 bands, about thirteen columns a
second, minus the local mean of each band (seconds) and the mean of each column,
with columns of unit length. It describes how the spectrum changes, which gain,
equaliser, noise, codec and bandwidth keep; loud and quiet moments weigh the
same. Two tracks are aligned at every offset by FFT; their likeness is the mean
cosine of overlapping columns at the best offset.

Landmarks (A. Wang, ISMIR 2003) find a song among millions. With thousands of
clips every column can be compared, without peak picking, and other transfers
and mixes are found too: 251,000 pairs of 30 s in five seconds.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import threadpoolctl
import tqdm

from gtzan_jax.features import logmel_archive

RATE = 12.9  # columns a second, as GTZAN's log-mel archive has them
BANDS = 32
LONGEST = 120.0  # seconds compared: the middle of a longer track
# Between the highest likeness of different recordings in GTZAN and the lowest
# of the same: docs/check_splits.md.
THRESHOLD = 0.4
_WINDOW = 0.25  # seconds averaged in a column
_LOCAL = 4.0  # seconds of the local mean that is subtracted
_RANGE = 60.0  # dB below a track's maximum: the floor
_SILENT = 1.0  # dB: columns that change less are not normalised
# Seconds of overlap for full weight. In a shorter overlap chance likeness is
# higher, as 1 / sqrt(seconds), so it is weighted down.
_FULL = 10.0
_TILE = 128  # tracks compared with as many at a time: 130 MB for 30 s each


class Pair(NamedTuple):
  """Two near-duplicate tracks.

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
  """The fingerprint of a track.

  Args:
    db: float32 `[columns, 128]`, absolute dB, spread evenly over the frames.
    n_frames: hop-512 frames at 22,050 Hz.

  Returns:
    float32 `[n, 32]`, `RATE` rows a second, of unit length (shorter where
    nothing changes); at most `LONGEST` seconds.
  """
  seconds = n_frames * logmel_archive.HOP / logmel_archive.SAMPLE_RATE
  # Absurd levels must not overflow.
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
  """Pairs whose likeness is at least the threshold, highest first.

  Args:
    prints: the `fingerprint` of each track.
    threshold: 0 to 1.
  """
  if not prints:
    return []
  longest = max(map(len, prints))
  # Both lengths together, so that no end wraps to the other's beginning.
  size = 1 << (2 * longest - 1).bit_length()
  lengths = np.array([len(one) for one in prints])
  padded = np.zeros((len(prints), longest, BANDS), np.float32)
  for row, one in zip(padded, prints, strict=True):
    row[: len(one)] = one
  spectra = np.fft.rfft(padded, size, axis=1).transpose(1, 0, 2)
  spectra = np.ascontiguousarray(spectra, np.complex64)
  starts = range(0, len(prints), _TILE)
  tiles = [(a, b) for a in starts for b in starts if a <= b]
  found = []
  # Many small products: BLAS threads would wait for each other, on a busy
  # machine ten times as long.
  with threadpoolctl.threadpool_limits(1, "blas"):
    for a, b in tqdm.tqdm(tiles, desc="comparing", unit="tile", disable=None):
      rows, columns = slice(a, a + _TILE), slice(b, b + _TILE)
      product = np.matmul(
        spectra[:, rows].conj(), spectra[:, columns].transpose(0, 2, 1)
      )
      sums = np.fft.irfft(product, size, axis=0)
      likeness, lag = _best(sums, lengths[rows], lengths[columns])
      for i, j in np.argwhere(likeness >= threshold):
        if a + i < b + j:
          values = float(likeness[i, j]), float(lag[i, j] / RATE)
          found.append(Pair(int(a + i), int(b + j), *values))
  return sorted(found, key=lambda pair: (-pair.likeness, pair[:2]))


def _best(
  sums: np.ndarray, first: np.ndarray, second: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
  """The best likeness and its lag, each `[m, n]`.

  Args:
    sums: `[size, m, n]`, at lag l the sum of cosines of row t of the first and
      row t + l of the second; negative lags at the end.
    first: rows of each of the m tracks.
    second: rows of each of the n.
  """
  likeness = np.full(sums.shape[1:], -np.inf, np.float32)
  best = np.zeros(sums.shape[1:], int)
  for lag in range(1 - first.max(), second.max()):
    meet = np.minimum(first[:, None] + min(lag, 0), second[None] - max(lag, 0))
    meet = np.maximum(meet, 1)  # without overlap the sum is 0
    value = sums[lag] / np.sqrt(meet * np.maximum(meet, _FULL * RATE))
    better = value > likeness
    likeness[better], best[better] = value[better], lag
  return likeness, best
