"""What is trained: the interface that all tasks share.

A task that takes steps gives the loop three functions (`loop.Steps`); what its
`create` returns is a few pure functions on pytrees, which know neither devices
nor time nor disk:

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
itself. The GAN's task is gtzan_jax.gan.interface.TASK.
"""

import functools
from collections.abc import Callable
from typing import NamedTuple

from gtzan_jax.training import (
  checks,
  classical,
  classify,
  evaluate,
  init_from,
  loop,
)


class Task(NamedTuple):
  """What a config's `task` names.

  Attributes:
    check_config: (config) raises InputError for what no data could mend.
    check_data: (config, dataset, begun) raises it for what this data cannot
      carry, before anything is trained; `begun` of a run that is resumed.
    train: (config, dataset, workdir, mesh, generated) trains or resumes.
    is_reported: (config, workdir): is nothing left to do?
    evaluate: (workdir, dataset, mesh) writes the report; returns its path.
    takes_generated: whether examples of a GAN can join its train split.
  """

  check_config: Callable
  check_data: Callable
  train: Callable
  is_reported: Callable
  evaluate: Callable
  takes_generated: bool = False


CLASSIFY = Task(
  check_config=checks.check_classify_config,
  check_data=checks.check_classify_data,
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
  check_config=classical.check_config,
  check_data=classical.check,
  train=classical.train,
  is_reported=classical.is_reported,
  evaluate=evaluate.evaluate,
)
TASKS = {"classify": CLASSIFY, "classical": CLASSICAL}
