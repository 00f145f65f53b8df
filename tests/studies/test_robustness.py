"""Distorted sound, and what a run makes of it."""

import dataclasses
import json
import shutil
import types
import warnings

import librosa
import ml_collections
import numpy as np
import pytest
import soundfile
from scipy import signal, stats

import tfds_gtzan
from gtzan_jax.audio import distortions
from gtzan_jax.audio.distortions import DISTORTIONS, Distortion
from gtzan_jax.cli import tasks, verbs
from gtzan_jax.data.open_dataset import open_dataset
from gtzan_jax.errors import InputError
from gtzan_jax.scores import predictions
from gtzan_jax.studies.robustness import measure as robustness
from gtzan_jax.studies.robustness import run as listening
from gtzan_jax.studies.verify import run as verify
from gtzan_jax.training import evaluate, sharding, workdir

RATE = 22_050
EACH = [(key, x) for key, one in DISTORTIONS.items() for x in one.levels]


def tone(hz, seconds=2.0, amplitude=0.3):
  t = np.arange(round(seconds * RATE)) / RATE
  return (amplitude * np.sin(2 * np.pi * hz * t)).astype(np.float32)


def db(samples, reference):
  return 10 * np.log10(np.mean(samples**2) / np.mean(reference**2))


def pitch(samples):
  spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
  return spectrum.argmax() * RATE / len(samples)


# Each distortion.


@pytest.mark.slow
@pytest.mark.parametrize(("key", "level"), EACH)
def test_a_distortion_keeps_its_contract(key, level):
  distort = DISTORTIONS[key].function
  sound = tone(500, 0.4)
  before = sound.copy()
  found = distort(sound, level, 3)
  assert found.dtype == np.float32
  assert np.isfinite(found).all()
  length = len(sound) / level if key == "time_stretch" else len(sound)
  assert len(found) == round(length)
  np.testing.assert_array_equal(found, distort(sound, level, 3))
  np.testing.assert_array_equal(sound, before)
  assert np.isfinite(distort(np.zeros(9, np.float32), level, 3)).all()


@pytest.mark.parametrize("level", DISTORTIONS["white_noise"].levels)
def test_noise_is_white_and_of_the_level_asked_for(level):
  sound = tone(500)
  noise = distortions.white_noise(sound, level, 1) - sound
  assert db(sound, noise) == pytest.approx(level, abs=0.02)
  _, density = signal.welch(noise, RATE, nperseg=256)
  assert density[4:-4].max() < 1.6 * density[4:-4].min()
  other = distortions.white_noise(sound, 0, 2) - sound
  assert abs(np.corrcoef(noise, other)[0, 1]) < 0.02
  louder = distortions.white_noise(sound, 0, 1) - sound
  assert np.corrcoef(noise, louder)[0, 1] > 0.99  # the same at every level


@pytest.mark.parametrize("level", DISTORTIONS["mp3"].levels)
def test_mp3_is_of_the_rate_asked_for_and_in_time(level, monkeypatch):
  written, write = [], soundfile.write

  def watched(file, *args, **kwargs):
    write(file, *args, **kwargs)
    written.append(len(file.getvalue()))

  monkeypatch.setattr(soundfile, "write", watched)
  low = signal.butter(4, 2000, fs=RATE, output="sos")
  sound = np.random.default_rng(0).normal(size=5 * RATE)
  sound = (0.1 * signal.sosfilt(low, sound)).astype(np.float32)
  found = distortions.mp3(sound, level, 0)
  assert written[0] * 8 / 5 / 1000 == pytest.approx(level, rel=0.02)
  # LAME's 0.95 apart it is the same sound, at the same time.
  scale = found @ sound / (sound @ sound)
  assert 0.93 < scale < 0.96
  wanted = {128: 45, 96: 38, 64: 30, 32: 11}[level]
  assert wanted < db(sound, sound - found / scale) < wanted + 15


@pytest.mark.parametrize("level", [4000, 1000, 100, 20])
def test_a_filter_passes_what_butterworth_says(level):
  """Of order 8, bent by the bilinear transform."""
  low = level > 500
  function = distortions.low_pass if low else distortions.high_pass
  for hz in (level / 2, level, 1.5 * level):
    sound = tone(hz, 4.0)
    middle = slice(2 * RATE, -RATE // 2)  # it has swung in
    passed = db(function(sound, level, 0)[middle], sound[middle])
    ratio = np.tan(np.pi * hz / RATE) / np.tan(np.pi * level / RATE)
    wanted = -10 * np.log10(1 + ratio ** (16 if low else -16))
    assert passed == pytest.approx(wanted, abs=0.1)


def test_stretching_and_shifting_are_those_of_librosa():
  sound = tone(440) + tone(1000, amplitude=0.1)
  with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # librosa's, of its own calls
    for level in DISTORTIONS["time_stretch"].levels:
      found = distortions.time_stretch(sound, level, 0)
      wanted = librosa.effects.time_stretch(sound, rate=level)
      np.testing.assert_allclose(found, wanted, atol=1e-6)
      assert pitch(found) == pytest.approx(440, abs=1)
    for level in DISTORTIONS["pitch_shift"].levels:
      found = distortions.pitch_shift(sound, level, 0)
      wanted = librosa.effects.pitch_shift(sound, sr=RATE, n_steps=level)
      np.testing.assert_allclose(found, wanted, atol=1e-6)
      assert pitch(found) == pytest.approx(440 * 2 ** (level / 12), abs=1)


def test_gain_is_in_db_and_clips_at_full_scale():
  sound = tone(500)
  assert db(distortions.gain(sound, -10, 0), sound) == pytest.approx(-10)
  loud = distortions.gain(sound, 20, 0)
  assert (loud.min(), loud.max()) == (-1, 1)
  assert 0.5 < np.mean(np.abs(loud) == 1) < 0.95


def test_real_music_loses_more_the_fewer_bits_it_has(gtzan_data):
  clip = min((gtzan_data / "gtzan" / "genres" / "metal").glob("*.wav"))
  sound = soundfile.read(clip, frames=5 * RATE, dtype="float32")[0]
  kept = [
    np.corrcoef(sound, distortions.mp3(sound, level, 0))[0, 1]
    for level in (128, 64, 32)
  ]
  assert 1 > kept[0] > kept[1] > kept[2] > 0.9


# What a run says of it.


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
  return tmp_path_factory.mktemp("robustness")


@pytest.fixture
def trained(folder, make_config):
  """An evaluated run on 40 synthetic tracks, shared by the module."""
  path = folder / "run"
  if not path.exists():
    config = make_config("logreg_stats")
    config.model = ml_collections.ConfigDict({"name": "logreg", "C": 0.1})
    dataset = open_dataset(config)
    path.mkdir()
    workdir.begin(path, config, dataset)
    tasks.train(config, dataset, path, sharding.make_mesh())
    evaluate.evaluate(path, dataset, sharding.make_mesh())
  return path


@pytest.fixture(autouse=True)
def few(monkeypatch):
  """Two that one can foretell, beside those that are there."""
  monkeypatch.setitem(
    DISTORTIONS, "nothing", Distortion(lambda x, _, __: x, "nothing", (1, 2))
  )
  hush = Distortion(lambda x, _, __: 0 * x, "silence", (0.5,), 0.7)
  monkeypatch.setitem(DISTORTIONS, "silence", hush)
  half = Distortion(lambda x, _, __: x[::2].copy(), "half", (0.5,))
  monkeypatch.setitem(DISTORTIONS, "half", half)


def listen(path, out, names, **changed):
  run = listening.load(path) | changed
  opened = tfds_gtzan.open_corpus(None, 4)
  return listening.run(path, run, opened, out, names)


@pytest.fixture
def heard(folder, trained):
  out = folder / "out"
  if not out.exists():
    listen(trained, out, ("nothing", "silence", "half"))
  return out, json.loads((out / "robustness.json").read_text())


@pytest.mark.slow
def test_undistorted_sound_gets_the_answers_that_are_stored(trained, heard):
  out, found = heard
  stored = predictions.load(trained / "predictions" / "test.npz")
  again = predictions.load(out / "predictions" / "undistorted.npz")
  assert dict(zip(again.track, again.artist, strict=True)) == dict(
    zip(stored.track, stored.artist, strict=True)
  )
  of = {
    (track, segment): p
    for track, segment, p in zip(
      stored.track, stored.segment, stored.probabilities, strict=True
    )
  }
  assert len(of) == len(again)
  for track, segment, p in zip(
    again.track, again.segment, again.probabilities, strict=True
  ):
    np.testing.assert_allclose(p, of[track, segment], atol=2e-3)
  report = json.loads((trained / "report.json").read_text())
  assert found["n"] == report["splits"]["test"]["n"]
  assert (
    found["undistorted"]["accuracy"]
    == (report["splits"]["test"]["track"]["accuracy"])
  )
  assert found["workdir"] == trained.name
  assert found["split"] == "test"


def test_nothing_changes_nothing_and_silence_all(heard):
  rows = heard[1]["distortions"]["nothing"]["levels"]
  accuracy = heard[1]["undistorted"]["accuracy"]
  assert rows == [
    {
      **{"level": level, "accuracy": accuracy, "difference": 0.0},
      **{"ci95": [0.0, 0.0], "p": 1.0},
    }
    for level in (1, 2)
  ]
  table = predictions.load(heard[0] / "predictions" / "silence_0.5.npz")
  assert len(set(table.by_track().predicted.tolist())) == 1  # no sound, no clue


def test_differences_are_paired(heard):
  out, found = heard
  (row,) = found["distortions"]["silence"]["levels"]
  clean, hush = (
    predictions.load(out / "predictions" / f"{name}.npz").by_track()
    for name in ("undistorted", "silence_0.5")
  )
  right = [table.predicted == table.label for table in (clean, hush)]
  assert row["accuracy"] == pytest.approx(right[1].mean())
  assert row["difference"] == pytest.approx(right[1].mean() - right[0].mean())
  lost, won = sum(right[0] & ~right[1]), sum(right[1] & ~right[0])
  assert row["p"] == pytest.approx(stats.binomtest(lost, lost + won).pvalue)
  drawn = stats.bootstrap(
    (right[1].astype(float) - right[0],),
    np.mean,
    n_resamples=4000,
    method="percentile",
    rng=np.random.default_rng(0),
  ).confidence_interval
  assert row["ci95"] == pytest.approx([*drawn], abs=0.06)


def test_tracks_of_another_length_are_heard_whole(heard):
  table = predictions.load(heard[0] / "predictions" / "half_0.5.npz")
  held_out = set(table.track.tolist())
  lengths = [
    len(track.read().samples[::2])
    for track in tfds_gtzan.open_corpus(None, 4).tracks
    if track.id in held_out
  ]
  assert len(table) == sum(max(1, n // 66_150) for n in lengths)


def test_what_is_written_can_be_verified(heard, tmp_path):
  out, found = heard
  assert not list(verify.differences(found, robustness.again(out)))
  text = (out / "robustness.md").read_text()
  assert "| nothing | 2 |" in " ".join(text.split())
  assert (out / "robustness.png").stat().st_size > 10_000
  copy = shutil.copytree(out, tmp_path / "copy")
  (copy / "robustness.md").write_text(text.replace(" 2 |", " 3 |"))
  (line,) = verify.verify([copy]).wrong
  assert line.startswith(f"{copy / 'robustness.md'}: line ")
  changed = json.loads(json.dumps(found))
  changed["distortions"]["silence"]["levels"][0]["ci95"][0] += 1e-6
  assert list(verify.differences(changed, robustness.again(out)))
  changed["distortions"]["silence"]["levels"][0]["level"] = "loud"
  (tmp_path / "robustness.json").write_text(json.dumps(changed))
  damaged = r"is damaged: distortions.silence.levels\[0\].level: str, float"
  with pytest.raises(InputError, match=damaged):
    robustness.again(tmp_path)


@pytest.mark.slow
def test_the_verb_takes_the_corpus_of_the_run_again(
  trained, heard, make_config, tmp_path, capsys
):
  out = tmp_path / "out"
  shutil.copytree(heard[0], out)
  words = types.SimpleNamespace(
    workdir=lambda: trained,
    files=["nothing"],
    config=make_config("logreg_stats"),
    overrides={},
    flags=types.SimpleNamespace(out=str(out)),
  )
  assert verbs.robustness(words) == 0
  said = capsys.readouterr().out.splitlines()
  assert said[-1] == f"robustness: {out / 'robustness.json'}"
  assert said[-2].startswith("nothing 2: accuracy ")
  stored = {file.name for file in (out / "predictions").iterdir()}
  assert stored == {"undistorted.npz", "nothing_1.npz", "nothing_2.npz"}


def test_a_distorted_track_reads_the_same_each_time():
  opened = tfds_gtzan.open_corpus(None, 1)
  kind = DISTORTIONS["white_noise"]
  one, other = (
    [listening.distorted(track, kind, 0).read().samples for _ in range(2)]
    for track in opened.tracks[:2]
  )
  np.testing.assert_array_equal(*one)
  clean = [track.read().samples for track in opened.tracks[:2]]
  noise = [one[0] - clean[0], other[0] - clean[1]]
  n = min(map(len, noise))
  assert abs(np.corrcoef(noise[0][:n], noise[1][:n])[0, 1]) < 0.02


@pytest.mark.slow
def test_mistakes_get_one_line(trained, tmp_path):
  run = workdir.load(trained)
  out = tmp_path / "out"
  with pytest.raises(InputError, match="unknown distortion 'hum': give some"):
    listen(trained, out, ("hum",))
  with pytest.raises(InputError, match="give the corpus that it was trained"):
    listen(trained, out, (), data_fingerprint="ab" * 32)
  test = predictions.load(trained / "predictions" / "test.npz").track[0]
  learnt = {"train": [*run["tracks"]["train"], str(test)], "validation": []}
  with pytest.raises(InputError, match=f"such as {test}: give a run of a"):
    listen(trained, out, (), tracks=learnt)
  arm = {**run["config"], "data": run["config"]["data"] | {"leak": "clean"}}
  with pytest.raises(InputError, match="is the arm 'clean' of a leakage meter"):
    listen(trained, out, (), config=arm)
  assert not out.exists()
  other = tmp_path / "archive"
  other.mkdir()
  (other / "run.json").write_text(
    json.dumps(run | {"kind": "logmel", "columns_per_frame": 0.3})
  )
  with pytest.raises(InputError, match="was trained on logmel: only audio"):
    listening.load(other)
  opened = tfds_gtzan.open_corpus(None, 4)

  def gone():
    raise InputError("x.wav: no such audio file")

  broken = dataclasses.replace(
    opened,
    tracks=tuple(
      dataclasses.replace(t, read=gone) if t.id == test else t
      for t in opened.tracks
    ),
  )
  with pytest.raises(InputError, match=f"{test} cannot be read: x.wav"):
    listening.run(trained, run, broken, out, ())
