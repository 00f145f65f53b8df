"""Optimisers and learning rate schedules, by name.

Reduce-on-plateau depends on results and not on the step: its factor is state of
the host, saved with the run. The train step multiplies the optimiser's updates
by it (`lr_scale`), which equals a smaller learning rate (updates are linear in
it for every optimiser here, AdamW's decay included) without recompiling.
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
  """Inputs of a schedule.

  Attributes:
    learning_rate: the peak.
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
  """One rate at every step; "plateau" has its factor on the host."""
  return optax.constant_schedule(rate.learning_rate)


def exponential(rate: Rate) -> optax.Schedule:
  """Keras's per-epoch rule: `lr * decay^(epoch - begin_epoch + 1)`, from begin.

  Epochs count from 0 and the rate is constant within one. With decay 0.95 and
  begin_epoch 10, epoch 9 runs at `lr` and epoch 10 at `0.95 lr`.
  """

  def schedule(step):
    past = step // rate.steps_per_epoch - rate.begin_epoch + 1
    return rate.learning_rate * rate.decay ** jnp.maximum(past, 0)

  return schedule


def cosine(rate: Rate) -> optax.Schedule:
  """Linear rise from 0 in `warmup_epochs`, then half a cosine down to 0.

  A run of fewer than twice `warmup_epochs` rises for its first half.
  """
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
  """The schedule of a key of SCHEDULES: step -> learning rate.

  `rate` has the fields of `Rate`. Raises InputError for an unknown name.
  """
  if name not in SCHEDULES:
    raise InputError(
      f"config.optim.schedule={name!r}: accepted are"
      f" {', '.join(sorted(SCHEDULES))}"
    )
  return SCHEDULES[name](Rate(**rate))


class Numbers(NamedTuple):
  """Inputs of an optimiser, beside its rate.

  Attributes:
    b1, b2: decay of the averaged gradient and of its square; "adam", "adamw".
    eps: added to the root of the averaged square; "adam", "adamw", "rmsprop".
    eps_rule: one of EPS_RULES; "adam", "adamw".
    momentum: of "sgd".
    weight_decay: of "adamw": kernels shrink by `rate * weight_decay` a step.
  """

  b1: float = 0.9
  b2: float = 0.999
  eps: float = 1e-8
  eps_rule: str = "torch"
  momentum: float = 0.0
  weight_decay: float = 0.0


# The rules for Adam's epsilon, by what it is added to: the root of the second
# moment as corrected for its start at zero (Kingma and Ba 2015, algorithm 1;
# torch, optax), or the uncorrected root (their "epsilon hat"; Keras). Keras's
# 1e-7 is worth 3e-6 of the corrected root at the first step and 3e-7 at the
# hundredth, so gradients of that size move less there.
EPS_RULES = ("torch", "keras")


def _scale_by_adam(n: Numbers) -> optax.GradientTransformation:
  """Adam's direction: both moments corrected, epsilon by its rule."""
  adam = optax.scale_by_adam(n.b1, n.b2, n.eps)

  def update(gradients, state, params=None):
    # Only optax's moments are used, not its direction. The barrier keeps XLA
    # from computing a moment twice, which would need a copy of the old one.
    _, state = adam.update(gradients, state, params)
    mu, nu = jax.lax.optimization_barrier((state.mu, state.nu))
    count = state.count.astype(jnp.float32)
    first, second = 1 - n.b1**count, 1 - n.b2**count
    if n.eps_rule == "keras":
      first, second = first / jnp.sqrt(second), 1.0
    direction = jax.tree.map(
      lambda m, v: m / first / (jnp.sqrt(v / second) + n.eps), mu, nu
    )
    return direction, state._replace(mu=mu, nu=nu)

  return optax.GradientTransformation(adam.init, update)


def _adam(schedule: optax.Schedule, n: Numbers):
  """Adam, and AdamW where there is a weight decay (as optax chains them)."""
  decay = optax.identity()
  if n.weight_decay:  # of rank 2 and more: no bias and no scale
    decay = optax.add_decayed_weights(
      n.weight_decay, lambda params: jax.tree.map(lambda x: x.ndim >= 2, params)
    )
  rate = optax.scale_by_learning_rate(schedule)
  return optax.chain(_scale_by_adam(n), decay, rate)


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
  name: str, schedule: optax.Schedule, *, clip_norm: float = 0.0, **numbers
) -> optax.GradientTransformation:
  """The optimiser called `name`.

  Args:
    name: a key of OPTIMIZERS.
    schedule: learning rate of each step.
    clip_norm: gradients are scaled to this global norm at most; 0 is off.
    **numbers: the fields of `Numbers`.

  Raises:
    InputError: no such optimiser or rule; or a weight decay that the optimiser
      does not have (an L2 penalty belongs to the loss).
  """
  n = Numbers(**numbers)
  if name not in OPTIMIZERS:
    raise InputError(
      f"config.optim.name={name!r}: accepted are"
      f" {', '.join(sorted(OPTIMIZERS))}"
    )
  if n.weight_decay and name != "adamw":
    raise InputError(
      f"config.optim.weight_decay={n.weight_decay}: {name!r} has no weight"
      " decay; use adamw, or the L2 penalty of the loss"
    )
  if n.eps_rule not in EPS_RULES:
    raise InputError(
      f"config.optim.eps_rule={n.eps_rule!r}: accepted are"
      f" {', '.join(EPS_RULES)}"
    )
  clip = optax.clip_by_global_norm(clip_norm) if clip_norm else optax.identity()
  return optax.chain(clip, OPTIMIZERS[name](schedule, n))


def step(
  optimizer: optax.GradientTransformation,
  gradients: optax.Updates,
  opt_state: optax.OptState,
  params: optax.Params,
  scale: jax.Array,
) -> tuple[optax.Params, optax.OptState]:
  """Parameters and state after a step; updates are multiplied by `scale`."""
  # A parameter's memory is reused for its new value. Without this order XLA
  # copies each kernel that the backward pass may still read by then.
  gradients, params = jax.lax.optimization_barrier((gradients, params))
  updates, opt_state = optimizer.update(gradients, opt_state, params)
  updates = jax.tree.map(lambda update: update * scale, updates)
  return optax.apply_updates(params, updates), opt_state
