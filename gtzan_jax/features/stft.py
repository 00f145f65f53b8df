"""Frames and the power spectrogram, as librosa computes them."""

import jax
import jax.numpy as jnp
import numpy as np

from gtzan_jax.errors import InputError


def hann(n_fft: int) -> np.ndarray:
  """Periodic Hann window, float32 `[n_fft]` (scipy's `fftbins=True`)."""
  angle = 2 * np.pi * np.arange(n_fft) / n_fft
  return (0.5 - 0.5 * np.cos(angle)).astype(np.float32)


def frames(samples, n_fft: int, hop_length: int, center: bool):
  """Number of frames of a waveform of `samples` (an integer, also traced)."""
  edges = 2 * (n_fft // 2) if center else 0
  return 1 + (samples + edges - n_fft) // hop_length


def pad_last(x: jax.Array, before: int, after: int) -> jax.Array:
  """Zeros at the ends of the last axis."""
  return jnp.pad(x, [(0, 0)] * (x.ndim - 1) + [(before, after)])


def frame(
  audio: jax.Array, n_fft: int, hop_length: int, center: bool = True
) -> jax.Array:
  """Overlapping windows: `[*batch, samples]` to `[*batch, frames, n_fft]`.

  `center` pads both edges with `n_fft // 2` zeros, so that frame t is centred
  on sample `t * hop_length`; otherwise it starts there. InputError for fewer
  samples than one window.
  """
  count = frames(audio.shape[-1], n_fft, hop_length, center)
  if count < 1:
    raise InputError(
      f"{audio.shape[-1]} samples are fewer than one window of {n_fft}"
    )
  if center:
    audio = pad_last(audio, n_fft // 2, n_fft // 2)
  first = np.arange(count)[:, None] * hop_length
  return audio[..., first + np.arange(n_fft)[None, :]]


def power(windows: jax.Array) -> jax.Array:
  """Squared magnitude of the short-time Fourier transform, Hann window.

  Float32 `[*batch, frames, n_fft]` to `[*batch, frames, 1 + n_fft // 2]`.
  """
  # Rank promotion is off in the tests.
  window = jnp.broadcast_to(hann(windows.shape[-1]), windows.shape)
  spectrum = jnp.fft.rfft(windows * window)
  return spectrum.real**2 + spectrum.imag**2
