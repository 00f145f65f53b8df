"""The command line: launch.py [verb] --config=... --workdir=... [files]

  (none), train   train, evaluate and report; the same command again resumes
  prepare         only prepare the data set
  evaluate        report anew on a workdir's best checkpoint; of several
                  --workdir, report on their mean probability into --out; with
                  --config.data.path=OTHER, test it on other music
  predict         genres of audio files, by a workdir's model
  generate        --count examples of --genre into --out, by a GAN's workdir
  sweep           the runs of --sweep=configs/sweeps/..., one after the other,
                  of the recipe that --config names (resnet if it is left out)
  leak            how much of a recipe's accuracy is leak: the same test after
                  training with it and without, --seeds times; into --workdir
  crossval        a run of every fold of --config.data.protocol, and what they
                  said of the whole corpus; into --workdir
  leaderboard     tables of the report.json files below the folders named, into
                  the folder --out, or into a page of Markdown
  compare         two --workdir, or several seeds of two recipes, on the same
                  tracks; --out keeps the result
  failures        where the runs whose folders are named fail alike, into --out
  robustness      a run on audio hears its held-out tracks again, distorted in
                  all ways or in those named; into --out or WORKDIR/robustness
  explain         which sound made a network's answer: of files or tracks, or of
                  the hardest and the surest; into WORKDIR/explain
  verify          every number of the results below the folders named, computed
                  anew from the stored predictions
  check-splits    tracks, artists and recordings that cross the split in the
                  files named; status 1 if any do, or a name means no track;
                  --out keeps the result
  explore         one HTML page about a corpus, into --out
  models          the table of models

Examples:
  python launch.py --config=configs/quickstart.py
  python launch.py --config=configs/resnet.py --config.data.path=/data/gtzan
  python launch.py predict --workdir=runs/demo song.mp3
  python launch.py evaluate --workdir=runs/a --workdir=runs/b --out=runs/ab
  python launch.py evaluate --workdir=runs/a --config.data.path=/data/other
  python launch.py sweep --sweep=configs/sweeps/seeds.py \\
    --config=configs/lstm.py --config.data.path=/data/gtzan
  python launch.py crossval --config=configs/resnet.py \\
    --config.data.path=/data/gtzan --config.data.protocol=artist_kfold
  python launch.py generate --workdir=runs/gan --genre=jazz --out=jazz
  python launch.py compare --workdir=runs/a --workdir=runs/b
  python launch.py failures runs/seeds/* --out=runs/failures
  python launch.py robustness --workdir=runs/demo white_noise mp3
  python launch.py explain --workdir=runs/demo song.mp3
  python launch.py leaderboard docs/results --out=docs/results.md
  python launch.py verify docs/results
  python launch.py check-splits train.txt test.txt --out=runs/split
  python launch.py evaluate --help
"""

# ruff: noqa: E402 (what is imported below may be interrupted)
import os
import signal
import sys


def _leave(number, frame):
  """Ctrl-C while what follows is imported: there is nothing to clear up."""
  try:
    os.write(2, b"interrupted\n")
  finally:
    os._exit(128 + number)


# The programs that this file is: nobody else's signals are touched.
_STARTED = (
  os.path.basename(sys.argv[0]) in ("launch.py", "gtzan", "main.py")
  and signal.getsignal(signal.SIGINT) is signal.default_int_handler
)
if _STARTED:
  signal.signal(signal.SIGINT, _leave)

import contextlib

from gtzan_jax.cli import command_line, verbs
from gtzan_jax.cli.command_line import Verb
from gtzan_jax.errors import InputError, Shown, shown, system_reason
from gtzan_jax.training import preemption, recipes

FLAGS = {
  "config": (str, "a file in configs/"),
  "workdir": (list, "folder of a run (train: runs/<recipe>-<config hash>)"),
  "out": (str, "where results go"),
  "sweep": (str, "a file in configs/sweeps/"),
  "retry": (bool, "start what failed again"),
  "download": (bool, "fetch GTZAN's original archive (1.2 GB) first"),
  "archive": (str, "only write the log-mel of the audio to this .npz"),
  "columns_per_second": (float, "of --archive: 1 to 43.07; default 12.9"),
  "beam_options": (str, "prepare by Apache Beam, see docs/beam.md"),
  "json": (bool, "print JSON"),
  "genre": (str, "what to generate"),
  "count": (int, "how many to generate; default 1"),
  "seeds": (int, "runs of each; leak: 2 or more, default 3; crossval: 1"),
  "protocol": (
    list,
    "to stand beside the arms, or none; default: all there are",
  ),
  "seed": (int, "of the noise; the same seed, the same examples; default 0"),
}


LONGEST = 4000  # characters of an error that names what is accepted
VERBS = {
  "train": Verb(verbs.train, ("config", "workdir"), keys=None),
  "prepare": Verb(
    verbs.prepare,
    ("config", "download", "archive", "columns_per_second", "beam_options"),
    keys=(*verbs.CORPUS, "data.features", *verbs.CUT),
  ),
  "evaluate": Verb(
    verbs.evaluate, ("workdir", "out"), keys=verbs.OPENED, config="default"
  ),
  "predict": Verb(
    verbs.predict,
    ("workdir", "json"),
    keys=("data.dir",),
    config="default",
    files=True,
  ),
  "generate": Verb(
    verbs.generate, ("workdir", "genre", "count", "out", "seed")
  ),
  "sweep": Verb(
    verbs.sweep,
    ("config", "sweep", "retry", "out"),
    keys=None,
    config="resnet",
  ),
  "leak": Verb(
    verbs.leak, ("config", "workdir", "seeds", "protocol", "retry"), keys=None
  ),
  "crossval": Verb(
    verbs.crossval, ("config", "workdir", "seeds", "retry"), keys=None
  ),
  "leaderboard": Verb(verbs.leaderboard, ("out",), files=True),
  "compare": Verb(verbs.compare, ("workdir", "out")),
  "failures": Verb(verbs.failures, ("out",), files=True),
  "robustness": Verb(
    verbs.robustness,
    ("workdir", "out"),
    keys=verbs.OPENED,
    config="default",
    files=True,
  ),
  "explain": Verb(
    verbs.explain,
    ("workdir",),
    keys=verbs.OPENED,
    config="default",
    files=True,
  ),
  "verify": Verb(verbs.verify, (), files=True),
  "check-splits": Verb(
    verbs.check_splits,
    ("out",),
    keys=("data.path", "data.dir"),
    config="default",
    files=True,
  ),
  "explore": Verb(
    verbs.explore, ("config", "out"), keys=verbs.CORPUS, config="default"
  ),
  "models": Verb(verbs.models, ("out",)),
}


class _Stream:
  """Standard output, by its name where it cannot be written; or standard error,
  of which nobody could be told."""

  def __init__(self, stream, name: str = ""):
    self._stream, self._name = stream, name

  def write(self, text: str) -> int:
    self._do("write", text)
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
  """Python would complain once more of a stream that failed, at its exit."""
  os.dup2(os.open(os.devnull, os.O_WRONLY), number)


def main(argv: list[str] | None = None) -> int:
  """Does what a command line asks for.

  Args:
    argv: the program's name and the words after it; None: of this process.

  Returns:
    the exit status: 0; 1 where something was found or skipped; 2 for a mistake
    of the user; 128 and a signal's number.
  """
  if argv is None:
    argv = sys.argv
  if _STARTED:
    signal.signal(signal.SIGINT, signal.default_int_handler)
  # The log lines of TFDS, Orbax and XLA are not for our users.
  os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
  for number in (0, 1, 2):
    try:
      os.fstat(number)
    except OSError:  # the next file opened would be taken for it
      _to_nowhere(number)
  # What a stranger's file is called is printed, and never obeyed.
  out = sys.stdout and Shown(_Stream(sys.stdout, "standard output"))
  errors = _Stream(sys.stderr or open(os.devnull, "w"))  # noqa: SIM115
  with contextlib.redirect_stdout(out), contextlib.redirect_stderr(errors):
    with preemption.kept() as pressed:
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
  """Does what the command line asks for, and returns the exit status."""
  try:
    if sys.stdout is None:
      raise InputError("standard output is closed: give >/dev/null for none")
    if hasattr(sys.stdout, "reconfigure"):  # a terminal may know ASCII alone
      sys.stdout.reconfigure(errors="backslashreplace")
    known = recipes.files("*.py")
    given = command_line.parse(argv, FLAGS, VERBS, "train", known)
    if given.help:
      print(
        command_line.help_text(__doc__, FLAGS, VERBS, given.verb), flush=True
      )
      return 0
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
