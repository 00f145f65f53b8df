"""Power spectrogram, framed as librosa frames it (`center=True`)."""

import jax
import jax.numpy as jnp
import numpy as np


def hann(n_fft: int) -> np.ndarray:
  """Periodic Hann window, float32 `[n_fft]` (scipy's `fftbins=True`)."""
  angle = 2 * np.pi * np.arange(n_fft) / n_fft
  return (0.5 - 0.5 * np.cos(angle)).astype(np.float32)


def frame(audio: jax.Array, n_fft: int, hop_length: int) -> jax.Array:
  """Overlapping windows, both edges padded with `n_fft // 2` zeros.

  Args:
    audio: `[*batch, samples]`.

  Returns:
    `[*batch, 1 + samples // hop_length, n_fft]`; frame t is centred on sample
    `t * hop_length`.
  """
  edge = [(0, 0)] * (audio.ndim - 1) + [(n_fft // 2, n_fft // 2)]
  frames = 1 + audio.shape[-1] // hop_length
  first = np.arange(frames)[:, None] * hop_length
  return jnp.pad(audio, edge)[..., first + np.arange(n_fft)[None, :]]


def power(audio: jax.Array, n_fft: int, hop_length: int) -> jax.Array:
  """Squared magnitude of the short-time Fourier transform.

  Args:
    audio: float32 `[*batch, samples]`.

  Returns:
    float32 `[*batch, frames, 1 + n_fft // 2]`.
  """
  windows = frame(audio, n_fft, hop_length)
  # Rank promotion is off in the tests: the window gets its axes by hand.
  window = hann(n_fft).reshape((1,) * (windows.ndim - 1) + (n_fft,))
  spectrum = jnp.fft.rfft(windows * window)
  return spectrum.real**2 + spectrum.imag**2
