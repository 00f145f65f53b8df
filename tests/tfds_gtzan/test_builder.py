import dataclasses
import fcntl
import io
import pathlib
import pickle
import shutil
import subprocess
import sys
import time
import types
from concurrent import futures

import corpora
import numpy as np
import pytest
import soundfile
import tensorflow_datasets as tfds
import tqdm
from array_record.python import array_record_module

import tfds_gtzan
from gtzan_jax import atomic, features
from gtzan_jax.audio import waveform
from gtzan_jax.data import pipeline
from gtzan_jax.errors import InputError
from gtzan_jax.features import logmel_archive, whole_clip
from tfds_gtzan import examples, synthetic
from tfds_gtzan import prepared as preparing
from tfds_gtzan import tfds_gtzan_dataset_builder as dataset_builder
from tfds_gtzan.corpora.types import Audio

ROOT = pathlib.Path(__file__).resolve().parents[2]
SPLITS = ("train", "validation", "test", "unlisted")
# GTZAN ids: blues 0-2 validate, rock 0-2 train; see the published lists.
LENGTHS = {"blues": (7.0, 2.0, 3.1), "rock": (3.0, 15.0, 3.0)}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
  return corpora.write_folder(tmp_path_factory.mktemp("c") / "gtzan", LENGTHS)


SEGMENTS = [
  ("audio", "logmel_1024"),
  ("audio", "mfcc_slices"),
  ("audio", "patches"),
  ("archive", "logmel_1024"),
  ("archive", "mfcc_slices"),
  ("synthetic", "logmel_1024"),
]
CLIPS = [
  ("audio", "fusion"),
  ("audio", "image_180"),
  ("archive", "image_180"),
]
PREPARED = [
  *SEGMENTS,
  *(pytest.param(which, marks=pytest.mark.slow) for which in CLIPS),
]


@pytest.fixture(scope="module")
def paths(folder, tmp_path_factory):
  npz = tmp_path_factory.mktemp("a") / "archive.npz"
  corpora.write_archive(npz)
  return {"audio": str(folder), "archive": str(npz), "synthetic": None}


@pytest.fixture(scope="module")
def prepared(paths, tmp_path_factory):
  """{(corpus, feature set): what is prepared when it is asked for}"""
  data_dir = tmp_path_factory.mktemp("prepared")

  class Lazy(dict):
    def __missing__(self, which):
      path, name = paths[which[0]], which[1]
      self[which] = tfds_gtzan.prepare(path, name, data_dir, tracks_per_genre=1)
      return self[which]

  return Lazy()


def records(done, split):
  builder = tfds.builder_from_directory(str(done.directory))
  return list(builder.as_data_source(split))


# What is written.


@pytest.mark.slow
@pytest.mark.parametrize("which", PREPARED)
def test_record_order_is_row_order(prepared, which):
  done = prepared[which]
  info = tfds.builder_from_directory(str(done.directory)).info
  found = {row.partition for row in done.rows}
  assert set(info.splits) == found
  for split in found:
    wanted = [
      (row.id, segment, row.genre, row.artist)
      for row in done.rows
      if row.partition == split
      for segment in range(row.segments)
    ]
    got = [
      (
        record["track"].decode(),
        int(record["segment"]),
        done.genres[record["label"]],
        record["artist"].decode(),
      )
      for record in records(done, split)
    ]
    assert got == wanted


@pytest.mark.slow
@pytest.mark.parametrize("which", CLIPS)
def test_whole_clips_are_one_example_a_track_and_nothing_beside(
  prepared, paths, which
):
  done = prepared[which]
  spec = features.get(which[1])
  assert {row.segments for row in done.rows} == {1}
  assert not {"audio", "logmel", "picture"} & set(done.example)
  opened = tfds_gtzan.open_corpus(paths[which[0]])
  held = {track.id: track.read() for track in opened.tracks}
  for row, record in corpora.records(done):
    assert record["start"] == record["segment"] == 0
    if done.kind == "audio":
      samples = waveform.to_float(waveform.to_int16(held[row.id].samples))
      (own,) = whole_clip.from_audio(samples, spec)
    else:
      (own,) = whole_clip.from_logmel(held[row.id].db, spec)
    assert done.example["features"] == (own.shape, "float32")
    np.testing.assert_array_equal(record["features"], own)


@pytest.mark.parametrize("which", SEGMENTS)
def test_features_are_those_of_what_stands_beside_them(prepared, which):
  done = prepared[which]
  spec = features.FeatureSpec.from_dict(done.feature_spec)
  assert spec == features.get(which[1])
  for record in records(done, done.rows[0].partition):
    if done.kind == "audio":
      assert record["audio"].dtype == np.int16
      own = features.extract(waveform.to_float(record["audio"]), spec)
      seconds = spec.segment_samples / 22_050
      assert record["start"] == pytest.approx(record["segment"] * seconds)
    else:
      assert record["logmel"].dtype == np.float32
      own = features.from_logmel(record["logmel"], spec)
    assert record["features"].dtype == np.float32
    assert record["features"].shape == own.shape
    np.testing.assert_allclose(record["features"], own, atol=2e-4)
    for name, (shape, dtype) in done.example.items():
      if shape:
        assert (record[name].shape, record[name].dtype) == (shape, dtype)


def test_segment_rule_on_audio(prepared):
  def segments(which):
    return [row.segments for row in prepared["audio", which].rows]

  # In order of splits: train is rock (3, 15 and 3 s), then blues (7, 2, 3.1).
  assert segments("logmel_1024") == [1, 5, 1, 2, 1, 1]
  assert segments("mfcc_slices") == [1, 5, 1, 2, 1, 1]
  assert prepared["audio", "logmel_1024"].example["features"][0] == (258, 128)
  assert prepared["audio", "mfcc_slices"].example["features"][0] == (130, 13)


def test_short_tracks_are_padded_and_never_lost(prepared, folder):
  (record,) = [
    record
    for record in records(prepared["audio", "logmel_1024"], "validation")
    if record["track"] == b"blues.00001"
  ]
  two_seconds = waveform.to_int16(
    waveform.read(folder / "blues/blues.00001.wav")
  )
  assert len(two_seconds) == 44_100
  np.testing.assert_array_equal(record["audio"][:44_100], two_seconds)
  assert not record["audio"][44_100:].any()


@pytest.mark.parametrize(
  ("samples", "name", "number"),
  [
    (660_000, "logmel_1024", 10),
    (661_794, "logmel_1024", 10),
    (675_808, "logmel_1024", 10),
    (660_000, "mfcc_slices", 9),  # the short tenth is dropped
    (661_794, "mfcc_slices", 10),
    (675_808, "mfcc_slices", 10),
    (330_750, "logmel_1024", 5),
    (44_100, "mfcc_slices", 1),
    (10_000_000, "logmel_1024", 10),
    (661_794, "patches", 15),
    (661_794, "sequence", 10),
  ],
)
def test_segments_a_track(samples, name, number):
  spec = features.get(name)
  content = Audio(np.zeros(samples, np.float32))
  segments, starts = examples.cut(spec, None, content)
  assert segments.shape == (number, spec.segment_samples)
  np.testing.assert_allclose(
    starts, np.arange(number) * spec.segment_samples / 22_050
  )


def test_segment_rule_on_an_archive(prepared):
  done = prepared["archive", "logmel_1024"]
  assert [row.segments for row in done.rows] == [10, 10, 10]
  assert done.columns_per_frame == pytest.approx(387 / 1293)
  assert done.source == "archive"
  found = records(done, "train") + records(done, "validation")
  tenth = [record for record in found if record["track"] == b"rock.00001"]
  opened = corpora.archive_arrays()
  stored = opened["mel"][0].T.astype(np.float32)  # rock.00001 stands first
  db = opened["top_db"][0] - opened["range_db"][0] * (1 - stored / 255)
  for i, record in enumerate(tenth):
    start_s = i * 66_000 / 22_050
    assert record["start"] == pytest.approx(start_s)
    first = round(start_s * 22_050 / 512 * 387 / 1293)
    np.testing.assert_allclose(
      record["logmel"], db[first : first + 38], atol=1e-4
    )


def test_fields_stand_in_one_order(prepared):
  done = prepared["audio", "logmel_1024"]
  split = done.rows[0].partition
  (file,) = done.directory.glob(f"*-{split}.array_record-*")
  names = [b"\x05audio", b"\x08features", b"\x05label", b"\x07segment"]
  for record in array_record_module.ArrayRecordReader(str(file)).read_all():
    found = [record.find(name) for name in names]
    assert -1 < found[0] < found[1] < found[2] < found[3]


@pytest.mark.parametrize("which", PREPARED)
def test_metadata_says_where_it_comes_from(prepared, which):
  done, (name, features_) = prepared[which], which
  assert done.corpus == name
  info = tfds.builder_from_directory(str(done.directory)).info
  assert done.genres == tuple(info.features["label"].names)
  assert done.skipped == ()
  expected = f"{name}-{features_}-{done.fingerprint[:16]}"
  assert done.directory.parts[-4] == expected
  assert done.directory.parts[-3:] == ("tfds_gtzan", features_, "1.1.0")


# Tracks that cannot be read.


def many(tmp_path, bad, tracks=11):
  """Two genres of short tracks, those named in `bad` no audio."""
  lengths = {"blues": (0.1,) * tracks, "rock": (0.1,) * tracks}
  root = corpora.write_folder(tmp_path / "many", lengths)
  for name in bad:
    (root / name.split(".")[0] / f"{name}.wav").write_bytes(b"not audio")
  return root


def whole(data_dir):
  return sorted(data_dir.glob("*/tfds_gtzan/*/[0-9]*"))


def test_an_unreadable_track_is_skipped_by_name(tmp_path):
  root = many(tmp_path, ["rock.00003"])
  done = tfds_gtzan.prepare(str(root), "mfcc_slices", tmp_path / "d")
  (skipped,) = done.skipped
  assert skipped["track"] == "rock.00003"
  assert "not decodable" in skipped["reason"]
  assert str(tmp_path) not in skipped["reason"]
  assert len(done.rows) == 21
  assert "rock.00003" not in {row.id for row in done.rows}


def test_shards_without_a_track_do_not_shift_records(tmp_path, monkeypatch):
  monkeypatch.setattr(dataset_builder, "_SHARD_BYTES", 1)  # a track a shard
  root = many(tmp_path, ["rock.00003"])
  done = tfds_gtzan.prepare(str(root), "mfcc_slices", tmp_path / "d")
  assert len(list(done.directory.glob("*-train.array_record-*"))) > 1
  for split in {row.partition for row in done.rows}:
    wanted = [row.id for row in done.rows if row.partition == split]
    got = [record["track"].decode() for record in records(done, split)]
    assert got == wanted


def test_a_track_without_signal_is_skipped_by_name(tmp_path):
  """Of the others, the track table has length and level."""
  root = many(tmp_path, [])
  sound, rate = soundfile.read(root / "rock" / "rock.00004.wav")
  opposite = np.stack([sound, -sound], 1)
  soundfile.write(root / "rock" / "rock.00003.wav", opposite, rate)
  done = tfds_gtzan.prepare(str(root), "mfcc_slices", tmp_path / "d")
  (skipped,) = done.skipped
  assert skipped["track"] == "rock.00003"
  assert skipped["reason"].startswith(
    "rock.00003.wav: no signal: its channels cancel each other out"
  )
  assert len(done.rows) == 21
  for row in done.rows:
    assert row.seconds == pytest.approx(0.1)
    assert row.level == pytest.approx(-10.8, abs=0.3)  # uniform noise, +-0.5


def test_a_split_of_unreadable_tracks_is_not_written(tmp_path):
  root = many(tmp_path, [], tracks=10)
  # blues.00012 is of the test list: the only one here, and no audio.
  (root / "blues" / "blues.00012.wav").write_bytes(b"not audio")
  found = {
    track.partition for track in tfds_gtzan.open_corpus(str(root)).tracks
  }
  assert "test" in found
  done = tfds_gtzan.prepare(str(root), "mfcc_slices", tmp_path / "d")
  info = tfds.builder_from_directory(str(done.directory)).info
  assert set(info.splits) == {row.partition for row in done.rows}
  assert "test" not in info.splits
  assert [s["track"] for s in done.skipped] == ["blues.00012"]


def test_one_odd_file_ends_no_small_corpus(tmp_path):
  root = many(tmp_path, ["rock.00001"], tracks=2)
  done = tfds_gtzan.prepare(str(root), "mfcc_slices", tmp_path / "d")
  assert [one["track"] for one in done.skipped] == ["rock.00001"]
  assert len(done.rows) == 3


@pytest.mark.parametrize(
  ("bad", "message"),
  [
    (
      ["rock.00003", "blues.00001"],
      r"2 of 22 tracks cannot be read, more than 5%; the first: \w+\.0000[13]",
    ),
    (["jazz.00000"], "no track of the genre jazz can be read; the first"),
  ],
)
def test_too_much_unreadable_leaves_nothing(tmp_path, bad, message):
  root = many(tmp_path, [])
  (root / "jazz").mkdir()
  for name in bad:
    (root / name.split(".")[0] / f"{name}.wav").write_bytes(b"not audio")
  if not any((root / "jazz").iterdir()):
    (root / "jazz").rmdir()
  with pytest.raises(InputError, match=message):
    tfds_gtzan.prepare(str(root), "mfcc_slices", tmp_path / "d")
  assert not [p for p in (tmp_path / "d").iterdir() if p.name[0] != "."]


def test_other_music_is_unlisted(tmp_path):
  lengths = {"zouk": (0.1, 0.1), "ambient": (0.1,)}
  root = corpora.write_folder(tmp_path / "c", lengths)
  done = tfds_gtzan.prepare(str(root), "mfcc_slices", tmp_path / "d")
  info = tfds.builder_from_directory(str(done.directory)).info
  assert set(info.splits) == {"unlisted"}
  ids = ["ambient.00000", "zouk.00000", "zouk.00001"]
  assert [row.id for row in done.rows] == ids


def test_progress_counts_every_track(tmp_path, monkeypatch):
  bars = []

  class Bar(tqdm.tqdm):
    def __init__(self, **kwargs):
      super().__init__(**kwargs | {"disable": False, "file": io.StringIO()})
      bars.append((self, kwargs["disable"]))

  monkeypatch.setattr(tqdm, "tqdm", Bar)
  root = many(tmp_path, ["rock.00003"])
  tfds_gtzan.prepare(str(root), "mfcc_slices", tmp_path / "d")
  tfds_gtzan.prepare(str(root), "logmel_1024", tmp_path / "d", progress=False)
  assert [(bar.n, bar.total) for bar, _ in bars] == [(22, 22)] * 2
  assert [off for _, off in bars] == [None, True]  # None: on terminals only


# Once, in one place, whole or not at all.


def test_what_is_prepared_is_not_decoded_again(
  folder, tmp_path, monkeypatch, capfd
):
  arguments = (str(folder), "mfcc_slices", tmp_path / "d")
  first = tfds_gtzan.prepare(*arguments)
  monkeypatch.setattr(examples, "of_content", None)
  assert tfds_gtzan.prepare(*arguments) == first
  assert capfd.readouterr().out == ""  # stdout is the caller's


def test_what_an_older_version_prepared_is_prepared_anew(folder, tmp_path):
  """Its track table had no digests; records, and so runs, are the same."""
  arguments = (str(folder), "mfcc_slices", tmp_path / "d")
  first = tfds_gtzan.prepare(*arguments)
  old = first.directory.rename(first.directory.with_name("1.0.0"))
  again = tfds_gtzan.prepare(*arguments)
  assert again == first
  assert not old.exists()


def test_copies_have_one_digest_however_they_are_packed(tmp_path):
  """Of 16 bits: as WAV and FLAC, as floats, of another name and genre."""
  sound = np.random.default_rng(0).integers(-9999, 9999, 22_050, np.int16)
  for name, samples in {
    "rock/a.wav": sound,
    "rock/b.flac": sound,
    "jazz/c.wav": sound.astype(np.float32) / 32768,
    "jazz/d.wav": sound[::-1],
  }.items():
    (tmp_path / "music" / name).parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(
      tmp_path / "music" / name,
      samples,
      22_050,
      subtype="FLOAT" if samples.dtype == np.float32 else None,
    )
  done = tfds_gtzan.prepare(
    str(tmp_path / "music"), "mfcc_slices", tmp_path / "d"
  )
  *copies, other = sorted(done.rows, key=lambda row: row.id[-1])
  assert len({row.content for row in copies}) == 1
  assert len(copies[0].content) == 64
  assert other.content not in ("", copies[0].content)


@pytest.mark.parametrize("what", ["content", "code", "facts", "spec"])
def test_a_change_is_a_new_folder(folder, what, monkeypatch):
  spec = features.get("logmel_1024")
  opened = tfds_gtzan.open_corpus(str(folder))
  before = dataset_builder.fingerprint(spec, opened)
  if what == "content":
    opened = tfds_gtzan.open_corpus(None, 1)
  elif what == "code":
    monkeypatch.setattr(features, "FEATURES_VERSION", 1000)
  elif what == "facts":
    monkeypatch.setattr(
      dataset_builder.track_lists, "digest", lambda: "another"
    )
  else:
    spec = features.FeatureSpec.from_dict(
      spec.to_dict() | {"segment_samples": 22_050}
    )
  assert dataset_builder.fingerprint(spec, opened) != before


SLOW = """
import time
import tfds_gtzan
from tfds_gtzan import examples
of_content = examples.of_content
def slow(*arguments):
  time.sleep(1)
  return of_content(*arguments)
examples.of_content = slow
tfds_gtzan.prepare({path!r}, "mfcc_slices", {data_dir!r})
"""


@pytest.mark.slow
def test_what_a_killed_process_left_is_not_taken_for_whole(folder, tmp_path):
  data_dir = tmp_path / "d"
  program = SLOW.format(path=str(folder), data_dir=str(data_dir))
  pattern = "*/tfds_gtzan/*/incomplete.*/*array_record*"
  leftovers = []
  deadline = time.monotonic() + 60
  with subprocess.Popen([sys.executable, "-c", program], cwd=ROOT) as child:
    try:
      while not leftovers and time.monotonic() < deadline:
        assert child.poll() is None, "it ended before it could be killed"
        leftovers = list(data_dir.glob(pattern))
        time.sleep(0.02)
    finally:
      child.kill()
  assert leftovers[0].exists()
  assert not whole(data_dir)
  # Another data set's turn comes first: that sweeps as well.
  tfds_gtzan.prepare(str(folder), "logmel_1024", data_dir)
  assert not list(data_dir.glob("**/incomplete.*"))
  done = tfds_gtzan.prepare(str(folder), "mfcc_slices", data_dir)
  assert len(whole(data_dir)) == 2
  assert len(done.rows) == 6


def gone(file):
  file.unlink()


def emptied(file):
  file.write_bytes(b"")


def shortened(file):
  file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def flipped(file):
  data = bytearray(file.read_bytes())
  data[len(data) // 5] ^= 4
  file.write_bytes(data)


@pytest.mark.parametrize("damage", [gone, emptied, shortened, flipped])
@pytest.mark.parametrize(
  "name",
  [
    *("dataset_info.json", "features.json", "metadata.json"),
    "tfds_gtzan-train.array_record-00000-of-00001",
  ],
)
def test_damaged_data_names_the_folder_to_remove(
  prepared, paths, tmp_path, name, damage
):
  directory = prepared["audio", "logmel_1024"].directory
  folder = tmp_path / directory.parents[2].name
  shutil.copytree(directory.parents[2], folder)
  damage(folder / directory.relative_to(directory.parents[2]) / name)

  def read():
    done = tfds_gtzan.prepare(str(paths["audio"]), "logmel_1024", tmp_path)
    ids = [(row.id, 0) for row in done.rows if row.partition == "train"]
    cut = types.SimpleNamespace(
      parts={"train": ids}, leak=None, missing={}, sha256={}
    )
    data = pipeline.from_folder(done.directory, "own", cut, artists={})
    pipeline.Records(data, "train", ["features"]).load()

  message = rf"prepared data in {folder} is damaged \(.+\): remove it and run"
  with pytest.raises(InputError, match=message) as caught:
    read()
  assert "\n" not in str(caught.value)


def test_data_without_checksums_were_not_written_to_their_end(folder, tmp_path):
  arguments = (str(folder), "mfcc_slices", tmp_path / "d")
  directory = tfds_gtzan.prepare(*arguments).directory
  (directory / atomic.SUMS).unlink()
  (directory / "metadata.json").write_text("{}")
  assert len(tfds_gtzan.prepare(*arguments).rows) == 6
  assert not atomic.find_damage(directory)


def test_leftovers_of_a_process_at_work_stay(tmp_path):
  (tmp_path / ".locks").mkdir()
  at_work = tmp_path / "audio-x-0" / "tfds_gtzan" / "x" / "incomplete.A_1.0.0"
  at_work.mkdir(parents=True)
  with (tmp_path / ".locks" / "audio-x-0").open("w") as lock:
    fcntl.flock(lock, fcntl.LOCK_EX)
    preparing._remove_leftovers(tmp_path)
    assert at_work.exists()
  preparing._remove_leftovers(tmp_path)
  assert not at_work.exists()


def test_a_second_process_waits_and_writes_nothing(
  folder, tmp_path, monkeypatch
):
  arguments = (str(folder), "mfcc_slices", tmp_path / "d")
  first = tfds_gtzan.prepare(*arguments)
  away, place = tmp_path / "away", first.directory
  place.rename(away)
  monkeypatch.setattr(examples, "read", None)  # it must not decode
  with (
    (tmp_path / "d" / ".locks" / place.parts[-4]).open("w") as lock,
    futures.ThreadPoolExecutor(1) as pool,
  ):
    fcntl.flock(lock, fcntl.LOCK_EX)
    second = pool.submit(tfds_gtzan.prepare, *arguments)
    with pytest.raises(futures.TimeoutError):
      second.result(timeout=0.5)
    away.rename(place)  # the first process is done
    fcntl.flock(lock, fcntl.LOCK_UN)
    assert second.result(timeout=20) == first


# Mistakes.


def test_a_feature_set_that_the_corpus_cannot_feed(tmp_path):
  npz = corpora.write_archive(tmp_path / "a.npz")
  with pytest.raises(
    InputError,
    match=r"sequence cannot be computed from the corpus archive, .* logmel; "
    r"corpora that work: audio, synthetic$",
  ):
    tfds_gtzan.prepare(str(npz), "sequence", tmp_path / "d")
  assert not whole(tmp_path / "d")


def test_an_unknown_feature_set(tmp_path):
  with pytest.raises(InputError, match="unknown feature set 'mel'"):
    tfds_gtzan.prepare(None, "mel", tmp_path / "d")
  assert not (tmp_path / "d").exists()


@pytest.mark.parametrize("below", ["", "below"])
def test_a_data_dir_that_cannot_be(tmp_path, below):
  (tmp_path / "file").write_text("")
  with pytest.raises(
    InputError, match=r"cannot prepare in .*config\.data\.dir"
  ):
    tfds_gtzan.prepare(None, "logmel_1024", tmp_path / "file" / below)


def test_a_disk_that_is_full_of_records(tmp_path, monkeypatch):
  """What array_record says of one, by a device that is always full."""
  writer = array_record_module.ArrayRecordWriter
  monkeypatch.setattr(
    array_record_module,
    "ArrayRecordWriter",
    lambda path, options: writer("/dev/full", options),
  )
  with pytest.raises(
    InputError,
    match=r"^/.*array_record\S* cannot be written \(\S+ failed: No space left"
    r" on device\); give another folder as config\.data\.dir$",
  ):
    tfds_gtzan.prepare(None, "logmel_1024", tmp_path, 1)
  assert not whole(tmp_path)
  assert not list(tmp_path.glob("**/incomplete.*"))


# As any TFDS user gets it.

TFDS_USER = """
import sys
import tensorflow_datasets as tfds
import tfds_gtzan
builder = tfds.builder(
  "tfds_gtzan/logmel_1024", data_dir={data_dir!r}, tracks_per_genre=1
)
builder.download_and_prepare()
source = builder.as_data_source("train")
print(len(source), source[0]["features"].shape)
assert "tensorflow" not in sys.modules
"""


@pytest.mark.slow
def test_by_name_and_without_tensorflow(tmp_path):
  program = TFDS_USER.format(data_dir=str(tmp_path))
  done = subprocess.run(
    [sys.executable, "-W", "error", "-c", program],
    cwd=ROOT,
    capture_output=True,
    text=True,
    check=False,
  )
  assert done.returncode == 0, done.stderr
  assert done.stdout.splitlines()[-1].endswith(" (258, 128)")


def test_a_folder_of_another_corpus_is_not_passed_off(prepared, tmp_path):
  done = prepared["synthetic", "logmel_1024"]
  again = {"config": "logmel_1024", "data_dir": done.directory.parents[2]}
  dataset_builder.Builder(tracks_per_genre=1, **again)
  with pytest.raises(InputError, match="prepared from other data"):
    dataset_builder.Builder(tracks_per_genre=2, **again)


def test_a_pickled_builder_is_of_the_same_corpus(folder, tmp_path):
  builder = dataset_builder.Builder(
    path=str(folder), config="mfcc_slices", data_dir=tmp_path
  )
  builder.download_and_prepare()
  again = pickle.loads(pickle.dumps(builder))
  assert again.corpus == builder.corpus
  assert len(again.as_data_source("train")) == 7


def test_another_file_format_may_be_asked_for(folder, tmp_path):
  where = {"path": str(folder), "config": "mfcc_slices", "data_dir": tmp_path}
  builder = dataset_builder.Builder(**where)
  assert builder.info.file_format == tfds.core.FileFormat.ARRAY_RECORD
  builder = dataset_builder.Builder(**where, file_format="tfrecord")
  assert builder.info.file_format == tfds.core.FileFormat.TFRECORD


def test_every_feature_set_is_a_config():
  configs = dataset_builder.Builder.builder_configs
  assert set(configs) == set(features.FEATURES)


def test_description_comes_from_the_package(prepared):
  done = prepared["audio", "logmel_1024"]
  info = tfds.builder_from_directory(str(done.directory)).info
  assert "George Tzanetakis" in info.description
  assert "kereliuk2015deep" in info.citation


# The real thing.


def test_real_tracks(gtzan_data, tmp_path, monkeypatch):
  opened = tfds_gtzan.open_corpus(str(gtzan_data / "gtzan"))
  few = [t for t in opened.tracks if t.id.endswith(("00000", "00009"))]
  spec = features.get("mfcc_slices")
  part = dataclasses.replace(opened, tracks=tuple(few))
  monkeypatch.setattr(preparing, "open_corpus", lambda *_: part)
  done = tfds_gtzan.prepare("gtzan", "mfcc_slices", tmp_path)
  assert done.skipped == ()
  for row in done.rows:
    track = next(track for track in few if track.id == row.id)
    samples = len(track.read().samples)
    assert row.segments == min(10, samples // spec.segment_samples)
    assert row.artist == track.artist


def test_real_archive_has_ten_segments_of_38_columns_a_track(gtzan_data):
  opened = tfds_gtzan.open_corpus(str(gtzan_data / "gtzan_logmel.npz"))
  spec = features.get("logmel_1024")
  width = logmel_archive.segment_columns(spec, opened.columns_per_frame)
  assert width == 38
  for track in opened.tracks[::25]:
    segments, starts = examples.cut(spec, opened, track.read())
    assert segments.shape == (10, 38, 128)
    assert len(starts) == 10


def test_synthetic_corpus_is_prepared_as_it_is_rendered(prepared):
  done = prepared["synthetic", "logmel_1024"]
  record = records(done, done.rows[0].partition)[0]
  rendered = synthetic.render(record["track"].decode())[:66_000]
  np.testing.assert_array_equal(record["audio"], waveform.to_int16(rendered))
