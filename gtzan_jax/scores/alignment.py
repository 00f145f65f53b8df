"""Aligns tables of predictions on the same rows."""

from collections.abc import Iterator, Sequence

import numpy as np

from gtzan_jax.scores.predictions import Predictions


def rows(table: Predictions) -> list[tuple[str, int]]:
  """(track, segment) of each row."""
  return list(zip(table.track.tolist(), table.segment.tolist(), strict=True))


def same_rows(tables: Sequence[Predictions]) -> bool:
  """Whether all have the same rows, in any order."""
  return len({frozenset(rows(table)) for table in tables}) == 1


def places(first: Predictions, other: Predictions) -> np.ndarray:
  """[N] index in the other table of each row of the first."""
  place = {row: i for i, row in enumerate(rows(other))}
  return np.array([place[row] for row in rows(first)], np.int64)


def differences(first: Predictions, other: Predictions) -> Iterator[str]:
  """Describes how the tracks, genres or labels of two tables differ."""
  if first.genres != other.genres:
    yield (
      f"genres {', '.join(other.genres)} received, {', '.join(first.genres)}"
      " are accepted"
    )
    return
  label_of, labels = (
    dict(zip(table.track.tolist(), table.label.tolist(), strict=True))
    for table in (first, other)
  )
  alone = sorted(label_of.keys() ^ labels.keys())
  if alone:
    side = "first" if alone[0] in label_of else "second"
    number = f"{len(alone)} tracks are" if alone[1:] else "1 track is"
    yield f"{number} in one of them only, such as {alone[0]} in the {side}"
    return
  for track, label in label_of.items():
    if labels[track] != label:
      yield (
        f"track {track} is {first.genres[label]} in the first,"
        f" {first.genres[labels[track]]} in the second"
      )
