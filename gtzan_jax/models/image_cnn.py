"""CNNs on pictures of spectrograms: the LSTM-GAN and ResNet projects.

They read `[batch, height, width, 3]`, RGB in 0..1. The output of the
convolutions is flattened: the picture's size is fixed at init.
"""

import jax
from flax import linen as nn

from gtzan_jax.models import layers, pooling
from gtzan_jax.models.base import Classifier


class PairedCNN(Classifier):
  """The LSTM-GAN project's Net2 (and Net3, Net4): convolutions in pairs, pools.

  3x3 convolutions of "same" padding, ReLU, 2x2 max pools, one hidden layer.
  Net3 and Net4 add BatchNorm after ReLU, or after the pool where one follows.
  torch's initialisers. At 180 x 180 and ten classes 66,460,522 values,
  66,461,546 with BatchNorm and its statistics.

  Attributes:
    channels: output channels of each convolution; a pool follows the second,
      the fourth and so on.
    dense: width of the hidden layer.
    batch_norm: whether each convolution is followed by BatchNorm.
  """

  channels: tuple[int, ...] = (32, 32, 64, 128)
  dense: int = 256
  batch_norm: bool = False

  @nn.compact
  def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
    x = layers.InputStats(name="standardise")(x)
    for number, channels in enumerate(self.channels):
      x = layers.torch_conv(
        channels, x.shape[-1], (3, 3), name=f"conv{number}"
      )(x)
      if number % 2:  # before ReLU, which commutes with a maximum
        x = pooling.max_pool(x)
      x = nn.relu(x)
      if self.batch_norm:
        x = layers.torch_batch_norm(not train, name=f"norm{number}")(x)
    x = x.reshape(x.shape[0], -1)
    x = nn.relu(layers.torch_dense(self.dense, x.shape[-1], name="dense")(x))
    return layers.torch_dense(self.num_classes, x.shape[-1], name="head")(x)


class PairedNormCNN(PairedCNN):
  """`PairedCNN` with BatchNorm: the LSTM-GAN project's Net3 and Net4."""

  batch_norm: bool = True


class ImageCNN(Classifier):
  """The ResNet project's phase 2: three times convolution and pool, one layer.

  3x3 convolutions of "same" padding, ReLU, 2x2 max pools, a hidden layer with
  dropout. Keras's initialisers. 16,871,882 parameters at 256 x 256 and ten
  classes.

  Attributes:
    channels: output channels of each convolution.
    dense: width of the hidden layer.
    dropout: dropout rate of the hidden layer.
  """

  channels: tuple[int, ...] = (32, 64, 128)
  dense: int = 128
  dropout: float = 0.5

  @nn.compact
  def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
    x = layers.InputStats(name="standardise")(x)
    for number, channels in enumerate(self.channels):
      x = layers.keras_conv(channels, (3, 3), name=f"conv{number}")(x)
      x = nn.relu(pooling.max_pool(x))  # the order is free
    return layers.keras_head(self, x, self.dense, train)
