"""From a path to a corpus, recognised by what the path is.

A folder or an archive of sound is `audio`, of pictures `images`; a .csv is a
`table`, any other file an `archive`; no path is the `synthetic` corpus.
"""

import dataclasses
import hashlib
import os
import pathlib
from functools import partial

from gtzan_jax.errors import InputError
from tfds_gtzan import synthetic
from tfds_gtzan.corpora import (
  audio_folder,
  file_tree,
  genre_folders,
  image_folder,
  kaggle_table,
  labels,
  read_logmel_archive,
  unpack,
)
from tfds_gtzan.corpora.types import (
  FORMS,
  GENRES,
  Audio,
  Corpus,
  Track,
  in_genre_order,
)

__all__ = ["CORPORA", "GENRES", "open_corpus"]

# What the tracks of each corpus hold; a feature set names the kinds it takes.
CORPORA = {
  "audio": "audio",
  "archive": "logmel",
  "images": "picture",
  "table": "table",
  "synthetic": "audio",
}

_FORMS = (audio_folder.FORM, image_folder.FORM)
_NAMED = 20  # of a folder's entries in a message


def open_corpus(
  path: str | None,
  tracks_per_genre: int = 20,
  data_dir: str | pathlib.Path | None = None,
  label_table: str = "",
  artists: str = "",
  least_genres: int = 2,
) -> Corpus:
  """Opens the corpus at `path` without decoding a track.

  Args:
    path: a folder or an archive of audio or of Kaggle's pictures, a log-mel
      .npz, a features .csv, or None or "" for the synthetic corpus. A folder or
      a .csv may lie in an archive: "kaggle.zip/Data/images_original".
    tracks_per_genre: size of the synthetic corpus; of no effect on others.
    data_dir: folder of prepared data; digests of files are remembered in its
      .digests/ and an archive is unpacked into its .unpacked/. None: no digest
      is remembered, and an archive is unpacked into a temporary folder.
    label_table: a table of genres and artists, see `labels.read`; then what
      folders of sound or of pictures are called plays no part.
    artists: "folder": <genre>/<artist>/... names artists.
    least_genres: how many it has to have; where one will do, the path may be
      that of the genre's own folder.

  Raises:
    InputError: nothing is there, or what is there is not accepted.
  """
  if artists not in ("", labels.FOLDER):
    raise InputError(
      f"config.data.artists={artists}: give {labels.FOLDER}, or leave it out"
    )
  if artists and label_table:
    raise InputError(
      f"config.data.artists={artists} and config.data.labels={label_table}:"
      " give one of the two; the table may have a column of artists"
    )
  table = labels.read(label_table) if label_table else None
  corpus = _open(path, tracks_per_genre, data_dir, table, least_genres)
  if len(corpus.genres) < least_genres:
    by = f" by config.data.labels={label_table}" if label_table else ""
    raise InputError(
      f"{path} holds one genre only ({corpus.genres[0]}){by}; accepted are"
      f" {least_genres} or more, each a folder of tracks or a label"
    )
  if table and not corpus.labels:
    raise InputError(
      f"config.data.labels={label_table}: the {corpus.name} corpus has its"
      " genres; labels are for folders and archives of sound or of pictures"
    )
  return labels.of_folders(corpus) if artists else corpus


def _open(
  path: str | None,
  tracks_per_genre: int,
  data_dir: str | pathlib.Path | None,
  table: labels.Labels | None,
  least_genres: int,
) -> Corpus:
  if not path:
    return _synthetic(tracks_per_genre)
  place = pathlib.Path(path).expanduser()
  home = None if data_dir is None else pathlib.Path(data_dir).expanduser()
  cache_dir = home and home / ".digests"
  try:
    if tree := tree_at(place, home):
      if tree.unlisted:
        raise InputError(tree.unlisted[0])
      if _is_table(place.name) and place.name in tree.files:  # in an archive
        named = f"{tree.place}/{place.name}"
        return kaggle_table.open_table(named, tree.files[place.name], cache_dir)
      if least_genres == 1 and table is None and not place.is_file():
        tree = _with_its_folder(tree)
      return _open_tree(tree, cache_dir, table)
    if place.is_file() and _is_table(place.name):
      return kaggle_table.open_table(str(place), place, cache_dir)
    if place.is_file():
      return read_logmel_archive.open_archive(place, cache_dir)
    there = place.exists()
  except OSError as error:
    raise InputError(f"{path} cannot be read: {error.strerror}") from error
  what = "is neither a folder nor a file" if there else "does not exist"
  raise InputError(
    f"{path} {what}; give {FORMS}, or no path for the synthetic corpus"
  )


def tree_at(
  path: pathlib.Path, data_dir: pathlib.Path | None
) -> file_tree.Tree | None:
  """The files of a folder or an archive; None where the path leads to neither.

  The path may go on inside an archive, to a folder or a file at its top or
  below the known folders above genres; InputError if that is not there.
  """
  if path.is_dir():
    return file_tree.walk(path)
  if (split := unpack.split(path)) is None:
    return None
  tree, inside = unpack.open_tree(split[0], data_dir), split[1]
  if inside == ".":
    return tree
  levels: list[file_tree.Tree] = []
  level: file_tree.Tree | None = tree
  while level is not None:
    if inside in level.folders:
      return level.below(inside)
    if inside in level.files:
      folder, _, name = f"{level.place}/{inside}".rpartition("/")
      return file_tree.Tree(folder, {name: level.files[inside]}, frozenset())
    levels.append(level)
    level = genre_folders.inner(level)
  # The last folder on the way to it that there is.
  parents = [str(one) for one in pathlib.PurePosixPath(inside).parents]
  last = next(
    (one.below(x) for one in levels for x in parents if x in one.folders), None
  )
  where = f"in {last.place} are" if last else "at its top are"
  top = last or tree
  held = [*top.top(), *(name for name in top.files if "/" not in name)]
  raise InputError(
    f"{split[0]} holds no folder or file {inside}; {where}"
    f" {', '.join(held[:_NAMED]) or 'no files'}"
    f"{', ...' if len(held) > _NAMED else ''}"
  )


def _is_table(name: str) -> bool:
  return name.lower().endswith(kaggle_table.ENDINGS)


def _with_its_folder(tree: file_tree.Tree) -> file_tree.Tree:
  """The tree of the folder above, if the place is the folder of one genre."""
  fits = [n for n in tree.files if any(form.fits(n) for form in _FORMS)]
  if not fits or any("/" in name for name in fits):
    return tree
  place, genre = os.path.split(os.path.abspath(tree.place))
  return dataclasses.replace(
    tree,
    place=place,
    files={f"{genre}/{name}": file for name, file in tree.files.items()},
    folders=frozenset({genre}),
  )


def _open_tree(
  tree: file_tree.Tree,
  cache_dir: pathlib.Path | None,
  table: labels.Labels | None,
) -> Corpus:
  """Sound, or pictures; among sound, pictures are its covers."""
  whole = tree
  while (inner := genre_folders.inner(tree)) is not None:
    tree = inner
  if table:
    return _open_labelled(tree, whole, cache_dir, table)
  names = [genre_folders.in_folders(tree, form) for form in _FORMS]
  sound, pictures = (sorted({x.split("/")[0] for x in own}) for own in names)
  odd = sorted(set(pictures) - set(sound))
  if sound and odd:
    raise InputError(
      f"{tree.place} holds sound in {sound[0]}/ and pictures without sound in"
      f" {odd[0]}/: a corpus is of one of the two; remove the other"
    )
  if not sound and not pictures:
    for name, file in whole.files.items():
      if name.lower().endswith((*unpack.SUFFIXES, ".npz")):
        raise InputError(  # the path is a step short
          f"{whole.place} holds no track, but the archive {name}: give its"
          f" path, {file}"
        )
  which = bool(pictures and not sound)
  # They may hold more about the tracks than their folders do.
  tables = [str(whole.files[x]) for x in sorted(filter(_is_table, whole.files))]
  return dataclasses.replace(
    genre_folders.open_tree(tree, _FORMS[which], cache_dir),
    tables=tuple(tables),
    passed_over=whole.passed_over(tree.files[x] for x in names[which]),
  )


def _open_labelled(
  tree: file_tree.Tree,
  whole: file_tree.Tree,
  cache_dir: pathlib.Path | None,
  table: labels.Labels,
) -> Corpus:
  """Sound, or pictures, wherever they lie, with the genres of a table."""
  form = next(
    (form for form in _FORMS if any(map(form.fits, tree.files))), None
  )
  if form is None:
    accepted = [ending for form in _FORMS for ending in form.extensions]
    raise InputError(
      f"{tree.place} holds no track; {table.file} is for files"
      f" {', '.join(accepted)}, in any folders"
    )
  found, given = genre_folders.labelled(tree, form, table)
  corpus = genre_folders.open_tree(tree, form, cache_dir, found)
  facts: dict[str, object] = {"file": table.file}
  facts |= {"unlisted": given.unlisted, "unused": given.unused}
  # Files without a genre in the table are counted as its `unlisted` alone.
  fitting = filter(form.fits, tree.files)
  passed = whole.passed_over(tree.files[name] for name in fitting)
  corpus = dataclasses.replace(corpus, labels=facts, passed_over=passed)
  return labels.with_artists(corpus, given.artists, f"labels {table.sha256}")


def _synthetic(tracks_per_genre: int) -> Corpus:
  content = f"synthetic {synthetic.VERSION} {tracks_per_genre}"
  tracks = [
    Track(t.id, t.genre, t.artist, t.partition, partial(_render, t.id))
    for t in synthetic.tracks(tracks_per_genre)
  ]
  return Corpus(
    name="synthetic",
    kind=CORPORA["synthetic"],
    genres=in_genre_order(track.genre for track in tracks),
    tracks=tuple(tracks),
    fingerprint=hashlib.sha256(content.encode()).hexdigest(),
  )


def _render(track_id: str) -> Audio:
  return Audio(synthetic.render(track_id))
