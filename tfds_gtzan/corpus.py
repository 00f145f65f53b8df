"""From a path to a corpus, recognised by what the path is.

A folder of sound is `audio`, one of pictures `images`; a .csv is a `table`, any
other file an `archive`; no path is the embedded `synthetic` corpus. A path
that is given and cannot be used is an error: there is no falling back.
"""

import functools
import hashlib
import pathlib

from gtzan_jax.errors import InputError
from tfds_gtzan import (
  archive,
  audio_folder,
  feature_table,
  image_folder,
  synthetic,
)
from tfds_gtzan.track import (
  FORMS,
  GENRES,
  Audio,
  Corpus,
  LogMel,
  Picture,
  Table,
  Track,
  in_genre_order,
)

__all__ = [
  "CORPORA",
  "GENRES",
  "Audio",
  "Corpus",
  "LogMel",
  "Picture",
  "Table",
  "Track",
  "open_corpus",
]

# What the tracks of each corpus hold; a feature set names the kinds it takes.
CORPORA = {
  "audio": "audio",
  "archive": "logmel",
  "images": "picture",
  "table": "table",
  "synthetic": "audio",
}


def open_corpus(
  path: str | None,
  tracks_per_genre: int = 20,
  cache_dir: pathlib.Path | None = None,
) -> Corpus:
  """Opens the corpus at `path` without decoding a track.

  Args:
    path: a folder of audio in GTZAN's layout or of Kaggle's pictures, a log-mel
      .npz, a features .csv, or None or "" for the synthetic corpus.
    tracks_per_genre: size of the synthetic corpus; of no effect on others.
    cache_dir: where digests of files are remembered; None: nowhere.

  Raises:
    InputError: nothing is there, or what is there is not accepted.
  """
  if not path:
    return _synthetic(tracks_per_genre)
  place = pathlib.Path(path).expanduser()
  try:
    if place.is_dir():
      pictures = image_folder.find(place)
      if pictures:
        return image_folder.open_folder(pictures, cache_dir)
      return audio_folder.open_folder(place, cache_dir)
    if place.is_file() and place.suffix.lower() == ".csv":
      return feature_table.open_table(place, cache_dir)
    if place.is_file():
      return archive.open_archive(place, cache_dir)
    there = place.exists()
  except OSError as error:
    raise InputError(f"{path} cannot be read: {error.strerror}") from error
  what = "is neither a folder nor a file" if there else "does not exist"
  raise InputError(
    f"{path} {what}; give {FORMS}, or no path for the synthetic corpus"
  )


def _synthetic(tracks_per_genre: int) -> Corpus:
  facts = synthetic.tracks(tracks_per_genre)
  content = f"synthetic {synthetic.VERSION} {tracks_per_genre}"
  return Corpus(
    name="synthetic",
    kind=CORPORA["synthetic"],
    genres=in_genre_order(fact.genre for fact in facts),
    tracks=tuple(
      Track(
        id=fact.id,
        genre=fact.genre,
        artist=fact.artist,
        partition=fact.partition,
        read=functools.partial(_render, fact.id),
      )
      for fact in facts
    ),
    fingerprint=hashlib.sha256(content.encode()).hexdigest(),
  )


def _render(track_id: str) -> Audio:
  return Audio(synthetic.render(track_id))
