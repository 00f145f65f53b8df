"""Evaluation protocols: from a track table to train, validation and test.

Each is a pure function of the rows, the fold and the split seed. Prepared data
is random access, so another protocol prepares nothing again. Numbers in names
are train_validation_test in percent. Only the `leaky_*` ones let what is tested
be known beforehand; they repeat published recipes and say so.
"""

import collections
import dataclasses
import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence

from gtzan_jax.errors import InputError
from tfds_gtzan import cuts
from tfds_gtzan.cuts import PARTS, Parts, Unit
from tfds_gtzan.track import Row, in_genre_order


@dataclasses.dataclass(frozen=True)
class Protocol:
  """How to cut a track table.

  Attributes:
    cut: (rows sorted by id, fold, split seed) -> the units of each part. Units
      that are not at hand are left out and counted.
    leak: one sentence on what it leaks; None if nothing.
    folds: how many there are.
    needs: what the corpus must have: "" nothing, "partition" a published one,
      "gtzan" GTZAN's own ids.
  """

  cut: Callable[[Sequence[Row], int, int], Parts]
  leak: str | None = None
  folds: int = 1
  needs: str = ""


@dataclasses.dataclass(frozen=True)
class Partition:
  """What a protocol makes of a track table.

  Attributes:
    parts: {"train", "validation", "test"}: (track id, segment index) pairs,
      sorted.
    missing: how many tracks a part's list names that the rows lack.
    leak: one sentence on what the protocol leaks; None if nothing.
    sha256: of each part's track ids, distinct, sorted and a line each.
  """

  parts: Mapping[str, tuple[tuple[str, int], ...]]
  missing: Mapping[str, int]
  leak: str | None
  sha256: Mapping[str, str]


def apply(
  name: str,
  rows: Iterable[Row],
  *,
  genres: Iterable[str] = (),
  fold: int = 0,
  split_seed: int = 42,
  train_fraction: float = 1.0,
) -> Partition:
  """Cuts a track table by the protocol of that name.

  Args:
    name: a key of `PROTOCOLS`.
    rows: the track table, in any order.
    genres: those to keep, two or more; none for all. A genre is cut the same
      whichever others are kept.
    fold: the fold that is tested, for protocols with folds.
    split_seed: decides whatever is random, alone.
    train_fraction: share of the train part's tracks to keep in each genre (of
      its segments where segments are split); a smaller share is a subset of a
      larger one.

  Raises:
    InputError: unknown protocol, a genre, fold or fraction that does not exist,
      one genre only, a corpus that cannot carry the protocol, or is too small
      for it.
  """
  check(name, fold=fold, train_fraction=train_fraction)
  rows = sorted(rows, key=lambda row: row.id)
  protocol = _get(name, rows)
  genres = _genres(genres, rows)
  try:
    cut = _cut(protocol, rows, genres, fold, split_seed)
  except InputError as error:
    raise InputError(f"protocol {name!r}: {error}") from error
  by_id = {row.id: row for row in rows}
  at_hand = {
    part: {unit for unit in cut[part] if unit[0] in by_id} for part in PARTS
  }
  missing = {part: len(set(cut[part]) - at_hand[part]) for part in PARTS}
  if not at_hand["train"]:
    raise InputError(
      f"protocol {name!r}: not one track of its train part is at hand"
      f" ({missing['train']} missing); take another protocol"
    )
  if train_fraction < 1:
    at_hand["train"] = _fraction(
      at_hand["train"], by_id, train_fraction, split_seed
    )
  return Partition(
    parts={part: _segments(at_hand[part], by_id) for part in PARTS},
    missing=missing,
    leak=protocol.leak,
    sha256={part: _digest(at_hand[part]) for part in PARTS},
  )


def check(name: str, *, fold: int, train_fraction: float) -> None:
  """Refuses, without any rows, what `apply` would refuse of every corpus."""
  if name not in PROTOCOLS:
    raise InputError(
      f"unknown protocol {name!r}; there are {', '.join(PROTOCOLS)}"
    )
  folds = PROTOCOLS[name].folds
  if fold not in range(folds):
    known = f"0 to {folds - 1}" if folds > 1 else "only 0"
    raise InputError(f"fold {fold} of protocol {name!r}: there is {known}")
  if not 0 < train_fraction <= 1:
    raise InputError(f"train_fraction {train_fraction} is not in (0, 1]")


# What apply() is made of.

_NEEDS = {
  "gtzan": "published lists of GTZAN, of whose tracks this corpus has none",
  "partition": "a published partition, and this corpus has none",
}


def _get(name: str, rows: Sequence[Row]) -> Protocol:
  has = {"": True, "gtzan": cuts.is_gtzan(rows)}
  has["partition"] = has["gtzan"] or any(row.partition in PARTS for row in rows)
  if not has[PROTOCOLS[name].needs]:
    able = [key for key, value in PROTOCOLS.items() if has[value.needs]]
    raise InputError(
      f"protocol {name!r} follows {_NEEDS[PROTOCOLS[name].needs]}; it can carry"
      f" {', '.join(able)}"
    )
  return PROTOCOLS[name]


def _genres(wanted: Iterable[str], rows: Sequence[Row]) -> set[str]:
  """The genres to keep, checked; none for all."""
  wanted = tuple(str(genre) for genre in wanted)
  known = in_genre_order(row.genre for row in rows)
  unknown = [genre for genre in wanted if genre not in known]
  if unknown or len(set(wanted)) == 1:
    problem = f"unknown genre {unknown[0]!r}" if unknown else "one genre only"
    raise InputError(
      f"genres {', '.join(wanted)}: {problem}; give two or more of"
      f" {', '.join(known)}, or none for all"
    )
  return set(wanted)


def _cut(
  protocol: Protocol,
  rows: Sequence[Row],
  genres: set[str],
  fold: int,
  seed: int,
) -> Parts:
  """Cuts all genres, then keeps some: no cut depends on which are kept."""
  count = collections.Counter(row.genre for row in rows)
  kept = genres or set(count)
  if not protocol.needs:
    # What is not kept and too small to be dealt out stands in nobody's way.
    rows = [row for row in rows if row.genre in kept or count[row.genre] >= 3]
  cut = protocol.cut(rows, fold, seed)
  genre_of = {row.id: row.genre for row in rows}
  if genres:
    cut = {
      part: [
        unit
        for unit in cut[part]
        # What only a list names is GTZAN's, and begins with its genre.
        if genre_of.get(unit[0], unit[0].split(".")[0]) in genres
      ]
      for part in PARTS
    }
  if protocol.folds > 1:
    cuts.require_learnt(cut["train"], genre_of, kept, fold)
  return cut


def _segments(
  units: Iterable[Unit], by_id: Mapping[str, Row]
) -> tuple[tuple[str, int], ...]:
  pairs = []
  for unit in units:
    whole = range(by_id[unit[0]].segments)
    pairs += [unit] if len(unit) == 2 else [(unit[0], s) for s in whole]
  return tuple(sorted(pairs))


def _digest(units: Iterable[Unit]) -> str:
  lines = "".join(f"{name}\n" for name in sorted({unit[0] for unit in units}))
  return hashlib.sha256(lines.encode()).hexdigest()


def _fraction(
  units: Iterable[Unit], by_id: Mapping[str, Row], fraction: float, seed: int
) -> set[Unit]:
  kept = set()
  for of_genre in cuts.by_genre(units, by_id).values():
    order = cuts.ranked(of_genre, seed, "fraction")
    kept.update(order[: max(1, round(fraction * len(order)))])
  return kept


_SHARED_TRACKS = (
  "Segments of one track stand in train and in test, so the score measures how"
  " well tracks are recognised again, not how well genres are."
)

PROTOCOLS: dict[str, Protocol] = {
  "tracks_70_10_20": Protocol(cuts.random(0.1, 0.2)),
  "tracks_70_20_10": Protocol(cuts.random(0.2, 0.1)),
  # An eighth of the 80 validates: as many tracks as tracks_70_10_20 has.
  "tracks_80_20": Protocol(cuts.random(0.8 / 8, 0.2)),
  "stratified": Protocol(cuts.stratified, needs="gtzan"),
  "filtered": Protocol(cuts.filtered, needs="partition"),
  "filtered_strict": Protocol(cuts.filtered_strict, needs="partition"),
  "kfold10": Protocol(cuts.track_folds, folds=10),
  "artist_kfold": Protocol(cuts.artist_folds, folds=3),
  "leaky_segments_70_20_10": Protocol(
    cuts.random(0.2, 0.1, whole_tracks=False), leak=_SHARED_TRACKS
  ),
  "leaky_segments_80_20": Protocol(
    cuts.random(0.8 / 8, 0.2, whole_tracks=False), leak=_SHARED_TRACKS
  ),
  "leaky_selection_80_20": Protocol(
    cuts.selected_on_test,
    leak=(
      "The checkpoint is chosen on the very tracks that are reported, so the"
      " score is the best of many tries at the test."
    ),
  ),
}
