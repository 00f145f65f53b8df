"""Whole files: atomic writes, locks between processes, and checksums.

SHA256SUMS of a folder has the format of `sha256sum -c`.
"""

import contextlib
import fcntl
import hashlib
import json
import os
import pathlib
from collections.abc import Callable, Iterable, Iterator
from typing import BinaryIO

SUMS = "SHA256SUMS"


@contextlib.contextmanager
def opened(path: str | os.PathLike) -> Iterator[BinaryIO]:
  """A file to write to; it replaces `path` only if the block does not raise."""
  path = pathlib.Path(path)
  temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
  try:
    with temporary.open("wb") as file:
      yield file
    os.replace(temporary, path)
  except OSError as error:  # a write does not know where it goes
    if error.errno and error.filename in (None, str(temporary)):
      error.filename = str(path)
    raise
  finally:
    temporary.unlink(missing_ok=True)


def write(path: str | os.PathLike, content: str | bytes) -> None:
  """Bytes, or text as UTF-8."""
  with opened(path) as file:
    file.write(content.encode() if isinstance(content, str) else content)


def write_json(
  path: str | os.PathLike, value: object, *, indent: int = 2
) -> None:
  """Writes JSON; raises ValueError for other values, NaN included."""
  text = json.dumps(value, indent=indent, allow_nan=False, ensure_ascii=False)
  write(path, text + "\n")


@contextlib.contextmanager
def locked(
  path: str | os.PathLike, waits: Callable[[], None] | None = None
) -> Iterator[BinaryIO | None]:
  """Locks a file between processes; yields it, or None.

  A child that inherits the descriptor holds the lock too. `waits` is called
  before waiting for another process; without it None is yielded at once.
  """
  # No mode of `open` makes a missing file and leaves what another has.
  descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
  with open(descriptor, "r+b") as file:
    try:
      fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
      held = True
    except BlockingIOError:
      if held := waits is not None:
        waits()
        fcntl.flock(file, fcntl.LOCK_EX)
    yield file if held else None


def _sha256(path: pathlib.Path) -> str:
  with path.open("rb") as file:
    return hashlib.file_digest(file, "sha256").hexdigest()


def write_checksums(
  folder: pathlib.Path, files: Iterable[pathlib.Path] | None = None
) -> None:
  """Writes the sha256 of files below a folder (default: all) into it."""
  if files is None:
    files = (file for file in folder.rglob("*") if file.is_file())
  lines = (
    f"{_sha256(file)}  {file.relative_to(folder).as_posix()}\n"
    for file in sorted(files)
  )
  write(folder / SUMS, "".join(lines))


def find_damage(
  folder: pathlib.Path,
  wanted: Callable[[str], bool] = lambda file: True,
  *,
  whole: bool = False,
) -> str | None:
  """The first damaged file and the reason; None if there is none.

  `wanted` gets paths below `folder`. `whole`: a wanted file that is not listed
  is damage too, as the list may have lost its end.
  """
  try:
    text = (folder / SUMS).read_text("utf-8", "replace")
  except OSError as error:
    return f"{SUMS}: {error.strerror}"
  named = {SUMS}
  for line in text.removesuffix("\n").split("\n"):
    digest, _, file = line.partition("  ")
    path = pathlib.PurePosixPath(file)
    if len(digest) != 64 or not path.name:
      return f"{SUMS} is cut short or garbled"
    if path.is_absolute() or ".." in path.parts:  # a stranger's, perhaps
      return f"{SUMS} names {file}, which is no file of its folder"
    named.add(file)
    try:
      if wanted(file) and _sha256(folder / file) != digest:
        return f"{file} is not what was written (sha256)"
    except (OSError, ValueError) as error:  # a ValueError: NUL in a name
      return f"{file or SUMS}: {getattr(error, 'strerror', error)}"
  for path in sorted(folder.rglob("*")) if whole else ():
    file = path.relative_to(folder).as_posix()
    if file not in named and wanted(file) and path.is_file():
      return f"{SUMS} does not name {file}"
  return None
