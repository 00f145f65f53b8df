"""Layers as torch builds them by default, for sources written in torch.

Kernels and biases are uniform in ±1/sqrt(inputs of one output), which is what
torch's own `reset_parameters` amounts to; BatchNorm keeps 90 % of its
statistics at each step (torch calls that momentum 0.1). The running variance
averages the batch's, where torch takes n / (n - 1) of it.
"""

import math
from functools import partial

import jax
from flax import linen as nn

batch_norm = partial(nn.BatchNorm, momentum=0.9, epsilon=1e-5)


def within(bound: float):
  """An initialiser: uniform in ±`bound`."""

  def init(key, shape, dtype=float):
    return jax.random.uniform(key, shape, dtype, -bound, bound)

  return init


def dense(features: int, inputs: int, *, name: str) -> nn.Dense:
  """`torch.nn.Linear(inputs, features)`."""
  init = within(1 / math.sqrt(inputs))
  return nn.Dense(features, kernel_init=init, bias_init=init, name=name)


def conv(
  features: int, inputs: int, kernel: tuple[int, int], *, name: str
) -> nn.Conv:
  """`torch.nn.Conv2d(inputs, features, kernel, padding="same")`."""
  init = within(1 / math.sqrt(inputs * math.prod(kernel)))
  return nn.Conv(features, kernel, kernel_init=init, bias_init=init, name=name)
