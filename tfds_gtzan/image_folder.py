"""The corpus `images`: Kaggle's images_original, a picture for each track."""

import collections
import pathlib
from collections.abc import Iterable

from gtzan_jax.errors import InputError
from gtzan_jax.features import image
from tfds_gtzan import audio_folder, genre_folders
from tfds_gtzan.track import Corpus, Picture

LAYOUT = genre_folders.Layout(
  extensions=image.EXTENSIONS,
  separator="",
  accepted=(
    "pictures <genre>/<genre>NNNNN.png (five digits) of at least two genres, in"
    " the folder itself or below its images_original/"
  ),
)
ROOT = "images_original"


def find(path: pathlib.Path) -> pathlib.Path | None:
  """The folder of pictures that `path` is or holds; None if it is of audio.

  Beside another folder (Kaggle's whole copy has genres_original/) it is not
  looked for: there, the pictures are had by giving images_original/ itself.
  """
  names = genre_folders.folders(path)
  if names == [ROOT]:
    return path / ROOT
  files = [f for name in names for f in genre_folders.listed(path / name)]
  sound = any(map(audio_folder.LAYOUT.is_file, files))
  return path if any(map(LAYOUT.is_file, files)) and not sound else None


def open_folder(
  root: pathlib.Path, cache_dir: pathlib.Path | None = None
) -> Corpus:
  """Opens a folder; decodes nothing but the pictures' headers.

  Raises:
    InputError: as of a folder of audio; or pictures of different sizes.
  """
  found = genre_folders.tracks(root, LAYOUT)
  files = [file for genre in found.values() for file in genre.values()]
  _check_sizes(root, files)
  return Corpus(
    name="images",
    kind="picture",
    genres=tuple(found),
    tracks=genre_folders.as_tracks(found, lambda f: Picture(image.read(f))),
    fingerprint=genre_folders.fingerprint(root, files, cache_dir),
  )


def _check_sizes(root: pathlib.Path, files: Iterable[pathlib.Path]) -> None:
  first: dict[tuple[int, int], pathlib.Path] = {}
  count = collections.Counter()
  for file in files:
    try:
      size = image.size(file)
    except InputError:
      continue  # unreadable: for its reading to say
    first.setdefault(size, file)
    count[size] += 1
  if len(first) > 1:
    (usual, _), (odd, number) = count.most_common()[:: len(first) - 1]
    raise InputError(
      f"{root} holds pictures of {len(first)} sizes: {first[usual].name} is"
      f" {usual[0]} x {usual[1]}, {first[odd].name} is {odd[0]} x {odd[1]}"
      f" ({number} such); make them one size"
    )
