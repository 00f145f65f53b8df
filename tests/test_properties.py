"""Readers of strangers' files: any bytes give data or InputError, in bounded
memory, and never another exception.

Files of each kind are spoilt where they stand: bytes set, cut out, put in,
numbers replaced by extreme ones. GTZAN_EXAMPLES=50 searches fifty times longer,
and elsewhere each time.
"""

import collections
import functools
import io
import json
import os
import pathlib
import resource
import struct
import tarfile
import zipfile

import corpora
import hypothesis
import numpy as np
import pytest
import soundfile
import stored
from hypothesis import strategies as st

import tfds_gtzan
from gtzan_jax.audio import mono_waveform
from gtzan_jax.errors import InputError
from gtzan_jax.models.weights import file_formats
from gtzan_jax.scores import predictions
from gtzan_jax.training import workdir
from tfds_gtzan.corpora import labels
from tfds_gtzan.split_audit import split_files

MORE = int(os.environ.get("GTZAN_EXAMPLES", "1"))
MOST_BYTES = 2**30  # that a reader may take beside what was taken before


def examples(number: int):
  return hypothesis.settings(
    max_examples=number * MORE,
    deadline=None,
    derandomize=MORE == 1,
    database=None,
    suppress_health_check=list(hypothesis.HealthCheck),
  )


@pytest.fixture(autouse=True)
def bounded_memory():
  before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
  yield
  after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
  assert (after - before) * 1024 < MOST_BYTES


EXTREMES = [
  struct.pack(form, value)
  for form, values in {
    "<I": (0, 1, 2**16, 2**31 - 1, 2**32 - 1),
    ">I": (1, 2**31 - 1),
    "<Q": (2**40, 2**63),
    "<H": (0, 0xFFFF),
  }.items()
  for value in values
]
TEXTS = [
  *(b"\0", b"\xff\xfe", b'"', b"\n", b"\r", b",", b";", b"\t", b"e999"),
  *(b"nan", b"-1", b"9" * 50, "٣".encode(), "é".encode("latin-1")),
  *(b"[", b"{", b"}", b"null", b"[" * 9999, b"1" * 5000, b"\\ud800"),
]


def edits(values: list[bytes]):
  return st.lists(
    st.tuples(
      st.floats(0, 1),  # where, as a share of the file
      st.sampled_from(["start", "anywhere", "end"]),  # of most, the tables
      st.sampled_from(["set", "put in", "cut out", "cut off", "twice"]),
      st.sampled_from(values) | st.binary(min_size=1, max_size=12),
    ),
    min_size=1,
    max_size=4,
  )


def spoilt(data: bytes, changes) -> bytes:
  for share, where, how, new in changes:
    first = max(0, len(data) - 600) if where == "end" else 0
    last = min(len(data), 128) if where == "start" else len(data)
    place = first + int(share * (last - first))
    head, tail = data[:place], data[place:]
    data = {
      "set": head + new + tail[len(new) :],
      "put in": head + new + tail,
      "cut out": head + tail[len(new) :],
      "cut off": head,
      "twice": head + tail[:999] + tail,
    }[how]
  return data


def refuses_in_a_line(read, *arguments) -> None:
  """Anything but data and InputError is raised, and fails the test."""
  message = ""
  try:
    read(*arguments)
  except InputError as error:
    message = str(error)
  assert "\n" not in message


def written(write) -> bytes:
  file = io.BytesIO()
  write(file)
  return file.getvalue()


def sound(form: str, channels: int = 1, kind: str | None = None) -> bytes:
  samples = np.random.default_rng(0).uniform(-0.5, 0.5, (6_000, channels))
  return written(
    lambda file: soundfile.write(file, samples, 22_050, kind, format=form)
  )


def npz(arrays: dict) -> bytes:
  return written(lambda file: np.savez(file, **arrays))


def packed(form: str) -> bytes:
  wav, file = sound("WAV", 1, "PCM_16"), io.BytesIO()
  names = [f"music/{x}/{i}.wav" for x in ("rock", "jazz") for i in (0, 1)]
  if form == "zip":
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
      for name in names:
        archive.writestr(name, wav)
  else:
    with tarfile.open(fileobj=file, mode="w") as archive:
      for name in names:
        info = tarfile.TarInfo(name)
        info.size = len(wav)
        archive.addfile(info, io.BytesIO(wav))
  return file.getvalue()


def saved(save, path: pathlib.Path) -> bytes:
  save(path)
  return path.read_bytes()


def table(folder: pathlib.Path) -> bytes:
  names = [f"{genre}.0000{i}.wav" for genre in ("blues", "rock") for i in "01"]
  save = functools.partial(corpora.write_table, rows=corpora.table_rows(names))
  return saved(save, folder / "whole.csv")


def read_sound(path: pathlib.Path) -> None:
  """At 1 Hz a second of samples is hours of sound: a block at a time."""
  collections.deque(mono_waveform.blocks(path), maxlen=0)


def read_corpus(path: pathlib.Path) -> None:
  opened = tfds_gtzan.open_corpus(str(path), 1, path.parent / "data")
  for track in opened.tracks:
    refuses_in_a_line(track.read)


def read_split(path: pathlib.Path) -> None:
  test = path.with_name("test.txt")
  test.write_text("jazz.00000.wav\n")
  refuses_in_a_line(split_files.read, [str(path)])
  split_files.read([str(path), str(test)])


LABELS = b"""file,genre,artist
000/1.wav,Rock,Them
000/2.wav,Jazz,"Us; Others"
3,Rock,
"""
SPLITS = {
  "train.txt": b"blues.00000.wav 0\nblues/blues.00001.wav,1\nrock.00002\n",
  "all.csv": b"file,split,artist\nblues.00000.wav,train,A\nrock.00001,test,B\n",
  "all.tsv": b"name\tfold\nblues.00000.wav\t1\nrock.00001\t2\n",
  "all.json": b'{"train": ["blues.00000"], "test": ["rock.00001.wav", "x"]}',
  "rows.json": b'[{"id": "blues.00000", "split": "train", "artist": null}]',
}
SOUNDS = [
  *(("WAV",), ("WAV", 2, "PCM_24"), ("WAV", 1, "FLOAT"), ("AU",), ("AIFF",)),
  *(("WAV", 1, "IMA_ADPCM"), ("CAF",), ("FLAC",), ("OGG",), ("MP3",)),
]
ARCHIVE = npz(corpora.archive_arrays())
NPZ = {
  "archive.npz": (ARCHIVE, read_corpus),
  "predictions.npz": (
    lambda folder: saved(stored.made().save, folder / "whole.npz"),
    predictions.load,
  ),
  "weights.npz": (
    npz({"params/dense/kernel": np.ones((3, 4), np.float32)}),
    lambda path: file_formats.read(str(path)),
  ),
}
# file: (what it holds whole, or a function of a folder that gives it; what
# reads it; examples; what is put into it). The first three are not slow.
FILES = {
  "table.csv": (table, read_corpus, 150, TEXTS),
  "labels.csv": (LABELS, lambda x: labels.read(str(x)), 200, TEXTS),
  "run.json": (
    lambda _: json.dumps(stored.run_json()).encode(),
    lambda path: workdir.load(path.parent),
    *(150, TEXTS),
  ),
  **{
    f"sound{i}.{which[0].lower()}": (sound(*which), read_sound, 40, EXTREMES)
    for i, which in enumerate(SOUNDS)
  },
  **{name: (*one, 200, EXTREMES) for name, one in NPZ.items()},
  **{name: (text, read_split, 60, TEXTS) for name, text in SPLITS.items()},
  "music.zip": (packed("zip"), read_corpus, 120, EXTREMES),
  "music.tar": (packed("tar"), read_corpus, 120, EXTREMES),
}


@pytest.mark.parametrize(
  "name",
  [
    pytest.param(name, marks=[pytest.mark.slow] if i > 2 else [])
    for i, name in enumerate(FILES)
  ],
)
def test_a_spoilt_file(tmp_path, name):
  whole, read, number, values = FILES[name]
  path = tmp_path / name
  if callable(whole):
    whole = whole(tmp_path)

  @examples(number)
  @hypothesis.given(edits(values))
  def check(changes):
    path.write_bytes(spoilt(whole, changes))
    refuses_in_a_line(read, path)

  check()


def headers(shape, dtype, order) -> bytes:
  """An array's file that promises what it does not hold."""
  text = f"{{'descr': {dtype!r}, 'fortran_order': {order}, 'shape': {shape}, }}"
  text = text.ljust(117) + "\n"
  return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text.encode()


@examples(150)
@hypothesis.given(
  key=st.sampled_from(["mel", "track", "genre", "range_db", "n_frames"]),
  shape=st.lists(
    st.sampled_from([0, 1, 2, 9, 128, 2**31, 2**62, 2**64, -1]), max_size=4
  ),
  dtype=st.sampled_from(["|u1", "<f4", "<i8", "<U9", "|O", "<U99999999", "?x"]),
  order=st.booleans(),
)
def test_npz_promises(tmp_path_factory, key, shape, dtype, order):
  path = tmp_path_factory.getbasetemp() / "promise.npz"
  with (
    zipfile.ZipFile(io.BytesIO(ARCHIVE)) as whole,
    zipfile.ZipFile(path, "w") as file,
  ):
    for name in whole.namelist():
      member = whole.read(name)
      if name == f"{key}.npy":
        member = headers(tuple(shape), dtype, order) + member[-200:]
      file.writestr(name, member)
  for _, read in NPZ.values():
    refuses_in_a_line(read, path)


VALUES = st.recursive(
  st.none()
  | st.booleans()
  | st.sampled_from([0, -1, 2**31, 2**63, 10**12, 1e308, 0.5, "", "x", "\0"])
  | st.text(max_size=4),
  lambda inner: (
    st.lists(inner, max_size=3)
    | st.dictionaries(st.text(max_size=3), inner, max_size=2)
  ),
  max_leaves=4,
)


def places(value, path=()):
  """The path to every value within a value, its own among them."""
  yield path
  if isinstance(value, dict | list):
    pairs = value.items() if isinstance(value, dict) else enumerate(value)
    for key, inner in pairs:
      yield from places(inner, (*path, key))


@pytest.mark.slow
@examples(150)
@hypothesis.given(data=st.data())
def test_run_json_of_other_values(tmp_path_factory, data):
  folder = tmp_path_factory.getbasetemp()
  run = json.loads(json.dumps(stored.run_json()))
  *sections, key = data.draw(st.sampled_from([*places(run)][1:]))
  inner = run
  for section in sections:
    inner = inner[section]
  if data.draw(st.booleans()):
    inner[key] = data.draw(VALUES)
  else:
    del inner[key]
  (folder / workdir.RUN_FILE).write_text(json.dumps(run))
  refuses_in_a_line(workdir.load, folder)
