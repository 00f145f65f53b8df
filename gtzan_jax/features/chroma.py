"""Chroma: the energy of the twelve pitch classes, A fixed at 440 Hz.

Source: D. Ellis, "Chroma Feature Analysis and Synthesis" (2007), as in librosa
with tuning=0; so a frame's chroma depends on that frame only.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from gtzan_jax.features import mel

N_CHROMA = 12
_A0 = 27.5  # Hz
# Weights are a Gaussian over octaves above A0, highest at 880 Hz.
_CENTRE_OCTAVE = 5.0
_OCTAVES = 2.0  # standard deviation


@functools.lru_cache
def filterbank(sample_rate: int, n_fft: int) -> np.ndarray:
  """Weight of each bin's power in each pitch class, C to B.

  Float32 `[1 + n_fft // 2, 12]`, read-only.
  """
  hz = np.arange(1, n_fft // 2 + 2) * sample_rate / n_fft
  semitone = N_CHROMA * np.log2(hz / _A0)
  # 0 Hz has no pitch: it is placed one and a half octaves below bin 1.
  semitone = np.append(semitone[0] - 1.5 * N_CHROMA, semitone)
  width = np.maximum(np.diff(semitone), 1.0)[:, None]
  semitone, half = semitone[:-1, None], N_CHROMA / 2
  away = (semitone - np.arange(N_CHROMA) + half) % N_CHROMA - half
  bank = np.exp(-2 * (away / width) ** 2)
  bank /= np.linalg.norm(bank, axis=1, keepdims=True)
  octave = semitone / N_CHROMA
  bank *= np.exp(-0.5 * ((octave - _CENTRE_OCTAVE) / _OCTAVES) ** 2)
  bank = np.roll(bank, -3, axis=1).astype(np.float32)  # from A to C
  bank.flags.writeable = False
  return bank


def chroma(power: jax.Array, sample_rate: int) -> jax.Array:
  """librosa's `chroma_stft(tuning=0.0)`: the strongest class of a frame is 1.

  Power float32 `[*batch, frames, 1 + n_fft // 2]` to `[*batch, frames, 12]` in
  0..1; a silent frame is zeros.
  """
  bank = filterbank(sample_rate, 2 * (power.shape[-1] - 1))
  raw = mel.exact_product(power, bank)
  top = raw.max(-1, keepdims=True)
  return raw / jnp.where(top < np.finfo(np.float32).tiny, 1, top)
