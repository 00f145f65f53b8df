"""A folder for each genre, a file for each track: what collections share.

The same rules for what lies in a folder and for what lies in an archive.
"""

import contextlib
import dataclasses
import functools
import hashlib
import os
import pathlib
import re
from collections.abc import Callable, Iterator, Mapping
from typing import BinaryIO

import numpy as np

from gtzan_jax import errors
from gtzan_jax.audio import files as audio
from gtzan_jax.errors import InputError
from gtzan_jax.features import image
from tfds_gtzan.corpora import digests as content
from tfds_gtzan.corpora import files, gtzan_names, labels
from tfds_gtzan.corpora.track import (
  GENRES,
  Content,
  Track,
  in_genre_order,
  no_rate,
  printable,
)
from tfds_gtzan.facts import track_lists

# Folders above the genres: GTZAN's own (and torchaudio's), Kaggle's, mirdata's.
ROOTS = ("genres", "genres_original", "gtzan_genre", "data")

# {genre: {track id: name of its file below the tree's place}}
Found = Mapping[str, Mapping[str, str]]


@dataclasses.dataclass(frozen=True)
class Layout:
  """How the files of one kind of corpus are named.

  Attributes:
    extensions: of a track's file, in lower case.
    numbered: what GTZAN's names have between genre and number, a regular
      expression: `[.]` for "blues.00000".
    accepted: what is accepted, for messages.
  """

  extensions: tuple[str, ...]
  numbered: str
  accepted: str

  def fits(self, name: str) -> bool:
    """Whether the extension is one of a track."""
    return name.lower().endswith(self.extensions)


def inner(tree: files.Tree) -> files.Tree | None:
  """What lies below a known folder or the only one; None at the genres."""
  top = tree.top()
  known = [name for name in top if name.lower() in ROOTS]
  if len(known) > 1:
    raise InputError(
      f"{tree.place} holds both {known[0]}/ and {known[1]}/: give one of the"
      " two"
    )
  if known:
    return tree.below(known[0])
  if len(top) != 1 or gtzan_names.genre(top[0]):
    return None
  below = tree.below(top[0])
  # Among sound, pictures are its covers and make no genre of a folder.
  taken = [
    name for name in below.files if name.lower().endswith(audio.EXTENSIONS)
  ]
  if not taken:
    taken = [n for n in below.files if n.lower().endswith(image.EXTENSIONS)]
  is_genre = any("/" not in name for name in taken)
  return below if below.folders and not is_genre else None


def genres_with(tree: files.Tree, layout: Layout) -> list[str]:
  """The folders that hold such files, however deep."""
  return sorted({n.split("/")[0] for n in tree.files if _is_track(n, layout)})


def _is_track(name: str, layout: Layout) -> bool:
  return "/" in name and layout.fits(name)


def tracks(tree: files.Tree, layout: Layout) -> tuple[Found, str]:
  """Genres in label order, tracks in the order of their ids.

  If one file is named as GTZAN's are, all must be, and a track's id is
  "<genre>.<number>"; else it is the name below the tree without the extension.
  Names that are nearly GTZAN's: see gtzan_names.py.

  Returns:
    what was found, and a hint about the names, one line or "".

  Raises:
    InputError: no track, a genre folder without a track, names of both
      sorts, two files of one track, or files that a GAN made.
  """
  names = sorted(name for name in tree.files if _is_track(name, layout))
  if not names:
    raise InputError(
      f"{tree.place} holds no track; accepted are {layout.accepted}"
    )
  by_id, genre_of, hint = _by_id(tree, names, layout)

  def genre(folder: str) -> str:
    return genre_of.get(folder, _listed(folder))

  found: dict[str, dict[str, str]] = {genre(x): {} for x in tree.top()}
  for track, name in by_id.items():
    found[genre(name.split("/")[0])][track] = name
  for name, of_genre in found.items():
    if not of_genre:
      raise InputError(
        f"{os.path.join(tree.place, name)} is a genre folder without a track:"
        f" put files into it ({', '.join(layout.extensions)}) or take it away"
      )
  return {genre: found[genre] for genre in in_genre_order(found)}, hint


def labelled(
  tree: files.Tree, layout: Layout, table: labels.Labels
) -> tuple[Found, labels.Given]:
  """The same of files in any folders or in none: a table has their genres.

  Raises:
    InputError: see `tracks` and `labels.match`.
  """
  names = sorted(name for name in tree.files if layout.fits(name))
  by_id, _, _ = _by_id(tree, names, layout)
  given = labels.match(table, by_id)
  genres = in_genre_order(given.genres.values())
  found: dict[str, dict[str, str]] = {genre: {} for genre in genres}
  for track, genre in sorted(given.genres.items()):
    found[genre][track] = by_id[track]
  return found, given


def _by_id(
  tree: files.Tree, names: list[str], layout: Layout
) -> tuple[dict[str, str], Mapping[str, str], str]:
  """{track id: name of its file}, sorted; what else `_ids` gives."""
  _refuse_generated(tree, names)
  ids, genre_of, hint = _ids(tree, names, layout)
  found: dict[str, str] = {}
  for track, name in sorted(zip(ids, names, strict=True)):
    if track in found:
      raise InputError(
        f"{tree.place} holds two files of the track {track}: {found[track]} and"
        f" {name}; keep one"
      )
    found[track] = name
  return found, genre_of, hint


def _refuse_generated(tree: files.Tree, names: list[str]) -> None:
  """What a GAN made could come to stand in a test part."""
  for name in names:
    if name.rpartition("/")[2].startswith(audio.GENERATED):
      raise InputError(
        f"{tree.place}: {name} was generated, and is nothing to test on: take"
        " it away, and give the GAN's workdir as --config.data.augment_with"
      )


def _ids(
  tree: files.Tree, names: list[str], layout: Layout
) -> tuple[list[str], Mapping[str, str], str]:
  """Of each file, all GTZAN's or none; {folder: genre} of others; a hint."""
  names = [*map(_listed, names)]
  pattern = re.compile(rf"([^/]+)/\1{layout.numbered}([0-9]{{5}})\.\w+")
  matches = [pattern.fullmatch(name) for name in names]
  gtzan = [match for match in matches if match]
  exact = {match[1] for match in gtzan} <= set(GENRES)
  if len(gtzan) == len(names) and exact:
    return [f"{match[1]}.{match[2]}" for match in gtzan], {}, ""
  near = gtzan_names.recognise(names)
  if near.ids:
    return near.ids, near.genres, near.hint
  if len(gtzan) == len(names):
    return [f"{match[1]}.{match[2]}" for match in gtzan], {}, near.hint
  if gtzan:
    raise InputError(
      f"{tree.place}: {gtzan[0][0]} is a name as GTZAN's tracks have it and"
      f" {names[matches.index(None)]} is none; accepted are {layout.accepted},"
      " all of one sort"
    )
  return [name.rpartition(".")[0] for name in names], {}, near.hint


def _listed(name: str) -> str:
  """As it stands in ids: a line end, a byte that is no UTF-8 as an escape."""
  return name if printable(name) else errors.shown(name)


def names(found: Found) -> list[str]:
  """Of the files of all tracks, in the order of the tracks."""
  return [name for of_genre in found.values() for name in of_genre.values()]


def as_tracks(
  tree: files.Tree,
  found: Found,
  decode: Callable[[pathlib.Path], Content],
  blocks: Callable[[pathlib.Path], Iterator[np.ndarray]] | None = None,
  rate: Callable[[BinaryIO], int | None] | None = None,
) -> tuple[Track, ...]:
  """What `tracks` found, as tracks; GTZAN's ids have GTZAN's artists.

  Args:
    tree: where it was found.
    found: what `tracks` gave.
    decode: what a file holds; raises InputError where it cannot be read.
    blocks: a waveform's, see `Track`; raises InputError as well.
    rate: of an opened file, see `Track`; None: it has none.
  """
  return tuple(
    Track(
      id=track,
      genre=genre,
      artist=track_lists.artists().get(track, ""),
      partition=track_lists.partition(track),
      read=functools.partial(_read, tree.files[name], decode),
      blocks=blocks and functools.partial(_blocks, tree.files[name], blocks),
      rate=functools.partial(_rate, tree.files[name], rate)
      if rate
      else no_rate,
    )
    for genre, of_genre in found.items()
    for track, name in of_genre.items()
  )


def _read(
  file: pathlib.Path, decode: Callable[[pathlib.Path], Content]
) -> Content:
  with _named(file):
    return decode(file)


def _blocks(
  file: pathlib.Path, blocks: Callable[[pathlib.Path], Iterator[np.ndarray]]
) -> Iterator[np.ndarray]:
  with _named(file):
    yield from blocks(file)


def _rate(
  file: pathlib.Path, rate: Callable[[BinaryIO], int | None]
) -> int | None:
  try:
    with file.open("rb") as opened:
      return rate(opened)
  except (InputError, OSError):
    return None  # reported where it is read


@contextlib.contextmanager
def _named(file: pathlib.Path) -> Iterator[None]:
  with errors.reading(file.name):
    try:
      yield
    except InputError as error:
      # The reason goes into data sets and reports, where folders are noise.
      reason = str(error).replace(f"{errors.shown(file.parent)}{os.sep}", "")
      raise type(error)(reason) from error


def fingerprint(
  tree: files.Tree, found: Found, cache_dir: pathlib.Path | None
) -> str:
  """sha256 (hex) of the files' names below the tree and of their content.

  And, where there are MP3 files, of the version of what decodes them.
  """
  keys = {
    name: _key(genre, track, name)
    for genre, of_genre in found.items()
    for track, name in of_genre.items()
  }
  named = {name: tree.files[name] for name in keys}
  digests = content.of_files(tree.place, named, cache_dir)
  whole = hashlib.sha256()
  if any(name.lower().endswith(".mp3") for name in named):
    whole.update(f"mp3 {audio.MP3_VERSION}\n".encode())
  for key, digest in zip(keys.values(), digests, strict=True):
    whole.update(f"{key} {digest}\n".encode())
  return whole.hexdigest()


def _key(genre: str, track: str, name: str) -> str:
  """A file's name, and its id if that does not follow from it alone."""
  name = _listed(name)
  own = (track, f"{genre}/{track}", f"{genre}/{genre}{track[-5:]}")
  return name if name.rpartition(".")[0] in own else f"{track} {name}"
