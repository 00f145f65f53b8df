"""Errors that are the user's to mend."""

import contextlib
import tokenize
import zipfile
import zlib
from collections.abc import Iterator

# What numpy and zipfile raise of an .npz that is none, cut off or garbled,
# beside OSError; of some flipped bytes numpy is asked for more than there is.
DAMAGED_NPZ = (
  *(ValueError, TypeError, LookupError, EOFError, MemoryError, RuntimeError),
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
