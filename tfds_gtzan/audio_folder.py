"""The corpus `audio`: a folder of sound files in GTZAN's layout."""

import pathlib

from gtzan_jax import audio
from gtzan_jax.errors import InputError
from tfds_gtzan import genre_folders
from tfds_gtzan.track import Audio, Corpus

LAYOUT = genre_folders.Layout(
  extensions=audio.EXTENSIONS,
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
    tracks=genre_folders.as_tracks(found, lambda f: Audio(audio.read(f))),
    fingerprint=genre_folders.fingerprint(root, files, cache_dir),
  )


def _root(path: pathlib.Path) -> pathlib.Path:
  below = [path / name for name in ROOTS if (path / name).is_dir()]
  if len(below) > 1:
    raise InputError(
      f"{path} holds both genres/ and genres_original/: give one of the two"
    )
  return below[0] if below else path
