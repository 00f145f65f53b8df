"""Who plays what: the track table of the synthetic corpus.

A track's facts follow from its id alone, whatever the size of the corpus. Track
`i` of a genre belongs to artist `5 * (i // 20) + i % 5` and is an excerpt of
that artist's song `SONGS[i // 5 % 4]`.
"""

import dataclasses
import hashlib
import re

import numpy as np

from gtzan_jax.errors import InputError
from tfds_gtzan.corpora.types import GENRES

ARTISTS_PER_BLOCK = 5
SONGS = (0, 0, 1, 2)  # an artist's four tracks: one song twice, two once
# By artist, so that no artist stands in two parts: 60 / 20 / 20 of a block,
# in an order that fills all three parts from three tracks a genre on.
PARTITIONS = ("train", "validation", "test", "train", "train")
MAX_TRACKS_PER_GENRE = 100_000  # five digits in an id

_BLOCK = ARTISTS_PER_BLOCK * len(SONGS)
_ID = re.compile(rf"({'|'.join(GENRES)})\.s(\d{{5}})")


@dataclasses.dataclass(frozen=True)
class SyntheticTrack:
  """A track's facts; `artist` and `song` are unique over the corpus."""

  id: str
  genre: str
  artist: str
  song: str
  partition: str


def tracks(tracks_per_genre: int = 20) -> tuple[SyntheticTrack, ...]:
  """The track table: genres in alphabetical order, ids ascending in each.

  Raises:
    InputError: tracks_per_genre is not a whole number from 1 to 100000.
  """
  number = tracks_per_genre
  whole = isinstance(number, (int, np.integer)) and not isinstance(number, bool)
  if not whole or not 1 <= number <= MAX_TRACKS_PER_GENRE:
    raise InputError(
      f"tracks_per_genre is {number!r}; give a whole number from 1 to"
      f" {MAX_TRACKS_PER_GENRE}"
    )
  return tuple(
    track(f"{genre}.s{index:05d}")
    for genre in GENRES
    for index in range(number)
  )


def track(track_id: str) -> SyntheticTrack:
  """The facts of one id, "<genre>.sNNNNN"; InputError for any other id."""
  match = _ID.fullmatch(track_id) if isinstance(track_id, str) else None
  if match is None:
    raise InputError(
      f"{track_id!r} is no synthetic track; ids look like 'jazz.s00007', with"
      f" one of the genres {', '.join(GENRES)}"
    )
  genre, index = match[1], int(match[2])
  block, place = divmod(index, _BLOCK)
  turn, seat = divmod(place, ARTISTS_PER_BLOCK)
  artist = f"{genre} artist {block * ARTISTS_PER_BLOCK + seat:02d}"
  return SyntheticTrack(
    id=track_id,
    genre=genre,
    artist=artist,
    song=f"{artist}, song {SONGS[turn]}",
    partition=PARTITIONS[seat],
  )


def generator(name: str) -> np.random.Generator:
  """A random generator seeded by a name: an artist's, a song's, a track's."""
  digest = hashlib.sha256(name.encode()).digest()
  return np.random.default_rng(list(digest[:16]))
