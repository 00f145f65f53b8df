"""Scalars to metrics.jsonl and TensorBoard, each step once.

metrics.jsonl has one JSON object a line: {"step", "time/seconds", name: value}.
Keys that begin with "time/" are timings: all the rest repeats bit for bit.
After a kill the run continues from its last checkpoint; later lines are cut
off and written again.
"""

import contextlib
import json
import math
import pathlib
import socket
import struct
import time
from collections.abc import Mapping

from tensorboardX.proto import event_pb2, summary_pb2
from tensorboardX.record_writer import masked_crc32c

from gtzan_jax import atomic, errors


def read(path: pathlib.Path, least: int = 0) -> list[dict]:
  """The complete lines of a metrics.jsonl, which may not exist yet.

  InputError for fewer than `least`, which the checkpoint in last/ expects.
  """
  rows = []
  text = path.read_text("utf-8", "replace") if path.is_file() else ""
  for line in text.split("\n"):
    try:
      row = json.loads(line)
    except (ValueError, RecursionError):
      break
    if not (isinstance(row, dict) and row.keys() >= {"step", "time/seconds"}):
      break
    rows.append(row)
  if len(rows) < least:
    raise errors.InputError(
      f"{path} is damaged: it has {len(rows)} complete lines, last/ expects"
      f" {least}; restore it, or train in another --workdir"
    )
  return rows


class Scalars:
  """Writes one run's scalars; opening it drops those after `step`."""

  def __init__(
    self, workdir: pathlib.Path, *, step: int, rows: int, tensorboard: bool
  ):
    """Continues a run from `step` (0: a new one), keeping `rows` lines."""
    self._path = workdir / "metrics.jsonl"
    self._workdir = workdir
    kept = read(self._path, rows)[:rows]
    self.rows = len(kept)  # written so far, saved in last/
    text = "".join(json.dumps(row) + "\n" for row in kept)
    elapsed = kept[-1]["time/seconds"] if kept else 0.0
    self._start = time.monotonic() - elapsed
    self._events = None
    with self._writing():
      atomic.write(self._path, text)
      self._file = self._path.open("a", buffering=1)
      if tensorboard:
        folder = workdir / "tensorboard"
        folder.mkdir(exist_ok=True)
        name = f"{time.time():.3f}.{socket.gethostname()}"
        self._events = (folder / f"events.out.tfevents.{name}").open("ab")
        self._add_event(file_version="brain.Event:2")
        if step:  # hides what an earlier start wrote from here on
          start = event_pb2.SessionLog(status=event_pb2.SessionLog.START)
          self._add_event(step=step + 1, session_log=start)

  def _writing(self) -> contextlib.AbstractContextManager:
    return errors.writing(f"the scalars in {self._workdir}")

  def _add_event(self, **event) -> None:
    """Writes at once: a background writer could not report a full disk."""
    data = event_pb2.Event(wall_time=time.time(), **event).SerializeToString()
    assert self._events is not None
    size = struct.pack("<Q", len(data))
    for part in (size, data):
      self._events.write(part + struct.pack("<I", masked_crc32c(part)))
    self._events.flush()

  def write(self, step: int, scalars: Mapping[str, float]) -> None:
    """One line; a scalar that is not a number is written as null."""
    seconds = round(time.monotonic() - self._start, 3)  # earlier starts too
    row: dict[str, float | None] = {"step": step, "time/seconds": seconds}
    for key, value in scalars.items():
      plain = value if isinstance(value, int) else float(value)
      row[key] = plain if math.isfinite(plain) else None
    with self._writing():
      self._file.write(json.dumps(row) + "\n")
      self.rows += 1
      if self._events is not None:
        values = [
          summary_pb2.Summary.Value(tag=key, simple_value=float(value))
          for key, value in scalars.items()
        ]
        self._add_event(step=step, summary=summary_pb2.Summary(value=values))

  def close(self) -> None:
    with self._writing(), contextlib.ExitStack() as files:
      files.callback(self._file.close)
      if self._events is not None:
        files.callback(self._events.close)
