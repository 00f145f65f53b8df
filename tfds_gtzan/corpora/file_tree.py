"""The files below a folder, by the rules that training and prediction share.

Hidden names (.x, folders __x) are passed over. Links are followed, but not to a
folder that is walked anyway, or that the link lies in.
"""

import collections
import dataclasses
import os
import pathlib
import re
import stat
from collections.abc import Iterable, Mapping
from typing import Any

from gtzan_jax.errors import InputError

MOST = 200_000  # files and folders; more is a mistake or an attack
HIDDEN = "hidden"


@dataclasses.dataclass(frozen=True)
class Tree:
  """Files by their names below a place, such as "blues/blues.00000.wav".

  Attributes:
    place: for messages; it may go on inside an archive.
    files: {name: its path on the disk}, without those passed over.
    passed: {name: kind} of files and folders that are passed over.
    unlisted: why folders in it cannot be listed, a line each.
  """

  place: str
  files: Mapping[str, pathlib.Path]
  folders: frozenset[str]
  passed: Mapping[str, str] = dataclasses.field(default_factory=dict)
  unlisted: tuple[str, ...] = ()

  def passed_over(self, taken: Iterable[pathlib.Path]) -> dict[str, int]:
    """{kind: how many} of all in it but the files taken, most first."""
    taken = set(taken)
    kinds = collections.Counter(self.passed.values())
    endings = {path.suffix.lower() for path in taken}
    for path in {*self.files.values()} - taken:
      ending = path.suffix.lower()
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
      os.path.join(self.place, folder),
      inside(self.files),
      frozenset(inside(dict.fromkeys(self.folders))),
      inside(self.passed),
      self.unlisted,
    )


def walk(root: pathlib.Path, place: str | None = None) -> Tree:
  """The files in a folder, at any depth; InputError above MOST entries."""
  files, passed = {}, {}
  errors: list[OSError] = []
  folders: set[str] = set()
  entries = 0
  real_root = pathlib.Path(os.path.realpath(root))
  walked = {real_root}
  for top, below, names in os.walk(
    root, onerror=errors.append, followlinks=True
  ):
    inside = pathlib.Path(top).relative_to(root)
    entries += len(below) + len(names)
    if entries > MOST:
      raise InputError(
        f"{place or root} holds more than {MOST:,} files: give the folder"
        " that holds the genres"
      )
    for name in below.copy():
      if kind := _passed_folder(os.path.join(top, name), real_root, walked):
        below.remove(name)
        passed[(inside / name).as_posix()] = kind
    below.sort()
    folders.update((inside / name).as_posix() for name in below)
    for name in sorted(names):
      path = pathlib.Path(top, name)
      if kind := HIDDEN if name.startswith(".") else _passed_file(path):
        passed[(inside / name).as_posix()] = kind
      else:
        files[(inside / name).as_posix()] = path
  unlisted = (f"{e.filename} cannot be listed: {e.strerror}" for e in errors)
  return Tree(
    place or str(root), files, frozenset(folders), passed, tuple(unlisted)
  )


def _passed_folder(
  folder: str, root: pathlib.Path, walked: set[pathlib.Path]
) -> str:
  """Why a folder is passed over; "" if it is walked, which is noted."""
  if _hidden(os.path.basename(folder)):
    return HIDDEN
  target = pathlib.Path(os.path.realpath(folder))
  around = root.is_relative_to(target)  # would be walked without end
  own_name = target.is_relative_to(root) and not any(
    map(_hidden, target.relative_to(root).parts)
  )
  if target in walked or (os.path.islink(folder) and (around or own_name)):
    return "links to folders that are walked already"
  walked.add(target)
  return ""


def _hidden(folder: str) -> bool:
  return folder.startswith((".", "__"))


def _passed_file(path: pathlib.Path) -> str:
  """Why a file is passed over; "" if it is not."""
  try:
    return "" if stat.S_ISREG(path.stat().st_mode) else "no plain file"
  except OSError as error:
    if path.is_symlink():
      return "broken links"
    return (error.strerror or "odd").lower()
