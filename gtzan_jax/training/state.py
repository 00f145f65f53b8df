"""The state that a training step updates."""

import flax.struct
import jax
import jax.numpy as jnp
import optax

Scalars = dict[str, jax.Array]


class TrainState(flax.struct.PyTreeNode):
  """Everything a step updates, and its random key.

  Attributes:
    step: int32, steps taken.
    key: the run's random key, never changed.
    params: the parameters; of a GAN a dict of two, "generator" and
      "discriminator".
    model_state: other collections of a model (`batch_stats`, `input_stats`).
    opt_state: the optimizer's; of a GAN a dict of two.
    lr_scale: float32, plateau factor of the updates.
    totals: float32 sums since the last evaluation.
  """

  step: jax.Array
  key: jax.Array
  params: dict
  model_state: dict
  opt_state: optax.OptState
  lr_scale: jax.Array
  totals: Scalars


def begin(
  key: jax.Array,
  params: dict,
  model_state: dict,
  opt_state: optax.OptState,
  totals: tuple[str, ...],
) -> TrainState:
  """The state before the first step; `totals` are the names of its sums."""
  return TrainState(
    step=jnp.zeros((), jnp.int32),
    key=key,
    params=params,
    model_state=model_state,
    opt_state=opt_state,
    lr_scale=jnp.ones((), jnp.float32),
    # an array for each name: the step donates its input buffers
    totals={name: jnp.zeros((), jnp.float32) for name in totals},
  )
