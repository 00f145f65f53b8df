"""The weights that a run begins with, where it does not begin at random."""

import pathlib
from collections.abc import Mapping

from flax import traverse_util

from gtzan_jax import errors
from gtzan_jax.data import pipeline
from gtzan_jax.models import weights
from gtzan_jax.training import evaluate, overlap, workdir

KEY = "config.train.init_from"


def load(path: str, model: str, variables: Mapping) -> Mapping:
  """Variables with what a workdir's best/ or a file of weights holds.

  Args:
    path: a workdir of the same model, or a file for `gtzan_jax.models.weights`.
    model: a key of gtzan_jax.models.MODELS.
    variables: of that model, arrays or their shapes; from a file, what it does
      not hold stays as it is here.

  Raises:
    InputError: nothing usable at `path`, or of another model, layer or shape.
  """
  place = pathlib.Path(path).expanduser()
  if not workdir.is_workdir(path):
    return weights.load(str(place), variables)
  run = workdir.load(place)
  name = run["config"]["model"]["name"]
  if name != model:
    raise errors.InputError(
      f"{KEY}={path} holds the model {name!r}, and this run trains {model!r}"
    )
  _, found, _ = evaluate.restore_best(place, run)
  _check(path, found, variables)
  return found


def check(
  path: str, dataset: pipeline.Dataset, place: str | None = None
) -> None:
  """Refuses a workdir whose weights would say nothing here, or too much.

  Of a file nobody knows what it has learnt from.

  Args:
    path: a workdir or a file.
    dataset: what the run is to be trained on.
    place: where its music lies; None of the synthetic corpus.

  Raises:
    InputError: a workdir of other genres or features; or one that has learnt
      from, or was chosen by, tracks that this run holds out.
  """
  if not workdir.is_workdir(path):
    return
  run = workdir.load(pathlib.Path(path))
  overlap.check(KEY, path, run, dataset, place)


def _check(path: str, found: Mapping, wanted: Mapping) -> None:
  """Names the first array that only one side has, or of another shape."""
  shapes = [
    {key: leaf.shape for key, leaf in flat.items()}
    for flat in (
      traverse_util.flatten_dict(dict(tree), sep="/")
      for tree in (found, wanted)
    )
  ]
  for key in sorted(shapes[0].keys() | shapes[1].keys()):
    here, there = (each.get(key, "nothing") for each in shapes)
    if here != there:
      raise errors.InputError(
        f"{KEY}={path}: {key} is {here} there, and {there} in this run's model"
      )
