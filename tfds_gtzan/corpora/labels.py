"""Genres and artists that a user gives: by a table, or by folders.

The table has a row a track: a column of names (files, with folders or without,
or ids), one of genres and, if they are known, one of artists.
"""

import dataclasses
import hashlib
import itertools
import re
from collections.abc import Collection, Sequence
from typing import NamedTuple

from gtzan_jax.errors import InputError
from tfds_gtzan.corpora import delimited, track_names
from tfds_gtzan.corpora.types import Corpus, printable

# Of several such columns the first one counts; else any that has the word.
GENRES = ("genre", "genre_top", "track_genre_top", "label", "class", "category")
ARTISTS = ("artist", "artist_name", "track_artist", "performer", "band")
FOLDER = "folder"  # config.data.artists: <genre>/<artist>/...
_LONGEST = 200  # bytes of a genre: it becomes part of files' names
_HEADERS = 3  # lines that a header may have, as FMA's tracks.csv
_NOT_GIVEN = ("", "nan", "none", "null", "n/a", "na", "-")
_UNKNOWN = (
  *_NOT_GIVEN,
  *("unknown", "unknown artist", "<unknown>", "no artist"),
  *("various", "various artists", "va", "v.a.", "compilation", "compilations"),
)


class Row(NamedTuple):
  """A row of the table: the name as it is written, genre and artist or ""."""

  name: str
  genre: str
  artist: str


@dataclasses.dataclass(frozen=True)
class Labels:
  """The rows of a table that have a genre; `file` is its name in messages."""

  file: str
  rows: Sequence[Row]
  sha256: str


class Given(NamedTuple):
  """What a table gives for tracks: {id: genre}, {id: artist, "" if unknown}.

  `unlisted` are ids that it does not have, `unused` its names of no track.
  """

  genres: dict[str, str]
  artists: dict[str, str]
  unlisted: tuple[str, ...]
  unused: tuple[str, ...]


def read(file: str) -> Labels:
  """Reads config.data.labels: columns of names, genres and, if any, artists."""
  named = f"config.data.labels={file}"
  data, text = delimited.read_list(file, named)
  lines = [cells for _, cells in delimited.rows(named, text)]
  for number in range(1, _HEADERS + 1):
    columns = _columns(lines[:number])
    places = [
      _column(columns, delimited.NAMES),
      _column(columns, GENRES, "genre"),
      _column(columns, ARTISTS, "artist"),
    ]
    if None not in places[:2]:
      break
  else:
    columns = _columns(lines[:1])
    has_names = _column(columns, delimited.NAMES) is not None
    what = "genres" if has_names else "names"
    known = GENRES if has_names else delimited.NAMES
    raise InputError(
      f"{named} has no column of {what} among {', '.join(columns) or 'none'};"
      f" call it one of {', '.join(known)}"
    )
  rows = []
  for line in lines[number:]:
    row = Row(
      *(line[i] if i is not None and i < len(line) else "" for i in places)
    )
    for cell in row:
      if not printable(cell):
        raise InputError(f"{named}: {cell!r} cannot be printed")
    if len(row.genre.encode()) > _LONGEST:
      raise InputError(
        f"{named}: the genre {row.genre[:20]!r}... is longer than {_LONGEST}"
        " bytes"
      )
    if row.name and row.genre.casefold() not in _NOT_GIVEN:
      rows.append(row._replace(artist=known_artist(row.artist)))
  if not rows:
    raise InputError(f"{named} has no row with a name and a genre")
  return Labels(named, rows, hashlib.sha256(data).hexdigest())


def _columns(lines: Sequence[Sequence[str]]) -> list[str]:
  """The names of columns, "track_genre_top", out of the lines of a header."""
  columns = itertools.zip_longest(*lines, fillvalue="")
  words = [re.findall(r"[^\W_]+", " ".join(x).casefold()) for x in columns]
  return ["_".join(column) for column in words]


def _column(
  columns: Sequence[str], names: Sequence[str], word: str = ""
) -> int | None:
  matching = [name for name in names if name in columns]
  if word:
    matching += [column for column in columns if word in column.split("_")]
  return columns.index(matching[0]) if matching else None


def known_artist(name: str) -> str:
  """The artist; "" where the name is none: "unknown", "Various Artists"."""
  return "" if name.strip().casefold() in _UNKNOWN else name.strip()


def match(labels: Labels, ids: Collection[str]) -> Given:
  """What a table gives for tracks of these ids.

  InputError: no row fits, or two give one track different genres.
  """
  names = track_names.Names(ids)
  genres: dict[str, str] = {}
  artists: dict[str, str] = {}
  unused = []
  for row in labels.rows:
    named = names.find(re.sub(r"^(\d+)\.0$", r"\1", row.name))
    if not named.known or named.piece:
      unused.append(row.name)
      continue
    track = named.track
    if genres.setdefault(track, row.genre) != row.genre:
      raise InputError(
        f"{labels.file} lists the track {track} twice, as {genres[track]} and"
        f" as {row.genre} ({row.name}): keep one"
      )
    artists[track] = artists.get(track) or row.artist
  if not genres:
    raise InputError(
      f"{labels.file}: none of its {len(labels.rows)} names is a track's, such"
      f" as {min(ids)}; the first is {labels.rows[0].name!r}"
      f"{names.hint(labels.rows[0].name)}"
    )
  unlisted = tuple(sorted(set(ids) - genres.keys()))
  return Given(genres, artists, unlisted, tuple(unused))


def of_folders(corpus: Corpus) -> Corpus:
  """The corpus with artists from <genre>/<artist>/...; InputError if none."""
  artists = {
    track.id: known_artist(path[1])
    for track in corpus.tracks
    if len(path := track.id.split("/")) > 2
  }
  if not artists:
    raise InputError(
      f"config.data.artists={FOLDER}: no track of the {corpus.name} corpus"
      f" lies in <genre>/<artist>/; the first is {corpus.tracks[0].id}"
    )
  return with_artists(corpus, artists, f"artists {FOLDER}")


def with_artists(corpus: Corpus, artists: dict[str, str], by: str) -> Corpus:
  """The corpus with {id: artist}; "" takes none away that is known.

  The fingerprint depends on `by`, which names the source of the artists.
  """
  tracks = tuple(
    dataclasses.replace(track, artist=artists.get(track.id) or track.artist)
    for track in corpus.tracks
  )
  whole = hashlib.sha256(f"{corpus.fingerprint} {by}".encode()).hexdigest()
  return dataclasses.replace(corpus, tracks=tracks, fingerprint=whole)
