"""Baselines without a network: scikit-learn's numbers, kept as plain arrays."""

import contextlib
import json
import pickle
import shutil
import types

import ml_collections
import numpy as np
import pytest

from gtzan_jax import atomic
from gtzan_jax.cli import tasks
from gtzan_jax.data.open_dataset import open_dataset
from gtzan_jax.errors import InputError
from gtzan_jax.models import scikit_learn
from gtzan_jax.scores import metrics, predictions
from gtzan_jax.training import evaluate, fit_scikit_learn, sharding, workdir


def clouds(genres, tracks=6, segments=4, columns=5, seed=0):
  """Rows [n, columns] around a centre for each genre; labels, track names."""
  rng = np.random.default_rng(seed)
  label = np.repeat(np.arange(genres), tracks * segments)
  centres = rng.normal(0, 20, (genres, columns))
  x = 50 + centres[label] + rng.normal(0, 15, (len(label), columns))
  track = np.repeat([f"t{i}" for i in range(genres * tracks)], segments)
  return x, label, track


def test_statistics_by_hand():
  x = np.float32([[[1, 0], [3, 0], [8, 6]]])  # frames of two bins
  wanted = [
    *(4.0, 2.0),  # means
    *(np.sqrt(26 / 3), np.sqrt(8.0)),  # deviations
    *(1.5, 3.0),  # of (2, 5) and of (0, 6)
  ]
  rows = fit_scikit_learn.statistics(x)
  assert rows.dtype == np.float64
  np.testing.assert_allclose(rows, [wanted])
  np.testing.assert_array_equal(
    fit_scikit_learn.statistics(x[0]), x[0]
  )  # a table's


def test_majority_knows_the_shares_alone():
  arrays = scikit_learn.create("majority").fit(
    np.zeros((4, 2)), np.array([1, 0, 1, 2]), None, 0
  )
  found = scikit_learn.Majority.probabilities(arrays, np.ones((2, 2)))
  np.testing.assert_array_equal(found, [[0.25, 0.5, 0.25]] * 2)


@pytest.mark.parametrize("genres", [2, 4])
def test_numbers_are_scikit_learns(genres):
  from sklearn import linear_model, pipeline, preprocessing, svm

  x, label, track = clouds(genres)
  new = clouds(genres, seed=1)[0]

  def fit(estimator):
    scaler = preprocessing.StandardScaler()
    return pipeline.make_pipeline(scaler, estimator).fit(x, label)

  arrays = scikit_learn.create("logreg", C=0.7).fit(x, label, track, 0)
  found = scikit_learn.LogisticRegression.probabilities(arrays, new)
  theirs = fit(linear_model.LogisticRegression(C=0.7, max_iter=10_000))
  np.testing.assert_allclose(found, theirs.predict_proba(new), atol=1e-9)
  assert found.std() > 0.1  # or anything would be close

  arrays = scikit_learn.create("svm", C=2.0, gamma=0.8).fit(x, label, track, 0)
  found = scikit_learn.SVM.scores(arrays, new)
  theirs = fit(svm.SVC(C=2.0, gamma=0.8 / x.shape[1]))
  if genres == 2:  # theirs is one margin: above 0 the second genre
    winner = (theirs.decision_function(new) > 0).astype(int)
    np.testing.assert_array_equal(found.argmax(1), winner)
  else:
    np.testing.assert_allclose(found, theirs.decision_function(new), atol=1e-9)
  shares = scikit_learn.SVM.probabilities(arrays, new)
  np.testing.assert_array_equal(shares.argmax(1), theirs.predict(new))
  np.testing.assert_allclose(shares.sum(1), 1.0)


def test_svm_is_calibrated_on_tracks_it_did_not_hear():
  """Segments of a track are alike and say nothing of another's genre."""
  rng = np.random.default_rng(0)
  track = np.repeat(np.arange(80), 5)
  label = track % 4
  x = rng.normal(size=(80, 3))[track] + rng.normal(0, 1e-3, (400, 3))
  machine = scikit_learn.create("svm", C=100.0, gamma=10.0)
  arrays = machine.fit(x, label, track, 0)
  scores = scikit_learn.SVM.scores(arrays, x)
  np.testing.assert_array_equal(scores.argmax(1), label)  # knows them by heart
  assert scikit_learn.SVM.probabilities(arrays, x).max() < 0.5  # and doubts it
  # Were each segment a track of its own, it would not.
  arrays = machine.fit(x, label, np.arange(400), 0)
  assert scikit_learn.SVM.probabilities(arrays, x).max() > 0.9


@pytest.mark.parametrize("name", sorted(scikit_learn.CLASSIFIERS))
def test_a_genre_that_was_not_learnt_has_no_probability(name):
  x, label, track = clouds(3)
  kind = scikit_learn.CLASSIFIERS[name]
  arrays = kind().fit(x, label, track, 0) | {"classes": np.array([0, 2, 3])}
  found = fit_scikit_learn._model(kind, arrays, genres=5)(x)
  assert found.dtype == np.float32
  assert found.shape == (len(x), 5)
  assert not found[:, [1, 4]].any()
  np.testing.assert_allclose(found.sum(1), 1.0, atol=1e-6)


@contextlib.contextmanager
def refused(message):
  with pytest.raises(InputError, match=message) as caught:
    yield
  assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
  ("name", "options", "message"),
  [
    ("knn", {}, "unknown classifier 'knn'; .* logreg, majority, svm"),
    ("svm", {"c": 1.0}, "'svm' has no option 'c'; its options are C, gamma"),
    ("majority", {"C": 1.0}, "no option 'C'; its options are none"),
    ("logreg", {"C": 0}, "C=0 received, a number above 0"),
    ("logreg", {"C": "1"}, "C='1' received"),
    ("svm", {"gamma": True}, "gamma=True received"),
    ("svm", {"gamma": float("inf")}, "gamma=inf received"),
    ("svm", {"C": float("nan")}, "C=nan received"),
  ],
)
def test_a_wrong_option_is_one_clear_line(name, options, message):
  with refused(message):
    scikit_learn.create(name, **options)


JAZZ, POP = ("jazz.0", "jazz.1"), ("pop.0", "pop.1")


@pytest.mark.parametrize(
  ("name", "train", "shape", "message"),
  [
    ("majority", (), (130, 13), "leaves no train tracks"),
    (
      *("logreg", JAZZ, (130, 13)),
      "leaves 2 jazz train tracks: .* 2 genres or more",
    ),
    (
      *("svm", (*JAZZ, "pop.0"), (130, 13)),
      "2 jazz, 1 pop train tracks: .* 2 tracks",
    ),
    (
      *("svm", (*JAZZ, *POP), (180, 180, 3)),
      r"gives pictures \[180, 180, 3\]: .*mfcc",
    ),
    ("svm", (*JAZZ, *POP), (130, 13), None),
  ],
)
def test_too_few_tracks_and_pictures_are_refused(name, train, shape, message):
  config = ml_collections.ConfigDict(
    {"data": {"features": "image_180"}, "model": {"name": name}}
  )
  rows = [{"id": i, "genre": i.split(".")[0]} for i in (*JAZZ, *POP)]
  dataset = types.SimpleNamespace(  # as much as `check` looks at
    example_shape=shape,
    metadata={"rows": rows},
    parts={"train": [(track, s) for track in train for s in (0, 1)]},
    protocol="filtered",
  )
  with refused(message) if message else contextlib.nullcontext():
    fit_scikit_learn.check(config, dataset)


def test_genres_far_apart_are_not_certain():
  """Not of some hundred tracks, however plain they are."""
  label = np.repeat([0, 1, 2], 20)
  x = np.eye(3)[label] * 100 + np.random.default_rng(0).normal(size=(60, 3))
  model = scikit_learn.create("svm")
  arrays = model.fit(x, label, np.arange(60).astype(str), seed=0)
  found = model.probabilities(arrays, x)
  np.testing.assert_array_equal(found.argmax(1), label)
  assert 0.9 < found.max() < 0.998


# Runs.


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
  return tmp_path_factory.mktemp("runs")


@pytest.fixture
def make_run(make_config, runs):
  """Fits a classifier on the small synthetic corpus, once for each folder."""

  def make(name, folder="", **options):
    config = make_config()
    config.recipe, config.task = f"{name}_stats", "classical"
    config.model = ml_collections.ConfigDict({"name": name, **options})
    dataset, path = open_dataset(config), runs / (folder or name)
    if not path.exists():
      path.mkdir()
      workdir.begin(path, config, dataset)
      tasks.train(config, dataset, path, sharding.make_mesh())
    return path, dataset, config

  return make


@pytest.mark.slow
def test_a_run_from_fit_to_report(make_run, capsys, undrawn):
  path, dataset, config = make_run("svm", "reported")
  assert "epoch   1  train/loss" in capsys.readouterr().out
  assert sorted(file.name for file in path.iterdir()) == [
    "SHA256SUMS",
    "metrics.jsonl",
    "model.npz",
    "run.json",
  ]
  assert not fit_scikit_learn.is_reported(config, path)
  evaluate.evaluate(path, dataset, sharding.make_mesh())
  assert fit_scikit_learn.is_reported(config, path)
  text = (path / "report.json").read_text()
  (path / "report.json").write_text(text[:-9])  # what a full disk leaves
  assert not fit_scikit_learn.is_reported(config, path)
  found = json.loads(text)
  assert (found["best_epoch"], found["epochs_run"]) == (1, 1)
  with np.load(path / "model.npz", allow_pickle=False) as stored:
    sizes = {key: stored[key].size for key in stored}
  assert found["num_params"] == sum(
    sizes[key] for key in scikit_learn.SVM.arrays if key != "count"
  )
  (row,) = found["history"]
  assert (row["epoch"], row["step"]) == (1, 0)
  stored = predictions.load(path / "predictions" / "validation.npz")
  quick = metrics.quick(stored)
  assert {f"validation/{key}": x for key, x in quick.items()}.items() <= (
    row.items()
  )
  assert found["monitor"]["value"] == quick["track_accuracy"]
  train = found["splits"]["train"]["segment"]
  assert row["train/accuracy"] == train["accuracy"]
  # Twice chance, at least, of ten genres that a child could tell apart.
  assert found["splits"]["validation"]["track"]["accuracy"] > 0.2


@pytest.mark.parametrize("name", sorted(scikit_learn.CLASSIFIERS))
def test_the_workdir_is_enough_to_predict(make_run, name):
  path, dataset, _ = make_run(name)
  run = workdir.load(path)
  model, size = evaluate.load_model(path, run)
  with np.load(path / "model.npz") as arrays:
    assert size == sum(x.size for x in arrays.values() if x.dtype.kind == "f")
  assert size > 0
  x = np.random.default_rng(0).normal(size=(32, *run["example_shape"]))
  found = model(x.astype(np.float32))
  assert found.shape == (32, len(dataset.genres))
  np.testing.assert_allclose(found.sum(1), 1.0, atol=1e-6)


def test_a_flipped_bit_of_a_model_is_named(make_run, tmp_path):
  """The first of them stands where zip keeps no checksum: a file's date."""
  path = shutil.copytree(make_run("svm")[0], tmp_path / "run")
  model, run = path / "model.npz", workdir.load(path)
  whole = model.read_bytes()
  for place in (10, len(whole) // 2, len(whole) - 1):
    damaged = bytearray(whole)
    damaged[place] ^= 4
    model.write_bytes(damaged)
    with pytest.raises(InputError, match=r"damaged.*npz is not what was"):
      evaluate.load_model(path, run)
  model.write_bytes(whole)
  evaluate.load_model(path, run)
  (path / atomic.SUMS).unlink()
  with pytest.raises(InputError, match=r"damaged.*SHA256SUMS: No such"):
    evaluate.load_model(path, run)


@pytest.mark.parametrize("name", ["logreg", "svm"])
def test_fitted_twice_the_bytes_are_the_same(make_run, name):
  one, two, other = (
    (make_run(name, folder, **options)[0] / "model.npz").read_bytes()
    for folder, options in (
      (name, {}),
      (f"{name}-again", {}),
      (f"{name}-other", {"C": 0.05}),
    )
  )
  assert one == two != other


def load_model(path, name="svm", content=None):
  """Loads a model.npz of these bytes or arrays, with right checksums."""
  if isinstance(content, bytes):
    (path / "model.npz").write_bytes(content)
  elif content:
    np.savez(path / "model.npz", **content)
  if content is not None:
    atomic.write_checksums(path, [path / "model.npz"])
  run = {
    "config": {"task": "classical", "model": {"name": name}},
    "genres": ["blues", "jazz"],
    "example_shape": [130, 13],
  }
  return evaluate.load_model(path, run)


@pytest.mark.parametrize(
  ("content", "message"),
  [
    (None, r"no .*model.npz: train first"),
    (b"", "model.npz cannot be read"),
    (b"PK\x03\x04half a model", "model.npz cannot be read"),
    (pickle.dumps({"mean": 1}), "model.npz cannot be read"),
    (b"\x93NUMPY\x01\x00cut", "model.npz cannot be read"),
  ],
)
def test_a_model_that_cannot_be_read_is_one_clear_line(
  tmp_path, content, message
):
  with refused(message):
    load_model(tmp_path, content=content)


@pytest.mark.parametrize("name", sorted(scikit_learn.CLASSIFIERS))
def test_a_model_of_another_classifier_is_one_clear_line(tmp_path, name):
  classes = {"classes": np.arange(2)}
  with refused("lacks array .* train again"):
    load_model(tmp_path, name, {**classes, "other": np.ones(3)})
  arrays = dict.fromkeys(scikit_learn.CLASSIFIERS[name].arrays, 0)
  with refused(r"does not fit \[130, 13\] examples"):
    load_model(tmp_path, name, {**classes, **arrays})
