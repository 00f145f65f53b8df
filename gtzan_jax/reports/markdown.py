"""Tables of Markdown that read well on a console too."""

import re
from collections.abc import Iterable, Sequence

from gtzan_jax import errors


def text(value: object) -> str:
  """A name that somebody gave, as text in a page: it ends no cell, starts no
  link, no element of HTML and no emphasis, and is one line."""
  escaped = _cell(re.sub(r"&(?=#?\w+;)", "&amp;", str(value)))
  return re.sub(r"[`*]|\](?=\()", lambda mark: f"\\{mark[0]}", escaped)


def _cell(value: object) -> str:
  line = errors.shown(str(value))
  return line.replace("|", "&#124;").replace("<", "&lt;")


def table(
  head: Sequence[str],
  rows: Iterable[Sequence[object]],
  numbers: int | None = None,
) -> str:
  """Lines with columns of equal width.

  Args:
    head: the names of the columns.
    rows: cells of any kind; a | in one does not end it, and no < begins an
      element of HTML.
    numbers: the first of the columns that are set to the right; None: no one.
  """
  cells = [[_cell(x) for x in row] for row in (head, *rows)]
  widths = [max(3, *map(len, column)) for column in zip(*cells, strict=True)]
  left = len(widths) if numbers is None else numbers
  sides = [str.ljust if i < left else str.rjust for i in range(len(widths))]
  lines = [
    [side(x, w) for side, x, w in zip(sides, row, widths, strict=True)]
    for row in cells
  ]
  rule = [
    "-" * w if i < left else f"{'-' * (w - 1)}:" for i, w in enumerate(widths)
  ]
  lines.insert(1, rule)
  return "\n".join(f"| {' | '.join(line)} |" for line in lines)
