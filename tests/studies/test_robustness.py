"""Distorted audio, and the accuracy of a run on it."""

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
from gtzan_jax.studies.robustness import measure, run
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
def test_noise_is_white_and_of_its_level(level):
  sound = tone(500)
  noise, other, louder = (
    distortions.white_noise(sound, at, seed) - sound
    for at, seed in ((level, 1), (0, 2), (0, 1))
  )
  assert db(sound, noise) == pytest.approx(level, abs=0.02)
  _, density = signal.welch(noise, RATE, nperseg=256)
  assert density[4:-4].max() < 1.6 * density[4:-4].min()
  assert abs(np.corrcoef(noise, other)[0, 1]) < 0.02
  assert np.corrcoef(noise, louder)[0, 1] > 0.99  # the same at every level


@pytest.mark.parametrize("level", DISTORTIONS["mp3"].levels)
def test_mp3_is_of_its_rate_and_in_time(level, monkeypatch):
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


@pytest.mark.slow
@pytest.mark.parametrize(
  ("key", "keyword"),
  [("time_stretch", "rate"), ("pitch_shift", "n_steps")],
)
def test_stretching_and_shifting_are_those_of_librosa(key, keyword):
  sound = tone(440) + tone(1000, amplitude=0.1)
  more = {"sr": RATE} if key == "pitch_shift" else {}
  for level in DISTORTIONS[key].levels:
    with warnings.catch_warnings():
      warnings.simplefilter("ignore")  # librosa's, of its own calls
      found = getattr(distortions, key)(sound, level, 0)
      effect = getattr(librosa.effects, key)
      wanted = effect(sound, **more, **{keyword: level})
    np.testing.assert_allclose(found, wanted, atol=1e-6)
    hz = 440 * 2 ** (level / 12) if more else 440
    assert pitch(found) == pytest.approx(hz, abs=1)


def test_gain_is_in_db_and_clips_at_full_scale():
  sound = tone(500)
  assert db(distortions.gain(sound, -10, 0), sound) == pytest.approx(-10)
  loud = distortions.gain(sound, 20, 0)
  assert (loud.min(), loud.max()) == (-1, 1)
  assert 0.5 < np.mean(np.abs(loud) == 1) < 0.95


# A run on distorted audio.


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
def predictable(monkeypatch):
  """Distortions whose effect is known, beside the others."""
  for key, function, *levels in (
    ("nothing", lambda x, *_: x, (1, 2)),
    ("silence", lambda x, *_: 0 * x, (0.5,), 0.7),
    ("half", lambda x, *_: x[::2].copy(), (0.5,)),
  ):
    monkeypatch.setitem(DISTORTIONS, key, Distortion(function, key, *levels))


def distort(path, out, names, corpus=None, **changed):
  facts = run.load(path) | changed
  return run.run(
    path, facts, corpus or tfds_gtzan.open_corpus(None, 4), out, names
  )


@pytest.fixture
def distorted(folder, trained):
  """The folder of the results and robustness.json."""
  out = folder / "out"
  if not out.exists():
    distort(trained, out, ("nothing", "silence", "half"))
  return out, json.loads((out / "robustness.json").read_text())


def table(out, name):
  return predictions.load(out / "predictions" / f"{name}.npz")


@pytest.mark.slow
def test_undistorted_audio_gets_the_stored_predictions(trained, distorted):
  out, found = distorted
  stored, again = table(trained, "test"), table(out, "undistorted")
  artists = [dict(zip(x.track, x.artist, strict=True)) for x in (stored, again)]
  assert artists[0] == artists[1]
  of = dict(
    zip(
      zip(stored.track, stored.segment, strict=True),
      stored.probabilities,
      strict=True,
    )
  )
  assert len(of) == len(again)
  wanted = [of[key] for key in zip(again.track, again.segment, strict=True)]
  np.testing.assert_allclose(again.probabilities, wanted, atol=2e-3)
  scored = json.loads((trained / "report.json").read_text())["splits"]["test"]
  assert found["n"] == scored["n"]
  assert found["undistorted"]["accuracy"] == scored["track"]["accuracy"]
  assert (found["workdir"], found["split"]) == (trained.name, "test")


def test_nothing_changes_nothing_and_silence_all(distorted):
  out, found = distorted
  accuracy = found["undistorted"]["accuracy"]
  same = {"accuracy": accuracy, "difference": 0.0, "ci95": [0.0, 0.0], "p": 1.0}
  rows = found["distortions"]["nothing"]["levels"]
  assert rows == [{"level": level, **same} for level in (1, 2)]
  silent = table(out, "silence_0.5").by_track()
  assert len(set(silent.predicted.tolist())) == 1


def test_differences_are_paired(distorted):
  out, found = distorted
  (row,) = found["distortions"]["silence"]["levels"]
  tables = [table(out, x).by_track() for x in ("undistorted", "silence_0.5")]
  clean, silent = (one.predicted == one.label for one in tables)
  assert row["accuracy"] == pytest.approx(silent.mean())
  assert row["difference"] == pytest.approx(silent.mean() - clean.mean())
  lost, won = sum(clean & ~silent), sum(silent & ~clean)
  assert row["p"] == pytest.approx(stats.binomtest(lost, lost + won).pvalue)
  drawn = stats.bootstrap(
    (silent.astype(float) - clean,),
    np.mean,
    n_resamples=4000,
    method="percentile",
    rng=np.random.default_rng(0),
  ).confidence_interval
  assert row["ci95"] == pytest.approx([*drawn], abs=0.06)


def test_tracks_of_another_length_are_predicted_whole(distorted):
  half = table(distorted[0], "half_0.5")
  held_out = set(half.track.tolist())
  lengths = [
    len(track.read().samples[::2])
    for track in tfds_gtzan.open_corpus(None, 4).tracks
    if track.id in held_out
  ]
  assert len(half) == sum(max(1, n // 66_150) for n in lengths)


def test_the_result_can_be_verified(distorted, tmp_path):
  out, found = distorted
  again = measure.again(out)
  assert not list(verify.differences(found, again))
  text = (out / "robustness.md").read_text()
  assert "| nothing | 2 |" in " ".join(text.split())
  assert (out / "robustness.png").stat().st_size > 10_000
  copy = shutil.copytree(out, tmp_path / "copy")
  (copy / "robustness.md").write_text(text.replace(" 2 |", " 3 |"))
  (line,) = verify.verify([copy]).wrong
  assert line.startswith(f"{copy / 'robustness.md'}: line ")
  level = found["distortions"]["silence"]["levels"][0]
  level["ci95"][0] += 1e-6
  assert list(verify.differences(found, again))
  level["level"] = "loud"
  (tmp_path / "robustness.json").write_text(json.dumps(found))
  damaged = r"is damaged: distortions.silence.levels\[0\].level: str, float"
  with pytest.raises(InputError, match=damaged):
    measure.again(tmp_path)


@pytest.mark.slow
def test_the_verb_reads_the_corpus_of_the_run_and_removes_old_tables(
  trained, distorted, make_config, tmp_path, capsys
):
  out = shutil.copytree(distorted[0], tmp_path / "out")
  given = types.SimpleNamespace(
    workdir=lambda: trained,
    files=["nothing"],
    config=make_config("logreg_stats"),
    overrides={},
    flags=types.SimpleNamespace(out=str(out)),
  )
  assert verbs.robustness(given) == 0
  lines = capsys.readouterr().out.splitlines()
  assert lines[-1] == f"robustness: {out / 'robustness.json'}"
  assert lines[-2].startswith("nothing 2: accuracy ")
  stored = {file.name for file in (out / "predictions").iterdir()}
  assert stored == {"undistorted.npz", "nothing_1.npz", "nothing_2.npz"}


def test_a_distorted_track_reads_the_same_each_time():
  tracks = tfds_gtzan.open_corpus(None, 1).tracks[:2]
  kind = DISTORTIONS["white_noise"]
  noise = []
  for track in tracks:
    one, other = (
      run.distorted(track, kind, 0).read().samples for _ in range(2)
    )
    np.testing.assert_array_equal(one, other)
    noise.append(one - track.read().samples)
  n = min(map(len, noise))
  assert abs(np.corrcoef(noise[0][:n], noise[1][:n])[0, 1]) < 0.02


@pytest.mark.slow
def test_mistakes_get_one_line(trained, tmp_path):
  begun, out = workdir.load(trained), tmp_path / "out"
  test = table(trained, "test").track[0]
  learnt = {"train": [*begun["tracks"]["train"], str(test)], "validation": []}
  data = begun["config"]["data"] | {"leak": "clean"}
  whole = tfds_gtzan.open_corpus(None, 4)

  def gone():
    raise InputError("x.wav: no such audio file")

  tracks = (
    dataclasses.replace(t, read=gone) if t.id == test else t
    for t in whole.tracks
  )
  broken = dataclasses.replace(whole, tracks=tuple(tracks))
  for names, changed, message in (
    (("hum",), {}, "unknown distortion 'hum': give some"),
    ((), {"data_fingerprint": "ab" * 32}, "give the corpus that it was train"),
    ((), {"tracks": learnt}, f"such as {test}: give a run of a"),
    (
      (),
      {"config": {**begun["config"], "data": data}},
      "is the arm 'clean' of a leakage meter",
    ),
    ((), {"corpus": broken}, f"{test} cannot be read: x.wav"),
  ):
    with pytest.raises(InputError, match=message):
      distort(trained, out, names, **changed)
    assert out.exists() == ("corpus" in changed)
  logmel = begun | {"kind": "logmel", "columns_per_frame": 0.3}
  (tmp_path / "run.json").write_text(json.dumps(logmel))
  with pytest.raises(InputError, match="was trained on logmel: only audio"):
    run.load(tmp_path)
