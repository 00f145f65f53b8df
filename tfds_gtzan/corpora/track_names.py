"""Names in other people's lists -> the tracks that they mean.

blues/blues.00012.wav, blues00012.png and /data/genres/blues/blues.00012 are one
track; blues.00012.3.wav is a piece of it, as in features_3_sec.csv.
"""

import re
import unicodedata
from collections.abc import Iterable
from typing import NamedTuple

from gtzan_jax.audio import mono_waveform

# Of sound, pictures and what people keep features in.
_EXTENSION = re.compile(
  rf"({'|'.join(map(re.escape, mono_waveform.EXTENSIONS))}"
  r"|\.(png|jpe?g|npy|npz|pt|pth|pkl|h5|csv|json))+$"
)
_NUMBERED = re.compile(r"([^\W\d_]+)[._-]?(s?\d{5})(?!\d)(.*)")
_PIECE = re.compile(r"(.+?)[._-]+([^\W\d_]*[._-]*\d{1,4})")


class Named(NamedTuple):
  """The id of a track; of an unknown one, its name in one form.

  `piece` is the part of the track that is meant, "" for the whole.
  """

  track: str
  piece: str = ""
  known: bool = True


class Names:
  """Finds tracks by name; case, folders above and extensions play no part.

  An id with folders (rock/live/song) is found by its end as well (song), where
  only one track has it; one that ends with a number (000/000002) by that (2).
  """

  def __init__(self, ids: Iterable[str]):
    self._ids = {_plain(track): track for track in ids}
    self._ends: dict[str, set[str]] = {}
    self._numbers: dict[int, set[str]] = {}
    for plain, track in self._ids.items():
      for end in _ends(plain):
        self._ends.setdefault(end, set()).add(track)
      number = _number(plain.rpartition("/")[2])
      if number is not None:
        self._numbers.setdefault(number, set()).add(track)

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
    cut = _PIECE.fullmatch(plain)
    track = cut and self._track(cut[1])
    if cut and track:
      return Named(track, cut[2])
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
