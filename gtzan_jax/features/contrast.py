"""Spectral contrast: level of a band's peaks over that of its valleys.

Source: D.-N. Jiang et al., "Music type classification by spectral contrast
feature", ICME 2002, as librosa computes it.
"""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np

from gtzan_jax.errors import InputError
from gtzan_jax.features import mel

EDGES = (0, 200, 400, 800, 1600, 3200, 6400, 12_800)  # Hz
QUANTILE = 0.02  # share of a band's bins that are peaks, and valleys
TOP_DB = 80.0
_PIECE = 100  # bins


@functools.lru_cache
def bands(sample_rate: int, n_fft: int) -> tuple[tuple[slice, int], ...]:
  """The bins of each band, and how many of them are peaks (and valleys).

  As in librosa, a band starts with the bin below its lower edge and lacks its
  last bin, which still counts for the quantile; the top band reaches to the end
  of the spectrum; halves are rounded to even. InputError for a band without
  bins.
  """
  hz = np.arange(1 + n_fft // 2) * sample_rate / n_fft
  bands = []
  for low, high in itertools.pairwise(EDGES):
    inside = int(np.searchsorted(hz, low))
    beyond = int(np.searchsorted(hz, high, side="right"))
    first = max(0, inside - 1)
    top = high == EDGES[-1]
    stop = len(hz) if top else beyond
    end = stop if top else stop - 1
    if beyond <= inside or end <= first:
      raise InputError(
        f"spectral contrast needs a bin between {low} and {high} Hz: none at"
        f" {sample_rate} Hz with n_fft {n_fft}"
      )
    quantile = max(1, int(np.rint(QUANTILE * (stop - first))))
    bands.append((slice(first, end), quantile))
  return tuple(bands)


def levels(magnitude: jax.Array, sample_rate: int) -> jax.Array:
  """Means of the peaks and of the valleys of each frame.

  10 log10 of magnitudes `[*batch, frames, 1 + n_fft // 2]`: `[*batch, frames,
  14]`, the seven bands' peaks, then their valleys.
  """
  cut = bands(sample_rate, 2 * (magnitude.shape[-1] - 1))
  # XLA would compute barred values anew for each of their uses.
  frames = jax.lax.optimization_barrier(
    magnitude.reshape(-1, magnitude.shape[-1])
  )
  # A CPU compares neighbours at once: those of the other axis for narrow bands.
  narrow = max(
    (bins.stop for bins, _ in cut if bins.stop - bins.start < _PIECE), default=0
  )

  def parts(sign: int) -> list[tuple[jax.Array, int, int]]:
    low = jax.lax.optimization_barrier(sign * frames[:, :narrow].T)
    return [
      (low[bins], count, 0)
      if bins.stop <= narrow
      else (sign * frames[:, bins], count, 1)
      for bins, count in cut
    ]

  means, exact = zip(
    *(mean_of_largest(*part) for part in parts(1) + parts(-1)), strict=True
  )

  def by_sorting(frames: jax.Array) -> jax.Array:
    return jnp.stack(
      [
        jax.lax.top_k(sign * frames[:, bins], count)[0].mean(-1)
        for sign in (1, -1)
        for bins, count in cut
      ],
      -1,
    )

  found = jax.lax.cond(
    jnp.stack(exact).all(),
    lambda _: jnp.stack(means, -1),
    by_sorting,
    frames,
  )
  signs = np.repeat(np.array([1, -1], np.float32), len(cut))
  db = mel.power_to_db(found * signs[None])
  return db.reshape(*magnitude.shape[:-1], -1)


def contrast(db: jax.Array, valid: jax.Array | None = None) -> jax.Array:
  """Mean of a band's peaks over the mean of its valleys, in librosa's dB.

  `levels`, `[*batch, frames, 14]`, to `[*batch, frames, 7]`. Peaks and valleys
  each have a floor, 80 dB below the example's maximum, which is that of the
  `valid` frames (bool `[frames, 1]`; None: all).
  """
  peaks, valleys = (
    mel.floor_db(part, TOP_DB, valid) for part in jnp.split(db, 2, -1)
  )
  return peaks - valleys


def mean_of_largest(
  x: jax.Array, count: int, axis: int
) -> tuple[jax.Array, jax.Array]:
  """Mean of the `count` largest values along an axis, which is removed.

  Takes the maximum, then the next smaller value and so on, for 2 % of the
  values far faster than sorting. Float32 with two axes to the mean and to
  whether it is right: it is not where some of the largest values are equal,
  unless all are.
  """
  if count == 1:
    mean = x.max(axis)
    return mean, jnp.ones_like(mean, bool)
  x = jax.lax.optimization_barrier(x)
  top = _largest(x, axis)

  def down(_, state: tuple) -> tuple:
    value, total = state
    less = _largest(jnp.where(x < value, x, -jnp.inf), axis)
    value = jnp.where(jnp.isneginf(less), value, less)
    return value, total + value

  last, total = jax.lax.fori_loop(1, count, down, (top, top))
  taken = (x >= last).sum(axis, keepdims=True, dtype=jnp.float32)
  exact = (taken == count) | (last == top)
  return total.squeeze(axis) / count, exact.squeeze(axis)


def _largest(x: jax.Array, axis: int) -> jax.Array:
  """Maximum along an axis, which stays."""
  # Of up to four pieces first: a CPU would compare one vector after the other.
  size = x.shape[axis]
  pieces = min(4, max(1, size // _PIECE)) if axis else 1
  piece = -(-size // pieces)
  starts = np.minimum(np.arange(pieces) * piece, size - piece)
  cut = [jax.lax.slice_in_dim(x, i, i + piece, axis=axis) for i in starts]
  return functools.reduce(jnp.maximum, cut).max(axis, keepdims=True)
