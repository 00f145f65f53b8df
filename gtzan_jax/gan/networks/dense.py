"""The LSTM-GAN project's conditional GAN: fully connected layers only.

Conditional GAN: M. Mirza and S. Osindero, "Conditional Generative Adversarial
Nets", arXiv:1411.1784. Initial weights are torch's, as in the source: uniform
in ±1/sqrt(inputs), embeddings standard normal.
"""

import math

import jax
import jax.numpy as jnp
from flax import linen as nn

from gtzan_jax.errors import InputError
from gtzan_jax.gan.networks.base import Discriminator, Generator, Networks
from gtzan_jax.models import layers

_OUTPUTS = {"tanh": jnp.tanh, "linear": lambda x: x}


def _embed(num_classes: int, features: int, label: jax.Array) -> jax.Array:
  """`torch.nn.Embedding`, for use inside a compact method."""
  init = nn.initializers.normal(1.0)
  genre = nn.Embed(num_classes, features, embedding_init=init, name="genre")
  return genre(label)


class DenseGenerator(Generator):
  """Noise and genre through widening layers, ReLU between them.

  `output` is "tanh" for waveforms, "linear" for standardised features.
  """

  embedding: int
  hidden: tuple[int, ...]
  output: str

  @nn.compact
  def __call__(self, noise: jax.Array, label: jax.Array) -> jax.Array:
    genre = _embed(self.num_classes, self.embedding, label)
    x = jnp.concatenate([noise, genre], axis=-1)
    for number, width in enumerate(self.hidden):
      x = layers.torch_dense(width, x.shape[-1], name=f"dense{number}")(x)
      x = nn.relu(x)
    size = math.prod(self.example_shape)
    x = layers.torch_dense(size, x.shape[-1], name="out")(x)
    return _OUTPUTS[self.output](x).reshape(-1, *self.example_shape)


class DenseDiscriminator(Discriminator):
  """The flattened example and its genre through layers with LeakyReLU 0.2."""

  embedding: int
  hidden: tuple[int, ...]

  @nn.compact
  def __call__(self, x: jax.Array, label: jax.Array) -> jax.Array:
    genre = _embed(self.num_classes, self.embedding, label)
    x = x.reshape(x.shape[0], -1)
    x = jnp.concatenate([x, genre], axis=-1)
    for number, width in enumerate(self.hidden):
      x = layers.torch_dense(width, x.shape[-1], name=f"dense{number}")(x)
      x = nn.leaky_relu(x, 0.2)
    return layers.torch_dense(1, x.shape[-1], name="score")(x)[:, 0]


def cgan_dense(
  num_classes: int,
  example_shape: tuple[int, ...],
  *,
  noise: int = 100,
  embedding: int = 10,
  hidden: tuple[int, ...] = (512, 1024, 2048),
  critic_hidden: tuple[int, ...] = (1024, 512),
  output: str = "tanh",
) -> Networks:
  """The source's GAN: 206,036,121 parameters on 66,000 samples, ten genres."""
  if output not in _OUTPUTS:
    raise InputError(
      f"cgan_dense: output={output!r}; it takes {' or '.join(_OUTPUTS)}"
    )
  return Networks(
    DenseGenerator(
      num_classes, example_shape, noise, embedding, hidden, output
    ),
    DenseDiscriminator(num_classes, embedding, critic_hidden),
  )
