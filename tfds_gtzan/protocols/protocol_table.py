"""Evaluation protocols: from a track table to train, validation and test.

Each is a pure function of the rows, the fold and the split seed. Numbers in
names are train_validation_test in per cent. Only `leaky_*` protocols leak.
"""

import collections
import dataclasses
import itertools
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

from gtzan_jax.errors import InputError
from gtzan_jax.scores import predictions
from gtzan_jax.scores.artist_names import credited
from tfds_gtzan.corpora.types import Row, in_genre_order
from tfds_gtzan.protocols import leak_arms, splitters
from tfds_gtzan.protocols.splitters import SPLITS, Splits, Unit

OWN = "splits"  # the protocol name where config.data.splits is given


@dataclasses.dataclass(frozen=True)
class Protocol:
  """How to cut a track table.

  Attributes:
    cut: (rows sorted by id, fold, split seed) -> the units (tracks or segments)
      of each split. Units absent from the corpus are left out and counted.
    leak: one sentence on what it leaks; None if nothing.
    needs: what the corpus must have: "" nothing, "partition" a published
      partition, "gtzan" GTZAN's ids, "artists" the artists of most tracks.
  """

  cut: Callable[[Sequence[Row], int, int], Splits]
  leak: str | None = None
  folds: int = 1
  needs: str = ""


@dataclasses.dataclass(frozen=True)
class Partition:
  """A track table cut by a protocol.

  Attributes:
    protocol: its name; for an arm of the leakage meter, "<arm> of <name>".
    parts: {"train", "validation", "test"}: (track id, segment index) pairs,
      sorted.
    missing: {split: number of listed tracks absent from the rows}.
    leak: one sentence on what the protocol leaks; None if nothing.
    sha256: {split: digest of its track ids, distinct, sorted, one per line}.
    touched: for an arm of the leakage meter, the test tracks that it leaks.
    notes: sentences for the user.
  """

  protocol: str
  parts: Mapping[str, tuple[tuple[str, int], ...]]
  missing: Mapping[str, int]
  leak: str | None
  sha256: Mapping[str, str]
  touched: tuple[str, ...] = ()
  notes: tuple[str, ...] = ()


def apply(
  name: str,
  rows: Iterable[Row],
  *,
  genres: Iterable[str] = (),
  fold: int = 0,
  split_seed: int = 42,
  train_fraction: float = 1.0,
  train_segments: int = 0,
  leak: str = "",
  leak_share: float = 0.5,
  own: Mapping[str, Iterable[str]] | None = None,
) -> Partition:
  """Cuts a track table by a protocol.

  Args:
    name: a key of `PROTOCOLS`.
    rows: the track table, in any order.
    genres: those to keep, two or more; empty for all. How a genre is cut does
      not depend on which others are kept.
    fold: the test fold, for protocols with folds.
    split_seed: the only source of randomness.
    train_fraction: share of the train split's tracks to keep in each genre (of
      its segments where segments are split); a smaller share is a subset of a
      larger one.
    train_segments: number of train segments to keep, genres in proportion, in
      whole tracks where possible; a smaller number is a subset of a larger one;
      0 keeps all.
    leak: the arm of the leakage meter to derive from the protocol, a key of
      `leak_arms.ARMS`; "" for the protocol itself.
    leak_share: see `share` of `leak_arms.cut`.
    own: {split: track ids} to use in place of the protocol.

  Raises:
    InputError: unknown protocol, a genre, fold, fraction or arm that does not
      exist, one genre only, or a corpus that lacks what the protocol or the arm
      needs, or is too small for it.
  """
  check(
    name,
    fold=fold,
    train_fraction=train_fraction,
    train_segments=train_segments,
    leak=leak,
    leak_share=leak_share,
    own=own is not None,
  )
  rows = sorted(rows, key=lambda row: row.id)
  by_id = {row.id: row for row in rows}
  genres = _genres(genres, rows)
  kept = [row for row in rows if row.genre in genres or not genres]
  protocol = _get(name, rows, kept) if own is None else _own(own)
  name = name if own is None else OWN
  try:
    cut = _cut(protocol, rows, genres, fold, split_seed)
  except InputError as error:
    raise InputError(f"protocol {name!r}: {error}") from error
  present: dict[str, Collection[Unit]] = {
    split: {unit for unit in cut[split] if unit[0] in by_id} for split in SPLITS
  }
  missing = {
    split: len(set(cut[split]).difference(present[split])) for split in SPLITS
  }
  notes = tuple(_notes(protocol, kept, present))
  if not present["train"]:
    raise InputError(
      f"protocol {name!r}: no track of its train split is in the corpus"
      f" ({missing['train']} missing); take another protocol"
    )
  if train_fraction < 1:
    present["train"] = [
      unit
      for order in _shuffled(present["train"], by_id, split_seed)
      for unit in order[: max(1, round(train_fraction * len(order)))]
    ]
  touched: list[str] = []
  if leak:
    try:
      units, touched = leak_arms.cut(
        present, rows, leak, leak_share, split_seed
      )
    except InputError as error:
      raise InputError(f"protocol {name!r} {error}") from error
    present.update(units)
  if train_segments:
    present["train"] = _first(
      present["train"], by_id, train_segments, split_seed
    )
  arm = leak_arms.ARMS.get(leak)
  return Partition(
    protocol=f"{arm.name} of {name}" if arm else name,
    parts={split: _segments(present[split], by_id) for split in SPLITS},
    missing=missing,
    leak=arm.leak if arm else protocol.leak,
    sha256={
      split: predictions.digest(unit[0] for unit in present[split])
      for split in SPLITS
    },
    touched=tuple(touched),
    notes=notes,
  )


def check(
  name: str,
  *,
  fold: int,
  train_fraction: float,
  train_segments: int = 0,
  leak: str = "",
  leak_share: float = 0.5,
  own: bool = False,
) -> None:
  """Raises InputError where `apply` would for every corpus."""
  if name not in PROTOCOLS:
    raise InputError(
      f"unknown protocol {name!r}; there are {', '.join(PROTOCOLS)}"
    )
  folds = PROTOCOLS[name].folds
  if own and fold:
    raise InputError(
      f"fold {fold} of config.data.splits: give the files of one fold, and"
      " config.data.fold=0"
    )
  if fold not in range(folds):
    known = f"folds 0 to {folds - 1}" if folds > 1 else "only fold 0"
    raise InputError(f"fold {fold} of protocol {name!r}: it has {known}")
  if not 0 < train_fraction <= 1:
    raise InputError(f"train_fraction {train_fraction} is not in (0, 1]")
  if train_segments < 0:
    raise InputError(
      f"train_segments {train_segments}: give a number, or 0 for all"
    )
  if leak and leak not in leak_arms.ARMS:
    raise InputError(
      f"unknown arm {leak!r} of the leakage meter; there are"
      f" {', '.join(leak_arms.ARMS)}"
    )
  if leak and PROTOCOLS[name].leak:
    raise InputError(
      f"protocol {name!r} leaks by itself: the leakage meter needs an honest"
      " protocol"
    )
  if not 0 < leak_share < 1:
    raise InputError(f"leak_share {leak_share}: give one above 0 and below 1")


# The steps of apply().

_NEEDS = {
  "gtzan": "follows published lists of GTZAN, and this corpus has none of its"
  " tracks",
  "partition": "follows a published partition, and this corpus has none",
  "artists": (
    "keeps artists apart, and {}, more than a third: give artists by"
    " config.data.artists or config.data.labels, or take another protocol"
  ),
}


def _get(name: str, rows: Sequence[Row], kept: Sequence[Row]) -> Protocol:
  has = {"": True, "gtzan": splitters.is_gtzan(rows)}
  has["partition"] = has["gtzan"] or any(
    row.partition in SPLITS for row in rows
  )
  has["artists"] = 3 * _unknown(kept) <= len(kept)
  if not has[needs := PROTOCOLS[name].needs]:
    able = [key for key, value in PROTOCOLS.items() if has[value.needs]]
    raise InputError(
      f"protocol {name!r} {_NEEDS[needs].format(_artists_unknown(kept))}; this"
      f" corpus supports {', '.join(able)}"
    )
  return PROTOCOLS[name]


def _own(splits: Mapping[str, Iterable[str]]) -> Protocol:
  ids = {split: set(splits[split]) for split in SPLITS}
  pairs = itertools.combinations(ids.values(), 2)
  crossing = sum(len(one & other) for one, other in pairs)
  units = {split: [(track,) for track in ids[split]] for split in SPLITS}
  return Protocol(
    lambda rows, fold, seed: units,
    leak=_SHARED_LISTS.format(crossing) if crossing else None,
    needs=OWN,
  )


def _unknown(rows: Sequence[Row]) -> int:
  return sum(not credited(row.artist) for row in rows)


def _artists_unknown(rows: Sequence[Row]) -> str:
  unknown = _unknown(rows)
  return (
    f"{unknown:,} of {len(rows):,} tracks ({unknown / len(rows):.1%}) have no"
    " known artist"
  )


def _notes(
  protocol: Protocol,
  rows: Sequence[Row],
  splits: Mapping[str, Collection[Unit]],
) -> Iterable[str]:
  """Sentences for the user on what a protocol does with the kept rows."""
  if protocol.needs == "artists":
    alone = ": each counts as an artist of its own, who may be in other folds"
    yield f"{_artists_unknown(rows)}{alone if _unknown(rows) else ''}"
  if protocol.leak:
    return
  tracks = {split: {unit[0] for unit in splits[split]} for split in SPLITS}
  same: dict[int, list[tuple[str, str]]] = collections.defaultdict(list)
  for row, recording in zip(rows, splitters.recordings(rows), strict=True):
    same[recording] += [(k, row.id) for k in SPLITS if row.id in tracks[k]]
  crossing = [own for own in same.values() if len(dict(own)) > 1]
  if crossing:
    example = " = ".join(track for _, track in crossing[0])
    yield (
      f"warning: {len(crossing)} recordings are in two splits of this"
      f" protocol's lists under several names, as {example}"
    )


def _genres(wanted: Iterable[str], rows: Sequence[Row]) -> set[str]:
  """The genres to keep, checked; empty for all."""
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
) -> Splits:
  """Cuts all genres, then keeps some: the kept ones do not change the cut."""
  count = collections.Counter(row.genre for row in rows)
  kept = genres or set(count)
  if protocol.needs in ("", "artists"):
    # Genres that are not kept may be too small to be cut: leave them out.
    rows = [row for row in rows if row.genre in kept or count[row.genre] >= 3]
  cut = protocol.cut(rows, fold, seed)
  genre_of = {row.id: row.genre for row in rows}
  if genres:
    cut = {
      split: [
        unit
        for unit in cut[split]
        # A track absent from the rows is a listed GTZAN id: <genre>.<number>.
        if genre_of.get(unit[0], unit[0].split(".")[0]) in genres
      ]
      for split in SPLITS
    }
  if protocol.needs in ("", "artists"):
    learnt = {genre_of[unit[0]] for unit in cut["train"]}
    for genre in sorted(kept - learnt):
      raise InputError(
        f"fold {fold} leaves no {genre} to train on: it has too few artists or"
        " recordings of its own; take a protocol that splits tracks"
      )
  return cut


def _segments(
  units: Iterable[Unit], by_id: Mapping[str, Row]
) -> tuple[tuple[str, int], ...]:
  pairs: list[Unit] = []
  for unit in units:
    whole = range(by_id[unit[0]].segments)
    pairs += [unit] if len(unit) == 2 else [(unit[0], s) for s in whole]
  return tuple(sorted(pairs))


def _shuffled(
  units: Iterable[Unit], by_id: Mapping[str, Row], seed: int
) -> list[list[Unit]]:
  """The units of each genre in the order in which they are kept."""
  genres = splitters.by_genre(units, by_id).values()
  return [splitters.ranked(own, seed, "fraction") for own in genres]


def _first(
  units: Iterable[Unit], by_id: Mapping[str, Row], number: int, seed: int
) -> list[Unit]:
  """`number` segments: the first of each genre, its tracks in random order."""
  placed = []
  for own in _shuffled(units, by_id, seed):
    order = [segment for unit in own for segment in _segments([unit], by_id)]
    # Sorted by relative position in the genre, so genres are in proportion.
    placed += [
      ((i + 0.5) / len(order), segment) for i, segment in enumerate(order)
    ]
  if number > len(placed):
    raise InputError(
      f"train_segments {number}: the train split has {len(placed)}"
    )
  return [segment for _, segment in sorted(placed)[:number]]


_SHARED_LISTS = (
  "Tracks stand in two of the splits that were given, {} in all, so what is"
  " tested was known beforehand."
)
_SHARED_TRACKS = (
  "Segments of one track stand in train and in test, so the score measures how"
  " well tracks are recognised again, not how well genres are."
)

PROTOCOLS: dict[str, Protocol] = {
  "tracks_70_10_20": Protocol(splitters.random(0.1, 0.2)),
  "tracks_70_20_10": Protocol(splitters.random(0.2, 0.1)),
  # Validation is an eighth of the 80 %, as large as in tracks_70_10_20.
  "tracks_80_20": Protocol(splitters.random(0.8 / 8, 0.2)),
  "stratified": Protocol(splitters.stratified, needs="gtzan"),
  "filtered": Protocol(splitters.filtered, needs="partition"),
  "filtered_strict": Protocol(splitters.filtered_strict, needs="partition"),
  "kfold10": Protocol(splitters.track_folds, folds=10),
  "artist_kfold": Protocol(splitters.artist_folds, folds=3, needs="artists"),
  "leaky_segments_70_20_10": Protocol(
    splitters.random(0.2, 0.1, whole_tracks=False), leak=_SHARED_TRACKS
  ),
  "leaky_segments_80_20": Protocol(
    splitters.random(0.8 / 8, 0.2, whole_tracks=False), leak=_SHARED_TRACKS
  ),
  "leaky_selection_80_20": Protocol(
    splitters.selected_on_test,
    leak=(
      "The checkpoint is chosen on the very tracks that are reported, so the"
      " score is the best of many tries at the test."
    ),
  ),
}
