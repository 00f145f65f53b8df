"""sha256 of files, remembered as long as size and modification time stay."""

import contextlib
import hashlib
import json
import os
import pathlib
from collections.abc import Sequence
from concurrent import futures

_UNREADABLE = "unreadable"


def digests(
  root: pathlib.Path,
  files: Sequence[pathlib.Path],
  cache_dir: pathlib.Path | None,
) -> list[str]:
  """sha256 (hex) of each file.

  GTZAN is 1.2 GB: with `cache_dir`, what was hashed before and has kept its
  size and its modification time (ns) is not read again. There is one small
  file for each `root`; it is replaced as a whole, and one that cannot be
  understood counts as empty. A file that cannot be read gets a fixed word in
  place of a digest: it is for its decoding to say what is wrong.
  """
  cache = _cache_file(root, cache_dir)
  known = _load(cache)
  stamps = [_stamp(file) for file in files]
  names = [str(file) for file in files]

  def digest(name: str, stamp: list[int] | None) -> str:
    entry = known.get(name)
    if stamp is not None and entry and entry[:2] == stamp:
      return entry[2]
    return _sha256(name)

  # hashlib lets go of the interpreter lock, so threads help.
  with futures.ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
    result = list(pool.map(digest, names, stamps))
  fresh = {
    name: [*stamp, value]
    for name, stamp, value in zip(names, stamps, result, strict=True)
    if stamp is not None and value != _UNREADABLE
  }
  if cache is not None and fresh != known:
    _save(cache, fresh)
  return result


def _stamp(file: pathlib.Path) -> list[int] | None:
  try:
    stat = file.stat()
  except OSError:
    return None
  return [stat.st_size, stat.st_mtime_ns]


def _sha256(name: str) -> str:
  try:
    with open(name, "rb") as file:
      return hashlib.file_digest(file, "sha256").hexdigest()
  except OSError:
    return _UNREADABLE


def _cache_file(
  root: pathlib.Path, cache_dir: pathlib.Path | None
) -> pathlib.Path | None:
  if cache_dir is None:
    return None
  name = hashlib.sha256(str(root.resolve()).encode()).hexdigest()[:16]
  return cache_dir / f"{name}.json"


def _load(cache: pathlib.Path | None) -> dict[str, list]:
  """{path: [size, mtime_ns, sha256]}; anything else counts as nothing."""
  if cache is None:
    return {}
  try:
    entries = json.loads(cache.read_text())
    return {
      str(path): [int(size), int(mtime), str(digest)]
      for path, (size, mtime, digest) in entries.items()
    }
  except (OSError, ValueError, TypeError, AttributeError):
    return {}


def _save(cache: pathlib.Path, entries: dict[str, list]) -> None:
  temporary = cache.with_name(f"{cache.name}.{os.getpid()}.tmp")
  with contextlib.suppress(OSError):  # hashing again is slow, not wrong
    cache.parent.mkdir(parents=True, exist_ok=True)
    temporary.write_text(json.dumps(entries))
    os.replace(temporary, cache)
