"""The download, from hosts on this machine that can do all that hosts do."""

import contextlib
import hashlib
import http.server
import io
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from concurrent import futures

import numpy as np
import pytest
import tensorflow_datasets as tfds
from tensorflow_datasets.core.download import checksums

from gtzan_jax.errors import InputError
from tfds_gtzan import download

ROOT = pathlib.Path(__file__).resolve().parents[2]
SIZE = 400_000
HALF = SIZE // 2


def content(seed: int = 0, size: int = SIZE) -> bytes:
  return np.random.default_rng(seed).bytes(size)


class Host(http.server.ThreadingHTTPServer):
  """Serves one file; the attributes are how. `asked` has each request."""

  daemon_threads = True

  def __init__(self):
    super().__init__(("127.0.0.1", 0), _Answer)
    self.content = content()
    self.status = 200
    self.headers = {}
    self.ranges = True
    self.says_length = True
    self.says_range = None  # another Content-Range than the true one
    self.breaks = []  # bytes of the next answers after which it hangs up
    self.stalls = threading.Event()  # set: it does not hang up, it is silent
    self.asked = []
    self.url = f"http://127.0.0.1:{self.server_port}/sound/genres.tar.gz"

  def handle_error(self, request, client_address):
    pass  # a client that hung up

  @property
  def ranges_asked(self) -> list[str]:
    return [asked.get("Range", "") for asked in self.asked]


class _Answer(http.server.BaseHTTPRequestHandler):
  def do_GET(self):
    host = self.server
    host.asked.append(dict(self.headers))
    body, begin = host.content, 0
    if host.ranges and "Range" in self.headers:
      begin = int(re.fullmatch(r"bytes=(\d+)-", self.headers["Range"])[1])
    ranged = begin and host.status == 200
    self.send_response(206 if ranged else host.status)
    if ranged:
      true = f"bytes {begin}-{len(body) - 1}/{len(body)}"
      self.send_header("Content-Range", host.says_range or true)
    if host.says_length:
      self.send_header("Content-Length", str(len(body) - begin))
    for header in host.headers.items():
      self.send_header(*header)
    self.end_headers()
    end = begin + host.breaks.pop(0) if host.breaks else None
    self.wfile.write(body[begin:end])
    while end and host.stalls.is_set():
      time.sleep(0.02)

  def log_message(self, *unused):
    pass


@pytest.fixture
def hosts(monkeypatch):
  """Two of them: the original and another."""
  monkeypatch.setenv("NO_PROXY", "*")
  with contextlib.ExitStack() as stack:
    both = [stack.enter_context(Host()) for _ in range(2)]
    for host in both:
      threading.Thread(target=host.serve_forever, args=(0.01,)).start()
      stack.callback(host.shutdown)
      stack.callback(host.stalls.clear)
    yield both


@pytest.fixture
def host(hosts):
  return hosts[0]


@pytest.fixture
def fetch(hosts, tmp_path, monkeypatch):
  """Fetches from both hosts or from those named; `said` is what it printed."""

  def write_sources(*which) -> pathlib.Path:
    end = f"{SIZE}\t{hashlib.sha256(content()).hexdigest()}\tgenres.tar.gz\n"
    path = tmp_path / "checksums.tsv"
    path.write_text("".join(f"{host.url}\t{end}" for host in which or hosts))
    return path

  def call(*which) -> pathlib.Path:
    path = download.fetch(tmp_path / "data", write_sources(*which))
    assert path.read_bytes() == content()
    return path

  def begin(here: bytes) -> None:
    """An earlier call left so much."""
    call.part.parent.mkdir(parents=True)
    if here:
      call.part.write_bytes(here)

  call.write_sources, call.begin, call.said = write_sources, begin, []
  monkeypatch.setattr(download, "print", call.said.append, raising=False)
  call.folder = tmp_path / "data" / "downloads"
  call.part = call.folder / "incomplete" / "genres.tar.gz"
  return call


def refused(fetch, *which) -> str:
  """The one line of the error; nothing in the folder is a whole file then."""
  with pytest.raises(InputError) as caught:
    fetch(*which)
  assert "\n" not in str(caught.value)
  assert not list(fetch.folder.glob("*genres*"))
  return str(caught.value)


def test_the_published_archive_is_what_is_asked_for():
  """Size and sha256 as TFDS, jukemir and torchaudio have them."""
  sources = checksums.load_url_infos(download.CHECKSUMS)
  assert [url.split("/")[2] for url in sources] == [
    "opihi.cs.uvic.ca",
    "web.archive.org",
  ]
  digest = "24347e0223d2ba798e0a558c4c172d9d4a19c00bb7963fe055d183dadb4ef2c6"
  for info in sources.values():
    assert info == checksums.UrlInfo(1_225_571_541, digest, None)
    assert info.filename == "genres.tar.gz"


def test_a_whole_download_and_then_none(fetch, hosts, capfd):
  path = fetch()
  assert path.parent == fetch.folder
  assert "licence" in fetch.said[0]
  assert "400,000 bytes" in fetch.said[1]
  assert not fetch.part.parent.exists()
  assert hosts[0].ranges_asked == [""]
  assert hosts[0].asked[0]["Accept-Encoding"] == "identity"
  fetch.said.clear()
  assert fetch() == path
  assert fetch.said == []
  assert [len(host.asked) for host in hosts] == [1, 0]
  assert capfd.readouterr() == ("", "")  # no bar on what is no terminal
  path.write_bytes(content(1))  # spoilt since
  with pytest.raises(InputError, match="remove it"):
    fetch()


def test_what_the_second_host_gave_is_found_without_asking_the_first(
  fetch, hosts
):
  hosts[0].status = 404
  path = fetch()
  hosts[0].status = 200
  assert fetch() == path
  assert [len(host.asked) for host in hosts] == [1, 1]


@pytest.mark.parametrize(
  ("here", "changes", "asked"),
  [
    (b"", {"headers": {"Content-Encoding": "x-gzip"}}, [""]),  # not unpacked
    (b"", {"breaks": [HALF]}, ["", r"bytes=\d+-"]),
    (b"", {"breaks": [HALF], "ranges": False}, ["", r"bytes=\d+-"]),
    (content()[:HALF], {}, [f"bytes={HALF}-"]),
    (content(1)[:HALF], {}, [f"bytes={HALF}-", ""]),  # of another file
    (content(), {}, []),
  ],
)
def test_what_is_missing_is_asked_for(fetch, host, here, changes, asked):
  fetch.begin(here)
  vars(host).update(changes)
  fetch(host)
  assert len(host.ranges_asked) == len(asked)
  assert all(map(re.fullmatch, asked, host.ranges_asked))


def test_a_later_call_goes_on_where_an_earlier_one_ended(fetch, hosts):
  """And so does another host."""
  hosts[0].breaks = [HALF, 0]
  text = refused(fetch, hosts[0])
  kept = fetch.part.stat().st_size
  assert 0 < kept <= HALF
  assert f"400,000 bytes, of which {kept:,} are here" in text
  assert "the connection broke" in text
  hosts[0].breaks = [0]
  fetch()
  assert hosts[0].ranges_asked[-1] == f"bytes={kept}-"
  assert hosts[1].ranges_asked == [f"bytes={kept}-"]
  assert f"{kept:,} are here" in fetch.said[-1]


@pytest.mark.parametrize("here", [b"", content()[:HALF]])
@pytest.mark.parametrize(
  ("changes", "words"),
  [
    ({"status": 404}, "HTTP 404 Not Found"),
    ({"status": 503}, "HTTP 503 Service Unavailable"),
    ({"status": 416}, "HTTP 416"),
    ({"headers": {"Content-Type": "text/html"}}, "a page of text"),
    ({"content": content(size=SIZE + 1)}, "has 400,001 bytes in place of"),
    ({"content": content(size=HALF)}, "has 200,000 bytes in place of"),
    ({"says_range": "bytes 0-399999/400000"}, "with bytes 0-399999/400000"),
  ],
)
def test_a_host_that_refuses_does_no_harm_to_what_is_here(
  fetch, host, here, changes, words
):
  if "says_range" in changes and not here:
    return
  fetch.begin(here)
  vars(host).update(changes)
  assert f"127.0.0.1:{host.server_port}: " in (text := refused(fetch, host))
  assert words in text
  kept = fetch.part.read_bytes() if fetch.part.exists() else b""
  assert kept == here


SHA256 = [hashlib.sha256(content(seed)).hexdigest() for seed in (0, 1)]


@pytest.mark.parametrize(
  ("other", "words"),
  [
    (content(size=SIZE - 1), "has 399,999 bytes in place of 400,000"),
    (content(size=SIZE + 1), "has 400,001 bytes in place of 400,000"),
    # Reading stops soon.
    (content(size=3 * SIZE), r"has 4[0-6]\d,\d{3} bytes in place of 400,000"),
    (content(1), f"has the sha256 {SHA256[1]} in place of {SHA256[0]}"),
  ],
)
def test_another_file_is_refused_once_it_is_here(fetch, host, other, words):
  host.content, host.says_length = other, False
  assert re.search(words, refused(fetch, host))
  assert not fetch.part.exists()
  assert len(host.asked) == 1  # another request would bring the same
  host.content = content()
  fetch(host)


def test_all_hosts_down_says_what_was_tried_and_what_to_do(fetch, hosts):
  for host in hosts:
    host.shutdown()
    host.server_close()
  text = refused(fetch)
  for host in hosts:
    assert f"127.0.0.1:{host.server_port}: Connection refused" in text
  for remedy in ("Kaggle", "Hugging Face", "torchaudio", "mirdata"):
    assert remedy in text
  assert "--config.data.path" in text


def test_a_silent_host_is_given_up(fetch, host, monkeypatch):
  monkeypatch.setattr(download, "_SILENT_S", 0.2)
  host.stalls.set()
  host.breaks = [HALF, 0]
  assert "silent for 0.2 s" in refused(fetch, host)
  host.stalls.clear()
  fetch(host)
  assert host.ranges_asked[-1]


@pytest.mark.parametrize("found", [content(), content(1), content(size=HALF)])
def test_a_file_put_there_by_hand_is_used_or_refused(fetch, host, found):
  fetch.folder.mkdir(parents=True)
  archive = fetch.folder / "genres.tar.gz"
  archive.write_bytes(found)
  if found == content():
    assert fetch(host) == archive
  else:
    with pytest.raises(InputError, match=f"{archive} has .* in place of"):
      fetch(host)
  assert archive.read_bytes() == found
  assert host.asked == []
  # Nothing was written: a shared folder may be read-only.
  assert list(fetch.folder.iterdir()) == [archive]


def test_the_data_set_gtzan_of_tfds_finds_it(fetch, host):
  path = fetch(host)
  manager = tfds.download.DownloadManager(
    download_dir=fetch.folder,
    dataset_name="gtzan",
    url_infos=checksums.load_url_infos(fetch.write_sources(host)),
  )
  assert pathlib.Path(manager.download(host.url)) == path
  assert len(host.asked) == 1


def test_a_full_disk_and_a_folder_that_cannot_be_made(fetch, host):
  fetch.begin(b"")
  fetch.part.symlink_to("/dev/full")
  text = refused(fetch, host)
  assert f"{fetch.folder}: No space left on device" in text
  assert "--config.data.dir" in text
  shutil.rmtree(fetch.folder.parent)
  fetch.folder.parent.write_text("a file")
  with pytest.raises(InputError, match=r"Not a directory.*--config\.data\.dir"):
    fetch(host)


def until(condition, seconds=60):
  deadline = time.monotonic() + seconds
  while not condition():
    assert time.monotonic() < deadline
    time.sleep(0.01)


def test_of_two_at_once_one_downloads_and_one_waits(fetch, host):
  host.stalls.set()
  host.breaks = [HALF]
  arguments = fetch.folder.parent, fetch.write_sources(host)
  with futures.ThreadPoolExecutor(2) as pool:
    both = [pool.submit(download.fetch, *arguments) for _ in "ab"]
    until(lambda: any("waiting" in line for line in fetch.said))
    host.stalls.clear()
    first, second = (each.result() for each in both)
  assert first == second
  assert first.read_bytes() == content()
  assert fetch.said.count(download.LICENCE) == 1
  assert len(host.asked) == 2  # one request, and one for its rest


@pytest.mark.slow
def test_ctrl_c_ends_it_at_once_and_it_can_be_resumed(fetch, host):
  host.stalls.set()
  host.breaks = [HALF]
  program = f"""
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)  # as in a terminal
from tfds_gtzan import download
download.fetch({str(fetch.folder.parent)!r}, {str(fetch.write_sources(host))!r})
"""
  with subprocess.Popen(
    [sys.executable, "-c", program],
    cwd=ROOT,
    stdout=subprocess.PIPE,
    stderr=subprocess.PIPE,
    text=True,
  ) as process:
    until(lambda: fetch.part.exists() and fetch.part.stat().st_size > HALF // 2)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
  assert process.returncode == -signal.SIGINT
  assert "KeyboardInterrupt" in errors
  host.stalls.clear()
  fetch(host)
  assert host.ranges_asked[-1]


def test_a_bar_on_a_terminal(fetch, host, monkeypatch):
  terminal = io.StringIO()
  terminal.isatty = lambda: True
  monkeypatch.setattr(sys, "stderr", terminal)
  fetch(host)
  assert f"127.0.0.1:{host.server_port}: 100%" in terminal.getvalue()
  assert "400k/400k" in terminal.getvalue()
