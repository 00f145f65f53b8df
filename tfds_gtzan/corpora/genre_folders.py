"""A folder for each genre, a file for each track: what collections share.

The same rules for what lies in a folder and for what lies in an archive.
"""

import contextlib
import dataclasses
import functools
import hashlib
import os
import pathlib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import BinaryIO

import numpy as np

from gtzan_jax import errors
from gtzan_jax.audio import mono_waveform
from gtzan_jax.errors import InputError
from gtzan_jax.features import image
from tfds_gtzan.corpora import digests, file_tree, labels, recognise_gtzan
from tfds_gtzan.corpora.types import (
  GENRES,
  Content,
  Corpus,
  Track,
  in_genre_order,
  listed,
  printable,
)

# Folders above the genres: GTZAN's own (and torchaudio's), Kaggle's, mirdata's.
ROOTS = ("genres", "genres_original", "gtzan_genre", "data")

# {genre: {track id: name of its file below the tree's place}}
Found = Mapping[str, Mapping[str, str]]


@dataclasses.dataclass(frozen=True)
class Form:
  """A form of corpus: sound or pictures.

  Attributes:
    numbered: regular expression between genre and number in GTZAN's names.
    decode: a file -> its content; raises InputError where it cannot be read.
    blocks, rate: a file's, an opened file's, see Track; None: it has none.
    check: (place, files of all tracks) refuses what cannot be one corpus.
  """

  name: str
  kind: str
  extensions: tuple[str, ...]
  numbered: str
  accepted: str
  decode: Callable[[pathlib.Path], Content]
  blocks: Callable[[pathlib.Path], Iterator[np.ndarray]] | None = None
  rate: Callable[[BinaryIO], int | None] | None = None
  check: Callable[[str, Sequence[pathlib.Path]], None] = lambda *_: None

  def fits(self, name: str) -> bool:
    return name.lower().endswith(self.extensions)


def open_tree(
  tree: file_tree.Tree,
  form: Form,
  cache_dir: pathlib.Path | None,
  found: Found | None = None,
) -> Corpus:
  """Opens the tracks in `found`, by default those of the genre folders.

  Artists and partition are those of GTZAN's track of the same id.
  """
  found, hint = _tracks(tree, form) if found is None else (found, "")
  names = [name for own in found.values() for name in own.values()]
  form.check(tree.place, [tree.files[name] for name in names])
  return Corpus(
    name=form.name,
    kind=form.kind,
    genres=tuple(found),
    tracks=tuple(
      _track(form, genre, track, tree.files[name])
      for genre, own in found.items()
      for track, name in own.items()
    ),
    fingerprint=_fingerprint(tree, found, cache_dir),
    hint=hint,
  )


def inner(tree: file_tree.Tree) -> file_tree.Tree | None:
  """What lies below a known folder or the only one; None at the genres."""
  top = tree.top()
  known = [name for name in top if name.lower() in ROOTS]
  if len(known) > 1:
    raise InputError(
      f"{tree.place} holds both {known[0]}/ and {known[1]}/: give one of the"
      " two"
    )
  if known:
    return tree.below(known[0])
  if len(top) != 1 or recognise_gtzan.genre(top[0]):
    return None
  below = tree.below(top[0])
  sound, pictures = (
    [name for name in below.files if name.lower().endswith(extensions)]
    for extensions in (mono_waveform.EXTENSIONS, image.EXTENSIONS)
  )
  # Among sound, pictures are its covers and make no genre of a folder.
  is_genre = any("/" not in name for name in sound or pictures)
  return below if below.folders and not is_genre else None


def in_folders(tree: file_tree.Tree, form: Form) -> list[str]:
  """The files of a form that lie in folders, however deep."""
  return sorted(name for name in tree.files if "/" in name and form.fits(name))


def _tracks(tree: file_tree.Tree, form: Form) -> tuple[Found, str]:
  """Genres in label order, tracks in the order of their ids; a hint, or "".

  If one file is named as GTZAN's are, all must be, with ids "<genre>.<number>";
  else an id is the name below the tree without the extension.
  """
  names = in_folders(tree, form)
  if not names:
    raise InputError(
      f"{tree.place} holds no track; accepted are {form.accepted}"
    )
  by_id, genre_of, hint = _by_id(tree, names, form)

  def genre(folder: str) -> str:
    return genre_of.get(folder, _printed(folder))

  found: dict[str, dict[str, str]] = {genre(x): {} for x in tree.top()}
  for track, name in by_id.items():
    found[genre(name.split("/")[0])][track] = name
  for name, of_genre in found.items():
    if not of_genre:
      raise InputError(
        f"{os.path.join(tree.place, name)} is a genre folder without a track:"
        f" put files into it ({', '.join(form.extensions)}) or remove it"
      )
  return {genre: found[genre] for genre in in_genre_order(found)}, hint


def labelled(
  tree: file_tree.Tree, form: Form, table: labels.Labels
) -> tuple[Found, labels.Given]:
  """Tracks of files in any folders or in none: a table has their genres."""
  names = sorted(name for name in tree.files if form.fits(name))
  by_id, _, _ = _by_id(tree, names, form)
  given = labels.match(table, by_id)
  genres = in_genre_order(given.genres.values())
  found: dict[str, dict[str, str]] = {genre: {} for genre in genres}
  for track, genre in sorted(given.genres.items()):
    found[genre][track] = by_id[track]
  return found, given


def _by_id(
  tree: file_tree.Tree, names: list[str], form: Form
) -> tuple[dict[str, str], Mapping[str, str], str]:
  """{track id: name of its file}, sorted; what else `_ids` gives."""
  for name in names:
    # What a GAN made could end up in a test split.
    if name.rpartition("/")[2].startswith(mono_waveform.GENERATED):
      raise InputError(
        f"{tree.place}: {name} was generated by a GAN: remove it, and"
        " give the GAN's workdir as --config.data.augment_with"
      )
  ids, genre_of, hint = _ids(tree, names, form)
  found: dict[str, str] = {}
  for track, name in sorted(zip(ids, names, strict=True)):
    if track in found:
      raise InputError(
        f"{tree.place} holds two files of the track {track}: {found[track]} and"
        f" {name}; keep one"
      )
    found[track] = name
  return found, genre_of, hint


def _ids(
  tree: file_tree.Tree, names: list[str], form: Form
) -> tuple[list[str], Mapping[str, str], str]:
  """Of each file, all GTZAN's or none; {folder: genre} of others; a hint."""
  names = [*map(_printed, names)]
  pattern = re.compile(rf"([^/]+)/\1{form.numbered}([0-9]{{5}})\.\w+")
  matches = [pattern.fullmatch(name) for name in names]
  gtzan = [match for match in matches if match]
  ids = [f"{match[1]}.{match[2]}" for match in gtzan]
  if len(ids) == len(names) and {match[1] for match in gtzan} <= set(GENRES):
    return ids, {}, ""
  near = recognise_gtzan.recognise(names)
  if near.ids:
    return near.ids, near.genres, near.hint
  if len(ids) == len(names):
    return ids, {}, near.hint
  if gtzan:
    raise InputError(
      f"{tree.place}: {gtzan[0][0]} is a name as GTZAN's tracks have it and"
      f" {names[matches.index(None)]} is none; accepted are {form.accepted},"
      " all of one kind"
    )
  return [name.rpartition(".")[0] for name in names], {}, near.hint


def _printed(name: str) -> str:
  """As it is in ids: a line end, a byte that is no UTF-8 as an escape."""
  return name if printable(name) else errors.shown(name)


def _track(form: Form, genre: str, track: str, file: pathlib.Path) -> Track:
  file = file.absolute()  # Beam's workers have another current folder
  return listed(
    track,
    genre,
    functools.partial(_read, file, form.decode),
    blocks=form.blocks and functools.partial(_blocks, file, form.blocks),
    rate=form.rate and functools.partial(_rate, file, form.rate),
  )


def _read(
  file: pathlib.Path, decode: Callable[[pathlib.Path], Content]
) -> Content:
  with _named(file):
    return decode(file)


def _blocks(
  file: pathlib.Path, blocks: Callable[[pathlib.Path], Iterator[np.ndarray]]
) -> Iterator[np.ndarray]:
  with _named(file):
    yield from blocks(file)


def _rate(
  file: pathlib.Path, rate: Callable[[BinaryIO], int | None]
) -> int | None:
  try:
    with file.open("rb") as opened:
      return rate(opened)
  except (InputError, OSError):
    return None  # reported where it is read


@contextlib.contextmanager
def _named(file: pathlib.Path) -> Iterator[None]:
  with errors.reading(file.name):
    try:
      yield
    except InputError as error:
      # The reason goes into data sets and reports, where folders are noise.
      reason = str(error).replace(f"{errors.shown(file.parent)}{os.sep}", "")
      raise type(error)(reason) from error


def _fingerprint(
  tree: file_tree.Tree, found: Found, cache_dir: pathlib.Path | None
) -> str:
  """sha256 (hex) of names, content and, for MP3, the decoder's version."""
  names = [name for own in found.values() for name in own.values()]
  named = {name: tree.files[name] for name in names}
  hashed = iter(digests.of_files(tree.place, named, cache_dir))
  whole = hashlib.sha256()
  if any(name.lower().endswith(".mp3") for name in names):
    whole.update(f"mp3 {mono_waveform.MP3_VERSION}\n".encode())
  for genre, of_genre in found.items():
    for track, name in of_genre.items():
      key = _printed(name)
      # The id as well, if it does not follow from the name alone.
      own = (track, f"{genre}/{track}", f"{genre}/{genre}{track[-5:]}")
      if key.rpartition(".")[0] not in own:
        key = f"{track} {key}"
      whole.update(f"{key} {next(hashed)}\n".encode())
  return whole.hexdigest()
