"""Attention over log-mel frames (the CNN-GRU project's future work).

The source names only "attention-based models or transformers". This is a
pre-norm encoder (Xiong et al. 2020, arXiv:2002.04745) on a convolutional stem
over time, as Whisper's (Radford et al. 2022, arXiv:2212.04356).
"""

import math

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from gtzan_jax.errors import InputError
from gtzan_jax.models.base import Classifier
from gtzan_jax.models.dropout import Dropout
from gtzan_jax.models.layers import InputStats
from gtzan_jax.models.layers import keras_conv as conv
from gtzan_jax.models.layers import keras_dense as dense


def positions(length: int, width: int) -> np.ndarray:
  """Sines and cosines of each place, `[length, width]` in -1..1.

  Wave lengths run from 2 pi to 2 pi 10,000 tokens (Vaswani et al. 2017,
  arXiv:1706.03762), sines in the first half. `width` is even.
  """
  rates = 10_000.0 ** -np.linspace(0.0, 1.0, width // 2)
  angles = np.arange(length)[:, None] * rates[None, :]
  return np.concatenate([np.sin(angles), np.cos(angles)], axis=1)


class Attention(nn.Module):
  """Self-attention: softmax(q k / sqrt(d)) v in each head, without biases."""

  heads: int

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    """Returns `[batch, tokens, width]`, the shape of `x`."""
    shape = (*x.shape[:2], self.heads, -1)
    q, k, v = (
      dense(x.shape[-1], use_bias=False, name=name)(x)
      .reshape(shape)
      .swapaxes(1, 2)
      for name in ("query", "key", "value")
    )
    # With the heads beside the batch, XLA needs no copies of the scores (as
    # `jax.nn.dot_product_attention` does: a twentieth of a step on a CPU).
    scores = jnp.einsum("bhtd,bhsd->bhts", q, k) / math.sqrt(q.shape[-1])
    y = jnp.einsum("bhts,bhsd->bhtd", nn.softmax(scores), v).swapaxes(1, 2)
    return dense(x.shape[-1], use_bias=False, name="out")(y.reshape(x.shape))


class Block(nn.Module):
  """x + attention(norm(x)), then x + feed-forward(norm(x)).

  Attributes:
    heads: attention heads.
    dropout: dropout rate of each sum's second term.
    drop_path: stochastic depth (Huang et al. 2016, arXiv:1603.09382): rate at
      which an example drops that term altogether.
  """

  heads: int
  dropout: float
  drop_path: float

  @nn.compact
  def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
    """Returns `[batch, tokens, width]`, the shape of `x`."""

    def dropped(y):
      y = Dropout(self.dropout, deterministic=not train)(y)
      # One draw for all tokens and channels of an example.
      path = Dropout(self.drop_path, broadcast_dims=(1, 2))
      return path(y, deterministic=not train)

    width = x.shape[-1]
    y = nn.LayerNorm(name="attention_norm")(x)
    x = x + dropped(Attention(self.heads, name="attention")(y))
    y = nn.LayerNorm(name="feed_norm")(x)
    y = nn.gelu(dense(4 * width, name="feed_in")(y))
    return x + dropped(dense(width, name="feed_out")(y))


class Transformer(Classifier):
  """Two convolutions over time, positions, blocks, mean, head; `[b, f, bins]`.

  A token is `stride` frames with all bins. Any number of frames; the bins are
  fixed at init. 0.89 M parameters at 128 bins.

  Attributes:
    width: channels of a token.
    depth: number of blocks.
    heads: attention heads of a block; they divide the width.
    stride: frames from one token to the next.
    dropout: dropout rate of the tokens, in each block and before the head.
    drop_path: stochastic depth of the last block; that of the others grows
      evenly up to it, from `drop_path / depth`.

  Raises:
    InputError: the width is no multiple of twice the heads.
  """

  width: int = 128
  depth: int = 4
  heads: int = 4
  stride: int = 2
  dropout: float = 0.1
  drop_path: float = 0.1

  @nn.compact
  def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
    if self.width % (2 * self.heads):
      raise InputError(
        f"transformer got width={self.width} and heads={self.heads}; the width"
        " is a multiple of twice the heads"
      )
    drop = Dropout(self.dropout, deterministic=not train)
    x = InputStats(name="standardise")(x)
    x = nn.gelu(conv(self.width, (3,), name="stem0")(x))
    x = nn.gelu(conv(self.width, (3,), self.stride, name="stem1")(x))
    place = jnp.asarray(positions(x.shape[1], self.width), x.dtype)
    x = drop(x + place[None])
    for number in range(self.depth):
      share = self.drop_path * (number + 1) / self.depth
      block = Block(self.heads, self.dropout, share, name=f"block{number}")
      x = block(x, train=train)
    x = nn.LayerNorm(name="norm")(x).mean(1)
    return dense(self.num_classes, name="head")(drop(x))
