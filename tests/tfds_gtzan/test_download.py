"""The download, from hosts on this machine that can do all that hosts do."""

import contextlib
import hashlib
import http.server
import io
import pathlib
import re
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
    if end and host.stalls.is_set():
      while host.stalls.is_set():
        time.sleep(0.02)

  def log_message(self, *unused):
    pass


@pytest.fixture(autouse=True)
def straight(monkeypatch):
  monkeypatch.setenv("NO_PROXY", "*")


@pytest.fixture
def hosts():
  """Two of them: the original and another."""
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
def fetch(hosts, tmp_path):
  """Fetches from both hosts or from those named; `said` is what it printed."""

  def call(*which) -> pathlib.Path:
    sources = write_sources(tmp_path, *(host.url for host in which or hosts))
    return download.fetch(tmp_path / "data", sources, call.said.append)

  call.said = []
  call.folder = tmp_path / "data" / "downloads"
  call.part = call.folder / "incomplete" / "genres.tar.gz"
  return call


def write_sources(folder: pathlib.Path, *urls: str) -> pathlib.Path:
  path = folder / "checksums.tsv"
  digest = hashlib.sha256(content()).hexdigest()
  path.write_text(
    "".join(f"{url}\t{SIZE}\t{digest}\tgenres.tar.gz\n" for url in urls)
  )
  return path


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
  assert path.read_bytes() == content()
  assert path.parent == fetch.folder
  assert "licence" in fetch.said[0]
  assert "400,000 bytes" in fetch.said[1]
  assert not fetch.part.parent.exists()
  assert "Range" not in hosts[0].asked[0]
  assert hosts[0].asked[0]["Accept-Encoding"] == "identity"
  fetch.said.clear()
  assert fetch() == path
  assert fetch.said == []
  assert [len(host.asked) for host in hosts] == [1, 0]
  assert capfd.readouterr() == ("", "")  # no bar on what is no terminal


def test_what_the_second_host_gave_is_found_without_asking_the_first(
  fetch, hosts
):
  hosts[0].status = 404
  path = fetch()
  assert path.read_bytes() == content()
  assert [len(host.asked) for host in hosts] == [1, 1]
  hosts[0].status = 200
  assert fetch() == path
  assert [len(host.asked) for host in hosts] == [1, 1]


def test_a_broken_connection_is_resumed_at_once(fetch, host):
  host.breaks = [HALF]
  assert fetch(host).read_bytes() == content()
  first, second = host.asked
  assert "Range" not in first
  begin = int(second["Range"].removeprefix("bytes=").removesuffix("-"))
  assert 0 < begin <= HALF


def test_a_later_call_goes_on_where_an_earlier_one_ended(fetch, host):
  host.breaks = [HALF, 0]
  text = refused(fetch, host)
  kept = fetch.part.stat().st_size
  assert 0 < kept <= HALF
  assert f"400,000 bytes, of which {kept:,} are here" in text
  assert "the connection broke" in text
  host.asked.clear()
  assert fetch(host).read_bytes() == content()
  assert host.asked[0]["Range"] == f"bytes={kept}-"
  assert f"{kept:,} are here" in fetch.said[-1]


def test_the_second_host_goes_on_where_the_first_ended(fetch, hosts):
  hosts[0].breaks = [HALF, 0]
  assert fetch().read_bytes() == content()
  (asked,) = hosts[1].asked
  assert asked["Range"].startswith("bytes=")


def test_a_host_that_knows_no_ranges_sends_the_whole_again(fetch, host):
  host.breaks, host.ranges = [HALF], False
  assert fetch(host).read_bytes() == content()
  assert "Range" in host.asked[1]


def test_halves_of_two_files_are_found_out(fetch, host):
  host.content, host.breaks = content(1), [HALF, 0]
  refused(fetch, host)
  host.content = content()
  assert fetch(host).read_bytes() == content()
  assert ["Range" in asked for asked in host.asked[-2:]] == [True, False]


def test_what_came_complete_before_a_crash_is_not_asked_for_again(fetch, host):
  fetch.part.parent.mkdir(parents=True)
  fetch.part.write_bytes(content())
  assert fetch(host).read_bytes() == content()
  assert host.asked == []


@pytest.mark.parametrize("says_length", [True, False])
@pytest.mark.parametrize("size", [SIZE - 1, SIZE + 1, 3 * SIZE])
def test_a_wrong_size_is_refused(fetch, host, size, says_length):
  host.content, host.says_length = content(size=size), says_length
  text = refused(fetch, host)
  assert f"127.0.0.1:{host.server_port}: " in text
  named = re.search(r"has ([\d,]+) bytes in place of 400,000", text)[1]
  if says_length:
    assert named == f"{size:,}"
  else:  # it is not listened to for ever
    assert int(named.replace(",", "")) <= min(size, SIZE + 2**16)
  assert not fetch.part.exists()
  host.content = content()
  assert fetch(host).read_bytes() == content()


def test_a_wrong_sha256_is_refused(fetch, host):
  host.content = content(1)
  text = refused(fetch, host)
  for seed in (0, 1):
    assert hashlib.sha256(content(seed)).hexdigest() in text
  assert not fetch.part.exists()
  assert len(host.asked) == 1  # it will not be another for the asking
  host.content = content()
  assert fetch(host).read_bytes() == content()


@pytest.mark.parametrize(
  ("changes", "words"),
  [
    ({"status": 404}, "HTTP 404 Not Found"),
    ({"status": 503}, "HTTP 503 Service Unavailable"),
    ({"status": 416}, "HTTP 416"),
    ({"headers": {"Content-Type": "text/html"}}, "a page of text"),
    ({"content": content(size=SIZE + 1)}, "400,001 bytes in place of"),
    ({"content": content(size=HALF)}, "200,000 bytes in place of"),
    ({"says_range": "bytes 0-399999/400000"}, "with bytes 0-399999/400000"),
  ],
)
def test_a_host_that_refuses_does_no_harm_to_what_is_here(
  fetch, host, changes, words
):
  host.breaks = [HALF, 0]
  refused(fetch, host)
  begun = fetch.part.read_bytes()
  for name, value in changes.items():
    setattr(host, name, value)
  assert words in refused(fetch, host)
  assert fetch.part.read_bytes() == begun


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
  assert fetch(host).read_bytes() == content()
  assert "Range" in host.asked[-1]


def test_a_label_of_gzip_does_not_unpack_the_archive(fetch, host):
  host.headers["Content-Encoding"] = "x-gzip"
  assert fetch(host).read_bytes() == content()


def test_an_archive_put_there_by_hand_is_used(fetch, host):
  fetch.folder.mkdir(parents=True)
  archive = fetch.folder / "genres.tar.gz"
  archive.write_bytes(content())
  assert fetch(host) == archive
  assert host.asked == []
  # Nothing was written: a shared folder may be read-only.
  assert list(fetch.folder.iterdir()) == [archive]


@pytest.mark.parametrize("other", [content(1), content(size=HALF)])
def test_another_file_put_there_by_hand_is_refused(fetch, host, other):
  fetch.folder.mkdir(parents=True)
  archive = fetch.folder / "genres.tar.gz"
  archive.write_bytes(other)
  with pytest.raises(InputError, match=f"{archive} has .* in place of"):
    fetch(host)
  assert archive.read_bytes() == other
  assert host.asked == []


def test_one_that_was_spoilt_since_is_refused(fetch, host):
  path = fetch(host)
  path.write_bytes(content(1))
  with pytest.raises(InputError, match="remove it"):
    fetch(host)
  path.unlink()
  assert fetch(host).read_bytes() == content()


def test_the_data_set_gtzan_of_tfds_finds_it(fetch, host, tmp_path):
  path = fetch(host)
  manager = tfds.download.DownloadManager(
    download_dir=fetch.folder,
    dataset_name="gtzan",
    url_infos=checksums.load_url_infos(tmp_path / "checksums.tsv"),
  )
  assert pathlib.Path(manager.download(host.url)) == path
  assert len(host.asked) == 1


def test_a_full_disk(fetch, host):
  fetch.part.parent.mkdir(parents=True)
  fetch.part.symlink_to("/dev/full")
  text = refused(fetch, host)
  assert f"{fetch.folder}: No space left on device" in text
  assert "--config.data.dir" in text


def test_a_folder_that_cannot_be_made(fetch, host):
  fetch.folder.parent.write_text("a file")
  with pytest.raises(InputError, match=r"Not a directory.*--config\.data\.dir"):
    fetch(host)


def test_of_two_at_once_one_downloads_and_one_waits(host, tmp_path):
  host.stalls.set()
  host.breaks = [HALF]
  sources, said = write_sources(tmp_path, host.url), []
  with futures.ThreadPoolExecutor(2) as pool:
    both = [
      pool.submit(download.fetch, tmp_path, sources, said.append) for _ in "ab"
    ]
    deadline = time.monotonic() + 10
    while not any("waiting" in line for line in said):
      assert time.monotonic() < deadline
      time.sleep(0.01)
    host.stalls.clear()
    first, second = (each.result() for each in both)
  assert first == second
  assert said.count(download.LICENCE) == 1
  assert first.read_bytes() == content()
  assert len(host.asked) == 2  # one request, and one for its rest


@pytest.mark.slow
def test_ctrl_c_ends_it_at_once_and_it_can_be_resumed(fetch, host, tmp_path):
  host.stalls.set()
  host.breaks = [HALF]
  sources = write_sources(tmp_path, host.url)
  program = f"""
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)  # as in a terminal
from tfds_gtzan import download
download.fetch({str(tmp_path / "data")!r}, {str(sources)!r})
"""
  with subprocess.Popen(
    [sys.executable, "-c", program],
    cwd=ROOT,
    stdout=subprocess.PIPE,
    stderr=subprocess.PIPE,
    text=True,
  ) as process:
    deadline = time.monotonic() + 60
    while not (fetch.part.exists() and fetch.part.stat().st_size > HALF // 2):
      assert time.monotonic() < deadline
      time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
  assert process.returncode == -signal.SIGINT
  assert "KeyboardInterrupt" in errors
  host.stalls.clear()
  assert fetch(host).read_bytes() == content()
  assert "Range" in host.asked[-1]


def test_a_bar_on_a_terminal(fetch, host, monkeypatch):
  class Terminal(io.StringIO):
    def isatty(self):
      return True

  monkeypatch.setattr(sys, "stderr", Terminal())
  fetch(host)
  shown = sys.stderr.getvalue()
  assert f"127.0.0.1:{host.server_port}: 100%" in shown
  assert "400k/400k" in shown
