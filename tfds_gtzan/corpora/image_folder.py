"""The corpus `images`: Kaggle's images_original, a picture for each track."""

import collections
import pathlib
from collections.abc import Iterable

from gtzan_jax.errors import InputError
from gtzan_jax.features import image
from tfds_gtzan.corpora import files, genre_folders
from tfds_gtzan.corpora.track import Corpus, Picture

LAYOUT = genre_folders.Layout(
  extensions=image.EXTENSIONS,
  numbered="[.]?",
  accepted=(
    "pictures <genre>/<genre>NNNNN.<ext> (GTZAN's, five digits) or <genre>/<any"
    " other name>.<ext> of at least two genres, in the place itself or below"
    f" its images_original/; <ext> is one of {', '.join(image.EXTENSIONS)}"
  ),
)


def open_tree(
  tree: files.Tree,
  cache_dir: pathlib.Path | None,
  tracks: tuple[genre_folders.Found, str] | None = None,
) -> Corpus:
  """Opens the genre folders of a tree; decodes nothing but headers.

  Args:
    tree: what lies below one place.
    cache_dir: folder of digests.
    tracks: what was found, and a hint; None: what `genre_folders.tracks` gives.

  Raises:
    InputError: see `genre_folders.tracks`; or pictures of different sizes.
  """
  found, hint = tracks or genre_folders.tracks(tree, LAYOUT)
  names = genre_folders.names(found)
  _check_sizes(tree.place, [tree.files[name] for name in names])
  return Corpus(
    name="images",
    kind="picture",
    genres=tuple(found),
    tracks=genre_folders.as_tracks(tree, found, _decode),
    fingerprint=genre_folders.fingerprint(tree, found, cache_dir),
    passed_over=tree.passed_over(genre_folders.names(found)),
    hint=hint,
  )


def _decode(path: pathlib.Path) -> Picture:
  return Picture(image.read(path))


def _check_sizes(place: str, pictures: Iterable[pathlib.Path]) -> None:
  first: dict[tuple[int, int], str] = {}
  count = collections.Counter()
  for file in pictures:
    try:
      with file.open("rb") as opened:
        size = image.size(opened, file.name)
    except (InputError, OSError):
      continue  # unreadable: for its reading to say
    first.setdefault(size, file.name)
    count[size] += 1
  if len(first) > 1:
    (usual, _), (odd, number) = count.most_common()[:: len(first) - 1]
    raise InputError(
      f"{place} holds pictures of {len(first)} sizes: {first[usual]} is"
      f" {usual[0]} x {usual[1]}, {first[odd]} is {odd[0]} x {odd[1]}"
      f" ({number} such); make them one size"
    )
