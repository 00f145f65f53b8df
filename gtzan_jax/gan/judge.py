"""The judge: a trained classifier that embeds real and generated examples.

The embedding is the input of its last layer, as in the Fréchet inception
distance.
"""

import pathlib
from collections.abc import Callable, Mapping

import flax.linen as nn
import jax
import ml_collections
import numpy as np

from gtzan_jax import errors
from gtzan_jax.data import pipeline
from gtzan_jax.gan import fidelity, sampling, upstream
from gtzan_jax.inference import inputs
from gtzan_jax.recipes import judge as recipe
from gtzan_jax.training import evaluate, shared_tracks, tasks, workdir

KEY = "config.gan.judge"
FOLDER = "judge"  # in a GAN's run folder, where KEY names none


def config_for(
  config: ml_collections.ConfigDict,
) -> ml_collections.ConfigDict:
  """The judge's config for the GAN of `config`: its data, its seed."""
  judge = recipe.get_config()
  standardize = judge.data.standardize
  for section in ("data", "eval", "log"):
    judge[section] = config[section].copy_and_resolve_references()
  judge.data.standardize = standardize
  judge.seed = config.seed
  return judge


def path_of(
  config: ml_collections.ConfigDict, workdir: pathlib.Path
) -> pathlib.Path:
  if config.gan.judge:
    return pathlib.Path(config.gan.judge).expanduser()
  return workdir / FOLDER


def train(config, dataset: pipeline.Dataset, path: pathlib.Path, mesh) -> None:
  """Trains or resumes the judge of a GAN's config, in a folder of its run."""
  config, path = config_for(config), path / FOLDER
  classifier = tasks.CLASSIFY
  if workdir.check(path, config) and classifier.is_reported(config, path):
    return
  path.mkdir(exist_ok=True)
  workdir.begin(path, config, dataset)
  print(f"training the judge first: {path}")
  classifier.train(config, dataset, path, mesh)
  classifier.evaluate(path, dataset, mesh)


EmbedFn = Callable[[np.ndarray, np.ndarray], fidelity.Embeddings]


def embed(
  model: nn.Module, variables: Mapping, x: jax.Array
) -> tuple[jax.Array, jax.Array]:
  """Features [b, ...] -> last Dense layer's input [b, d], probabilities."""
  given = []

  def note(call, args, kwargs, context):
    if isinstance(context.module, nn.Dense):
      given.append(args[0])
    return call(*args, **kwargs)

  with nn.intercept_methods(note):
    logits = model.apply(variables, x, train=False)
  return given[-1].reshape(len(x), -1), jax.nn.softmax(logits)


def load(path: pathlib.Path, batch_size: int) -> EmbedFn:
  """The judge of a run folder: features [n, ...], genres [n] -> Embeddings."""
  model, variables, _ = evaluate.restore_best(path, workdir.load(path, KEY))
  apply = jax.jit(lambda x: embed(model, variables, x))

  def embed_fn(x: np.ndarray, label: np.ndarray) -> fidelity.Embeddings:
    outputs = sampling.join(
      [np.asarray(output)[:count] for output in apply(batch)]
      for batch, count in inputs.batches(x, batch_size)
    )
    return fidelity.Embeddings(*outputs, label)

  return embed_fn


def check(
  path: str, dataset: pipeline.Dataset, place: str | None = None
) -> None:
  """Raises InputError for a judge that does not fit a GAN's data.

  It must be a trained network with the same genres and features, not trained on
  validation or test tracks of this run; `place` is its config.data.path.
  """
  run = workdir.load(pathlib.Path(path), KEY)
  if run["config"]["task"] != "classify":
    raise errors.InputError(
      f"{KEY}={path} is a run of task {run['config']['task']!r}: give the run"
      " folder of a network that classifies"
    )
  upstream.check(KEY, path)
  shared_tracks.check(KEY, path, run, dataset, place)
