"""A command as a process of its own: waited for, stopped, its end explained."""

import os
import pathlib
import re
import signal
import subprocess

# How a process ends that was asked to stop, whether it noticed or not.
STOPPED = {
  status
  for number in (signal.SIGINT, signal.SIGTERM)
  for status in (128 + number, -number)
}


class Stop:
  """Passes Ctrl-C, SIGTERM and a hang-up on to the process at work.

  Attributes:
    signal: the number of the last one that arrived, or 0.
  """

  def __enter__(self):
    self.signal = 0
    self._child = None
    self._before = {
      number: signal.signal(number, self._pass_on)
      for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
      if signal.getsignal(number) is not signal.SIG_IGN  # as under nohup
    }
    return self

  def _pass_on(self, number, frame):
    self.signal = number
    if self._child:
      self._child.terminate()

  def wait(self, child: subprocess.Popen) -> int:
    self._child = child
    if self.signal:  # it arrived before the child was known here
      child.terminate()
    return child.wait()

  def __exit__(self, *unused):
    for number, handler in self._before.items():
      signal.signal(number, handler)


def run(
  command: list[str], log: pathlib.Path, stop: Stop, keep_open: int
) -> tuple[int, str]:
  """Runs a command to its end.

  Args:
    command: program and arguments.
    log: gets what the command prints, after what stands there.
    stop: passes signals on meanwhile.
    keep_open: a file descriptor that the process holds as well, so that a lock
      on it outlives us with the process.

  Returns:
    the exit status (below 0: the signal that ended it) and what it printed.
  """
  with log.open("a+b") as file:
    begin = file.seek(0, os.SEEK_END)
    child = subprocess.Popen(
      command,
      stdin=subprocess.DEVNULL,
      stdout=file,
      stderr=subprocess.STDOUT,
      env={**os.environ, "PYTHONUNBUFFERED": "1"},
      process_group=0,  # so that a Ctrl-C reaches it once, from Stop
      pass_fds=(keep_open,),
    )
    status = stop.wait(child)
    file.seek(begin)
    return status, file.read().decode("utf-8", "replace")


def error_line(status: int, text: str) -> str:
  """The line that says why: ours, an exception's, or else the last one.

  Args:
    status: exit status, from `run`.
    text: what was printed, from `run`.
  """
  if status < 0:
    return f"ended by signal {-status} ({signal.strsignal(-status)})"
  lines = [line.strip() for line in text.splitlines() if line.strip()]
  for line in reversed(lines):
    if re.match(r"error: |[\w.]*(Error|Exception)\b", line):
      return line.removeprefix("error: ")
  return lines[-1] if lines else f"ended with status {status}, without a word"
