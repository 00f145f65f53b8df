"""Near-duplicates: one recording twice, at another level, offset or quality.

A track's fingerprint is its log-mel in 32 bands, about thirteen columns a
second, less what stays for seconds in a band and less each column's mean, with
all columns brought to length one. What is left is how the spectrum moves: a
copy keeps that through gain, equaliser, noise, codec and bandwidth, and a loud
moment weighs no more than a quiet one. Two tracks are laid over each other at
every offset, by FFT; their likeness is the mean cosine of the columns that meet
at the best one.

Landmarks (A. Wang, ISMIR 2003) find a song among millions. For thousands of
clips every column can be compared, which needs no peaks to be picked and finds
other transfers and mixes too: 251,000 pairs of 30 s in five seconds.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import threadpoolctl
import tqdm

from gtzan_jax.features import logmel_archive

RATE = 12.9  # columns a second, as GTZAN's log-mel archive has them
BANDS = 32
LONGEST = 120.0  # seconds of a longer track, its middle, that are compared
# Between the likeliest pair of different recordings and the least likely one
# of the same that GTZAN has: docs/check_splits.md.
THRESHOLD = 0.4
_WINDOW = 0.25  # seconds that a column is the mean of
_LOCAL = 4.0  # seconds: what stays for longer in a band is taken out
_RANGE = 60.0  # dB below a track's loudest that are looked at
_SILENT = 1.0  # dB: what moves less is not brought to length one
# Seconds that have to meet for a likeness to count in full. In a shorter
# overlap chance reaches more, as 1 / sqrt(seconds), and so it counts less.
_FULL = 10.0
_TILE = 128  # tracks compared with as many at a time: 130 MB for 30 s each


class Pair(NamedTuple):
  """Two tracks that are alike.

  Attributes:
    first: index of one.
    second: index of the other, the larger one.
    likeness: up to 1.
    offset: what is heard in `first` at t seconds is heard in `second` at
      t + offset.
  """

  first: int
  second: int
  likeness: float
  offset: float


def fingerprint(db: np.ndarray, n_frames: int) -> np.ndarray:
  """How the spectrum of a track moves.

  Args:
    db: float32 `[columns, 128]`, absolute dB, spread evenly over the frames.
    n_frames: hop-512 frames at 22,050 Hz.

  Returns:
    float32 `[n, 32]`, `RATE` rows a second, of length one (shorter where
    nothing moves); at most `LONGEST` seconds.
  """
  seconds = n_frames * logmel_archive.HOP / logmel_archive.SAMPLE_RATE
  # What no music reaches must not overflow either.
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
  """Means of `rows` over a width round each middle, narrower at the ends."""
  total = np.pad(rows.cumsum(axis=0), ((1, 0), (0, 0)))
  first = np.rint(middle - width / 2).astype(int).clip(0, len(rows) - 1)
  last = np.rint(middle + width / 2).astype(int).clip(first + 1, len(rows))
  return (total[last] - total[first]) / (last - first)[:, None]


def alike(
  prints: Sequence[np.ndarray], threshold: float = THRESHOLD
) -> list[Pair]:
  """Pairs whose likeness is at least the threshold, the likeliest first.

  Args:
    prints: a `fingerprint` a track.
    threshold: 0 to 1.
  """
  if not prints:
    return []
  longest = max(map(len, prints))
  # As long as both together, so that no end meets the other track's beginning.
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
  # So many small products that threads would only wait for each other: on a
  # busy machine that takes ten times as long.
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
    sums: `[size, m, n]`, at lag l the sum of the cosines of row t of one and
      row t + l of the other; negative lags at the end.
    first: rows of each of the m tracks.
    second: rows of each of the n.
  """
  likeness = np.full(sums.shape[1:], -np.inf, np.float32)
  best = np.zeros(sums.shape[1:], int)
  for lag in range(1 - first.max(), second.max()):
    meet = np.minimum(first[:, None] + min(lag, 0), second[None] - max(lag, 0))
    meet = np.maximum(meet, 1)  # where none do, the sum is 0
    value = sums[lag] / np.sqrt(meet * np.maximum(meet, _FULL * RATE))
    better = value > likeness
    likeness[better], best[better] = value[better], lag
  return likeness, best
