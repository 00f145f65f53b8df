"""A trained classifier as the judge of generated examples.

Distances between examples are taken where the classifier has its last hidden
layer, as the Fréchet inception distance does with a network for pictures.
"""

import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import flax.linen as nn
import jax
import ml_collections
import numpy as np

from gtzan_jax import errors
from gtzan_jax.data import pipeline
from gtzan_jax.gan import upstream
from gtzan_jax.inference import inputs
from gtzan_jax.recipes import judge as recipe
from gtzan_jax.training import evaluate, overlap, workdir

KEY = "config.gan.judge"


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


class Seen(NamedTuple):
  """What the judge makes of n examples, numpy.

  Attributes:
    embedding: `[n, d]` float32.
    probabilities: `[n, genres]` float32.
  """

  embedding: np.ndarray
  probabilities: np.ndarray


def look(
  model: nn.Module, variables: Mapping, x: jax.Array
) -> tuple[jax.Array, jax.Array]:
  """Features [b, ...] -> what the last Dense layer is given; probabilities."""
  given = []

  def note(call, args, kwargs, context):
    if isinstance(context.module, nn.Dense):
      given.append(args[0])
    return call(*args, **kwargs)

  with nn.intercept_methods(note):
    logits = model.apply(variables, x, train=False)
  return given[-1].reshape(len(x), -1), jax.nn.softmax(logits)


def load(path: pathlib.Path, batch_size: int) -> Callable[[np.ndarray], Seen]:
  """The classifier of a workdir, on one device: features [n, ...] -> Seen.

  Args:
    path: the workdir.
    batch_size: examples seen at a time.
  """
  run = workdir.load(path, KEY)
  model, variables, _ = evaluate.restore_best(path, run)
  apply = jax.jit(lambda x: look(model, variables, x))

  def see(x: np.ndarray) -> Seen:
    found = []
    for batch, count in inputs.batches(x, batch_size):
      found.append([np.asarray(array)[:count] for array in apply(batch)])
    return join(found)

  return see


def join(parts: Sequence[tuple[np.ndarray, np.ndarray]]) -> Seen:
  """Several Seen as one, in order."""
  return Seen(*map(np.concatenate, zip(*parts, strict=True)))


def check(
  path: str, dataset: pipeline.Dataset, place: str | None = None
) -> None:
  """Refuses a judge that would see other examples, or knows those held out.

  Args:
    path: the judge's workdir.
    dataset: what the GAN is to be trained on.
    place: where its music lies; None of the synthetic corpus.

  Raises:
    InputError: no trained classifier; one of other genres or features; one
      that learnt from tracks that this run holds out.
  """
  run = workdir.load(pathlib.Path(path), KEY)
  if run["config"]["task"] != "classify":
    raise errors.InputError(
      f"{KEY}={path} holds a run of task {run['config']['task']!r}: give the"
      " workdir of a network that tells genres"
    )
  upstream.check(KEY, path)
  overlap.check(KEY, path, run, dataset, place)
