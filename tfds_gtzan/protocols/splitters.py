"""The cuts behind the protocols: from a track table to units of each split.

Every cut is a pure function `(rows sorted by id, fold, seed) -> Splits`. Random
ones rank units by a hash of seed and unit, independent of the order of rows.
"""

import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from gtzan_jax.errors import InputError
from gtzan_jax.scores.artist_names import credited, joined
from tfds_gtzan.corpora.types import Row, Track
from tfds_gtzan.facts import track_lists

SPLITS = ("train", "validation", "test")

# What is dealt out: a track (id,) or one segment of it (id, index).
Unit = tuple[Any, ...]
Splits = Mapping[str, Iterable[Unit]]


def by_genre(
  units: Iterable[Unit], by_id: Mapping[str, Row]
) -> dict[str, list[Unit]]:
  genres = defaultdict(list)
  for unit in units:
    genres[by_id[unit[0]].genre].append(unit)
  return dict(sorted(genres.items()))


def ranked(units: Iterable[Unit], seed: int, use: str) -> list[Unit]:
  """A random order that depends on seed, use and the units alone."""

  def rank(unit: Unit) -> bytes:
    return hashlib.sha256(f"{use} {seed} {unit}".encode()).digest()

  return sorted(units, key=rank)


# Random protocols.


def _enough(
  rows: Sequence[Row], whole_tracks: bool = True
) -> dict[str, list[Unit]]:
  """The units of each genre; InputError where one has fewer than three."""
  units: list[Unit] = [(row.id,) for row in rows]
  if not whole_tracks:
    units = [(row.id, s) for row in rows for s in range(row.segments)]
  what = "tracks" if whole_tracks else "segments"
  genres = by_genre(units, {row.id: row for row in rows})
  for genre, own in genres.items():
    if len(own) < 3:
      raise InputError(
        f"the genre {genre} has {len(own)} {what} and needs at least 3, one for"
        " each split"
      )
  return genres


Cut = Callable[[Sequence[Row], int, int], Splits]


def _recordings_whole(cut: Cut) -> Cut:
  """Cuts the longest track of each recording; its copies follow it.

  Where segments are dealt out, each of a copy's follows the original's.
  """

  def of_all(rows: Sequence[Row], fold: int, seed: int) -> Splits:
    same = defaultdict(list)
    for row, recording in zip(rows, recordings(rows), strict=True):
      same[recording].append(row)
    copies = {
      max(own, key=lambda r: r.segments).id: own for own in same.values()
    }
    try:
      splits = cut([row for row in rows if row.id in copies], fold, seed)
    except InputError as error:
      once = "; copies of a recording count once"
      raise InputError(f"{error}{once * (len(copies) < len(rows))}") from error
    return {
      split: [
        (copy.id, *segment)
        for track, *segment in splits[split]
        for copy in copies[track]
        if not segment or segment[0] < copy.segments
      ]
      for split in SPLITS
    }

  return of_all


def random(validation: float, test: float, *, whole_tracks: bool = True) -> Cut:
  """Stratified by genre: shares of each genre, rounded, never below one."""

  @_recordings_whole
  def cut(rows: Sequence[Row], fold: int, seed: int) -> Splits:
    del fold
    splits: dict[str, list[Unit]] = {split: [] for split in SPLITS}
    for of_genre in _enough(rows, whole_tracks).values():
      tested = max(1, round(test * len(of_genre)))
      held_out = tested + max(1, round(validation * len(of_genre)))
      order = ranked(of_genre, seed, "split")
      splits["test"] += order[:tested]
      splits["validation"] += order[tested:held_out]
      splits["train"] += order[held_out:]
    return splits

  return cut


def selected_on_test(rows: Sequence[Row], fold: int, seed: int) -> Splits:
  """Train 80, test 20, and the test split is the validation split as well."""
  splits = random(0.1, 0.2)(rows, fold, seed)
  return {
    "train": [*splits["train"], *splits["validation"]],
    "validation": splits["test"],
    "test": splits["test"],
  }


@_recordings_whole
def track_folds(rows: Sequence[Row], fold: int, seed: int) -> Splits:
  """Ten folds, each with a tenth of every genre."""
  if len(rows) < 10:
    raise InputError(f"the corpus has {len(rows)} tracks; 10 folds need 10")
  dealt = []
  for of_genre in _enough(rows).values():
    dealt += ranked(of_genre, seed, "folds")
  # Dealt round over all genres, so that folds differ by one track at most.
  return _fold_parts([dealt[i::10] for i in range(10)], fold)


def artist_folds(rows: Sequence[Row], fold: int, seed: int) -> Splits:
  """Three folds of like genre mixture; no artist or recording in two."""
  # Imported here: scikit-learn takes a second, and only this needs it.
  from sklearn.model_selection import StratifiedGroupKFold

  _enough(rows)
  groups = artist_groups(rows)
  if len(set(groups)) < 3:
    raise InputError(
      f"the corpus has {len(set(groups))} artists; three folds need three"
    )
  splitter = StratifiedGroupKFold(3, shuffle=True, random_state=seed)
  genres = [row.genre for row in rows]
  split = splitter.split(genres, genres, groups)
  return _fold_parts([[(rows[i].id,) for i in test] for _, test in split], fold)


def _fold_parts(folds: Sequence[Sequence[Unit]], fold: int) -> Splits:
  """Fold `fold` is tested, the next one validates, the others train."""
  validation = (fold + 1) % len(folds)
  others = set(range(len(folds))) - {fold, validation}
  return {
    "train": [unit for i in sorted(others) for unit in folds[i]],
    "validation": folds[validation],
    "test": folds[fold],
  }


def artist_groups(rows: Sequence[Row]) -> list[int]:
  """A number for each row, the same where artist or recording is the same.

  A joint credit ("Lauryn Hill; Bob Marley") joins the tracks of all its names.
  A track without artist is a group of its own.
  """
  return joined(
    [
      [recording, *credited(row.artist)]
      for row, recording in zip(rows, recordings(rows), strict=True)
    ]
  )


def recordings(rows: Sequence[Row | Track]) -> list[int]:
  """A number for each row, the same where the recording is the same.

  That is: the same content, or an exact duplicate published for GTZAN.
  """
  labels = {
    row.id: [("track", row.id), *([row.content] if row.content else [])]
    for row in rows
  }
  for track, other in track_lists.duplicates():
    if track in labels and other in labels:
      labels[other].append(("track", track))
  return joined(list(labels.values()))


# Published lists.


def is_gtzan(rows: Iterable[Row | Track]) -> bool:
  return any(row.id in track_lists.artists() for row in rows)


def _published(rows: Sequence[Row]) -> dict[str, set[str]]:
  """The corpus's own partition; of any of GTZAN the published one in full."""
  if is_gtzan(rows):
    return {k: set(ids) for k, ids in track_lists.splits("filtered").items()}
  return {
    split: {row.id for row in rows if row.partition == split}
    for split in SPLITS
  }


def filtered(rows: Sequence[Row], fold: int, seed: int) -> Splits:
  del fold, seed
  return _tracks(_published(rows))


def filtered_strict(rows: Sequence[Row], fold: int, seed: int) -> Splits:
  """`filtered` without the test tracks of artists in train or validation."""
  del fold, seed
  splits = _published(rows)
  own = {row.id: row.artist for row in rows}
  artist = track_lists.artists() if is_gtzan(rows) else own
  others = splits["train"] | splits["validation"]
  seen = set().union(*(credited(artist[i]) for i in others))
  strict = {i for i in splits["test"] if seen.isdisjoint(credited(artist[i]))}
  return _tracks(splits | {"test": strict})


def stratified(rows: Sequence[Row], fold: int, seed: int) -> Splits:
  del rows, fold, seed
  return _tracks(track_lists.splits("stratified"))


def _tracks(splits: Mapping[str, Iterable[str]]) -> Splits:
  return {split: [(name,) for name in splits[split]] for split in SPLITS}
