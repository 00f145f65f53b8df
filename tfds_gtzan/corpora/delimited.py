"""Tables of text as spreadsheets and scripts leave them.

The separator is the comma, semicolon, tab or bar that the first line has most
of. Spaces around a cell, empty rows and the line "sep=;" mean nothing.
"""

import codecs
import csv
import io
import pathlib
import re

from gtzan_jax.errors import InputError

SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
_MOST_BYTES = 2**28  # of a list of names

# What a column of track names may be called; of several the first one counts.
NAMES = (
  *("filename", "file_name", "file", "filepath", "file_path", "path"),
  *("audio", "wav", "track", "track_id", "id", "clip", "name", "song"),
)


def decode(data: bytes) -> str:
  """UTF-8 or UTF-16 as text, "\\n" between lines, the line "sep=;" emptied."""
  marked = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
  text = re.sub(
    r"\r\n?", "\n", data.decode("utf-16" if marked else "utf-8-sig")
  )
  return re.sub(r'\A"?sep=.*\n', "\n", text, flags=re.IGNORECASE)


def read_list(file: str, named: str = "") -> tuple[bytes, str]:
  """A file's bytes and the same as text; `named` is its name in messages."""
  named = named or file
  try:
    with pathlib.Path(file).expanduser().open("rb") as opened:
      data = opened.read(_MOST_BYTES + 1)
    if len(data) > _MOST_BYTES:
      raise InputError(f"{named} is no list: more than {_MOST_BYTES} bytes")
    return data, decode(data)
  except InputError:
    raise
  except UnicodeError as error:
    raise InputError(
      f"{named} is no text: give lists of names (.txt), tables (.csv, .tsv) or"
      " .json, in UTF-8"
    ) from error
  except (OSError, ValueError) as error:
    reason = getattr(error, "strerror", None) or error
    raise InputError(f"{named} cannot be read: {reason}") from error


def separator(text: str) -> str:
  header = text.lstrip().partition("\n")[0]
  return max(SEPARATORS, key=header.count)


def rows(named: str, text: str) -> list[tuple[int, list[str]]]:
  """(line number, cells) of each row that is not empty."""
  reader = csv.reader(
    io.StringIO(text, newline=""),
    delimiter=separator(text),
    skipinitialspace=True,
  )
  try:
    stripped = [(reader.line_num, [*map(str.strip, row)]) for row in reader]
  except csv.Error as error:
    raise InputError(f"{named} cannot be read as a table: {error}") from error
  return [(number, cells) for number, cells in stripped if any(cells)]


def table(
  where: str, data: bytes
) -> tuple[list[str], list[tuple[int, list[str]]]]:
  """The header in lower case, and the `rows` below it, all of its length."""
  try:
    text = decode(data)
  except UnicodeError as error:
    raise InputError(f"{where} cannot be read as a table: {error}") from error
  lines = rows(where, text)
  if not lines:
    raise InputError(f"{where} is empty; a table begins with a header")
  header = [cell.casefold() for cell in lines.pop(0)[1]]
  for number, cells in lines:
    while len(cells) > len(header) and not cells[-1]:
      cells.pop()
    if len(cells) != len(header):
      raise InputError(
        f"{where} line {number}: {len(cells)} cells, and the header has"
        f" {len(header)}, separated by {SEPARATORS[separator(text)]}"
      )
  return header, lines
