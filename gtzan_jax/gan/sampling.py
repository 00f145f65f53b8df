"""Draws examples from a generator in the form of prepared data.

Example `i` of a genre depends on generator, seed and `i` only, not on their
number. Batches have one size, padded, so that results are equal to the last bit
at equal places in a batch.
"""

import functools
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from gtzan_jax import features
from gtzan_jax.audio import mono_waveform
from gtzan_jax.features import FeatureSpec
from gtzan_jax.gan import adversarial_step
from gtzan_jax.gan import networks as gans
from gtzan_jax.inference import inputs

Sampler = Callable[[Mapping, jax.Array, jax.Array], dict[str, jax.Array]]


def sampler(networks: gans.Networks, source: str, spec: FeatureSpec) -> Sampler:
  """(variables, noise [b, n], label [b]) -> the stored arrays of examples.

  Waveforms (`source` "audio" instead of "features") are rounded to 16 bits and
  their features, those of `spec`, computed as for real segments.
  """

  def sample(variables, noise, label):
    x = adversarial_step.generate(networks, variables, noise, label)
    if source == "features":
      return {"features": x}
    pcm = jnp.clip(jnp.rint(x * 32768), -32768, 32767).astype(jnp.int16)
    return {
      "audio": pcm,
      "features": features.extract(mono_waveform.to_float(pcm), spec),
    }

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
  seed: int,
  batch_size: int,
  first: int = 0,
) -> Iterator[dict[str, np.ndarray]]:
  """Examples in order, with their "label"; padding of a batch is removed.

  `size` is that of the generator's noise; `label` [n] int32 are the genres;
  `first` numbers the first example of each genre.
  """
  rows = np.stack([label, first + numbered(label)], axis=1).astype(np.int32)
  for batch, count in inputs.batches(rows, batch_size):
    genre, index = batch.T
    made = sample(variables, noise(np.uint32(seed), genre, index, size), genre)
    made = {key: np.asarray(value)[:count] for key, value in made.items()}
    yield made | {"label": genre[:count]}


def join(blocks: Iterable[Any]) -> Any:
  """Several batches, pytrees of one structure, as one, in order."""
  return jax.tree.map(lambda *arrays: np.concatenate(arrays), *blocks)


def numbered(label: np.ndarray) -> np.ndarray:
  """Number of each within its genre, int32: [2, 0, 2, 2] -> [0, 0, 1, 2]."""
  index = np.zeros(len(label), np.int32)
  for genre in np.unique(label):
    mine = label == genre
    index[mine] = np.arange(mine.sum())
  return index
