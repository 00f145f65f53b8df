"""Checksums of the files of a folder, kept in it and checked before reading.

SHA256SUMS has the format of `sha256sum -c`.
"""

import hashlib
import pathlib
from collections.abc import Callable, Iterable

from gtzan_jax import atomic

SUMS = "SHA256SUMS"


def _sha256(path: pathlib.Path) -> str:
  with path.open("rb") as file:
    return hashlib.file_digest(file, "sha256").hexdigest()


def write(
  folder: pathlib.Path, files: Iterable[pathlib.Path] | None = None
) -> None:
  """Writes the sha256 of files below a folder (default: all) into it."""
  if files is None:
    files = (file for file in folder.rglob("*") if file.is_file())
  lines = (
    f"{_sha256(file)}  {file.relative_to(folder).as_posix()}\n"
    for file in sorted(files)
  )
  atomic.write(folder / SUMS, "".join(lines))


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
