"""sha256 of files, remembered as long as nothing shows that they changed."""

import contextlib
import hashlib
import json
import os
import pathlib
from collections.abc import Mapping
from concurrent import futures

from gtzan_jax import atomic

_UNREADABLE = "unreadable"


def of_files(
  place: str,
  named: Mapping[str, pathlib.Path],
  cache_dir: pathlib.Path | None,
) -> list[str]:
  """sha256 (hex) of each file; a fixed word for one that cannot be read.

  With `cache_dir`, a file with an unchanged stamp is not read again (GTZAN is
  1.2 GB). The digests of each `place` are one small file.
  """
  key = hashlib.sha256(os.fsencode(os.path.realpath(place))).hexdigest()[:16]
  cache = cache_dir and cache_dir / f"{key}.json"
  known = _load(cache) if cache else {}

  def entry(name: str) -> list:
    """[*stamp, sha256]"""
    try:
      status = named[name].stat()
      # `mv` and `cp -p` keep size and modification time, but no more.
      stamp = [status.st_size, status.st_mtime_ns]
      stamp += [status.st_ctime_ns, status.st_ino]
      if known.get(name, [])[:-1] == stamp:
        return known[name]
      with named[name].open("rb") as opened:
        return [*stamp, hashlib.file_digest(opened, "sha256").hexdigest()]
    except OSError:
      return [_UNREADABLE]

  # hashlib lets go of the interpreter lock, so threads help.
  with futures.ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
    entries = dict(zip(named, pool.map(entry, named), strict=True))
  fresh = {name: one for name, one in entries.items() if len(one) > 1}
  if cache and fresh != known:
    with contextlib.suppress(OSError):  # hashing again is slow, not wrong
      cache.parent.mkdir(parents=True, exist_ok=True)
      atomic.write(cache, json.dumps(fresh))
  return [one[-1] for one in entries.values()]


def _load(cache: pathlib.Path) -> dict[str, list]:
  """{path: [*stamp, sha256]}; anything else counts as nothing."""
  try:
    entries = json.loads(cache.read_text())
    return {
      str(path): [*map(int, stamp), str(digest)]
      for path, (*stamp, digest) in entries.items()
    }
  except (OSError, ValueError, TypeError, AttributeError):
    return {}
