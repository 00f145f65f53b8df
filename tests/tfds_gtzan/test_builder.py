import dataclasses
import fcntl
import functools
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
from gtzan_jax.audio import mono_waveform
from gtzan_jax.data import pipeline
from gtzan_jax.errors import InputError
from gtzan_jax.features import whole_clip
from tfds_gtzan import prepared_data as preparing
from tfds_gtzan import tfds_gtzan_dataset_builder as dataset_builder
from tfds_gtzan import track_examples
from tfds_gtzan.corpora.types import Audio

ROOT = pathlib.Path(__file__).resolve().parents[2]
# GTZAN ids: blues 0-2 validate, rock 0-2 train; see the published lists.
LENGTHS = {"blues": (7.0, 2.0, 3.1), "rock": (3.0, 15.0, 3.0)}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
  return corpora.write_folder(tmp_path_factory.mktemp("c") / "gtzan", LENGTHS)


PREPARED = [
  *(("audio", name) for name in ("logmel_1024", "mfcc_slices", "patches")),
  *(("archive", name) for name in ("logmel_1024", "mfcc_slices")),
  ("synthetic", "logmel_1024"),
  *(
    pytest.param(which, marks=pytest.mark.slow)
    for which in (("audio", "fusion"), ("audio", "image_180"))
  ),
  pytest.param(("archive", "image_180"), marks=pytest.mark.slow),
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


def info_of(done):
  return tfds.builder_from_directory(str(done.directory)).info


# What is written.


@pytest.mark.slow
@pytest.mark.parametrize("which", PREPARED)
def test_records_are_in_row_order_and_metadata_say_where_from(prepared, which):
  done, (name, set_name) = prepared[which], which
  assert [
    (
      record["track"].decode(),
      int(record["segment"]),
      done.genres[record["label"]],
      record["artist"].decode(),
    )
    for _, record in corpora.records(done)
  ] == [
    (row.id, segment, row.genre, row.artist)
    for row in done.rows
    for segment in range(row.segments)
  ]
  info = info_of(done)
  numbers = [split.num_examples for split in info.splits.values()]
  assert sum(numbers) == sum(row.segments for row in done.rows)
  assert set(info.splits) == {row.partition for row in done.rows}
  assert done.corpus == name
  assert done.genres == tuple(info.features["label"].names)
  assert done.skipped == ()
  expected = f"{name}-{set_name}-{done.fingerprint[:16]}"
  assert done.directory.parts[-4:] == (
    *(expected, "tfds_gtzan", set_name, "1.1.0"),
  )
  assert "George Tzanetakis" in info.description
  assert "kereliuk2015deep" in info.citation


@pytest.mark.parametrize("which", PREPARED)
def test_features_are_those_of_what_was_read(prepared, paths, which):
  """Of segments, of what stands beside them."""
  done = prepared[which]
  spec = features.FeatureSpec.from_dict(done.feature_spec)
  assert spec == features.get(which[1])
  tracks = {t.id: t for t in tfds_gtzan.open_corpus(paths[which[0]], 1).tracks}
  read = functools.cache(lambda track: tracks[track].read())
  for row, record in corpora.records(done)[:20]:
    seconds = spec.segment_samples / 22_050
    if spec.whole_clip:
      assert row.segments == 1
      assert not {"audio", "logmel", "picture"} & set(record)
      assert record["start"] == record["segment"] == 0
      if done.kind == "audio":
        samples = mono_waveform.to_float(
          mono_waveform.to_int16(read(row.id).samples)
        )
        (own,) = whole_clip.from_audio(samples, spec)
      else:
        (own,) = whole_clip.from_logmel(read(row.id).db, spec)
    elif done.kind == "audio":
      own = features.extract(mono_waveform.to_float(record["audio"]), spec)
      assert record["start"] == pytest.approx(record["segment"] * seconds)
      start = record["segment"] * spec.segment_samples
      pcm = mono_waveform.to_int16(read(row.id).samples)[start:]
      pcm = pcm[: spec.segment_samples]
      # A short track is padded and never lost.
      pcm = np.pad(pcm, (0, spec.segment_samples - len(pcm)))
      np.testing.assert_array_equal(record["audio"], pcm)
    else:
      own = features.from_logmel(record["logmel"], spec)
    np.testing.assert_allclose(record["features"], own, atol=2e-4)
    for name, (shape, dtype) in done.example.items():
      if shape:
        assert (record[name].shape, record[name].dtype) == (shape, dtype)


def test_segment_rule_on_audio(prepared):
  for name, shape in (("logmel_1024", (258, 128)), ("mfcc_slices", (130, 13))):
    done = prepared["audio", name]
    # In order of splits: train is rock (3, 15 and 3 s), then blues (7, 2, 3.1).
    assert [row.segments for row in done.rows] == [1, 5, 1, 2, 1, 1]
    assert done.example["features"] == (shape, "float32")
    assert done.example["audio"][1] == "int16"


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
  segments, starts = track_examples.cut(spec, None, content)
  assert segments.shape == (number, spec.segment_samples)
  np.testing.assert_allclose(
    starts, np.arange(number) * spec.segment_samples / 22_050
  )


def test_segment_rule_on_an_archive(prepared):
  done = prepared["archive", "logmel_1024"]
  assert [row.segments for row in done.rows] == [10, 10, 10]
  assert done.columns_per_frame == pytest.approx(387 / 1293)
  assert done.source == "archive"
  opened = corpora.archive_arrays()
  stored = opened["mel"][0].T.astype(np.float32)  # rock.00001 stands first
  db = opened["top_db"][0] - opened["range_db"][0] * (1 - stored / 255)
  records = [x for row, x in corpora.records(done) if row.id == "rock.00001"]
  for i, record in enumerate(records):
    start_s = i * 66_000 / 22_050
    assert record["start"] == pytest.approx(start_s)
    first = round(start_s * 22_050 / 512 * 387 / 1293)
    np.testing.assert_allclose(
      record["logmel"], db[first : first + 38], atol=1e-4
    )


def test_fields_stand_in_one_order(prepared):
  done = prepared["audio", "logmel_1024"]
  file, *_ = done.directory.glob("*.array_record-*")
  names = [b"\x05audio", b"\x08features", b"\x05label", b"\x07segment"]
  for record in array_record_module.ArrayRecordReader(str(file)).read_all():
    places = [record.find(name) for name in names]
    assert -1 < places[0] < places[1] < places[2] < places[3]


# Tracks that cannot be read.


def spoil(*names):
  def change(root):
    for name in names:
      file = root / name.split(".")[0] / f"{name}.wav"
      file.parent.mkdir(exist_ok=True)
      file.write_bytes(b"not audio")

  return change


def cancel(root):
  """Its channels are each other's opposite."""
  sound, rate = soundfile.read(root / "rock" / "rock.00004.wav")
  opposite = np.stack([sound, -sound], 1)
  soundfile.write(root / "rock" / "rock.00003.wav", opposite, rate)


@pytest.fixture
def prepare_many(tmp_path):
  """Prepares two genres of short tracks, changed by a function."""

  def call(change, tracks=11, name="mfcc_slices", **options):
    root = tmp_path / "many"
    if not root.exists():
      lengths = {"blues": (0.1,) * tracks, "rock": (0.1,) * tracks}
      change(corpora.write_folder(root, lengths))
    return tfds_gtzan.prepare(str(root), name, tmp_path / "d", **options)

  return call


def whole(data_dir):
  return sorted(data_dir.glob("*/tfds_gtzan/*/[0-9]*"))


@pytest.mark.slow
@pytest.mark.parametrize(
  ("change", "tracks", "skipped", "reason"),
  [
    (spoil("rock.00003"), 11, "rock.00003", "not decodable"),
    (cancel, 11, "rock.00003", "no signal: its channels cancel each other out"),
    # One odd file is accepted in the smallest corpus.
    (spoil("rock.00001"), 2, "rock.00001", "not decodable"),
    # The only track of the test list: no such split is written.
    (spoil("blues.00012"), 10, "blues.00012", "not decodable"),
  ],
)
def test_an_unreadable_track_is_skipped_by_name(
  prepare_many, monkeypatch, change, tracks, skipped, reason
):
  """And shards without a track do not shift records."""
  monkeypatch.setattr(dataset_builder, "_SHARD_BYTES", 1)  # a track a shard
  done = prepare_many(change, tracks)
  assert [skip["track"] for skip in done.skipped] == [skipped]
  assert done.skipped[0]["reason"].startswith(f"{skipped}.wav: {reason}")
  assert len(done.rows) == 2 * tracks - (skipped != "blues.00012")
  assert skipped not in {row.id for row in done.rows}
  if tracks > 2:
    assert len(list(done.directory.glob("*-train.array_record-*"))) > 1
  assert set(info_of(done).splits) == {row.partition for row in done.rows}
  assert ("test" in info_of(done).splits) == (tracks == 11)
  for row, record in corpora.records(done):
    assert record["track"].decode() == row.id
    assert row.seconds == pytest.approx(0.1)
    assert row.level == pytest.approx(-10.8, abs=0.3)  # uniform noise, +-0.5


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
def test_too_much_unreadable_leaves_nothing(
  prepare_many, tmp_path, bad, message
):
  with pytest.raises(InputError, match=message):
    prepare_many(spoil(*bad))
  assert not [p for p in (tmp_path / "d").iterdir() if p.name[0] != "."]


@pytest.mark.slow
def test_progress_counts_every_track(prepare_many, monkeypatch):
  bars = []

  class Bar(tqdm.tqdm):
    def __init__(self, **kwargs):
      super().__init__(**kwargs | {"disable": False, "file": io.StringIO()})
      bars.append((self, kwargs["disable"]))

  monkeypatch.setattr(tqdm, "tqdm", Bar)
  prepare_many(spoil("rock.00003"))
  prepare_many(None, name="logmel_1024", progress=False)
  assert [(bar.n, bar.total) for bar, _ in bars] == [(22, 22)] * 2
  assert [off for _, off in bars] == [None, True]  # None: on terminals only


def test_other_music_is_unlisted_and_copies_have_one_digest(tmp_path):
  """Of 16 bits: as WAV and FLAC, as floats, of another name and genre."""
  sound = np.random.default_rng(0).integers(-9999, 9999, 22_050, np.int16)
  for name, samples in {
    "zouk/a.wav": sound,
    "zouk/b.flac": sound,
    "jazz/c.wav": sound.astype(np.float32) / 32768,
    "jazz/d.wav": sound[::-1],
  }.items():
    path = tmp_path / "music" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    subtype = "FLOAT" if samples.dtype == np.float32 else None
    soundfile.write(path, samples, 22_050, subtype=subtype)
  music, data_dir = str(tmp_path / "music"), tmp_path / "d"
  done = tfds_gtzan.prepare(music, "mfcc_slices", data_dir)
  assert set(info_of(done).splits) == {"unlisted"}
  digests = {row.id[-1]: row.content for row in done.rows}
  assert list(digests) == ["c", "d", "a", "b"]
  assert digests["a"] == digests["b"] == digests["c"] != digests["d"]
  assert {len(digest) for digest in digests.values()} == {64}


# Once, in one place, whole or not at all.


@pytest.fixture
def once(folder, tmp_path):
  """Prepares the same again and again."""

  def call(name="mfcc_slices"):
    return tfds_gtzan.prepare(str(folder), name, tmp_path / "d")

  call.dir = tmp_path / "d"
  return call


def test_what_is_prepared_is_not_decoded_again(once, monkeypatch, capfd):
  first = once()
  monkeypatch.setattr(track_examples, "of_content", None)
  assert once() == first
  assert capfd.readouterr().out == ""  # stdout is the caller's


def test_what_is_old_or_without_checksums_is_prepared_anew(once):
  """An old track table had no digests; records, and so runs, are the same."""
  first = once()
  old = first.directory.rename(first.directory.with_name("1.0.0"))
  assert once() == first
  assert not old.exists()
  (first.directory / atomic.SUMS).unlink()
  (first.directory / "metadata.json").write_text("{}")
  assert once() == first
  assert not atomic.find_damage(first.directory)


@pytest.mark.parametrize("what", ["content", "code", "facts", "spec"])
def test_a_change_is_a_new_folder(folder, what, monkeypatch):
  spec = features.get("logmel_1024")
  opened = corpora.opened(folder)
  before = dataset_builder.fingerprint(spec, opened)
  if what == "content":
    opened = tfds_gtzan.open_corpus(None, 1)
  elif what == "code":
    monkeypatch.setattr(features, "FEATURES_VERSION", 1000)
  elif what == "facts":
    monkeypatch.setattr(dataset_builder.track_lists, "digest", lambda: "other")
  else:
    spec = dataclasses.replace(spec, segment_samples=22_050)
  assert dataset_builder.fingerprint(spec, opened) != before


SLOW = """
import time
import tfds_gtzan
from tfds_gtzan import track_examples
of_content = track_examples.of_content
def slow(*arguments):
  time.sleep(1)
  return of_content(*arguments)
track_examples.of_content = slow
tfds_gtzan.prepare({path!r}, "mfcc_slices", {data_dir!r})
"""


@pytest.mark.slow
def test_what_a_killed_process_left_is_not_taken_for_whole(folder, once):
  program = SLOW.format(path=str(folder), data_dir=str(once.dir))
  leftovers = []
  deadline = time.monotonic() + 60
  with subprocess.Popen([sys.executable, "-c", program], cwd=ROOT) as child:
    try:
      while not leftovers and time.monotonic() < deadline:
        assert child.poll() is None, "it ended before it could be killed"
        pattern = "*/tfds_gtzan/*/incomplete.*/*array_record*"
        leftovers = list(once.dir.glob(pattern))
        time.sleep(0.02)
    finally:
      child.kill()
  assert leftovers[0].exists()
  assert not whole(once.dir)
  # Another data set's turn comes first: that sweeps as well.
  once("logmel_1024")
  assert not list(once.dir.glob("**/incomplete.*"))
  assert len(once().rows) == 6
  assert len(whole(once.dir)) == 2


def flip(file):
  data = bytearray(file.read_bytes())
  data[len(data) // 5] ^= 4
  file.write_bytes(data)


@pytest.mark.slow
@pytest.mark.parametrize(
  "damage",
  [
    pathlib.Path.unlink,
    lambda file: file.write_bytes(b""),
    lambda file: file.write_bytes(
      file.read_bytes()[: file.stat().st_size // 2]
    ),
    flip,
  ],
)
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
    done = tfds_gtzan.prepare(paths["audio"], "logmel_1024", tmp_path)
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


def test_a_second_process_waits_and_writes_nothing(once, monkeypatch):
  first = once()
  place = first.directory
  away = place.rename(once.dir / "away")
  monkeypatch.setattr(track_examples, "of_content", None)  # it must not compute
  with (
    (once.dir / ".locks" / place.parts[-4]).open("w") as lock,
    futures.ThreadPoolExecutor(1) as pool,
  ):
    fcntl.flock(lock, fcntl.LOCK_EX)
    second = pool.submit(once)
    with pytest.raises(futures.TimeoutError):
      second.result(timeout=0.5)
    away.rename(place)  # the first process is done
    fcntl.flock(lock, fcntl.LOCK_UN)
    assert second.result(timeout=20) == first


# Mistakes.


@pytest.mark.parametrize(
  ("path", "name", "data_dir", "message"),
  [
    (
      *("a.npz", "sequence", "d"),
      r"sequence cannot be computed from the corpus archive, .* logmel; "
      r"corpora that work: audio, synthetic$",
    ),
    (
      *("p", "logmel_1024", "d"),
      r"logmel_1024 cannot be computed from the corpus images, whose tracks"
      " hold picture; corpora that work: audio, archive, synthetic$",
    ),
    ("t.csv", "image_180", "d", r"image_180 cannot .* corpus table,"),
    ("", "mel", "d", "unknown feature set 'mel'"),
    ("", "logmel_1024", "file", r"cannot prepare in .*config\.data\.dir"),
    ("", "logmel_1024", "file/below", r"cannot prepare in .*config\.data\.dir"),
  ],
)
def test_what_cannot_be_prepared(tmp_path, path, name, data_dir, message):
  corpora.write_archive(tmp_path / "a.npz")
  corpora.write_pictures(tmp_path / "p", {"blues": 1, "rock": 1})
  rows = corpora.table_rows(["blues.00000.wav", "rock.00000.wav"])
  corpora.write_table(tmp_path / "t.csv", rows)
  (tmp_path / "file").write_text("")
  with pytest.raises(InputError, match=message):
    tfds_gtzan.prepare(path and str(tmp_path / path), name, tmp_path / data_dir)
  assert not whole(tmp_path / "d")
  assert (tmp_path / "d").exists() == bool(path)


def test_a_disk_that_is_full_of_records(once, monkeypatch):
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
    once()
  assert not whole(once.dir)
  assert not list(once.dir.glob("**/incomplete.*"))


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


def test_a_folder_of_another_corpus_is_not_passed_off(prepared):
  done = prepared["synthetic", "logmel_1024"]
  again = {"config": "logmel_1024", "data_dir": done.directory.parents[2]}
  dataset_builder.Builder(tracks_per_genre=1, **again)
  with pytest.raises(InputError, match="prepared from other data"):
    dataset_builder.Builder(tracks_per_genre=2, **again)


def test_a_pickled_builder_and_another_file_format(folder, tmp_path):
  assert set(dataset_builder.Builder.builder_configs) == set(features.FEATURES)
  where = {"path": str(folder), "config": "mfcc_slices", "data_dir": tmp_path}
  builder = dataset_builder.Builder(**where, file_format="tfrecord")
  assert builder.info.file_format == tfds.core.FileFormat.TFRECORD
  builder = dataset_builder.Builder(**where)
  assert builder.info.file_format == tfds.core.FileFormat.ARRAY_RECORD
  builder.download_and_prepare()
  again = pickle.loads(pickle.dumps(builder))
  assert again.corpus == builder.corpus
  assert len(again.as_data_source("train")) == 7


# The real thing.


@pytest.mark.slow
def test_real_tracks(gtzan_data, tmp_path):
  opened = corpora.opened(gtzan_data / "gtzan")
  few = {t.id: t for t in opened.tracks if t.id.endswith(("00000", "00009"))}
  part = dataclasses.replace(opened, tracks=tuple(few.values()))
  done = tfds_gtzan.prepare(part, "mfcc_slices", tmp_path)
  assert done.skipped == ()
  for row in done.rows:
    samples = len(few[row.id].read().samples)
    spec = features.get("mfcc_slices")
    assert row.segments == min(10, samples // spec.segment_samples)
    assert row.artist == few[row.id].artist
