"""Initial weights from a run folder or a file."""

import pathlib
from collections.abc import Mapping

from flax import traverse_util

from gtzan_jax import errors
from gtzan_jax.data import pipeline
from gtzan_jax.training import evaluate, shared_tracks, workdir

KEY = "config.train.init_from"


def load(path: str, model: str, variables: Mapping) -> Mapping:
  """A model's variables from best/ of a run folder, or from a file of weights.

  `variables` are arrays or their shapes; what a file lacks stays. InputError
  for nothing usable, or another model, layer or shape.
  """
  place = pathlib.Path(path).expanduser()
  if not workdir.is_workdir(path):
    from gtzan_jax.models import weights  # h5py

    return weights.load(str(place), variables)
  run = workdir.load(place)
  name = run["config"]["model"]["name"]
  if name != model:
    raise errors.InputError(
      f"{KEY}={path} is a run of model {name!r}; this run trains {model!r}"
    )
  _, best, _ = evaluate.restore_best(place, run)
  _check(path, best, variables)
  return best


def check(
  path: str, dataset: pipeline.Dataset, place: str | None = None
) -> None:
  """Refuses weights of other features, or of a run that saw test tracks.

  InputError also where validation tracks of this run trained or selected them;
  what a file of weights was trained on is not known. `place` is the run's
  config.data.path.
  """
  if not workdir.is_workdir(path):
    return
  run = workdir.load(pathlib.Path(path))
  shared_tracks.check(KEY, path, run, dataset, place)


def _check(path: str, given: Mapping, wanted: Mapping) -> None:
  """Names the first array that only one side has, or of another shape."""
  there, here = (
    {
      key: leaf.shape
      for key, leaf in traverse_util.flatten_dict(dict(tree), sep="/").items()
    }
    for tree in (given, wanted)
  )
  for key in sorted(there.keys() | here.keys()):
    shape, own = there.get(key, "nothing"), here.get(key, "nothing")
    if shape != own:
      raise errors.InputError(
        f"{KEY}={path}: {key} is {shape} there, and {own} in this run's model"
      )
