"""From numbers back to sound: waveforms as files, log-mels as waveforms.

A log-mel lacks the phases, and the bins within each of its bands: what is made
of it is an approximation, rough even of real music.
"""

import io

import librosa
import numpy as np
import soundfile

from gtzan_jax import errors
from gtzan_jax.audio import files as audio
from gtzan_jax.features import FeatureSpec, logmel_archive, mel

_ITERATIONS = 32  # twice as many bring 0.05 dB
_ROUNDS = 30
_TINY = 1e-12
_LOUDEST = 100.0  # dB; full scale has about 40


def wav(samples: np.ndarray, sample_rate: int) -> bytes:
  """A WAV file of 16 bits.

  Args:
    samples: int16 `[n]`.
    sample_rate: in Hz.
  """
  file = io.BytesIO()
  soundfile.write(file, samples, sample_rate, format="WAV", subtype="PCM_16")
  return file.getvalue()


def from_logmel(
  db: np.ndarray, spec: FeatureSpec, columns_per_frame: float | None = None
) -> np.ndarray:
  """The sound of a log-mel (Griffin and Lim 1984; fast: Perraudin 2013).

  Phases begin at 0, so the same log-mel gives the same sound. What would be
  louder than full scale is turned down as a whole.

  Args:
    db: float32 `[frames, bands]`, dB of power, reference 1.0.
    spec: what it was computed by.
    columns_per_frame: of the archive that it is like, whose windows stand in
      place of the spec's; None where it is like what is computed from audio.

  Returns:
    int16 `[n]`.

  Raises:
    InputError: a value that is not finite.
  """
  db = np.asarray(db, np.float32)
  wrong = db.size - int(np.isfinite(db).sum())
  if wrong:
    raise errors.InputError(
      f"log-mel: {wrong} of {db.size} values are not finite; only finite dB"
      " can be turned into sound"
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
  return audio.to_int16(samples / max(1.0, np.abs(samples).max()))


def _bins(power: np.ndarray, bank: np.ndarray) -> np.ndarray:
  """Power of each bin of which mel bands have that power.

  By the multiplicative rule of Lee and Seung (2001) for the Kullback-Leibler
  divergence: never below 0, and quiet bands come out as right as loud ones,
  which least squares passes over (and takes far longer, if it is to be >= 0).

  Args:
    power: `[frames, bands]`, above 0.
    bank: `[bins, bands]`.

  Returns:
    `[frames, bins]`.
  """
  found = np.full((len(power), len(bank)), power.mean(), np.float32)
  weight = np.maximum(bank.sum(axis=1), _TINY)  # two bins are in no band
  for _ in range(_ROUNDS):
    ratio = power / np.maximum(found @ bank, _TINY)
    found *= ratio @ bank.T / weight
  return found


def every_frame(db: np.ndarray, frames: int) -> np.ndarray:
  """Columns that lie evenly in so many frames -> each of these, linearly.

  Args:
    db: `[columns, bands]`, each column in the middle of its stretch.

  Returns:
    `[frames, bands]`.
  """
  columns = np.arange(len(db))
  at = (np.arange(frames) + 0.5) * len(db) / frames - 0.5
  return np.stack([np.interp(at, columns, band) for band in db.T], axis=1)
