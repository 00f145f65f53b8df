"""The command `gtzan`: streams, signals and exit statuses around a verb."""

# ruff: noqa: E402 (what is imported below may be interrupted)
import atexit
import gc
import os
import signal
import sys


def _leave(number, frame):
  """Ctrl-C during the imports below: nothing needs cleaning up."""
  try:
    os.write(2, b"interrupted\n")
  finally:
    os._exit(128 + number)


_status: int | None = None  # of the whole program, once it is known


def _end():
  """Leaves at once: to free all objects one by one takes half a second."""
  if _status is not None:
    for stream in (sys.stdout, sys.stderr):
      with contextlib.suppress(AttributeError, OSError, ValueError):
        stream.flush()  # none, full or closed
    os._exit(_status)


# Only where this is the program: signals of others stay as they are.
_STARTED = (
  os.path.basename(sys.argv[0]) in ("launch.py", "gtzan", "main.py")
  and signal.getsignal(signal.SIGINT) is signal.default_int_handler
)
if _STARTED:
  signal.signal(signal.SIGINT, _leave)
  # Imports and tracing make objects that stay: searching them for garbage every
  # 2,000 takes 8 % of the time to the first step.
  gc.set_threshold(1_000_000)
  atexit.register(_end)  # the last: handlers run from the end

import contextlib

from gtzan_jax import __version__
from gtzan_jax.cli import parse_flags
from gtzan_jax.cli.verbs import VERBS
from gtzan_jax.errors import InputError, shown, system_reason
from gtzan_jax.training import stop_signals

LONGEST = 4000  # characters of an error that names what is accepted


class _Stream:
  """Standard output, with control characters (as of names of files) escaped and
  errors that name it; or standard error, whose errors are dropped."""

  def __init__(self, stream, name: str = ""):
    self._stream, self._name = stream, name

  def write(self, text: str) -> int:
    self._do("write", shown(text, "\n\t\r") if self._name else text)
    return len(text)

  def flush(self) -> None:
    self._do("flush")

  def _do(self, what: str, *text: str) -> None:
    try:
      getattr(self._stream, what)(*text)
    except OSError as error:
      if self._name:
        error.filename = self._name
        raise

  def __getattr__(self, name: str):
    return getattr(self._stream, name)


def _to_nowhere(number: int) -> None:
  """Otherwise Python would report the failed stream again at its exit."""
  os.dup2(os.open(os.devnull, os.O_WRONLY), number)


def main(argv: list[str] | None = None) -> int:
  """Runs a command line (None: this process's). Returns 0; 1 where something
  was found or skipped; 2 for a user's error; 128 + the signal."""
  global _status
  status = _main(argv)
  _status = status if _STARTED else None
  return status


def _main(argv: list[str] | None) -> int:
  if argv is None:
    argv = sys.argv
  if _STARTED:
    signal.signal(signal.SIGINT, signal.default_int_handler)
  # Log lines of TFDS, Orbax and XLA.
  os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
  for number in (0, 1, 2):
    try:
      os.fstat(number)
    except OSError:  # the next file opened would be taken for it
      _to_nowhere(number)
  out = sys.stdout and _Stream(sys.stdout, "standard output")
  errors = _Stream(sys.stderr or open(os.devnull, "w"))  # noqa: SIM115
  with contextlib.redirect_stdout(out), contextlib.redirect_stderr(errors):
    with stop_signals.kept() as pressed:
      try:
        return _answer(argv)
      except KeyboardInterrupt:
        pass
      except Exception:
        if not pressed:
          raise
    print("interrupted", file=sys.stderr)
    return 130


def _answer(argv: list[str]) -> int:
  try:
    if sys.stdout is None:
      raise InputError("standard output is closed: give >/dev/null for none")
    if hasattr(sys.stdout, "reconfigure"):  # a terminal may know ASCII alone
      sys.stdout.reconfigure(errors="backslashreplace")
    if argv[1:2] == ["--version"]:
      print(f"gtzan_jax {__version__}", flush=True)
      return 0
    if text := parse_flags.help_text(argv[1:], VERBS):
      print(text, end="", flush=True)
      return 0
    given = parse_flags.parse(argv[1:], VERBS)
    status = VERBS[given.verb].function(given)
    sys.stdout.flush()
    return status
  except BrokenPipeError:  # `| head` has read enough
    _to_nowhere(sys.stdout.fileno())
    return 128 + signal.SIGPIPE
  except InputError as error:
    return _refuse(str(error))
  except Exception as error:
    if (reason := system_reason(error)) is None:
      raise
    return _refuse(reason)


def _refuse(reason: str) -> int:
  try:
    if sys.stdout:
      sys.stdout.flush()
  except OSError:
    _to_nowhere(sys.stdout.fileno())
  text = shown(reason)
  if len(text) > LONGEST:  # it repeats a value or a name out of a file
    text = f"{text[: LONGEST - 205]} ... {text[-200:]}"
  print(f"error: {text}", file=sys.stderr)
  return 2


if __name__ == "__main__":
  sys.exit(main())
