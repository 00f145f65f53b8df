"""Tracks, recordings, songs and artists that are in two splits.

A group of tracks that belong together crosses where two of them, or a single
one itself, are in different splits.
"""

import collections
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from gtzan_jax.errors import InputError
from tfds_gtzan.corpora.types import Corpus, in_genre_order
from tfds_gtzan.facts import track_lists
from tfds_gtzan.protocols.splitters import SPLITS
from tfds_gtzan.split_audit import match_tracks, split_files, track_relations
from tfds_gtzan.split_audit.match_tracks import Split
from tfds_gtzan.split_audit.track_relations import Group

_PAIRED = 3  # splits up to which each is compared with each, not with all


def survey(files: Sequence[str], corpus: Corpus | None) -> dict:
  """Finds what crosses a split: JSON values, keys as in docs/check_splits.md.

  `corpus` None is GTZAN without its audio; another's tracks are decoded, for
  duplicates and near-duplicates.
  """
  split = match_tracks.understand(split_files.read(files), corpus)
  contents = track_relations.Contents()
  if corpus is not None:
    placed = set(split.tracks())
    tracks = [track for track in corpus.tracks if track.id in placed]
    contents = track_relations.read(corpus.kind, tracks)
  return _facts(files, corpus, split, contents)


def given(
  files: Sequence[str], corpus: Corpus
) -> tuple[dict[str, list[str]], dict]:
  """{split: ids} of a user's files, and what `survey` finds by names alone.

  InputError: splits other than train, validation and test, or see `survey`.
  """
  try:
    split = match_tracks.understand(split_files.read(files), corpus)
    if set(split.parts) != set(SPLITS):
      raise InputError(
        f"they have {', '.join(split.parts)}; give train, validation and test"
      )
  except InputError as error:
    text = f"config.data.splits={','.join(files)}: {error}"
    raise InputError(text) from error
  ids = {
    part: [track for track in split.parts[part] if track in split.genres]
    for part in SPLITS
  }
  return ids, _facts(files, corpus, split, track_relations.Contents())


def _facts(
  files: Sequence[str],
  corpus: Corpus | None,
  split: Split,
  contents: track_relations.Contents,
) -> dict:
  placed = set(split.tracks())
  tracks = corpus.tracks if corpus else ()
  known = {track.id for track in tracks} or set(track_lists.artists())
  return {
    "files": [str(file) for file in files],
    "corpus": corpus and corpus.name,
    "fingerprint": corpus and corpus.fingerprint,
    "parts": _sizes(split),
    "unknown": list(split.unknown),
    "repeated": {part: list(names) for part, names in split.repeated.items()},
    "absent": sorted((placed & set(split.genres)) - known),
    "in_no_part": sorted(known - placed),
    "artist_unknown": sum(not split.artists.get(track) for track in placed),
    "skipped": dict(contents.skipped),
    "crossings": {
      kind: None if groups is None else _crossing(split, groups)
      for kind, groups in track_relations.groups(split, contents).items()
    },
  }


def _sizes(split: Split) -> dict[str, dict]:
  """Of each split: tracks, pieces, and tracks in each genre of any split."""
  counts = {
    part: collections.Counter(
      split.genres.get(track, "unknown") for track in own
    )
    for part, own in split.parts.items()
  }
  genres = in_genre_order(set().union(*counts.values()))
  return {
    part: {
      "tracks": len(own),
      "pieces": sum(len(pieces - {""}) for pieces in own.values()),
      "genres": {genre: counts[part][genre] for genre in genres},
    }
    for part, own in split.parts.items()
  }


def _crossing(split: Split, groups: Iterable[Group]) -> dict[str, list]:
  """The groups that cross, and how many tracks of each split they touch."""
  crossing: list[dict[str, Any]] = []
  for ids, facts in groups:
    where = {
      part: [track for track in ids if track in own]
      for part, own in split.parts.items()
    }
    where = {part: own for part, own in where.items() if own}
    if any(_met(where, part, set(where) - {part}) for part in where):
      crossing.append({"parts": where, **facts})
  between = []
  for part, others in _opposed(list(split.parts)):
    met = [_met(group["parts"], part, others) for group in crossing]
    between.append(
      {
        "part": part,
        "others": others,
        "groups": sum(map(bool, met)),
        "tracks": len(set[str]().union(*met)),
      }
    )
  return {"groups": crossing, "between": between}


def _opposed(parts: Sequence[str]) -> list[tuple[str, list[str]]]:
  """Pairs each split with every earlier one or, of many, with all others."""
  if len(parts) > _PAIRED:
    return [(part, [o for o in parts if o != part]) for part in parts]
  return [(parts[j], [parts[i]]) for j in range(len(parts)) for i in range(j)]


def _met(
  where: Mapping[str, Sequence[str]], part: str, others: Iterable[str]
) -> set[str]:
  """Tracks of a group in a split of which another split has a second one.

  Where the group is a single track: the same one.
  """
  here = set(where.get(part, ()))
  there = set().union(*(where.get(other, ()) for other in others))
  if len(set().union(*where.values())) == 1:
    return here & there
  return {track for track in here if there - {track}}
