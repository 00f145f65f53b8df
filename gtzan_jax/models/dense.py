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
    `[..., out]`; gradients in reverse mode alone.
  """
  assert dimension_numbers == (((x.ndim - 1,), (0,)), ((), ()))
  *batch, channels = x.shape
  rows = x.reshape(math.prod(batch), channels)
  y = _product(options.get("precision"), rows, kernel)
  return y.reshape(*batch, kernel.shape[-1])


Dense = functools.partial(nn.Dense, dot_general=dot_general)


def sum_of_products(x: jax.Array, y: jax.Array, precision=None) -> jax.Array:
  """`x^T y` over the first axis: `[n, a]` and `[n, b]` to `[a, b]`."""
  return lax.dot_general(x, y, (((0,), (0,)), ((), ())), precision=precision)


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def _product(precision, x, kernel):
  return lax.dot(x, kernel, precision=precision)


def _forward(precision, x, kernel):
  return _product(precision, x, kernel), (x, kernel)


def _backward(precision, residuals, dy):
  x, kernel = residuals
  dx = lax.dot_general(
    dy, kernel, (((1,), (1,)), ((), ())), precision=precision
  )
  return dx, sum_of_products(x, dy, precision)


_product.defvjp(_forward, _backward)
