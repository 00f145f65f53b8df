"""GTZAN under other names: Blues/Blues.00000.wav, hip-hop.00000.au.wav.

All files `<genre folder>/.../<genre><number>.<ext>` are GTZAN's if folder and
name agree with one of its genres, but for case and punctuation, no genre has
two folders, and all numbers have five digits and are below 100; or fewer
digits, and each of the ten genres has 0 and at least 90 of the 100. Where most
files fit, but not all, or their numbers do not decide, there is a hint.
"""

import collections
import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from gtzan_jax.audio import mono_waveform
from gtzan_jax.features import image
from tfds_gtzan.corpora.types import GENRES

_ENOUGH = 90  # of a genre's 100 numbers
_EXTENSIONS = "|".join(
  re.escape(one) for one in (*mono_waveform.EXTENSIONS, *image.EXTENSIONS)
)
_NAME = re.compile(
  r"(?P<folder>[^/]+)/(?:.*/)?(?P<genre>[^/]*[^\W\d_])[ ._-]*"
  rf"(?P<number>[0-9]{{1,5}})(?P<piece>[ ._-][0-9]+)?(?:{_EXTENSIONS})+",
  re.IGNORECASE,
)


class Recognised(NamedTuple):
  """How names resemble GTZAN's; `ids` is empty where they are not GTZAN's.

  `genres` is {folder: GTZAN's genre}; `hint` is one line for the user, or "".
  """

  ids: list[str] = []  # noqa: RUF012
  genres: Mapping[str, str] = {}
  hint: str = ""


def recognise(names: Sequence[str]) -> Recognised:
  near = [_near(name) for name in names]
  known = [match for match in near if match]
  if 2 * len(known) <= len(names):
    return Recognised()
  example = next(name for name, match in zip(names, near, strict=True) if match)
  pieces = [match for match in known if match["piece"]]
  if pieces:
    return Recognised(
      hint=f"{example} is named as a piece of one of GTZAN's tracks; each file"
      " counts as a track of its own, so that pieces of one track may be in"
      " several splits: give whole tracks"
    )
  genres = {
    match["folder"]: _GENRES[_plain(match["folder"])] for match in known
  }
  ids = [
    f"{genres[match['folder']]}.{int(match['number']):05d}" for match in known
  ]
  if len(known) == len(names) and _decides(known, genres):
    return Recognised(
      ids,
      genres,
      f"the names, such as {example}, are taken for GTZAN's ({ids[0]}): its"
      " artists and published lists apply",
    )
  return Recognised(
    hint=f"{len(known)} of {len(names)} names, such as {example}, are nearly"
    " GTZAN's: if this is GTZAN, name all files <genre>/<genre>.NNNNN.<ext>, as"
    f" {ids[0]}, and its artists and published lists apply"
  )


def genre(folder: str) -> str | None:
  return _GENRES.get(_plain(folder))


def _plain(text: str) -> str:
  return re.sub(r"[\W_]+", "", text.casefold())


_GENRES = {_plain(genre): genre for genre in GENRES}


def _near(name: str) -> re.Match | None:
  match = _NAME.fullmatch(name)
  if match and _plain(match["folder"]) == _plain(match["genre"]) in _GENRES:
    return match
  return None


def _decides(known: Sequence[re.Match], genres: Mapping[str, str]) -> bool:
  numbers = collections.defaultdict(set)
  for match in known:
    numbers[match["folder"]].add(int(match["number"]))
  if len(set(genres.values())) < len(genres):
    return False
  if not all(max(of_genre) < 100 for of_genre in numbers.values()):
    return False
  return all(len(match["number"]) == 5 for match in known) or (
    len(numbers) == len(GENRES)
    and all(
      0 in numbered and len(numbered) >= _ENOUGH
      for numbered in numbers.values()
    )
  )
