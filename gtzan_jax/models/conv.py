"""2-D convolution whose kernel gradient is fast on a CPU.

XLA computes that gradient as a convolution with a kernel as large as the
picture: 2 to 6 times the time of the layer itself. Here it is products over
patches, some examples at a time, which stay in the cache.
"""

import functools
import math
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from jax import lax
from jax.sharding import PartitionSpec

from gtzan_jax.models import dense
from gtzan_jax.models.derivatives import custom_vjp

_LAYOUT = ("NHWC", "HWIO", "NHWC")

# Values of the copies that are made at a time: 8 MiB.
_VALUES = 2**21


def conv_general_dilated(
  x: jax.Array,
  kernel: jax.Array,
  window_strides: Sequence[int],
  padding: str | Sequence[tuple[int, int]],
  **options: Any,
) -> jax.Array:
  """`jax.lax.conv_general_dilated`, for `nn.Conv`'s attribute of that name.

  A 2-D convolution of stride 1 without dilation, groups or a precision gets the
  gradient of this module (forward mode within `derivatives.plain`); any other
  is XLA's.
  """
  plain = options.get("feature_group_count", 1) == 1 and all(
    set(options.get(name) or (1,)) == {1}
    for name in ("lhs_dilation", "rhs_dilation")
  )
  typed = options.get("precision") or options.get("preferred_element_type")
  size = kernel.shape[:-2]
  if x.ndim != 4 or set(window_strides) != {1} or typed or not plain:
    return lax.conv_general_dilated(
      x, kernel, window_strides, padding, **options
    )
  if isinstance(padding, str):
    padding = lax.padtype_to_pads(x.shape[1:3], size, (1, 1), padding)
  pads = tuple((int(low), int(high)) for low, high in padding)
  if size == (1, 1) and pads == ((0, 0), (0, 0)):
    return dense.dot_general(x, kernel[0, 0], (((3,), (0,)), ((), ())))
  return _conv(pads, x, kernel)


Conv = functools.partial(nn.Conv, conv_general_dilated=conv_general_dilated)


def _xla(pads, x, kernel):
  return lax.conv_general_dilated(
    x, kernel, (1, 1), pads, dimension_numbers=_LAYOUT
  )


@functools.partial(custom_vjp, nondiff_argnums=(0,))
def _conv(pads, x, kernel):
  return _xla(pads, x, kernel)


def _forward(pads, x, kernel):
  return _xla(pads, x, kernel), (x, kernel)


def _backward(pads, residuals, dy):
  x, kernel = residuals
  # By this module's convolution, so that the derivative of dx (a penalty on
  # gradients) has its kernel gradient too.
  turned = kernel[::-1, ::-1].swapaxes(2, 3)
  around = tuple(
    (size - 1 - low, n + low - dn)
    for size, n, dn, (low, _) in zip(
      kernel.shape[:2], x.shape[1:3], dy.shape[1:3], pads, strict=True
    )
  )
  dx = _conv(around, dy, turned)

  def by_xla(x, dy):
    return jax.vjp(lambda kernel: _xla(pads, x, kernel), kernel)[1](dy)[0]

  if not (x.size and dy.size):
    return dx, by_xla(x, dy)
  by_products = functools.partial(kernel_gradient, pads, kernel.shape[:2])
  mesh = jax.sharding.get_abstract_mesh()
  if not mesh.empty and len(x) % mesh.size == 0:
    # Each device in turn through its own examples: the compiler would gather
    # those of all.
    by_products = _of_each_device(by_products, mesh)
  dk = lax.platform_dependent(x, dy, cpu=by_products, default=by_xla)
  return dx, dk


_conv.defvjp(_forward, _backward)


def _of_each_device(gradient, mesh):
  axes = mesh.axis_names
  return jax.shard_map(
    lambda x, dy: lax.psum(gradient(x, dy), axes),
    in_specs=PartitionSpec(axes),
    out_specs=PartitionSpec(),
    check_vma=False,  # the scan's first total is the same everywhere
  )


def kernel_gradient(
  pads: Sequence[tuple[int, int]],
  size: tuple[int, int],
  x: jax.Array,
  dy: jax.Array,
) -> jax.Array:
  """The gradient of a convolution of stride 1 with respect to its kernel.

  Args:
    pads: (low, high) of height and width.
    size: height and width of the kernel.
    x: the input, `[batch, height, width, in]`, not empty.
    dy: the gradient of the output, `[batch, rows, columns, out]`.

  Returns:
    `[*size, in, out]`, summed in float32 at least.
  """
  batch, rows, columns, out = dy.shape
  channels = x.shape[-1]
  high, wide = size
  copied = (wide * channels + high * out, high * wide * channels)
  most = max(1, min(batch, _VALUES // (min(copied) * rows * columns)))
  count = max(n for n in range(1, most + 1) if batch % n == 0)
  if 2 * count < most:  # a prime batch: examples of zeros complete it
    count = most
  missing = -batch % count
  # The padding is maybe negative, in the derivative of dx.
  around = ((0, missing), *pads, (0, 0))
  x = lax.pad(x, jnp.zeros((), x.dtype), [(*ends, 0) for ends in around])
  dy = jnp.pad(dy, [(0, missing), (0, 0), (0, 0), (0, 0)])
  image = x.shape[1:3]
  x = x.reshape(-1, count, *x.shape[1:])
  dy = dy.reshape(-1, count, *dy.shape[1:])

  products = functools.partial(
    dense.sum_of_products,
    preferred_element_type=jnp.promote_types(x.dtype, jnp.float32),
  )

  def shifted(x, dy):
    """Columns of x and rows of dy are shifted: [wide, in] by [high, out]."""
    x = _windows(x, _places(count, image, (image[0], columns)), wide * channels)
    dy = jnp.pad(dy, ((0, 0), (high - 1, high - 1), (0, 0), (0, 0)))
    starts = range(high - 1, -1, -1)
    dy = jnp.stack([dy[:, i : i + rows + high - 1] for i in starts], 3)
    return products(x, dy.reshape(*dy.shape[:3], high * out))

  def patched(x, dy):
    """Whole patches of x: [high, wide, in] by [out]."""
    places = _places(count, image, (rows, columns))[..., None]
    x = _windows(x, places + np.arange(high) * image[1], wide * channels)
    return products(x.reshape(*dy.shape[:3], high * wide * channels), dy)

  fewer_copies = copied[0] < copied[1]
  product = shifted if fewer_copies else patched
  first = jax.eval_shape(product, x[0], dy[0])
  total, _ = lax.scan(
    lambda total, pair: (total + product(*pair), None),
    jnp.zeros(first.shape, first.dtype),
    (x, dy),
  )
  if fewer_copies:
    total = total.reshape(wide, channels, high, out).transpose(2, 0, 1, 3)
  return total.reshape(high, wide, channels, out).astype(x.dtype)


def _places(
  count: int, image: tuple[int, int], corner: tuple[int, int]
) -> np.ndarray:
  """Which position each of `corner` of each image is: `[count, *corner]`."""
  return np.arange(count * math.prod(image)).reshape(count, *image)[
    :, : corner[0], : corner[1]
  ]


def _windows(x: jax.Array, places: np.ndarray, size: int) -> jax.Array:
  """`size` values in a row from each position: `[*places.shape, size]`.

  Of `[..., channels]`. A window of several columns is one copy; XLA's
  concatenation of shifted images, or a window of one column, takes three times
  as long. Where the padding or the product is fused with it, so does this.
  """
  starts = jnp.asarray(places * x.shape[-1])[..., None]
  windows = lax.gather(
    lax.optimization_barrier(x.ravel()),
    starts,
    lax.GatherDimensionNumbers(
      offset_dims=(places.ndim,), collapsed_slice_dims=(), start_index_map=(0,)
    ),
    (size,),
    mode="promise_in_bounds",
  )
  return lax.optimization_barrier(windows)
