"""Pitched instruments: one period of a sound, read at the note's frequency.

A note is two wavetables added: what stays and what dies away first, as high
harmonics do. Reading a table costs the same for any number of harmonics.
"""

import dataclasses

import numpy as np

SAMPLE_RATE = 22_050
_TABLE = 2048
_TOP = 10_000.0  # Hz; harmonics above are left out, so that none fold back


@dataclasses.dataclass(frozen=True, eq=False)
class Voice:
  """An instrument.

  harmonics: amplitudes of the harmonics 1, 2, 3, ...
  formants: (centre Hz, width Hz, gain), independent of the pitch.
  attack, release: seconds. decay: seconds to 1/e, None for a held sound.
  damping: how much faster high harmonics fade (0: they all fade together).
  vibrato: depth in semitones. drive: above 0, tanh(drive x) of the sound x.
  power: a note is a power chord: root, fifth and octave driven as one.
  """

  harmonics: np.ndarray
  formants: tuple[tuple[float, float, float], ...] = ()
  attack: float = 0.005
  release: float = 0.03
  decay: float | None = None
  damping: float = 0.0
  vibrato: float = 0.0
  drive: float = 0.0
  power: bool = False


def note(
  voice: Voice, pitch: float, seconds: float, bend: float = 0.0
) -> np.ndarray:
  """One note, float32 [samples], of about unit amplitude.

  pitch: MIDI number (69 is 440 Hz). seconds: until the release begins.
  bend: semitones from which the pitch slides in 0.12 s.
  """
  size = int((seconds + voice.release) * SAMPLE_RATE)
  time = np.arange(size, dtype=np.float32) / np.float32(SAMPLE_RATE)
  frequency = 440.0 * 2.0 ** ((pitch - 69) / 12)
  if voice.power:  # root and fifth share a period of two of the root's
    frequency /= 2
  read = _phase(voice, frequency, time, bend)
  stays, fades = _tables(voice, frequency)
  sound = stays[read]
  if voice.damping:
    sound += fades[read] * np.exp(time * np.float32(-1 / 0.07))
  return sound * _envelope(voice, seconds, time)


def _phase(voice, frequency, time, bend) -> np.ndarray:
  """Table positions [samples] of a note that may slide and tremble."""
  if not bend and not voice.vibrato:
    turns = np.arange(time.size) * (frequency * _TABLE / SAMPLE_RATE)
  else:
    onset = np.clip((time - 0.15) / 0.2, 0, 1)
    semitones = voice.vibrato * onset * np.sin(2 * np.pi * 5.5 * time)
    semitones -= bend * np.exp(-time / 0.06)
    step = np.exp2(semitones / 12).astype(np.float64)
    turns = np.cumsum(step) * (frequency * _TABLE / SAMPLE_RATE)
  return turns.astype(np.int64) & (_TABLE - 1)


def _tables(voice, frequency) -> tuple[np.ndarray, np.ndarray]:
  """(what stays, what fades first), each float32 [_TABLE]."""
  count = max(1, min(len(voice.harmonics), int(_TOP / frequency)))
  order = np.arange(1, count + 1)
  amplitude = np.array(voice.harmonics[:count])
  if voice.power:
    amplitude = np.zeros(count)
    amplitude[[k - 1 for k in (2, 3, 4, 6) if k <= count]] = 1.0
  if voice.drive:
    wave = _wave(amplitude)
    wave = np.tanh(voice.drive * wave / np.abs(wave).max())
    spectrum = np.fft.rfft(wave)[1 : count + 1] / (_TABLE / 2)
    amplitude = np.abs(spectrum) * np.interp(
      order * frequency, (0, 120, 3000, 5500, _TOP), (0.3, 1, 1, 0.2, 0.03)
    )
  for centre, width, gain in voice.formants:
    amplitude = amplitude * (
      1 + gain / (1 + ((order * frequency - centre) / width) ** 2)
    )
  amplitude = amplitude / np.sqrt(np.sum(amplitude**2))
  lasting = np.exp(-voice.damping * (order - 1))
  return (
    _wave(amplitude * lasting).astype(np.float32),
    _wave(amplitude * (1 - lasting)).astype(np.float32),
  )


def _wave(amplitude) -> np.ndarray:
  # Schroeder's phases keep the peak of many harmonics low.
  order = np.arange(1, len(amplitude) + 1)
  spectrum = np.zeros(_TABLE // 2 + 1, complex)
  spectrum[1 : len(amplitude) + 1] = amplitude * np.exp(
    -1j * np.pi * order * (order - 1) / len(amplitude)
  )
  return np.fft.irfft(spectrum) * (_TABLE / 2)


def _envelope(voice, seconds, time) -> np.ndarray:
  envelope = np.minimum(1, time / np.float32(voice.attack))
  if voice.decay is not None:
    envelope *= np.exp(time * np.float32(-1 / voice.decay))
  tail = (np.float32(seconds + voice.release) - time) / voice.release
  return envelope * np.clip(tail, 0, 1)


# Instruments. Each takes the artist's generator, so that no two artists play
# the same one, and returns a Voice.


def _slope(rng, count, low, high) -> np.ndarray:
  """Falling harmonics with a player's own unevenness."""
  order = np.arange(1, count + 1)
  return order ** -rng.uniform(low, high) * np.exp(
    rng.normal(0, 0.4, size=count)
  )


def plucked(rng, decay=0.5) -> Voice:
  """A guitar, banjo or harp string; the pluck's place thins harmonics out."""
  order = np.arange(1, 41)
  comb = np.abs(np.sin(np.pi * order * rng.uniform(0.12, 0.35))) + 0.05
  return Voice(
    comb * _slope(rng, 40, 0.9, 1.5),
    attack=0.003,
    decay=decay * rng.uniform(0.7, 1.4),
    damping=rng.uniform(0.1, 0.3),
  )


def keys(rng, decay=0.8) -> Voice:
  return Voice(
    _slope(rng, 24, 1.2, 2.2),
    attack=0.004,
    release=0.08,
    decay=decay * rng.uniform(0.7, 1.4),
    damping=rng.uniform(0.05, 0.25),
  )


def organ(rng) -> Voice:
  bars = np.zeros(16)
  bars[[0, 1, 2, 3, 5, 7, 11, 15]] = rng.uniform(0.1, 1.0, size=8)
  return Voice(bars, attack=0.008, release=0.02)


def bowed(rng, attack=0.12) -> Voice:
  """Strings: many harmonics, a body's resonances, a slow bow."""
  return Voice(
    _slope(rng, 40, 0.9, 1.4),
    formants=((rng.uniform(350, 600), 120, 2.0), (2300, 500, 1.5)),
    attack=attack,
    release=0.12,
    vibrato=0.15,
  )


def reed(rng, vibrato=0.25) -> Voice:
  """A harmonica, a saxophone, a clarinet."""
  slope = _slope(rng, 30, 0.8, 1.4)
  slope[1::2] *= rng.uniform(0.2, 1.0)
  return Voice(
    slope,
    formants=((rng.uniform(600, 1600), 300, 3.0),),
    attack=0.03,
    release=0.05,
    vibrato=vibrato,
  )


def steel(rng) -> Voice:
  """A pedal steel or slide guitar: it rings on and sings."""
  return Voice(
    _slope(rng, 24, 1.0, 1.6),
    attack=0.02,
    release=0.1,
    decay=1.5,
    vibrato=0.3,
  )


def singer(rng) -> Voice:
  """Something like a voice: three formants over a buzz."""
  return Voice(
    _slope(rng, 40, 0.8, 1.1),
    formants=(
      (rng.uniform(450, 800), 90, 8.0),
      (rng.uniform(1000, 1800), 140, 6.0),
      (rng.uniform(2400, 2900), 200, 3.0),
    ),
    attack=0.04,
    release=0.06,
    vibrato=0.35,
  )


def saw(rng, decay=None) -> Voice:
  return Voice(
    _slope(rng, 60, 0.7, 1.2),
    attack=0.006,
    release=0.04,
    decay=decay,
    damping=0.0 if decay is None else rng.uniform(0.05, 0.2),
  )


def distorted(rng, decay=None, power=True) -> Voice:
  """An overdriven electric guitar: power chords, or single notes."""
  return Voice(
    _slope(rng, 60, 0.8, 1.2),
    formants=((rng.uniform(500, 2500), 400, 1.5),),
    attack=0.003,
    release=0.02,
    decay=decay,
    damping=0.0 if decay is None else 0.08,
    drive=rng.uniform(3, 9),
    power=power,
  )


def bass(rng, decay=0.6) -> Voice:
  return Voice(
    _slope(rng, 16, 1.2, 2.2),
    attack=0.006,
    release=0.03,
    decay=decay * rng.uniform(0.7, 1.4),
    damping=rng.uniform(0.1, 0.3),
  )


def sub(rng) -> Voice:
  """A sine an octave below a bass, with just enough overtones to be heard."""
  return Voice(
    np.array([1.0, rng.uniform(0.05, 0.3), rng.uniform(0.0, 0.15)]),
    attack=0.01,
    release=0.08,
    decay=rng.uniform(0.8, 2.0),
  )
