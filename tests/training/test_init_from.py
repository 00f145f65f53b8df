"""Weights that a run begins with: a workdir's, a file's, or neither fits."""

import jax
import numpy as np
import pytest
from flax import traverse_util

from gtzan_jax import errors, models
from gtzan_jax.cli import tasks
from gtzan_jax.data.open_dataset import open_dataset
from gtzan_jax.models import weights
from gtzan_jax.training import checkpoint, evaluate, sharding, workdir


def fit(config, path):
  """Trains in this process."""
  dataset = open_dataset(config)
  tasks.check_data(config, dataset, begun=(path / "last").is_dir())
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


def flat(variables):
  return traverse_util.flatten_dict(dict(variables), sep="/")


def best(path):
  return flat(evaluate.restore_best(path, workdir.load(path))[1])


@pytest.mark.slow
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
  # Taken up again it goes on from last/ and needs no donor.
  (tmp_path / "donor.npz").unlink()
  config.train.epochs = 2
  store = checkpoint.Store(path / "last")
  before = store.latest()
  store.close()
  fit(config, path)
  store = checkpoint.Store(path / "last")
  assert store.latest() > before
  store.close()


@pytest.mark.slow
@pytest.mark.parametrize(
  ("changes", "message"),
  [
    (
      {"model": {"name": "mel_cnn", "channels": (4, 6), "dense": 16}},
      r"norm1/mean is \(8,\) there, and \(6,\) in this run's model",
    ),
    ({"model": {"name": "slice_cnn"}}, "'mel_cnn'; this run trains"),
    ({"train.init_from": "/nope"}, "/nope"),
  ],
)
def test_weights_that_do_not_fit_are_refused_before_anything_is_written(
  make_config, donor, tmp_path, changes, message
):
  model = changes.get("model")
  changes = {key: changes[key] for key in changes if key != "model"}
  config = make_config(**{"train.init_from": str(donor), **changes})
  if model:
    config.model = type(config)(model)
  with pytest.raises(errors.InputError, match=message) as error:
    fit(config, tmp_path / "new")
  assert "\n" not in str(error.value)
  assert not (tmp_path / "new").exists()


@pytest.mark.slow
@pytest.mark.parametrize(
  ("changes", "message"),
  [
    ({"data.split_seed": 7}, r"trained on \d+ of this run.* as \w+\.s"),
    ({"data.protocol": "kfold10"}, "trained on .* same protocol"),
    (
      {"data.genres": ("jazz", "rock")},
      "other genres: blues,.*, and this run has jazz, rock",
    ),
    (
      {"data.features": "mfcc"},
      "other features: mfcc_slices, and this run has mfcc",
    ),
  ],
)
def test_a_donor_that_knows_too_much_or_other_things_is_refused(
  make_config, donor, tmp_path, changes, message
):
  config = make_config(**{"train.init_from": str(donor), **changes})
  with pytest.raises(errors.InputError, match=message):
    fit(config, tmp_path / "new")


@pytest.mark.slow
def test_what_a_donor_has_learnt_from_is_inherited(
  make_config, donor, tmp_path
):
  """By way of a run on a tenth of the tracks the donor's are still known."""
  config = make_config(
    **{
      "train.init_from": str(donor),
      "train.epochs": 1,
      "data.train_fraction": 0.1,
    }
  )
  fit(config, tmp_path / "second")
  learnt = workdir.load(tmp_path / "second")["tracks"]
  assert learnt == workdir.load(donor)["tracks"]
  assert len(learnt["train"]) == 20


@pytest.mark.slow
def test_a_leak_that_is_announced_may_begin_anywhere(
  make_config, donor, tmp_path
):
  config = make_config(
    **{
      "train.init_from": str(donor),
      "train.epochs": 1,
      "data.protocol": "leaky_segments_80_20",
    }
  )
  fit(config, tmp_path / "leaky")


def test_shapes_computes_nothing(make_config):
  model = evaluate.classify.create_model(make_config(), 10)
  shapes = models.shapes(model, (130, 13))
  assert {type(leaf) for leaf in jax.tree.leaves(shapes)} == {
    jax.ShapeDtypeStruct
  }
