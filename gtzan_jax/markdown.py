"""Tables of Markdown that read well on a console too."""

from collections.abc import Iterable, Sequence


def table(
  head: Sequence[str],
  rows: Iterable[Sequence[object]],
  numbers: int | None = None,
) -> str:
  """Lines with columns of equal width.

  Args:
    head: the names of the columns.
    rows: cells of any kind; a | in one does not end it.
    numbers: the first of the columns that are set to the right; None: no one.
  """
  cells = [
    [str(x).replace("|", "&#124;") for x in row] for row in (head, *rows)
  ]
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
