"""Archives: a .zip, .tar or .tar.gz is unpacked, once, into the data folder.

None is trusted: links, devices, encrypted members and names that leave the
folder or repeat are refused. The limits hold for what is written, not only for
what is declared. tarfile's filter "data" accepts links and bounds no sizes.
"""

import atexit
import contextlib
import functools
import gzip
import io
import json
import os
import pathlib
import re
import shutil
import stat
import struct
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from typing import IO, NamedTuple

from absl import logging

from gtzan_jax import atomic, errors
from gtzan_jax.errors import InputError
from gtzan_jax.input_limits import RATIO, SMALL
from tfds_gtzan.corpora import digests, file_tree

SUFFIXES = (".zip", ".tar", ".tar.gz", ".tgz")
_OTHER_SUFFIXES = (".rar", ".7z", ".bz2", ".tbz2", ".xz", ".txz", ".zst", ".gz")
LARGEST = 100 * 2**30  # bytes
_LONGEST = 255  # bytes of a name, in every common file system
_BLOCK = 2**20  # bytes read at once; no tar header may ask for more
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
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


def open_tree(
  path: pathlib.Path, data_dir: pathlib.Path | None
) -> file_tree.Tree:
  """The files in an archive, whose form is decided by its first bytes.

  It is unpacked into <data_dir>/.unpacked/<sha256>/files, again if a file is
  missing there; None: into a temporary folder until the process ends.
  """
  home = (_scratch() if data_dir is None else data_dir) / errors.UNPACKED
  cache = data_dir and data_dir / ".digests"
  path.open("rb").close()  # or raise what the system says of it
  digest = digests.of_files(f"{path}/.archive", {str(path): path}, cache)[0]
  target = home / digest[:16]
  if not _is_whole(target):
    try:
      home.mkdir(parents=True, exist_ok=True)
      waits = f"another process unpacks into {home}: waiting"
      with atomic.locked(home / ".lock", lambda: logging.warning(waits)):
        if not _is_whole(target):  # or another made it while this one waited
          _replace(path, home, target)
    except OSError as error:
      raise InputError(
        f"{path} cannot be unpacked into {home}: {error.strerror}; give another"
        " folder as config.data.dir"
      ) from error
  return file_tree.walk(target / "files", str(path))


@functools.cache
def _scratch() -> pathlib.Path:
  folder = tempfile.mkdtemp(prefix="gtzan_jax-")
  atexit.register(shutil.rmtree, folder, ignore_errors=True)
  return pathlib.Path(folder)


def _is_whole(target: pathlib.Path) -> bool:
  """Whether all files are there that were unpacked: some tidy up by hand."""
  try:
    return json.loads((target / "sizes.json").read_text()) == _sizes(target)
  except (OSError, ValueError):
    return False


def _sizes(target: pathlib.Path) -> dict[str, int]:
  return {
    path.relative_to(target).as_posix(): path.stat().st_size
    for path in (target / "files").rglob("*")
    if path.is_file()
  }


def _replace(
  path: pathlib.Path, home: pathlib.Path, target: pathlib.Path
) -> None:
  logging.warning("unpacking %s into %s, once", path, target)
  for partial in home.glob("*.partial"):  # of a process that was killed
    shutil.rmtree(partial)
  shutil.rmtree(target, ignore_errors=True)
  partial = target.with_suffix(".partial")
  try:
    (partial / "files").mkdir(parents=True)
    _unpack(path, partial / "files")
    (partial / "sizes.json").write_text(json.dumps(_sizes(partial)))
    partial.rename(target)
  finally:
    shutil.rmtree(partial, ignore_errors=True)


def _unpack(path: pathlib.Path, folder: pathlib.Path) -> None:
  with path.open("rb") as file:
    start = file.read(2)
  members = _zip_members if start == b"PK" else _tar_members
  try:
    for member in _accepted(path, members(path, start == b"\x1f\x8b")):
      place = folder / member.name
      parent = place if member.is_folder else place.parent
      parent.mkdir(parents=True, exist_ok=True)
      if not member.is_folder:
        source = member.open()
        assert source is not None  # as it is a plain file
        with source, place.open("xb") as copy:
          shutil.copyfileobj(source, copy, _BLOCK)
  except InputError:
    raise
  except _DAMAGED as error:
    reason = " ".join(str(error).split()) or type(error).__name__
    raise InputError(
      f"{path} is damaged, cut short or no archive ({reason}): get it again"
    ) from error


class _Member(NamedTuple):
  """A member of an archive; `fault` is what is wrong with it, or ""."""

  name: str
  size: int
  is_folder: bool
  fault: str
  open: Callable[[], IO[bytes] | None]


def _accepted(
  path: pathlib.Path, members: Iterator[_Member]
) -> Iterator[_Member]:
  """Yields them; raises InputError at the first that is refused."""
  most, total = _most_bytes(path), 0
  taken: dict[pathlib.PurePosixPath, bool] = {}  # name: is a folder
  for number, member in enumerate(members, 1):
    plain = pathlib.PurePosixPath(member.name)
    total += member.size
    fault = member.fault or _fault(member, plain)
    if not fault and total > most:
      fault = f"makes it {total:,} bytes, more than the {most:,} accepted"
    if not fault and number > file_tree.MOST:
      fault = f"is one of more than the {file_tree.MOST:,} accepted"
    folders = [plain, *plain.parents] if member.is_folder else plain.parents
    if not member.is_folder and plain in taken:
      fault = fault or "stands in it twice"
    if not all(taken.get(folder, True) for folder in folders):
      fault = fault or "lies below a file"
    if fault:
      raise InputError(
        f"{path} is refused: its member {member.name[:200]!r} {fault}"
      )
    taken |= dict.fromkeys(folders, True) | {plain: member.is_folder}
    yield member._replace(name=str(plain))


def _most_bytes(path: pathlib.Path) -> int:
  """Most bytes to unpack, by those on the disk: of a sparse file, fewer."""
  status = path.stat()
  size = min(status.st_size, 512 * status.st_blocks or status.st_size)
  return min(LARGEST, max(SMALL, RATIO * size))


def _fault(member: _Member, plain: pathlib.PurePosixPath) -> str:
  if plain.is_absolute() or re.match("[A-Za-z]:", member.name):
    return "has an absolute path"
  if ".." in plain.parts:
    return "climbs out of the folder"
  if "\0" in member.name or not (plain.parts or member.is_folder):
    return "has no usable name"
  if any(len(os.fsencode(part)) > _LONGEST for part in plain.parts):
    return f"has a name of more than the {_LONGEST} bytes that a file can have"
  return "has a negative size" if member.size < 0 else ""


def _zip_members(path: pathlib.Path, _: bool) -> Iterator[_Member]:
  with zipfile.ZipFile(path) as archive:
    for info in archive.infolist():
      kind = stat.S_IFMT(info.external_attr >> 16)  # 0 if not made on Unix
      fault = ""
      if kind == stat.S_IFLNK:
        fault = "is a symbolic link"
      elif kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        fault = "is a device or a pipe"
      elif info.flag_bits & 1:
        fault = "is encrypted: unpack it and give the folder"
      elif info.compress_type not in _METHODS:
        # Of the others, zipfile does not bound what is unpacked.
        fault = "is not packed by deflate: unpack it and give the folder"
      name = info.filename.replace("\\", "/")  # as some of Windows' have it
      yield _Member(
        *(name, info.file_size, name.endswith("/"), fault),
        functools.partial(archive.open, info),
      )


class _Bounded(io.RawIOBase):
  """A file for tarfile, no header of which may ask for all the memory."""

  def __init__(self, file: io.BufferedIOBase):
    self._file = file
    self.last = b""

  def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
    return self._file.seek(offset, whence)

  def tell(self) -> int:
    return self._file.tell()

  def read(self, size: int = -1) -> bytes:
    if not 0 <= size <= _BLOCK:
      raise tarfile.ReadError(f"a header of {size:,} bytes")
    self.last = self._file.read(size)
    return self.last


def _tar_members(path: pathlib.Path, is_gzip: bool) -> Iterator[_Member]:
  """One after the other: each has to be read before the next is asked for."""
  with contextlib.ExitStack() as stack:
    file = stack.enter_context((gzip.open if is_gzip else open)(path, "rb"))
    bounded = _Bounded(file)
    archive = stack.enter_context(tarfile.open(fileobj=bounded, mode="r:"))
    while (info := archive.next()) is not None:
      # Or it would keep them all.
      archive.members.clear()  # type: ignore[attr-defined]
      fault = ""
      if info.issym():
        fault = "is a symbolic link"
      elif info.islnk():
        fault = "is a hard link"
      elif info.isdev():
        fault = "is a device or a pipe"
      elif info.issparse() or not (info.isreg() or info.isdir()):
        fault = f"is of the type {info.type!r}, no plain file"
      yield _Member(
        *(info.name, info.size, info.isdir(), fault),
        functools.partial(archive.extractfile, info),
      )
    # To tarfile a damaged header is the end as well.
    if bounded.last != bytes(tarfile.BLOCKSIZE):
      raise tarfile.ReadError("it does not end as a tar ends")
    # gzip's checksum stands at the end, behind the tar's padding.
    while file.read(_BLOCK):
      if file.tell() > _most_bytes(path):
        raise tarfile.ReadError(f"more than {_most_bytes(path):,} bytes in it")
