"""sha256 of files, remembered as long as their stamps stay (files.stamp)."""

import contextlib
import hashlib
import json
import os
import pathlib
from collections.abc import Mapping, Sequence
from concurrent import futures

from tfds_gtzan.corpora import files

_UNREADABLE = "unreadable"


def digests(
  root: pathlib.Path,
  paths: Sequence[pathlib.Path],
  cache_dir: pathlib.Path | None,
) -> list[str]:
  """`digests_of` some files on the disk; raises OSError if one is missing."""
  named = {str(path): files.on_disk(path) for path in paths}
  return digests_of(str(root), named, cache_dir)


def digests_of(
  place: str,
  named: Mapping[str, files.File],
  cache_dir: pathlib.Path | None,
) -> list[str]:
  """sha256 (hex) of each file.

  GTZAN is 1.2 GB: with `cache_dir`, what was hashed before and has kept its
  stamp is not read again; of an archive's member it is the archive that has to
  keep it. There is one small file for each
  `place`; it is replaced as a whole, and one that cannot be understood counts
  as empty. A file that cannot be read gets a fixed word in place of a digest:
  it is for its decoding to say what is wrong.

  Raises:
    InputError: a damaged archive.
  """
  cache = _cache_file(place, cache_dir)
  known = _load(cache)

  def digest(name: str) -> str:
    entry = known.get(name)
    if entry and entry[:-1] == [*named[name].stamp]:
      return entry[-1]
    return _sha256(named[name])

  # hashlib lets go of the interpreter lock, so threads help.
  with futures.ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
    result = list(pool.map(digest, named))
  fresh = {
    name: [*file.stamp, value]
    for (name, file), value in zip(named.items(), result, strict=True)
    if value != _UNREADABLE
  }
  if cache is not None and fresh != known:
    _save(cache, fresh)
  return result


def _sha256(file: files.File) -> str:
  try:
    with file.open() as opened:
      return hashlib.file_digest(opened, "sha256").hexdigest()
  except OSError:
    return _UNREADABLE


def _cache_file(
  place: str, cache_dir: pathlib.Path | None
) -> pathlib.Path | None:
  if cache_dir is None:
    return None
  name = hashlib.sha256(os.fsencode(os.path.realpath(place))).hexdigest()[:16]
  return cache_dir / f"{name}.json"


def _load(cache: pathlib.Path | None) -> dict[str, list]:
  """{path: [*stamp, sha256]}; anything else counts as nothing."""
  if cache is None:
    return {}
  try:
    entries = json.loads(cache.read_text())
    return {
      str(path): [*map(int, stamp), str(digest)]
      for path, (*stamp, digest) in entries.items()
    }
  except (OSError, ValueError, TypeError, AttributeError):
    return {}


def _save(cache: pathlib.Path, entries: dict[str, list]) -> None:
  temporary = cache.with_name(f"{cache.name}.{os.getpid()}.tmp")
  with contextlib.suppress(OSError):  # hashing again is slow, not wrong
    cache.parent.mkdir(parents=True, exist_ok=True)
    temporary.write_text(json.dumps(entries))
    os.replace(temporary, cache)
