"""Spectral moments: centroid, bandwidth and roll-off, in Hz.

Computed from magnitudes, not powers, as in librosa.
"""

import jax
import jax.numpy as jnp
import numpy as np

ROLL = 0.85
_GROUP = 32


def centroid(magnitude: jax.Array, sample_rate: int) -> jax.Array:
  """Mean frequency, weighted with the magnitude.

  Args:
    magnitude: float32 `[*batch, frames, 1 + n_fft // 2]`.

  Returns:
    float32 `[*batch, frames, 1]`; 0 Hz where the frame is silent.
  """
  hz = _hz(magnitude, sample_rate).reshape(-1, 1)
  # As a product XLA needs no array of frequencies as large as the magnitudes.
  weighted = jnp.matmul(magnitude, hz, precision=jax.lax.Precision.HIGHEST)
  return weighted / _total(magnitude)


def bandwidth(magnitude: jax.Array, sample_rate: int) -> jax.Array:
  """Standard deviation of the frequency about the centroid.

  Args and returns as `centroid`.
  """
  away = _hz(magnitude, sample_rate) - centroid(magnitude, sample_rate)
  weighted = (magnitude * away**2).sum(-1, keepdims=True)
  return jnp.sqrt(weighted / _total(magnitude))


def rolloff(magnitude: jax.Array, sample_rate: int) -> jax.Array:
  """Frequency of the first bin that 85 % of the magnitude lies at or below.

  Args and returns as `centroid`.
  """
  # Two levels, groups of bins and the bins of the group that holds the answer:
  # one cumulative sum over all bins takes as long as their Fourier transform.
  bins = magnitude.shape[-1]
  of_bin = np.arange(bins)[:, None] // _GROUP
  member = of_bin == np.arange(of_bin[-1, 0] + 1)
  sums = jnp.matmul(
    magnitude,
    member.astype(np.float32),
    precision=jax.lax.Precision.HIGHEST,
  )
  below = jnp.cumsum(sums, -1)
  threshold = ROLL * below[..., -1:]
  group = (below < threshold).sum(-1, keepdims=True)
  before = jnp.take_along_axis(below - sums, group, -1)
  inner = np.arange(_GROUP).reshape((1,) * (group.ndim - 1) + (_GROUP,))
  index = _GROUP * group + inner
  inside = jnp.take_along_axis(magnitude, jnp.minimum(index, bins - 1), -1)
  inside = before + jnp.cumsum(inside, -1)
  first = _GROUP * group + (inside < threshold).sum(-1, keepdims=True)
  first = jnp.minimum(first, bins - 1)
  return first.astype(magnitude.dtype) * _bin_width(magnitude, sample_rate)


def _bin_width(magnitude: jax.Array, sample_rate: int) -> float:
  return sample_rate / 2 / (magnitude.shape[-1] - 1)


def _hz(magnitude: jax.Array, sample_rate: int) -> np.ndarray:
  """Frequency of each bin, with the axes of `magnitude`."""
  hz = np.arange(magnitude.shape[-1]) * _bin_width(magnitude, sample_rate)
  hz = hz.astype(np.float32)
  return hz.reshape((1,) * (magnitude.ndim - 1) + hz.shape)


def _total(magnitude: jax.Array) -> jax.Array:
  total = magnitude.sum(-1, keepdims=True)
  return jnp.where(total < np.finfo(np.float32).tiny, 1, total)
