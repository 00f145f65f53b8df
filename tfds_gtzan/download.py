"""GTZAN's original archive, fetched by TFDS's download manager.

checksums.tsv says where it is to be had, of what size and sha256; what differs
is refused.
"""

import contextlib
import fcntl
import pathlib
import urllib.parse
from collections.abc import Callable, Iterator, Mapping

import tensorflow_datasets as tfds
from tensorflow_datasets.core.download import checksums, resource

from gtzan_jax.errors import InputError
from tfds_gtzan import resuming

CHECKSUMS = pathlib.Path(__file__).with_name("checksums.tsv")
LICENCE = (
  "GTZAN states no licence and no permission of the rights holders is known:"
  " whether you may use it is yours to judge."
)
COPIES = (
  "Kaggle's (andradaolteanu/gtzan-dataset-music-genre-classification), Hugging"
  " Face's (marsyas/gtzan), or what torchaudio or mirdata downloaded before"
)


def fetch(
  data_dir: str | pathlib.Path,
  checksums_file: str | pathlib.Path = CHECKSUMS,
  say: Callable[[str], None] = print,
) -> pathlib.Path:
  """The path of the archive, downloaded if it is not there yet.

  It lies in <data_dir>/downloads under the name that TFDS gives it, where
  TFDS's own data set `gtzan` finds it too, or as genres.tar.gz if somebody put
  it there by hand. Where it is, the network is not touched.

  Args:
    data_dir: folder of prepared data (config.data.dir); made if need be.
    checksums_file: addresses of one file, best first, in TFDS's own form: url,
      bytes, sha256 and file name, parted by tabs.
    say: is given what a user should read before and while this waits.

  Raises:
    InputError: no host gave the archive, another file is in its place, or the
      folder cannot be written to. What came so far stays in
      downloads/incomplete, and the next call asks for the rest.
  """
  sources = checksums.load_url_infos(checksums_file)
  folder = pathlib.Path(data_dir).expanduser() / "downloads"
  try:
    if held := _held(folder, sources):
      return held
    folder.mkdir(parents=True, exist_ok=True)
    with _locked(folder, say):
      # Another process may have fetched it while this one waited.
      return _held(folder, sources) or _download(folder, sources, say)
  except OSError as error:
    raise InputError(
      f"cannot download into {folder}: {error.strerror or error}; mend that and"
      " the same command goes on, or give another folder as --config.data.dir"
    ) from error


def _held(
  folder: pathlib.Path, sources: Mapping[str, checksums.UrlInfo]
) -> pathlib.Path | None:
  """The archive, proved anew each time, which takes a second or so."""
  faults = []
  for url, info in sources.items():
    for name in (info.filename, resource.get_dl_fname(url, info.checksum)):
      path = folder / name
      if path.exists():
        fault = resuming.fault(resuming.measure(path), info)
        if not fault:
          return path
        faults.append(f"{path} {fault}")
  if faults:
    raise InputError(
      f"{faults[0]}: not GTZAN's original archive; remove it or, if it is"
      " another copy of GTZAN, give it as --config.data.path without --download"
    )
  return None


@contextlib.contextmanager
def _locked(folder: pathlib.Path, say: Callable[[str], None]) -> Iterator[None]:
  """One process downloads, others wait; the lock dies with its holder."""
  with (folder / ".lock").open("w") as lock:
    try:
      fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
      say(f"another process downloads into {folder}: waiting for it")
      fcntl.flock(lock, fcntl.LOCK_EX)
    yield


def _download(
  folder: pathlib.Path,
  sources: Mapping[str, checksums.UrlInfo],
  say: Callable[[str], None],
) -> pathlib.Path:
  info = next(iter(sources.values()))
  part = folder / "incomplete" / info.filename
  say(LICENCE)
  say(f"downloading {_progress(part, info)} into {folder}")
  tried = []
  for url, info in sources.items():
    manager = resuming.Manager(
      part,
      info,
      download_dir=folder,
      extract_dir=folder,  # nothing is extracted: no folder for it
      url_infos=dict(sources),
      force_checksums_validation=True,
    )
    try:
      return pathlib.Path(manager.download(url))
    except tfds.download.DownloadError as error:
      tried.append(f"{urllib.parse.urlsplit(url).netloc}: {error}")
  raise InputError(
    f"could not download {_progress(part, info)} ({'; '.join(tried)}); the same"
    " command tries again, from where this one ended. Or give the file or"
    f" folder of another copy as --config.data.path: {COPIES}; or put the"
    f" original, from wherever, into {folder} as {info.filename}"
  )


def _progress(part: pathlib.Path, info: checksums.UrlInfo) -> str:
  begun = part.stat().st_size if part.exists() else 0
  here = f", of which {begun:,} are here," if begun else ""
  return f"{info.filename}, {info.size:,} bytes{here}"
