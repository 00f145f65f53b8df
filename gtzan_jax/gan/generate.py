"""Generates examples with a trained GAN, as arrays or files."""

import pathlib
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import jax
import ml_collections
import numpy as np

from gtzan_jax import atomic, errors
from gtzan_jax.audio import mono_waveform
from gtzan_jax.features import FeatureSpec, griffin_lim
from gtzan_jax.gan import adversarial_step, sampling
from gtzan_jax.gan import networks as gans
from gtzan_jax.training import checkpoint, workdir

_BATCH = 32  # constant: other sizes round sums differently


class Generator(NamedTuple):
  """A trained generator: run folder, run.json, networks, best/'s variables."""

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
    """Batches of examples, deterministic in genre, number and seed.

    "features" `[b, ...]`, "label" `[b]` and, from a GAN of waveforms, "audio"
    `[b, samples]` int16. `first` numbers the first example of each genre;
    `spec` (default: the GAN's) is for features of generated waveforms.
    """
    label = np.asarray(label, np.int32)
    return sampling.batches(
      sampling.sampler(self.networks, self.source, spec or self.spec),
      self.variables,
      self.networks.generator.noise,
      label=label,
      seed=seed,
      batch_size=_BATCH,
      first=first,
    )


def load_run(path: str | pathlib.Path, key: str = "--workdir") -> dict:
  """run.json of a GAN; `key` is the config key or flag that names it."""
  run = workdir.load(pathlib.Path(path), key)
  if run["config"]["task"] != "gan":
    raise errors.InputError(
      f"{key}={path} is a run of the recipe {run['recipe']!r}, which generates"
      " nothing: give the run folder of a GAN"
    )
  return run


def load(path: str | pathlib.Path, key: str = "--workdir") -> Generator:
  """The generator of a trained GAN; `key` as in `load_run`."""
  path = pathlib.Path(path).expanduser()
  run = load_run(path, key)
  config = ml_collections.ConfigDict(run["config"])
  shape = tuple(run["example_shape"])
  if config.gan.domain == "audio":
    shape = (run["feature_spec"]["segment_samples"],)
  networks = adversarial_step.create_networks(config, len(run["genres"]), shape)
  here = jax.sharding.SingleDeviceSharding(jax.devices()[0])
  like = jax.tree.map(
    lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=here),
    adversarial_step.shapes(networks, config.gan.domain, shape),
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
  """Writes generated examples of a genre, each into its own new file.

  Waveforms become WAV files (mono, 16 bits), features .npz with `features`
  `[frames, bins]`, `genre` and `feature_set`. Names begin with audio.GENERATED,
  so that no corpus takes them for tracks.
  """
  genres = generator.run["genres"]
  if genre not in genres:
    raise errors.InputError(f"--genre={genre}: give one of {', '.join(genres)}")
  if count < 1:
    raise errors.InputError(f"--count={count}: give 1 or more")
  if not 0 <= seed < 2**32:
    raise errors.InputError(f"--seed={seed}: give 0 to {2**32 - 1}")
  folder = pathlib.Path(folder)
  ending = "wav" if generator.source == "audio" else "npz"
  stem = f"{mono_waveform.GENERATED}{genre.replace('/', '_')}"
  files = [folder / f"{stem}-{i:05d}.{ending}" for i in range(count)]
  label = np.full(count, genres.index(genre), np.int32)
  with errors.writing(f"--out={folder}"):
    folder.mkdir(parents=True, exist_ok=True)
    if there := sorted({*folder.iterdir()} & {*files}):
      raise errors.InputError(
        f"{there[0]} exists: give another --out, or remove earlier files"
      )
    left = iter(files)
    for batch in generator.examples(label, seed):
      if not np.isfinite(batch["features"]).all():
        raise errors.InputError(
          f"--workdir={generator.path} generates values that are not finite:"
          " its training diverged; train again"
        )
      for example, file in zip(batch[generator.source], left, strict=False):
        _write(generator, genre, example, file)
  return files


def _write(
  generator: Generator, genre: str, example: np.ndarray, path: pathlib.Path
) -> None:
  spec = generator.spec
  if generator.source == "audio":
    atomic.write(path, griffin_lim.wav(example, spec.sample_rate))
    return
  with atomic.opened(path) as file:
    np.savez(file, features=example, genre=genre, feature_set=spec.name)
