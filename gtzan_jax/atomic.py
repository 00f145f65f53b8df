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
