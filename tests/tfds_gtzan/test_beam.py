"""Apache Beam's workers write, byte for byte, what this process writes.

Those that run a pipeline need the extra beam and are skipped without.
"""

import itertools
import os
import pathlib
import pickle
import sys

import corpora
import numpy as np
import pytest
import tensorflow_datasets as tfds
from PIL import Image

import tfds_gtzan
from gtzan_jax.errors import InputError
from tfds_gtzan import beam as beam_shards
from tfds_gtzan import tfds_gtzan_dataset_builder as dataset_builder

# TFDS 4.9.10 asks protobuf 6, which Beam brings, in its old way.
pytestmark = pytest.mark.filterwarnings(
  "ignore:label.. is deprecated:DeprecationWarning"
)
ROOT = pathlib.Path(__file__).resolve().parents[2]
IN_PROCESS = "--runner=DirectRunner"
TWO_PROCESSES = (
  "--runner=DirectRunner --direct_num_workers=2"
  " --direct_running_mode=multi_processing"
)


@pytest.fixture
def beam():
  return pytest.importorskip(
    "apache_beam", reason="needs Apache Beam: the extra beam"
  )


@pytest.fixture
def folder(tmp_path):
  """26 short tracks of two genres, in train and validation; one is no audio."""
  lengths = {"blues": (0.1,) * 13, "rock": (0.1, 4.0) * 6 + (0.1,)}
  root = corpora.write_folder(tmp_path / "music", lengths)
  (root / "rock" / "rock.00003.wav").write_bytes(b"not audio")
  return root


@pytest.fixture
def track_a_shard(monkeypatch):
  monkeypatch.setattr(dataset_builder, "_SHARD_BYTES", 1)


def files(done) -> dict[str, bytes]:
  return {file.name: file.read_bytes() for file in done.directory.iterdir()}


def assert_same(done, wanted):
  assert files(done) == files(wanted)
  assert (done.rows, done.skipped) == (wanted.rows, wanted.skipped)
  assert done.example == wanted.example


def left_behind(data_dir: pathlib.Path) -> list[pathlib.Path]:
  return [path for path in data_dir.iterdir() if path.name[0] != "."]


# The same as without.


@pytest.mark.usefixtures("beam", "track_a_shard")
def test_the_same_files_with_more_than_ten_shards(folder, tmp_path):
  wanted = tfds_gtzan.prepare(str(folder), "mfcc_slices", tmp_path / "here")
  done = tfds_gtzan.prepare(
    str(folder), "mfcc_slices", tmp_path / "beam", beam_options=IN_PROCESS
  )
  assert_same(done, wanted)
  assert len(list(done.directory.glob("*-validation.array_record-*"))) > 10
  assert [skipped["track"] for skipped in done.skipped] == ["rock.00003"]
  for row, record in corpora.records(done):
    assert record["track"].decode() == row.id


@pytest.mark.usefixtures("beam")
def test_the_same_files_of_two_processes(tmp_path, monkeypatch):
  wanted = tfds_gtzan.prepare(None, "logmel_1024", tmp_path / "here", 1)
  monkeypatch.setenv("PYTHONPATH", str(ROOT))  # what workers need
  done = tfds_gtzan.prepare(
    None, "logmel_1024", tmp_path / "beam", 1, beam_options=TWO_PROCESSES
  )
  assert_same(done, wanted)


@pytest.mark.usefixtures("beam", "folder")
def test_workers_may_stand_elsewhere(tmp_path, monkeypatch):
  there = beam_shards._on_worker

  def moved(*arguments):
    os.chdir("/")
    there(*arguments)

  monkeypatch.setattr(beam_shards, "_on_worker", moved)
  monkeypatch.chdir(tmp_path)
  done = tfds_gtzan.prepare(
    "music", "mfcc_slices", "d", beam_options=IN_PROCESS
  )
  assert len(done.rows) == 25


@pytest.mark.usefixtures("beam")
def test_each_shard_is_written_once(folder, tmp_path, monkeypatch):
  log = tmp_path / "log"
  write = dataset_builder._write_shard

  def logged(*arguments):
    with log.open("a") as file:
      file.write("written\n")
    write(*arguments)

  monkeypatch.setattr(dataset_builder, "_write_shard", logged)
  done = tfds_gtzan.prepare(
    str(folder), "mfcc_slices", tmp_path / "d", beam_options=IN_PROCESS
  )
  splits = tfds.builder_from_directory(str(done.directory)).info.splits
  assert len(splits) > 1
  shards = sum(split.num_shards for split in splits.values())
  assert log.read_text().splitlines() == ["written"] * shards


@pytest.mark.usefixtures("beam")
def test_as_tfds_asks_for_it(folder, tmp_path):
  builder = tfds.builder(
    "tfds_gtzan/mfcc_slices", path=str(folder), data_dir=tmp_path / "d"
  )
  config = tfds.download.DownloadConfig(beam_runner="DirectRunner")
  builder.download_and_prepare(download_config=config)
  assert len(builder.info.metadata["rows"]) == 25
  source = builder.as_data_source("validation")
  assert len(source) == builder.info.splits["validation"].num_examples


# Mistakes.


@pytest.mark.usefixtures("beam")
def test_too_much_unreadable_is_the_same_message(folder, tmp_path):
  (folder / "blues" / "blues.00001.wav").write_bytes(b"not audio")
  messages = []
  for options in (None, IN_PROCESS):
    with pytest.raises(InputError, match="2 of 26 tracks") as raised:
      tfds_gtzan.prepare(
        str(folder), "mfcc_slices", tmp_path / "d", beam_options=options
      )
    messages.append(str(raised.value))
  assert messages[0] == messages[1]
  assert not left_behind(tmp_path / "d")


@pytest.mark.usefixtures("beam")
def test_a_worker_stops_at_a_transparent_picture(tmp_path):
  root = corpora.write_pictures(tmp_path / "p", {"blues": 2, "rock": 2})
  clear = np.zeros((32, 48, 4), np.uint8)
  Image.fromarray(clear).save(root / "rock" / "rock00001.png")
  messages = []
  for options in (None, IN_PROCESS):
    with pytest.raises(InputError, match="transparent") as raised:
      tfds_gtzan.prepare(
        str(root), "image_180", tmp_path / "d", beam_options=options
      )
    messages.append(str(raised.value))
  assert messages[0] == messages[1]
  assert not left_behind(tmp_path / "d")


@pytest.mark.usefixtures("beam")
def test_workers_that_do_not_see_the_folder(folder, tmp_path, monkeypatch):
  there = beam_shards._on_worker

  def elsewhere(write_shard, task):
    path, tracks = pickle.loads(task)
    moved = tmp_path / "another" / "machine" / path.name
    there(write_shard, pickle.dumps((tfds.core.Path(moved), tracks)))

  monkeypatch.setattr(beam_shards, "_on_worker", elsewhere)
  with pytest.raises(InputError, match=r"workers cannot read .*data\.dir"):
    tfds_gtzan.prepare(
      str(folder), "mfcc_slices", tmp_path / "d", beam_options=IN_PROCESS
    )
  assert not left_behind(tmp_path / "d")


@pytest.mark.usefixtures("beam")
@pytest.mark.parametrize(
  ("options", "reason"),
  [
    ("--runner=Foo", "Unexpected pipeline runner: Foo"),
    ("--direct_num_workers=two", "--direct_num_workers: invalid int value"),
    ("--runner=DirectRunner 'x", "No closing quotation"),
  ],
)
def test_options_that_beam_does_not_accept(tmp_path, options, reason):
  with pytest.raises(InputError, match=reason) as raised:
    tfds_gtzan.prepare(
      None, "mfcc_slices", tmp_path / "d", beam_options=options
    )
  assert "\n" not in str(raised.value)
  assert not (tmp_path / "d").exists()


def test_without_beam_it_says_what_to_install(tmp_path, monkeypatch):
  monkeypatch.setitem(sys.modules, "apache_beam", None)
  with pytest.raises(
    InputError,
    match=r"^Beam options '--runner=DirectRunner' need Apache Beam, which is"
    r" not installed: pip install 'gtzan_jax\[beam\]'$",
  ):
    tfds_gtzan.prepare(
      None, "mfcc_slices", tmp_path / "d", beam_options=IN_PROCESS
    )
  assert not (tmp_path / "d").exists()


# What workers are sent.


def corpora_of_every_form(root: pathlib.Path):
  sound = corpora.write_folder(root / "s", {"blues": (0.1,), "rock": (0.1,)})
  yield None
  yield sound
  yield corpora.write_pictures(root / "p", {"blues": 1, "rock": 1})
  yield corpora.write_archive(root / "a.npz")
  rows = corpora.table_rows(["blues.00000.wav", "rock.00000.wav"])
  yield corpora.write_table(root / "t.csv", rows)
  for form in ("zip", "tar", "tar.gz"):
    yield corpora.pack(sound, root / f"packed.{form}")


def test_tracks_of_every_corpus_are_read_where_they_are_sent(tmp_path):
  for path in corpora_of_every_form(tmp_path):
    opened = tfds_gtzan.open_corpus(path and str(path), 1, tmp_path / "d")
    sent = pickle.loads(pickle.dumps(opened.tracks))
    for track, there in itertools.islice(
      zip(opened.tracks, sent, strict=True), 2
    ):
      assert there == track
      assert str(there.read()) == str(track.read())
