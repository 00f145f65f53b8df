"""Archives: a zip or a plain tar is read in place, a tar.gz is unpacked once.

What may be in it, says members.py. Nothing but the bytes of regular files is
ever written, below names that were checked there.
"""

import contextlib
import dataclasses
import fcntl
import functools
import gzip
import io
import json
import pathlib
import shutil
import struct
import tarfile
import threading
import zipfile
import zlib
from collections.abc import Callable, Iterator
from typing import BinaryIO

from absl import logging

from gtzan_jax import errors
from gtzan_jax.errors import InputError, StopError
from tfds_gtzan.corpora import digests, files, members

SUFFIXES = (".zip", ".tar", ".tar.gz", ".tgz")
_OTHER_SUFFIXES = (".rar", ".7z", ".bz2", ".tbz2", ".xz", ".txz", ".zst", ".gz")
_LIST = ".files.json"  # no member has the name: it is hidden
_DAMAGED = (
  tarfile.TarError,
  zipfile.BadZipFile,
  gzip.BadGzipFile,
  zlib.error,
  struct.error,
  EOFError,
  RuntimeError,
  ValueError,
)


def split(path: pathlib.Path) -> tuple[pathlib.Path, str] | None:
  """("kaggle.zip", "Data/images_original") of a path that goes on inside.

  The second is "." where it does not; None if there is no archive on the way.

  Raises:
    InputError: an archive of a form that is not read.
  """
  for place in (path, *path.parents):
    name = place.name.lower()
    if name.endswith(SUFFIXES) and place.is_file():
      return place, path.relative_to(place).as_posix()
    if name.endswith(_OTHER_SUFFIXES) and place.is_file():
      raise InputError(
        f"{place}: of archives, {', '.join(SUFFIXES)} are read; unpack it and"
        " give the folder"
      )
  return None


def tree_at(
  path: pathlib.Path, data_dir: pathlib.Path | None
) -> files.Tree | None:
  """The files of a folder or an archive; None where the path leads to neither.

  Args:
    path: it may go on inside an archive, to a folder or a file.
    data_dir: see `open_tree`.

  Raises:
    InputError: an archive without what the path goes on to; whatever the system
      says of the path; see `open_tree`, `split` and `files.of_folder`.
  """
  with errors.reading(path):
    if path.is_dir():
      return files.of_folder(path)
    if (found := split(path)) is None:
      return None
    tree, inside = open_tree(found[0], data_dir), found[1]
    if inside == ".":
      return tree
    if inside in tree.folders:
      return dataclasses.replace(tree.below(inside), whole=None)
    if inside in tree.files:
      file = tree.files[inside]
      return files.Tree(str(path.parent), {file.name: file}, frozenset())
    raise InputError(f"{found[0]} holds no {inside}")


def open_tree(path: pathlib.Path, data_dir: pathlib.Path | None) -> files.Tree:
  """The files in an archive.

  Args:
    path: of the archive; its first bytes say of which form it is.
    data_dir: a tar.gz is unpacked into its .unpacked/.

  Raises:
    InputError: a damaged archive, a member that is refused, a tar.gz without
      a data_dir, a full disk. One line, which names the archive and the member.
  """
  with path.open("rb") as file:
    start = file.read(2)
  if start == b"\x1f\x8b":
    folder = _unpacked(path, data_dir)
    tree = files.of_folder(folder, str(path))
    return dataclasses.replace(tree, passed=_passed(folder))
  return _in_place(path, members.of_zip if start == b"PK" else members.of_tar)


def _in_place(
  path: pathlib.Path,
  list_members: Callable[[BinaryIO], Iterator[members.Member]],
) -> files.Tree:
  stamp = files.on_disk(path).stamp
  found, folders, passed = {}, set(), {}
  with _damage_named(path), path.open("rb") as file:
    for member in members.accepted(path, list_members(file)):
      if member.hidden:
        passed[member.hidden] = files.HIDDEN
        continue
      parts = member.name.split("/")
      depths = range(1, len(parts) + member.is_folder)
      folders.update("/".join(parts[:depth]) for depth in depths)
      if not member.is_folder:
        found[member.name] = files.File(
          name=parts[-1],
          stamp=stamp,
          open=functools.partial(_open, str(path), stamp, _key(member.info)),
        )
  found = dict(sorted(found.items()))
  return files.Tree(str(path), found, frozenset(folders), passed)


@contextlib.contextmanager
def _damage_named(path: str | pathlib.Path) -> Iterator[None]:
  try:
    yield
  except InputError:
    raise
  except _DAMAGED as error:
    reason = " ".join(str(error).split()) or type(error).__name__
    raise StopError(
      f"{path} is damaged, cut short or no archive ({reason}): get it again"
    ) from error


# Read in place.


def _key(info: zipfile.ZipInfo | tarfile.TarInfo) -> str | tuple[int, int]:
  if isinstance(info, zipfile.ZipInfo):
    return info.filename
  return info.offset_data, info.size


@contextlib.contextmanager
def _open(
  path: str, stamp: tuple[int, ...], key: str | tuple[int, int]
) -> Iterator[BinaryIO]:
  """Yields a member's content.

  Raises:
    StopError: an archive that is damaged, or is no more. It was whole when it
      was opened, so this is no fault of the one track.
  """
  try:
    with _damage_named(path):
      if isinstance(key, str):
        with _zip(threading.get_ident(), path, stamp).open(key) as member:
          yield member
      else:
        with open(path, "rb") as file:
          yield io.BufferedReader(_Part(file, *key))
  except OSError as error:
    raise StopError(
      f"{path} cannot be read: {error.strerror or error}"
    ) from error


class _Part(io.RawIOBase):
  """Some bytes of a file, as a file."""

  def __init__(self, file: BinaryIO, start: int, size: int):
    self._file, self._start, self._size, self._at = file, start, size, 0

  def readable(self) -> bool:
    return True

  def seekable(self) -> bool:
    return True

  def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
    self._at = offset + {io.SEEK_CUR: self._at, io.SEEK_END: self._size}.get(
      whence, 0
    )
    return self._at

  def readinto(self, buffer) -> int:
    size = max(0, min(len(buffer), self._size - self._at))
    self._file.seek(self._start + self._at)
    buffer[:size] = _whole(self._file, size)
    self._at += size
    return size


def _whole(file: BinaryIO, size: int) -> bytes:
  data = file.read(size)
  if len(data) < size:
    raise EOFError("a member is cut short")
  return data


@functools.lru_cache(maxsize=64)
def _zip(thread: int, path: str, stamp: tuple[int, ...]) -> zipfile.ZipFile:
  """Opened once a thread: zipfile does not promise that threads can share."""
  del thread, stamp
  return zipfile.ZipFile(path)


# Unpacked.


def _unpacked(
  path: pathlib.Path, data_dir: pathlib.Path | None
) -> pathlib.Path:
  """<data_dir>/.unpacked/<sha256>; what is missing there is unpacked again."""
  if data_dir is None:
    raise InputError(
      f"{path} cannot be read in place and no data_dir was given to unpack it"
      " into: give a data_dir, or unpack it and give the folder"
    )
  home = data_dir / ".unpacked"
  digest = digests.digests(path, [path], data_dir / ".digests")[0]
  target = home / digest[:16]
  if _is_whole(target):
    return target
  try:
    home.mkdir(parents=True, exist_ok=True)
    with _damage_named(path), (home / ".lock").open("w") as lock:
      try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
      except BlockingIOError:
        logging.warning("another process unpacks into %s: waiting", home)
        fcntl.flock(lock, fcntl.LOCK_EX)  # it dies with its holder
      for partial in home.glob("*.partial"):  # a killed process left it
        shutil.rmtree(partial)
      if not _is_whole(target):  # or another made it while this one waited
        if target.exists():
          shutil.rmtree(target)
        _unpack(path, target)
  except OSError as error:
    raise InputError(
      f"{path} cannot be unpacked into {home}: {error.strerror}; give another"
      " folder as config.data.dir"
    ) from error
  return target


def _unpack(path: pathlib.Path, target: pathlib.Path) -> None:
  logging.warning("unpacking %s into %s, once", path, target)
  partial = target.with_suffix(".partial")
  try:
    partial.mkdir()
    passed = {}
    with gzip.open(path) as file:
      for member in members.accepted(path, members.of_tar(file)):
        if member.hidden:
          passed[member.hidden] = None
          continue
        place = partial / member.name
        folder = place if member.is_folder else place.parent
        folder.mkdir(parents=True, exist_ok=True)
        if not member.is_folder:
          _copy(file, member.size, place)
      # gzip's checksum stands at the end, behind the tar's padding.
      while file.read(members.HEADER):
        if file.tell() > members.most_bytes(path):
          raise tarfile.ReadError(
            f"more than {members.most_bytes(path):,} bytes in it"
          )
    (partial / _LIST).write_text(json.dumps(_sizes(partial) | passed))
    partial.rename(target)
  finally:
    shutil.rmtree(partial, ignore_errors=True)


def _is_whole(target: pathlib.Path) -> bool:
  """Whether all files are there that were unpacked: some tidy up by hand."""
  try:
    listed = json.loads((target / _LIST).read_text())
    return listed == _sizes(target) | dict.fromkeys(_passed(target))
  except (OSError, ValueError, AttributeError):
    return False


def _passed(target: pathlib.Path) -> dict[str, str]:
  """What was hidden in the archive, and so was not unpacked."""
  listed = json.loads((target / _LIST).read_text())
  return {name: files.HIDDEN for name, size in listed.items() if size is None}


def _sizes(folder: pathlib.Path) -> dict[str, int]:
  return {
    name: file.stamp[0] for name, file in files.of_folder(folder).files.items()
  }


def _copy(file: BinaryIO, size: int, place: pathlib.Path) -> None:
  with place.open("xb") as target:
    for start in range(0, size, members.HEADER):
      target.write(_whole(file, min(members.HEADER, size - start)))
