"""Features of the waveform itself: root mean square and zero crossings."""

import math

import jax
import jax.numpy as jnp
import numpy as np

from gtzan_jax.features import stft

_ZERO = 1e-10  # closer to 0 counts as 0, and 0 as positive


def rms(
  audio: jax.Array, n_fft: int, hop_length: int, center: bool = True
) -> jax.Array:
  """Root mean square of each frame's samples, no window applied.

  librosa's `rms(y=audio)`: from the samples, not from the spectrum.

  Args:
    audio: float32 `[*batch, samples]`.

  Returns:
    float32 `[*batch, frames, 1]`, frames as `stft.frame` cuts them.
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
  """Share of a frame's samples whose sign differs from the one before.

  Edges repeat the first and last sample and have no crossings; neither has a
  frame's first sample.

  Args:
    audio: float32 `[*batch, samples]`.
    samples: int32 `[]`, where the clip ends and padding begins; None: nowhere.

  Returns:
    float32 `[*batch, frames, 1]`.
  """
  negative = audio < -_ZERO
  crosses = negative[..., 1:] != negative[..., :-1]
  if samples is not None:
    edge = jnp.arange(1, audio.shape[-1]) < samples
    crosses &= edge.reshape((1,) * (audio.ndim - 1) + edge.shape)
  before = [(0, 0)] * (audio.ndim - 1) + [(1, 0)]
  crosses = jnp.pad(crosses, before)
  total, first = _in_frames(crosses, n_fft, hop_length, center)
  return ((total - first) / n_fft)[..., None]


def _in_frames(
  values: jax.Array, n_fft: int, hop_length: int, center: bool
) -> tuple[jax.Array, jax.Array]:
  """Sum over each frame and its first value, `[*batch, frames]` both.

  Frames start and end on multiples of the greatest common divisor of window
  and hop: stretches of that length are summed once, for all frames they are in.
  """
  count = stft.frames(values.shape[-1], n_fft, hop_length, center)
  if center:
    edge = [(0, 0)] * (values.ndim - 1) + [(n_fft // 2, n_fft // 2)]
    values = jnp.pad(values, edge)
  stretch = math.gcd(n_fft, hop_length)
  used = values[..., : (count - 1) * hop_length + n_fft]
  sums = used.reshape(*used.shape[:-1], -1, stretch).sum(-1, dtype=jnp.float32)
  start = np.arange(count) * hop_length
  inside = np.arange(n_fft // stretch)
  total = sums[..., start[:, None] // stretch + inside[None, :]].sum(-1)
  return total, values[..., start]
