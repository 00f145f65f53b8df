"""One line a recipe: published, ours as the source split, ours honestly."""

import collections
from collections.abc import Iterable, Mapping, Sequence

from gtzan_jax.reports.published import PUBLISHED


def overview(tables: Iterable[Mapping]) -> list[dict]:
  """The rows of a leaderboard's tables, brought together by recipe.

  Synthetic music and external tests have no place in it. Of several candidates
  the one of most tracks stands; of several settings that of most seeds, then
  the best. Tables whose tracks are mostly by artists of the train part are
  taken where there is no other, and so are single folds.

  Args:
    tables: from `leaderboard.build`.

  Returns:
    a dict a recipe: recipe, published (a Published or None), same and honest (a
    row with its table as "table", or None): measured under the protocol that is
    the source's own, and under one that does not leak. Lines of one honest
    table stand together, that of most tracks first, the best line first.
  """
  rows = collections.defaultdict(list)
  for table in tables:
    if not table["synthetic"] and not table["collection"]:
      for row in table["rows"]:
        rows[row["recipe"]].append({**row, "table": table})
  lines = [_line(recipe, found) for recipe, found in rows.items()]
  return sorted(lines, key=_place)


def _line(recipe: str, rows: Sequence[Mapping]) -> dict:
  published = PUBLISHED.get(recipe)
  own = published.protocol if published else None
  return {
    "recipe": recipe,
    "published": published,
    "same": _chosen(row for row in rows if row["table"]["protocol"] == own),
    "honest": _chosen(row for row in rows if not row["table"]["leak"]),
  }


def _chosen(rows: Iterable[Mapping]) -> Mapping | None:
  return max(
    rows,
    key=lambda row: (
      not row["table"]["artists_decide"],
      not row["table"]["single_fold"],
      row["table"]["n"],
      len(row["seeds"]),
      row["track"].mean,
    ),
    default=None,
  )


def _place(line: Mapping) -> tuple:
  row = line["honest"]
  if row is None:
    return (1, 0, "", 0, line["recipe"])
  table = row["table"]
  where = f"{table['corpus']} {table['source']} {table['protocol']}"
  return (0, -table["n"], where, -row["track"].mean, line["recipe"])
