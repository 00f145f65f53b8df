"""Where a band's notes become a waveform: bars and beats to samples."""

from collections.abc import Iterator, Sequence

import numpy as np

from tfds_gtzan.synthetic.instruments import SAMPLE_RATE, Voice, note


class Stage:
  """An empty recording of `size` samples that a genre fills with events.

  Musical time is (bar, beat), beats from 0; it begins at beat `offset`.
  """

  def __init__(self, size, tempo, meter, swing, offset, take):
    """Opens an empty recording; tempo in beats a minute, meter in beats a bar.

    swing: (unit, ratio); the off-beat of each `unit` beats falls at `ratio` of
    it (0.5: straight, 2/3: triplet). take: the track's generator.
    """
    self.sound = np.zeros(size, np.float32)
    self.beat_seconds = 60.0 / tempo
    self.meter = meter
    self._unit, self._ratio = swing
    self._offset = offset
    self._gains = np.exp(take.normal(0, 0.12, size=509)).tolist()
    self._late = take.normal(0, 0.004, size=499).tolist()
    self._played = 0
    self._notes = {}

  def bars(self, mixes) -> Iterator[tuple[int, Sequence[float]]]:
    """The recording's bars, each with its mix, which changes every four."""
    seconds = self.sound.size / SAMPLE_RATE
    beats = self._offset, self._offset + seconds / self.beat_seconds
    first, last = (int(beat // self.meter) for beat in beats)
    for bar in range(first, last + 1):
      yield bar, mixes[bar // 4 % len(mixes)]

  def hit(self, sound, bar, beat, gain=1.0) -> None:
    """Adds a ready sound [samples] at a time, a little uneven; gain 0: not."""
    if not gain:
      return
    unit, ratio = self._unit, self._ratio
    whole, part = divmod(beat / unit, 1.0)
    if part <= 0.5:
      part = 2 * ratio * part
    else:
      part = ratio + 2 * (1 - ratio) * (part - 0.5)
    beats = bar * self.meter + (whole + part) * unit - self._offset
    self._played += 1
    seconds = beats * self.beat_seconds + self._late[self._played % 499]
    start = round(seconds * SAMPLE_RATE)
    stop = min(start + sound.size, self.sound.size)
    skip = max(0, -start)
    if start + skip < stop:
      loud = np.float32(gain * self._gains[self._played % 509])
      self.sound[start + skip : stop] += loud * sound[skip : stop - start]

  def note(self, voice: Voice, pitch, bar, beat, length, gain=1.0, bend=0.0):
    """Plays a note of `length` beats; equal notes are computed once."""
    self.chord(voice, (pitch,), bar, beat, length, gain, bend)

  def chord(self, voice, pitches, bar, beat, length, gain=1.0, bend=0.0):
    """Plays several notes as one sound; `gain` is each note's."""
    key = (voice, tuple(pitches), length, bend)
    if key not in self._notes:
      seconds = length * self.beat_seconds
      parts = [note(voice, pitch, seconds, bend) for pitch in pitches]
      self._notes[key] = sum(parts[1:], parts[0])
    self.hit(self._notes[key], bar, beat, gain)

  def tune(self, voice, key, melody, bar, gain=1.0, bend=0.0):
    """Plays a bar of a `harmony.melody`, its steps counted from `key`."""
    for beat, length, step in melody[bar % len(melody)]:
      self.note(voice, key + step, bar, beat, length, gain, bend)
