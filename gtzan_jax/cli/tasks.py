"""All tasks, the GAN's too where gtzan_jax.gan is installed."""

import pathlib

import jax
import ml_collections

from gtzan_jax.data import pipeline
from gtzan_jax.errors import InputError
from gtzan_jax.training import checks, tasks

try:
  from gtzan_jax.gan import augment_train, upstream
  from gtzan_jax.gan import task as interface
except ModuleNotFoundError as error:
  if error.name != "gtzan_jax.gan":
    raise
  interface = None
TASKS = {**tasks.TASKS, **({"gan": interface.TASK} if interface else {})}


def of(config: ml_collections.ConfigDict) -> tasks.Task:
  """The task of a config.

  Raises:
    InputError: an unknown task.
  """
  if config.task not in TASKS:
    raise InputError(
      f"config.task={config.task!r}: give one of {', '.join(TASKS)}"
    )
  return TASKS[config.task]


def check_config(
  config: ml_collections.ConfigDict, mesh: jax.sharding.Mesh
) -> None:
  """Checks of a config that need no data.

  Raises:
    InputError: a value out of its range, or what the task refuses.
  """
  checks.check_values(config, mesh)
  task = of(config)
  if task.takes_generated and interface:
    augment_train.check_config(config)
  elif task.takes_generated and config.data.augment_with is not None:
    raise InputError(
      f"config.data.augment_with={config.data.augment_with}: this installation"
      " has no gtzan_jax.gan"
    )
  task.check_config(config)


def check_data(
  config: ml_collections.ConfigDict,
  dataset: pipeline.Dataset,
  begun: bool = False,
) -> None:
  """Checks of a config against its data.

  Args:
    config: configs/default.py with a recipe's changes.
    dataset: a prepared corpus split by a protocol.
    begun: whether the run is resumed.

  Raises:
    InputError: an empty split, generated examples that do not fit, or what the
      task refuses.
  """
  checks.check_splits(config, dataset)
  task = of(config)
  if task.takes_generated and interface:
    augment_train.check(config, dataset)
  task.check_data(config, dataset, begun)


def train(
  config: ml_collections.ConfigDict,
  dataset: pipeline.Dataset,
  path: pathlib.Path,
  mesh: jax.sharding.Mesh,
) -> None:
  """Trains into a run folder, or resumes it.

  Raises:
    InputError: the monitored scalar was NaN in all epochs.
    Interrupted: a signal came; the run can be resumed.
  """
  generated = None
  if interface:
    generated = augment_train.generate_examples(config, dataset)
  of(config).train(config, dataset, path, mesh, generated)


def upstream_runs(config: ml_collections.ConfigDict) -> dict[str, dict]:
  """Upstream runs of a config; see gtzan_jax.gan.upstream.find."""
  return upstream.find(config) if interface else {}
