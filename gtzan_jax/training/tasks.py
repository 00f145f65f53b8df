"""What is trained: each task is a few pure functions on pytrees.

A task knows neither devices nor time nor disk; the loop has those. Its module
has two functions,

    fields(config, raw)   the stored arrays that training reads of each part
    create(config, dataset, class_counts, epoch_steps)

and what `create` returns has

    source                the stored array that a step starts from
    init(key)             the state before the first step, a TrainState
    check(fields, batch_size)   traces one step; what cannot be raises
    train_step(state, batch)    -> (state, scalars)
    summarize(totals)     sums since the last evaluation -> scalars
    variables_of(state)   what best/ holds
    with_variables(state, variables)
    with_input_stats(state, mean, std)
    learning_rate(step)

Random keys are `fold_in(state.key, state.step)`, so a resumed run repeats
itself.
"""

import ml_collections
import numpy as np

from gtzan_jax.data import pipeline
from gtzan_jax.gan import task as gan
from gtzan_jax.training import classify

TASKS = {"classify": classify, "gan": gan}


def create(
  config: ml_collections.ConfigDict,
  dataset: pipeline.Dataset,
  class_counts: np.ndarray,
  epoch_steps: int,
) -> classify.Classify | gan.Gan:
  """The task that a config describes, for this data.

  Args:
    config: configs/default.py with a recipe's changes.
    dataset: a prepared corpus cut by a protocol.
    class_counts: [genres] train examples of each genre.
    epoch_steps: optimizer steps an epoch.

  Raises:
    InputError: a name or a value that does not exist, or something that this
      kind of data cannot carry.
  """
  return TASKS[config.task].create(config, dataset, class_counts, epoch_steps)


def fields(
  config: ml_collections.ConfigDict, raw: str | None
) -> dict[str, set[str]]:
  """The stored arrays that training reads of each part."""
  return TASKS[config.task].fields(config, raw)
