"""The 57 columns of Kaggle's features_30_sec.csv, computed by librosa.

Mean and variance over a clip of 28 features, and its tempo (the ResNet project,
phase 1).
"""

import functools
import threading

import numpy as np

_NAMES = (
  *("chroma_stft", "rms", "spectral_centroid", "spectral_bandwidth", "rolloff"),
  *("zero_crossing_rate", "harmony", "perceptr"),
  *(f"mfcc{i}" for i in range(1, 21)),
)
_BOTH = [f"{name}_{what}" for name in _NAMES for what in ("mean", "var")]
_BEFORE_TEMPO = 16
COLUMNS = (*_BOTH[:_BEFORE_TEMPO], "tempo", *_BOTH[_BEFORE_TEMPO:])
N_FFT = 2048  # librosa's default, with hop 512
_COMPILING = threading.Lock()


def from_audio(samples: np.ndarray, sample_rate: int) -> np.ndarray:
  """The row of a clip, float32 `[n]`: float32 `[57]`, as `COLUMNS`.

  May be called from any thread.
  """
  with _COMPILING:
    _compile(sample_rate)
  return _row(samples, sample_rate)


@functools.cache
def _compile(sample_rate: int) -> None:
  """Compiles librosa's numba functions, which two threads must not do."""
  noise = np.random.default_rng(0).uniform(-0.5, 0.5, 3 * sample_rate)
  _row(noise.astype(np.float32), sample_rate)


def _row(samples: np.ndarray, sample_rate: int) -> np.ndarray:
  import librosa  # takes seconds to import

  # Reflection needs a window's length.
  samples = np.pad(samples, (0, max(0, N_FFT - len(samples))))
  # "reflect" was librosa's default when the table was made.
  spectrum = librosa.stft(samples, pad_mode="reflect")
  magnitude = np.abs(spectrum)
  power = magnitude**2
  feature = librosa.feature
  # Zeros beyond the last frame's centre, as its istft leaves them.
  harmonic, percussive = (
    librosa.util.fix_length(librosa.istft(part), size=len(samples))
    for part in librosa.decompose.hpss(spectrum)
  )
  tuning = _tuning(power, sample_rate)
  # As in librosa.beat.beat_track, which also places the beats.
  onsets = librosa.onset.onset_strength(
    y=samples, sr=sample_rate, aggregate=np.median
  )
  tempo = feature.tempo(onset_envelope=onsets, sr=sample_rate)[0]
  mel = feature.melspectrogram(S=power, sr=sample_rate)
  rows = (
    feature.chroma_stft(S=power, sr=sample_rate, tuning=tuning),
    feature.rms(y=samples, pad_mode="reflect"),
    feature.spectral_centroid(S=magnitude, sr=sample_rate),
    feature.spectral_bandwidth(S=magnitude, sr=sample_rate),
    feature.spectral_rolloff(S=magnitude, sr=sample_rate),
    feature.zero_crossing_rate(samples),
    harmonic,
    percussive,
    *feature.mfcc(S=librosa.power_to_db(mel), n_mfcc=20),
  )
  values = [value for row in rows for value in (row.mean(), row.var())]
  values.insert(_BEFORE_TEMPO, tempo if onsets.any() else 0.0)
  return np.asarray(values, np.float32)


def _tuning(power: np.ndarray, sample_rate: int) -> float:
  """librosa.estimate_tuning without its warning where there is no pitch."""
  import librosa

  pitch, strength = librosa.piptrack(S=power, sr=sample_rate)
  voiced = pitch > 0
  if not voiced.any():
    return 0.0
  strong = voiced & (strength >= np.median(strength[voiced]))
  return librosa.pitch_tuning(pitch[strong], bins_per_octave=12)
