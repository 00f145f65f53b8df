"""The largest accepted input, and the environment variables that change it:
GTZAN_JAX_MAX_HOURS, _CLIP_MINUTES, _MEGAPIXELS and _GIGABYTES.
"""

import os
import zipfile

from gtzan_jax.errors import InputError, StopError, shown

# Limits on one file, whose header can claim anything: hours of audio, minutes
# where all of it is one example, millions of pixels, gigabytes of an unpacked
# .npz.
LIMITS = {
  "HOURS": 24.0,
  "CLIP_MINUTES": 20.0,
  "MEGAPIXELS": 64.0,
  "GIGABYTES": 8.0,
}
RATIO = 100  # of unpacked to packed bytes, above any data's,
SMALL = 256 * 2**20  # checked above so many bytes


def limit(name: str) -> float:
  """GTZAN_JAX_MAX_<name>, or that of LIMITS; StopError if it is not above 0."""
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

  `what` names file and demand: "a.wav: 30.1 hours of audio".
  """
  if asked > limit(name):
    raise InputError(
      f"{what}; accepted are {limit(name):g}, or what GTZAN_JAX_MAX_{name} sets"
    )


def check_npz(path: str | os.PathLike, name: str = "") -> None:
  """InputError for an .npz that unpacks to too much; `name` starts the text."""
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

  One is accepted, however small the corpus; `first` is the first's reason.
  """
  if number > max(1, MAX_UNREADABLE * total):
    raise InputError(
      f"{number} of {total} tracks cannot be read, more than"
      f" {MAX_UNREADABLE:.0%}; the first: {first}; mend or remove them"
    )
