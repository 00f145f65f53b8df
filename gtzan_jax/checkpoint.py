"""Orbax checkpoints: `best/` (what is reported) and `last/` (what resumes).

Each holds the newest only. `best/` is always written before `last/`: a run
killed between the two resumes before that evaluation, repeats it to the bit,
and writes the same best again.
"""

import pathlib
from typing import Any

import jax
import orbax.checkpoint as ocp

from gtzan_jax import errors

PyTree = Any


class Store:
  """One checkpoint folder holding the newest save: arrays plus a JSON dict.

  Saves are numbered, not named by the training step: a step may be saved twice
  (before its evaluation and after), and the older save has to stand until the
  newer one is whole.
  """

  def __init__(self, folder: pathlib.Path):
    self._folder = pathlib.Path(folder).absolute()
    self._manager = None

  def _open(self) -> ocp.CheckpointManager:
    if self._manager is None:
      self._manager = ocp.CheckpointManager(
        self._folder,
        options=ocp.CheckpointManagerOptions(
          max_to_keep=1, cleanup_tmp_directories=True
        ),
      )
    return self._manager

  def latest(self) -> int | None:
    """The number of the save held, or None."""
    return self._open().latest_step() if self._folder.is_dir() else None

  def _step(self) -> int:
    step = self.latest()
    if step is None:
      raise errors.InputError(
        f"no checkpoint in {self._folder}: train first, or give another workdir"
      )
    return step

  def save(self, state: PyTree, facts: dict) -> None:
    """Writes in the background; `wait` (or the next save) makes sure."""
    manager = self._open()
    manager.save(
      (manager.latest_step() or 0) + 1,
      args=ocp.args.Composite(
        state=ocp.args.StandardSave(state), facts=ocp.args.JsonSave(facts)
      ),
      force=True,
    )

  def restore(self, like: PyTree) -> tuple[PyTree, dict]:
    """What is held, with the shapes, types and shardings of `like`.

    Raises:
      InputError: there is none, or it holds another model's arrays.
    """
    step = self._step()
    try:
      restored = self._open().restore(
        step,
        args=ocp.args.Composite(
          state=ocp.args.StandardRestore(
            jax.tree.map(ocp.utils.to_shape_dtype_struct, like)
          ),
          facts=ocp.args.JsonRestore(),
        ),
      )
    except (ValueError, KeyError, TypeError) as error:
      reason = str(error).strip().splitlines()[0][:200]
      raise errors.InputError(
        f"the checkpoint in {self._folder} does not fit this model: {reason}"
      ) from error
    return restored["state"], restored["facts"]

  def facts(self) -> dict:
    """The JSON part alone of what is held.

    Raises:
      InputError: there is none.
    """
    step = self._step()
    args = ocp.args.Composite(facts=ocp.args.JsonRestore())
    return self._open().restore(step, args=args)["facts"]

  def wait(self) -> None:
    if self._manager is not None:
      self._manager.wait_until_finished()

  def close(self) -> None:
    if self._manager is not None:
      self._manager.close()
      self._manager = None
