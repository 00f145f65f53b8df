"""From a band's mix to a recording: room, noise, tone, dynamics, level.

Average spectrum and loudness would give the genre away. The long-term spectrum
is brought to a target curve and the short-term level to a target mean and
spread, each drawn independently of the genre: what remains happens in time.
"""

import numpy as np

from tfds_gtzan.synthetic.instruments import SAMPLE_RATE

# Set by measurement (docs/synthetic.md): finer curves and a larger spread
# between takes make the average spectrum say less about the genre, a larger
# spread between artists makes it say more about the artist.
_KNOTS = 20  # of the tone curves, spread evenly on the mel scale
_ARTIST_DB = 2.5
_TAKE_DB = 5.0
_TILT_DB = 5.0
_FRAME = 1024


def master(mix, artist, take) -> np.ndarray:
  """The finished track, float32 [samples], |x| < 1.

  `artist` gives room and tone; `take` noise, tone, level and spread.
  """
  room = artist.uniform(0.02, 0.2), artist.uniform(0.15, 0.5)
  hiss = take.uniform(-45, -25), take.uniform(-1.0, 0.0)
  # Music falls by some 30 dB from the bass to the top of the band.
  tone = np.linspace(0, -30, _KNOTS)
  tone += artist.normal(0, _ARTIST_DB, size=_KNOTS)
  tone += take.normal(0, _TAKE_DB, size=_KNOTS)
  tone += take.normal(0, _TILT_DB) * np.linspace(-1, 1, _KNOTS)
  sound = _tone(_room(mix, room, hiss, take), tone)
  return _level(sound, take.uniform(-30, -18), take.uniform(3.0, 5.0))


def _padded(size) -> int:
  # A multiple of 2^15 by a small number: lengths that an FFT likes.
  return -(-size // 32_768) * 32_768


def _room(mix, room, hiss, take) -> np.ndarray:
  size = _padded(mix.size + SAMPLE_RATE // 2)
  wet, seconds = room
  tail = np.arange(int(seconds * SAMPLE_RATE), dtype=np.float32)
  echo = take.standard_normal(tail.size, dtype=np.float32)
  echo *= np.exp(tail * np.float32(-6.9 / tail.size))
  echo *= np.float32(2 * wet) / np.linalg.norm(echo)
  spectrum = np.fft.rfft(mix, size) * (1 + np.fft.rfft(echo, size))
  below, slope = hiss
  noise = take.standard_normal((spectrum.size, 2), dtype=np.float32)
  noise = noise.view(np.complex64)[:, 0]
  frequency = np.arange(spectrum.size) * (SAMPLE_RATE / size)
  noise *= ((100 + frequency) ** slope).astype(np.float32)
  loud = np.linalg.norm(spectrum) / np.linalg.norm(noise)
  spectrum += noise * np.float32(loud * 10 ** (below / 20))
  return np.fft.irfft(spectrum, size)[: mix.size].astype(np.float32)


def _tone(sound, target) -> np.ndarray:
  """Brings the mean over time of the log spectrum to a curve in dB [_KNOTS].

  The log's mean, as that of log-mel frames, shows how often a band is silent.
  """
  whole = sound[: sound.size // _FRAME * _FRAME].reshape(-1, _FRAME)
  window = np.hanning(_FRAME).astype(np.float32)
  frames = np.fft.rfft(whole * window)
  power = frames.real**2 + frames.imag**2
  bins = 10 * np.log10(power + power.mean() * 1e-8).mean(axis=0)
  position = _position(_FRAME)
  near = np.maximum(0, 1 - np.abs(position - np.arange(_KNOTS)[:, None]))
  actual = near @ bins / near.sum(axis=1)
  size = _padded(sound.size)
  decibels = np.interp(_position(size), np.arange(_KNOTS), target - actual)
  spectrum = np.fft.rfft(sound, size)
  spectrum *= np.exp(decibels * (np.log(10) / 20)).astype(np.float32)
  return np.fft.irfft(spectrum, size)[: sound.size].astype(np.float32)


def _position(size) -> np.ndarray:
  """Where an FFT's bins [size // 2 + 1] lie between the tone's knots."""
  frequency = np.arange(size // 2 + 1) * (SAMPLE_RATE / size)
  mel = np.log1p(frequency / 700)
  return mel * ((_KNOTS - 1) / mel[-1])


def _level(sound, mean, spread) -> np.ndarray:
  """Gives the short-time level a mean and a standard deviation in dB."""
  frames = -(-sound.size // _FRAME)
  padded = np.zeros(frames * _FRAME, np.float32)
  padded[: sound.size] = sound
  power = np.mean(padded.reshape(frames, _FRAME) ** 2, axis=1)
  level = 10 * np.log10(power + power.mean() * 1e-5)
  centre, width = level.mean(), max(level.std(), 0.5)
  gain = mean - centre + (spread / width - 1) * (level - centre)
  centres = (np.arange(frames) + 0.5) * _FRAME
  ramp = np.interp(np.arange(sound.size), centres, gain)
  sound = sound * np.exp(ramp * (np.log(10) / 20)).astype(np.float32)
  # Above the knee, peaks bend towards full scale instead of clipping.
  knee, headroom = np.float32(0.8), np.float32(0.18)
  over = np.abs(sound) - knee
  bent = np.sign(sound) * (knee + headroom * np.tanh(over / headroom))
  return np.where(over > 0, bent, sound)
