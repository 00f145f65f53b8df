"""From an id to a waveform: who, what tempo, how long, play, master."""

import numpy as np

from tfds_gtzan.synthetic.catalogue import generator, track
from tfds_gtzan.synthetic.genre_styles import PLAYERS
from tfds_gtzan.synthetic.instruments import SAMPLE_RATE
from tfds_gtzan.synthetic.mastering import master
from tfds_gtzan.synthetic.stage import Stage

VERSION = 1  # goes up whenever the audio of any id changes
SECONDS = (10.0, 30.0)


def render(track_id: str) -> np.ndarray:
  """A track's audio: mono float32 [samples] at 22,050 Hz, 10 to 30 s, |x| < 1.

  Raises:
    InputError: the id is not one of this corpus.
  """
  facts = track(track_id)
  genre = PLAYERS[facts.genre]
  artist, song = generator(facts.artist), generator(facts.song)
  take = generator(track_id)
  # An artist keeps to a part of the genre's tempos, a song to one tempo.
  habit = artist.uniform(0, 1) * 0.7 + song.uniform(0, 1) * 0.3
  tempo = genre.tempo[0] + habit * (genre.tempo[1] - genre.tempo[0])
  stage = Stage(
    size=int(take.uniform(*SECONDS) * SAMPLE_RATE),
    tempo=tempo,
    meter=genre.meter,
    swing=(genre.unit, artist.uniform(*genre.swing)),
    offset=take.uniform(0, 32 * genre.meter),
    take=take,
  )
  genre.play(stage, artist, song)
  return master(stage.sound, generator(facts.artist + ", records"), take)
