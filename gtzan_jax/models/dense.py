"""Dense layers whose kernel gradient needs no transposed copy on a CPU.

Autodiff writes that gradient as (dy^T x)^T. XLA then stores dy transposed,
which takes as long as the product: twice the time of x^T dy of two matrices.
"""

import functools
import math
from typing import Any

import jax
from flax import linen as nn
from jax import lax

from gtzan_jax.models.derivatives import custom_vjp


def dot_general(
  x: jax.Array, kernel: jax.Array, dimension_numbers: Any, **options: Any
) -> jax.Array:
  """`jax.lax.dot_general`, for `nn.Dense`'s attribute of that name.

  Args:
    x: `[..., in]`.
    kernel: `[in, out]`.
    dimension_numbers: `nn.Dense`'s.
    **options: precision.

  Returns:
    `[..., out]`; forward-mode derivatives within `derivatives.plain`.
  """
  assert dimension_numbers == (((x.ndim - 1,), (0,)), ((), ()))
  y = _product(options.get("precision"), _matrix(x), kernel)
  return y.reshape(*x.shape[:-1], kernel.shape[-1])


def _matrix(x: jax.Array) -> jax.Array:
  """`[..., n]` to `[m, n]`, whose products are the faster ones on a CPU.

  As it is where a batch is split over several devices: the compiler would
  gather it, of frames before examples.
  """
  alone = jax.sharding.get_abstract_mesh().empty
  return x.reshape(math.prod(x.shape[:-1]), x.shape[-1]) if alone else x


Dense = functools.partial(nn.Dense, dot_general=dot_general)


def sum_of_products(x: jax.Array, y: jax.Array, **options: Any) -> jax.Array:
  """`x^T y` over all axes but the last: `[..., a]`, `[..., b]` to `[a, b]`.

  `options` are those of `jax.lax.dot_general`.
  """
  x, y = _matrix(x), _matrix(y)
  axes = tuple(range(x.ndim - 1))
  return lax.dot_general(x, y, ((axes, axes), ((), ())), **options)


@functools.partial(custom_vjp, nondiff_argnums=(0,))
def _product(precision, x, kernel):
  return lax.dot_general(
    x, kernel, (((x.ndim - 1,), (0,)), ((), ())), precision=precision
  )


def _forward(precision, x, kernel):
  return _product(precision, x, kernel), (x, kernel)


def _backward(precision, residuals, dy):
  x, kernel = residuals
  dx = lax.dot_general(
    dy, kernel, (((dy.ndim - 1,), (1,)), ((), ())), precision=precision
  )
  return dx, sum_of_products(x, dy, precision=precision)


_product.defvjp(_forward, _backward)
