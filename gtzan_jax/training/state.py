"""The state that a training step updates."""

import flax.struct
import jax
import jax.numpy as jnp
import optax

Scalars = dict[str, jax.Array]


class TrainState(flax.struct.PyTreeNode):
  """Everything a step updates, and its random key, which never changes.

  `params` and `opt_state` of a GAN are dicts of "generator" and
  "discriminator"; `model_state` are other collections (`batch_stats`,
  `input_stats`); `lr_scale` is the float32 plateau factor of the updates;
  `totals` are float32 sums since the last evaluation.
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
