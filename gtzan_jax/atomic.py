"""Files that appear whole or not at all, and locks between processes."""

import contextlib
import fcntl
import json
import os
import pathlib
from collections.abc import Callable, Iterator
from typing import BinaryIO


@contextlib.contextmanager
def opened(path: str | os.PathLike) -> Iterator[BinaryIO]:
  """A file to write to, which replaces `path` when the block ends.

  Where the block raises, `path` stays as it was.
  """
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
  """Locks a file between processes; the lock goes with its process.

  Args:
    path: the file, made if need be; its folder exists.
    waits: called where another process holds the lock, before this one waits
      for it. None: it does not wait.

  Yields:
    the opened file, whose descriptor holds the lock, also in a child that
    inherits it; None where another process has it.
  """
  with open(path, "r+b", opener=_made_if_missing) as file:
    held = True
    try:
      fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
      held = False
    if not held and waits is not None:
      waits()
      fcntl.flock(file, fcntl.LOCK_EX)
      held = True
    yield file if held else None


def _made_if_missing(path: str, flags: int) -> int:
  return os.open(path, flags | os.O_CREAT, 0o666)
