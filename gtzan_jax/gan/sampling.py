"""Draws examples from a generator in the form of prepared data.

Example `i` of a genre depends on generator, seed and `i` only, not on their
number. Batches have one size, padded, so that results are equal to the last bit
at equal places in a batch.
"""

import functools
from collections.abc import Callable, Iterable, Iterator, Mapping

import jax
import jax.numpy as jnp
import numpy as np

from gtzan_jax import features
from gtzan_jax.audio import waveform
from gtzan_jax.features import FeatureSpec
from gtzan_jax.gan import networks as gans
from gtzan_jax.gan import step

Sampler = Callable[[Mapping, jax.Array, jax.Array], dict[str, jax.Array]]


def sampler(networks: gans.Networks, source: str, spec: FeatureSpec) -> Sampler:
  """(variables, noise [b, n], label [b]) -> the stored arrays of examples.

  Waveforms (`source` "audio" instead of "features") are rounded to 16 bits and
  their features, those of `spec`, computed as for real segments.
  """

  def sample(variables, noise, label):
    x = step.generate(networks, variables, noise, label)
    if source == "features":
      return {"features": x}
    pcm = jnp.clip(jnp.rint(x * 32768), -32768, 32767).astype(jnp.int16)
    found = features.extract(waveform.to_float(pcm), spec)
    return {"audio": pcm, "features": found}

  return jax.jit(sample)


@functools.partial(jax.jit, static_argnums=3)
def noise(
  seed: np.uint32, label: jax.Array, index: jax.Array, size: int
) -> jax.Array:
  """Standard normal `[b, size]`, a row for each (genre, index)."""

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
  """Examples in order, with their "label"; padding of a batch is removed.

  `size` is that of the generator's noise; `label` [n] int32 are the genres,
  `index` [n] int32 the number of each example within its genre.
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


def join(blocks: Iterable[Mapping[str, np.ndarray]]) -> dict[str, np.ndarray]:
  """Several batches as one, in order."""
  blocks = list(blocks)
  return {
    key: np.concatenate([block[key] for block in blocks]) for key in blocks[0]
  }


def numbered(label: np.ndarray) -> np.ndarray:
  """Number of each within its genre, int32: [2, 0, 2, 2] -> [0, 0, 1, 2]."""
  index = np.zeros(len(label), np.int32)
  for genre in np.unique(label):
    mine = label == genre
    index[mine] = np.arange(mine.sum())
  return index
