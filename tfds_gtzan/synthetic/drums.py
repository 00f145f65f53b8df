"""Drums and cymbals: swept sines and shaped noise.

Each function takes the artist's generator and returns float32 [samples] of
about unit peak: a kit is the artist's, and every stroke on it is the same.
"""

import numpy as np

from tfds_gtzan.synthetic.instruments import SAMPLE_RATE


def _time(seconds) -> np.ndarray:
  size = int(seconds * SAMPLE_RATE)
  return np.arange(size, dtype=np.float32) / np.float32(SAMPLE_RATE)


def _unit(sound) -> np.ndarray:
  return (sound / np.abs(sound).max()).astype(np.float32)


def _noise(rng, size, low, high) -> np.ndarray:
  """Noise between two frequencies in Hz, with soft edges."""
  spectrum = np.fft.rfft(rng.standard_normal(size))
  frequency = np.fft.rfftfreq(size, 1 / SAMPLE_RATE) + 1e-3
  spectrum /= np.sqrt(1 + (low / frequency) ** 8)
  spectrum /= np.sqrt(1 + (frequency / high) ** 8)
  return np.fft.irfft(spectrum, size)


def kick(rng, length=0.25, click=0.2) -> np.ndarray:
  time = _time(length)
  end, fall = rng.uniform(42, 62), rng.uniform(0.015, 0.04)
  sweep = 2 * np.pi * (end * time - 110 * fall * np.exp(-time / fall))
  sound = np.sin(sweep) * np.exp(-time / (length / 3))
  beater = _noise(rng, time.size, 1500, 6000)
  return _unit(sound + click * beater / beater.std() * np.exp(-time / 0.004))


def snare(rng, length=0.22) -> np.ndarray:
  time = _time(length)
  tone = np.sin(2 * np.pi * rng.uniform(160, 240) * time)
  wires = _noise(rng, time.size, rng.uniform(700, 1800), 9000)
  sound = rng.uniform(0.5, 1.2) * tone * np.exp(-time / 0.05)
  return _unit(sound + wires / wires.std() * 0.6 * np.exp(-time / length * 4))


def rim(rng) -> np.ndarray:
  time = _time(0.06)
  tone = np.sin(2 * np.pi * rng.uniform(1300, 2100) * time)
  wood = np.sin(2 * np.pi * rng.uniform(420, 700) * time)
  return _unit((tone + wood) * np.exp(-time / 0.012))


def clap(rng) -> np.ndarray:
  time = _time(0.25)
  sound = _noise(rng, time.size, 800, 4000)
  envelope = np.exp(-time / 0.07) * 0.6
  for late in (0.0, 0.011, 0.023):
    envelope += (time >= late) * np.exp(-np.abs(time - late) / 0.006)
  return _unit(sound * envelope)


def hat(rng, length=0.06) -> np.ndarray:
  """A hi-hat: closed in 0.06 s, open in 0.3 s."""
  time = _time(length)
  sound = _noise(rng, time.size, rng.uniform(4500, 7000), 10_500)
  return _unit(sound * np.exp(-time / length * 4))


def ride(rng, length=0.55) -> np.ndarray:
  """A ride cymbal: a ping of metal partials and a wash behind it."""
  time = _time(length)
  partials = rng.uniform(2200, 8000, size=9)
  ping = sum(np.sin(2 * np.pi * f * time) for f in partials)
  wash = _noise(rng, time.size, 3500, 10_000)
  sound = ping / 3 * np.exp(-time / 0.06)
  return _unit(sound + 0.5 * wash / wash.std() * np.exp(-time / length * 3))


def crash(rng) -> np.ndarray:
  time = _time(1.4)
  sound = _noise(rng, time.size, rng.uniform(1500, 3500), 10_000)
  return _unit(sound * np.exp(-time / 0.4))


def brush(rng, length=0.16) -> np.ndarray:
  """A brush across the skin: noise that swells and dies."""
  time = _time(length)
  sound = _noise(rng, time.size, 1500, 8000)
  return _unit(sound * np.sin(np.pi * time / length) ** 2)
