"""The files below one place, which is a folder or an archive.

Training and prediction walk it by the same rules. What is hidden is passed
over: names that begin with a dot (.DS_Store and, out of a Mac's archives,
._blues.00000.wav), folders that begin with __ (__MACOSX). Links to files are
followed, and links to folders out of the place; one to a folder that is walked
anyway, or that the link lies in, is passed over. In an archive links are
refused (members.py). Upper and lower case of an extension mean the same.
"""

import collections
import contextlib
import dataclasses
import errno
import functools
import os
import pathlib
import re
import shutil
import stat
import tempfile
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any, BinaryIO

from gtzan_jax import errors
from gtzan_jax.errors import InputError, StopError

MOST = 200_000  # files and folders; more is a mistake or an attack
HIDDEN = "hidden"


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
    with contextlib.ExitStack() as stack:
      with self.open() as source, self._copying():
        folder = stack.enter_context(
          tempfile.TemporaryDirectory(
            prefix=errors.COPIES, ignore_cleanup_errors=True
          )
        )
        copy = pathlib.Path(folder, self.name)
        with copy.open("wb") as file:
          shutil.copyfileobj(source, file, 2**20)
      yield copy  # the archive is closed: what fails now is none of its faults

  @contextlib.contextmanager
  def _copying(self) -> Iterator[None]:
    try:
      yield
    except OSError as error:
      raise StopError(
        f"{self.name} cannot be copied from its archive to"
        f" {tempfile.tempdir or 'a folder for temporary files'}"
        f" ({error.strerror}); name a folder with room as TMPDIR"
      ) from error


@dataclasses.dataclass(frozen=True)
class Tree:
  """Files by their names below a place, such as "blues/blues.00000.wav".

  Attributes:
    place: for messages: a path, or one that goes on inside an archive.
    files: those that are not passed over.
    folders: the names of all folders, the empty ones too.
    passed: {name: kind} of files and folders that are passed over.
    unlisted: why folders in it cannot be listed, a line each.
    whole: the tree that it is a part of; None if it is one of its own.
  """

  place: str
  files: Mapping[str, File]
  folders: frozenset[str]
  passed: Mapping[str, str] = dataclasses.field(default_factory=dict)
  unlisted: tuple[str, ...] = ()
  whole: "Tree | None" = dataclasses.field(default=None, repr=False)

  def passed_over(self, taken: Collection[str]) -> dict[str, int]:
    """{kind: how many} of all in the whole but the files taken, most first."""
    whole = self.whole or self
    start = self.place.removeprefix(whole.place).lstrip("/")
    taken = {os.path.join(start, name) for name in taken}
    kinds = collections.Counter(whole.passed.values())
    endings = {pathlib.PurePath(name).suffix.lower() for name in taken}
    for name in whole.files.keys() - taken:
      ending = pathlib.PurePath(name).suffix.lower()
      if not re.fullmatch(r"\.\w{1,8}", ending):
        ending = "without an extension"
      elif ending in endings:
        ending += " outside of a genre folder"
      kinds[ending] += 1
    return dict(sorted(kinds.items(), key=lambda kind: (-kind[1], kind[0])))

  def top(self) -> list[str]:
    """The folders right below the place."""
    return sorted(name for name in self.folders if "/" not in name)

  def below(self, folder: str) -> "Tree":
    start = f"{folder}/"

    def inside(names: Mapping[str, Any]) -> dict[str, Any]:
      return {
        name.removeprefix(start): value
        for name, value in names.items()
        if name.startswith(start)
      }

    return Tree(
      place=os.path.join(self.place, folder),
      files=inside(self.files),
      folders=frozenset(inside(dict.fromkeys(self.folders))),
      passed=inside(self.passed),
      unlisted=self.unlisted,
      whole=self.whole or self,
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
  """What lies in a folder, however deep; see above for what is passed over.

  Args:
    root: the folder.
    place: its name for messages, if that is not its path.

  Raises:
    InputError: more than MOST entries.
  """
  found, passed, unlisted = {}, {}, {}
  folders, entries = set(), 0
  once = _Once(root)

  def note(error: OSError) -> None:
    unlisted[error.filename] = (
      f"{error.filename} cannot be listed: {error.strerror}"
    )

  for top, below, names in os.walk(root, onerror=note, followlinks=True):
    inside = pathlib.Path(top).relative_to(root)
    entries += len(below) + len(names)
    if entries > MOST:
      raise InputError(
        f"{place or root} holds more than {MOST:,} files: give the folder"
        " that holds the genres"
      )
    for name in below.copy():
      kind = HIDDEN if hidden(name) else once.kind(os.path.join(top, name))
      if kind:
        below.remove(name)
        passed[(inside / name).as_posix()] = kind
    below.sort()
    folders.update((inside / name).as_posix() for name in below)
    for name in sorted(names):
      kind, path = HIDDEN if name.startswith(".") else "", inside / name
      try:
        if not kind:
          found[path.as_posix()] = on_disk(pathlib.Path(top, name))
      except OSError as error:
        is_link = os.path.islink(os.path.join(top, name))
        kind = "broken links" if is_link else (error.strerror or "odd").lower()
      if kind:
        passed[path.as_posix()] = kind
  return Tree(
    place or str(root),
    found,
    frozenset(folders),
    passed=passed,
    unlisted=tuple(unlisted.values()),
  )


class _Once:
  """Sees to it that a folder is walked once, and by its own name if it has one.

  By way of a link the same files would be found again, as other tracks.
  """

  def __init__(self, root: pathlib.Path):
    self._root = pathlib.Path(os.path.realpath(root))
    self._walked = {self._root}

  def kind(self, folder: str) -> str:
    """As what a folder is passed over; "" if it is walked."""
    target = pathlib.Path(os.path.realpath(folder))
    if target in self._walked or (
      os.path.islink(folder) and self._is_walked_anyway(target)
    ):
      return "links to folders that are walked already"
    self._walked.add(target)
    return ""

  def _is_walked_anyway(self, target: pathlib.Path) -> bool:
    if self._root.is_relative_to(target):
      return True  # and without end
    if not target.is_relative_to(self._root):
      return False
    return not any(map(hidden, target.relative_to(self._root).parts))
