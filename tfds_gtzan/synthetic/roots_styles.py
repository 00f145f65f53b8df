"""Five genres of players in a room: blues, classical, country, jazz, reggae.

Each function fills a stage with one excerpt. What is drawn from `artist` is the
same in all songs of an artist, from `song` in all excerpts of a song.
"""

from tfds_gtzan.synthetic import drums, instruments
from tfds_gtzan.synthetic.arrangement import arrangement
from tfds_gtzan.synthetic.harmony import (
  BLUES,
  MAJOR,
  MINOR,
  PENTATONIC,
  chord,
  melody,
  near,
)


def blues(stage, artist, song) -> None:
  """Twelve bars of shuffle: boogie guitar, walking bass, bent answers."""
  guitar, low = instruments.plucked(artist, 0.35), instruments.bass(artist)
  lead = (instruments.reed, instruments.steel)[artist.integers(2)](artist)
  kick, snare = drums.kick(artist), drums.snare(artist)
  hat, mixes = drums.hat(artist), arrangement(artist, song, 6)
  key = int(song.integers(40, 52))
  form = (0, 0, 0, 0, 5, 5, 0, 0, 7, 5, 0, 7)
  rhythms = (
    ((0.5, 0.5), (1, 0.5), (1.5, 1.5)),
    ((0, 0.5), (0.5, 0.5), (1, 0.5), (1.5, 0.5), (2, 1.5)),
    ((2.5, 0.5), (3, 0.5), (3.5, 0.5)),
    (),
  )
  tune = melody(song, BLUES, rhythms, 12, span=9)
  for bar, mix in stage.bars(mixes):
    root = key + form[bar % 12]
    for beat in range(4):
      sixth = (7, 7, 9, 9)[beat]
      for half in (0, 0.5):
        gain = mix[0] * (0.5 if half else 0.8)
        pitches = (near(root, 40), near(root, 40) + sixth)
        stage.chord(guitar, pitches, bar, beat + half, 0.35, gain)
      walk = root + (0, 4, 7, 9)[beat]
      stage.note(low, near(walk, 30), bar, beat, 0.9, mix[1])
      stage.hit(hat, bar, beat, 0.3 * mix[4])
      stage.hit(hat, bar, beat + 0.5, 0.2 * mix[4])
    for beat in (0, 2):
      stage.hit(kick, bar, beat, 0.9 * mix[2])
      stage.hit(snare, bar, beat + 1, 0.6 * mix[3])
    stage.tune(lead, near(key, 60), tune, bar, 0.7 * mix[5], bend=1.5)


def classical(stage, artist, song) -> None:
  """No drums: broken chords and a long line that swells and sinks."""
  keys = (instruments.keys, instruments.plucked)[artist.integers(2)](
    artist, 0.9
  )
  strings = instruments.bowed(artist, 0.2)
  lead = (instruments.bowed, instruments.reed)[artist.integers(2)](artist)
  mixes = arrangement(artist, song, 3)
  key = int(song.integers(45, 57))
  minor = bool(song.integers(2))
  kinds = ("m", "m", "", "m") if minor else ("", "", "", "m")
  roots = (0, 5, 7, 0) if minor else (0, 5, 7, 9)
  order = song.permutation(4)
  figure = ((0, 2, 1, 2), (0, 1, 2, 1))[song.integers(2)]
  rhythms = (
    ((0, 1.8), (2, 0.9)),
    ((0, 2.8),),
    ((0, 0.9), (1, 0.9), (2, 0.9)),
  )
  tune = melody(song, MINOR if minor else MAJOR, rhythms, 8)
  for bar, mix in stage.bars(mixes):
    place = order[bar % 4]
    pitches = chord(key + roots[place], kinds[place], 52)
    # The swell: four bars up and four down, some 20 dB in all.
    swell = 10 ** (-abs((bar % 8) - 4) / 4)
    for quarter in range(stage.meter * 4):
      pitch = pitches[figure[quarter % 4] % len(pitches)]
      rise = 12 * (quarter % 8 >= 4)
      stage.note(
        keys, pitch + rise, bar, quarter / 4, 0.6, 0.5 * swell * mix[0]
      )
    root = near(key + roots[place], 40)
    stage.note(strings, root, bar, 0, stage.meter, 0.4 * swell * mix[1])
    stage.tune(lead, near(key, 64), tune, bar, 0.6 * swell * mix[2])


def country(stage, artist, song) -> None:
  """Boom-chick: root and fifth, a strum between, a steel that slides."""
  guitar, low = (
    instruments.plucked(artist, 0.25),
    instruments.bass(artist, 0.35),
  )
  lead = instruments.steel(artist)
  brush, kick = drums.brush(artist), drums.kick(artist, 0.15)
  mixes = arrangement(artist, song, 5)
  key = int(song.integers(43, 55))
  turns = ((0, 0, 5, 0, 7, 7, 0, 0), (0, 5, 0, 7, 0, 5, 7, 0))
  form = turns[song.integers(2)]
  rhythms = (
    ((0, 1.8), (2, 1.8)),
    ((0, 0.9), (1, 0.9), (2, 1.8)),
    ((1, 0.9), (2, 0.9), (3, 0.9)),
  )
  tune = melody(song, PENTATONIC, rhythms, 8, span=7)
  for bar, mix in stage.bars(mixes):
    root = key + form[bar % 8]
    for beat, step in ((0, 0), (2, 7)):
      stage.note(low, near(root + step, 33), bar, beat, 0.6, 1.1 * mix[0])
      stage.hit(kick, bar, beat, 0.4 * mix[1])
      for late in (1, 1.5) if beat else (1,):
        strum = chord(root, "", 57)
        stage.chord(guitar, strum, bar, beat + late, 0.3, 0.45 * mix[2])
    for sixteenth in range(8):  # the train beat
      gain = 0.45 if sixteenth % 4 == 2 else 0.2
      stage.hit(brush, bar, sixteenth / 2, gain * mix[3])
    stage.tune(lead, near(key, 62), tune, bar, 0.6 * mix[4], bend=3.0)


def jazz(stage, artist, song) -> None:
  """Ride cymbal, walking bass, sparse seventh chords and a busy horn."""
  piano, low = instruments.keys(artist, 0.4), instruments.bass(artist, 0.5)
  horn = instruments.reed(artist, 0.15)
  ride, hat = drums.ride(artist), drums.hat(artist, 0.08)
  kick, mixes = drums.kick(artist, 0.15), arrangement(artist, song, 5)
  key = int(song.integers(41, 53))
  turns = (
    ((2, "m9"), (7, "9"), (0, "maj7"), (9, "9")),
    ((0, "maj7"), (5, "9"), (2, "m9"), (7, "9")),
  )
  form = turns[song.integers(2)]
  comps = ((0, 1.5), (0.5, 2.5), (1.5,), (1, 3.5))
  comp = [comps[i] for i in song.integers(4, size=8)]
  walks = song.integers(0, 3, size=(8, 4)).tolist()
  rhythms = (
    tuple((i / 2, 0.45) for i in range(0, 7)),
    ((0.5, 0.45), (1, 0.45), (1.5, 0.45), (2, 1.4)),
    ((2, 0.45), (2.5, 0.45), (3, 0.45), (3.5, 0.45)),
  )
  tune = melody(song, MAJOR, rhythms, 8, span=11)
  for bar, mix in stage.bars(mixes):
    root, kind = form[bar % 4]
    root += key
    for beat in range(4):
      step = ((0,) * 3, (2, 3, 4), (7, 6, 5), (9, 10, 11))[beat]
      pitch = near(root, 31) + step[walks[bar % 8][beat]]
      stage.note(low, pitch, bar, beat, 0.9, mix[0])
      stage.hit(ride, bar, beat, (0.35, 0.5)[beat % 2] * mix[1])
      if beat % 2:
        stage.hit(ride, bar, beat + 0.5, 0.3 * mix[1])
        stage.hit(hat, bar, beat, 0.3 * mix[2])
    stage.hit(kick, bar, 0, 0.2 * mix[2])
    for beat in comp[bar % 8]:
      stage.chord(piano, chord(root, kind, 58), bar, beat, 0.4, 0.5 * mix[3])
    stage.tune(horn, near(key, 60), tune, bar, 0.6 * mix[4])


def reggae(stage, artist, song) -> None:
  """The skank off the beat, the drum on three, a bass that leaves holes."""
  guitar, low = instruments.plucked(artist, 0.12), instruments.bass(artist, 0.7)
  organ = instruments.organ(artist)
  kick, rim = drums.kick(artist), drums.rim(artist)
  hat, mixes = drums.hat(artist), arrangement(artist, song, 5)
  key = int(song.integers(43, 55))
  turns = (
    ((0, "m"), (0, "m"), (5, "m"), (0, "m")),
    ((0, ""), (5, ""), (0, ""), (7, "")),
    ((9, "m"), (5, ""), (0, ""), (7, "")),
  )
  form = turns[song.integers(3)]
  lines = (
    ((0, 0), (0.5, 0), (1.5, 7), (2.5, 4), (3, 0)),
    ((0.5, 0), (1, 0), (1.5, 4), (3, 7), (3.5, 7)),
    ((0, 0), (1.5, 0), (2, 7), (2.5, 12)),
  )
  line = [lines[i] for i in song.integers(3, size=4)]
  for bar, mix in stage.bars(mixes):
    root, kind = form[bar % 4]
    skank = chord(key + root, kind, 60)
    for beat in range(4):
      stage.chord(guitar, skank, bar, beat + 0.5, 0.16, 0.9 * mix[0])
      # The organ's bubble: right hand on the off-beat, left around it.
      stage.chord(organ, skank, bar, beat + 0.5, 0.2, 0.35 * mix[1])
      stage.note(organ, skank[0] - 12, bar, beat + 0.75, 0.15, 0.25 * mix[1])
      stage.hit(hat, bar, beat, 0.15 * mix[3])
      stage.hit(hat, bar, beat + 0.5, 0.3 * mix[3])
    stage.hit(kick, bar, 2, 1.1 * mix[2])
    stage.hit(rim, bar, 2, 0.8 * mix[2])
    for beat, step in line[bar % 4]:
      step = 3 if step == 4 and kind == "m" else step
      pitch = near(key + root, 31) + step
      stage.note(low, pitch, bar, beat, 0.55, 1.3 * mix[4])
