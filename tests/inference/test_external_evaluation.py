"""A trained run on other music: what is compared, left out and reported."""

import dataclasses
import json
import os
import re
import shutil
import types
import unicodedata

import corpora
import ml_collections
import numpy as np
import pytest
from stored import run_json

import tfds_gtzan
from gtzan_jax import atomic, features
from gtzan_jax.audio import mono_waveform
from gtzan_jax.cli import tasks
from gtzan_jax.cli.main import main
from gtzan_jax.data.open_dataset import open_dataset
from gtzan_jax.errors import InputError, StopError
from gtzan_jax.features import logmel_archive
from gtzan_jax.inference import external_evaluation, inputs
from gtzan_jax.reports import report
from gtzan_jax.scores import alignment, predictions
from gtzan_jax.training import (
  evaluate,
  init_from,
  sharding,
  shared_tracks,
  workdir,
)
from tfds_gtzan import track_examples
from tfds_gtzan.corpora.types import Audio, Corpus, Track
from tfds_gtzan.facts import artist_clusters, track_lists

RATE = 22_050


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
  return tmp_path_factory.mktemp("external")


@pytest.fixture
def dataset(make_config):
  """The 40 synthetic tracks and the config of a quick run on them."""
  config = make_config("logreg_stats")
  config.model = ml_collections.ConfigDict({"name": "logreg", "C": 0.1})
  return open_dataset(config), config


@pytest.fixture
def trained(folder, dataset):
  """A run on them, shared by the module (test_predict.py has a net)."""
  path, (data, config) = folder / "run", dataset
  if not path.exists():
    path.mkdir()
    workdir.begin(path, config, data)
    tasks.train(config, data, path, sharding.make_mesh())
  return path


def track(name, genre, seconds=3.0, read=None):
  """A track of noise, or of what `read` gives."""
  rng = np.random.default_rng(list(name.encode()))
  samples = rng.uniform(-0.5, 0.5, round(seconds * RATE)).astype(np.float32)
  return Track(name, genre, "", "unlisted", read or (lambda: Audio(samples)))


def collection(*tracks, **changed):
  """An opened corpus of these tracks."""
  genres = tuple(dict.fromkeys(track.genre for track in tracks))
  opened = Corpus("audio", "audio", genres, tracks, fingerprint="ab" * 32)
  return dataclasses.replace(opened, **changed)


OTHER = (
  track("Hip-Hop/one", "Hip-Hop", 7.0),
  track("Hip-Hop/two", "Hip-Hop", 1.0),
  track("ROCK/three", "ROCK", 102.0),  # more than one batch holds
  track("ska/four", "ska"),
  track("ska/five", "ska"),
)


@pytest.fixture
def tested(folder, trained):
  """The report of the classifier on OTHER."""
  path = folder / "tested"
  if not (path / "report.json").exists():
    external_evaluation.evaluate(trained, collection(*OTHER), path, "/music")
  return path


def report_of(path):
  return json.loads((path / "report.json").read_text())


# What comes out.


@pytest.mark.slow
def test_of_its_own_corpus_a_run_is_tested_on_the_test_part(
  trained, dataset, undrawn, tmp_path
):
  """With the numbers that evaluate has; all else would be a leak."""
  data, run = dataset[0], workdir.load(trained)
  mesh = sharding.make_mesh()
  stored = evaluate.predict_parts(trained, run, data, mesh)[0]["test"]
  opened = tfds_gtzan.open_corpus(None, 4)
  names = artist_clusters.clusters(opened.tracks)
  external_evaluation.evaluate(trained, opened, tmp_path / "out", artists=names)
  found = report_of(tmp_path / "out")
  learnt = {t for part in ("train", "validation") for t, _ in data.parts[part]}
  assert found["external"]["learnt"] == len(learnt) > 0
  assert list(found["splits"]) == ["test"]
  assert found["splits"]["test"]["sha256"] == data.sha256["test"]
  assert found["config"] == run["config"]
  assert len(found["history"]) == found["epochs_run"] == 1
  table = predictions.load(tmp_path / "out" / "predictions" / "test.npz")
  assert alignment.same_rows([table, stored])
  places = alignment.places(stored, table)
  assert table.label[places].tolist() == stored.label.tolist()
  np.testing.assert_allclose(
    table.probabilities[places],
    stored.probabilities,
    atol=1e-5,  # batches of another size round otherwise
  )
  # Whose they are is known of both.
  named = dict(zip(table.track, table.artist, strict=True))
  assert named == dict(zip(stored.track, stored.artist, strict=True))
  assert named == {track: names[track] for track in named}
  assert all(named.values())


@pytest.mark.slow
def test_genres_of_other_music_are_compared_by_name(trained, tested):
  known = list(tfds_gtzan.GENRES)
  table = predictions.load(tested / "predictions" / "test.npz")
  assert list(table.genres) == known
  assert alignment.rows(table) == [
    *[("Hip-Hop/one", segment) for segment in range(2)],
    ("Hip-Hop/two", 0),
    *[("ROCK/three", segment) for segment in range(34)],
  ]
  assert (
    table.label.tolist()
    == [known.index("hiphop")] * 3 + [known.index("rock")] * 34
  )
  found = report_of(tested)
  assert found["genres"] == known
  assert (found["protocol"], found["corpus"]) == ("external", "audio")
  assert found["data_fingerprint"] == "ab" * 32
  assert (found["tracks"], found["skipped"], found["leak"]) == (3, [], None)
  assert found["external"] == {
    "workdir": trained.name,
    "trained_on": workdir.load(trained)["data_fingerprint"],
    "kind": "audio",
    "path": "/music",
    "tracks": 5,
    "genres": {"Hip-Hop": "hiphop", "ROCK": "rock"},
    "unmatched": {"ska": 2},
    "absent": [genre for genre in known if genre not in ("hiphop", "rock")],
    "learnt": 0,
    "namesakes": 0,
  }
  page = (tested / "report.html").read_text()
  assert "not the same music under another name" in page
  first, second, third = shared_tracks.sentences(found["external"])
  assert first == "genres compared: Hip-Hop as hiphop, ROCK as rock"
  assert second.startswith("genres not in this corpus: blues, classical")
  assert third.startswith("left out: 2 tracks of ska")


def test_batches_are_of_one_size(trained, tmp_path, monkeypatch):
  """So that nothing is compiled for a track or for the last ones."""
  load, shapes = evaluate.load_model, []

  def watched(path, run):
    model, size = load(path, run)
    return lambda x: (shapes.append(x.shape), model(x))[1], size

  monkeypatch.setattr(evaluate, "load_model", watched)
  monkeypatch.setattr(report, "write", lambda *args: None)
  external_evaluation.evaluate(trained, collection(*OTHER), tmp_path)
  assert shapes == [(inputs.BATCH, 130, 13)] * 2  # of 37 segments


# Genres.


@pytest.mark.parametrize(
  ("known", "others", "wanted"),
  [
    ("hiphop", ["Hip-Hop"], ["hiphop"]),
    ("hiphop", ["hip hop"], ["hiphop"]),
    ("Drum & Bass", ["drum_bass"], ["Drum & Bass"]),
    ("hiphop", ["rap"], []),
    ("rock", ["Post-Rock"], []),
    ("pop", ["pops"], []),
    ("música", [unicodedata.normalize("NFD", "Música")], ["música"]),
    ("música", ["musica"], []),
    ("???", ["!!!"], []),
    # several may be one of the model's, and exact names win
    ("hiphop", ["Hip-Hop", "hiphop"], ["hiphop", "hiphop"]),
    ("ab", ["ab", "a-b"], ["ab", "a-b"]),
  ],
)
def test_a_name_is_the_same_but_for_case_and_marks(known, others, wanted):
  names = [known, "a-b"] if known == "ab" else [known, "jazz"]
  found = shared_tracks.match(names, others)
  assert list(found.items()) == list(zip(others, wanted, strict=False))


def run_of(kind="audio", name="mfcc_slices", **changed):
  """What run.json says of a model that has learnt from two tracks."""
  return {
    "kind": kind,
    "genres": ["blues", "rock"],
    "feature_spec": features.get(name).to_dict(),
    "columns_per_frame": 0.3 if kind == "logmel" else None,
    "clip_seconds": 30.0,
    "example_shape": [130, 13],
    "data_path": "/data/gtzan",
    "data_fingerprint": "ef" * 32,
    "config": {
      **{"data": {"augment_with": None}, "train": {"init_from": None}},
      "gan": {"judge": None},
    },
    "tracks": {"train": ["blues.00000"], "validation": ["rock.00000"]},
  } | changed


@pytest.mark.parametrize(
  ("tracks", "message"),
  [
    (("ska/a", "dub/a"), "ska, dub; the model has blues, rock$"),
    (("blues.00000", "rock.00000"), r"all 2 tracks .* as blues\.00000"),
  ],
)
def test_without_new_music_of_the_models_genres_there_is_no_test(
  tracks, message
):
  music = collection(
    *(track(name, re.split(r"\W", name)[0]) for name in tracks)
  )
  with pytest.raises(InputError, match=message) as caught:
    shared_tracks.select(run_of(), music)
  assert "\n" not in str(caught.value)


# What the model has learnt from.

GTZAN, SYNTHETIC, OWN = FORMS = ("{}.0000{}", "{}.s0000{}", "{}/a.0000{}")
GIVEN = {"train": {"init_from": "runs/donor"}}


def music_of(form, genres=("blues", "rock")):
  """Two tracks of each genre."""
  return collection(
    *(track(form.format(g, n), g) for g in genres for n in (0, 1))
  )


def learnt(form):
  """run.json's list of a run that knows the first track of each genre."""
  return {
    "train": [form.format("blues", 0)],
    "validation": [form.format("rock", 0)],
  }


@pytest.mark.parametrize(
  ("form", "changed", "same", "left_out"),
  [
    # an id of these is one track, whatever it lies in
    (GTZAN, {}, {}, 2),
    (SYNTHETIC, {"data_path": None}, {}, 2),
    # another collection's track of that name is other music
    (OWN, {}, {}, 0),
    (OWN, {}, {"fingerprint": "ab" * 32, "place": "/data/other"}, 0),
    (OWN, {"data_path": None}, {"place": None}, 0),
    # unless it is the same collection, elsewhere or grown
    (OWN, {}, {"fingerprint": "ef" * 32}, 2),
    (OWN, {}, {"place": "/data/other/../gtzan/"}, 2),
    # weights that were given may know this collection too
    (OWN, {"config": GIVEN}, {}, 2),
  ],
)
def test_what_the_model_has_learnt_from_is_left_out(
  form, changed, same, left_out
):
  run, music = run_of(tracks=learnt(form), **changed), music_of(form)
  tracks, found = shared_tracks.select(run, music, **same)
  assert tracks == list(music.tracks[1::2] if left_out else music.tracks)
  assert found["learnt"] == left_out
  assert found["namesakes"] == 2 - left_out
  text = " ".join(shared_tracks.sentences(found))
  assert ("2 tracks that the model was trained on" in text) == bool(left_out)
  assert ("warning: 2 tracks share ids" in text) != bool(left_out)


@pytest.mark.parametrize("genre", ["hip-hop", "HipHop"])
def test_names_of_tracks_are_compared_as_those_of_genres_are(genre):
  """But for case and marks."""
  parts = {"train": ["hiphop.00000"], "validation": ["rock.00000"]}
  run, music = run_of(tracks=parts, genres=["hiphop"]), music_of(GTZAN, [genre])
  tracks, found = shared_tracks.select(run, music)
  assert [t.id for t in tracks] == [f"{genre}.00001"]
  assert found["learnt"] == 1


@pytest.mark.parametrize("form", FORMS)
def test_one_names_tracks_are_no_others(form):
  ids = {track.id for track in music_of(form).tracks}
  for other in FORMS:
    known = shared_tracks.known(run_of(tracks=learnt(other)), ("train",))
    assert bool(ids & known) == (form == other != OWN)


@pytest.mark.parametrize(
  ("form", "fingerprint", "place", "refused"),
  [
    (GTZAN, "ab" * 32, "/data/other", True),
    (OWN, "ab" * 32, "/data/other", False),
    (OWN, "ef" * 32, "/data/other", True),
    (OWN, "ab" * 32, "/data/gtzan", True),
  ],
)
def test_weights_to_begin_with_know_what_their_run_has_learnt_from(
  tmp_path, capsys, form, fingerprint, place, refused
):
  tracks = {
    "train": [form.format("rock", n) for n in (0, 1)],
    "validation": [form.format("blues", 0)],
  }
  run = run_json() | {
    **{"tracks": tracks, "data_path": "/data/gtzan"},
    "data_fingerprint": "ef" * 32,
  }
  atomic.write_json(tmp_path / workdir.RUN_FILE, run)
  metadata = {"fingerprint": fingerprint, "feature_spec": run["feature_spec"]}
  held = {"train": ("rock", 0), "validation": ("rock", 1), "test": ("blues", 0)}
  data = types.SimpleNamespace(
    genres=tuple(run["genres"]),
    metadata=metadata,
    example_shape=tuple(run["example_shape"]),
    leak=None,
    parts={part: [(form.format(*one), 0)] for part, one in held.items()},
  )
  if refused:
    with pytest.raises(InputError, match="trained on 2 of this run"):
      init_from.check(str(tmp_path), data, place)
    assert not capsys.readouterr().out
  else:
    init_from.check(str(tmp_path), data, place)
    assert capsys.readouterr().out.startswith(
      "warning: 1 validation or test tracks share ids with training tracks of"
      f" config.train.init_from={tmp_path} in another corpus (such as"
      " rock/a.00001); "
    )


def test_a_test_says_which_collection_it_is_of(trained, tmp_path):
  """What it is and where it lies reaches the choice of tracks."""
  run = workdir.load(trained)
  run["tracks"] = {"train": ["rock/0"], "validation": []}
  run |= {"data_path": "/data/own"}
  path = shutil.copytree(trained, tmp_path / "run")
  atomic.write_json(path / workdir.RUN_FILE, run)
  music = collection(track("rock/0", "rock"))
  for given in (
    {"prepared": run["data_fingerprint"]},
    {"place": "/data/own"},
  ):
    with pytest.raises(InputError, match=r"trained on .* all 1 tracks"):
      external_evaluation.evaluate(path, music, tmp_path / "out", **given)


@pytest.mark.slow
@pytest.mark.parametrize("given", ["music/Jazz", "music.zip", "music.zip/Jazz"])
def test_music_of_one_genre_gives_its_recall(
  trained, undrawn, tmp_path, monkeypatch, capsys, given
):
  music = corpora.write_folder(tmp_path / "music", {"Jazz": [3.0] * 4})
  for file in list((music / "Jazz").iterdir()):
    file.rename(file.with_name(f"my {file.name}"))
  corpora.pack(music, tmp_path / "music.zip")
  monkeypatch.chdir(tmp_path / "music" / "Jazz")
  path = os.path.relpath(tmp_path / given)
  words = (
    *("launch.py", "evaluate", f"--workdir={trained}"),
    *(f"--out={tmp_path / 'o'}", f"--config.data.path={path}"),
    f"--config.data.dir={tmp_path / 'd'}",
  )
  status = main([*words])
  out = capsys.readouterr().out
  assert status == 0, out
  assert "only genre jazz is present: accuracy is its recall" in out
  measured = report_of(tmp_path / "o")["splits"]["test"]["track"]
  table = predictions.load(tmp_path / "o" / "predictions" / "test.npz")
  jazz = table.genres.index("jazz")
  answers = table.by_track().probabilities.argmax(1)
  assert measured["n"] == len(answers) == 4
  assert measured["per_genre"]["jazz"]["recall"] == np.mean(answers == jazz)
  assert measured["accuracy"] == np.mean(answers == jazz)


def test_real_cuts_of_a_filtered_run(gtzan_data):
  """230 of them are named by the train list, 93 by the validation list."""
  lists = track_lists.splits("filtered")
  parts = {part: list(lists[part]) for part in ("train", "validation")}
  run = run_of(genres=list(tfds_gtzan.GENRES), tracks=parts)
  cuts = tfds_gtzan.open_corpus(str(gtzan_data / "gtzan_cuts"))
  tracks, found = shared_tracks.select(run, cuts)
  assert (len(tracks), found["learnt"]) == (48, 230 + 93)


# Tracks that cannot be read.


def broken(name="rock.00099", error=InputError):
  def read():
    raise error(f"{name}.wav: empty file (0 bytes)")

  return track(name, "rock", read=read)


def many(number, genre="blues"):
  one = track(f"{genre}/x", genre).read
  return [track(f"{genre}/{i}", genre, read=one) for i in range(number)]


@pytest.mark.slow
@pytest.mark.parametrize("count", [3, 18])
def test_an_unreadable_track_is_skipped_by_name(
  trained, undrawn, tmp_path, capsys, count
):
  """One in few, or one of 20, of which one is of an unknown genre."""
  music = collection(broken(), *many(count), *many(1, "ska"))
  external_evaluation.evaluate(trained, music, tmp_path)
  found = report_of(tmp_path)
  reason = "rock.00099.wav: empty file (0 bytes)"
  assert found["skipped"] == [{"track": "rock.00099", "reason": reason}]
  assert found["tracks"] == found["splits"]["test"]["track"]["n"] == count
  table = predictions.load(tmp_path / "predictions" / "test.npz")
  assert table.track.tolist() == [f"blues/{i}" for i in range(count)]
  assert f"skipped: rock.00099: {reason}" in capsys.readouterr().out


@pytest.mark.parametrize(
  ("tracks", "error", "message"),
  [
    (
      [*many(18), broken(), broken("b")],
      InputError,
      "2 of 20 tracks .* more than 5%",
    ),
    # where few are of the model's genres, all may be among the 5 %
    ([broken(), *many(30, "ska")], InputError, "none of the 1 tracks .* empty"),
    ([*many(30), broken(error=StopError)], StopError, "empty file"),
  ],
  ids=["many", "all", "stop"],
)
def test_what_cannot_be_skipped_ends_the_test(
  trained, tmp_path, tracks, error, message
):
  with pytest.raises(error, match=message):
    external_evaluation.evaluate(trained, collection(*tracks), tmp_path / "out")
  assert [file.name for file in (tmp_path / "out").iterdir()] == [".lock"]


# What a model can be asked about.


@pytest.mark.parametrize(
  ("trained_on", "name", "wanted"),
  [
    ("audio", "logmel_1024", {"audio"}),
    ("audio", "image_180", {"audio"}),
    ("logmel", "logmel_1024", {"logmel", "audio"}),
    ("picture", "image_180", {"picture"}),
    ("table", "table57", {"table", "audio"}),
    ("audio", "table57", {"table", "audio"}),
  ],
)
def test_kinds_that_can_serve(trained_on, name, wanted):
  assert set(inputs.kinds(run_of(trained_on, name))) == wanted


def test_a_kind_that_cannot_serve_is_refused(trained, tmp_path):
  music = collection(*OTHER, name="archive", kind="logmel")
  with pytest.raises(
    InputError,
    match=f"{trained} was trained on audio .* archive corpus of kind logmel:"
    " give one of kind audio$",
  ):
    external_evaluation.evaluate(trained, music, tmp_path / "out")
  assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
  ("form", "name"),
  [
    ("audio", "mfcc_slices"),
    ("audio", "fusion"),
    ("archive", "logmel_1024"),
    ("archive", "image_180"),
    ("images", "image_180"),
    ("table", "table57"),
  ],
)
def test_examples_are_those_that_are_prepared(tmp_path, form, name):
  """Whatever a track holds goes through the code of the builder."""
  path = tmp_path / form
  if form == "audio":
    corpora.write_folder(path, {"blues": [7.0], "rock": [4.0]})
  elif form == "archive":
    path = corpora.write_archive(path.with_suffix(".npz"))
  elif form == "images":
    corpora.write_pictures(path, {"blues": 1, "rock": 1})
  else:
    path = path.with_suffix(".csv")
    names = [
      f"{genre}.00000.{i}.wav" for i in "01" for genre in ("pop", "jazz")
    ]
    corpora.write_table(path, corpora.table_rows(names))
  opened = tfds_gtzan.open_corpus(str(path))
  run = run_of(opened.kind, name, columns_per_frame=opened.columns_per_frame)
  first = opened.tracks[0]
  wanted = track_examples.read(features.get(name), opened, first)["features"]
  found = inputs.examples(first.read(), opened.kind, run)
  assert found.shape == wanted.shape
  np.testing.assert_allclose(found, wanted, atol=2e-4)


@pytest.mark.parametrize("name", ["logmel_1024", "image_180"])
def test_a_model_of_an_archive_hears_what_that_would_hold(name):
  content, run = OTHER[0].read(), run_of("logmel", name)
  sound = mono_waveform.to_float(mono_waveform.to_int16(content.samples))
  db, n_frames = logmel_archive.from_audio(sound, 0.3)
  stored = types.SimpleNamespace(db=db, n_frames=n_frames)
  np.testing.assert_array_equal(
    inputs.examples(content, "audio", run),
    inputs.examples(stored, "logmel", run),
  )


def test_a_long_log_mel_is_clips_of_about_30_s():
  frames = 90 * RATE // logmel_archive.HOP
  db = np.random.default_rng(0).uniform(-80, 0, (frames // 3, 128))
  run = run_of("logmel", "image_180")
  stored = types.SimpleNamespace(db=db.astype(np.float32), n_frames=frames)
  assert inputs.examples(stored, "logmel", run).shape == (3, 180, 180, 3)


# Where the report goes.


@pytest.mark.slow
@pytest.mark.parametrize("killed", [False, True])
def test_the_same_test_again_gives_the_same_bytes(
  trained, tested, tmp_path, killed
):
  """Over what stands there, whole or half."""
  out = shutil.copytree(tested, tmp_path / "out")
  (out / "predictions" / "test.npz").unlink()
  if killed:
    (out / "report.json").unlink()
  page = external_evaluation.evaluate(
    trained, collection(*OTHER), out, "/music"
  )
  assert page == out / "report.html"
  for name in ("report.json", "report.html", "predictions/test.npz"):
    assert (out / name).read_bytes() == (tested / name).read_bytes(), name


def test_the_report_of_another_test_is_never_written_over(
  trained, undrawn, tmp_path
):
  music = collection(*many(1))
  external_evaluation.evaluate(trained, music, tmp_path)
  before = (tmp_path / "report.json").read_bytes()
  other = dataclasses.replace(music, fingerprint="cd" * 32)
  with pytest.raises(InputError, match=f"--out={tmp_path} contains the report"):
    external_evaluation.evaluate(trained, other, tmp_path)
  assert (tmp_path / "report.json").read_bytes() == before


def test_a_run_that_was_never_trained(trained, tmp_path):
  (tmp_path / "run").mkdir()
  shutil.copy(trained / "run.json", tmp_path / "run")
  with pytest.raises(InputError, match="train first"):
    external_evaluation.evaluate(
      tmp_path / "run", collection(*OTHER), tmp_path / "out"
    )
  assert not (tmp_path / "out").exists()
