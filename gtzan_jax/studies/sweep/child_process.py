"""Runs a command in its own process; signals and exit status."""

import os
import pathlib
import re
import signal
import subprocess

# Exit statuses after SIGINT or SIGTERM, handled or not.
STOPPED = {
  status
  for number in (signal.SIGINT, signal.SIGTERM)
  for status in (128 + number, -number)
}


class Stop:
  """Passes SIGINT, SIGTERM and SIGHUP on to the running process; `signal` is
  the last one received, or 0."""

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
  """Runs a command, appending its output to `log`; returns exit status
  (negative: a signal) and output. The process inherits the descriptor
  `keep_open`, so that a lock on it lives as long as the process."""
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
  """The output line with the cause: an error, an exception, or the last."""
  if status < 0:
    return f"ended by signal {-status} ({signal.strsignal(-status)})"
  lines = [line.strip() for line in text.splitlines() if line.strip()]
  for line in reversed(lines):
    if re.match(r"error: |[\w.]*(Error|Exception)\b", line):
      return line.removeprefix("error: ")
  return lines[-1] if lines else f"exit status {status}, without output"
