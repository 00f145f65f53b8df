"""What is trained: each task is a few pure functions on pytrees."""

import ml_collections
import numpy as np

from gtzan_jax import pipeline
from gtzan_jax.tasks import classify

TASKS = {"classify": classify.create}


def create(
  config: ml_collections.ConfigDict,
  dataset: pipeline.Dataset,
  class_counts: np.ndarray,
  epoch_steps: int,
) -> classify.Classify:
  """The task that a config describes, for this data.

  Args:
    config: configs/default.py with a recipe's changes.
    dataset: a prepared corpus cut by a protocol.
    class_counts: [genres] train examples of each genre.
    epoch_steps: optimizer steps an epoch.
  """
  return TASKS[config.task](
    config,
    genres=len(dataset.genres),
    spec=dataset.spec,
    raw=dataset.raw,
    class_counts=class_counts,
    epoch_steps=epoch_steps,
    example_shape=dataset.example_shape,
    columns_per_second=dataset.columns_per_second,
  )
