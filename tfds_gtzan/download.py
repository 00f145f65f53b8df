"""GTZAN's original archive: a resumable download of one file.

checksums.tsv has its addresses, size and sha256. A broken connection is
resumed, now or by the next call, from whichever host answers; a file that was
resumed and has another sha256 is fetched again from the start.
"""

import hashlib
import pathlib
import re
import shutil
import urllib.parse
from collections.abc import Mapping

import requests
import tqdm
import urllib3
from tensorflow_datasets.core.download import checksums, resource

from gtzan_jax import atomic
from gtzan_jax.errors import InputError

CHECKSUMS = pathlib.Path(__file__).with_name("checksums.tsv")
LICENCE = (
  "GTZAN states no licence and no permission of the rights holders is known:"
  " whether you may use it is yours to judge."
)
COPIES = (
  "Kaggle's (andradaolteanu/gtzan-dataset-music-genre-classification), Hugging"
  " Face's (marsyas/gtzan), or what torchaudio or mirdata downloaded before"
)
_CONNECT_S = 10  # seconds until a host counts as down
_SILENT_S = 60  # seconds without a byte until it does


class _HostError(Exception):
  """A host does not give the file; the message is a few words."""


class _BrokenError(_HostError):
  """Its connection ended early: the rest may be asked for."""


def fetch(
  data_dir: str | pathlib.Path,
  checksums_file: str | pathlib.Path = CHECKSUMS,
) -> pathlib.Path:
  """The path of the archive, downloaded if it is not there yet.

  It lies in <data_dir>/downloads under TFDS's name for it (its own data set
  `gtzan` finds it too), or as genres.tar.gz if put there by hand. After an
  InputError the next call goes on from downloads/incomplete.
  """
  sources = checksums.load_url_infos(checksums_file)
  folder = pathlib.Path(data_dir).expanduser() / "downloads"
  try:
    if held := _held(folder, sources):
      return held
    folder.mkdir(parents=True, exist_ok=True)
    waits = f"another process downloads into {folder}: waiting for it"
    with atomic.locked(folder / ".lock", lambda: print(waits)):
      # Another process may have fetched it while this one waited.
      return _held(folder, sources) or _download(folder, sources)
  except OSError as error:
    raise InputError(
      f"cannot download into {folder}: {error.strerror or error}; mend that and"
      " the same command goes on, or give another folder as --config.data.dir"
    ) from error


def _held(
  folder: pathlib.Path, sources: Mapping[str, checksums.UrlInfo]
) -> pathlib.Path | None:
  """The archive, verified at each call, which takes a second or so."""
  faults = []
  for url, info in sources.items():
    for name in (info.filename, resource.get_dl_fname(url, info.checksum)):
      path = folder / name
      if path.exists():
        fault = _fault(path, info)
        if not fault:
          return path
        faults.append(f"{path} {fault}")
  if faults:
    raise InputError(
      f"{faults[0]}: not GTZAN's original archive; remove it or, if it is"
      " another copy of GTZAN, give it as --config.data.path without --download"
    )
  return None


def _fault(path: pathlib.Path, wanted: checksums.UrlInfo) -> str | None:
  """What is wrong with a file; None if it is the one that is wanted."""
  if (size := path.stat().st_size) != wanted.size:
    return f"has {size:,} bytes in place of {wanted.size:,}"
  with path.open("rb") as file:
    digest = hashlib.file_digest(file, "sha256").hexdigest()
  if digest != wanted.checksum:
    return f"has the sha256 {digest} in place of {wanted.checksum}"
  return None


def _download(
  folder: pathlib.Path, sources: Mapping[str, checksums.UrlInfo]
) -> pathlib.Path:
  info = next(iter(sources.values()))
  part = folder / "incomplete" / info.filename
  print(LICENCE)
  print(f"downloading {_progress(part, info)} into {folder}")
  part.parent.mkdir(exist_ok=True)
  tried = []
  for url, info in sources.items():
    try:
      _from_host(url, part, info)
    except _HostError as error:
      tried.append(f"{urllib.parse.urlsplit(url).netloc}: {error}")
      continue
    path = folder / resource.get_dl_fname(url, info.checksum)
    resource.write_info_file(url, path, "", info.filename, info)
    part.rename(path)
    shutil.rmtree(part.parent)
    return path
  raise InputError(
    f"could not download {_progress(part, info)} ({'; '.join(tried)}); the same"
    " command tries again, from where this one ended. Or give the file or"
    f" folder of another copy as --config.data.path: {COPIES}; or put the"
    f" original, from wherever, into {folder} as {info.filename}"
  )


def _progress(part: pathlib.Path, info: checksums.UrlInfo) -> str:
  here = f", of which {_size(part):,} are here," if _size(part) else ""
  return f"{info.filename}, {info.size:,} bytes{here}"


def _size(part: pathlib.Path) -> int:
  return part.stat().st_size if part.exists() else 0


def _from_host(url: str, part: pathlib.Path, info: checksums.UrlInfo) -> None:
  """Completes the file; raises _HostError."""
  for resumed in (part.exists(), False):
    while (begin := _size(part)) < info.size:
      try:
        _ask(url, part, begin, int(info.size))
        break
      except _BrokenError:  # goes on as long as each answer brings some of it
        if _size(part) <= begin:
          raise
    if not (fault := _fault(part, info)):
      return
    part.unlink()
    if not resumed:
      raise _HostError(f"the download {fault}")


def _ask(url: str, part: pathlib.Path, begin: int, size: int) -> None:
  """One request, for the bytes from `begin` on, appended to the file."""
  headers = {"Accept-Encoding": "identity"}
  if begin:
    headers["Range"] = f"bytes={begin}-"
  try:
    with requests.get(
      url, headers=headers, stream=True, timeout=(_CONNECT_S, _SILENT_S)
    ) as response:
      begin = _start(response, begin, size)
      with (
        part.open("ab" if begin else "wb") as file,
        tqdm.tqdm(
          desc=urllib.parse.urlsplit(url).netloc,
          total=size,
          initial=begin,
          unit="B",
          unit_scale=True,
          disable=None,  # not on a pipe
        ) as bar,
      ):
        # Raw: what a host labels as gzip-encoded is the .tar.gz as it is.
        for block in response.raw.stream(2**16, decode_content=False):
          bar.update(file.write(block))
          if file.tell() > size:
            break
  except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
    raise _BrokenError(_reason(error)) from error


def _start(response: requests.Response, begin: int, size: int) -> int:
  """Where the answer begins: at `begin`, or at 0 if it is the whole file."""
  headers = response.headers
  total: int | None = size
  if response.status_code == 200:
    begin, total = 0, response.raw.length_remaining  # None: unknown
  elif response.status_code == 206:
    given = headers.get("Content-Range", "")
    match = re.fullmatch(rf"bytes {begin}-\d+/(\d+|\*)", given)
    if not match:
      raise _HostError(
        f"answered bytes={begin}- with {given or 'an unnamed range'}"
      )
    total = None if match[1] == "*" else int(match[1])
  else:
    raise _HostError(f"HTTP {response.status_code} {response.reason}")
  if total is not None and total != size:
    raise _HostError(f"has {total:,} bytes in place of {size:,}")
  if headers.get("Content-Type", "").startswith("text/"):
    raise _HostError("answered with a page of text")
  return begin


def _reason(error: Exception) -> str:
  """The few words of what was raised that are of use to a user."""
  if isinstance(error, requests.ConnectTimeout):
    return f"no connection within {_CONNECT_S} s"
  if isinstance(
    error, requests.ReadTimeout | urllib3.exceptions.ReadTimeoutError
  ):
    return f"silent for {_SILENT_S} s"
  reason, cause = "the connection broke", error.__context__
  while cause:
    if isinstance(cause, OSError) and cause.strerror:
      reason = cause.strerror  # the innermost is the most specific
    cause = cause.__context__
  return reason
