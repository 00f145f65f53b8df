"""Batch normalisation, alone or with the ReLU and max pool behind it."""

import functools

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax import lax

from gtzan_jax.models import pooling
from gtzan_jax.models.derivatives import custom_vjp


class BatchNorm(nn.Module):
  """`nn.BatchNorm` over the last axis, with a gradient in two passes.

  Parameters, statistics and values are those of `nn.BatchNorm`; what the
  gradient keeps is the input alone. With `pool`, ReLU (leaky with `slope`) and
  `max_pool` of that window ("same" padding) follow: the gradient then reduces
  over the maxima, which the others do not reach, and nothing of the input's
  size lies between. (At a scale of exactly 0 all values are equal: its gradient
  is that of the largest inputs, where Linen's is that of the first.)

  Attributes:
    use_running_average: whether to normalise by the running statistics.
    momentum: of the running statistics: the share that stays.
    epsilon: added to the variance.
  """

  use_running_average: bool = False
  momentum: float = 0.99
  epsilon: float = 1e-5

  @nn.compact
  def __call__(
    self,
    x: jax.Array,
    *,
    pool: tuple[int, int] | None = None,
    slope: float = 0.0,
  ) -> jax.Array:
    """`[..., channels]` to the same shape; `[b, h, w, c]` if pooled.

    `slope` is that of a leaky ReLU, from 0 to 1.
    """
    shape = x.shape[-1:]
    zeros, ones = nn.initializers.zeros, nn.initializers.ones
    mean = self.variable("batch_stats", "mean", jnp.zeros, shape)
    variance = self.variable("batch_stats", "var", jnp.ones, shape)
    scale = self.param("scale", ones, shape)
    bias = self.param("bias", zeros, shape)
    dtype = jnp.result_type(x, scale, bias)
    wide = jnp.result_type(x, mean.value)  # moments of bfloat16 in float32
    x, scale, bias = (array.astype(wide) for array in (x, scale, bias))
    if self.use_running_average:
      factor = scale * lax.rsqrt(variance.value + self.epsilon)
      y = _affine(x, factor, bias - mean.value * factor)
      if pool is not None:
        y = nn.leaky_relu(pooling.max_pool(y, pool), slope)
      return y.astype(dtype)
    if pool is None:
      y, *moments = _norm(self.epsilon, x, scale, bias)
    else:
      y, *moments = _norm_relu_pool(self.epsilon, pool, slope, x, scale, bias)
    if not self.is_initializing():
      for running, new in zip((mean, variance), moments, strict=True):
        keep = self.momentum
        running.value = keep * running.value + (1 - keep) * new
    return y.astype(dtype)


def _wide(channel: jax.Array, x: jax.Array) -> jax.Array:
  return channel.reshape((1,) * (x.ndim - 1) + (-1,))


def _affine(x, factor, shift):
  return x * _wide(factor, x) + _wide(shift, x)


def _sum(x: jax.Array) -> jax.Array:
  return x.sum(tuple(range(x.ndim - 1)))


def _moments(x: jax.Array) -> tuple[jax.Array, jax.Array]:
  """Mean and variance of each channel, in one pass over x (as Linen's)."""
  count = x.size // x.shape[-1]
  mean = _sum(x) / count
  return mean, jnp.maximum(_sum(x * x) / count - mean * mean, 0.0)


def _input_gradient(x, mean, root, scale, dscale, dbias, dy):
  """Of a normalised input; `dy` may be sparse, its sums are given."""
  count = x.size // x.shape[-1]
  factor = scale * root
  slope = -factor * root * dscale / count
  shift = -factor * dbias / count - slope * mean
  return dy * _wide(factor, x) + _affine(x, slope, shift)


@functools.partial(custom_vjp, nondiff_argnums=(0,))
def _norm(epsilon, x, scale, bias):
  return _norm_forward(epsilon, x, scale, bias)[0]


def _norm_forward(epsilon, x, scale, bias):
  mean, variance = _moments(x)
  root = lax.rsqrt(variance + epsilon)
  y = _affine(x, scale * root, bias - mean * scale * root)
  return (y, mean, variance), (x, mean, root, scale)


def _norm_backward(epsilon, residuals, gradients):
  x, mean, root, scale = residuals
  dy = gradients[0]  # the statistics are not trained on
  dbias = _sum(dy)
  dscale = (_sum(dy * x) - mean * dbias) * root
  dx = _input_gradient(x, mean, root, scale, dscale, dbias, dy)
  return dx, dscale, dbias


_norm.defvjp(_norm_forward, _norm_backward)


def _pads(window, x) -> tuple:
  return tuple(lax.padtype_to_pads(x.shape[1:3], window, window, "SAME"))


@functools.partial(custom_vjp, nondiff_argnums=(0, 1, 2))
def _norm_relu_pool(epsilon, window, slope, x, scale, bias):
  return _pool_forward(epsilon, window, slope, x, scale, bias)[0]


def _pool_forward(epsilon, window, slope, x, scale, bias):
  mean, variance = _moments(x)
  root = lax.rsqrt(variance + epsilon)
  factor = scale * root
  # Pooled before it is normalised: where the factor is negative, by minima.
  sign = jnp.where(factor < 0, -1.0, 1.0)
  top, place = pooling.largest(window, _pads(window, x), x * _wide(sign, x))
  top = top * _wide(sign, x)
  y = nn.leaky_relu(_affine(top, factor, bias - mean * factor), slope)
  return (y, mean, variance), (x, mean, root, scale, bias, top, place)


def _pool_backward(epsilon, window, slope, residuals, gradients):
  x, mean, root, scale, bias, top, place = residuals
  factor = scale * root
  y = _affine(top, factor, bias - mean * factor)
  dy = jnp.where(y > 0, gradients[0], slope * gradients[0])
  dbias = _sum(dy)
  dscale = (_sum(dy * top) - mean * dbias) * root
  dy = pooling.spread(window, _pads(window, x), x.shape, place, dy)
  dx = _input_gradient(x, mean, root, scale, dscale, dbias, dy)
  return dx, dscale, dbias


_norm_relu_pool.defvjp(_pool_forward, _pool_backward)
