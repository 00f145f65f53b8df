"""Readers of strangers' files: any bytes give data or InputError, in bounded
memory, and never another exception.

Files of each kind are spoilt where they stand: bytes set, cut out, put in,
numbers replaced by extreme ones. GTZAN_EXAMPLES=50 searches fifty times longer,
and elsewhere each time.
"""

import io
import json
import os
import pathlib
import resource
import struct
import tarfile
import tempfile
import zipfile

import corpora
import hypothesis
import numpy as np
import pytest
import soundfile
import stored
from hypothesis import strategies as st

import tfds_gtzan
from gtzan_jax.audio import waveform
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
EDITS = st.lists(
  st.tuples(
    st.floats(0, 1),  # where, as a share of the file; most have a header
    st.booleans(),  # within its first 128 bytes
    st.sampled_from(["set", "put in", "cut out", "cut off", "twice"]),
    st.sampled_from(EXTREMES) | st.binary(min_size=1, max_size=12),
  ),
  min_size=1,
  max_size=4,
)


def spoilt(data: bytes, edits) -> bytes:
  for share, early, how, new in edits:
    place = int(share * (min(len(data), 128) if early else len(data)))
    head, tail = data[:place], data[place:]
    data = {
      "set": head + new + tail[len(new) :],
      "put in": head + new + tail,
      "cut out": head + tail[len(new) :],
      "cut off": head,
      "twice": head + tail[:999] + tail,
    }[how]
  return data


def refusal(read, *arguments) -> str:
  """Anything but data and InputError is raised, and fails the test."""
  try:
    read(*arguments)
  except InputError as error:
    return str(error)
  return ""


def sound(form: str, channels: int = 1, **options) -> bytes:
  rng = np.random.default_rng(0)
  samples = rng.uniform(-0.5, 0.5, (6_000, channels))
  file = io.BytesIO()
  soundfile.write(file, samples, 22_050, format=form, **options)
  return file.getvalue()


SOUNDS = {
  "wav": sound("WAV"),
  "stereo.wav": sound("WAV", 2, subtype="PCM_24"),
  "float.wav": sound("WAV", subtype="FLOAT"),
  "adpcm.wav": sound("WAV", subtype="IMA_ADPCM"),
  "au": sound("AU"),
  "aiff": sound("AIFF"),
  "caf": sound("CAF"),
  "flac": sound("FLAC"),
  "ogg": sound("OGG"),
  "mp3": sound("MP3"),
}


def consume(blocks) -> None:
  """At 1 Hz a second of samples is hours of sound: a block at a time."""
  for _ in blocks:
    pass


@pytest.mark.slow
@examples(400)
@hypothesis.given(st.sampled_from(sorted(SOUNDS)), EDITS)
def test_sound(tmp_path_factory, name, edits):
  path = tmp_path_factory.getbasetemp() / f"spoilt.{name}"
  path.write_bytes(spoilt(SOUNDS[name], edits))
  assert "\n" not in refusal(consume, waveform.blocks(path))


def _written(name: str, write) -> bytes:
  with tempfile.TemporaryDirectory() as folder:
    path = pathlib.Path(folder) / name
    write(path)
    return path.read_bytes()


def archive_bytes() -> bytes:
  file = io.BytesIO()
  np.savez(file, **corpora.archive_arrays())
  return file.getvalue()


def predictions_bytes() -> bytes:
  return _written("predictions.npz", stored.made().save)


def weights_bytes() -> bytes:
  file = io.BytesIO()
  np.savez(file, **{"params/dense/kernel": np.ones((3, 4), np.float32)})
  return file.getvalue()


NPZ = {
  "archive": (archive_bytes, lambda path: tfds_gtzan.open_corpus(str(path))),
  "predictions": (predictions_bytes, predictions.load),
  "weights": (weights_bytes, lambda path: file_formats.read(str(path))),
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", sorted(NPZ))
@examples(200)
@hypothesis.given(edits=EDITS)
def test_npz(tmp_path_factory, kind, edits):
  make, read = NPZ[kind]
  whole = _once(kind, make)
  path = tmp_path_factory.getbasetemp() / f"spoilt-{kind}.npz"
  path.write_bytes(spoilt(whole, edits))
  assert "\n" not in refusal(read, path)


_made: dict[str, bytes] = {}


def _once(kind: str, make) -> bytes:
  if kind not in _made:
    _made[kind] = make()
  return _made[kind]


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
  with zipfile.ZipFile(path, "w") as file:
    for name, array in corpora.archive_arrays().items():
      member = io.BytesIO()
      np.save(member, array)
      whole = member.getvalue()
      if name == key:
        whole = headers(tuple(shape), dtype, order) + whole[-200:]
      file.writestr(f"{name}.npy", whole)
  for _, read in NPZ.values():
    assert "\n" not in refusal(read, path)


def table_bytes() -> bytes:
  names = [
    f"{genre}.{i:05d}.wav" for genre in ("blues", "rock") for i in (0, 1)
  ]
  rows = corpora.table_rows(names)
  return _written("table.csv", lambda path: corpora.write_table(path, rows))


LABELS = b"""file,genre,artist
000/1.wav,Rock,Them
000/2.wav,Jazz,"Us; Others"
3,Rock,
"""
TEXT_EDITS = st.lists(
  st.tuples(
    st.floats(0, 1),
    st.booleans(),
    st.sampled_from(["set", "put in", "cut out", "cut off", "twice"]),
    st.sampled_from(
      [
        *(b"\0", b"\xff\xfe", b'"', b"\n", b"\r", b",", b";", b"\t", b"e999"),
        *(b"nan", b"-1", b"9" * 50, "٣".encode(), "é".encode("latin-1")),
        *(b"[", b"{", b"}", b"null", b"[" * 9999, b"1" * 5000, b"\\ud800"),
      ]
    )
    | st.binary(min_size=1, max_size=6),
  ),
  min_size=1,
  max_size=4,
)


@examples(150)
@hypothesis.given(edits=TEXT_EDITS)
def test_feature_table(tmp_path_factory, edits):
  path = tmp_path_factory.getbasetemp() / "spoilt.csv"
  path.write_bytes(spoilt(_once("table", table_bytes), edits))
  assert "\n" not in refusal(tfds_gtzan.open_corpus, str(path))


@examples(200)
@hypothesis.given(edits=TEXT_EDITS)
def test_labels(tmp_path_factory, edits):
  path = tmp_path_factory.getbasetemp() / "labels.csv"
  path.write_bytes(spoilt(LABELS, edits))
  assert "\n" not in refusal(labels.read, str(path))


SPLITS = {
  "train.txt": b"blues.00000.wav 0\nblues/blues.00001.wav,1\nrock.00002\n",
  "all.csv": b"file,split,artist\nblues.00000.wav,train,A\nrock.00001,test,B\n",
  "all.tsv": b"name\tfold\nblues.00000.wav\t1\nrock.00001\t2\n",
  "all.json": b'{"train": ["blues.00000"], "test": ["rock.00001.wav", "x"]}',
  "rows.json": b'[{"id": "blues.00000", "split": "train", "artist": null}]',
}


@pytest.mark.slow
@examples(300)
@hypothesis.given(name=st.sampled_from(sorted(SPLITS)), edits=TEXT_EDITS)
def test_split_files(tmp_path_factory, name, edits):
  folder = tmp_path_factory.getbasetemp()
  (folder / "test.txt").write_text("jazz.00000.wav\n")
  path = folder / name
  path.write_bytes(spoilt(SPLITS[name], edits))
  assert "\n" not in refusal(
    split_files.read, [str(path), str(folder / "test.txt")]
  )
  assert "\n" not in refusal(split_files.read, [str(path)])


def packed(kind: str) -> bytes:
  wav, file = sound("WAV", subtype="PCM_16"), io.BytesIO()
  names = [
    f"music/{genre}/{i}.wav" for genre in ("rock", "jazz") for i in (0, 1)
  ]
  if kind == "zip":
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


def open_and_read(path: str, data_dir: pathlib.Path) -> None:
  for track in tfds_gtzan.open_corpus(path, 1, data_dir).tracks:
    assert "\n" not in refusal(track.read)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["zip", "tar"])
@examples(120)
@hypothesis.given(edits=EDITS, at_end=st.booleans())
def test_packed(tmp_path_factory, kind, edits, at_end):
  """A zip's table stands at its end."""
  folder = tmp_path_factory.getbasetemp()
  path, whole = folder / f"spoilt.{kind}", _once(kind, lambda: packed(kind))
  if at_end:
    whole = whole[:-600] + spoilt(whole[-600:], edits)
  else:
    whole = spoilt(whole, edits)
  path.write_bytes(whole)
  assert "\n" not in refusal(open_and_read, str(path), folder / "data")


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


def leaves(value, path=()):
  """The path to every value within a value, its own among them."""
  yield path
  if isinstance(value, dict | list):
    pairs = value.items() if isinstance(value, dict) else enumerate(value)
    for key, inner in pairs:
      yield from leaves(inner, (*path, key))


@pytest.mark.slow
@examples(150)
@hypothesis.given(data=st.data())
def test_run_json(tmp_path_factory, data):
  folder = tmp_path_factory.getbasetemp()
  run = json.loads(json.dumps(stored.run_json()))
  place = data.draw(st.sampled_from([*leaves(run)][1:]))
  inner = run
  for key in place[:-1]:
    inner = inner[key]
  if data.draw(st.booleans()):
    inner[place[-1]] = data.draw(VALUES)
  else:
    del inner[place[-1]]
  (folder / workdir.RUN_FILE).write_text(json.dumps(run))
  assert "\n" not in refusal(workdir.load, folder)


@examples(150)
@hypothesis.given(edits=TEXT_EDITS)
def test_run_json_spoilt(tmp_path_factory, edits):
  folder = tmp_path_factory.getbasetemp()
  whole = json.dumps(stored.run_json()).encode()
  (folder / workdir.RUN_FILE).write_bytes(spoilt(whole, edits))
  assert "\n" not in refusal(workdir.load, folder)
