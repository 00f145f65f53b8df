"""Apache Beam's workers write, byte for byte, what this process writes.

Those that run a pipeline need the extra beam and are skipped without.
"""

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
from gtzan_jax.data import open_dataset
from gtzan_jax.errors import InputError
from tfds_gtzan import beam as beam_shards
from tfds_gtzan import tfds_gtzan_dataset_builder as dataset_builder
from tfds_gtzan.corpora import types

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


def prepare(path, data_dir, options=None, name="mfcc_slices"):
  return tfds_gtzan.prepare(
    path and str(path),
    *(name, data_dir, 1),
    beam_options=options and beam_shards.options(options),
  )


def assert_same(done, wanted):
  files = [
    {file.name: file.read_bytes() for file in one.directory.iterdir()}
    for one in (done, wanted)
  ]
  assert files[0] == files[1]
  assert (done.rows, done.skipped) == (wanted.rows, wanted.skipped)
  assert done.example == wanted.example


def left_behind(data_dir: pathlib.Path) -> list[pathlib.Path]:
  return [path for path in data_dir.iterdir() if path.name[0] != "."]


# The same as without.


@pytest.mark.usefixtures("beam")
def test_the_same_files_with_more_than_ten_shards_each_written_once(
  folder, tmp_path, monkeypatch
):
  monkeypatch.setattr(dataset_builder, "_SHARD_BYTES", 1)
  wanted = prepare(folder, tmp_path / "here")
  log, write = tmp_path / "log", dataset_builder._write_shard

  def logged(*arguments):
    with log.open("a") as file:
      file.write("written\n")
    write(*arguments)

  monkeypatch.setattr(dataset_builder, "_write_shard", logged)
  done = prepare(folder, tmp_path / "beam", IN_PROCESS)
  assert_same(done, wanted)
  assert len(list(done.directory.glob("*-validation.array_record-*"))) > 10
  assert [skipped["track"] for skipped in done.skipped] == ["rock.00003"]
  for row, record in corpora.records(done):
    assert record["track"].decode() == row.id
  splits = tfds.builder_from_directory(str(done.directory)).info.splits
  assert len(splits) > 1
  shards = sum(split.num_shards for split in splits.values())
  assert log.read_text().splitlines() == ["written"] * shards


@pytest.mark.usefixtures("beam")
def test_the_same_files_of_two_processes(tmp_path, monkeypatch):
  wanted = prepare(None, tmp_path / "here", name="logmel_1024")
  monkeypatch.setenv("PYTHONPATH", str(ROOT))  # what workers need
  done = prepare(None, tmp_path / "beam", TWO_PROCESSES, "logmel_1024")
  assert_same(done, wanted)


@pytest.mark.usefixtures("beam", "folder")
def test_workers_may_stand_elsewhere(tmp_path, monkeypatch):
  there = beam_shards._on_worker

  def moved(*arguments):
    os.chdir("/")
    there(*arguments)

  monkeypatch.setattr(beam_shards, "_on_worker", moved)
  monkeypatch.chdir(tmp_path)
  assert len(prepare("music", "d", IN_PROCESS).rows) == 25


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
@pytest.mark.parametrize("name", ["mfcc_slices", "image_180"])
def test_refusals_are_the_same_messages(folder, tmp_path, name):
  """Too many unreadable tracks; a transparent picture stops a worker."""
  (folder / "blues" / "blues.00001.wav").write_bytes(b"not audio")
  message = "2 of 26 tracks"
  if name == "image_180":
    folder = corpora.write_pictures(tmp_path / "p", {"blues": 2, "rock": 2})
    clear = np.zeros((32, 48, 4), np.uint8)
    Image.fromarray(clear).save(folder / "rock" / "rock00001.png")
    message = "transparent"
  messages = set()
  for options in (None, IN_PROCESS):
    with pytest.raises(InputError, match=message) as raised:
      prepare(folder, tmp_path / "d", options, name)
    messages.add(str(raised.value))
  assert len(messages) == 1
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
    prepare(folder, tmp_path / "d", IN_PROCESS)
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
def test_options_that_beam_does_not_accept(options, reason):
  with pytest.raises(InputError, match=reason) as raised:
    beam_shards.options(options)
  assert "\n" not in str(raised.value)


def test_without_beam_nothing_is_begun(make_config, tmp_path, monkeypatch):
  monkeypatch.setitem(sys.modules, "apache_beam", None)
  config = make_config()
  config.data.dir = str(tmp_path / "d")
  with pytest.raises(
    InputError,
    match=r"^Beam options '--runner=DirectRunner' need Apache Beam, which is"
    r" not installed: pip install 'gtzan_jax\[beam\]'$",
  ):
    open_dataset.open_dataset(config, IN_PROCESS)
  assert not (tmp_path / "d").exists()


# What workers are sent.


def test_tracks_of_every_corpus_are_read_where_they_are_sent(
  tmp_path, monkeypatch
):
  monkeypatch.chdir(tmp_path)
  sound = corpora.write_folder(
    pathlib.Path("s"), {"blues": (0.1,), "rock": (0.1,)}
  )
  corpora.write_pictures(pathlib.Path("p"), {"blues": 1, "rock": 1})
  corpora.write_archive(pathlib.Path("a.npz"))
  rows = corpora.table_rows(["blues.00000.wav", "rock.00000.wav"])
  corpora.write_table(pathlib.Path("t.CSV"), rows)
  kinds = {
    None: ("synthetic", types.Audio),
    "s": ("audio", types.Audio),
    "a.npz": ("archive", types.LogMel),
    "p": ("images", types.Picture),
    "t.CSV": ("table", types.Table),
  }
  assert {name for name, _ in kinds.values()} == set(tfds_gtzan.CORPORA)
  for form in ("zip", "tar", "tar.gz"):
    corpora.pack(sound, pathlib.Path(f"packed.{form}"))
    kinds[f"packed.{form}"] = kinds["s"]
  for path, (name, kind) in kinds.items():
    monkeypatch.chdir(tmp_path)
    corpus = tfds_gtzan.open_corpus(path, 1, "d")
    assert (corpus.name, corpus.kind) == (name, tfds_gtzan.CORPORA[name])
    here = [track.read() for track in corpus.tracks[:2]]
    assert {type(content) for content in here} == {kind}
    monkeypatch.chdir("/")
    sent = pickle.loads(pickle.dumps(corpus.tracks))
    assert sent == corpus.tracks
    assert [str(track.read()) for track in sent[:2]] == [*map(str, here)]
