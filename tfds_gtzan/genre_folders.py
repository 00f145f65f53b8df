"""A folder for each genre, a file for each track: what GTZAN's copies share."""

import dataclasses
import functools
import hashlib
import os
import pathlib
import re
from collections.abc import Callable, Mapping, Sequence

from gtzan_jax.errors import InputError
from tfds_gtzan import content, track_lists
from tfds_gtzan.track import Content, Track, in_genre_order


@dataclasses.dataclass(frozen=True)
class Layout:
  """How the files of one kind of corpus are named.

  Attributes:
    extensions: of a track's file, in lower case.
    separator: between genre and number: "." in "blues.00000".
    accepted: what is accepted, for messages.
  """

  extensions: tuple[str, ...]
  separator: str
  accepted: str

  def is_file(self, file: pathlib.Path) -> bool:
    """Whether it is of this kind; .DS_Store, ._jazz.00000.wav are not."""
    hidden = file.name.startswith(".")
    known = file.suffix.lower() in self.extensions
    return known and not hidden and file.is_file()


def folders(root: pathlib.Path) -> list[str]:
  """Every folder that is not hidden; __MACOSX comes out of zip files."""
  return sorted(
    entry.name
    for entry in listed(root)
    if entry.is_dir() and not entry.name.startswith((".", "__"))
  )


def listed(folder: pathlib.Path) -> list[pathlib.Path]:
  try:
    return sorted(folder.iterdir())
  except OSError as error:
    raise InputError(f"{folder} cannot be listed: {error.strerror}") from error


def tracks(
  root: pathlib.Path, layout: Layout
) -> dict[str, dict[str, pathlib.Path]]:
  """{genre: {track id: file}}, genres in label order, tracks by number.

  Raises:
    InputError: no track, fewer than two genres, a genre folder without a track,
      a file of another name, or two files of one track.
  """
  found = {g: _tracks_in(root / g, layout) for g in folders(root)}
  if not any(found.values()):
    raise InputError(f"{root} holds no track; accepted are {layout.accepted}")
  for genre, files in found.items():
    if not files:
      raise InputError(
        f"{root / genre} is a genre folder without a track: put files"
        f" {genre}{layout.separator}NNNNN<ext> into it or take it away"
      )
  genres = in_genre_order(found)
  if len(genres) < 2:
    raise InputError(
      f"{root} holds one genre only ({genres[0]}); accepted are"
      f" {layout.accepted}"
    )
  return {genre: found[genre] for genre in genres}


def _tracks_in(folder: pathlib.Path, layout: Layout) -> dict[str, pathlib.Path]:
  start = re.escape(folder.name + layout.separator)
  found: dict[str, pathlib.Path] = {}
  for file in filter(layout.is_file, listed(folder)):
    if not re.fullmatch(rf"{start}\d{{5}}", file.stem):
      raise InputError(
        f"{file} is not a track's name; accepted are {layout.accepted}"
      )
    name = f"{folder.name}.{file.stem[-5:]}"
    if name in found:
      raise InputError(
        f"{folder} holds two files of the track {name}: {found[name].name} and"
        f" {file.name}; keep one"
      )
    found[name] = file
  return dict(sorted(found.items()))


def as_tracks(
  found: Mapping[str, Mapping[str, pathlib.Path]],
  decode: Callable[[pathlib.Path], Content],
) -> tuple[Track, ...]:
  """What `tracks` found, as tracks; GTZAN's ids have GTZAN's artists.

  Args:
    found: {genre: {track id: file}}.
    decode: what a file holds; raises InputError where it cannot be read.
  """
  return tuple(
    Track(
      id=name,
      genre=genre,
      artist=track_lists.artists().get(name, ""),
      partition=track_lists.partition(name),
      read=functools.partial(_read, file, decode),
    )
    for genre, files in found.items()
    for name, file in files.items()
  )


def _read(
  file: pathlib.Path, decode: Callable[[pathlib.Path], Content]
) -> Content:
  try:
    return decode(file)
  except InputError as error:
    # The reason goes into data sets and reports, where our folders are noise.
    reason = str(error).replace(f"{file.parent}{os.sep}", "")
    raise type(error)(reason) from error


def fingerprint(
  root: pathlib.Path,
  files: Sequence[pathlib.Path],
  cache_dir: pathlib.Path | None,
) -> str:
  """sha256 (hex) of the files' names below `root` and of their content."""
  whole = hashlib.sha256()
  for file, digest in zip(
    files, content.digests(root, files, cache_dir), strict=True
  ):
    whole.update(f"{file.relative_to(root).as_posix()} {digest}\n".encode())
  return whole.hexdigest()
