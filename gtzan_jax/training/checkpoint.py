"""Orbax checkpoints: `best/` (what is reported) and `last/` (what resumes).

Each holds the newest save. `best/` is written before `last/`: a run killed
between the two resumes before that evaluation, repeats it to the bit, and
writes the same best again. A save has checksums, checked before it is read.
"""

import collections
import contextlib
import functools
import logging
import os
import pathlib
import re
import tempfile
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import jax

from gtzan_jax import atomic, errors

if TYPE_CHECKING:
  import orbax.checkpoint as ocp

PyTree = Any
_PLAIN = re.compile(r"[\w./+=,@ -]+", re.ASCII)


@functools.cache
def _orbax() -> Any:
  """Loaded with the first save read or written: 0.3 s, for no first step."""
  import orbax.checkpoint

  return orbax.checkpoint


@functools.cache
def _summed() -> type:
  """How a save gets its final name: its checksums are written before."""
  import orbax.checkpoint as ocp

  class Summed(ocp.path.atomicity.AtomicRenameTemporaryPath):
    _final_path: Any

    async def finalize(self) -> None:
      final = self._final_path
      if not final.name.isdigit():  # an item of a save, not the save
        return await super().finalize()
      self._final_path = self.get().with_name(f"{self.get().name}.sums")
      await super().finalize()
      folder = pathlib.Path(self._final_path)
      atomic.write_checksums(folder)
      os.rename(folder, final)
      return None

  return Summed


class Store:
  """One checkpoint folder with the newest save: arrays and a JSON dict.

  Saves are numbered, not named by the step: a step may be saved twice (before
  and after its evaluation), and the older is needed until the newer is whole.
  """

  def __init__(self, folder: pathlib.Path, *, writable: bool = False):
    """Opens a folder, which may not exist yet.

    Only the run itself, which holds the lock, is `writable`: it removes what a
    killed save left. A reader would remove a save in progress.
    """
    self._folder = pathlib.Path(folder).absolute()
    self._writable = writable
    self._manager = None
    self._link: tempfile.TemporaryDirectory | None = None

  def _open(self) -> "ocp.CheckpointManager":
    if self._manager is None:
      ocp = _orbax()
      if _late is not None and self._folder in _late:
        _late.pop(self._folder)._end()
      self._manager = ocp.CheckpointManager(
        self._plain(),
        # `read_only=True` prints three lines of warnings each time.
        options=ocp.CheckpointManagerOptions(
          max_to_keep=1,
          cleanup_tmp_directories=True,
          temporary_path_class=_summed(),
        )
        if self._writable
        else ocp.CheckpointManagerOptions(create=False),
      )
    return self._manager

  def _plain(self) -> pathlib.Path:
    """The folder, or a link to it without special characters.

    Orbax globs in the path and TensorStore parses it as a URL: with [ ] or a
    backslash in it a save is not found again.
    """
    if _PLAIN.fullmatch(str(self._folder)):
      return self._folder
    if self._writable:
      self._folder.mkdir(parents=True, exist_ok=True)
    self._link = tempfile.TemporaryDirectory(prefix="gtzan_jax-")
    link = pathlib.Path(self._link.name) / "checkpoint"
    link.symlink_to(self._folder)
    return link

  def latest(self) -> int | None:
    """The number of the save held, or None."""
    return self._open().latest_step() if self._folder.is_dir() else None

  def _step(self) -> int:
    step = self.latest()
    if step is None:
      raise errors.InputError(
        f"no checkpoint in {self._folder}: train first, or give another run"
        " folder"
      )
    return step

  def save(self, state: PyTree, facts: dict) -> None:
    """Writes in the background; InputError (a full disk) here or in `wait`."""
    with self._writing():
      ocp, manager = _orbax(), self._open()
      # Where no folder can be made, Orbax's threads continue and print
      # tracebacks. The name is not Orbax's, which removes its unfinished ones.
      probe = self._folder / ".probe"
      probe.mkdir(exist_ok=True)
      probe.rmdir()
      manager.save(
        (manager.latest_step() or 0) + 1,
        args=ocp.args.Composite(
          state=ocp.args.StandardSave(state), facts=ocp.args.JsonSave(facts)
        ),
        force=True,
      )

  @contextlib.contextmanager
  def _writing(self) -> Iterator[None]:
    try:
      yield
    except Exception as error:
      if (reason := errors.system_reason(error)) is None:
        raise
      raise errors.InputError(
        f"cannot write a checkpoint to {self._folder}: {reason}; the previous"
        " one is kept, and the same command continues from it"
      ) from error

  def restore(self, like: PyTree) -> tuple[PyTree, dict]:
    """The arrays, with shapes, types and shardings of `like`; the facts.

    InputError: no checkpoint, a damaged one, or another model's.
    """
    ocp = _orbax()
    like = jax.tree.map(ocp.utils.to_shape_dtype_struct, like)
    folder = self._whole("state", "facts")
    # Before reading: Orbax continues after a mismatch, and prints tracebacks.
    tree = ocp.StandardCheckpointHandler().metadata(folder / "state").tree
    here, there = (
      collections.Counter(tuple(leaf.shape) for leaf in jax.tree.leaves(one))
      for one in (like, tree)
    )
    if here != there:
      raise self._does_not_fit(
        f"it has arrays {[*(there - here)]}, the model has {[*(here - there)]}"
      )
    restored = self._restore(
      state=ocp.args.StandardRestore(like), facts=ocp.args.JsonRestore()
    )
    return restored["state"], restored["facts"]

  def facts(self) -> dict:
    self._whole("facts")
    return self._restore(facts=_orbax().args.JsonRestore())["facts"]

  def damage(self) -> str | None:
    """What is damaged, None if nothing is."""
    reason = atomic.find_damage(self._folder / str(self._step()), whole=True)
    return reason and self._damaged(reason)

  def _damaged(self, reason: str) -> str:
    remedy = "train again"
    if self._folder.name == "last":
      remedy = (
        "best/ is intact: evaluate and predict use it, and"
        f" --config.train.init_from={self._folder.parent} starts a new run from"
        " it"
      )
    return f"the checkpoint in {self._folder} is damaged; {remedy}: {reason}"

  def _does_not_fit(self, reason: str) -> errors.InputError:
    return errors.InputError(
      f"the checkpoint in {self._folder} does not fit this model:"
      f" {reason[:200]}"
    )

  def _whole(self, *items: str) -> Any:
    """The folder of the save, after the checksums of these items."""
    step = self._step()
    reason = atomic.find_damage(
      self._folder / str(step),
      wanted=lambda file: "/" not in file or file.split("/")[0] in items,
      whole=True,
    )
    if reason:
      raise errors.InputError(self._damaged(reason))
    return self._open().directory / str(step)

  def _restore(self, **items) -> "ocp.args.Composite":
    try:
      return self._open().restore(
        self._step(), args=_orbax().args.Composite(**items)
      )
    except Exception as error:
      reason = errors.first_line(error)
    if "tree structures do not match" in reason:
      raise self._does_not_fit(reason)
    raise errors.InputError(self._damaged(reason))

  def wait(self) -> None:
    if self._manager is not None:
      with self._writing():
        self._manager.wait_until_finished()

  def close(self) -> None:
    """Waits for what is being written; within `closed_late`, not yet."""
    if _late is not None and self._writable and self._manager is not None:
      _late[self._folder] = self
    else:
      self._end()

  def _end(self) -> None:
    manager, self._manager = self._manager, None
    link, self._link = self._link, None
    with self._writing(), contextlib.ExitStack() as ends:
      if link is not None:
        ends.callback(link.cleanup)
      if manager is not None:
        manager.close()


def read_facts(folder: pathlib.Path) -> dict:
  """The facts of a checkpoint; InputError where it has none or is damaged."""
  with contextlib.closing(Store(folder)) as store:
    return store.facts()


_late: dict[pathlib.Path, Store] | None = None


@contextlib.contextmanager
def closed_late() -> Iterator[None]:
  """Stores closed within go on writing while other work is done: until their
  folder is opened again, or to the end of the block, an error's too."""
  global _late
  _late = {}
  try:
    with without_pages():
      try:
        yield
      finally:
        for store in [*_late.values()]:
          store._end()
  finally:
    _late = None


@contextlib.contextmanager
def without_pages() -> Iterator[None]:
  """Hides tracebacks of failed writes, which are raised too."""
  loggers = [logging.getLogger(name) for name in ("asyncio", "absl")]
  before = [logger.disabled for logger in loggers]
  for logger in loggers:
    logger.disabled = True
  try:
    yield
  finally:
    for logger, disabled in zip(loggers, before, strict=True):
      logger.disabled = disabled
