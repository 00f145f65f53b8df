"""From an id to a waveform: who, what tempo, how long, play, master."""

import dataclasses
from collections.abc import Callable

import numpy as np

from tfds_gtzan.synthetic import electric, roots
from tfds_gtzan.synthetic.catalogue import generator, track
from tfds_gtzan.synthetic.mastering import master
from tfds_gtzan.synthetic.stage import Stage
from tfds_gtzan.synthetic.voices import SAMPLE_RATE

VERSION = 1  # goes up whenever the audio of any id changes
SECONDS = (10.0, 30.0)


@dataclasses.dataclass(frozen=True)
class Genre:
  """How a genre is played: beats a minute, beats a bar (meter), and `swing`.

  swing: where an off-beat falls in its beat, or in its half beat (unit 0.5).
  """

  play: Callable
  tempo: tuple[float, float]
  swing: tuple[float, float] = (0.5, 0.5)
  unit: float = 1.0
  meter: int = 4


PLAYERS = {
  "blues": Genre(roots.blues, (80, 130), swing=(0.62, 0.68)),
  "classical": Genre(roots.classical, (60, 110), meter=3),
  "country": Genre(roots.country, (100, 150)),
  "disco": Genre(electric.disco, (108, 130)),
  "hiphop": Genre(electric.hiphop, (78, 102), swing=(0.54, 0.62), unit=0.5),
  "jazz": Genre(roots.jazz, (120, 200), swing=(0.6, 0.68)),
  "metal": Genre(electric.metal, (100, 150)),
  "pop": Genre(electric.pop, (95, 128)),
  "reggae": Genre(roots.reggae, (66, 92), swing=(0.5, 0.56)),
  "rock": Genre(electric.rock, (105, 155)),
}


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
