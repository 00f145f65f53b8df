"""Weights that a run begins with: a workdir's, a file's, or neither fits."""

import jax
import numpy as np
import pytest
from flax import traverse_util

import launch
from gtzan_jax import (
  checkpoint,
  checks,
  errors,
  evaluate,
  initial,
  sharding,
  train,
  weights,
  workdir,
)


def fit(config, path):
  """Trains in this process."""
  dataset = launch.open_dataset(config)
  checks.check_data(config, dataset)
  with workdir.locked(path):
    workdir.begin(path, config, dataset)
    train.train(config, dataset, path, sharding.make_mesh())


def flat(variables):
  return traverse_util.flatten_dict(dict(variables), sep="/")


def best(path):
  return flat(evaluate.restore_best(path, workdir.load(path))[1])


def test_a_run_begins_with_a_workdirs_or_a_files_weights(make_config, tmp_path):
  """At a rate of next to nothing the first epoch leaves them as they were."""
  fit(make_config(**{"train.epochs": 1}), tmp_path / "donor")
  given = best(tmp_path / "donor")
  run = workdir.load(tmp_path / "donor")
  weights.save_npz(
    str(tmp_path / "donor.npz"),
    evaluate.restore_best(tmp_path / "donor", run)[1],
  )
  for source in ("donor", "donor.npz"):
    config = make_config(
      **{
        "seed": 7,
        "train.epochs": 1,
        "train.init_from": str(tmp_path / source),
        "optim.learning_rate": 1e-12,
      }
    )
    path = tmp_path / f"from-{source}"
    fit(config, path)
    found = best(path)
    assert found.keys() == given.keys()
    for key, value in found.items():
      if key.startswith(("params/", "input_stats/")):
        np.testing.assert_allclose(value, given[key], atol=1e-6, err_msg=key)
  # Taken up again it goes on from last/, not from the donor.
  config.train.epochs = 2
  store = checkpoint.Store(path / "last")
  before = store.latest()
  store.close()
  fit(config, path)
  store = checkpoint.Store(path / "last")
  assert store.latest() > before
  store.close()


@pytest.mark.parametrize(
  ("changes", "message"),
  [
    (
      {"model": {"name": "mel_cnn", "channels": (4, 6), "dense": 16}},
      r"norm1/mean is \(8,\) there, and \(6,\) in this run's model",
    ),
    ({"model": {"name": "slice_cnn"}}, "'mel_cnn', and this run trains"),
    ({"train.init_from": "/nope"}, "/nope"),
  ],
)
def test_weights_that_do_not_fit_are_refused_before_anything_is_written(
  make_config, tmp_path, changes, message
):
  fit(make_config(**{"train.epochs": 1}), tmp_path / "donor")
  model = changes.pop("model", None)
  config = make_config(
    **{"train.init_from": str(tmp_path / "donor"), **changes}
  )
  if model:
    config.model = type(config)(model)
  with pytest.raises(errors.InputError, match=message) as error:
    fit(config, tmp_path / "new")
  assert "\n" not in str(error.value)
  assert not (tmp_path / "new").exists()


def test_shapes_of_computes_nothing(make_config):
  model = evaluate.classify.create_model(make_config(), 10)
  shapes = initial.shapes_of(model, (130, 13))
  assert {type(leaf) for leaf in jax.tree.leaves(shapes)} == {
    jax.ShapeDtypeStruct
  }
