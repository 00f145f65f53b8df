"""Errors of the user's input, and names in one printable line."""

import contextlib
import errno
import os
import pathlib
import re
import sys
import tokenize
import unicodedata
import zipfile
import zlib
from collections.abc import Iterator

# Errors of numpy and zipfile, beside OSError, for an .npz that is corrupt or
# none; flipped bytes can ask for more memory than there is.
DAMAGED_NPZ = (
  *(ValueError, TypeError, LookupError, EOFError, MemoryError, RuntimeError),
  OverflowError,
  *(zipfile.BadZipFile, zlib.error, tokenize.TokenError),
)


class InputError(ValueError):
  """An error in the user's input; the command line exits with status 2.

  The message is one line: the value received and those accepted, or the remedy.
  Any other exception is a defect.
  """


def first_line(error: BaseException) -> str:
  """The first line of an error's text, of 200 characters at most."""
  lines = str(error).strip().splitlines() or [type(error).__name__]
  return lines[0][:200]


# Of category Cf, which also joins letters to one sign.
_TURNS = {0x61C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A)}


def shown(name: str | os.PathLike, keep: str = "") -> str:
  """A name in one printable line.

  Undecodable bytes, control characters, line ends and marks of text direction
  become escapes, except those in `keep`.
  """
  text = os.fspath(name)
  if text.isprintable():
    return text
  return "".join(one if one in keep else _escaped(one) for one in text)


def _escaped(letter: str) -> str:
  code, category = ord(letter), unicodedata.category(letter)
  if category not in ("Cc", "Cs", "Zl", "Zp") and code not in _TURNS:
    return letter
  if 0xDC80 <= code <= 0xDCFF:  # how Python keeps a byte of a file's name
    return f"\\x{code - 0xDC00:02x}"
  return letter.encode("unicode_escape").decode()


@contextlib.contextmanager
def reading(name: str | os.PathLike) -> Iterator[None]:
  """Turns any other exception of reading a file into InputError "NAME: reason".

  Decoders raise anything for damaged files, and one must not stop the others.
  """
  try:
    yield
  except InputError:
    raise
  except Exception as error:
    raise InputError(f"{shown(name)}: {_reason(error)}") from error


def _reason(error: Exception) -> str:
  if isinstance(error, OSError) and error.strerror:
    return error.strerror
  if isinstance(error, MemoryError):
    return "it asks for more memory than there is"
  text = shown(" ".join(str(error).split()))[:200] or "no reason given"
  return f"cannot be read ({type(error).__name__}: {text})"


UNPACKED = ".unpacked"  # where archives are unpacked to
_noted: set[str] = set()


def note(text: str) -> None:
  """Prints a note about a file that can be read, once."""
  text = re.sub(rf"^.*/{re.escape(UNPACKED)}/[^/]*/files/", "", text)
  if text not in _noted:
    _noted.add(text)
    print(f"note: {shown(text)}", file=sys.stderr)


# Errors of disks, limits and permissions; most others are defects.
_OF_A_DISK = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO}
_OF_THE_SYSTEM = {
  *_OF_A_DISK,
  *(errno.EACCES, errno.EPERM, errno.EMFILE, errno.ENFILE),
  *(errno.ENAMETOOLONG, errno.ELOOP),
}


# Modules outside the package's dependencies, and the extra that has each.
EXTRAS = {
  "matplotlib": "report",
  **dict.fromkeys(("array_record", "tensorflow_datasets"), "tfds"),
  **{"apache_beam": "beam", "av": "m4a"},
}


def install(module: str) -> str:
  """The command that installs a module of EXTRAS."""
  return f"pip install 'gtzan_jax[{EXTRAS[module]}]'"


def system_reason(error: BaseException) -> str | None:
  """The reason and place of a system's refusal; None for other errors."""
  if isinstance(error, ModuleNotFoundError):
    module = (error.name or "").partition(".")[0]
    if module in EXTRAS:
      return f"{module} is not installed: {install(module)}"
  if isinstance(error, OSError):
    if error.errno not in _OF_THE_SYSTEM:
      return None
    reason, where = os.strerror(error.errno), error.filename
    return f"{shown(str(where))}: {reason}" if where else reason
  # Libraries in C++ raise their own errors, with this in the text.
  reasons = map(os.strerror, _OF_A_DISK)
  return next((reason for reason in reasons if reason in str(error)), None)


@contextlib.contextmanager
def writing(given: str) -> Iterator[None]:
  """Turns an OSError of writing to `given` ("--out=x") into an InputError."""
  try:
    yield
  except OSError as error:
    raise InputError(f"{given} cannot be written: {error.strerror}") from error


class StopError(InputError):
  """An error that ends the work, where others skip a track."""


def damaged_data(directory: pathlib.Path, reason: str) -> InputError:
  """The error for a TFDS folder, <data_dir>/<name>/tfds_gtzan/..."""
  return InputError(
    f"prepared data in {directory.parents[2]} is damaged ({reason}): remove it"
    " and run again"
  )
