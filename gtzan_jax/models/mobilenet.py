"""MobileNetV2, whole or as a frozen backbone (the ResNet project, phase 3).

Sandler et al. 2018 (arXiv:1801.04381), width 1.0, as Keras and torchvision
build it: a strided 3x3 convolution, 17 inverted residual blocks (1x1 expansion,
3x3 depthwise, linear 1x1 projection), a 1x1 convolution to 1,280 channels;
BatchNorm after each, ReLU6 after all but the projections. The source adds the
mean over the picture, dropout 0.5 and a Dense layer: 2,270,794 values with
BatchNorm statistics at ten classes. Trained weights: gtzan_jax.models.weights.
"""

import operator
from functools import partial, reduce

import jax
import jax.numpy as jnp
from flax import linen as nn

from gtzan_jax.errors import InputError
from gtzan_jax.models.base import Classifier
from gtzan_jax.models.dropout import Dropout
from gtzan_jax.models.layers import InputStats, keras_conv, keras_dense

# The paper's table 2: expansion, output channels, repeats, stride of the first.
STAGES = (
  (1, 16, 1, 1),
  (6, 24, 2, 2),
  (6, 32, 3, 2),
  (6, 64, 4, 2),
  (6, 96, 3, 1),
  (6, 160, 3, 2),
  (6, 320, 1, 1),
)
# Each inverted residual block's expansion, output channels, stride.
BLOCKS = tuple(
  (expansion, channels, 1 if repeat else stride)
  for expansion, channels, repeats, stride in STAGES
  for repeat in range(repeats)
)
BN_EPSILON = 1e-3
# (mean, deviation) of RGB in 0..1 by which the weights' training scaled: to
# -1..1, or by the statistics of ImageNet.
SCALING = {
  "tf": ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
  "torch": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
}


def pads(size: int, stride: int, padding: str) -> tuple[int, int]:
  """Zeros before and after `size` for a 3x3 kernel: `ceil(size / stride)` out.

  At stride 2, "tf" pads an even size at its far end only, "torch" at both ends:
  their windows, and so their weights, are one pixel apart.
  """
  before = 0 if padding == "tf" and stride == 2 and size % 2 == 0 else 1
  return before, 1


class DepthwiseConv(nn.Module):
  """Depthwise 3x3 convolution without bias, as a sum of nine shifted products.

  On a CPU XLA's grouped convolution takes 3 to 28 times as long.
  """

  stride: int
  padding: str

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    """`[b, h, w, c]` to `[b, ceil(h / stride), ceil(w / stride), c]`."""
    shape = (3, 3, 1, x.shape[-1])
    kernel = self.param("kernel", nn.initializers.glorot_uniform(), shape)
    sizes, stride = x.shape[1:3], self.stride
    around = [pads(size, stride, self.padding) for size in sizes]
    # From the first window's first pixel to the last window's.
    rows, columns = ((size - 1) // stride * stride + 1 for size in sizes)
    x = jnp.pad(x, ((0, 0), *around, (0, 0)))
    products = (
      x[:, row : row + rows : stride, column : column + columns : stride]
      * kernel[row, column][None, None]
      for row in range(3)
      for column in range(3)
    )
    return reduce(operator.add, products)


class ConvNorm(nn.Module):
  """Convolution without bias, BatchNorm and, unless `linear`, ReLU6.

  `kernel` 1 or 3, padded by `pads`; `features=0` is the depthwise convolution.
  With `fixed` BatchNorm keeps to its stored averages.
  """

  features: int
  kernel: int = 1
  stride: int = 1
  padding: str = "tf"
  linear: bool = False

  @nn.compact
  def __call__(self, x: jax.Array, *, fixed: bool) -> jax.Array:
    if self.features:
      around = [(0, 0), (0, 0)]
      if self.kernel == 3:
        around = [pads(n, self.stride, self.padding) for n in x.shape[1:3]]
      sides = (self.kernel, self.kernel)
      conv = partial(keras_conv, self.features, sides, self.stride)
      x = conv(padding=around, use_bias=False, name="conv")(x)
    else:
      x = DepthwiseConv(self.stride, self.padding, name="conv")(x)
    norm = partial(nn.BatchNorm, momentum=0.999, epsilon=BN_EPSILON)
    x = norm(fixed, name="norm")(x)
    return x if self.linear else nn.relu6(x)


class InvertedResidual(nn.Module):
  """1x1 expansion (none where it is 1), depthwise 3x3, linear 1x1 projection.

  The input is added where the shapes are the same.
  """

  expansion: int
  features: int
  stride: int
  padding: str

  @nn.compact
  def __call__(self, x: jax.Array, *, fixed: bool) -> jax.Array:
    y = x
    if self.expansion > 1:
      y = ConvNorm(self.expansion * x.shape[-1], name="expand")(y, fixed=fixed)
    depthwise = ConvNorm(0, 3, self.stride, self.padding, name="depthwise")
    y = depthwise(y, fixed=fixed)
    y = ConvNorm(self.features, linear=True, name="project")(y, fixed=fixed)
    return x + y if x.shape == y.shape else y


class MobileNetV2(Classifier):
  """MobileNetV2 1.0 on pictures `[batch, height, width, 3]` in 0..1.

  Any height and width; 2,257,984 values and a head of 1,281 a class. With
  `num_classes` 1000 (Keras, torchvision) or 1001 (TensorFlow) it is ImageNet's
  classifier.

  Frozen, as in the source, only the head trains, at little more than a
  prediction's cost: BatchNorm uses its averages in training too and no gradient
  enters the backbone. A second stage trains the blocks from `trainable_from`
  on; their averages stay fixed, as weights with BatchNorm folded in have none.

  Attributes:
    dropout: dropout rate of the 1,280 means.
    padding: "tf" (also Keras) or "torch", as the weights were trained: `pads`.
    scaling: "tf" to -1..1, "torch" by ImageNet's mean and deviation.
    frozen: whether the backbone is fixed; if not, all of it trains.
    trainable_from: number of the first inverted residual block (0 to 16) that
      trains though frozen; 17: none, and not the convolution after them.

  Raises:
    InputError: a field has another value, or x has another shape.
  """

  dropout: float = 0.5
  padding: str = "tf"
  scaling: str = "tf"
  frozen: bool = True
  trainable_from: int = len(BLOCKS)

  def __post_init__(self):
    for name, values in (
      ("padding", ("tf", "torch")),
      ("scaling", tuple(SCALING)),
      ("trainable_from", range(len(BLOCKS) + 1)),
    ):
      if getattr(self, name) not in values:
        raise InputError(
          f"mobilenet_v2: {name}={getattr(self, name)!r}: give"
          f" {values[0]!r} {'to' if len(values) > 2 else 'or'} {values[-1]!r}"
        )
    super().__post_init__()

  @nn.compact
  def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
    if x.ndim != 4 or x.shape[-1] != 3:
      raise InputError(
        "mobilenet_v2 takes pictures [batch, height, width, 3], not"
        f" {list(x.shape)}"
      )
    x = InputStats(name="standardise")(x)
    mean, deviation = jnp.array(SCALING[self.scaling], x.dtype)
    x = (x - mean[None, None, None]) / deviation[None, None, None]
    frozen_until = self.trainable_from if self.frozen else -1
    fixed = self.frozen or not train
    x = ConvNorm(32, 3, 2, self.padding, name="stem")(x, fixed=fixed)
    for number, block in enumerate(BLOCKS):
      if number == frozen_until:
        x = jax.lax.stop_gradient(x)
      layer = InvertedResidual(*block, self.padding, name=f"block{number}")
      x = layer(x, fixed=fixed)
    x = ConvNorm(1280, name="last")(x, fixed=fixed)
    if frozen_until == len(BLOCKS):
      x = jax.lax.stop_gradient(x)
    x = x.mean((1, 2))
    x = Dropout(self.dropout, deterministic=not train)(x)
    return keras_dense(self.num_classes, name="head")(x)
