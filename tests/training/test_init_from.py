"""Weights that a run begins with: a workdir's, a file's, or neither fits."""

import contextlib
import dataclasses

import jax
import numpy as np
import pytest
from flax import traverse_util

from gtzan_jax import errors, features, models
from gtzan_jax.cli import tasks
from gtzan_jax.data.open_dataset import open_dataset
from gtzan_jax.models import weights
from gtzan_jax.training import (
  checkpoint,
  classify,
  evaluate,
  init_from,
  sharding,
  workdir,
)


def check(config, begun=False, **facts):
  dataset = open_dataset(config)
  dataset = dataclasses.replace(dataset, metadata={**dataset.metadata, **facts})
  tasks.check_data(config, dataset, begun)
  return dataset


def fit(config, path):
  """Trains in this process."""
  dataset = check(config, begun=(path / "last").is_dir())
  with workdir.locked(path):
    workdir.begin(path, config, dataset)
    tasks.train(config, dataset, path, sharding.make_mesh())


@pytest.fixture
def donor(make_config, tmp_path_factory):
  """A workdir of one epoch, made once by each worker."""
  path = tmp_path_factory.getbasetemp() / "donor"
  if not (path / workdir.RUN_FILE).is_file():
    fit(make_config(**{"train.epochs": 1}), path)
  return path


def best(path):
  return evaluate.restore_best(path, workdir.load(path))[1]


@pytest.mark.slow
def test_a_run_begins_with_a_workdirs_or_a_files_weights(
  make_config, donor, tmp_path
):
  """At a rate of next to nothing the first epoch leaves them as they were."""
  file = tmp_path / "donor.npz"
  weights.save_npz(str(file), best(donor))
  given = traverse_util.flatten_dict(dict(best(donor)), sep="/")
  for source in (donor, file):
    config = make_config(
      **{"seed": 7, "train.epochs": 1, "optim.learning_rate": 1e-12},
      **{"train.init_from": str(source)},
    )
    path = tmp_path / f"from-{source.name}"
    fit(config, path)
    found = traverse_util.flatten_dict(dict(best(path)), sep="/")
    assert found.keys() == given.keys()
    for key, value in found.items():
      if key.startswith(("params/", "input_stats/")):
        np.testing.assert_allclose(value, given[key], atol=1e-6, err_msg=key)
  # Taken up again it goes on from last/ and needs no donor.
  file.unlink()
  config.train.epochs = 2
  saves = []
  for _ in range(2):
    with contextlib.closing(checkpoint.Store(path / "last")) as store:
      saves.append(store.latest())
    fit(config, path)
  assert saves[0] < saves[1]


@pytest.mark.slow
@pytest.mark.parametrize(
  ("changes", "message"),
  [
    (
      {"model.channels": (4, 6)},
      r"norm1/mean is \(8,\) there, and \(6,\) in this run's model",
    ),
    ({"train.init_from": "/nope"}, "/nope"),
    ({"data.split_seed": 7}, r"trained on \d+ of this run.* as \w+\.s"),
    ({"data.protocol": "kfold10"}, "trained on .* same protocol"),
    (
      {"data.genres": ("jazz", "rock")},
      "other genres: blues,.*, and this run has jazz, rock",
    ),
  ],
)
def test_weights_that_do_not_fit_or_know_too_much_are_refused(
  make_config, donor, changes, message
):
  config = make_config(**{"train.init_from": str(donor), **changes})
  with pytest.raises(errors.InputError, match=message) as error:
    check(config)
  assert "\n" not in str(error.value)


@pytest.mark.slow
def test_another_model_and_other_features_are_refused(make_config, donor):
  config = make_config(**{"train.init_from": str(donor)})
  message = "other features: mfcc_slices, and this run has mfcc"
  with pytest.raises(errors.InputError, match=message):
    check(config, feature_spec=features.get("mfcc").to_dict())
  with pytest.raises(errors.InputError, match="'mel_cnn'; this run trains"):
    init_from.load(str(donor), "slice_cnn", {})
  config.data.protocol = "leaky_segments_80_20"
  check(config)  # which a banner says


@pytest.mark.slow
def test_what_a_donor_has_learnt_from_is_inherited(
  make_config, donor, tmp_path
):
  """By way of a run on a tenth of the tracks the donor's are still known."""
  config = make_config(
    **{"train.init_from": str(donor), "data.train_fraction": 0.1}
  )
  workdir.begin(tmp_path, config, check(config))
  learnt = workdir.load(tmp_path)["tracks"]
  assert learnt == workdir.load(donor)["tracks"]
  assert len(learnt["train"]) == 20


def test_shapes_computes_nothing(make_config):
  shapes = models.shapes(classify.create_model(make_config(), 10), (130, 13))
  assert {type(leaf) for leaf in jax.tree.leaves(shapes)} == {
    jax.ShapeDtypeStruct
  }
