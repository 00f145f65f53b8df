"""Chroma: the energy of the twelve pitch classes, and a clip's tuning.

Source: D. Ellis, "Chroma Feature Analysis and Synthesis" (2007), as in librosa.
A is 440 Hz unless a tuning is given, so a frame's chroma depends on that frame
only.
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
# Pitches that count for the tuning.
_LOWEST_HZ, _HIGHEST_HZ = 150.0, 4000.0
_PEAK = 0.1  # of the largest power of the frame


@functools.lru_cache
def filterbank(sample_rate: int, n_fft: int, tuning: float = 0.0) -> np.ndarray:
  """Weight of each bin's power in each pitch class, C to B.

  Float32 `[1 + n_fft // 2, 12]`, read-only; `tuning` in semitones above 440 Hz.
  """
  hz = np.arange(1, n_fft // 2 + 2) * sample_rate / n_fft
  semitone = N_CHROMA * np.log2(hz / _A0) - tuning
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


def chroma(power: jax.Array, bank: jax.Array | np.ndarray) -> jax.Array:
  """librosa's `chroma_stft`: the strongest class of a frame is 1.

  Power float32 `[*batch, frames, 1 + n_fft // 2]` and a `filterbank` to
  `[*batch, frames, 12]` in 0..1; a silent frame is zeros.
  """
  raw = mel.exact_product(power, bank)
  top = raw.max(-1, keepdims=True)
  return raw / jnp.where(top < np.finfo(np.float32).tiny, 1, top)


def peaks(power: jax.Array, sample_rate: int) -> tuple[jax.Array, jax.Array]:
  """Local maxima of the spectrum above a tenth of its largest, 150 to 4000 Hz.

  As librosa's `piptrack`: a parabola through a maximum and its neighbours gives
  frequency and height.

  Args:
    power: float32 `[frames, 1 + n_fft // 2]`.
    sample_rate: Hz.

  Returns:
    Two float32 `[frames, bins]`: Hz, 0 where there is no maximum, and height.
  """
  hz = np.arange(power.shape[-1]) * sample_rate / 2 / (power.shape[-1] - 1)
  low, high = np.searchsorted(hz, (_LOWEST_HZ, _HIGHEST_HZ))
  least = _PEAK * power.max(-1, keepdims=True)
  left, here, right = (
    power[:, low + shift : high + shift] for shift in (-1, 0, 1)
  )
  # Neighbours below the threshold count as 0.
  is_peak = (here > least) & ((here > left) | (left <= least))
  is_peak &= (here >= right) | (right <= least)
  slope, curve = (right - left) / 2, left + right - 2 * here
  inside = jnp.abs(slope) < jnp.abs(curve)
  shift = jnp.where(inside, -slope / jnp.where(inside, curve, 1), 0)
  bins = np.arange(low, high, dtype=np.float32)[None]
  pitch = (bins + shift) * np.float32(hz[1])
  return jnp.where(is_peak, pitch, 0), here + slope * shift / 2


def tuning(pitch: np.ndarray, height: np.ndarray) -> float:
  """librosa's `estimate_tuning` from `peaks`: semitones in -0.5..0.5.

  The most frequent hundredth of a semitone among the higher half of the peaks;
  0 without peaks.
  """
  found = pitch > 0
  if not found.any():
    return 0.0
  pitch, height = pitch[found], height[found]
  pitch = pitch[height >= np.median(height)]
  semitone = N_CHROMA * np.log2(pitch / np.float32(_A0)) % 1
  semitone[semitone >= 0.5] -= 1
  counts, edges = np.histogram(semitone, np.linspace(-0.5, 0.5, 101))
  return float(edges[np.argmax(counts)])
