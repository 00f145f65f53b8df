"""Names in other people's lists -> the tracks that they mean.

GTZAN's tracks are called blues/blues.00012.wav, blues.00012.au, blues00012.png,
/data/genres/blues/blues.00012 and more. What is added to a name is a piece of
the track: blues.00012.3.wav is the fourth line of blues.00012 in Kaggle's
features_3_sec.csv.
"""

import collections
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from gtzan_jax.audio import files as audio
from gtzan_jax.errors import InputError
from tfds_gtzan.corpora.track import Corpus
from tfds_gtzan.facts import track_lists
from tfds_gtzan.protocols import cuts
from tfds_gtzan.split_audit.files import Line

# Of sound, pictures and what people keep features in.
_EXTENSION = re.compile(
  rf"({'|'.join(map(re.escape, audio.EXTENSIONS))}"
  r"|\.(png|jpe?g|npy|npz|pt|pth|pkl|h5|csv|json))+$"
)
_NUMBERED = re.compile(r"([^\W\d_]+)[._-]?(s?\d{5})(?!\d)(.*)")
_PIECE = re.compile(r"(.+?)[._-]+([^\W\d_]*[._-]*\d{1,4})")


class Named(NamedTuple):
  """What a name means.

  Attributes:
    track: its id; of an unknown one the name itself, in one form.
    piece: which part of the track, "" for the whole.
    known: whether there is such a track.
  """

  track: str
  piece: str = ""
  known: bool = True


class Names:
  """Finds tracks by name.

  Case, folders above and extensions play no part. An id with folders in it,
  rock/live/song of a collection that is not GTZAN, is found by its end as well
  (song), where only one track has it; and one that ends with a number,
  000/000002, by the number (2).
  """

  def __init__(self, ids: Iterable[str]):
    """Takes the ids of all tracks that can be meant."""
    self._ids = {_plain(one): one for one in ids}
    self._ends: dict[str, set[str]] = {}
    self._numbers: dict[int, set[str]] = {}
    for plain, one in self._ids.items():
      for end in _ends(plain):
        self._ends.setdefault(end, set()).add(one)
      number = _number(plain.rpartition("/")[2])
      self._numbers.setdefault(number, set()).add(one)

  def find(self, name: str) -> Named:
    """The track, or the piece of a track, that a name means."""
    plain = _EXTENSION.sub("", _plain(name))
    track = self._track(plain)
    if track:
      return Named(track)
    numbered = _NUMBERED.fullmatch(plain.rpartition("/")[2])
    if numbered:
      genre, number, piece = numbered.groups()
      track = self._ids.get(f"{genre}.{number}")
      if track:
        return Named(track, piece.strip("._- "))
    piece = _PIECE.fullmatch(plain)
    track = piece and self._track(piece[1])
    if track:
      return Named(track, piece[2])
    return Named(plain, known=False)

  def hint(self, name: str) -> str:
    """For a message: that tracks of several folders are called so, or ""."""
    tracks = sorted(self._ends.get(_EXTENSION.sub("", _plain(name)), ()))
    if len(tracks) < 2:
      return ""
    return f", which {tracks[0]} and {tracks[1]} are called: give folders too"

  def _track(self, plain: str) -> str | None:
    whole = [self._ids[end] for end in _ends(plain) if end in self._ids]
    ends = self._ends.get(plain, set())
    number = _number(plain)
    if not ends and number is not None:
      ends = self._numbers.get(number, set())
    return next(iter(whole or (ends if len(ends) == 1 else ())), None)


def _number(plain: str) -> int | None:
  """Of a name that is nothing else; 000002 and 2 are one."""
  return int(plain) if re.fullmatch("[0-9]{1,18}", plain) else None


def _plain(name: str) -> str:
  name = unicodedata.normalize("NFC", name.strip()).replace("\\", "/")
  return name.casefold().removeprefix("./")


def _ends(plain: str) -> list[str]:
  """ "a/b/c" -> "a/b/c", "b/c", "c"."""
  parts = plain.split("/")
  return ["/".join(parts[i:]) for i in range(len(parts))]


class Split(NamedTuple):
  """A split of which is known what its names mean.

  Attributes:
    parts: {part: {id: pieces of that track, "" for the whole}}, in order.
    genres: {id: genre} of every track that can be meant.
    artists: {id: name}, "" where nobody knows.
    unknown: names that mean no track, as they are written.
    repeated: {part: names in it, as they are written, that mean the same as an
      earlier one}.
  """

  parts: Mapping[str, Mapping[str, set[str]]]
  genres: Mapping[str, str]
  artists: Mapping[str, str]
  unknown: Sequence[str]
  repeated: Mapping[str, Sequence[str]]

  def tracks(self) -> list[str]:
    """The ids of all parts, each once; what is unknown goes by its name."""
    return sorted(set().union(*self.parts.values()))


def understand(lines: Iterable[Line], corpus: Corpus | None) -> Split:
  """Finds the tracks that the lines of a split mean.

  Args:
    lines: from `split_files.read`.
    corpus: of which the split is; None: GTZAN. Of GTZAN all tracks are known,
      whichever are at hand.

  Raises:
    InputError: a file of which no name is a track's.
  """
  tracks = () if corpus is None else corpus.tracks
  artists = {track.id: track.artist for track in tracks}
  genres = {track.id: track.genre for track in tracks}
  if corpus is None or cuts.is_gtzan(tracks):
    artists = {**track_lists.artists(), **artists}
    genres = {one: one.split(".")[0] for one in artists} | genres
  names = Names(genres)
  parts = collections.defaultdict(lambda: collections.defaultdict(set))
  unknown, of_file = {}, collections.defaultdict(list)
  repeated = collections.defaultdict(list)
  for line in lines:
    named = names.find(line.name)
    pieces = parts[line.part][named.track]
    if named.piece in pieces:
      repeated[line.part].append(line.name)
    pieces.add(named.piece)
    of_file[line.file].append((named.known, line.name))
    if line.artist:
      artists[named.track] = line.artist
    if not named.known:
      unknown[named.track] = line.name
  for file, found in of_file.items():
    if not any(known for known, _ in found):
      place, hint = "GTZAN", "; of another collection, give --config.data.path"
      if corpus is not None:
        place, hint = f"the {corpus.name} corpus", ""
      raise InputError(
        f"{file}: none of its {len(found)} names is a track of {place}, such as"
        f" {next(iter(genres))}; the first is {found[0][1]!r}"
        f"{names.hint(found[0][1])}{hint}"
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
    number = re.search(r"\d+$", part)
    at = cuts.PARTS.index(part) if part in cuts.PARTS else len(cuts.PARTS)
    stem = part[: number.start()] if number else part
    return at, stem, int(number[0]) if number else -1, part

  return sorted(parts, key=rank)
