"""The members of an archive, looked at before any of them is used.

Archives come from anywhere, so none is trusted. A member that would leave the
folder it is unpacked into, is a link, a device or encrypted, or takes the place
of another is refused by its name, and so is an archive of absurd size.

Limits: files.MOST members; unpacked, RATIO times the archive's own size (below
SMALL nobody minds) and LARGEST at most. They hold for what really comes out and
not only for what is declared: a tar's sizes are those of its own bytes, zipfile
ends a member at its declared size, and what gzip gives is counted.
"""

import os
import pathlib
import re
import stat
import tarfile
import zipfile
from collections.abc import Iterable, Iterator
from typing import BinaryIO, NamedTuple

from gtzan_jax.errors import RATIO, SMALL, InputError
from tfds_gtzan.corpora import files

LARGEST = 100 * 2**30
_LONGEST = 255  # bytes of a name, in every common file system
HEADER = 2**20  # bytes that a tar's header may ask for at once
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


class Member(NamedTuple):
  """A member of an archive.

  Attributes:
    fault: what is wrong with it, if anything.
    hidden: the first hidden name on the way to it, with what lies above; or "".
  """

  name: str
  size: int
  is_folder: bool
  fault: str
  info: zipfile.ZipInfo | tarfile.TarInfo
  hidden: str = ""


def most_bytes(path: pathlib.Path) -> int:
  """How much may come out of an archive.

  By the bytes that it takes on the disk: of a sparse file they are less than
  its size.
  """
  status = path.stat()
  size = min(status.st_size, 512 * status.st_blocks or status.st_size)
  return min(LARGEST, max(SMALL, RATIO * size))


def accepted(path: pathlib.Path, members: Iterable[Member]) -> Iterator[Member]:
  """Passes them on, names made plain; lazily.

  Raises:
    InputError: of the first member, hidden or not, that is refused.
  """
  most, total = most_bytes(path), 0
  taken: dict[pathlib.PurePosixPath, bool] = {}  # name: is a folder
  for number, member in enumerate(members, 1):
    plain = pathlib.PurePosixPath(member.name)
    total += member.size
    fault = member.fault or _fault(member, plain)
    if not fault and total > most:
      fault = f"makes it {total:,} bytes, more than the {most:,} accepted"
    if not fault and number > files.MOST:
      fault = f"is one of more than the {files.MOST:,} accepted"
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
    hidden = [one for one in folders if files.hidden(one.name)][-1:]
    if not hidden and plain.name.startswith("."):
      hidden = [plain]
    if plain.parts:
      yield member._replace(name=str(plain), hidden="".join(map(str, hidden)))


def _fault(member: Member, plain: pathlib.PurePosixPath) -> str:
  if plain.is_absolute() or re.match("[A-Za-z]:", member.name):
    return "has an absolute path"
  if ".." in plain.parts:
    return "climbs out of the folder"
  if "\0" in member.name or not (plain.parts or member.is_folder):
    return "has no usable name"
  if any(len(os.fsencode(part)) > _LONGEST for part in plain.parts):
    return f"has a name of more than the {_LONGEST} bytes that a file can have"
  return "has a negative size" if member.size < 0 else ""


def of_zip(file: BinaryIO) -> Iterator[Member]:
  """In the order of its index; raises what zipfile raises."""
  with zipfile.ZipFile(file) as archive:
    for info in archive.infolist():
      mode = info.external_attr >> 16  # of archives made on Unix
      if stat.S_ISLNK(mode):
        fault = "is a symbolic link"
      elif stat.S_IFMT(mode) and not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        fault = "is a device or a pipe"
      elif info.flag_bits & 1:
        fault = "is encrypted: unpack it and give the folder"
      elif info.compress_type not in _METHODS:
        # Of the others, zipfile does not bound what comes out.
        fault = "is not packed by deflate: unpack it and give the folder"
      else:
        fault = ""
      name = info.filename.replace("\\", "/")  # as some of Windows' have it
      is_folder = name.endswith("/")
      yield Member(name, info.file_size, is_folder, fault, info)


class _Headers:
  """What tarfile reads: headers, none of which may ask for all the memory."""

  def __init__(self, file: BinaryIO):
    self._file = file
    self.seek, self.tell = file.seek, file.tell
    self.last = b""

  def read(self, size: int) -> bytes:
    if not 0 <= size <= HEADER:
      raise tarfile.ReadError(f"a header of {size:,} bytes")
    self.last = self._file.read(size)
    return self.last


def of_tar(file: BinaryIO) -> Iterator[Member]:
  """One after the other; in between the content may be read from `file`."""
  headers = _Headers(file)
  with tarfile.open(fileobj=headers, mode="r:") as archive:
    while (info := archive.next()) is not None:
      archive.members.clear()  # or it would keep them all
      if info.issym():
        fault = "is a symbolic link"
      elif info.islnk():
        fault = "is a hard link"
      elif info.isdev():
        fault = "is a device or a pipe"
      elif info.issparse() or not (info.isreg() or info.isdir()):
        fault = f"is of the type {info.type!r}, no plain file"
      else:
        fault = ""
      yield Member(info.name, info.size, info.isdir(), fault, info)
    # To tarfile a damaged header is the end as well.
    if headers.last != bytes(tarfile.BLOCKSIZE):
      raise tarfile.ReadError("it does not end as a tar ends")
