"""One value a frame: centroid, bandwidth, roll-off; RMS and zero crossings.

As librosa defines them. The first three are of magnitudes, not powers.
"""

import math

import jax
import jax.numpy as jnp
import numpy as np

from gtzan_jax.features import mel, stft

ROLL = 0.85
_GROUP = 32
_ZERO = 1e-10  # values no further from 0 count as 0, and 0 as positive


def centroid(magnitude: jax.Array, sample_rate: int) -> jax.Array:
  """Mean frequency, weighted with the magnitude.

  Float32 `[*batch, frames, 1 + n_fft // 2]` to `[*batch, frames, 1]` in Hz; 0
  where the frame is silent.
  """
  hz = _hz(magnitude, sample_rate)[:, None]
  # As a product XLA needs no array of frequencies as large as the magnitudes.
  return mel.exact_product(magnitude, hz) / _total(magnitude)


def bandwidth(magnitude: jax.Array, sample_rate: int) -> jax.Array:
  """Standard deviation of the frequency about the centroid; as `centroid`."""
  hz = jnp.broadcast_to(_hz(magnitude, sample_rate), magnitude.shape)
  away = hz - centroid(magnitude, sample_rate)
  weighted = (magnitude * away**2).sum(-1, keepdims=True)
  return jnp.sqrt(weighted / _total(magnitude))


def rolloff(magnitude: jax.Array, sample_rate: int) -> jax.Array:
  """First bin's Hz that 85 % of the magnitude is at or below; as `centroid`."""
  # First the group of bins, then the bin in it: one cumulative sum over all
  # bins takes as long as their Fourier transform.
  bins = magnitude.shape[-1]
  of_bin = np.arange(bins)[:, None] // _GROUP
  member = of_bin == np.arange(of_bin[-1, 0] + 1)
  sums = mel.exact_product(magnitude, member.astype(np.float32))
  below = jnp.cumsum(sums, -1)
  threshold = ROLL * below[..., -1:]
  group = (below < threshold).sum(-1, keepdims=True)
  before = jnp.take_along_axis(below - sums, group, -1)
  inner = jnp.broadcast_to(np.arange(_GROUP), (*group.shape[:-1], _GROUP))
  index = _GROUP * group + inner
  inside = jnp.take_along_axis(magnitude, jnp.minimum(index, bins - 1), -1)
  inside = before + jnp.cumsum(inside, -1)
  first = _GROUP * group + (inside < threshold).sum(-1, keepdims=True)
  first = jnp.minimum(first, bins - 1)
  return first.astype(magnitude.dtype) * _bin_width(magnitude, sample_rate)


def rms(
  audio: jax.Array, n_fft: int, hop_length: int, center: bool = True
) -> jax.Array:
  """Root mean square of each frame's samples: librosa's `rms(y=audio)`.

  Float32 `[*batch, samples]` to `[*batch, frames, 1]`, frames as `stft.frame`.
  """
  total, _ = _in_frames(audio**2, n_fft, hop_length, center)
  return jnp.sqrt(total / n_fft)[..., None]


def zero_crossing_rate(
  audio: jax.Array,
  n_fft: int,
  hop_length: int,
  center: bool = True,
  samples: jax.Array | None = None,
) -> jax.Array:
  """Share of a frame's samples whose sign differs from the sample before.

  Float32 `[*batch, samples]`, of which padding starts at `samples` (int32 `[]`;
  None: no padding), to `[*batch, frames, 1]`. The edges repeat the first and
  last sample, so nothing crosses there; a frame's first sample is not compared.
  """
  negative = audio < -_ZERO
  crosses = negative[..., 1:] != negative[..., :-1]
  if samples is not None:
    inside = jnp.arange(1, audio.shape[-1]) < samples
    crosses &= jnp.broadcast_to(inside, crosses.shape)
  crosses = stft.pad_last(crosses, 1, 0)
  total, first = _in_frames(crosses, n_fft, hop_length, center)
  return ((total - first) / n_fft)[..., None]


def _bin_width(magnitude: jax.Array, sample_rate: int) -> float:
  return sample_rate / 2 / (magnitude.shape[-1] - 1)


def _hz(magnitude: jax.Array, sample_rate: int) -> np.ndarray:
  """Frequency of each bin, float32 `[bins]`."""
  hz = np.arange(magnitude.shape[-1]) * _bin_width(magnitude, sample_rate)
  return hz.astype(np.float32)


def _total(magnitude: jax.Array) -> jax.Array:
  total = magnitude.sum(-1, keepdims=True)
  return jnp.where(total < np.finfo(np.float32).tiny, 1, total)


def _in_frames(
  values: jax.Array, n_fft: int, hop_length: int, center: bool
) -> tuple[jax.Array, jax.Array]:
  """Sum over each frame and its first value, `[*batch, frames]` both.

  Frames start and end on multiples of the greatest common divisor of window
  and hop: each piece of that length is summed once.
  """
  count = stft.frames(values.shape[-1], n_fft, hop_length, center)
  if center:
    values = stft.pad_last(values, n_fft // 2, n_fft // 2)
  piece = math.gcd(n_fft, hop_length)
  used = values[..., : (count - 1) * hop_length + n_fft]
  pieces = used.reshape(*used.shape[:-1], used.shape[-1] // piece, piece)
  sums = pieces.sum(-1, dtype=jnp.float32)
  start = np.arange(count) * hop_length
  inside = np.arange(n_fft // piece)
  total = sums[..., start[:, None] // piece + inside[None, :]].sum(-1)
  return total, values[..., start]
