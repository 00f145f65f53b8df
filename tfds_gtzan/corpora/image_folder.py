"""The corpus `images`: Kaggle's images_original, a picture for each track."""

import collections
import pathlib
from collections.abc import Sequence

from gtzan_jax.errors import InputError
from gtzan_jax.features import image
from tfds_gtzan.corpora import genre_folders
from tfds_gtzan.corpora.types import Picture


def _decode(path: pathlib.Path) -> Picture:
  return Picture(image.read(path))


def _check_sizes(place: str, pictures: Sequence[pathlib.Path]) -> None:
  first: dict[tuple[int, int], str] = {}
  count: collections.Counter[tuple[int, int]] = collections.Counter()
  for file in pictures:
    try:
      with file.open("rb") as opened:
        size = image.size(opened, file.name)
    except (InputError, OSError):
      continue  # unreadable: reported where it is read
    first.setdefault(size, file.name)
    count[size] += 1
  if len(first) > 1:
    (usual, _), (odd, number) = count.most_common()[:: len(first) - 1]
    raise InputError(
      f"{place} holds pictures of {len(first)} sizes: {first[usual]} is"
      f" {usual[0]} x {usual[1]}, {first[odd]} is {odd[0]} x {odd[1]}"
      f" ({number} such); make them one size"
    )


FORM = genre_folders.Form(
  name="images",
  kind="picture",
  extensions=image.EXTENSIONS,
  numbered="[.]?",
  accepted=(
    "pictures <genre>/<genre>NNNNN.<ext> (GTZAN's, five digits) or <genre>/<any"
    " other name>.<ext> of at least two genres, in the place itself or below"
    f" its images_original/; <ext> is one of {', '.join(image.EXTENSIONS)}"
  ),
  decode=_decode,
  check=_check_sizes,
)
