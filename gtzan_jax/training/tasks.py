"""Tasks: how a run is checked, trained and evaluated, behind one interface.

A task that trains in steps passes `loop.Steps` to the loop. `Steps.create`
returns an object of pure functions on pytrees, without devices, time or disk:

    source                name of the stored array that a step reads
    init(key)             the state before the first step, a TrainState
    check(fields, batch_size)   traces one step; raises what the step raises
    train_step(state, batch)    -> (state, scalars)
    summarize(totals)     sums since the last evaluation -> scalars
    variables_of(state)   what best/ holds
    with_variables(state, variables)
    with_input_stats(state, mean, std)
    learning_rate(step)

Random keys are `fold_in(state.key, state.step)`, so a resumed run has the same
keys. The GAN's task is gtzan_jax.gan.task.TASK.
"""

import functools
from collections.abc import Callable
from typing import NamedTuple

from gtzan_jax.training import (
  classify,
  config_checks,
  evaluate,
  fit_scikit_learn,
  init_from,
  loop,
)


class Task(NamedTuple):
  """The functions of a task.

  Attributes:
    check_config: (config) raises InputError; needs no data.
    check_data: (config, dataset, begun) raises InputError, before training;
      `begun`: whether the run is resumed.
    train: (config, dataset, workdir, mesh, generated) trains or resumes.
    is_reported: (config, workdir) -> whether the run is trained and evaluated.
    evaluate: (workdir, dataset, mesh) writes the report; returns its path.
    takes_generated: whether a GAN's examples can join the train split.
    classifies: whether its runs predict genres.
  """

  check_config: Callable
  check_data: Callable
  train: Callable
  is_reported: Callable
  evaluate: Callable
  takes_generated: bool = False
  classifies: bool = True


CLASSIFY = Task(
  check_config=config_checks.check_classify_config,
  check_data=config_checks.check_classify_data,
  train=functools.partial(
    loop.train,
    loop.Steps(
      classify.fields, classify.create, evaluate.validator, init_from.load
    ),
  ),
  is_reported=loop.is_reported,
  evaluate=evaluate.evaluate,
  takes_generated=True,
)
CLASSICAL = Task(
  check_config=fit_scikit_learn.check_config,
  check_data=fit_scikit_learn.check,
  train=fit_scikit_learn.train,
  is_reported=fit_scikit_learn.is_reported,
  evaluate=evaluate.evaluate,
)
TASKS = {"classify": CLASSIFY, "classical": CLASSICAL}
