"""The files below one place, which is a folder or an archive.

What is hidden is passed over: names that begin with a dot (.DS_Store and, out
of a Mac's archives, ._blues.00000.wav), folders that begin with __ (__MACOSX).
"""

import contextlib
import dataclasses
import errno
import functools
import os
import pathlib
import stat
import tempfile
from collections.abc import Callable, Iterator, Mapping
from typing import BinaryIO

from gtzan_jax.errors import InputError, StopError

MOST = 200_000  # files and folders; more is a mistake or an attack


@dataclasses.dataclass(frozen=True)
class File:
  """A file, wherever it lies. It can be pickled and read from any thread.

  Attributes:
    name: without folders.
    stamp: see `stamp`, of what lies on the disk: the file, or the archive that
      it is a member of.
    open: opens it for reading, in a `with`; that raises OSError, or StopError
      if it is a member.
    path: its own, None if it is a member.
  """

  name: str
  stamp: tuple[int, ...]
  open: Callable[[], contextlib.AbstractContextManager[BinaryIO]]
  path: pathlib.Path | None = None

  @contextlib.contextmanager
  def on_disk(self) -> Iterator[pathlib.Path]:
    """Yields its path; a member's is that of a copy, gone afterwards.

    A copy and not the bytes alone: libsndfile tells some files by their name
    (an MP3 that begins with padding), and a member is to be read as it would
    be if it had been unpacked.

    Raises:
      StopError: no room for a copy, or an archive that cannot be read.
    """
    if self.path is not None:
      yield self.path
      return
    with self.open() as source:
      data = source.read()
    with contextlib.ExitStack() as stack:
      try:
        folder = stack.enter_context(
          tempfile.TemporaryDirectory(
            prefix="gtzan_jax-", ignore_cleanup_errors=True
          )
        )
        copy = pathlib.Path(folder, self.name)
        copy.write_bytes(data)
      except OSError as error:
        raise StopError(
          f"{self.name} cannot be copied from its archive to"
          f" {tempfile.tempdir or 'a folder for temporary files'}"
          f" ({error.strerror}); name a folder with room as TMPDIR"
        ) from error
      yield copy


@dataclasses.dataclass(frozen=True)
class Tree:
  """Files by their names below a place, such as "blues/blues.00000.wav".

  Attributes:
    place: for messages: a path, or one that goes on inside an archive.
    files: those that are not hidden.
    folders: the names of all folders, the empty ones too.
  """

  place: str
  files: Mapping[str, File]
  folders: frozenset[str]

  def top(self) -> list[str]:
    """The folders right below the place."""
    return sorted(name for name in self.folders if "/" not in name)

  def below(self, folder: str) -> "Tree":
    start = f"{folder}/"
    return Tree(
      place=os.path.join(self.place, folder),
      files={
        name.removeprefix(start): file
        for name, file in self.files.items()
        if name.startswith(start)
      },
      folders=frozenset(
        name.removeprefix(start)
        for name in self.folders
        if name.startswith(start)
      ),
    )


def hidden(folder: str) -> bool:
  """Whether a folder of that name is passed over."""
  return folder.startswith((".", "__"))


def stamp(status: os.stat_result) -> tuple[int, ...]:
  """What a file has to keep for its content to count as unchanged.

  Size and modification time are not enough: `mv` and `cp -p` carry both to
  another content, which has another inode or time of change.
  """
  return status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino


def on_disk(path: pathlib.Path) -> File:
  """A file on the disk; raises OSError if there is none, or no plain one."""
  status = path.stat()
  if not stat.S_ISREG(status.st_mode):
    raise OSError(errno.EINVAL, "no plain file", str(path))
  return File(
    name=path.name,
    stamp=stamp(status),
    open=functools.partial(open, path, "rb"),
    path=path,
  )


def of_folder(root: pathlib.Path, place: str | None = None) -> Tree:
  """What lies in a folder, however deep; links are followed, but not round.

  Args:
    root: the folder.
    place: its name for messages, if that is not its path.

  Raises:
    InputError: a folder that cannot be listed, more than MOST entries, or a
      link to a folder that it lies in.
  """
  found, folders, entries = {}, set(), 0

  def refuse(error: OSError) -> None:
    raise InputError(f"{error.filename} cannot be listed: {error.strerror}")

  for top, below, names in os.walk(root, onerror=refuse, followlinks=True):
    below[:] = sorted(name for name in below if not hidden(name))
    _refuse_loops(root, pathlib.Path(top), below)
    inside = pathlib.Path(top).relative_to(root)
    folders.update((inside / name).as_posix() for name in below)
    entries += len(below) + len(names)
    if entries > MOST:
      raise InputError(
        f"{place or root} holds more than {MOST:,} files: give the folder"
        " that holds the genres"
      )
    for name in sorted(names):
      if not name.startswith("."):
        with contextlib.suppress(OSError):  # a link to nowhere, a pipe
          file = on_disk(pathlib.Path(top, name))
          found[(inside / name).as_posix()] = file
  return Tree(place or str(root), found, frozenset(folders))


def _refuse_loops(
  root: pathlib.Path, top: pathlib.Path, below: list[str]
) -> None:
  """Round such a link the same files would be found again, as other tracks."""
  for link in (top / name for name in below):
    if link.is_symlink():
      target = link.resolve()
      above = [top, *top.parents][: len(top.relative_to(root).parts) + 1]
      if any(folder.resolve().is_relative_to(target) for folder in above):
        raise InputError(
          f"{link} is a link to {target}, in which it lies: take it away"
        )
