"""Progress of a run between evaluations: best, patience, plateau.

Plain numbers on the host, saved in `last/`, so that a resumed run decides as
the uninterrupted one would have. Patience counts as in Keras: patience=7 stops
after the seventh evaluation in a row that was not a best. NaN is never best.
The plateau counts evaluations, not batches.

Ties are the recipe's choice: Keras's EarlyStopping, ModelCheckpoint and
ReduceLROnPlateau need a strict improvement.
"""

import dataclasses
import math
from collections.abc import Mapping

from gtzan_jax import errors


@dataclasses.dataclass(frozen=True)
class Progress:
  """State after `evaluations` evaluations, one at the end of each epoch.

  `best_epoch` counts from 1 (0: none yet); `best_tie` is the loss of the same
  split there; `evals_since_drop` counts from the best one or the last
  reduction; `lr_scale` is the factor of all plateau reductions.
  """

  evaluations: int = 0
  best_epoch: int = 0
  best_value: float | None = None
  best_tie: float | None = None
  evals_since_best: int = 0
  evals_since_drop: int = 0
  lr_scale: float = 1.0

  def to_dict(self) -> dict:
    return {_KEYS.get(k, k): v for k, v in dataclasses.asdict(self).items()}

  @classmethod
  def from_dict(cls, stored: Mapping) -> "Progress":
    names = {key: name for name, key in _KEYS.items()}
    return cls(**{names.get(key, key): value for key, value in stored.items()})


# Names of attributes in last/, where they differ.
_KEYS = {"evals_since_best": "bad", "evals_since_drop": "plateau_bad"}


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
  """One evaluation's scalars -> (the next state, whether it is the best).

  Track accuracy takes few values: by default the loss of the same split breaks
  `ties`, and such an evaluation is a new best for patience and plateau as well;
  with "first" the earliest wins, as in Keras. `plateau_factor` multiplies
  `lr_scale` (never below `min_lr_scale`) after `plateau_patience` evaluations
  without a best; 1.0 is no plateau rule. InputError if `monitor` is missing.
  """
  if monitor not in scalars:
    raise errors.InputError(
      f"config.train.monitor={monitor!r} is not reported; this run reports"
      f" {', '.join(sorted(scalars))}"
    )
  sign = 1.0 if monitor.endswith(("loss", "frechet_distance")) else -1.0
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
    return Progress(
      evaluations=evaluations,
      best_epoch=evaluations,
      best_value=value,
      best_tie=None if math.isnan(tie) else tie,
      lr_scale=progress.lr_scale,
    ), True
  since_drop, lr_scale = progress.evals_since_drop + 1, progress.lr_scale
  if plateau_factor < 1.0 and since_drop >= plateau_patience:
    since_drop = 0
    lr_scale = max(lr_scale * plateau_factor, min_lr_scale)
  return dataclasses.replace(
    progress,
    evaluations=evaluations,
    evals_since_best=progress.evals_since_best + 1,
    evals_since_drop=since_drop,
    lr_scale=lr_scale,
  ), False


def last_step(length: Mapping, epoch_steps: int) -> int:
  """The last step without early stop; `length` is config.train."""
  limit = length["max_steps"] or math.inf
  return int(min(length["epochs"] * epoch_steps, limit))


def finished(length: Mapping, facts: Mapping) -> bool:
  """Whether a run has reached its last epoch or stopped early.

  `length` is config.train, whose `patience` 0 never stops; `facts` are those of
  last/.
  """
  done, steps = Progress.from_dict(facts["progress"]), facts["epoch_steps"]
  last_epoch = math.ceil(last_step(length, steps) / steps)
  stopped = 0 < length["patience"] <= done.evals_since_best
  return stopped or done.evaluations >= last_epoch
