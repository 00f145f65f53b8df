"""Convolution, then recurrence over time (the CNN-GRU project).

The source names its layers and their order (convolution, LSTM or GRU, fully
connected, dropout; PyTorch) but no sizes: these make it as costly as mel_cnn.
PyTorch has two biases a gate; here there is one where only their sum counts.
"""

from collections.abc import Callable
from typing import ClassVar

import jax
from flax import linen as nn

from gtzan_jax.errors import InputError
from gtzan_jax.models.base import Classifier
from gtzan_jax.models.dense import Dense
from gtzan_jax.models.dropout import Dropout
from gtzan_jax.models.layers import InputStats, conv_norm_relu_pool
from gtzan_jax.models.scan_rnn import ScanGRU, ScanLSTM, torch_init


class CNNGRU(Classifier):
  """Blocks of 3x3 convolution, BatchNorm, ReLU, max pool; GRU; two Dense.

  Frequency is pooled by 32 and time by 4: 38 archive columns give the GRU 10
  steps, 258 frames 65. A step is the remaining bands and channels; the last
  state is classified. Any number of frames; the bins are fixed at init.

  Attributes:
    channels: output channels of each block.
    pool_frames: each block's pooling over time, one for each of `channels`.
    pool_bins: the same over frequency.
    hidden: size of the recurrent state.
    dense: width of the hidden Dense layer.
    dropout: dropout rate before the recurrence and before each Dense layer.

  Raises:
    InputError: `channels`, `pool_frames` and `pool_bins` differ in length.
  """

  channels: tuple[int, ...] = (16, 32, 64, 128)
  pool_frames: tuple[int, ...] = (2, 2, 1, 1)
  pool_bins: tuple[int, ...] = (2, 2, 4, 2)
  hidden: int = 128
  dense: int = 64
  dropout: float = 0.3

  layer: ClassVar[Callable[..., nn.Module]] = ScanGRU

  @nn.compact
  def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
    options = (self.channels, self.pool_frames, self.pool_bins)
    if len(set(map(len, options))) > 1:
      raise InputError(
        f"channels={self.channels}, pool_frames={self.pool_frames} and"
        f" pool_bins={self.pool_bins} need the same length, one entry a block"
      )
    x = InputStats(name="standardise")(x)[..., None]
    blocks = enumerate(zip(*options, strict=True))
    for number, (channels, frames, bins) in blocks:
      window = (frames, bins)
      x = conv_norm_relu_pool(x, channels, number, train, window)
    x = x.reshape(*x.shape[:2], -1)
    drop = Dropout(self.dropout, deterministic=not train)
    init = torch_init(self.hidden)
    recurrent = self.layer(self.hidden, **init, name="recurrent")
    x = recurrent(drop(x), last=True)
    x = nn.relu(Dense(self.dense, name="dense")(drop(x)))
    return Dense(self.num_classes, name="head")(drop(x))


class CNNLSTM(CNNGRU):
  """`CNNGRU` with an LSTM in place of the GRU."""

  layer: ClassVar[Callable[..., nn.Module]] = ScanLSTM
