"""Artist clusters: which tracks resampling takes or leaves as a whole."""

from collections import defaultdict
from collections.abc import Sequence

from gtzan_jax.scores import artist_names
from tfds_gtzan.corpora.types import Row, Track
from tfds_gtzan.protocols import splitters


def clusters(tracks: Sequence[Row | Track]) -> dict[str, str]:
  """{track: credit}, the same for all copies of a recording, "" if unknown.

  A credit has all names of the recording's copies, lower-case, without marks,
  in alphabetical order ("bob marley; lauryn hill"). Tracks that share a name,
  or are linked by such, are the groups of `splitters.artist_groups`.
  """
  groups = defaultdict(list)
  for track, number in zip(tracks, splitters.recordings(tracks), strict=True):
    groups[number].append(track)
  credits: dict[str, str] = {}
  for group in groups.values():
    names = set().union(
      *(artist_names.credited(track.artist) for track in group)
    )
    if not names and len(group) > 1:
      # Copies by unknown artists share a mark, which is no name.
      names = {artist_names.of_copies(min(track.id for track in group))}
    credits |= dict.fromkeys(
      (track.id for track in group), artist_names.credit(names)
    )
  return credits
