"""The corpus `table`: Kaggle's features_30_sec.csv or features_3_sec.csv.

A line is a whole track (`blues.00000.wav`) or three seconds of one
(`blues.00000.7.wav`, the eighth); a table holds lines of one kind.
"""

import functools
import math
import pathlib
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from gtzan_jax.audio import mono_waveform
from gtzan_jax.errors import InputError
from gtzan_jax.features import kaggle_columns
from tfds_gtzan.corpora import delimited, digests
from tfds_gtzan.corpora.types import (
  GENRES,
  Corpus,
  Table,
  Track,
  in_genre_order,
  in_order,
  listed,
  printable,
)

SECONDS = 3.0  # of a line of features_3_sec.csv
ENDINGS = (".csv", ".tsv")
_GTZAN = re.compile(r"(.+)\.([0-9]{5})(?:\.([0-9]{1,6}))?")
_PART = re.compile(r"(.+)\.([0-9]{1,6})")
_NUMBER = re.compile(
  r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?"
)
_LONGEST = 40  # characters of a number; 17 digits are enough for a double
_LARGEST = float(np.finfo(np.float32).max)
_WHOLE = -1  # in place of a number, for a line that is a whole track


class _Line(NamedTuple):
  """A row: its place, for messages, and {column: cell}."""

  where: str
  cells: Mapping[str, str]


# {track: {number of its line: the 57 values}}
Lines = Mapping[str, Mapping[int, np.ndarray]]


def open_table(
  path: str, file: pathlib.Path, cache_dir: pathlib.Path | None
) -> Corpus:
  """Opens a table and checks all of it; `path` is its name in messages."""
  rows, comma = _read(path, file)
  names = _named(rows)
  lines = _lines(rows, names, comma)
  genre_of = {
    name: row.cells["label"] for row, (name, _) in zip(rows, names, strict=True)
  }
  return Corpus(
    name="table",
    kind="table",
    genres=in_genre_order(genre_of.values()),
    tracks=in_order(
      _track(name, genre_of[name], own) for name, own in lines.items()
    ),
    fingerprint=digests.of_files(path, {path: file}, cache_dir)[0],
  )


def _read(path: str, file: pathlib.Path) -> tuple[list[_Line], bool]:
  """The rows below the header; are decimals written with a comma?"""
  data = file.read_bytes()
  header, rows = delimited.table(path, data)
  wanted = ("filename", *kaggle_columns.COLUMNS, "label")
  missing = [name for name in wanted if name not in header]
  if missing:
    by = delimited.SEPARATORS[delimited.separator(delimited.decode(data))]
    raise InputError(
      f"{path} lacks {len(missing)} of the columns of features_30_sec.csv:"
      f" {', '.join(missing)}; its header has {len(header)}, separated by {by}"
    )
  twice = [name for name in wanted if header.count(name) > 1]
  if twice:
    raise InputError(f"{path}: the column {twice[0]!r} occurs twice")
  if not rows:
    raise InputError(f"{path} holds a header and no lines")
  lines = [
    _Line(f"{path} line {n}", dict(zip(header, cells, strict=True)))
    for n, cells in rows
  ]
  comma = not any(
    "." in line.cells[name] for line in lines for name in kaggle_columns.COLUMNS
  )
  return lines, comma


def _named(lines: Sequence[_Line]) -> list[tuple[str, int]]:
  """Track and number of each row, by its filename and label.

  If one is named as GTZAN's tracks are, all must be. Other names that all end
  in a number (song.0.wav, song.1.wav) are parts of a track, if those of most
  tracks begin with 0.
  """
  for line in lines:
    for column in ("filename", "label"):
      if not line.cells[column] or not printable(line.cells[column]):
        raise InputError(
          f"{line.where}: the {column} {line.cells[column]!r} is empty or"
          " cannot be printed"
        )
  genres = {line.cells["label"] for line in lines} | set(GENRES)
  stems, gtzan, others = [], [], []
  for line in lines:
    filename, label = line.cells["filename"], line.cells["label"]
    stems.append(_stem(filename, label))
    match = _GTZAN.fullmatch(stems[-1].rpartition("/")[2])
    if match and match[1] == label:
      number = _WHOLE if match[3] is None else int(match[3])
      gtzan.append((f"{label}.{match[2]}", number))
    elif match and match[1] in genres:
      raise InputError(
        f"{line.where}: the filename {filename!r} and the label {label!r}"
        " disagree"
      )
    else:
      others.append(line)
  if not others:
    return gtzan
  if gtzan:
    filename, label = others[0].cells["filename"], others[0].cells["label"]
    raise InputError(
      f"{others[0].where}: the filename {filename!r} does not fit among names"
      f" as GTZAN's tracks have them; accepted are {label}.00000.wav for a"
      f" track and {label}.00000.0.wav for a part, or other names in all lines"
    )
  parts = [match for match in map(_PART.fullmatch, stems) if match]
  if len(parts) == len(stems):
    first = {match[1] for match in parts if not int(match[2])}
    if 2 * len(first) > len({match[1] for match in parts}):
      return [(match[1], int(match[2])) for match in parts]
  return [(stem, _WHOLE) for stem in stems]


def _stem(filename: str, label: str) -> str:
  """ "<label>/<name below it, without extension>", as in folders of sound."""
  *folders, name = filename.replace("\\", "/").split("/")
  stem, _, extension = name.rpartition(".")
  if f".{extension.lower()}" in mono_waveform.EXTENSIONS and stem:
    name = stem
  if label in folders:
    folders = folders[len(folders) - folders[::-1].index(label) :]
  return "/".join([label, *filter(None, folders), name])


def _lines(
  lines: Sequence[_Line], names: Sequence[tuple[str, int]], comma: bool
) -> Lines:
  tracks: dict[str, dict[int, np.ndarray]] = defaultdict(dict)
  for line, (name, segment) in zip(lines, names, strict=True):
    filename = line.cells["filename"]
    if segment in tracks[name]:
      raise InputError(f"{line.where}: {filename} occurs twice")
    tracks[name][segment] = _values(line, comma)
    if (segment == _WHOLE) != (_WHOLE in next(iter(tracks.values()))):
      raise InputError(
        f"{line.where}: {filename} among lines of another kind; a table is of"
        " whole tracks (blues.00000.wav) or of parts (blues.00000.0.wav)"
      )
  return tracks


def _values(line: _Line, comma: bool) -> np.ndarray:
  values = []
  for name in kaggle_columns.COLUMNS:
    cell = line.cells[name]
    text = cell.replace(",", ".", 1) if comma else cell
    # float() would take digits of any script, underscores, nan and inf.
    fits = len(text) <= _LONGEST and _NUMBER.fullmatch(text)
    value = float(text) if fits else math.nan
    if not abs(value) <= _LARGEST:
      brief = cell if len(cell) <= _LONGEST else f"{cell[:_LONGEST]}..."
      raise InputError(
        f"{line.where}, column {name}: {brief!r} is no finite number of"
        f" at most {_LONGEST} characters, such as -0.5 or 1e-3"
      )
    values.append(value)
  return np.array(values, np.float32)


def _track(name: str, genre: str, lines: Mapping[int, np.ndarray]) -> Track:
  numbers = sorted(lines)
  starts = np.maximum(numbers, 0) * SECONDS
  rows = np.stack([lines[number] for number in numbers])
  return listed(name, genre, functools.partial(Table, rows, starts))
