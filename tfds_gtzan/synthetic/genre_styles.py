"""Tempo, meter, swing and player of each genre."""

import dataclasses
from collections.abc import Callable

from tfds_gtzan.synthetic import electric_styles, roots_styles


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
  "blues": Genre(roots_styles.blues, (80, 130), swing=(0.62, 0.68)),
  "classical": Genre(roots_styles.classical, (60, 110), meter=3),
  "country": Genre(roots_styles.country, (100, 150)),
  "disco": Genre(electric_styles.disco, (108, 130)),
  "hiphop": Genre(
    electric_styles.hiphop, (78, 102), swing=(0.54, 0.62), unit=0.5
  ),
  "jazz": Genre(roots_styles.jazz, (120, 200), swing=(0.6, 0.68)),
  "metal": Genre(electric_styles.metal, (100, 150)),
  "pop": Genre(electric_styles.pop, (95, 128)),
  "reggae": Genre(roots_styles.reggae, (66, 92), swing=(0.5, 0.56)),
  "rock": Genre(electric_styles.rock, (105, 155)),
}
