"""What is published of each of GTZAN's excerpts: artist, title and faults.

The faults are those that the lists beside this file name. Sturm (2012) counts
43 conspicuous and 63 contentious labels, without a list of them here.
"""

import collections
import functools
from collections.abc import Mapping
from typing import NamedTuple

from gtzan_jax.scores.artist_names import artist_key, credited
from tfds_gtzan.facts import track_lists

STRUCK = "left out of the filtered lists"
REPEATS = "repeats another excerpt"
DISTORTED = "distorted"
# Bob L. Sturm: An Analysis of the GTZAN Music Genre Dataset, ACM MIRUM, 2012.
_DISTORTED = {"reggae.00086": "distorted but for 5 s (Sturm 2012)"}


class About(NamedTuple):
  """Artist, title and {kind of fault: a few words}; "" or empty if unknown."""

  artist: str
  title: str
  notes: Mapping[str, str]


def about(track: str) -> About:
  if track not in track_lists.index():
    return About("", "", {})
  notes = {}
  if track_lists.partition(track) == "unlisted":
    notes[STRUCK] = "a replica, distorted or wrongly labelled (Kereliuk 2015)"
  same = [f"the same sound as {one}" for one in _replicas()[track]]
  same += [f"the same song as {one}" for one in _versions().get(track, ())]
  if same:
    notes[REPEATS] = ", ".join(same)
  if track in _DISTORTED:
    notes[DISTORTED] = _DISTORTED[track]
  return About(*track_lists.index()[track], notes)


@functools.cache
def _replicas() -> Mapping[str, list[str]]:
  replicas = collections.defaultdict(list)
  for one, other in track_lists.duplicates():
    replicas[one].append(other)
    replicas[other].append(one)
  return replicas


@functools.cache
def _versions() -> Mapping[str, list[str]]:
  """Other excerpts with an artist and the title, that are no replicas."""
  songs = collections.defaultdict(list)
  for track, (artist, title) in track_lists.index().items():
    for name in credited(artist) if title else ():
      songs[name, artist_key(title)].append(track)
  versions: dict[str, set[str]] = collections.defaultdict(set)
  for same in songs.values():
    for track in same:
      versions[track] |= {*same} - {track, *_replicas()[track]}
  return {track: sorted(others) for track, others in versions.items()}
