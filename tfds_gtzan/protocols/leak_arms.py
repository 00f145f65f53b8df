"""The arms of the leakage meter: one honest partition, three train splits.

All arms test the same segments and train on as many segments of every genre.
Each tested track has a slot in the train split; what fills it makes the arm:
another track by another artist (clean), untested segments of the tested track
(tracks), other songs by its artist (artists). What may cross in the clean arm,
and which held-out tracks are not tested for that: docs/measures.md.
"""

import collections
import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from gtzan_jax.errors import InputError
from gtzan_jax.scores.artist_names import artist_key
from tfds_gtzan.corpora.types import Row
from tfds_gtzan.facts import track_lists
from tfds_gtzan.protocols.splitters import (
  SPLITS,
  Splits,
  Unit,
  artist_groups,
  ranked,
  recordings,
)

Segment = tuple[str, int]


class Arm(NamedTuple):
  """An arm's name in reports, and a sentence on its leak."""

  name: str
  leak: str | None


# Stored with the runs: runs of equal text are compared.
_LEAK = (
  "Other {} stand in train, on purpose: only the difference to the leak meter's"
  " clean arm means anything."
)
ARMS: dict[str, Arm] = {
  "clean": Arm("leak_meter_clean", None),
  "tracks": Arm(
    "leaky_meter_tracks", _LEAK.format("segments of the tested tracks")
  ),
  "artists": Arm(
    "leaky_meter_artists", _LEAK.format("tracks by the tested artists")
  ),
}


class Slot(NamedTuple):
  """A tested track's segments, and what may fill its slot in the train split.

  `stranger` fills what the arm's `fill` leaves open.
  """

  tested: list[Segment]
  stranger: list[Segment]
  fill: Mapping[str, list[Segment]]


def cut(
  splits: Splits, rows: Sequence[Row], arm: str, share: float, seed: int
) -> tuple[dict[str, list[Segment]], list[str]]:
  """The segments of each split in an arm, and the tested tracks that it leaks.

  Those have, in `tracks` their own, in `artists` their artist's segments in
  train. `splits` are whole tracks, none in two; tested is `test`, or
  `validation` where test is empty. A slot has a `share` of the tested track's
  segments; at least one, and one is tested. InputError: no slot can be filled.
  """
  by_id = {row.id: row for row in rows}
  tracks = {split: {unit[0] for unit in splits[split]} for split in SPLITS}
  reported = "test" if tracks["test"] else "validation"
  recording = dict(zip(by_id, recordings(rows), strict=True))
  # Of copies one is tested; the others are in no split.
  tracks[reported] = {
    *{recording[track]: track for track in sorted(tracks[reported])}.values()
  }
  group, tracks[reported], apart = _groups(tracks, reported, rows)
  held = {group[track] for track in tracks[reported]}
  slots = [
    slot
    for genre in {row.genre for row in rows}
    for slot in _slots(
      [row for row in rows if row.genre == genre],
      tracks,
      reported,
      group,
      recording,
      share,
      seed,
    )
  ]
  lent = {track for slot in slots for track, _ in slot.stranger}
  free = {
    split: [
      (track, segment)
      for track in tracks[split] - lent
      if group[track] not in held
      for segment in range(by_id[track].segments)
    ]
    for split in ("train", "validation")
  }
  added = [slot.fill.get(arm, []) for slot in slots]
  made = {**free, "test": []}
  for slot, own in zip(slots, added, strict=True):
    made["train"] += own + slot.stranger[len(own) :]
  made[reported] = [segment for slot in slots for segment in slot.tested]
  if not slots:
    raise InputError(
      f"leaves the leakage meter nothing to test: no genre has a {reported}"
      " track and two train tracks by other artists"
    )
  tested = {track for track, _ in made[reported]}
  if len({by_id[track].genre for track in tested}) < 2:
    raise InputError(
      "leaves the leakage meter one genre to test; give a corpus with two or"
      " more"
    )
  learnt = {track for own in added for track, _ in own}
  if arm != "clean" and not learnt:
    raise InputError(f"has no arm {arm!r}: {_why_not(arm, apart)}")
  if arm == "tracks":
    return made, sorted(tested & learnt)
  leaked = {group[track] for track in learnt}
  return made, sorted(track for track in tested if group[track] in leaked)


def _why_not(arm: str, apart: bool) -> str:
  if arm == "tracks":
    return "its held-out tracks have one segment each"
  if apart:
    return "no held-out artist has another track of the same genre"
  return (
    "artists are on both sides in every arm, as without the held-out ones some"
    " genre would lose more than half of its tracks; try filtered or"
    " artist_kfold"
  )


def _groups(
  tracks: Mapping[str, set[str]], reported: str, rows: Sequence[Row]
) -> tuple[dict[str, int], set[str], bool]:
  """Groups of tracks, what may be tested, and whether artists are apart.

  If not, each recording is a group of its own.
  """
  ids = [row.id for row in rows]
  genre = {row.id: row.genre for row in rows}
  group = dict(zip(ids, artist_groups(rows), strict=True))
  others = [tracks[split] for split in {"train", "validation"} - {reported}]

  def most(few: Iterable[str], of: Iterable[str]) -> bool:
    """Are more than half of some genre's tracks among the few?"""
    number = collections.Counter(genre[t] for t in few)
    every = collections.Counter(genre[t] for t in of)
    return any(2 * number[name] > every[name] for name in number)

  def costs(held: set[int]) -> bool:
    return any(most([t for t in o if group[t] in held], o) for o in others)

  held = {group[track] for track in tracks[reported]}
  if costs(held):
    held -= {number for number in held if costs({number})}
  tested = {track for track in tracks[reported] if group[track] in held}
  if costs(held) or most(tracks[reported] - tested, tracks[reported]):
    alone = dict(zip(ids, recordings(rows), strict=True))
    return alone, tracks[reported], False
  return group, tested, True


def _song(track: str) -> str:
  """A key of the track's title, as far as published."""
  return artist_key(track_lists.index().get(track, ("", ""))[1])


def _slots(
  rows: Sequence[Row],
  tracks: Mapping[str, set[str]],
  reported: str,
  group: Mapping[str, int],
  recording: Mapping[str, int],
  share: float,
  seed: int,
) -> Iterator[Slot]:
  """The slots of one genre: as many as half of its train tracks, at most."""

  def order(units: Iterable[Unit]) -> list[Unit]:
    return ranked(units, seed, "leak meter")  # stored splits depend on the name

  def shuffled(ids: Iterable[str]) -> list[str]:
    return [track for (track,) in order((track,) for track in ids)]

  def segments(ids: Iterable[str]) -> list[Segment]:
    return order((t, s) for t in ids for s in range(length[t]))

  length = {row.id: row.segments for row in rows}
  held = {group[track] for track in tracks[reported]}  # of any genre
  of_group = collections.defaultdict(set)
  for track in set().union(*tracks.values()) & length.keys():
    of_group[group[track]].add(track)
  tested: list[str] = []
  alone: list[str] = []
  strangers: list[str] = []
  mates = {}
  for number, ids in of_group.items():
    if number not in held:
      strangers += ids & tracks["train"]
      continue
    # Of all that an artist has, half at most is tested.
    chosen = shuffled(ids & tracks[reported])[: (len(ids) + 1) // 2]
    (tested if len(ids) > 1 else alone).extend(chosen)
    recorded = {recording[track] for track in chosen}
    songs = {_song(track) for track in chosen} - {""}
    mates[number] = iter(
      segments(
        track
        for track in ids.difference(chosen)
        if recording[track] not in recorded and _song(track) not in songs
      )
    )
  pairs = zip(
    [*shuffled(tested), *shuffled(alone)],
    shuffled(strangers)[: len(strangers) // 2],
    strict=False,
  )
  for track, stranger in pairs:
    own = segments([track])
    size = max(1, round(share * len(own)))
    spare = own[: min(size, len(own) - 1)]
    stand_in = segments([stranger])[:size]
    its_artists = itertools.islice(mates[group[track]], len(stand_in))
    yield Slot(
      tested=own[len(spare) :],
      stranger=stand_in,
      fill={"tracks": spare[: len(stand_in)], "artists": list(its_artists)},
    )
