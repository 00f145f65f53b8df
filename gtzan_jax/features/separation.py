"""Harmonic and percussive parts of a sound, by median filters.

Sources: D. Fitzgerald, "Harmonic/percussive separation using median
filtering", DAFx 2010, with the soft masks of librosa's `decompose.hpss`; for
windows that share sorted lists, A. Adams, "Fast median filters using separable
sorting networks", SIGGRAPH 2021.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from gtzan_jax.features import stft

WIDTH = 31  # frames, and bins
_CORE = 16  # values that neighbouring windows share: (WIDTH + 1) / 2
_LANES = 128  # columns filtered at a time, which stay in a core's cache


def masks(
  magnitude: jax.Array, count: jax.Array
) -> tuple[jax.Array, jax.Array]:
  """Shares of the harmonic and of the percussive part in each bin.

  A bin is harmonic as far as the median of its neighbours in time exceeds that
  of its neighbours in frequency (powers of both; halves where both are 0).

  Args:
    magnitude: float32 `[frames, bins]`.
    count: int32 `[]`, frames in use; the others are ignored.

  Returns:
    Two float32 `[frames, bins]` in 0..1 whose sum is 1.
  """
  frames, bins = magnitude.shape
  # Mirrored after the last frame in use; -1, -2 ... are mirrored to 0, 1 ...
  place = jnp.arange(-_CORE, frames + _CORE) % (2 * count)
  mirrored = jnp.minimum(place, 2 * count - 1 - place)
  harmonic = _medians(magnitude[mirrored])[:frames]
  edges = np.pad(np.arange(bins), _CORE, mode="symmetric")
  percussive = _medians(magnitude.T[edges])[:bins].T
  top = jnp.maximum(harmonic, percussive)
  silent = top < np.finfo(np.float32).tiny
  top = jnp.where(silent, 1, top)
  harmonic = jnp.where(silent, 1, (harmonic / top) ** 2)
  percussive = jnp.where(silent, 1, (percussive / top) ** 2)
  both = harmonic + percussive
  return harmonic / both, percussive / both


def _medians(x: jax.Array) -> jax.Array:
  """Median of the 31 values about each along the first axis.

  Float32 `[16 + n + 16, columns]`, edges included, to `[n or more, columns]`;
  what exceeds n is meaningless.
  """
  rows, columns = x.shape
  pieces = -(-columns // _LANES)
  lanes = -(-columns // pieces)
  x = jnp.pad(x, ((0, -rows % _CORE), (0, pieces * lanes - columns)))

  def piece(start: jax.Array) -> jax.Array:
    return _of_blocks(
      jax.lax.dynamic_slice_in_dim(x, start, lanes, 1).reshape(-1, _CORE, lanes)
    )

  found = jax.lax.map(piece, lanes * np.arange(pieces))
  found = found.transpose(1, 2, 0, 3).reshape(-1, pieces * lanes)
  return found[:, :columns]


def _of_blocks(x: jax.Array) -> jax.Array:
  """Medians of the values of all blocks but the first and last.

  `[blocks, 16, lanes]` to `[blocks - 2, 16, lanes]`. The 16 windows about the
  values of a block all contain that block. So do the windows of each half of it
  half of a neighbouring block, those of each quarter a quarter, and so on: the
  lists are sorted once, merged, and what can be no median is dropped.
  """
  # Sorted lists of all aligned runs of 1, 2, 4, 8, 16 values: [blocks, lanes].
  runs = {1: [[x[:, i]] for i in range(_CORE)]}
  size = 1
  while size < _CORE:
    pairs = zip(runs[size][::2], runs[size][1::2], strict=True)
    runs[2 * size] = [_ranks(*pair, range(2 * size)) for pair in pairs]
    size *= 2

  def run(first: int, size: int, block: int) -> list[jax.Array]:
    stop = x.shape[0] - 1 + block
    return [value[1 + block : stop] for value in runs[size][first // size]]

  def medians(first: int, size: int, kept: list) -> list[jax.Array]:
    """Of `size` windows from `first`; `kept`: middle of their common values."""
    if size == 1:
      return kept
    half = size // 2
    middle = range(half, size)
    before = _ranks(kept, run(first + half, half, -1), middle)
    after = _ranks(kept, run(first, half, 1), middle)
    return [
      *medians(first, half, before),
      *medians(first + half, half, after),
    ]

  return jnp.stack(medians(0, _CORE, run(0, _CORE, 0)), 1)


def _ranks(a: list, b: list, ranks: range) -> list[jax.Array]:
  """The values of these ranks (0: smallest) among two ascending lists."""

  def value(rank: int) -> jax.Array:
    # The smallest with rank + 1 values up to it, i in a and the rest in b.
    taken = range(max(0, rank + 1 - len(b)), min(rank + 1, len(a)) + 1)
    reached = []
    for i in taken:
      ends = [*a[i - 1 : i], *b[rank - i : rank + 1 - i]] if i else [b[rank]]
      reached.append(functools.reduce(_larger, ends))
    return functools.reduce(_smaller, reached)

  # XLA would compute all that came before anew for each value.
  return list(jax.lax.optimization_barrier(tuple(map(value, ranks))))


# One instruction each; jnp.maximum's care for NaN takes four.
def _larger(a: jax.Array, b: jax.Array) -> jax.Array:
  return jnp.where(a > b, a, b)


def _smaller(a: jax.Array, b: jax.Array) -> jax.Array:
  return jnp.where(a < b, a, b)


def waveform(
  spectrum: jax.Array, hop_length: int, count: jax.Array
) -> jax.Array:
  """Inverse of the short-time Fourier transform of centred frames.

  Args:
    spectrum: complex64 `[frames, 1 + n_fft // 2]`; n_fft is a multiple of the
      hop.
    hop_length: samples from one frame to the next.
    count: int32 `[]`, frames in use; the others are ignored.

  Returns:
    float32 `[(frames - 1) * hop_length]`; zeros from the centre of the last
    frame in use, as librosa's `istft` ends there.
  """
  n_fft = 2 * (spectrum.shape[-1] - 1)
  frames = len(spectrum)
  used = jnp.arange(frames)[:, None] < count
  window = stft.hann(n_fft)
  parts = jnp.fft.irfft(spectrum) * window[None]
  weight = jnp.broadcast_to(window[None] ** 2, parts.shape)
  sums = [
    _overlapped(jnp.where(used, values, 0), hop_length)
    for values in (parts, weight)
  ]
  start = n_fft // 2
  total, weight = (
    x.reshape(-1)[start : start + (frames - 1) * hop_length] for x in sums
  )
  inside = jnp.arange(len(total)) < (count - 1) * hop_length
  enough = weight > np.finfo(np.float32).tiny
  return jnp.where(inside, total / jnp.where(enough, weight, 1), 0)


def _overlapped(frames: jax.Array, hop_length: int) -> jax.Array:
  """Sum of frames `[count, n_fft]`, each a hop later, in rows of one hop."""
  pieces = frames.reshape(len(frames), -1, hop_length)
  steps = pieces.shape[1]
  shifted = [
    jnp.pad(pieces[:, i], ((i, steps - 1 - i), (0, 0))) for i in range(steps)
  ]
  return functools.reduce(jnp.add, shifted)
