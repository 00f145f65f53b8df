"""Five genres of amplifiers and machines: disco, hip-hop, metal, pop, rock.

The functions follow the same rule as those of `roots`.
"""

from tfds_gtzan.synthetic import drums, instruments
from tfds_gtzan.synthetic.arrangement import arrangement
from tfds_gtzan.synthetic.harmony import (
  BLUES,
  MAJOR,
  MINOR,
  PENTATONIC,
  PHRYGIAN,
  chord,
  degree,
  melody,
  near,
)


def disco(stage, artist, song) -> None:
  """Four on the floor, open hats between, octave bass, strings, chops."""
  guitar, low = instruments.plucked(artist, 0.08), instruments.bass(artist, 0.3)
  strings = instruments.bowed(artist, 0.06)
  kick, clap = drums.kick(artist), drums.clap(artist)
  hat, shut = drums.hat(artist, 0.25), drums.hat(artist)
  mixes = arrangement(artist, song, 6)
  key = int(song.integers(40, 52))
  turns = (
    ((0, "m7"), (5, "m7"), (10, ""), (3, "maj7")),
    ((9, "m7"), (2, "m7"), (7, "7"), (0, "maj7")),
    ((0, "m7"), (0, "m7"), (5, "7"), (5, "7")),
  )
  form = turns[song.integers(3)]
  chops = song.integers(0, 2, size=16).astype(bool)
  chops[[2, 6, 10, 14]] = True
  rhythms = (((0, 1.5), (1.5, 0.5), (2, 1.8)), ((0, 3.5),), ((2.5, 1.2),))
  tune = melody(song, MINOR, rhythms, 4, span=7)
  for bar, mix in stage.bars(mixes):
    root, kind = form[bar % 4]
    root += key
    for beat in range(4):
      stage.hit(kick, bar, beat, mix[0])
      stage.hit(hat, bar, beat + 0.5, 0.45 * mix[1])
      stage.hit(shut, bar, beat, 0.2 * mix[1])
      stage.note(low, near(root, 30), bar, beat, 0.4, 0.9 * mix[2])
      stage.note(low, near(root, 30) + 12, bar, beat + 0.5, 0.35, 0.8 * mix[2])
      if beat % 2:
        stage.hit(clap, bar, beat, 0.5 * mix[3])
    for sixteenth in range(16):
      if chops[sixteenth]:
        pitches = chord(root, kind, 62)
        stage.chord(guitar, pitches, bar, sixteenth / 4, 0.12, 0.35 * mix[4])
    stage.tune(strings, near(key, 66), tune, bar, 0.45 * mix[5], bend=2.0)


def hiphop(stage, artist, song) -> None:
  """Boom-bap with air in it: late sixteenths, a sub bass, a chopped loop."""
  sampled = (instruments.keys, instruments.plucked, instruments.reed)[
    artist.integers(3)
  ]
  sample, low = sampled(artist), instruments.sub(artist)
  rapper = instruments.singer(artist)
  kick = drums.kick(artist, 0.35, 0.1)
  snare = (drums.snare, drums.clap)[artist.integers(2)](artist)
  hat, mixes = drums.hat(artist), arrangement(artist, song, 6)
  key = int(song.integers(45, 57))
  beats = ((0, 1.75, 2.5), (0, 0.75, 2.25), (0, 2.5, 2.75), (0, 0.5, 2.25))
  boom = beats[song.integers(4)]
  loop = chord(key, ("m7", "m9", "maj7")[song.integers(3)], 57)
  cuts = ((0, 0.7), (0.75, 0.4), (1.5, 0.4), (2.75, 0.9))
  flow = song.random((2, 16)) < 0.55
  rise = song.integers(-1, 2, size=(2, 16)).tolist()
  for bar, mix in stage.bars(mixes):
    for beat in boom:
      stage.hit(kick, bar, beat, 1.2 * mix[0])
      stage.note(low, near(key, 30), bar, beat, 0.7, 1.3 * mix[3])
    for beat in (1, 3):
      stage.hit(snare, bar, beat, 0.9 * mix[1])
    for eighth in range(8):
      stage.hit(hat, bar, eighth / 2, 0.2 * mix[2])
    for beat, length in cuts[: 4 - bar % 2]:
      down = -2 * (bar % 2)
      pitches = [pitch + down for pitch in loop]
      stage.chord(sample, pitches, bar, beat, length, 0.3 * mix[4])
    for sixteenth in range(16):
      if flow[bar % 2, sixteenth]:
        pitch = near(key, 45) + rise[bar % 2][sixteenth]
        beat, gain = sixteenth / 4, 0.5 * mix[5]
        stage.note(rapper, pitch, bar, beat, 0.15, gain, bend=-2.0)


def metal(stage, artist, song) -> None:
  """Muted sixteenths on the low string over double bass drums."""
  mute = instruments.distorted(artist, decay=0.07)
  ring = instruments.distorted(artist)
  low = instruments.distorted(artist, decay=0.2, power=False)
  kick, snare = drums.kick(artist, 0.1, 0.6), drums.snare(artist, 0.15)
  crash, mixes = drums.crash(artist), arrangement(artist, song, 4)
  key = int(song.integers(38, 44))
  gallops = ((0, 2, 3), (0, 1, 2, 3), (0, 1, 2))
  gallop = gallops[song.integers(3)]
  feet = (gallop, (0, 1, 2, 3))[song.integers(2)]
  riff = [degree(PHRYGIAN, int(i)) for i in song.integers(0, 5, size=8)]
  accents = song.random((2, 4)) < 0.3
  for bar, mix in stage.bars(mixes):
    for beat in range(4):
      shift = riff[(bar % 2) * 4 + beat] if accents[bar % 2, beat] else 0
      if shift:
        stage.note(ring, key + shift, bar, beat, 0.9, 0.8 * mix[0])
      for sixteenth in () if shift else gallop:
        when = beat + sixteenth / 4
        stage.note(mute, key, bar, when, 0.2, 0.9 * mix[0])
        stage.note(low, key - 12, bar, when, 0.2, 0.4 * mix[0])
      for sixteenth in feet:
        stage.hit(kick, bar, beat + sixteenth / 4, 0.7 * mix[1])
      if beat % 2:
        stage.hit(snare, bar, beat, 0.9 * mix[2])
    if bar % 2 == 0:
      stage.hit(crash, bar, 0, 0.5 * mix[3])


def pop(stage, artist, song) -> None:
  """I-V-vi-IV on bright synthesisers, arpeggios, a sung hook."""
  synth, pad = instruments.saw(artist, 0.2), instruments.saw(artist)
  low, hook = instruments.saw(artist, 0.4), instruments.singer(artist)
  kick, clap = drums.kick(artist), drums.clap(artist)
  hat, mixes = drums.hat(artist), arrangement(artist, song, 6)
  key = int(song.integers(43, 55))
  form = ((0, ""), (7, ""), (9, "m"), (5, ""))
  start = int(song.integers(4))
  figure = ((0, 1, 2, 1), (2, 1, 0, 1), (0, 2, 1, 2))[song.integers(3)]
  rhythms = (
    ((0, 0.45), (0.5, 0.45), (1, 0.9), (2.5, 0.45), (3, 0.9)),
    ((0, 0.9), (1, 0.45), (1.5, 1.4), (3, 0.9)),
  )
  tune = melody(song, PENTATONIC, rhythms, 4, span=7)
  for bar, mix in stage.bars(mixes):
    root, kind = form[(bar + start) % 4]
    pitches = chord(key + root, kind, 64)
    for sixteenth in range(16):
      pitch = pitches[figure[sixteenth % 4]] + 12 * (sixteenth % 8 >= 4)
      stage.note(synth, pitch, bar, sixteenth / 4, 0.2, 0.4 * mix[0])
    for beat in range(4):  # the pad ducks under the kick
      stage.chord(pad, pitches, bar, beat + 0.5, 0.45, 0.18 * mix[1])
      stage.note(low, near(key + root, 33), bar, beat + 0.5, 0.4, mix[2])
      drum, gain = ((kick, 0.9), (clap, 0.7))[beat % 2]
      stage.hit(drum, bar, beat, gain * mix[3])
      stage.hit(hat, bar, beat + 0.5, 0.25 * mix[4])
    stage.tune(hook, near(key, 60), tune, bar, 0.7 * mix[5])


def rock(stage, artist, song) -> None:
  """Driving power chords over a backbeat, and a guitar on top."""
  chords = instruments.distorted(artist, decay=0.5)
  lead = instruments.distorted(artist, power=False)
  low = instruments.bass(artist)
  kick, snare = drums.kick(artist), drums.snare(artist)
  hat, crash = drums.hat(artist, 0.12), drums.crash(artist)
  mixes = arrangement(artist, song, 5)
  key = int(song.integers(40, 50))
  turns = ((0, 5, 7, 5), (0, 10, 5, 0), (9, 5, 0, 7), (0, 3, 5, 10))
  form = turns[song.integers(4)]
  kicks = ((0, 2), (0, 2, 2.5), (0, 1.5, 2))[song.integers(3)]
  rhythms = ((), ((0, 1.4), (1.5, 0.5), (2, 1.8)), ((2, 0.5), (2.5, 1.4)))
  tune = melody(song, BLUES if song.integers(2) else MAJOR, rhythms, 4)
  for bar, mix in stage.bars(mixes):
    root = near(key + form[bar % 4], 40)
    for eighth in range(8):
      length = 0.45 if eighth % 2 else 0.4
      gain = 0.8 if eighth % 2 == 0 else 0.55
      stage.note(chords, root, bar, eighth / 2, length, gain * mix[0])
      stage.note(low, root - 12, bar, eighth / 2, 0.45, 0.8 * mix[1])
      stage.hit(hat, bar, eighth / 2, 0.3 * mix[2])
    for beat in kicks:
      stage.hit(kick, bar, beat, 0.9 * mix[3])
    for beat in (1, 3):
      stage.hit(snare, bar, beat, mix[3])
    if bar % 4 == 0:
      stage.hit(crash, bar, 0, 0.4 * mix[2])
    stage.tune(lead, near(key, 60), tune, bar, 0.5 * mix[4], bend=1.0)
