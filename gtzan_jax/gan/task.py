"""The task "gan": trains a judge, unless one is given, then the GAN."""

import pathlib
from collections.abc import Mapping

import jax
import ml_collections
import numpy as np

from gtzan_jax.data import pipeline
from gtzan_jax.gan import adversarial_step, judge, report, validation
from gtzan_jax.training import loop, tasks

STEPS = loop.Steps(
  adversarial_step.fields, adversarial_step.create, validation.validator
)


def check_data(
  config: ml_collections.ConfigDict,
  dataset: pipeline.Dataset,
  begun: bool = False,
) -> None:
  """Raises InputError for a judge or a GAN that does not fit the data."""
  del begun
  if config.gan.judge:
    judge.check(config.gan.judge, dataset, config.data.path)
  gan_task = loop.create_task(adversarial_step.create, config, dataset)
  gan_task.check(dataset.fields, config.train.batch_size)


def train(
  config: ml_collections.ConfigDict,
  dataset: pipeline.Dataset,
  path: pathlib.Path,
  mesh: jax.sharding.Mesh,
  generated: Mapping[str, np.ndarray] | None = None,
) -> None:
  """Trains or resumes a GAN; first its judge, if config.gan.judge is unset."""
  assert generated is None, "a GAN trains on real examples only"
  if not config.gan.judge:
    judge.train(config, dataset, path, mesh)
  loop.train(STEPS, config, dataset, path, mesh)


TASK = tasks.Task(
  check_config=adversarial_step.check_config,
  check_data=check_data,
  train=train,
  is_reported=loop.is_reported,
  evaluate=report.evaluate,
  classifies=False,
)
