"""Which tracks belong together, so that a split should not part them."""

import collections
import functools
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from tfds_gtzan import cuts, notes, track_lists
from tfds_gtzan.split_names import Split

# Ids of tracks that belong together, and what to say of them.
Group = tuple[Iterable[str], Mapping[str, object]]


class Look(NamedTuple):
  """What reading tracks tells.

  Attributes:
    digests: {id: digest of its content}.
    near: (id, id, likeness, offset in seconds) of each two that are alike;
      None where nobody has compared them.
    skipped: {id: reason} of what cannot be read.
  """

  digests: Mapping[str, str] = {}
  near: Sequence[tuple[str, str, float, float]] | None = None
  skipped: Mapping[str, str] = {}


@functools.cache
def songs() -> Mapping[str, str]:
  """ "artist: title" of each of GTZAN's tracks of which both are known."""
  return {
    track: f"{artist}: {title}"
    for track, (artist, title) in notes.index().items()
    if artist and title
  }


def groups(split: Split, found: Look) -> dict[str, list[Group] | None]:
  """The groups of each kind, the gravest first; None where nobody looked.

  Args:
    split: the tracks in question.
    found: what reading them told.

  Returns:
    "tracks": each by itself; "duplicates": the same content, or published as
    such; "near_duplicates": two that are alike and are none; "songs" and
    "artists": the same by their index, whatever recording.
  """
  placed = split.tracks()
  known = [one for one in placed if one in split.genres]
  gtzan = {one: songs().get(one, "") for one in known}
  same = [(ids, {"by": "content"}) for ids in _alike(found.digests)]
  together = [set(ids) for ids, _ in same]
  same += [
    (pair, {"by": "published"})
    for pair in track_lists.duplicates()
    if set(pair) <= set(placed)
    and not any(set(pair) <= ids for ids in together)
  ]
  together = [set(ids) for ids, _ in same]
  near = found.near and [
    (
      (a, b),
      {"likeness": round(likeness, 3), "offset": round(offset, 2)}
      | (_shared((a, b), song=gtzan) or _shared((a, b), artist=split.artists)),
    )
    for a, b, likeness, offset in found.near
    if not any({a, b} <= ids for ids in together)
  ]
  return {
    "tracks": [((one,), _pieces(one, split)) for one in placed],
    "duplicates": same,
    "near_duplicates": near,
    "songs": [(ids, _shared(ids, song=gtzan)) for ids in _alike(_keys(gtzan))],
    "artists": [
      (ids, _shared(ids, artist=split.artists))
      for ids in _alike(_keys({i: split.artists.get(i, "") for i in placed}))
    ],
  }


def _pieces(track: str, split: Split) -> dict[str, dict[str, int]]:
  """How many pieces of a track each part has, if any has some."""
  pieces = {
    part: len(own[track] - {""})
    for part, own in split.parts.items()
    if track in own
  }
  return {"pieces": pieces} if any(pieces.values()) else {}


def _keys(names: Mapping[str, str]) -> dict[str, str]:
  return {one: cuts.artist_key(name) for one, name in names.items()}


def _alike(values: Mapping[str, str]) -> list[list[str]]:
  """Two ids or more of which the same is said, "" apart."""
  groups = collections.defaultdict(list)
  for one, value in sorted(values.items()):
    groups[value].append(one)
  groups.pop("", None)
  return [ids for ids in groups.values() if len(ids) > 1]


def _shared(ids: Sequence[str], **said: Mapping[str, str]) -> dict[str, str]:
  """{"artist": name} where it is one name of all, as the first has it."""
  ((word, names),) = said.items()
  found = {cuts.artist_key(names.get(one, "")) for one in ids}
  alone = len(found) == 1 and "" not in found
  return {word: names[ids[0]]} if alone else {}
