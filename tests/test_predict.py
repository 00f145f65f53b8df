"""Prediction sees the very features that evaluation saw."""

import json

import numpy as np
import pytest
import soundfile
import soxr

import launch
from gtzan_jax import (
  audio,
  errors,
  evaluate,
  predict,
  predictions,
  sharding,
  train,
  workdir,
)
from tfds_gtzan import synthetic


def fit(config, path):
  dataset = launch.open_dataset(config)
  mesh = sharding.make_mesh()
  workdir.begin(path, config, dataset)
  train.train(config, dataset, path, mesh)
  evaluate.evaluate(path, dataset, mesh)
  return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
  return tmp_path_factory.mktemp("predict")


@pytest.fixture
def trained(folder, make_config):
  """A barely trained run, shared by the module."""
  path = folder / "run"
  if not (path / "report.json").exists():
    path.mkdir(exist_ok=True)
    fit(make_config(**{"train.max_steps": 3}), path)
  return path


@pytest.fixture
def track(trained):
  """A test track: its id, its samples, its stored probabilities."""
  stored = predictions.load(trained / "predictions" / "test.npz").by_track()
  samples = synthetic.render(str(stored.track[0]))
  return samples, dict(
    zip(stored.genres, stored.probabilities[0].tolist(), strict=True)
  )


def call(capsys, *argv) -> tuple[int, str, str]:
  launch.FLAGS.unparse_flags()
  for name in ("workdir", "json", "config"):
    launch.FLAGS[name].unparse()
  status = launch.main(["launch.py", *map(str, argv)])
  captured = capsys.readouterr()
  return status, captured.out, captured.err


def test_a_file_gets_the_probabilities_of_its_track(trained, track, tmp_path):
  samples, stored = track
  file = tmp_path / "song.wav"
  soundfile.write(file, audio.to_int16(samples), 22_050)
  found = predict.load(trained)(file)
  assert sum(found.values()) == pytest.approx(1.0, abs=1e-12)
  assert list(found.values()) == sorted(found.values(), reverse=True)
  for genre, probability in stored.items():
    assert found[genre] == pytest.approx(probability, abs=1e-5)


@pytest.mark.parametrize(
  ("name", "rate", "channels", "subtype"),
  [
    ("a.flac", 22_050, 2, None),
    ("a.wav", 44_100, 1, "FLOAT"),
    ("a.ogg", 44_100, 2, None),
    ("a.mp3", 44_100, 2, None),
    ("a.au", 16_000, 1, "PCM_16"),
  ],
)
def test_any_form_of_a_file_is_read_alike(
  trained, track, tmp_path, name, rate, channels, subtype
):
  samples, stored = track
  samples = soxr.resample(samples, 22_050, rate)
  stacked = np.repeat(samples[:, None], channels, 1)
  soundfile.write(tmp_path / name, stacked, rate, subtype=subtype)
  found = predict.load(trained)(tmp_path / name)
  for genre, probability in stored.items():
    assert found[genre] == pytest.approx(probability, abs=0.1)


@pytest.mark.parametrize("seconds", [0.1, 2.0, 3.0, 100.0])
def test_any_length_is_taken(trained, track, tmp_path, seconds):
  samples, _ = track
  samples = np.resize(samples, int(seconds * 22_050))
  soundfile.write(tmp_path / "a.wav", samples, 22_050)
  found = predict.load(trained)(tmp_path / "a.wav")
  assert sum(found.values()) == pytest.approx(1.0)


def test_the_verb_prints_three_genres_or_json(trained, track, tmp_path, capsys):
  samples, _ = track
  inner = tmp_path / "music" / "deep"
  inner.mkdir(parents=True)
  for name in ("b.wav", "a.flac"):
    soundfile.write(inner / name, samples, 22_050)
  (inner / "notes.txt").write_text("no music")
  status, out, _ = call(
    capsys, "predict", f"--workdir={trained}", tmp_path / "music"
  )
  assert status == 0
  assert [line.split(": ")[0] for line in out.splitlines()] == [
    str(inner / "a.flac"),
    str(inner / "b.wav"),
  ]
  assert all(line.count(",") == 2 for line in out.splitlines())
  status, out, _ = call(
    capsys, "predict", f"--workdir={trained}", "--json", tmp_path / "music"
  )
  answers = json.loads(out)
  assert [set(answer) for answer in answers] == [
    {"file", "genre", "probabilities"}
  ] * 2
  for answer in answers:
    best = max(answer["probabilities"], key=answer["probabilities"].get)
    assert answer["genre"] == best
    assert sum(answer["probabilities"].values()) == pytest.approx(1.0)


def test_a_bad_file_is_named_and_skipped(trained, track, tmp_path, capsys):
  samples, _ = track
  soundfile.write(tmp_path / "good.wav", samples, 22_050)
  (tmp_path / "zero.wav").touch()
  (tmp_path / "text.mp3").write_text("this is not audio")
  (tmp_path / "empty").mkdir()
  more = (tmp_path / "gone.au", tmp_path / "empty")
  status, out, err = call(
    capsys, "predict", f"--workdir={trained}", tmp_path, *more
  )
  assert status == 1
  assert "good.wav" in out
  assert len(out.splitlines()) == 1
  assert len(err.splitlines()) == 4
  for name in ("zero.wav", "text.mp3", "gone.au", "empty holds no audio"):
    assert sum(name in line for line in err.splitlines()) == 1


def test_nothing_to_predict_is_an_error(trained, tmp_path):
  with pytest.raises(errors.InputError, match="none were named"):
    predict.find([])
  with pytest.raises(errors.InputError, match="holds no audio file"):
    predict.load(trained)(predict.find([str(tmp_path)])[0])


def test_a_workdir_without_a_run_is_an_error(tmp_path):
  with pytest.raises(errors.InputError, match="no workdir"):
    predict.load(tmp_path)
  with pytest.raises(errors.InputError, match="no such folder"):
    predict.load(tmp_path / "gone")


def test_a_model_of_the_archive_predicts_audio(
  gtzan_data, tmp_path, make_config
):
  """A clip's audio gives what its row in the archive gave."""
  config = make_config(**{"train.max_steps": 20, "data.protocol": "filtered"})
  config.data.path = str(gtzan_data / "gtzan_logmel.npz")
  path = fit(config, tmp_path)
  report = json.loads((path / "report.json").read_text())
  assert report["source"] == "archive"
  stored = predictions.load(path / "predictions" / "validation.npz").by_track()
  row = list(stored.track).index("blues.00000")
  found = predict.load(path)(
    gtzan_data / "gtzan" / "genres" / "blues" / "blues.00000.wav"
  )
  for genre, probability in zip(
    stored.genres, stored.probabilities[row], strict=True
  ):
    assert found[genre] == pytest.approx(probability, abs=0.02)
