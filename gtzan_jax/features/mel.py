"""Slaney's mel filterbank and the decibel scale, as librosa computes them.

Source: M. Slaney, Auditory Toolbox, Interval Research TR 1998-010: the scale
is linear below 1 kHz (200/3 Hz a mel) and logarithmic above (27 mels for a
factor of 6.4); each triangle has unit area.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt

AMIN = 1e-10  # power below which 10 log10 is cut off: -100 dB
_HZ_PER_MEL = 200 / 3
_BREAK_HZ = 1000.0
_BREAK_MEL = _BREAK_HZ / _HZ_PER_MEL
_LOG_STEP = np.log(6.4) / 27
_GROUP = 16


# Accelerators would round the factors to 8 or 10 bits otherwise.
exact_product = functools.partial(
  jnp.matmul, precision=jax.lax.Precision.HIGHEST
)


def hz_to_mel(hz: npt.ArrayLike) -> np.ndarray:
  """Slaney's mel of a frequency in Hz, any shape."""
  hz = np.asarray(hz, np.float64)
  log_part = _BREAK_MEL + np.log(np.maximum(hz, 1e-9) / _BREAK_HZ) / _LOG_STEP
  return np.where(hz < _BREAK_HZ, hz / _HZ_PER_MEL, log_part)


def mel_to_hz(mel: npt.ArrayLike) -> np.ndarray:
  """Inverse of `hz_to_mel`."""
  mel = np.asarray(mel, np.float64)
  log_part = _BREAK_HZ * np.exp(_LOG_STEP * (mel - _BREAK_MEL))
  return np.where(mel < _BREAK_MEL, mel * _HZ_PER_MEL, log_part)


@functools.lru_cache
def filterbank(sample_rate: int, n_fft: int, n_mels: int) -> np.ndarray:
  """Triangles from 0 Hz to `sample_rate / 2`, each of unit area in Hz.

  Float32 `[1 + n_fft // 2, n_mels]`, read-only.
  """
  bins = np.linspace(0, sample_rate / 2, 1 + n_fft // 2)[:, None]
  edges = mel_to_hz(np.linspace(0, hz_to_mel(sample_rate / 2), n_mels + 2))
  low, centre, high = edges[:-2], edges[1:-1], edges[2:]
  rising = (bins - low) / (centre - low)
  falling = (high - bins) / (high - centre)
  bank = np.maximum(0, np.minimum(rising, falling)) * 2 / (high - low)
  bank = bank.astype(np.float32)
  bank.flags.writeable = False
  return bank


def mel(power: jax.Array, sample_rate: int, n_mels: int) -> jax.Array:
  """Power `[*batch, frames, 1 + n_fft // 2]` to `[*batch, frames, n_mels]`."""
  bank = filterbank(sample_rate, 2 * (power.shape[-1] - 1), n_mels)
  bands = []
  # Most of the bank is zeros: 16 bands at a time, over their bins only, cost a
  # seventh of the whole product and give the same sums.
  for start in range(0, n_mels, _GROUP):
    group = bank[:, start : start + _GROUP]
    touched = np.flatnonzero(group.any(axis=1))
    bins = slice(touched[0], touched[-1] + 1)
    bands.append(exact_product(power[..., bins], group[bins]))
  return jnp.concatenate(bands, axis=-1)


def power_to_db(power: jax.Array) -> jax.Array:
  """`10 log10(max(power, 1e-10))`: absolute dB, reference 1.0, any shape."""
  return 10.0 * jnp.log10(jnp.maximum(power, AMIN))


def floor_db(
  db: jax.Array, top_db: float, valid: jax.Array | None = None
) -> jax.Array:
  """Clips `[*batch, frames, bins]` to `top_db` below each example's maximum.

  That of the `valid` frames, bool `[frames, 1]`; None: all. As librosa 1.0;
  librosa 0.11 takes the maximum of the whole batch.
  """
  counted = db if valid is None else jnp.where(valid, db, -jnp.inf)
  return jnp.maximum(db, counted.max((-2, -1), keepdims=True) - top_db)
