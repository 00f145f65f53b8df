"""From a trained generator to examples, as the pipeline would have read them.

Example `i` of a genre depends on the generator, the seed and `i` alone, not on
how many are asked for. Batches are always of one size, padded: to the last bit
an example is the same wherever it has the same place in a batch of that size.
"""

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence

import jax
import jax.numpy as jnp
import numpy as np

from gtzan_jax import features
from gtzan_jax.audio import files as audio
from gtzan_jax.features import FeatureSpec
from gtzan_jax.gan import networks as gans
from gtzan_jax.gan import task as gan

Sampler = Callable[[Mapping, jax.Array, jax.Array], dict[str, jax.Array]]


def sampler(networks: gans.Networks, source: str, spec: FeatureSpec) -> Sampler:
  """(variables, noise [b, n], label [b]) -> the stored arrays of examples.

  Generated waveforms are rounded to 16 bits and their features computed by the
  code that computes those of real segments.

  Args:
    networks: of the GAN.
    source: what it generates, "features" or "audio".
    spec: the feature set of the data that it was trained on.
  """

  def sample(variables, noise, label):
    x = gan.generate(networks, variables, noise, label)
    if source == "features":
      return {"features": x}
    pcm = jnp.clip(jnp.rint(x * 32768), -32768, 32767).astype(jnp.int16)
    found = features.extract(audio.to_float(pcm), spec)
    return {"audio": pcm, "features": found}

  return jax.jit(sample)


@functools.partial(jax.jit, static_argnums=3)
def noise(
  seed: np.uint32, label: jax.Array, index: jax.Array, size: int
) -> jax.Array:
  """Standard normal `[b, size]`, one row for each (genre, index)."""

  def row(label, index):
    key = jax.random.fold_in(jax.random.key(seed), label)
    return jax.random.normal(jax.random.fold_in(key, index), (size,))

  return jax.vmap(row)(label, index)


def batches(
  sample: Sampler,
  variables: Mapping,
  size: int,
  *,
  label: np.ndarray,
  index: np.ndarray,
  seed: int,
  batch_size: int,
) -> Iterator[dict[str, np.ndarray]]:
  """Examples of these genres and indices, in order, with their "label".

  Args:
    sample: from `sampler`.
    variables: the generator's.
    size: of its noise.
    label: `[n]` int32, the genres.
    index: `[n]` int32, which example of its genre each is.
    seed: of the noise.
    batch_size: examples computed at a time, the last batch with padding that
      is cut off again.
  """
  for start in range(0, len(label), batch_size):
    here = slice(start, start + batch_size)
    count = len(label[here])
    pad = (0, batch_size - count)
    genre = np.pad(label[here], pad).astype(np.int32)
    each = np.pad(index[here], pad).astype(np.int32)
    found = sample(variables, noise(np.uint32(seed), genre, each, size), genre)
    found = {key: np.asarray(value)[:count] for key, value in found.items()}
    yield found | {"label": genre[:count]}


def join(blocks: Sequence[Mapping[str, np.ndarray]]) -> dict[str, np.ndarray]:
  """Several batches as one, in order."""
  return {
    key: np.concatenate([block[key] for block in blocks]) for key in blocks[0]
  }


def numbered(label: np.ndarray) -> np.ndarray:
  """Which of its genre each is: [2, 0, 2, 2] -> [0, 0, 1, 2], int32."""
  index = np.zeros(len(label), np.int32)
  for genre in np.unique(label):
    mine = label == genre
    index[mine] = np.arange(mine.sum())
  return index
