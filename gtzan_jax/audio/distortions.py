"""Audio distortions that do not change the genre for a listener.

After Sturm (2014), "A simple method to determine if a music information
retrieval system is a 'horse'", and Mauch and Ewert (2013), "The audio
degradation toolbox and its application to robustness evaluation". Each function
takes

    samples: float32 `[n]` at 22,050 Hz, -1 to 1
    level: its strength, in the unit that DISTORTIONS names
    seed: of its randomness

and returns float32 `[n]` (`[m]` if stretched in time), deterministically.
Conversion to 16 bits clips at full scale.
"""

import io
import threading
from collections.abc import Callable
from typing import NamedTuple

import librosa
import numpy as np
import soundfile
from scipy import signal

from gtzan_jax.audio.mono_waveform import SAMPLE_RATE

_N_FFT = 2048  # of the phase vocoder, librosa's default
_ALONE = threading.Lock()
_ORDER = 8  # of the filters: 48 dB an octave
# kbit/s of libsndfile's compression levels 0 and 1, at 22 kHz.
_MOST, _LEAST = 160, 8
_MP3_DELAY = 1_105  # samples: LAME's 576 and the decoder's 529


def white_noise(samples: np.ndarray, level: float, seed: int) -> np.ndarray:
  """Adds Gaussian noise at a signal-to-noise ratio of `level` dB, exactly.

  The same seed gives the same noise at every level. Silence stays silence.
  """
  noise = np.random.default_rng(seed).standard_normal(len(samples))
  power = np.mean(samples.astype(np.float64) ** 2) / 10 ** (level / 10)
  noise *= np.sqrt(power / np.mean(noise**2))
  return (samples + noise).astype(np.float32)


def mp3(samples: np.ndarray, level: float, seed: int) -> np.ndarray:
  """Encodes as MP3 (LAME, by libsndfile) of `level` kbit/s and decodes.

  Mono at 22,050 Hz, as GTZAN: MPEG-2 layer III at a constant rate. It has a
  quarter of the samples of stereo at 44,100 Hz, so a rate does less harm than
  there. LAME attenuates by 0.45 dB.
  """
  file = io.BytesIO()
  soundfile.write(
    file,
    samples,
    SAMPLE_RATE,
    format="MP3",
    subtype="MPEG_LAYER_III",
    bitrate_mode="CONSTANT",
    compression_level=(_MOST - level) / (_MOST - _LEAST),
  )
  file.seek(0)
  decoded, _ = soundfile.read(file, dtype="float32")
  # Below 56 kbit/s a frame has no room for the tag that says what to cut off.
  start = _MP3_DELAY if len(decoded) > len(samples) else 0
  return decoded[start : start + len(samples)]


def low_pass(samples: np.ndarray, level: float, seed: int) -> np.ndarray:
  """Butterworth filter of order 8: -3 dB at `level` Hz, less above."""
  return _filtered(samples, level, "lowpass")


def high_pass(samples: np.ndarray, level: float, seed: int) -> np.ndarray:
  """Butterworth filter of order 8: -3 dB at `level` Hz, less below.

  At 20 Hz it removes only infrasound. That some systems then lose accuracy on
  GTZAN, whose genres differ in infrasound, was found by
  Rodriguez-Algarra, Sturm and Maruri-Aguilar (2016), "Analysing
  scattering-based music content analysis systems: where's the music?".
  """
  return _filtered(samples, level, "highpass")


def time_stretch(samples: np.ndarray, level: float, seed: int) -> np.ndarray:
  """`level` times as fast at the same pitch: librosa's phase vocoder."""
  # As librosa.effects.time_stretch, which warns in librosa 1.0.
  padded = np.pad(samples, (0, max(0, _N_FFT - len(samples))))
  spectrum = librosa.stft(padded, n_fft=_N_FFT)
  # It may read unset memory without using it; and it is compiled on the first
  # call, which two threads must not do at once.
  with _ALONE, np.errstate(invalid="ignore"):
    fast = librosa.phase_vocoder(spectrum, rate=level)
  return librosa.istft(fast, length=round(len(samples) / level))


def pitch_shift(samples: np.ndarray, level: float, seed: int) -> np.ndarray:
  """`level` semitones higher at the same tempo: stretched and resampled."""
  rate = 2 ** (-level / 12)
  stretched = time_stretch(samples, rate, seed)
  shifted = librosa.resample(
    stretched, orig_sr=SAMPLE_RATE / rate, target_sr=SAMPLE_RATE
  )
  return librosa.util.fix_length(shifted, size=len(samples))


def gain(samples: np.ndarray, level: float, seed: int) -> np.ndarray:
  """`level` dB louder, clipped at full scale."""
  return np.clip(samples * np.float32(10 ** (level / 20)), -1, 1)


class Distortion(NamedTuple):
  """A distortion and its levels.

  Attributes:
    function: see the head of this file.
    label: its name, with the unit of its levels.
    levels: tested levels, in the order of the plot.
    neutral: the level without effect, if it lies between them.
  """

  function: Callable[[np.ndarray, float, int], np.ndarray]
  label: str
  levels: tuple[float, ...]
  neutral: float | None = None


DISTORTIONS: dict[str, Distortion] = {
  "white_noise": Distortion(
    white_noise, "white noise, dB SNR", (40, 30, 20, 10, 0)
  ),
  "mp3": Distortion(mp3, "MP3, kbit/s", (128, 96, 64, 32)),
  "low_pass": Distortion(low_pass, "low-pass, Hz", (8000, 4000, 2000, 1000)),
  "high_pass": Distortion(high_pass, "high-pass, Hz", (20, 100)),
  "time_stretch": Distortion(
    time_stretch, "time stretch, times as fast", (0.8, 0.9, 1.1, 1.25), 1
  ),
  "pitch_shift": Distortion(
    pitch_shift, "pitch shift, semitones", (-4, -2, -1, 1, 2, 4), 0
  ),
  "gain": Distortion(gain, "gain, dB", (-20, -10, 10, 20), 0),
}


def _filtered(samples: np.ndarray, level: float, kind: str) -> np.ndarray:
  sections = signal.butter(_ORDER, level, kind, fs=SAMPLE_RATE, output="sos")
  return signal.sosfilt(sections, samples).astype(np.float32)
