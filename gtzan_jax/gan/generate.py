"""A trained GAN's workdir as a source of examples."""

import pathlib
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import jax
import ml_collections
import numpy as np
import soundfile

from gtzan_jax import atomic, errors
from gtzan_jax.audio import files as audio
from gtzan_jax.features import FeatureSpec
from gtzan_jax.gan import networks as gans
from gtzan_jax.gan import sampling
from gtzan_jax.gan import task as gan
from gtzan_jax.training import checkpoint, workdir

_BATCH = 32  # always: in smaller batches sums are rounded otherwise


class Generator(NamedTuple):
  """What a GAN's workdir holds that can make examples.

  Attributes:
    path: the workdir.
    run: its run.json.
    networks: of the GAN; only the generator has variables.
    variables: from best/.
  """

  path: pathlib.Path
  run: Mapping
  networks: gans.Networks
  variables: Mapping

  @property
  def source(self) -> str:
    """What is generated: "features" or "audio"."""
    return self.run["config"]["gan"]["domain"]

  @property
  def spec(self) -> FeatureSpec:
    return FeatureSpec.from_dict(self.run["feature_spec"])

  def examples(
    self,
    label: np.ndarray,
    seed: int,
    first: int = 0,
    spec: FeatureSpec | None = None,
  ) -> Iterator[dict[str, np.ndarray]]:
    """Batches of examples of these genres, in order.

    Args:
      label: `[n]`, places in run["genres"].
      seed: 0 or more; the same examples for the same seed, whatever `n`, and
        of one genre to the last bit.
      first: the index of the first example of each genre.
      spec: of the features of generated waveforms; the GAN's own by default.

    Yields:
      "features" `[b, ...]`, "label" `[b]` and, of a GAN of waveforms, "audio"
      `[b, samples]` int16.
    """
    label = np.asarray(label, np.int32)
    return sampling.batches(
      sampling.sampler(self.networks, self.source, spec or self.spec),
      self.variables,
      self.networks.generator.noise,
      label=label,
      index=first + sampling.numbered(label),
      seed=seed,
      batch_size=_BATCH,
    )


def load_run(path: str | pathlib.Path, key: str = "--workdir") -> dict:
  """run.json of a GAN's workdir.

  Args:
    path: the workdir.
    key: what the user named it by, for messages.

  Raises:
    InputError: no workdir, or no GAN's.
  """
  run = workdir.load(pathlib.Path(path), key)
  if run["config"]["task"] != "gan":
    raise errors.InputError(
      f"{key}={path} holds a run of the recipe {run['recipe']!r}, which"
      " generates nothing: give the workdir of a GAN"
    )
  return run


def load(path: str | pathlib.Path, key: str = "--workdir") -> Generator:
  """The generator of a trained GAN's workdir.

  Args:
    path: the workdir.
    key: what the user named it by, for messages.

  Raises:
    InputError: no workdir, no checkpoint in it, or no GAN's.
  """
  path = pathlib.Path(path).expanduser()
  run = load_run(path, key)
  config = ml_collections.ConfigDict(run["config"])
  spec = FeatureSpec.from_dict(run["feature_spec"])
  shape = tuple(run["example_shape"])
  if config.gan.domain == "audio":
    shape = (spec.segment_samples,)
  networks = gan.create_networks(config, len(run["genres"]), shape)
  here = jax.sharding.SingleDeviceSharding(jax.devices()[0])
  like = jax.tree.map(
    lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=here),
    gan.shapes(networks, config.gan.domain, shape),
  )
  store = checkpoint.Store(path / "best")
  variables, _ = store.restore(like)
  store.close()
  return Generator(path, run, networks, variables)


def write(
  generator: Generator,
  genre: str,
  count: int,
  folder: str | pathlib.Path,
  seed: int = 0,
) -> list[pathlib.Path]:
  """Writes generated examples of a genre, each as a file of its own.

  Waveforms become WAV files (mono, 16 bits), features .npz with `features`
  `[frames, bins]`, `genre` and `feature_set`. The names begin with
  audio.GENERATED, by which the data set knows that they are no tracks.

  Args:
    generator: from `load`.
    genre: one of the genres that it was trained on.
    count: 1 or more.
    folder: made if need be.
    seed: 0 or more.

  Returns:
    the files, each there as a whole.

  Raises:
    InputError: an unknown genre, a count or a seed out of range, a generator
      that diverged, a file that would be overwritten, or a folder that cannot
      be written.
  """
  genres = generator.run["genres"]
  if genre not in genres:
    raise errors.InputError(f"--genre={genre}: give one of {', '.join(genres)}")
  if count < 1:
    raise errors.InputError(f"--count={count}: give 1 or more")
  if not 0 <= seed < 2**32:
    raise errors.InputError(f"--seed={seed}: give 0 to {2**32 - 1}")
  folder, files = pathlib.Path(folder), []
  ending = "wav" if generator.source == "audio" else "npz"
  stem = f"{audio.GENERATED}{genre.replace('/', '_')}"
  names = [f"{stem}-{i:05d}.{ending}" for i in range(count)]
  label = np.full(count, genres.index(genre), np.int32)
  with errors.writing(f"--out={folder}"):
    folder.mkdir(parents=True, exist_ok=True)
    there = {file.name for file in folder.iterdir()}
    for name in names:
      if name in there:
        raise errors.InputError(
          f"{folder / name} is there already: give another --out, or remove"
          " what was generated before"
        )
    for batch in generator.examples(label, seed):
      if not np.isfinite(batch["features"]).all():
        raise errors.InputError(
          f"--workdir={generator.path} generates numbers that are not finite:"
          " its training diverged; train again"
        )
      for example in batch[generator.source]:
        path = folder / names[len(files)]
        _write(generator, genre, example, path)
        files.append(path)
  return files


def _write(
  generator: Generator, genre: str, example: np.ndarray, path: pathlib.Path
) -> None:
  with atomic.opened(path) as file:
    if generator.source == "audio":
      soundfile.write(
        file, example, generator.spec.sample_rate, "PCM_16", format="WAV"
      )
    else:
      name = generator.spec.name
      np.savez(file, features=example, genre=genre, feature_set=name)
