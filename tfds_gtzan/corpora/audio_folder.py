"""The corpus `audio`: sound files in a folder for each genre."""

import pathlib

from gtzan_jax.audio import files as audio
from tfds_gtzan.corpora import files, genre_folders
from tfds_gtzan.corpora.track import Audio, Corpus

LAYOUT = genre_folders.Layout(
  extensions=audio.EXTENSIONS,
  numbered="[.]",
  accepted=(
    "sound files <genre>/<genre>.NNNNN.<ext> (GTZAN's, five digits) or"
    " <genre>/<any other name>.<ext> of at least two genres, in the place"
    f" itself or below its {'/, '.join(genre_folders.ROOTS)}/; <ext> is one of"
    f" {', '.join(audio.EXTENSIONS)}"
  ),
)


def open_tree(
  tree: files.Tree,
  cache_dir: pathlib.Path | None,
  tracks: tuple[genre_folders.Found, str] | None = None,
) -> Corpus:
  """Opens the genre folders of a tree; decodes nothing.

  Artists and partition are those of GTZAN's track of the same id, so other
  music should not be given GTZAN's ids.

  Args:
    tree: what lies below one place.
    cache_dir: folder of digests.
    tracks: what was found, and a hint; None: what `genre_folders.tracks` gives.

  Raises:
    InputError: see `genre_folders.tracks`.
  """
  found, hint = tracks or genre_folders.tracks(tree, LAYOUT)
  return Corpus(
    name="audio",
    kind="audio",
    genres=tuple(found),
    tracks=genre_folders.as_tracks(
      tree, found, _decode, audio.blocks, audio.rate
    ),
    fingerprint=genre_folders.fingerprint(tree, found, cache_dir),
    passed_over=tree.passed_over(genre_folders.names(found)),
    hint=hint,
  )


def _decode(path: pathlib.Path) -> Audio:
  return Audio(audio.read(path))
