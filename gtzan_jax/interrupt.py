"""SIGTERM and Ctrl-C as something that the loop asks for."""

import signal


class Interrupted(SystemExit):
  """SIGTERM or Ctrl-C arrived; the state was saved before this left."""


class Interrupt:
  """Turns SIGTERM and SIGINT into a flag that the loop asks for.

  Only once `arm` was called: while the first step compiles, Python could not
  look at a flag for long, and there is nothing to save that is not saved.
  """

  def __enter__(self):
    self._signal = None
    self._before = {}
    return self

  def arm(self) -> None:
    if not self._before:
      self._before = {
        number: signal.signal(number, self._note)
        for number in (signal.SIGTERM, signal.SIGINT)
      }

  def _note(self, number, frame):
    self._signal = number

  def check(self) -> None:
    if self._signal is not None:
      raise Interrupted(128 + self._signal)

  def __exit__(self, *unused):
    for number, handler in self._before.items():
      signal.signal(number, handler)
