"""A study, called as on the command line, its runs in this process."""

import os
import signal
import types

import pytest

from gtzan_jax.cli.main import main
from gtzan_jax.studies.sweep import child_process
from gtzan_jax.training import find_recipe


@pytest.fixture
def started(monkeypatch, undrawn):
  """Runs in this process, without their pictures: the names of their folders.

  A run named in `fail` ends with status 1 in place of running, and before one
  named in `stop` comes a SIGTERM.
  """
  names = types.SimpleNamespace(ran=[], fail=set(), stop=set())

  def run(command, log, stop, keep_open):
    name = command[-1].rsplit("/", 1)[1]
    names.ran.append(name)
    log.touch()
    if name in names.stop:
      # not SIGINT, which is ignored in the background of a script
      os.kill(os.getpid(), signal.SIGTERM)
      return 128 + signal.SIGTERM, ""
    if name in names.fail:
      return 1, "error: no luck\n"
    return main(command[1:]), ""

  monkeypatch.setattr(child_process, "run", run)
  return names


@pytest.fixture
def study(data_dir):
  """Calls a study's verb on 40 tracks of the synthetic corpus."""

  def call(verb, recipe, out, *others, **data) -> int:
    data = {"features": "mfcc_slices", "tracks_per_genre": 4, **data}
    return main(
      [
        *("launch.py", verb, f"--config={find_recipe.HOME}/{recipe}.py"),
        *(f"--config.data.{key}={x}" for key, x in data.items()),
        *(f"--config.data.dir={data_dir}", "--config.log.tensorboard=False"),
        *("--config.eval.bootstrap=10", f"--workdir={out}", *others),
      ]
    )

  return call
