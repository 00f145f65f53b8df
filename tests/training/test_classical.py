"""Baselines without a network: scikit-learn's numbers, kept as plain arrays."""

import json
import pickle
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
from gtzan_jax.training import classical, evaluate, sharding, workdir

FITTED = ("logreg", "svm")


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
  found = classical.statistics(x)
  assert found.dtype == np.float64
  np.testing.assert_allclose(found, [wanted])


def test_rows_of_a_table_stay():
  rows = np.random.default_rng(0).normal(size=(3, 57)).astype(np.float32)
  np.testing.assert_array_equal(classical.statistics(rows), rows)


def test_majority_knows_the_shares_alone():
  arrays = scikit_learn.create("majority").fit(
    np.zeros((4, 2)), np.array([1, 0, 1, 2]), None, 0
  )
  found = scikit_learn.Majority.probabilities(arrays, np.ones((2, 2)))
  np.testing.assert_array_equal(found, [[0.25, 0.5, 0.25]] * 2)


@pytest.mark.parametrize("genres", [2, 4])
def test_logistic_regression_is_scikit_learns(genres):
  from sklearn import linear_model, pipeline, preprocessing

  x, label, track = clouds(genres)
  arrays = scikit_learn.create("logreg", C=0.7).fit(x, label, track, 0)
  theirs = pipeline.make_pipeline(
    preprocessing.StandardScaler(),
    linear_model.LogisticRegression(C=0.7, max_iter=10_000),
  ).fit(x, label)
  new = clouds(genres, seed=1)[0]
  found = scikit_learn.LogisticRegression.probabilities(arrays, new)
  np.testing.assert_allclose(found, theirs.predict_proba(new), atol=1e-9)
  assert found.std() > 0.1  # or anything would be close


@pytest.mark.parametrize("genres", [2, 4])
def test_svm_scores_are_scikit_learns(genres):
  from sklearn import pipeline, preprocessing, svm

  x, label, track = clouds(genres)
  arrays = scikit_learn.create("svm", C=2.0, gamma=0.8).fit(x, label, track, 0)
  theirs = pipeline.make_pipeline(
    preprocessing.StandardScaler(), svm.SVC(C=2.0, gamma=0.8 / x.shape[1])
  ).fit(x, label)
  new = clouds(genres, seed=1)[0]
  found = scikit_learn.SVM.scores(arrays, new)
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
  found = classical._model(kind, arrays, genres=5)(x)
  assert found.dtype == np.float32
  assert found.shape == (len(x), 5)
  assert not found[:, [1, 4]].any()
  np.testing.assert_allclose(found.sum(1), 1.0, atol=1e-6)


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
  with pytest.raises(InputError, match=message) as caught:
    scikit_learn.create(name, **options)
  assert "\n" not in str(caught.value)


def cut(train, shape=(130, 13)):
  """As much of a Dataset as `check` looks at."""
  rows = [
    {"id": f"{g}.{i}", "genre": g} for g in ("jazz", "pop") for i in "012"
  ]
  return types.SimpleNamespace(
    example_shape=shape,
    metadata={"rows": rows},
    parts={"train": [(track, s) for track in train for s in (0, 1)]},
    protocol="filtered",
  )


def recipe(name):
  return ml_collections.ConfigDict(
    {"data": {"features": "image_180"}, "model": {"name": name}}
  )


@pytest.mark.parametrize(
  ("name", "train", "message"),
  [
    ("majority", (), "leaves no train tracks"),
    (
      "logreg",
      ("jazz.0", "jazz.1"),
      "leaves 2 jazz train tracks: .* 2 genres or more",
    ),
    (
      "svm",
      ("jazz.0", "jazz.1", "pop.0"),
      "2 jazz, 1 pop train tracks: .* 2 tracks",
    ),
  ],
)
def test_too_few_tracks_are_refused(name, train, message):
  with pytest.raises(InputError, match=message) as caught:
    classical.check(recipe(name), cut(train))
  assert "\n" not in str(caught.value)
  classical.check(recipe(name), cut(("jazz.0", "jazz.1", "pop.0", "pop.1")))


def test_pictures_are_refused():
  with pytest.raises(
    InputError, match=r"gives pictures \[180, 180, 3\]: .*mfcc"
  ):
    classical.check(recipe("svm"), cut(("jazz.0",), (180, 180, 3)))


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


@pytest.fixture
def make_run(make_config, tmp_path):
  """Fits a classifier on the small synthetic corpus."""

  def make(name, folder="run", **options):
    config = make_config()
    config.recipe, config.task = f"{name}_stats", "classical"
    config.model = ml_collections.ConfigDict({"name": name, **options})
    dataset = open_dataset(config)
    path = tmp_path / folder
    path.mkdir()
    workdir.begin(path, config, dataset)
    tasks.train(config, dataset, path, sharding.make_mesh())
    return path, dataset, config

  return make


@pytest.mark.slow
def test_a_run_from_fit_to_report(make_run, capsys):
  path, dataset, config = make_run("svm")
  assert "epoch   1  train/loss" in capsys.readouterr().out
  assert sorted(file.name for file in path.iterdir()) == [
    "SHA256SUMS",
    "metrics.jsonl",
    "model.npz",
    "run.json",
  ]
  assert not classical.is_reported(config, path)
  evaluate.evaluate(path, dataset, sharding.make_mesh())
  assert classical.is_reported(config, path)
  text = (path / "report.json").read_text()
  (path / "report.json").write_text(text[:-9])  # what a full disk leaves
  assert not classical.is_reported(config, path)
  found = json.loads(text)
  assert (found["best_epoch"], found["epochs_run"]) == (1, 1)
  with np.load(path / "model.npz", allow_pickle=False) as stored:
    sizes = {key: stored[key].size for key in stored}
  fitted = {"mean", "scale", "gamma", "support", "dual", "intercept"}
  assert found["num_params"] == sum(
    sizes[key] for key in fitted | {"temperature"}
  )
  (row,) = found["history"]
  assert (row["epoch"], row["step"]) == (1, 0)
  stored = predictions.load(path / "predictions" / "validation.npz")
  quick = metrics.quick(stored)
  assert {
    f"validation/{key}": quick[key] for key in quick
  }.items() <= row.items()
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


def test_a_flipped_bit_of_a_model_is_named(make_run):
  """The first of them stands where zip keeps no checksum: a file's date."""
  path, _, _ = make_run("svm")
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


@pytest.mark.parametrize("name", FITTED)
def test_fitted_twice_the_bytes_are_the_same(make_run, name):
  one, *_ = make_run(name, "one", C=0.5)
  two, *_ = make_run(name, "two", C=0.5)
  assert (one / "model.npz").read_bytes() == (two / "model.npz").read_bytes()
  other, *_ = make_run(name, "other", C=0.05)
  assert (one / "model.npz").read_bytes() != (other / "model.npz").read_bytes()


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
  if content is not None:
    (tmp_path / "model.npz").write_bytes(content)
    atomic.write_checksums(tmp_path, [tmp_path / "model.npz"])
  run = {
    "config": {"task": "classical", "model": {"name": "svm"}},
    "genres": ["blues", "jazz"],
  }
  with pytest.raises(InputError, match=message) as caught:
    evaluate.load_model(tmp_path, run)
  assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", sorted(scikit_learn.CLASSIFIERS))
def test_a_model_of_another_classifier_is_one_clear_line(tmp_path, name):
  run = {
    "config": {"task": "classical", "model": {"name": name}},
    "genres": ["blues", "jazz"],
    "example_shape": [130, 13],
  }
  np.savez(tmp_path / "model.npz", classes=np.arange(2), other=np.ones(3))
  atomic.write_checksums(tmp_path, [tmp_path / "model.npz"])
  with pytest.raises(InputError, match=r"lacks array .* train again"):
    evaluate.load_model(tmp_path, run)
  arrays = scikit_learn.CLASSIFIERS[name].arrays
  np.savez(
    tmp_path / "model.npz", classes=np.arange(2), **dict.fromkeys(arrays, 0)
  )
  atomic.write_checksums(tmp_path, [tmp_path / "model.npz"])
  with pytest.raises(InputError, match=r"does not fit \[130, 13\] examples"):
    evaluate.load_model(tmp_path, run)
