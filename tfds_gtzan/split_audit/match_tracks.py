"""Which tracks the names in a user's split files mean."""

import collections
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from gtzan_jax.errors import InputError
from tfds_gtzan.corpora.track_names import Names
from tfds_gtzan.corpora.types import Corpus
from tfds_gtzan.facts import track_lists
from tfds_gtzan.protocols import splitters
from tfds_gtzan.split_audit.split_files import Line


class Split(NamedTuple):
  """A user's splits, their names matched with tracks.

  Attributes:
    parts: {split: {id: pieces of that track, "" for the whole}}, in order.
    genres: {id: genre} of every track that can be meant.
    artists: {id: name}, "" if unknown.
    unknown: names that match no track, as written.
    repeated: {split: names, as written, that match the same as an earlier one}.
  """

  parts: Mapping[str, Mapping[str, set[str]]]
  genres: Mapping[str, str]
  artists: Mapping[str, str]
  unknown: Sequence[str]
  repeated: Mapping[str, Sequence[str]]

  def tracks(self) -> list[str]:
    """The ids of all splits, each once; what is unknown goes by its name."""
    return sorted(set().union(*self.parts.values()))


def understand(lines: Iterable[Line], corpus: Corpus | None) -> Split:
  """Finds the tracks that lines mean; of GTZAN (None) all tracks are known."""
  tracks = [] if corpus is None else corpus.tracks
  artists = {track.id: track.artist for track in tracks}
  genres = {track.id: track.genre for track in tracks}
  if corpus is None or splitters.is_gtzan(tracks):
    artists = {**track_lists.artists(), **artists}
    genres = {track: track.split(".")[0] for track in artists} | genres
  names = Names(genres)
  parts: dict[str, dict[str, set[str]]] = collections.defaultdict(
    lambda: collections.defaultdict(set)
  )
  unknown, of_file = {}, collections.defaultdict(list)
  repeated = collections.defaultdict(list)
  for line in lines:
    named = names.find(line.name)
    pieces = parts[line.split][named.track]
    if named.piece in pieces:
      repeated[line.split].append(line.name)
    pieces.add(named.piece)
    of_file[line.file].append((named.known, line.name))
    if line.artist:
      artists[named.track] = line.artist
    if not named.known:
      unknown[named.track] = line.name
  for file, own in of_file.items():
    if not any(known for known, _ in own):
      place, hint = "GTZAN", "; of another collection, give --config.data.path"
      if corpus is not None:
        place, hint = f"the {corpus.name} corpus", ""
      first = own[0][1]
      raise InputError(
        f"{file}: none of its {len(own)} names is a track of {place}, such as"
        f" {next(iter(genres))}; the first is {first!r}{names.hint(first)}"
        f"{hint}"
      )
  return Split(
    {part: parts[part] for part in _in_order(parts)},
    genres,
    artists,
    sorted(unknown.values()),
    repeated,
  )


def _in_order(parts: Iterable[str]) -> list[str]:
  """train, validation, test; then others, fold2 before fold10."""

  def rank(part: str) -> tuple:
    stem = part.rstrip("0123456789")
    order = (*splitters.SPLITS, part).index(part)
    return order, stem, int(part[len(stem) :] or -1), part

  return sorted(parts, key=rank)
