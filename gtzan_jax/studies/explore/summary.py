"""Summaries of a corpus from one row per track, as plain values.

A row is a dict: `id`, `genre`, `artist`, `partition`, `digest`, `faults` and
`values` {measure: number}.
"""

import collections
import math
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

PARTITIONS = ("train", "validation", "test", "unlisted")
BINS = 24
# What lies beyond these percentiles stands in the outermost bars, so that one
# odd track does not press all others into one bar.
_EDGES = (1, 99)
_NUMBERS = ("mean", "std", "min", "median", "max")


def plain(value: float) -> float | None:
  """Six digits, for JSON; None if not finite."""
  return float(f"{value:.6g}") if math.isfinite(value) else None


def balance(
  genres: Sequence[str], rows: Sequence[Mapping], skipped: Sequence[Mapping]
) -> dict[str, dict]:
  """Tracks, unreadable tracks, partitions and `artists` ([name, tracks], most
  frequent first) of each genre."""
  table = {}
  for genre in genres:
    own = [row for row in rows if row["genre"] == genre]
    artists = collections.Counter(row["artist"] for row in own)
    nobody = artists.pop("", 0)
    parts = collections.Counter(row["partition"] for row in own)
    table[genre] = {
      "tracks": len(own),
      "unreadable": sum(row["genre"] == genre for row in skipped),
      "artists": sorted(
        map(list, artists.items()), key=lambda pair: (-pair[1], pair[0])
      ),
      "artist_unknown": nobody,
      "partitions": {part: parts[part] for part in PARTITIONS},
    }
  return table


def _columns(
  names: Iterable[str], rows: Sequence[Mapping]
) -> dict[str, np.ndarray]:
  """{measure: float64 [tracks]}, NaN where a track has none."""
  return {
    name: np.array([row["values"].get(name, math.nan) for row in rows])
    for name in names
  }


def statistics(
  names: Iterable[str], genres: Sequence[str], rows: Sequence[Mapping]
) -> dict[str, dict]:
  """{measure: {"all": numbers, "genres": {genre: numbers}, "edges": [25],
  "counts": {genre: [24]}, "between": share of variance between genres}}; std
  divides by n; None where undefined."""
  label = np.array([row["genre"] for row in rows])
  table = {}
  for name, column in _columns(names, rows).items():
    there = np.isfinite(column)
    column = column[there]
    parts = {genre: column[label[there] == genre] for genre in genres}
    edges = _edges(column)
    table[name] = {
      "all": _numbers(column),
      "genres": {genre: _numbers(part) for genre, part in parts.items()},
      "edges": [plain(edge) for edge in edges],
      "counts": {
        genre: np.histogram(part.clip(edges[0], edges[-1]), edges)[0].tolist()
        for genre, part in parts.items()
      },
      "between": _between(column, parts.values()),
    }
  return table


def _edges(column: np.ndarray) -> np.ndarray:
  low, high = np.percentile(column, _EDGES) if len(column) else (0, 1)
  if low == high:
    low, high = column.min(), column.max()
  if low == high:
    low, high = low - 0.5, high + 0.5
  return np.linspace(low, high, BINS + 1)


def _numbers(values: np.ndarray) -> dict:
  return {"n": len(values)} | {
    name: plain(getattr(np, name)(values)) if len(values) else None
    for name in _NUMBERS
  }


def _between(column: np.ndarray, parts: Iterable[np.ndarray]) -> float | None:
  """Eta squared: the share of variance between the genres' means."""
  if not len(column) or np.ptp(column) == 0:
    return None
  mean = column.mean()
  between = sum(
    len(part) * (part.mean() - mean) ** 2 for part in parts if len(part)
  )
  return plain(between / ((column - mean) ** 2).sum())


def correlation(names: Iterable[str], rows: Sequence[Mapping]) -> dict:
  """Pearson's r over the tracks that have all measures: "names" and "matrix"
  [n, n], without constant measures."""
  columns = _columns(names, rows)
  values = np.array(list(columns.values()))
  values = values[:, np.isfinite(values).all(axis=0)]
  if values.shape[1] < 3:
    return {"names": [], "matrix": []}
  varies = np.ptp(values, axis=1) > 1e-9 * np.abs(values).max(axis=1)
  kept = [name for name, v in zip(columns, varies, strict=True) if v]
  matrix = np.atleast_2d(np.corrcoef(values[varies])) if kept else np.zeros(0)
  return {
    "names": kept,
    "matrix": [[plain(r) for r in row] for row in matrix.round(4)],
  }


def duplicates(
  rows: Sequence[Mapping], published: Iterable[tuple[str, str]]
) -> dict:
  """ "groups" of ids with equal content; "published", the number of pairs
  present; "not_identical", those of them that differ here."""
  by_digest = collections.defaultdict(list)
  for row in rows:
    by_digest[row["digest"]].append(row["id"])
  digest_of = {row["id"]: row["digest"] for row in rows}
  pairs = [pair for pair in published if set(pair) <= digest_of.keys()]
  return {
    "groups": [ids for ids in by_digest.values() if len(ids) > 1],
    "published": len(pairs),
    "not_identical": [[a, b] for a, b in pairs if digest_of[a] != digest_of[b]],
  }


def coverage(
  lists: Mapping[str, Mapping[str, Iterable[str]]], rows: Sequence[Mapping]
) -> dict[str, dict]:
  """{list: {part: {"listed": tracks it names, "at_hand": tracks here}}}."""
  here = {row["id"] for row in rows}
  return {
    name: {
      part: {"listed": len(set(ids)), "at_hand": len(here & set(ids))}
      for part, ids in parts.items()
    }
    for name, parts in lists.items()
  }
