"""Whose a track is: which tracks are no independent draws of music."""

from collections import defaultdict
from collections.abc import Sequence

from tfds_gtzan import cuts
from tfds_gtzan.track import Row, Track


def names(tracks: Sequence[Row] | Sequence[Track]) -> dict[str, str]:
  """{track: name}, the same where artist or recording is the same.

  The groups are those of `cuts.artist_groups`. A name is the artist's, in small
  letters without marks; "" where nobody knows.
  """
  groups = defaultdict(list)
  for track, number in zip(tracks, cuts.artist_groups(tracks), strict=True):
    groups[number].append(track)
  return {
    track.id: _name(group) for group in groups.values() for track in group
  }


def _name(group: Sequence[Row] | Sequence[Track]) -> str:
  """Of several that a recording is filed under the first in the alphabet.

  Copies of one recording by nobody known are named by the first of them.
  """
  artists = {cuts.artist_key(track.artist) for track in group} - {""}
  copies = {track.id for track in group} if len(group) > 1 else {""}
  return min(artists or copies)
