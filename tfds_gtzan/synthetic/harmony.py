"""Chords, scales and melodies in semitones."""

MAJOR = (0, 2, 4, 5, 7, 9, 11)
MINOR = (0, 2, 3, 5, 7, 8, 10)
BLUES = (0, 3, 5, 6, 7, 10)
PENTATONIC = (0, 2, 4, 7, 9)
PHRYGIAN = (0, 1, 3, 5, 7, 8, 10)

CHORDS = {
  "": (0, 4, 7),
  "m": (0, 3, 7),
  "5": (0, 7),
  "7": (0, 4, 10),
  "m7": (0, 3, 7, 10),
  "maj7": (0, 4, 7, 11),
  "9": (4, 10, 14),
  "m9": (3, 10, 14),
}


def chord(root, kind, low) -> list[int]:
  """The chord's MIDI pitches, the inversion that lies at or above `low`."""
  return sorted(low + (root + step - low) % 12 for step in CHORDS[kind])


def near(pitch, low) -> int:
  """The pitch moved by octaves into the twelve semitones from `low` up."""
  return low + (pitch - low) % 12


def degree(scale, step) -> int:
  """The scale's step-th note in semitones; steps beyond it go up octaves."""
  octave, place = divmod(step, len(scale))
  return 12 * octave + scale[place]


def melody(rng, scale, rhythms, bars, span=8) -> list:
  """A tune: for each bar a list of (beat, length, semitones above the key).

  `rhythms` are bars to choose from, each a sequence of (beat, length). The tune
  moves by small steps and turns back at the ends of its span.
  """
  step, tune = int(rng.integers(0, span)), []
  for _ in range(bars):
    line = []
    for beat, length in rhythms[rng.integers(len(rhythms))]:
      step += int(rng.choice((-2, -1, -1, 0, 1, 1, 2)))
      if step < 0:
        step = -step
      elif step >= span:
        step = 2 * (span - 1) - step
      line.append((beat, length, degree(scale, step)))
    tune.append(line)
  return tune
