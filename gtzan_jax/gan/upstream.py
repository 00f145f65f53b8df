"""Upstream runs (GAN, judge) that a run depends on.

They must be finished, and unchanged between the run's start and its end.
"""

import pathlib

import ml_collections

from gtzan_jax import errors
from gtzan_jax.training import checkpoint, early_stopping, workdir


def check(key: str, path: str) -> dict:
  """`best_epoch`, `best_value` and `best_tie` of a finished run's checkpoint.

  InputError, naming `key`, if the run was stopped early or never trained.
  """
  place = pathlib.Path(path).expanduser()
  length = workdir.load(place, key)["config"]["train"]
  facts = checkpoint.read_facts(place / "last")
  done = facts["progress"]
  if not early_stopping.finished(length, facts):
    raise errors.InputError(
      f"{key}={path} is at epoch {done['evaluations']} of {length['epochs']}:"
      " let it finish first, by the command that started it"
    )
  return {name: done[name] for name in ("best_epoch", "best_value", "best_tie")}


def find(config: ml_collections.ConfigDict) -> dict[str, dict]:
  """{key: `check` of the run that it names}, for run.json."""
  paths = {
    "data.augment_with": config.data.augment_with,
    "gan.judge": config.gan.judge,
  }
  return {
    key: check(f"config.{key}", path) for key, path in paths.items() if path
  }
