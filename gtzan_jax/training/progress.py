"""What a run remembers between evaluations: best, patience, plateau.

Host side, plain numbers, saved in `last/`, so that a resumed run decides as
the uninterrupted one would have. Patience counts as Keras does: patience=7
stops after the seventh evaluation in a row that was not a best. NaN is never
best. The plateau counts evaluations, not batches.

What a tie is worth is the recipe's choice: Keras's EarlyStopping,
ModelCheckpoint and ReduceLROnPlateau ask for a strict improvement.
"""

import dataclasses
import math
from collections.abc import Mapping

from gtzan_jax import errors


@dataclasses.dataclass(frozen=True)
class Progress:
  """State after `evaluations` evaluations.

  Attributes:
    evaluations: evaluations (= whole epochs) done.
    best_epoch: the epoch (from 1) of the best evaluation, 0 before any.
    best_value: the monitored scalar there.
    best_tie: the loss of the same split there, which breaks ties ("loss").
    bad: evaluations since the best one.
    plateau_bad: evaluations since the best one or the last reduction.
    lr_scale: what plateau reductions have multiplied the learning rate by.
  """

  evaluations: int = 0
  best_epoch: int = 0
  best_value: float | None = None
  best_tie: float | None = None
  bad: int = 0
  plateau_bad: int = 0
  lr_scale: float = 1.0

  def to_dict(self) -> dict:
    return dataclasses.asdict(self)


def lower_is_better(monitor: str) -> bool:
  """Losses and distances are to be low, whatever else is monitored high."""
  return monitor.endswith(("loss", "frechet_distance"))


def update(
  progress: Progress,
  scalars: Mapping[str, float],
  *,
  monitor: str,
  ties: str = "loss",
  plateau_factor: float = 1.0,
  plateau_patience: int = 0,
  min_lr_scale: float = 0.0,
) -> tuple[Progress, bool]:
  """One evaluation's scalars -> (the next state, is it the best so far?).

  A track accuracy takes few values, and the first of many equals is seldom the
  best of them: by default the loss of the same split breaks ties, and such an
  evaluation is a new best for patience and plateau as well.

  Args:
    progress: the state before this evaluation.
    scalars: everything this evaluation reported.
    monitor: the key to follow; see `lower_is_better`.
    ties: which of equal evaluations is the best: "loss", the one with the
      lowest loss on the same split, or "first", as Keras has it.
    plateau_factor: multiplies `lr_scale` after `plateau_patience` evaluations
      without a best; 1.0 is no plateau rule.
    plateau_patience: see above.
    min_lr_scale: `lr_scale` never falls below.

  Raises:
    InputError: `monitor` is not among the scalars.
  """
  if monitor not in scalars:
    raise errors.InputError(
      f"config.train.monitor={monitor!r} is not reported; this run reports"
      f" {', '.join(sorted(scalars))}"
    )
  sign = 1.0 if lower_is_better(monitor) else -1.0
  value = float(scalars[monitor])
  tie = float(scalars.get(f"{monitor.split('/')[0]}/loss", math.nan))
  is_best = not math.isnan(value) and (
    progress.best_value is None
    or sign * value < sign * progress.best_value
    or (
      ties == "loss"
      and value == progress.best_value
      and progress.best_tie is not None
      and tie < progress.best_tie
    )
  )
  evaluations = progress.evaluations + 1
  if is_best:
    return (
      dataclasses.replace(
        progress,
        evaluations=evaluations,
        best_epoch=evaluations,
        best_value=value,
        best_tie=None if math.isnan(tie) else tie,
        bad=0,
        plateau_bad=0,
      ),
      True,
    )
  plateau_bad, lr_scale = progress.plateau_bad + 1, progress.lr_scale
  if plateau_factor < 1.0 and plateau_bad >= plateau_patience:
    plateau_bad = 0
    lr_scale = max(lr_scale * plateau_factor, min_lr_scale)
  return (
    dataclasses.replace(
      progress,
      evaluations=evaluations,
      bad=progress.bad + 1,
      plateau_bad=plateau_bad,
      lr_scale=lr_scale,
    ),
    False,
  )


def should_stop(progress: Progress, patience: int) -> bool:
  """Early stopping; `patience` 0 never stops."""
  return patience > 0 and progress.bad >= patience


def last_step(length: Mapping, epoch_steps: int) -> int:
  """Where a run ends that does not stop early.

  Args:
    length: config.train's `epochs` and `max_steps`.
    epoch_steps: optimizer steps an epoch.
  """
  limit = length["max_steps"] or math.inf
  return int(min(length["epochs"] * epoch_steps, limit))


def finished(length: Mapping, facts: Mapping) -> bool:
  """Has a run nothing left to train?

  Args:
    length: config.train's `epochs`, `max_steps` and `patience`.
    facts: what its last/ says, "progress" and "epoch_steps".
  """
  done, steps = Progress(**facts["progress"]), facts["epoch_steps"]
  return done.evaluations >= math.ceil(
    last_step(length, steps) / steps
  ) or should_stop(done, length["patience"])
