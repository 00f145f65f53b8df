"""Whose a track is: what makes tracks no independent draws of music."""

from collections import defaultdict
from collections.abc import Sequence

from gtzan_jax.scores import artists
from tfds_gtzan.corpora.track import Row, Track
from tfds_gtzan.protocols import cuts


def names(tracks: Sequence[Row] | Sequence[Track]) -> dict[str, str]:
  """{track: credit}, the same for all copies of a recording.

  A credit names everybody that the recording's copies are credited to, in small
  letters without marks and in alphabetical order ("bob marley; lauryn hill");
  it is "" where nobody knows. The tracks that share a name, or are linked by
  such, are the groups of `cuts.artist_groups`.
  """
  groups = defaultdict(list)
  for track, number in zip(tracks, cuts.recordings(tracks), strict=True):
    groups[number].append(track)
  return {
    track.id: _name(group) for group in groups.values() for track in group
  }


def _name(group: Sequence[Row] | Sequence[Track]) -> str:
  """Copies of one recording by nobody known share a mark, which is no name."""
  found = set().union(*(artists.credited(track.artist) for track in group))
  if not found and len(group) > 1:
    found = {artists.of_copies(min(track.id for track in group))}
  return artists.credit(found)
