"""Reads the files in which people keep a split, whatever form they have.

  text   a name a line; the part is in the file's name: train_filtered.txt,
         valid.txt, fold3.txt
  table  .csv or .tsv: a column of names, and one of parts (else the file's
         name says it); a column `artist` is made use of
  .json  {part: [names]}, {name: part}, [names], or a list of such rows

A fold is a part like any other: fold0, fold1, ...
"""

import json
import pathlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from gtzan_jax.audio import files as audio
from gtzan_jax.errors import InputError, shown
from tfds_gtzan.corpora import delimited

PARTS = ("split", "subset", "set", "part", "partition", "fold", "folds")
ARTIST = "artist"
_WORDS = {
  **dict.fromkeys(("train", "training", "trn"), "train"),
  **dict.fromkeys(("valid", "validation", "val", "dev"), "validation"),
  **dict.fromkeys(("test", "testing", "tst"), "test"),
}
_FOLD = re.compile(r"(?:fold|cv)[ _.-]?0*(\d+)")
_SAID_SO = (
  "its name has to say which part it is: train, valid, validation, val, dev,"
  " test, fold0, fold1, ..."
)
# "blues/blues.00012.wav 0": what follows the file's name is a label.
_LABELLED = re.compile(
  rf"(.*?({'|'.join(map(re.escape, audio.EXTENSIONS))}))[\s,;].*", re.I
)


class Line(NamedTuple):
  """A name in a file: which part it is in, its artist ("" if not given)."""

  file: str
  part: str
  name: str
  artist: str = ""


def read(files: Sequence[str]) -> list[Line]:
  """All lines of a split that lies in one file or in several.

  Raises:
    InputError: a file that is missing or cannot be understood, a part that
      nothing tells, lists of several folds' train parts, or fewer than two
      parts.
  """
  lines, folds = [], {}
  for file in files:
    fold, part = _by_name(pathlib.Path(file).stem)
    if fold and part in _WORDS.values():
      folds.setdefault(fold, file)
    lines += _rows(file, part)
  if len(folds) > 1:
    one, other, *_ = folds.values()
    raise InputError(
      f"{one} and {other} are of two splits: give the files of one fold at a"
      " time"
    )
  parts = sorted({line.part for line in lines})
  if len(parts) < 2:
    full = {line.file for line in lines}
    empty = [file for file in files if parts and file not in full]
    found = f"only {parts[0]}" if parts else "no track of a part"
    found += f" in there, nothing in {empty[0]}" if empty else " in there"
    raise InputError(
      f"{', '.join(files)}: {found}; a split has two parts or more"
    )
  return lines


def _by_name(stem: str) -> tuple[str | None, str | None]:
  """(number of the fold, part) that a file's name tells."""
  stem = stem.casefold()
  number = next(reversed(_FOLD.findall(stem)), None)
  words = {_WORDS[w] for w in re.split(r"[\W\d_]+", stem) if w in _WORDS}
  if len(words) == 1:
    return number, *words
  return number, f"fold{number}" if number and not words else None


def _part(text: str, column: str) -> str:
  """A part as it is written in a file, in one form; "" for none."""
  text = text.strip().casefold()
  number = re.fullmatch(r"0*(\d+)(\.0)?", text)
  if number:
    return f"{'fold' if column in ('fold', 'folds') else column}{number[1]}"
  fold = _FOLD.fullmatch(text)
  return f"fold{fold[1]}" if fold else _WORDS.get(text, text)


def _is_part(text: str) -> bool:
  text = text.casefold()
  return text in _WORDS or text.isdecimal() or bool(_FOLD.fullmatch(text))


def _rows(file: str, part: str | None) -> Iterator[Line]:
  _, text = delimited.read_list(file)
  forms = {".csv": _table, ".tsv": _table, ".json": _json}
  return forms.get(pathlib.Path(file).suffix.lower(), _list)(file, text, part)


def _list(file: str, text: str, part: str | None) -> Iterator[Line]:
  if part is None:
    raise InputError(f"{file}: {_SAID_SO}")
  for line in text.splitlines():
    name = line.split("\t")[0].strip()
    labelled = _LABELLED.fullmatch(name)
    if name and not name.startswith("#"):
      yield Line(file, part, labelled[1] if labelled else name)


def _table(file: str, text: str, part: str | None) -> Iterator[Line]:
  rows = [cells for _, cells in delimited.rows(file, text)] or [[]]
  header, *rows = rows
  rows = [dict(zip(header, row, strict=False)) for row in rows]
  return _records(file, header, rows, part)


def _records(
  file: str, header: Iterable[str], rows: Iterable[Mapping], part: str | None
) -> Iterator[Line]:
  columns = {column.strip().casefold(): column for column in header}
  name = next((columns[c] for c in delimited.NAMES if c in columns), None)
  split = next((c for c in PARTS if c in columns), None)
  if name is None:
    raise InputError(
      f"{file} has no column of names among"
      f" {shown(', '.join(columns) or 'none')};"
      f" call it one of {', '.join(delimited.NAMES)}"
    )
  if split is None and part is None:
    raise InputError(
      f"{file} has no column {' or '.join(PARTS)}; without one {_SAID_SO}"
    )
  for row in rows:
    # A cell may be missing; 0 is a fold.
    track, of, artist = (
      "" if value is None else str(value).strip()
      for value in map(row.get, (name, columns.get(split), columns.get(ARTIST)))
    )
    found = _part(of, split) if split else part
    if found and track:
      yield Line(file, found, track, artist)


def _json(file: str, text: str, part: str | None) -> Iterator[Line]:
  try:
    value = json.loads(text)
  except (ValueError, RecursionError) as error:
    raise InputError(f"{file} is no JSON: {error}") from error
  if isinstance(value, list) and all(isinstance(row, dict) for row in value):
    return _records(file, value[0] if value else (), value, part)
  if isinstance(value, list):
    value = {part: value}
  if not isinstance(value, dict):
    return iter(_names(file, value))
  if None in value:
    raise InputError(f"{file}: {_SAID_SO}")
  if all(isinstance(of, str) and _is_part(of) for of in value.values()):
    return (Line(file, _part(of, "fold"), name) for name, of in value.items())
  if part and not any(map(_is_part, value)):
    return (Line(file, part, name) for name in value)  # with their labels
  return (
    Line(file, _part(of, "fold"), name)
    for of, names in value.items()
    for name in _names(file, names)
  )


def _names(file: str, value: object) -> list[str]:
  if not isinstance(value, list) or not all(isinstance(v, str) for v in value):
    raise InputError(
      f"{file}: {json.dumps(value)[:40]} received, {{part: [names]}},"
      " {name: part}, [names] or a list of rows is accepted"
    )
  return value
