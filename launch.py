"""The only entry point: launch.py [verb] --config=... --workdir=... [files]

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


def _leave(number, frame):
  """Ctrl-C while what follows is imported: there is nothing to clear up."""
  try:
    os.write(2, b"interrupted\n")
  finally:
    os._exit(128 + number)


_STARTED = (
  __name__ == "__main__"
  and signal.getsignal(signal.SIGINT) is signal.default_int_handler
)
if _STARTED:
  signal.signal(signal.SIGINT, _leave)

import contextlib
import functools
import pathlib
import sys

from gtzan_jax.cli import command_line, recipes, verbs
from gtzan_jax.cli.command_line import Given, Verb
from gtzan_jax.errors import InputError, Shown, shown, system_reason
from gtzan_jax.training import preemption

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


def open_dataset(config, beam_options: str | None = None):
  """Prepares what the config's data section names, and cuts it."""
  import tfds_gtzan
  from gtzan_jax.cli import console
  from gtzan_jax.data import corpus_checks, pipeline

  data = config.data
  _check_protocol(data)
  prepared, found, own = _prepare(data, beam_options)
  try:
    partition = tfds_gtzan.apply(rows=prepared.rows, own=own, **_cut(data))
  except InputError:  # for want of these, it may be
    console.skipped(prepared.skipped)
    raise
  found += map(corpus_checks.noted, partition.notes)
  dataset = pipeline.open_dataset(
    prepared.directory,
    partition.protocol,
    partition,
    tuple(data.genres),
    artists=artists(prepared.rows),
    warnings=[one.plain() for one in found],
  )
  console.dataset(prepared, partition)
  return dataset


def judge_config(config):
  """The config of the judge that a GAN's run trains first."""
  from configs import judge

  return judge.of(config)


def _prepare(data, beam_options: str | None = None):
  """Prepares a corpus; what is wrong with it, each of which is printed; and the
  splits that config.data.splits gives, or None."""
  import tfds_gtzan
  from gtzan_jax.cli import console
  from gtzan_jax.data import corpus_checks
  from gtzan_jax.training import workdir
  from tfds_gtzan.split_audit import crossings

  found, own = [], None
  allowed = corpus_checks.allowed(data.allow)

  def check(corpus) -> None:
    nonlocal own
    facts = {}
    if files := workdir.listed(data.splits):
      own, facts["splits"] = crossings.given(files, corpus)
    found.extend(_checked(corpus, allowed, facts))

  prepared = tfds_gtzan.prepare(
    data.path,
    data.features,
    data.dir,
    data.tracks_per_genre,
    beam_options=beam_options,
    check=check,
    label_table=data.labels,
    artists=data.artists,
  )
  facts = corpus_checks.facts_of_rows(prepared.genres, prepared.rows)
  known = {one.check for one in found}
  read = [x for x in corpus_checks.find(facts) if x.check not in known]
  console.warnings(read)
  return prepared, [*found, *read], own


def _checked(corpus, allowed, facts=()):
  """What is wrong with an opened corpus; refuses what is not allowed."""
  from gtzan_jax.cli import console
  from gtzan_jax.data import corpus_checks

  found = corpus_checks.find(corpus_checks.facts_of(corpus) | dict(facts))
  corpus_checks.refuse(found, allowed)
  console.warnings(found)
  return found


def open_corpus(data, genres: int = 2, announced: bool = True):
  """The corpus alone, of which nothing is prepared.

  Args:
    data: a config's data section.
    genres: how many it has to have at least.
    announced: whether to print what there is to know of it.
  """
  import tfds_gtzan
  from gtzan_jax.cli import console

  corpus = tfds_gtzan.open_corpus(
    *(data.path, data.tracks_per_genre, data.dir, data.labels, data.artists),
    least_genres=genres,
  )
  if announced:
    console.corpus(corpus.name, corpus.passed_over, corpus.hint)
  return corpus


def open_tree(path: str, data):
  """The files of a folder or an archive; None of any other path."""
  from tfds_gtzan.corpora import packed

  return packed.tree_at(pathlib.Path(path), pathlib.Path(data.dir).expanduser())


def fingerprint(spec: dict, corpus) -> str:
  """Which a corpus has when it is prepared for a feature spec."""
  from gtzan_jax.features import FeatureSpec
  from tfds_gtzan import tfds_gtzan_dataset_builder as dataset_builder

  return dataset_builder.fingerprint(FeatureSpec.from_dict(spec), corpus)


def artists(tracks) -> dict[str, str]:
  """{track: whose it is}, what resampling takes or leaves as a whole."""
  from tfds_gtzan.facts import artist_clusters

  return artist_clusters.names(tracks)


def _check_protocol(data) -> None:
  from tfds_gtzan.protocols import table as protocols

  cut = _cut(data)
  protocols.check(
    **{key: cut[key] for key in cut.keys() - {"genres", "split_seed"}},
    own=bool(data.splits),
  )


def _cut(data) -> dict[str, object]:
  """What cuts a corpus, as tfds_gtzan.apply takes it."""
  keys = ("fold", "split_seed", "train_fraction", "train_segments")
  return {
    **{"name": data.protocol, "genres": tuple(data.genres)},
    **{key: data[key] for key in (*keys, "leak", "leak_share")},
  }


def open_cuts(config):
  """How the corpus of a config is cut (what differs -> a Partition), and its
  track table."""
  import jax

  import tfds_gtzan

  data = config.data
  _check_protocol(data)
  # The runs, each a process, need all of an accelerator's memory.
  jax.config.update("jax_platforms", "cpu")
  prepared, _, own = _prepare(data)

  def cut(**changed):
    kept = None if "name" in changed else own
    values = {**_cut(data), "own": kept, **changed}
    return tfds_gtzan.apply(rows=prepared.rows, **values)

  return cut, prepared.rows


def leak(given: Given) -> int:
  from gtzan_jax.studies.leak import run as leak_runs
  from tfds_gtzan.protocols import table as protocols

  return leak_runs.run(
    given, HOME / "launch.py", open_cuts, tuple(protocols.PROTOCOLS)
  )


def crossval(given: Given) -> int:
  from gtzan_jax.studies.crossval import run as crossval_runs
  from tfds_gtzan.protocols import table as protocols

  folds = {name: one.folds for name, one in protocols.PROTOCOLS.items()}
  return crossval_runs.run(given, HOME / "launch.py", open_cuts, folds)


def check_splits(given: Given) -> int:
  from gtzan_jax.studies.split_audit import run as checking
  from tfds_gtzan.split_audit import crossings

  return checking.run(given, crossings.survey, open_corpus)


def prepare(given: Given) -> int:
  data, asked = given.config.data, given.flags
  if asked.archive is not None:
    _check_archive(given)
  elif asked.columns_per_second is not None:
    raise InputError(
      f"--columns_per_second={asked.columns_per_second}: of the log-mel archive"
      " that --archive=OUT.npz writes; give both or none"
    )
  else:
    _check_protocol(data)
  if asked.download:
    _download(data)
  if asked.archive is not None:
    _write_archive(given)
  else:
    open_dataset(given.config, asked.beam_options)
  if asked.download:
    print(f"from now on give --config.data.path={data.path}")
  return 0


def _download(data) -> None:
  if data.path:
    raise InputError(
      f"--download and --config.data.path={data.path}: give one of the two;"
      " --download fetches GTZAN's original archive"
    )
  from tfds_gtzan import download

  data.path = str(download.fetch(data.dir))


def _check_archive(given: Given) -> None:
  from tfds_gtzan.corpora import archive_writer

  unused = [f"--config.{key}" for key in given.overrides if key not in CORPUS]
  if given.flags.beam_options is not None:
    unused.append("--beam_options")
  if unused:
    raise InputError(
      f"{unused[0]}: --archive writes the whole corpus, in this process; it"
      f" takes {', '.join(f'--config.{key}' for key in CORPUS)}"
    )
  archive_writer.check_out(given.flags.archive, **_rate(given))


def _write_archive(given: Given) -> None:
  from gtzan_jax.cli import console
  from gtzan_jax.data import corpus_checks
  from tfds_gtzan.corpora import archive_writer

  data = given.config.data
  allowed, corpus = corpus_checks.allowed(data.allow), open_corpus(data)
  _checked(corpus, allowed)
  console.archive(
    archive_writer.write(corpus, given.flags.archive, **_rate(given))
  )


def _rate(given: Given) -> dict[str, float]:
  rate = given.flags.columns_per_second
  return {} if rate is None else {"columns_per_second": rate}


def explore(given: Given) -> int:
  from gtzan_jax.studies.explore import run as page
  from tfds_gtzan.facts import track_lists

  corpus = open_corpus(given.config.data)
  out = page.folder(
    given.flags.out or f"runs/explore-{corpus.name}-{corpus.fingerprint[:8]}"
  )
  facts = page.survey(
    corpus,
    duplicates=track_lists.duplicates(),
    lists={
      name: track_lists.parts(name) for name in ("filtered", "stratified")
    },
    progress=True,
  )
  for warning in facts["warnings"]:
    print(f"warning: {warning['title']}")
  print(f"page: {page.write(facts, out)}")
  return 0


def failures(given: Given) -> int:
  from gtzan_jax.studies.failures import run as found
  from tfds_gtzan.facts import notes

  return found.verb(given, notes.about)


def robustness(given: Given) -> int:
  from gtzan_jax.studies.robustness import run as listening

  return listening.verb(given, open_corpus, fingerprint)


def explain(given: Given) -> int:
  from gtzan_jax.studies.explain import run as explanation

  return explanation.verb(given, open_dataset, open_tree)


# Which keys of a config opening a corpus takes, which cutting it, and which a
# verb that opens a workdir.
CORPUS = (
  *("data.path", "data.labels", "data.artists", "data.tracks_per_genre"),
  *("data.dir", "data.allow"),
)
OPENED = (*CORPUS, "log.compilation_cache")
CUT = (
  *("data.protocol", "data.splits", "data.split_seed", "data.fold"),
  *("data.train_fraction", "data.train_segments", "data.genres"),
  *("data.leak", "data.leak_share"),
)
LONGEST = 4000  # characters of an error that names what is accepted
HOME = pathlib.Path(__file__).resolve().parent
DEFAULT = HOME / "configs" / "default.py"
VERBS = {
  "train": Verb(
    functools.partial(
      verbs.train,
      open_dataset=open_dataset,
      judge_config=judge_config,
      open_corpus=functools.partial(open_corpus, announced=False),
      fingerprint=fingerprint,
    ),
    ("config", "workdir"),
    keys=None,
  ),
  "prepare": Verb(
    prepare,
    ("config", "download", "archive", "columns_per_second", "beam_options"),
    keys=(*CORPUS, "data.features", *CUT),
  ),
  "evaluate": Verb(
    functools.partial(
      verbs.evaluate,
      open_dataset=open_dataset,
      open_corpus=functools.partial(open_corpus, genres=1),
      fingerprint=fingerprint,
      artists=artists,
    ),
    ("workdir", "out"),
    keys=OPENED,
    config=DEFAULT,
  ),
  "predict": Verb(
    functools.partial(verbs.predict, open_tree=open_tree),
    ("workdir", "json"),
    keys=("data.dir",),
    config=DEFAULT,
    files=True,
  ),
  "generate": Verb(
    verbs.generate, ("workdir", "genre", "count", "out", "seed")
  ),
  "sweep": Verb(
    functools.partial(verbs.sweep, launcher=HOME / "launch.py"),
    ("config", "sweep", "retry", "out"),
    keys=None,
    config=HOME / "configs" / "resnet.py",
  ),
  "leak": Verb(
    leak, ("config", "workdir", "seeds", "protocol", "retry"), keys=None
  ),
  "crossval": Verb(
    crossval, ("config", "workdir", "seeds", "retry"), keys=None
  ),
  "leaderboard": Verb(verbs.leaderboard, ("out",), files=True),
  "compare": Verb(verbs.compare, ("workdir", "out")),
  "failures": Verb(failures, ("out",), files=True),
  "robustness": Verb(
    robustness, ("workdir", "out"), keys=OPENED, config=DEFAULT, files=True
  ),
  "explain": Verb(
    explain, ("workdir",), keys=OPENED, config=DEFAULT, files=True
  ),
  "verify": Verb(verbs.verify, (), files=True),
  "check-splits": Verb(
    check_splits,
    ("out",),
    keys=("data.path", "data.dir"),
    config=DEFAULT,
    files=True,
  ),
  "explore": Verb(explore, ("config", "out"), keys=CORPUS, config=DEFAULT),
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


def main(argv: list[str]) -> int:
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
    known = recipes.files(HOME, "configs/*.py")
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
  if _STARTED:
    signal.signal(signal.SIGINT, signal.default_int_handler)
  sys.exit(main(sys.argv))
