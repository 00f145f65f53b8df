"""The corpus `table`: Kaggle's features_30_sec.csv or features_3_sec.csv.

A line is a whole track (`blues.00000.wav`) or three seconds of one
(`blues.00000.7.wav`, the eighth); a table holds lines of one sort.
"""

import csv
import functools
import io
import math
import pathlib
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np

from gtzan_jax.errors import InputError
from gtzan_jax.features import table57
from tfds_gtzan import content, files, track_lists
from tfds_gtzan.track import GENRES, Corpus, Table, Track, in_genre_order

SECONDS = 3.0  # of a line of features_3_sec.csv
_NAME = re.compile(r"(([^.]+)\.\d{5})(?:\.(\d+))?\.wav")
_LARGEST = float(np.finfo(np.float32).max)
_WHOLE = -1  # in place of a number, for a line that is a whole track

# {track: {number of its line: the 57 values}}
Lines = Mapping[str, Mapping[int, np.ndarray]]


def open_table(
  path: str, file: files.File, cache_dir: pathlib.Path | None
) -> Corpus:
  """Opens a table and checks all of it.

  Args:
    path: where it lies, for messages; it may go on inside an archive.
    file: the table.
    cache_dir: where its digest is remembered.

  Raises:
    InputError: not a csv, columns that are missing, no lines, one genre only,
      or a line with an unknown genre, a filename that does not fit or stands
      twice, or a value that is no number. One line: the file and the place.
  """
  lines = _lines(path, _cells(path, file))
  genres = in_genre_order(name.split(".")[0] for name in lines)
  if len(genres) < 2:
    raise InputError(
      f"{path} holds one genre only ({genres[0]}); a table has at least two"
    )
  order = sorted(lines, key=lambda n: (genres.index(n.split(".")[0]), n))
  return Corpus(
    name="table",
    kind="table",
    genres=genres,
    tracks=tuple(_track(name, lines[name]) for name in order),
    fingerprint=content.digests_of(path, {path: file}, cache_dir)[0],
  )


def _cells(path: str, file: files.File) -> list[tuple[int, dict[str, str]]]:
  """(line number, {column: cell}) of each line below the header."""
  with file.open() as opened:
    data = opened.read()
  try:
    text = io.StringIO(data.decode("utf-8-sig"), newline="")
    reader = csv.reader(text)
    lines = [(reader.line_num, cells) for cells in reader if cells]
  except (csv.Error, UnicodeDecodeError) as error:
    raise InputError(f"{path} cannot be read as a csv: {error}") from error
  if not lines:
    raise InputError(f"{path} is empty; a features table begins with a header")
  header = lines.pop(0)[1]
  wanted = ("filename", *table57.COLUMNS, "label")
  missing = [name for name in wanted if name not in header]
  if missing:
    raise InputError(
      f"{path} lacks {len(missing)} of the columns of features_30_sec.csv:"
      f" {', '.join(missing)}"
    )
  twice = [name for name in wanted if header.count(name) > 1]
  if twice:
    raise InputError(f"{path}: the column {twice[0]!r} stands twice")
  if not lines:
    raise InputError(f"{path} holds a header and no lines")
  for number, cells in lines:
    if len(cells) != len(header):
      raise InputError(
        f"{path} line {number}: {len(cells)} cells, and the header has"
        f" {len(header)}"
      )
  return [(n, dict(zip(header, cells, strict=True))) for n, cells in lines]


def _lines(path: str, cells: Sequence[tuple[int, Mapping[str, str]]]) -> Lines:
  found = defaultdict(dict)
  for line, row in cells:
    where = f"{path} line {line}"
    name, segment = _which(where, row["filename"], row["label"])
    if segment in found[name]:
      raise InputError(f"{where}: {row['filename']} stands twice")
    found[name][segment] = _values(where, row)
    if (segment == _WHOLE) != (_WHOLE in next(iter(found.values()))):
      raise InputError(
        f"{where}: {row['filename']} among lines of another sort; a table is"
        " of whole tracks (blues.00000.wav) or of parts (blues.00000.0.wav)"
      )
  return found


def _which(where: str, filename: str, label: str) -> tuple[str, int]:
  """Track and number of a line, by its filename."""
  if label not in GENRES:
    raise InputError(
      f"{where}: unknown genre {label!r}; there are {', '.join(GENRES)}"
    )
  match = _NAME.fullmatch(filename)
  if not match:
    raise InputError(
      f"{where}: the filename {filename!r} does not fit; accepted are"
      f" {label}.00000.wav for a track and {label}.00000.0.wav for a part"
    )
  name, genre, segment = match.groups()
  if genre != label:
    raise InputError(
      f"{where}: the filename {filename!r} and the label {label!r} disagree"
    )
  return name, _WHOLE if segment is None else int(segment)


def _values(where: str, row: Mapping[str, str]) -> np.ndarray:
  values = []
  for name in table57.COLUMNS:
    try:
      value = float(row[name])
    except ValueError:
      value = math.nan
    if not abs(value) <= _LARGEST:
      raise InputError(
        f"{where}, column {name}: {row[name]!r} is no finite number"
      )
    values.append(value)
  return np.array(values, np.float32)


def _track(name: str, lines: Mapping[int, np.ndarray]) -> Track:
  numbers = sorted(lines)
  starts = np.maximum(numbers, 0) * SECONDS
  rows = np.stack([lines[number] for number in numbers])
  return Track(
    id=name,
    genre=name.split(".")[0],
    artist=track_lists.artists().get(name, ""),
    partition=track_lists.partition(name),
    read=functools.partial(Table, rows, starts),
  )
