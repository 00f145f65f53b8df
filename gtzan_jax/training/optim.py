"""Optimisers and learning rate schedules, by name.

Reduce-on-plateau depends on results and not on the step, so it is no schedule
of the step: its factor is state of the host, saved with the run. The train
step takes it as `lr_scale` and multiplies the optimiser's updates by it, which
is the same as a smaller learning rate (updates are linear in it for every
optimiser here, AdamW's decay included) and compiles nothing again.
"""

import dataclasses
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from gtzan_jax.errors import InputError


@dataclasses.dataclass(frozen=True)
class Rate:
  """What a schedule may depend on.

  Attributes:
    learning_rate: the peak, and the value where nothing changes it.
    steps_per_epoch: training steps of one epoch.
    epochs: epochs of the whole run; "cosine" ends there.
    decay: factor an epoch of "exponential".
    begin_epoch: first epoch (from 0) that "exponential" has made smaller.
    warmup_epochs: length of the linear rise of "cosine".
  """

  learning_rate: float
  steps_per_epoch: int
  epochs: int
  decay: float = 0.95
  begin_epoch: int = 10
  warmup_epochs: float = 0.0


def constant(rate: Rate) -> optax.Schedule:
  """One rate at every step; also "plateau", whose factor is the host's."""
  return optax.constant_schedule(rate.learning_rate)


def exponential(rate: Rate) -> optax.Schedule:
  """Keras's per-epoch rule: `lr * decay^(epoch - begin_epoch + 1)`, from begin.

  Epochs count from 0 and the rate is constant within one. With decay 0.95 and
  begin_epoch 10, epoch 9 runs at `lr` and epoch 10 at `0.95 lr`: source
  document 1's callback.
  """

  def schedule(step):
    past = step // rate.steps_per_epoch - rate.begin_epoch + 1
    return rate.learning_rate * rate.decay ** jnp.maximum(past, 0)

  return schedule


def cosine(rate: Rate) -> optax.Schedule:
  """Linear rise from 0 in `warmup_epochs`, then half a cosine down to 0.

  A run of fewer than twice `warmup_epochs` rises for its first half.

  Raises:
    InputError: if `warmup_epochs` is negative.
  """
  if rate.warmup_epochs < 0:
    raise InputError(f"warmup_epochs {rate.warmup_epochs} has to be 0 or more")
  rise = min(rate.warmup_epochs, rate.epochs / 2)
  return optax.warmup_cosine_decay_schedule(
    init_value=0.0,
    peak_value=rate.learning_rate,
    warmup_steps=round(rise * rate.steps_per_epoch),
    decay_steps=rate.epochs * rate.steps_per_epoch,
  )


SCHEDULES: dict[str, Callable[[Rate], optax.Schedule]] = {
  "constant": constant,
  "cosine": cosine,
  "exponential": exponential,
  "plateau": constant,
}


def create_schedule(name: str, **rate) -> optax.Schedule:
  """The schedule called `name`: a function from step to learning rate.

  Args:
    name: a key of SCHEDULES.
    **rate: the fields of `Rate`.

  Raises:
    InputError: if there is no such schedule, or its values cannot be.
  """
  if name not in SCHEDULES:
    raise InputError(
      f"unknown schedule {name!r}; the schedules are"
      f" {', '.join(sorted(SCHEDULES))}"
    )
  if not rate["learning_rate"] > 0:
    raise InputError(
      f"learning_rate {rate['learning_rate']} has to be greater than 0"
    )
  return SCHEDULES[name](Rate(**rate))


def _kernels(params):
  """Which parameters decay: those of rank 2 and more, no bias and no scale."""
  return jax.tree.map(lambda leaf: leaf.ndim >= 2, params)


class Numbers(NamedTuple):
  """What an optimiser may depend on beside its rate."""

  b1: float
  b2: float
  eps: float
  eps_rule: str
  momentum: float
  weight_decay: float


# The rules for Adam's epsilon, by what it is added to: the root of the second
# moment as corrected for its start at zero (Kingma and Ba 2015, algorithm 1;
# torch, optax), or the uncorrected root (their "epsilon hat"; Keras). Keras's
# 1e-7 is worth 3e-6 of the corrected root at the first step and 3e-7 at the
# hundredth, so gradients of that size move less there.
EPS_RULES = ("torch", "keras")


def _scale_by_adam(n: Numbers) -> optax.GradientTransformation:
  """Adam's direction: both moments corrected, epsilon by its rule."""
  torchs = optax.scale_by_adam(n.b1, n.b2, n.eps)
  if n.eps_rule == "torch":
    return torchs

  def update(gradients, state, params=None):
    # Only the moments are taken of optax's: its own direction is unused.
    _, state = torchs.update(gradients, state, params)
    count = state.count.astype(jnp.float32)
    factor = jnp.sqrt(1 - n.b2**count) / (1 - n.b1**count)
    direction = jax.tree.map(
      lambda m, v: factor * m / (jnp.sqrt(v) + n.eps), state.mu, state.nu
    )
    return direction, state

  return optax.GradientTransformation(torchs.init, update)


def _adam(schedule: optax.Schedule, n: Numbers):
  """Adam, and AdamW where there is a weight decay (as optax chains them)."""
  return optax.chain(
    _scale_by_adam(n),
    optax.add_decayed_weights(n.weight_decay, _kernels)
    if n.weight_decay
    else optax.identity(),
    optax.scale_by_learning_rate(schedule),
  )


# Each entry: (schedule, Numbers) -> transformation. RMSprop has torch's alpha
# of 0.99 and its epsilon beside the root: the only source that uses it is
# written in torch.
OPTIMIZERS: dict[str, Callable[..., optax.GradientTransformation]] = {
  "adam": _adam,
  "adamw": _adam,
  "rmsprop": lambda schedule, n: optax.rmsprop(
    schedule, decay=0.99, eps=n.eps, eps_in_sqrt=False
  ),
  "sgd": lambda schedule, n: optax.sgd(schedule, momentum=n.momentum or None),
}


def create(
  name: str,
  schedule: optax.Schedule,
  *,
  b1: float = 0.9,
  b2: float = 0.999,
  eps: float = 1e-8,
  eps_rule: str = "torch",
  momentum: float = 0.0,
  weight_decay: float = 0.0,
  clip_norm: float = 0.0,
) -> optax.GradientTransformation:
  """The optimiser called `name`.

  Args:
    name: a key of OPTIMIZERS.
    schedule: learning rate of each step.
    b1, b2: how much of the averaged gradient, and of its square, "adam" and
      "adamw" keep at a step.
    eps: added to the root of the averaged square, of "adam", "adamw" and
      "rmsprop".
    eps_rule: of "adam" and "adamw", one of EPS_RULES.
    momentum: of "sgd"; the others have their own and do not read it.
    weight_decay: of "adamw": kernels shrink by `rate * weight_decay` a step.
    clip_norm: gradients are scaled to this global norm at most; 0 is off.

  Raises:
    InputError: if there is no such optimiser, or it has no weight decay and one
      was asked for (an L2 penalty belongs to the loss).
  """
  if name not in OPTIMIZERS:
    raise InputError(
      f"unknown optimizer {name!r}; the optimizers are"
      f" {', '.join(sorted(OPTIMIZERS))}"
    )
  if weight_decay and name != "adamw":
    raise InputError(
      f"optimizer {name!r} takes no weight decay (got {weight_decay}): use"
      " adamw, or the L2 penalty of the loss"
    )
  if min(weight_decay, momentum, clip_norm) < 0:
    raise InputError(
      f"momentum {momentum}, weight_decay {weight_decay} and clip_norm"
      f" {clip_norm} have to be 0 or more"
    )
  for key, value in (("b1", b1), ("b2", b2)):
    if not 0 <= value < 1:
      raise InputError(f"{key} {value}: give 0 or more and less than 1")
  if not 0 < eps < 1:
    raise InputError(f"eps {eps}: give more than 0 and less than 1")
  if eps_rule not in EPS_RULES:
    raise InputError(
      f"unknown eps_rule {eps_rule!r}; the rules are {', '.join(EPS_RULES)}"
    )
  clip = optax.clip_by_global_norm(clip_norm) if clip_norm else optax.identity()
  numbers = Numbers(b1, b2, eps, eps_rule, momentum, weight_decay)
  return optax.chain(clip, OPTIMIZERS[name](schedule, numbers))
