"""The weights that a run begins with, where it does not begin at random."""

import pathlib
from collections.abc import Mapping

import jax
from flax import traverse_util

from gtzan_jax import errors, evaluate, weights, workdir


def load(path: str, model: str, variables: Mapping) -> Mapping:
  """Variables with what a workdir's best/ or a file of weights holds.

  Args:
    path: a workdir of the same model, or a file for `gtzan_jax.weights`.
    model: a key of gtzan_jax.models.MODELS.
    variables: of that model, arrays or their shapes; from a file, what it does
      not hold stays as it is here.

  Raises:
    InputError: nothing usable at `path`, or of another model, layer or shape.
  """
  place = pathlib.Path(path).expanduser()
  if not place.is_dir():
    return weights.load(str(place), variables)
  run = workdir.load(place)
  name = run["config"]["model"]["name"]
  if name != model:
    raise errors.InputError(
      f"config.train.init_from={path} holds the model {name!r}, and this run"
      f" trains {model!r}"
    )
  _, found, _ = evaluate.restore_best(place, run)
  _check(path, found, variables)
  return found


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
        f"config.train.init_from={path}: {key} is {here} there, and {there} in"
        " this run's model"
      )


def shapes_of(model, example_shape: tuple[int, ...]) -> dict:
  """Shapes and types of a model's variables; nothing is computed."""
  example = jax.ShapeDtypeStruct((1, *example_shape), "float32")
  return jax.eval_shape(
    lambda x: model.init(jax.random.key(0), x, train=False), example
  )
