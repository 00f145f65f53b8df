"""Which tracks belong together: duplicates, near-duplicates, songs, artists."""

import collections
import functools
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import tqdm

from gtzan_jax.errors import InputError, StopError
from gtzan_jax.features import audio_fingerprint
from gtzan_jax.scores.artist_names import artist_key, credited
from tfds_gtzan.corpora.types import Track
from tfds_gtzan.facts import track_lists
from tfds_gtzan.split_audit.match_tracks import Split

# Ids of tracks that belong together, and facts about them.
Group = tuple[Iterable[str], Mapping[str, object]]
# Of a track's artists or song: {what is compared: as it is written}.
Names = Mapping[str, str]
# The fingerprint of a track's content, by kind; pictures and tables have none.
_FINGERPRINTS = {
  "audio": lambda held: audio_fingerprint.of_audio(held.samples),
  "logmel": lambda held: audio_fingerprint.fingerprint(held.db, held.n_frames),
}


class Contents(NamedTuple):
  """{id: digest}, the pairs that are alike, and {id: reason not read}.

  `near` has (id, id, likeness, offset in seconds); None: not compared.
  """

  digests: Mapping[str, str] = {}
  near: Sequence[tuple[str, str, float, float]] | None = None
  skipped: Mapping[str, str] = {}


def read(kind: str, tracks: Sequence[Track]) -> Contents:
  digests, prints, skipped = {}, {}, {}
  of_content = _FINGERPRINTS.get(kind)
  for track in tqdm.tqdm(tracks, desc="reading", unit="track", disable=None):
    try:
      content = track.read()
    except StopError:
      raise
    except InputError as error:
      skipped[track.id] = str(error)
      continue
    digests[track.id] = content.facts["content"]
    if of_content:
      prints[track.id] = of_content(content)
  ids = list(prints)
  near = (
    None
    if of_content is None
    else [
      (ids[pair.first], ids[pair.second], pair.likeness, pair.offset)
      for pair in audio_fingerprint.alike(list(prints.values()))
    ]
  )
  return Contents(digests, near, skipped)


@functools.cache
def songs() -> Mapping[str, Names]:
  """ "artist: title", for each artist, of GTZAN's tracks with both known."""
  return {
    track: {
      f"{key}: {artist_key(title)}": f"{name}: {title}"
      for key, name in credited(artist).items()
    }
    for track, (artist, title) in track_lists.index().items()
    if artist and title
  }


def groups(split: Split, contents: Contents) -> dict[str, list[Group] | None]:
  """The groups of each kind, the gravest first; None where not compared.

  "tracks": each by itself; "duplicates": equal content, or published as such;
  "near_duplicates": alike otherwise; "songs" and "artists": by the index.
  """
  placed = split.tracks()
  known = [track for track in placed if track in split.genres]
  song = {track: songs().get(track, {}) for track in known}
  artist = {track: credited(split.artists.get(track, "")) for track in placed}
  content = {t: {digest: ""} for t, digest in contents.digests.items()}
  same: list[Group] = [(ids, {"by": "content"}) for ids, _ in _alike(content)]

  together = [{*ids} for ids, _ in same]

  def apart(a: str, b: str) -> bool:
    return not any({a, b} <= ids for ids in together)

  same += [
    (pair, {"by": "published"})
    for pair in track_lists.duplicates()
    if {*pair} <= {*placed} and apart(*pair)
  ]
  together = [{*ids} for ids, _ in same]
  near: list[Group] | None = contents.near and [  # type: ignore
    (
      (a, b),
      {"likeness": round(likeness, 3), "offset": round(offset, 2)}
      | (_shared(a, b, "song", song) or _shared(a, b, "artist", artist)),
    )
    for a, b, likeness, offset in contents.near
    if apart(a, b)
  ]
  return {
    "tracks": [((track,), _pieces(track, split)) for track in placed],
    "duplicates": same,
    "near_duplicates": near,
    "songs": [(ids, {"song": name}) for ids, name in _alike(song)],
    "artists": [(ids, {"artist": name}) for ids, name in _alike(artist)],
  }


def _pieces(track: str, split: Split) -> dict[str, dict[str, int]]:
  parts = {part: own for part, own in split.parts.items() if track in own}
  pieces = {part: len(own[track] - {""}) for part, own in parts.items()}
  return {"pieces": pieces} if any(pieces.values()) else {}


def _alike(names: Mapping[str, Names]) -> list[tuple[list[str], str]]:
  """Two ids or more that share a name, and that name as the first has it."""
  groups = collections.defaultdict(list)
  for track, own in sorted(names.items()):
    for key in own:
      groups[key].append(track)
  return [
    (ids, names[ids[0]][key]) for key, ids in groups.items() if len(ids) > 1
  ]


def _shared(
  a: str, b: str, word: str, names: Mapping[str, Names]
) -> dict[str, str]:
  """{word: the names that two tracks share, as the first has them}, or {}."""
  others = names.get(b, {})
  shared = [name for key, name in names.get(a, {}).items() if key in others]
  return {word: "; ".join(shared)} if shared else {}
