"""Errors that are the user's to mend."""

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
from typing import TextIO

# What numpy and zipfile raise of an .npz that is none, cut off or garbled,
# beside OSError; of some flipped bytes numpy is asked for more than there is.
DAMAGED_NPZ = (
  *(ValueError, TypeError, LookupError, EOFError, MemoryError, RuntimeError),
  OverflowError,
  *(zipfile.BadZipFile, zlib.error, tokenize.TokenError),
)


class InputError(ValueError):
  """A mistake in what the user gave: a path, a name, a value, a file.

  Its message is one line that names the value received and the values
  accepted (or the remedy). `launch.py` prints it without a traceback and exits
  with status 2; anything else that escapes is a defect of ours.
  """


def first_line(error: BaseException) -> str:
  """What an error of a library says, in a line of 200 characters at most."""
  lines = str(error).strip().splitlines() or [type(error).__name__]
  return lines[0][:200]


def shown(name: str | os.PathLike, keep: str = "") -> str:
  """A name in one line that any terminal prints and no terminal obeys.

  Bytes that are no UTF-8, control characters, line ends and what turns the
  direction of text become escapes, but for those to `keep`.
  """
  text = os.fspath(name)
  if text.isprintable():
    return text
  return "".join(one if one in keep else _escaped(one) for one in text)


class Shown:
  """A stream that is written to through `shown`; lines and tabs stay."""

  def __init__(self, stream: TextIO):
    self._stream = stream

  def write(self, text: str) -> int:
    """Writes the text without what a terminal would obey."""
    self._stream.write(shown(text, keep="\n\t\r"))
    return len(text)

  def __getattr__(self, name: str) -> object:
    return getattr(self._stream, name)


# Of category Cf, which also joins letters to one sign.
_TURNS = {0x61C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A)}


def _escaped(letter: str) -> str:
  category = unicodedata.category(letter)
  if category not in ("Cc", "Cs", "Zl", "Zp") and ord(letter) not in _TURNS:
    return letter
  code = ord(letter)
  if 0xDC80 <= code <= 0xDCFF:  # how Python keeps a byte of a file's name
    return f"\\x{code - 0xDC00:02x}"
  return letter.encode("unicode_escape").decode()


@contextlib.contextmanager
def reading(name: str | os.PathLike) -> Iterator[None]:
  """The edge of every reader of a file: what it raises ends in one line.

  Decoders raise what they like at damaged or odd files. None of it may end the
  work on all the others, so callers need to know InputError alone.

  Raises:
    InputError: "NAME: reason", for any exception that is none yet.
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
  """Prints, once, what is odd about a file that can be read all the same."""
  text = re.sub(rf"^.*/{re.escape(UNPACKED)}/[^/]*/files/", "", text)
  if text not in _noted:
    _noted.add(text)
    print(f"note: {shown(text)}", file=sys.stderr)


# What a disk, a limit or a permission refuses; most else is a defect.
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
  """What the system refused, and where; None of any other error."""
  if isinstance(error, ModuleNotFoundError):
    module = (error.name or "").partition(".")[0]
    if module in EXTRAS:
      return f"{module} is not installed: {install(module)}"
  if isinstance(error, OSError):
    if error.errno not in _OF_THE_SYSTEM:
      return None
    reason, where = os.strerror(error.errno), error.filename
    return f"{shown(str(where))}: {reason}" if where else reason
  # Libraries in C++ raise errors of their own, with this in their text.
  reasons = map(os.strerror, _OF_A_DISK)
  return next((reason for reason in reasons if reason in str(error)), None)


@contextlib.contextmanager
def writing(given: str) -> Iterator[None]:
  """What goes on in it writes to a place of the user's: `given`, "--out=x".

  Raises:
    InputError: it cannot be written.
  """
  try:
    yield
  except OSError as error:
    raise InputError(f"{given} cannot be written: {error.strerror}") from error


class StopError(InputError):
  """One that ends the work: no track is to be passed over because of it."""


# The most that one file may ask for, as a header can promise anything: hours of
# sound, minutes where all of it is one example, millions of pixels, gigabytes
# of an .npz when it is unpacked.
LIMITS = {
  "HOURS": 24.0,
  "CLIP_MINUTES": 20.0,
  "MEGAPIXELS": 64.0,
  "GIGABYTES": 8.0,
}
RATIO = 100  # of unpacked to packed bytes; more than any data shrinks,
SMALL = 256 * 2**20  # which nobody minds below so many bytes


def limit(name: str) -> float:
  """A limit of LIMITS, or what GTZAN_JAX_MAX_<name> in the environment sets.

  Raises:
    StopError: that is no number above 0.
  """
  variable = f"GTZAN_JAX_MAX_{name}"
  given = os.environ.get(variable, "")
  try:
    value = float(given) if given else LIMITS[name]
  except ValueError:
    value = 0.0
  if not value > 0:
    raise StopError(f"{variable}={shown(given)}: give a number above 0")
  return value


def check_limit(name: str, asked: float, what: str) -> None:
  """Raises InputError where a file asks for more than a limit of LIMITS.

  Args:
    name: of LIMITS.
    asked: for how much.
    what: the file, and what it asks for: "a.wav: 30.1 hours of audio".
  """
  if asked > limit(name):
    raise InputError(
      f"{what}; accepted are {limit(name):g}, or what GTZAN_JAX_MAX_{name} sets"
    )


def check_npz(path: str | os.PathLike, name: str = "") -> None:
  """Refuses an .npz that unpacks to more than it can be meant to.

  Args:
    path: its own.
    name: what messages begin with, such as "a.npz: ".

  Raises:
    InputError: by its index it does; and what zipfile raises.
  """
  packed = os.stat(path).st_size
  with zipfile.ZipFile(path) as archive:
    size = sum(member.file_size for member in archive.infolist())
  what = f"{name}unpacked it has {size / 1e9:.1f} GB"
  check_limit("GIGABYTES", size / 1e9, what)
  if size > max(SMALL, RATIO * packed):
    raise InputError(f"{what}, more than {RATIO} times its {packed:,} bytes")


MAX_UNREADABLE = 0.05  # of a corpus's tracks


def check_unreadable(number: int, total: int, first: str) -> None:
  """Raises InputError where too many of a corpus's tracks cannot be read.

  One odd file ends nothing, however small the corpus.

  Args:
    number: of those that cannot be read.
    total: of all tracks.
    first: why the first cannot.
  """
  if number > max(1, MAX_UNREADABLE * total):
    raise InputError(
      f"{number} of {total} tracks cannot be read, more than"
      f" {MAX_UNREADABLE:.0%}; the first: {first}; mend or remove them"
    )


def damaged_data(directory: pathlib.Path, reason: str) -> InputError:
  """Of the TFDS folder of prepared data, <data_dir>/<name>/tfds_gtzan/..."""
  return InputError(
    f"prepared data in {directory.parents[2]} is damaged ({reason}): remove it"
    " and run again"
  )
