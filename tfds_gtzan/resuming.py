"""TFDS's download manager with a downloader that resumes.

TFDS's own begins anew after a broken connection, and 1.2 GB from a slow host
seldom come in one piece. The manager's one seam is the object that it calls its
downloader; all else of it is as it was.
"""

import contextlib
import hashlib
import pathlib
import re
import urllib.parse

import promise
import requests
import tensorflow_datasets as tfds
import tqdm
import urllib3
from tensorflow_datasets.core.download import checksums, downloader

_CONNECT_S = 10  # seconds until a host counts as down
_SILENT_S = 60  # seconds without a byte until it does


class Manager(tfds.download.DownloadManager):
  """A DownloadManager of one file, of which it keeps what came so far.

  Its `download(url)` raises tfds.download.DownloadError, in a few words, where
  the host does not give the file whole.
  """

  def __init__(self, part: pathlib.Path, info: checksums.UrlInfo, **kwargs):
    """Takes TFDS's keyword arguments and two more.

    Args:
      part: where the file grows; in a folder of its own, which goes with it.
      info: size and sha256 of the whole.
      **kwargs: download_dir, extract_dir, url_infos ...
    """
    super().__init__(**kwargs)
    self._resuming = _Resuming(part, info)

  @property
  def _downloader(self) -> "_Resuming":
    return self._resuming


def measure(path: pathlib.Path) -> checksums.UrlInfo:
  """Size and sha256 of a file (TFDS's own `compute_url_info` is 5 x slower)."""
  with path.open("rb") as file:
    digest = hashlib.file_digest(file, "sha256").hexdigest()
  return checksums.UrlInfo(path.stat().st_size, digest, path.name)


def fault(found: checksums.UrlInfo, wanted: checksums.UrlInfo) -> str | None:
  """What is wrong with a file; None if it is the one that is wanted."""
  if found.size != wanted.size:
    return f"has {found.size:,} bytes in place of {wanted.size:,}"
  if found.checksum != wanted.checksum:
    return f"has the sha256 {found.checksum} in place of {wanted.checksum}"
  return None


class _Resuming:
  """What the manager asks of a downloader.

  It works in the thread of its caller, so that Ctrl-C ends it at once. What
  came so far is gone on with from whichever host answers: the sha256 of the
  whole decides, and a file that was resumed and fails it is fetched anew.
  """

  def __init__(self, part: pathlib.Path, info: checksums.UrlInfo):
    self._part = part
    self._origin = part.with_name("origin")  # first url, and its version there
    self._info = info

  def tqdm(self):
    return contextlib.nullcontext()  # each answer has a bar of its own

  def download(self, url: str, destination_path, verify: bool = True):
    """As TFDS's: a promise of a DownloadResult; raises DownloadError."""
    destination_path.rmdir()  # another at each call: no place to resume from
    self._part.parent.mkdir(exist_ok=True)
    resumed = self._part.exists()
    found = self._complete(url, verify)
    if resumed and fault(found, self._info):
      self._part.unlink()
      found = self._complete(url, verify)
    if wrong := fault(found, self._info):
      self._part.unlink()
      raise tfds.download.DownloadError(f"what came {wrong}")
    self._origin.unlink(missing_ok=True)  # the manager removes the folder
    return promise.Promise.resolve(
      downloader.DownloadResult(path=self._part, url_info=found)
    )

  def _complete(self, url: str, verify: bool) -> checksums.UrlInfo:
    """Asks for the rest as long as each answer brings some of it."""
    while (begin := self._size()) < self._info.size:
      try:
        self._ask(url, begin, verify)
        break
      except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
        if self._size() <= begin:
          raise tfds.download.DownloadError(_reason(error)) from error
    return measure(self._part)

  def _size(self) -> int:
    return self._part.stat().st_size if self._part.exists() else 0

  def _ask(self, url: str, begin: int, verify: bool) -> None:
    """One request; returns where the answer came to its proper end."""
    with requests.get(
      url,
      headers=self._headers(url, begin),
      stream=True,
      timeout=(_CONNECT_S, _SILENT_S),
      verify=verify,
    ) as response:
      begin = _check(response, begin, self._info.size)
      if not begin:
        self._origin.write_text(f"{url}\n{_version(response)}")
      with (
        self._part.open("ab" if begin else "wb") as file,
        tqdm.tqdm(
          desc=urllib.parse.urlsplit(url).netloc,
          total=int(self._info.size),  # a Size of TFDS cannot be added to
          initial=begin,
          unit="B",
          unit_scale=True,
          disable=None,  # not on a pipe
        ) as bar,
      ):
        # Raw: what a host labels as gzip-encoded is the .tar.gz as it is.
        for block in response.raw.stream(2**16, decode_content=False):
          bar.update(file.write(block))
          if file.tell() > self._info.size:
            break

  def _headers(self, url: str, begin: int) -> dict[str, str]:
    headers = {"Accept-Encoding": "identity"}
    if begin:
      headers["Range"] = f"bytes={begin}-"
      origin = self._origin.read_text() if self._origin.exists() else ""
      first, _, version = origin.partition("\n")
      if first == url and version:
        headers["If-Range"] = version  # the whole, please, if it has another
    return headers


def _version(response: requests.Response) -> str:
  """What If-Range may compare; "" if the host gives nothing of the kind."""
  tag = response.headers.get("ETag", "")
  if tag and not tag.startswith("W/"):  # a weak one may stand for other bytes
    return tag
  return response.headers.get("Last-Modified", "")


def _check(response: requests.Response, begin: int, size: int) -> int:
  """Where the answer begins: at `begin`, or at 0 if it is the whole file."""
  headers, total = response.headers, size
  if response.status_code == 200:
    begin, total = 0, response.raw.length_remaining  # None: it does not say
  elif response.status_code == 206:
    given = headers.get("Content-Range", "")
    match = re.fullmatch(rf"bytes {begin}-\d+/(\d+|\*)", given)
    if not match:
      raise tfds.download.DownloadError(
        f"answered bytes={begin}- with {given or 'an unnamed range'}"
      )
    total = None if match[1] == "*" else int(match[1])
  else:
    raise tfds.download.DownloadError(
      f"HTTP {response.status_code} {response.reason}"
    )
  if total not in (None, size):
    raise tfds.download.DownloadError(
      f"has {total:,} bytes in place of {size:,}"
    )
  if headers.get("Content-Type", "").startswith("text/"):
    raise tfds.download.DownloadError("answered with a page of text")
  return begin


def _reason(error: Exception) -> str:
  """The few words that tell a user something, of what was raised."""
  if isinstance(error, requests.ConnectTimeout):
    return f"no connection within {_CONNECT_S} s"
  if isinstance(
    error, requests.ReadTimeout | urllib3.exceptions.ReadTimeoutError
  ):
    return f"silent for {_SILENT_S} s"
  reason, cause = "the connection broke", error
  while cause:
    if isinstance(cause, OSError) and cause.strerror:
      reason = cause.strerror  # the innermost says most
    cause = cause.__context__
  return reason
