"""Checks of config and data before training."""

import pathlib

import jax
import ml_collections

from gtzan_jax import config_ranges, errors, models
from gtzan_jax.data import pipeline
from gtzan_jax.training import classify, init_from, loop


def check_values(
  config: ml_collections.ConfigDict, mesh: jax.sharding.Mesh
) -> None:
  """InputError for a value out of config_ranges.CONFIG, whatever the task.

  Also for a batch that does not divide over the devices.
  """
  for problem in config_ranges.config_problems(
    config_ranges.flatten(config.to_dict())
  ):
    raise errors.InputError(f"config.{problem}")
  for key in ("train", "eval"):
    size = config[key].batch_size
    if size % mesh.size:
      raise errors.InputError(
        f"config.{key}.batch_size={size} cannot be divided over"
        f" {mesh.size} devices: give a positive multiple of {mesh.size}"
      )


def check_splits(
  config: ml_collections.ConfigDict, dataset: pipeline.Dataset
) -> None:
  """Refuses a train split, or one that is monitored, without examples."""
  for split in ("train", config.train.monitor.split("/")[0]):
    if not dataset.parts[split]:
      raise errors.InputError(
        f"config.data.protocol={dataset.protocol!r} leaves the {split} split"
        " empty on this corpus: give another protocol or monitor"
      )


def check_classify_config(config: ml_collections.ConfigDict) -> None:
  """Checks of a network's config that need no data (InputError)."""
  model = classify.create_model(config, genres=2)
  if getattr(model, "frozen", False) and not config.train.init_from:
    raise errors.InputError(
      f"config.model.frozen=True would keep {config.model.name} at its random"
      " weights: give trained ones with --config.train.init_from=... (see"
      " docs/weights.md), or --config.model.frozen=False"
    )
  _check_origin(config)
  classify.create_optimizer(config, epoch_steps=1)


def _check_origin(config: ml_collections.ConfigDict) -> None:
  """Weights of Keras and of PyTorch need its padding and scaling."""
  origin = {".h5": "tf", ".hdf5": "tf", ".safetensors": "torch"}
  ending = pathlib.Path(config.train.init_from or "").suffix.lower()
  for key in ("padding", "scaling"):
    given = config.model.get(key)
    wanted = origin.get(ending, given)
    if given != wanted:
      raise errors.InputError(
        f"config.model.{key}={given!r} and weights in {ending}: give"
        f" --config.model.{key}={wanted}"
      )


def check_classify_data(
  config: ml_collections.ConfigDict,
  dataset: pipeline.Dataset,
  begun: bool = False,
) -> None:
  """Checks of a network's config against its data (InputError).

  Initial weights must fit and not stem from validation or test tracks; a
  resumed run (`begun`) needs none.
  """
  task = loop.create_task(classify.create, config, dataset)
  task.check(dataset.fields, config.train.batch_size)
  if config.train.init_from and not begun:
    init_from.check(config.train.init_from, dataset, config.data.path)
    shapes = models.shapes(task.model, dataset.example_shape)
    init_from.load(config.train.init_from, config.model.name, shapes)
