"""Waveforms to WAV files, and log-mels to waveforms by Griffin-Lim.

A log-mel lacks the phases and the bins within each band, so the result is a
rough approximation.
"""

import io

import librosa
import numpy as np
import soundfile

from gtzan_jax import errors
from gtzan_jax.audio import mono_waveform
from gtzan_jax.features import FeatureSpec, logmel_archive, mel

_ITERATIONS = 32  # twice as many gain 0.05 dB
_ROUNDS = 30
_TINY = 1e-12
_LOUDEST = 100.0  # dB; full scale has about 40


def wav(samples: np.ndarray, sample_rate: int) -> bytes:
  """The bytes of a 16 bit WAV file; samples int16 `[n]`, rate in Hz."""
  file = io.BytesIO()
  soundfile.write(file, samples, sample_rate, format="WAV", subtype="PCM_16")
  return file.getvalue()


def from_logmel(
  db: np.ndarray, spec: FeatureSpec, columns_per_frame: float | None = None
) -> np.ndarray:
  """A waveform, int16 `[n]` (Griffin and Lim 1984; fast: Perraudin 2013).

  Deterministic: phases start at 0. Scaled down where it exceeds full scale.

  Args:
    db: float32 `[frames, bands]`, dB of power, reference 1.0.
    spec: the feature set of `db`.
    columns_per_frame: of the archive that `db` has the columns of; None for
      every frame of the spec.

  Raises:
    InputError: a value that is not finite.
  """
  db = np.asarray(db, np.float32)
  if wrong := int(np.sum(~np.isfinite(db))):
    raise errors.InputError(
      f"log-mel: {wrong} of {db.size} values are not finite; finite dB are"
      " accepted"
    )
  n_fft, hop = spec.n_fft, spec.hop_length
  if columns_per_frame is not None:
    n_fft, hop = logmel_archive.N_FFT, logmel_archive.HOP
    columns = logmel_archive.segment_columns(spec, columns_per_frame)
    db = every_frame(db, round(columns / columns_per_frame))
  power = 10 ** (np.clip(db, -_LOUDEST, _LOUDEST) / 10)
  bank = mel.filterbank(spec.sample_rate, n_fft, db.shape[1])
  samples = librosa.griffinlim(
    np.sqrt(_bins(power, bank)).T,
    n_iter=_ITERATIONS,
    n_fft=n_fft,
    hop_length=hop,
    center=spec.center,
    init=None,
  )
  return mono_waveform.to_int16(samples / max(1.0, np.abs(samples).max()))


def _bins(power: np.ndarray, bank: np.ndarray) -> np.ndarray:
  """Power of bins `[frames, bins]` from mel bands `[frames, bands]`, above 0.

  By the multiplicative rule of Lee and Seung (2001) for the Kullback-Leibler
  divergence: never below 0, and quiet bands fit as well as loud ones.
  """
  bins = np.full((len(power), len(bank)), power.mean(), np.float32)
  weight = np.maximum(bank.sum(axis=1), _TINY)  # two bins are in no band
  for _ in range(_ROUNDS):
    ratio = power / np.maximum(bins @ bank, _TINY)
    bins *= ratio @ bank.T / weight
  return bins


def every_frame(db: np.ndarray, frames: int) -> np.ndarray:
  """Even columns `[columns, bands]` interpolated to `[frames, bands]`."""
  columns = np.arange(len(db))
  at = (np.arange(frames) + 0.5) * len(db) / frames - 0.5
  return np.stack([np.interp(at, columns, band) for band in db.T], axis=1)
