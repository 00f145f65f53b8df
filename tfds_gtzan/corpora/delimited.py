"""Tables of text as spreadsheets and scripts leave them.

Cells are separated by commas, semicolons, tabs or bars, whichever finds most of
the columns that are wanted in the header: a rule, where a guess from the cells
would take the comma of "0,5" for a separator. Spaces around a cell, rows
without content and the line "sep=;" of spreadsheets mean nothing.
"""

import csv
import io
import re
from collections.abc import Collection, Iterator
from typing import NamedTuple

from gtzan_jax.errors import InputError

SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}


class Delimited(NamedTuple):
  """A table.

  Attributes:
    separator: a key of SEPARATORS.
    header: names of columns, in lower case.
    rows: (number of the line, cells) of each; as many cells as the header has.
  """

  separator: str
  header: list[str]
  rows: list[tuple[int, list[str]]]


def plain(text: str) -> str:
  """The text with "\\n" between lines, spreadsheets' line "sep=;" emptied."""
  text = re.sub(r"\r\n?", "\n", text)
  return re.sub(r'\A"?sep=.*\n', "\n", text, flags=re.IGNORECASE)


def read(where: str, data: bytes, wanted: Collection[str]) -> Delimited:
  """Takes a table apart.

  Args:
    where: its path, for messages.
    data: the file's content, UTF-8 or, by its first bytes, UTF-16.
    wanted: columns, in lower case.

  Raises:
    InputError: no text, no header, or a row of another number of cells than the
      header. One line, which names the file and the line.
  """
  start = data[:2]
  encoding = "utf-16" if start in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
  try:
    text = plain(data.decode(encoding))
    wanted = set(wanted)
    separator = max(
      SEPARATORS,
      key=lambda one: (
        len(wanted & set(next(_rows(text, one), (0, []))[1])),
        -list(SEPARATORS).index(one),
      ),
    )
    rows = list(_rows(text, separator))
  except (csv.Error, UnicodeError) as error:
    raise InputError(f"{where} cannot be read as a csv: {error}") from error
  if not rows:
    raise InputError(f"{where} is empty; a table begins with a header")
  header = rows.pop(0)[1]
  for number, cells in rows:
    while len(cells) > len(header) and not cells[-1]:
      cells.pop()
    if len(cells) != len(header):
      raise InputError(
        f"{where} line {number}: {len(cells)} cells, and the header has"
        f" {len(header)}, separated by {SEPARATORS[separator]}"
      )
  return Delimited(separator, header, rows)


def _rows(text: str, separator: str) -> Iterator[tuple[int, list[str]]]:
  """(number of the line, cells) of what is not empty, the header first."""
  reader = csv.reader(
    io.StringIO(text, newline=""), delimiter=separator, skipinitialspace=True
  )
  header = True
  for row in reader:
    cells = [cell.strip() for cell in row]
    if not any(cells):
      continue
    if header:
      cells = [cell.casefold() for cell in cells]
      header = False
    yield reader.line_num, cells
