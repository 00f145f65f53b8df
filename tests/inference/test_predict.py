"""Prediction sees the very features that evaluation saw."""

import dataclasses
import json
import os
import tracemalloc

import corpora
import ml_collections
import numpy as np
import pytest
import soundfile
import soxr

import tfds_gtzan
from gtzan_jax import errors, features
from gtzan_jax.audio import mono_waveform
from gtzan_jax.cli import tasks
from gtzan_jax.cli.main import main
from gtzan_jax.data.open_dataset import open_dataset
from gtzan_jax.features import whole_clip
from gtzan_jax.inference import input_warnings, inputs, predict
from gtzan_jax.recipes import default
from gtzan_jax.scores import predictions
from gtzan_jax.training import evaluate, jax_process, sharding, workdir
from tfds_gtzan import synthetic, track_examples
from tfds_gtzan.corpora.types import Audio

CLOSE = 1e-5  # batches of another size round otherwise


def fit(config, path):
  dataset = open_dataset(config)
  mesh = sharding.make_mesh()
  workdir.begin(path, config, dataset)
  tasks.train(config, dataset, path, mesh)
  evaluate.evaluate(path, dataset, mesh)
  return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
  return tmp_path_factory.mktemp("predict")


@pytest.fixture
def trained(folder, make_config, undrawn):
  """A barely trained run, shared by the module."""
  path = folder / "run"
  if not (path / "report.json").exists():
    path.mkdir(exist_ok=True)
    fit(make_config(**{"train.max_steps": 3}), path)
  return path


@pytest.fixture
def track(trained):
  """A test track: its samples, its stored probabilities."""
  stored = predictions.load(trained / "predictions" / "test.npz").by_track()
  return synthetic.render(str(stored.track[0])), answer_of(stored)


def answer_of(stored, row=0):
  """{genre: probability}, near enough, of a row of stored predictions."""
  values = stored.probabilities[row].tolist()
  return dict(zip(stored.genres, values, strict=True))


DATA = default.get_config().data


def named(path, kind) -> list[str]:
  return [one.name for one in predict.find([str(path)], kind, DATA)[0]]


@pytest.fixture
def call(trained, capsys):
  """Runs `predict` on files: (status, stdout, stderr)."""

  def run(*words, path=trained):
    keys = (f"--workdir={path}", "--config.log.compilation_cache=")
    status = main(["launch.py", "predict", *keys, *map(str, words)])
    captured = capsys.readouterr()
    return status, captured.out, captured.err

  return run


def test_programs_are_kept_on_disk(call, track, tmp_path, monkeypatch):
  folders = []
  monkeypatch.setattr(jax_process, "use_compilation_cache", folders.append)
  file = write(tmp_path / "a.wav", track[0])
  assert call(f"--config.log.compilation_cache={tmp_path}", file)[0] == 0
  assert folders == [str(tmp_path)]


def write(path, samples):
  soundfile.write(path, samples, 22_050)
  return path


@pytest.mark.slow
def test_a_file_gets_the_probabilities_of_its_track(trained, track, tmp_path):
  samples, stored = track
  file = write(tmp_path / "song.wav", mono_waveform.to_int16(samples))
  found = predict.load(trained)(file)
  assert sum(found.values()) == pytest.approx(1.0, abs=1e-12)
  assert list(found.values()) == sorted(found.values(), reverse=True)
  assert found == pytest.approx(stored, abs=CLOSE)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["a.flac", "a.mp3", "a.ogg"])
def test_any_form_of_a_file_is_read_alike(trained, track, tmp_path, name):
  samples = np.repeat(soxr.resample(track[0], 22_050, 44_100)[:, None], 2, 1)
  soundfile.write(tmp_path / name, samples, 44_100)
  found = predict.load(trained)(tmp_path / name)
  assert found == pytest.approx(track[1], abs=0.1)


@pytest.mark.parametrize("seconds", [0.1, 2.0, 3.0, 100.0])
def test_any_length_is_taken(trained, track, tmp_path, seconds):
  samples = np.resize(track[0], int(seconds * 22_050))
  found = predict.load(trained)(write(tmp_path / "a.wav", samples))
  assert sum(found.values()) == pytest.approx(1.0)


def test_the_verb_prints_three_genres_or_json(track, tmp_path, call):
  inner = tmp_path / "music" / "deep"
  inner.mkdir(parents=True)
  files = [write(inner / name, track[0]) for name in ("a.flac", "b.wav")]
  (inner / "notes.txt").write_text("no music")
  status, out, _ = call(tmp_path / "music")
  assert status == 0
  lines = out.splitlines()
  assert [line.split(": ")[0] for line in lines] == [*map(str, files)]
  assert all(line.count(",") == 2 for line in lines)
  answers = json.loads(call("--json", tmp_path / "music")[1])
  assert len(answers) == 2
  for answer in answers:
    assert set(answer) == {"file", "genre", "probabilities", "warnings"}
    best = max(answer["probabilities"], key=answer["probabilities"].get)
    assert answer["genre"] == best
    assert sum(answer["probabilities"].values()) == pytest.approx(1.0)


def test_a_bad_file_is_named_and_skipped(track, tmp_path, call):
  write(tmp_path / "good.wav", track[0])
  (tmp_path / "zero.wav").touch()
  (tmp_path / "text.mp3").write_text("this is not audio")
  (tmp_path / "empty").mkdir()
  status, out, err = call(tmp_path, tmp_path / "gone.au", tmp_path / "empty")
  assert status == 1
  assert "good.wav" in out
  assert len(out.splitlines()) == 1
  assert len(err.splitlines()) == 5  # the first is of the synthetic corpus
  for name in ("zero.wav", "text.mp3", "gone.au", "empty holds no audio"):
    assert sum(name in line for line in err.splitlines()) == 1


def test_one_odd_file_costs_no_other_its_answer(
  track, tmp_path, call, monkeypatch
):
  """A name that is no UTF-8, a decoder's fault, an answer that is none."""
  for name in ("a.wav", "fault.wav", "nan.wav", "z.wav"):
    write(tmp_path / name, track[0])
  os.rename(tmp_path / "z.wav", os.fsencode(tmp_path) + b"/caf\xe9.wav")
  stream = predict.stream

  def odd(file, run, *_):
    for x in stream(file, run):
      if file.name == "fault.wav":
        with errors.reading(file):
          raise MemoryError
      yield x * (np.nan if file.name == "nan.wav" else 1)

  monkeypatch.setattr(predict, "stream", odd)
  status, out, err = call("--json", tmp_path)
  assert status == 1
  found = {os.path.basename(one["file"]): one for one in json.loads(out)}
  assert list(found) == ["a.wav", "caf\\xe9.wav", "fault.wav", "nan.wav"]
  for name in ("a.wav", "caf\\xe9.wav"):
    assert sum(found[name]["probabilities"].values()) == pytest.approx(1)
    assert len(found[name]["warnings"]) == 1
  for name, reason in (
    ("fault.wav", "it asks for more memory than there is"),
    ("nan.wav", "the model predicted NaN"),
  ):
    reason = f"{tmp_path / name}: {reason}"
    assert found[name] == {
      "file": str(tmp_path / name),
      "genre": None,
      "probabilities": None,
      "skipped": reason,
    }
    assert f"skipped: {reason}\n" in err
  long = "x" * 256
  _, out, err = call(tmp_path, long)
  assert f"skipped: {long}: File name too long\n" in err
  assert f"{tmp_path}/caf\\xe9.wav: " in out
  assert len(out.splitlines()) == 2


def test_a_file_outside_the_training_range_is_warned_of(
  trained, track, tmp_path, call
):
  """By its length or its level; and any, of a model of the synthetic corpus."""
  known = workdir.load(trained)["train_range"]
  (low, high), (quiet, loud) = known["seconds"], known["level"]
  assert 5 < low <= high <= 31
  assert -60 < quiet < loud < 0
  sound = track[0] / np.sqrt(np.square(track[0]).mean())  # RMS 1
  for name, level, seconds in (
    ("as_learnt.wav", loud, high),
    ("long.wav", loud, 2.2 * high),
    ("short.wav", loud, low / 2.2),
    ("quiet.wav", quiet - 8, high),
  ):
    samples = np.resize(sound, int(seconds * 22_050)) * 10 ** (level / 20)
    soundfile.write(tmp_path / name, samples, 22_050, subtype="FLOAT")
  status, out, err = call("--json", tmp_path)
  assert status == 0
  assert [len(answer["warnings"]) for answer in json.loads(out)] == [1, 2, 2, 2]
  synthetic, *lines = err.splitlines()
  assert synthetic == (
    "warning: this model was trained on the synthetic corpus; its predictions"
    " for real music are meaningless"
  )
  assert [
    line.split(" is outside the training range of ")[0] for line in lines
  ] == [
    f"warning: {tmp_path}/long.wav: duration {2.2 * high:.1f} s",
    f"warning: {tmp_path}/quiet.wav: level {quiet - 8:.0f} dBFS",
    f"warning: {tmp_path}/short.wav: duration {low / 2.2:.1f} s",
  ]


def test_an_older_run_has_no_range_to_be_outside_of():
  level = mono_waveform.Level()
  level.add(np.full(99, 0.1, np.float32))
  assert not input_warnings.out_of_range(level, {})
  assert not input_warnings.out_of_range(
    level, {"train_range": {"seconds": None, "level": None}}
  )
  assert not input_warnings.for_all({"data_path": "/music"})


def test_json_is_written_as_it_goes(tmp_path, call, capsys, monkeypatch):
  """And is whole when a Ctrl-C ends the work."""
  given = []

  def model(file, _):
    given.append(capsys.readouterr().out)
    if len(given) == 3:
      raise KeyboardInterrupt
    return {"jazz": 0.75, "rock": 0.25}

  monkeypatch.setattr(predict, "load", lambda *_: model)
  files = [tmp_path / name for name in "abc"]
  status, rest, _ = call("--json", *files)
  assert status == 130
  assert not given[0]
  assert json.loads(given[1] + "]")[0]["file"] == str(files[0])
  whole = json.loads("".join(given) + rest)
  assert [one["file"] for one in whole] == [str(file) for file in files[:2]]


def test_folders_are_walked_as_those_of_a_corpus(tmp_path, call):
  for name in ("a.WAV", "b.oga", "b.wave", "c d/e.snd", "x/../z.mp3"):
    (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
    corpora.write_sound(tmp_path / "in" / name, np.zeros(99), 22_050)
  (tmp_path / "there").mkdir()
  (tmp_path / "there" / "f.wav").touch()
  (tmp_path / "in" / "link").symlink_to(tmp_path / "there")
  (tmp_path / "in" / "again").symlink_to(tmp_path / "in")
  (tmp_path / "in" / "gone.wav").symlink_to("nowhere")
  for name in ("._a.wav", ".b/c.wav", "__MACOSX/a.wav", "n.txt", "d.xyz"):
    (tmp_path / "in" / name).parent.mkdir(exist_ok=True)
    (tmp_path / "in" / name).touch()
  found, passed_over = predict.find([str(tmp_path / "in")], "audio", DATA)
  names = ("a.WAV", "b.oga", "b.wave", "c d/e.snd", "link/f.wav", "z.mp3")
  assert [one.name for one in found] == [f"{tmp_path}/in/{n}" for n in names]
  assert passed_over == {
    "hidden": 3,
    ".txt": 1,
    ".xyz": 1,
    "broken links": 1,
    "links to folders that are walked already": 1,
  }
  _, out, err = call("--json", tmp_path / "in")
  assert len(json.loads(out)) == 6
  assert "ignored files: 3 hidden, 1 .txt, 1 .xyz, 1 broken links" in err


@pytest.mark.slow
@pytest.mark.parametrize("form", ["zip", "tar", "tar.gz"])
def test_an_archive_is_predicted_as_the_folder_in_it(
  track, tmp_path, call, form
):
  music = corpora.write_folder(tmp_path / "music", {"jazz": [3.0], "pop": [3]})
  write(music / "jazz" / "b.flac", track[0])
  (music / "pop" / "bad.wav").write_bytes(b"no sound")
  path = corpora.pack(music, tmp_path / f"music.{form}")
  unpacked = f"--config.data.dir={tmp_path / 'd'}"

  def answers(place):
    status, out, err = call(place, unpacked, "--json")
    assert status == int("bad" in err)
    assert "gtzan_jax-" not in err
    found = json.loads(out)
    files = [os.path.relpath(answer["file"], place) for answer in found]
    return files, [answer["probabilities"] for answer in found], err

  files, wanted, _ = answers(music)
  found = answers(path)
  assert found[:2] == (files, wanted)
  assert f"{path}/pop/bad.wav: not decodable" in found[2]
  assert answers(path / "jazz")[0] == ["b.flac", "jazz.00000.wav"]
  assert answers(path / "jazz" / "b.flac")[1] == wanted[:1]
  status, out, err = call(path / "gone", music / "jazz", unpacked)
  assert (status, len(out.splitlines())) == (1, 2)
  assert f"skipped: {path} holds no folder or file gone; " in err


def test_nothing_to_predict_is_an_error(trained, tmp_path):
  with pytest.raises(errors.InputError, match="no files or folders given"):
    predict.find([], "audio", DATA)
  (source,), _ = predict.find([str(tmp_path)], "audio", DATA)
  with (
    pytest.raises(errors.InputError, match="holds no audio file"),
    predict.opened(source),
  ):
    pass


# Whole clips: the examples are those that the builder writes.


def run_of(kind, name, columns_per_frame=None):
  """What run.json says of a model's inputs."""
  return {
    "kind": kind,
    "feature_spec": features.get(name).to_dict(),
    "columns_per_frame": columns_per_frame,
    "clip_seconds": 30.0,
  }


@pytest.mark.parametrize("name", ["logmel_1024", "fusion", "image_180"])
def test_a_files_examples_are_those_that_are_prepared(tmp_path, name):
  samples = np.random.default_rng(0).uniform(-0.4, 0.4, 4 * 22_050)
  file = write(tmp_path / "a.wav", mono_waveform.to_int16(samples))
  opened = tfds_gtzan.open_corpus(None, 1)
  track = dataclasses.replace(
    opened.tracks[0], read=lambda: Audio(samples.astype(np.float32))
  )
  wanted = track_examples.read(features.get(name), opened, track)["features"]
  found = predict.examples(file, run_of("audio", name))
  np.testing.assert_allclose(found, wanted, atol=2e-4)


def held(work) -> float:
  """The most memory that numpy holds meanwhile, MB."""
  tracemalloc.start()
  try:
    work()
    return tracemalloc.get_traced_memory()[1] / 1e6
  finally:
    tracemalloc.stop()


def hour(seconds=3600):
  """The blocks of an hour's waveform, 318 MB of samples."""
  noise = np.random.default_rng(0).uniform(-0.4, 0.4, 22_050).astype(np.float32)
  for _ in range(seconds):
    yield noise.copy()


@pytest.mark.slow
@pytest.mark.parametrize(
  ("kind", "name", "rate"),
  [
    ("audio", "logmel_1024", None),
    ("table", "table57", None),
    ("logmel", "logmel_1024", 0.3),
  ],
)
def test_an_hour_is_examined_in_little_memory(monkeypatch, kind, name, rate):
  def few(samples, *_):
    shape = samples.shape[:-1] if samples.ndim > 1 else (1,)
    return np.zeros((*shape, 3), np.float32)

  monkeypatch.setattr(features, "extract", few)
  monkeypatch.setattr(whole_clip, "from_audio", few)
  monkeypatch.setattr(
    inputs.logmel_archive, "from_audio", lambda samples, _: (few(samples), 1)
  )
  monkeypatch.setattr(inputs, "from_logmel", lambda db, *_: db)
  run, count = run_of(kind, name, rate), []

  def work():
    for x in inputs.stream(hour, run):
      count.append(len(x))

  assert held(work) < {"logmel": 130}.get(kind, 30)
  assert sum(count) == {"audio": 1202, "table": 120, "logmel": 12}[kind]


@pytest.mark.slow
@pytest.mark.parametrize(
  "name", ["logmel_1024", "patches", "fusion", "table57"]
)
@pytest.mark.parametrize("seconds", [2, 30, 44, 46, 100])
def test_blocks_make_the_examples_of_the_whole(monkeypatch, name, seconds):
  """As they were made of all samples at once."""
  monkeypatch.setattr(whole_clip, "from_audio", lambda x, _: x[None, :1000])
  sound = np.concatenate(list(hour(seconds)))
  sound = np.random.default_rng(1).permutation(sound)
  run, spec = run_of("audio", name), features.get(name)

  def blocks():
    return iter(np.array_split(sound, 77))

  found = np.concatenate(list(inputs.stream(blocks, run)))
  rounded = mono_waveform.to_float(mono_waveform.to_int16(sound))
  if spec.whole_clip:
    parts = np.array_split(rounded, max(1, round(seconds / 30)))
    wanted = np.stack([part[:1000] for part in parts])
  else:
    cut = mono_waveform.segments(rounded, spec.segment_samples, None)
    wanted = inputs._computed(features.extract, cut, spec)
  np.testing.assert_array_equal(found, wanted)


@pytest.mark.slow
def test_preparing_holds_what_examples_are_made_of():
  track = dataclasses.replace(
    tfds_gtzan.open_corpus(None, 1).tracks[0], blocks=hour, read=None
  )
  spec, contents = features.get("logmel_1024"), []
  assert held(lambda: contents.append(track_examples.content(spec, track))) < 20
  assert contents[0].samples.shape == (660_000,)
  facts = contents[0].facts
  assert facts["seconds"] == 3600
  assert facts["level"] == pytest.approx(-12.7, abs=0.1)
  (second,) = hour(1)
  again = Audio(np.tile(second, 100))
  some = dataclasses.replace(track, blocks=lambda: hour(100))
  assert track_examples.content(spec, some).facts == again.facts
  with pytest.raises(
    errors.InputError, match=r": 60.0 minutes, one example of"
  ):
    track_examples.content(features.get("fusion"), track)


def test_what_the_archive_would_show_is_drawn(gtzan_data):
  """A clip's audio, by way of its columns, gives the archive's picture."""
  opened = tfds_gtzan.open_corpus(str(gtzan_data / "gtzan_logmel.npz"))
  run = run_of("logmel", "image_180", opened.columns_per_frame)
  for name in ("blues.00000", "metal.00000"):  # the full 30 s
    track = next(track for track in opened.tracks if track.id == name)
    wanted = track_examples.read(features.get("image_180"), opened, track)
    folder = gtzan_data / "gtzan" / "genres" / name.split(".")[0]
    found = predict.examples(folder / f"{name}.wav", run)
    assert np.abs(found - wanted["features"]).mean() < 0.01


@pytest.mark.slow
def test_a_model_of_pictures_takes_pictures(
  tmp_path, make_config, undrawn, track, call, capsys
):
  """And names each of a picture and a sound that it cannot take."""
  root = corpora.write_pictures(tmp_path / "images", {"blues": 9, "rock": 9})
  config = make_config("fcn", **{"train.max_steps": 2, "train.batch_size": 8})
  config.data.update(path=str(root), features="image_180")
  config.model = ml_collections.ConfigDict({"name": "fcn", "widths": (4,)})
  (tmp_path / "run").mkdir()
  path = fit(config, tmp_path / "run")
  stored = predictions.load(path / "predictions" / "test.npz").by_track()
  name = stored.track[0]
  file = root / name.split(".")[0] / f"{name.replace('.', '')}.png"
  found = predict.load(path)(file)
  assert found == pytest.approx(answer_of(stored), abs=CLOSE)
  sound = write(tmp_path / "song.wav", track[0])
  (tmp_path / "text.png").write_text("no picture")
  capsys.readouterr()  # what training said
  status, out, err = call(file, sound, tmp_path / "text.png", path=path)
  assert status == 1
  assert out.startswith(f"{file}: ")
  assert len(out.splitlines()) == 1
  first, second = err.splitlines()
  assert "song.wav: the model accepts picture files (.png, .jpg" in first
  assert "text.png: not decodable as PNG" in second
  assert named(root, "picture") == sorted(map(str, root.rglob("*.png")))


def test_a_model_of_sound_takes_no_pictures(trained, tmp_path):
  file = corpora.write_pictures(tmp_path, {"pop": 1}) / "pop" / "pop00000.png"
  with pytest.raises(
    errors.InputError, match=r"the model accepts audio files .*, not picture fi"
  ):
    predict.load(trained)(file)
  sound = write(tmp_path / "pop" / "a.wav", np.zeros(99))
  assert named(tmp_path, "audio") == [str(sound)]
