"""All tasks, the GAN's too where gtzan_jax.gan is installed."""

import pathlib

import jax
import ml_collections

from gtzan_jax.data import pipeline
from gtzan_jax.errors import InputError
from gtzan_jax.training import config_checks, tasks

try:
  from gtzan_jax.gan import augment_train, upstream
  from gtzan_jax.gan import task as interface
except ModuleNotFoundError as error:
  if error.name != "gtzan_jax.gan":
    raise
  interface = None
TASKS = {**tasks.TASKS, **({"gan": interface.TASK} if interface else {})}


def of(config: ml_collections.ConfigDict) -> tasks.Task:
  """The task of a config."""
  if config.task not in TASKS:
    raise InputError(
      f"config.task={config.task!r}: give one of {', '.join(TASKS)}"
    )
  return TASKS[config.task]


def check_config(
  config: ml_collections.ConfigDict, mesh: jax.sharding.Mesh
) -> None:
  """Checks of a config that need no data."""
  config_checks.check_values(config, mesh)
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
  """Checks a config against its data: empty splits, generated examples that do
  not fit, and the task's own. `begun`: the run is resumed."""
  config_checks.check_splits(config, dataset)
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
  """Trains into a run folder, or resumes it; InputError if the monitored scalar
  was NaN in all epochs, Interrupted after a signal."""
  generated = None
  if interface:
    generated = augment_train.generate_examples(config, dataset)
  of(config).train(config, dataset, path, mesh, generated)


def upstream_runs(config: ml_collections.ConfigDict) -> dict[str, dict]:
  """Upstream runs of a config; see gtzan_jax.gan.upstream.find."""
  return upstream.find(config) if interface else {}
