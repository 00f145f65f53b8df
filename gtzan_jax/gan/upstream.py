"""The runs that another one goes on asking: a GAN, and a GAN's judge.

They have to be whole, and may not change between its start and its end.
"""

import pathlib

import ml_collections

from gtzan_jax import errors
from gtzan_jax.training import checkpoint, progress, workdir


def check(key: str, path: str) -> dict:
  """Refuses a run that was stopped half way.

  Args:
    key: what the user named it by.
    path: the workdir of a run that takes steps.

  Returns:
    what tells its best checkpoint from those of other runs: `best_epoch`,
    `best_value` and `best_tie`, a distance or a loss to the last digit.

  Raises:
    InputError: it has something left to train, or was never trained.
  """
  place = pathlib.Path(path).expanduser()
  length = workdir.load(place, key)["config"]["train"]
  last = checkpoint.Store(place / "last")
  facts = last.facts()
  last.close()
  done = facts["progress"]
  if not progress.finished(length, facts):
    raise errors.InputError(
      f"{key}={path} is at epoch {done['evaluations']} of {length['epochs']}:"
      " let it finish first, by the command that began it"
    )
  return {name: done[name] for name in ("best_epoch", "best_value", "best_tie")}


def find(config: ml_collections.ConfigDict) -> dict[str, dict]:
  """{key: which checkpoint it is}, for run.json.

  Raises:
    InputError: see `check`.
  """
  paths = {
    "data.augment_with": config.data.augment_with,
    "gan.judge": config.gan.judge,
  }
  return {
    key: check(f"config.{key}", path) for key, path in paths.items() if path
  }
