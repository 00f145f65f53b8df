"""Reads the files in which people keep a split: text, .csv, .tsv or .json.

docs/check_splits.md lists the forms. A fold is a split: fold0, fold1, ...
"""

import json
import pathlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from gtzan_jax.audio import mono_waveform
from gtzan_jax.errors import InputError, shown
from tfds_gtzan.corpora import delimited

COLUMNS = ("split", "subset", "set", "part", "partition", "fold", "folds")
ARTIST = "artist"
_WORDS = {
  **dict.fromkeys(("train", "training", "trn"), "train"),
  **dict.fromkeys(("valid", "validation", "val", "dev"), "validation"),
  **dict.fromkeys(("test", "testing", "tst"), "test"),
}
_FOLD = re.compile(r"(?:fold|cv)[ _.-]?0*(\d+)")
_NAMED = (
  "its name has to contain its split: train, valid, validation, val, dev, test,"
  " fold0, fold1, ..."
)
# "blues/blues.00012.wav 0": what follows the file's name is a label.
_LABELLED = re.compile(
  rf"(.*?({'|'.join(map(re.escape, mono_waveform.EXTENSIONS))}))[\s,;].*", re.I
)


class Line(NamedTuple):
  """A name in a file, its split and its artist ("" if not given)."""

  file: str
  split: str
  name: str
  artist: str = ""


def read(files: Sequence[str]) -> list[Line]:
  """All lines of a split that is kept in one file or in several."""
  lines: list[Line] = []
  folds: dict[str, str] = {}
  for file in files:
    fold, split = _by_name(pathlib.Path(file).stem)
    if fold and split in _WORDS.values():
      folds.setdefault(fold, file)
    lines += _rows(file, split)
  if len(folds) > 1:
    one, other, *_ = folds.values()
    raise InputError(
      f"{one} and {other} are of two folds: give the files of one fold"
    )
  splits = sorted({line.split for line in lines})
  if len(splits) < 2:
    full = {line.file for line in lines}
    empty = [file for file in files if splits and file not in full]
    held = f"only {splits[0]}" if splits else "no track of a split"
    held += f" in there, nothing in {empty[0]}" if empty else " in there"
    raise InputError(f"{', '.join(files)}: {held}; give two splits or more")
  return lines


def _by_name(stem: str) -> tuple[str | None, str | None]:
  """(number of the fold, split) in a file's name."""
  stem = stem.casefold()
  number = next(reversed(_FOLD.findall(stem)), None)
  words = {_WORDS[w] for w in re.split(r"[\W\d_]+", stem) if w in _WORDS}
  if len(words) == 1:
    return number, words.pop()
  return number, f"fold{number}" if number and not words else None


def _normal(text: str, column: str) -> str:
  """A split as it is written in a file, in one form; "" for none."""
  text = text.strip().casefold()
  number = re.fullmatch(r"0*(\d+)(\.0)?", text)
  if number:
    return f"{'fold' if column in ('fold', 'folds') else column}{number[1]}"
  fold = _FOLD.fullmatch(text)
  return f"fold{fold[1]}" if fold else _WORDS.get(text, text)


def _is_split(text: str) -> bool:
  text = text.casefold()
  return text in _WORDS or text.isdecimal() or bool(_FOLD.fullmatch(text))


def _rows(file: str, split: str | None) -> Iterator[Line]:
  _, text = delimited.read_list(file)
  forms = {".csv": _table, ".tsv": _table, ".json": _json}
  return forms.get(pathlib.Path(file).suffix.lower(), _list)(file, text, split)


def _list(file: str, text: str, split: str | None) -> Iterator[Line]:
  if split is None:
    raise InputError(f"{file}: {_NAMED}")
  for line in text.splitlines():
    name = line.split("\t")[0].strip()
    labelled = _LABELLED.fullmatch(name)
    if name and not name.startswith("#"):
      yield Line(file, split, labelled[1] if labelled else name)


def _table(file: str, text: str, split: str | None) -> Iterator[Line]:
  header, *rows = [cells for _, cells in delimited.rows(file, text)] or [[]]
  records = [dict(zip(header, row, strict=False)) for row in rows]
  return _records(file, header, records, split)


def _records(
  file: str, header: Iterable[str], rows: Iterable[Mapping], split: str | None
) -> Iterator[Line]:
  columns = {column.strip().casefold(): column for column in header}
  name = next((columns[c] for c in delimited.NAMES if c in columns), None)
  column = next((c for c in COLUMNS if c in columns), None)
  if name is None:
    raise InputError(
      f"{file} has no column of names among"
      f" {shown(', '.join(columns) or 'none')};"
      f" call it one of {', '.join(delimited.NAMES)}"
    )
  if column is None and split is None:
    raise InputError(
      f"{file} has no column {' or '.join(COLUMNS)}; without one {_NAMED}"
    )
  keys = name, columns.get(column or ""), columns.get(ARTIST)
  for row in rows:
    # A cell may be missing; 0 is a fold.
    cells = ("" if x is None else str(x).strip() for x in map(row.get, keys))
    track, of, artist = cells
    part = _normal(of, column) if column else split
    if part and track:
      yield Line(file, part, track, artist)


def _json(file: str, text: str, split: str | None) -> Iterator[Line]:
  try:
    value = json.loads(text)
  except (ValueError, RecursionError) as error:
    raise InputError(f"{file} is no JSON: {error}") from error
  if isinstance(value, list) and all(isinstance(row, dict) for row in value):
    yield from _records(file, value[0] if value else (), value, split)
    return
  if isinstance(value, list):
    value = {split: value}
  if not isinstance(value, dict):
    raise _refused(file, value)
  if None in value:
    raise InputError(f"{file}: {_NAMED}")
  parts = list(value.items())
  if all(isinstance(of, str) and _is_split(of) for of in value.values()):
    parts = [(of, [name]) for name, of in parts]
  elif split and not any(map(_is_split, value)):
    parts = [(split, list(value))]  # the values are labels
  for of, names in parts:
    if not (isinstance(names, list) and all(isinstance(x, str) for x in names)):
      raise _refused(file, names)
    yield from (Line(file, _normal(of, "fold"), name) for name in names)


def _refused(file: str, value: object) -> InputError:
  return InputError(
    f"{file}: {json.dumps(value)[:40]} received, {{split: [names]}},"
    " {name: split}, [names] or a list of rows is accepted"
  )
