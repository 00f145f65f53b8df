"""The corpus `audio`: a folder of sound files in GTZAN's layout."""

import functools
import hashlib
import os
import pathlib
import re

from gtzan_jax import audio
from gtzan_jax.errors import InputError
from tfds_gtzan import content, track_lists
from tfds_gtzan.track import Audio, Corpus, Track, in_genre_order

EXTENSIONS = (".au", ".wav", ".flac", ".ogg", ".mp3")
ACCEPTED = (
  "files <genre>/<genre>.NNNNN.<ext> (five digits; .au, .wav, .flac, .ogg or"
  " .mp3) of at least two genres, in the folder itself or below its genres/ or"
  " genres_original/"
)


def open_folder(
  path: pathlib.Path, cache_dir: pathlib.Path | None = None
) -> Corpus:
  """Opens a folder; decodes nothing.

  Artists and partition are those of GTZAN's track of the same id, so other
  music should not be given GTZAN's ids.

  Raises:
    InputError: no track in it, fewer than two genres, a genre folder without
      one, a sound file of another name, or two files of one track.
  """
  root = _root(path)
  files = {genre: _tracks_in(root / genre) for genre in _folders(root)}
  if not any(files.values()):
    raise InputError(f"{path} holds no track; accepted are {ACCEPTED}")
  for genre, found in files.items():
    if not found:
      raise InputError(
        f"{root / genre} is a genre folder without a track: put files"
        f" {genre}.NNNNN.<ext> into it or take it away"
      )
  genres = in_genre_order(files)
  if len(genres) < 2:
    raise InputError(
      f"{path} holds one genre only ({genres[0]}); accepted are {ACCEPTED}"
    )
  listed = [file for genre in genres for file in files[genre]]
  return Corpus(
    name="audio",
    kind="audio",
    genres=genres,
    tracks=tuple(_track(file) for file in listed),
    fingerprint=_fingerprint(root, listed, cache_dir),
  )


def _root(path: pathlib.Path) -> pathlib.Path:
  below = [
    path / name
    for name in ("genres", "genres_original")
    if (path / name).is_dir()
  ]
  if len(below) > 1:
    raise InputError(
      f"{path} holds both genres/ and genres_original/: give one of the two"
    )
  return below[0] if below else path


def _folders(root: pathlib.Path) -> list[str]:
  """Every folder that is not hidden; __MACOSX comes out of zip files."""
  try:
    return sorted(
      entry.name
      for entry in root.iterdir()
      if entry.is_dir() and not entry.name.startswith((".", "__"))
    )
  except OSError as error:
    raise InputError(f"{root} cannot be listed: {error.strerror}") from error


def _tracks_in(folder: pathlib.Path) -> list[pathlib.Path]:
  """A genre's files in the order of their numbers."""
  pattern = re.compile(rf"{re.escape(folder.name)}\.\d{{5}}")
  found: dict[str, pathlib.Path] = {}
  try:
    entries = sorted(folder.iterdir())
  except OSError as error:
    raise InputError(f"{folder} cannot be listed: {error.strerror}") from error
  for file in entries:
    sound = file.suffix.lower() in EXTENSIONS and file.is_file()
    if file.name.startswith(".") or not sound:
      continue  # .DS_Store, ._jazz.00000.wav, notes and tables
    if not pattern.fullmatch(file.stem):
      raise InputError(f"{file} is not a track's name; accepted are {ACCEPTED}")
    if file.stem in found:
      raise InputError(
        f"{folder} holds two files of the track {file.stem}:"
        f" {found[file.stem].name} and {file.name}; keep one"
      )
    found[file.stem] = file
  return [found[stem] for stem in sorted(found)]


def _track(file: pathlib.Path) -> Track:
  return Track(
    id=file.stem,
    genre=file.parent.name,
    artist=track_lists.artists().get(file.stem, ""),
    partition=track_lists.partition(file.stem),
    read=functools.partial(_read, file),
  )


def _read(file: pathlib.Path) -> Audio:
  try:
    return Audio(audio.read(file))
  except InputError as error:
    # The reason goes into data sets and reports, where our folders are noise.
    reason = str(error).replace(f"{file.parent}{os.sep}", "")
    raise InputError(reason) from error


def _fingerprint(
  root: pathlib.Path,
  files: list[pathlib.Path],
  cache_dir: pathlib.Path | None,
) -> str:
  whole = hashlib.sha256()
  for file, digest in zip(
    files, content.digests(root, files, cache_dir), strict=True
  ):
    whole.update(f"{file.relative_to(root).as_posix()} {digest}\n".encode())
  return whole.hexdigest()
