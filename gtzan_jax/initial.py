"""The weights that a run begins with, where it does not begin at random."""

import pathlib
from collections.abc import Mapping

from flax import traverse_util

from gtzan_jax import errors, evaluate, pipeline, weights, workdir


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
  if not workdir.is_workdir(path):
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


def check(path: str, dataset: pipeline.Dataset) -> None:
  """Refuses a workdir whose weights would say nothing here, or too much.

  Of a file nobody knows what it has learnt from.

  Raises:
    InputError: a workdir of other genres or features; or one that has learnt
      from, or was chosen by, tracks that this run holds out.
  """
  if not workdir.is_workdir(path):
    return
  run = workdir.load(pathlib.Path(path))
  for key, found, wanted in (
    ("genres", run["genres"], list(dataset.genres)),
    ("features", run["feature_spec"], dataset.metadata["feature_spec"]),
  ):
    if found != wanted:
      raise errors.InputError(
        f"config.train.init_from={path} was trained on other {key}:"
        f" {_brief(found)}, and this run has {_brief(wanted)}"
      )
  if dataset.leak:
    return  # which is announced anyway
  held = {part: {t for t, _ in ids} for part, ids in dataset.parts.items()}
  known = (held["validation"] | held["test"]) & set(run["tracks"]["train"])
  known |= held["test"] & set(run["tracks"]["validation"])
  if known:
    raise errors.InputError(
      f"config.train.init_from={path} has learnt from {len(known)} of the"
      f" tracks that this run holds out, as {min(known)}: give both the same"
      " protocol, fold and split_seed"
    )


def _brief(value: list | Mapping) -> str:
  return ", ".join(value) if isinstance(value, list) else value["name"]


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
