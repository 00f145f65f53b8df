"""The corpus `audio`: a folder of sound files in GTZAN's layout."""

import functools
import os
import pathlib

from gtzan_jax import audio
from gtzan_jax.errors import InputError
from tfds_gtzan import genre_folders, track_lists
from tfds_gtzan.track import Audio, Corpus, Track

LAYOUT = genre_folders.Layout(
  extensions=(".au", ".wav", ".flac", ".ogg", ".mp3"),
  separator=".",
  accepted=(
    "files <genre>/<genre>.NNNNN.<ext> (five digits; .au, .wav, .flac, .ogg or"
    " .mp3) of at least two genres, in the folder itself or below its genres/"
    " or genres_original/"
  ),
)
ROOTS = ("genres", "genres_original")


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
  found = genre_folders.tracks(root, LAYOUT)
  files = [file for genre in found.values() for file in genre.values()]
  return Corpus(
    name="audio",
    kind="audio",
    genres=tuple(found),
    tracks=tuple(_track(file) for file in files),
    fingerprint=genre_folders.fingerprint(root, files, cache_dir),
  )


def _root(path: pathlib.Path) -> pathlib.Path:
  below = [path / name for name in ROOTS if (path / name).is_dir()]
  if len(below) > 1:
    raise InputError(
      f"{path} holds both genres/ and genres_original/: give one of the two"
    )
  return below[0] if below else path


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
