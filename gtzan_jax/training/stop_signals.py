"""SIGTERM and Ctrl-C: recorded, and polled by the loop."""

import contextlib
import os
import signal
import sys
import threading
import time
import types
from collections.abc import Iterator

_PATIENCE = 2.0  # seconds


class Interrupted(SystemExit):
  """SIGTERM or Ctrl-C arrived, and the state is saved."""


@contextlib.contextmanager
def kept() -> Iterator[list[float]]:
  """No Ctrl-C is lost; yields the times at which they were raised.

  Python prints and drops a KeyboardInterrupt in a callback (JAX has one at each
  garbage collection): it is raised again a moment later. Where Python cannot
  handle the signal for `_PATIENCE`, such as in the compiler, the process ends:
  its files are whole or absent at any time.
  """
  pressed: list[float] = []
  if signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
    yield pressed  # ignored, as under nohup, or another program's
    return
  hook = sys.unraisablehook

  def press(number, frame):
    if _imports(frame):  # C code there aborts or drops what is raised
      later()
      return
    pressed.append(time.monotonic())
    raise KeyboardInterrupt

  def again(dropped) -> None:
    if issubclass(dropped.exc_type, KeyboardInterrupt):
      later()
    else:
      hook(dropped)

  def later() -> None:
    main = threading.main_thread().ident
    timer = threading.Timer(0.05, signal.pthread_kill, (main, signal.SIGINT))
    timer.daemon = True
    timer.start()

  def watch(reader: int) -> None:
    while number := os.read(reader, 1):  # nothing at its end
      if number[0] != signal.SIGINT:
        continue
      began = time.monotonic()
      time.sleep(_PATIENCE)
      if signal.getsignal(signal.SIGINT) is press and not (
        pressed and pressed[-1] > began - 1
      ):
        os.write(2, b"interrupted\n")
        os._exit(128 + signal.SIGINT)
    os.close(reader)

  reader, writer = os.pipe()
  os.set_blocking(writer, False)
  watcher = threading.Thread(target=watch, args=(reader,), daemon=True)
  watcher.start()
  signal.signal(signal.SIGINT, press)
  before = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
  sys.unraisablehook = again
  try:
    yield pressed
  finally:
    sys.unraisablehook = hook
    signal.set_wakeup_fd(before)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.close(writer)  # which ends the watch


def _imports(frame: types.FrameType | None) -> bool:
  """Whether a module is being imported, by this frame or a caller."""
  while frame is not None:
    if frame.f_code.co_filename == "<frozen importlib._bootstrap>":
      return True
    frame = frame.f_back
  return False


class Interrupt:
  """Turns SIGTERM and SIGINT into a flag that the loop polls.

  Only after `arm`: while the first step compiles, nothing can be polled, and
  nothing is unsaved. A second Ctrl-C ends at once.
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
        # as in the background of a script
        if signal.getsignal(number) != signal.SIG_IGN
      }

  def _note(self, number, frame):
    again = self._signal is not None
    self._signal = number
    if again and number == signal.SIGINT:
      raise KeyboardInterrupt

  def check(self) -> None:
    if self._signal is not None:
      raise Interrupted(128 + self._signal)

  def __exit__(self, kind, *unused):
    for number, handler in self._before.items():
      signal.signal(number, handler)
    if kind is None:  # it may have arrived since the last check
      self.check()
