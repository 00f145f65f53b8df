"""The verbs.

Each takes a command line and returns the exit status. What only one verb needs
it imports itself, so that a mistake is answered at once.
"""

import contextlib
import json
import os
import pathlib
import sys
import textwrap
from collections.abc import Callable, Iterator, Mapping

from gtzan_jax.cli.command_line import Given
from gtzan_jax.errors import InputError, shown
from gtzan_jax.training import recipes

# Which keys of a config opening a corpus takes, which splitting it, and which a
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
# What a run of a sweep is started by: of a clone, or of an installed package.
_CLONE = pathlib.Path(__file__).parents[2] / "launch.py"
LAUNCHER = (
  _CLONE if _CLONE.is_file() else pathlib.Path(__file__).with_name("main.py")
)


def train(given: Given) -> int:
  """Trains, evaluates and reports, or goes on with it."""
  from gtzan_jax.cli import console, tasks
  from gtzan_jax.data import open_dataset as data
  from gtzan_jax.training import runtime, sharding, workdir

  config = given.config
  task = tasks.of(config)
  path = given.workdir(default=workdir.default_path(config))
  begun = workdir.check(path, config)
  if begun and config.data.path:
    # Before anything is prepared, or a finished run is taken for one on it.
    spec = workdir.load(path)["feature_spec"]
    corpus = data.open_corpus(config.data, announced=False)
    prepared = data.fingerprint(spec, corpus)
    workdir.check_fingerprint(path, prepared, config.data.path)
  finished = begun and task.is_reported(config, path)
  warn_damaged(path, ("best", "last") if finished else ("best",))
  if finished:
    workdir.relocate(path, config)
    print(f"finished before; the report: {path / 'report.html'}")
    return 0
  runtime.use_compilation_cache(config.log.compilation_cache)
  mesh = sharding.make_mesh()
  tasks.check_config(config, mesh)
  dataset = data.open_dataset(config)
  tasks.check_data(config, dataset, begun)
  with workdir.locked(path):
    workdir.begin(path, config, dataset, tasks.upstream_runs(config))
    print(f"workdir: {path}")
    tasks.train(config, dataset, path, mesh)
    task.evaluate(path, dataset, mesh)
  console.result(path)
  return 0


def evaluate(given: Given) -> int:
  """Reports anew on a run, on several, or on a run and other music."""
  from gtzan_jax.cli import console, tasks
  from gtzan_jax.data import corpus_checks, notices
  from gtzan_jax.data import open_dataset as data
  from gtzan_jax.inference import external
  from gtzan_jax.training import runtime, sharding, workdir
  from tfds_gtzan.facts import artists

  other = {
    key: value
    for key, value in given.overrides.items()
    if key not in workdir.PLACES
  }
  if other and "data.path" not in other:
    raise InputError(
      f"--config.{next(iter(other))} is of other music: give its"
      " --config.data.path too"
    )
  if len(given.flags.workdir) > 1:
    return _ensemble(given)
  path, out = given.workdir(), given.flags.out
  if out and not other:
    raise InputError(
      f"--out={out}: the report of a run goes into its --workdir; --out is for"
      " several --workdir, or for --config.data.path=OTHER"
    )
  run = workdir.load(path)
  if other:  # the run's labels are not of other music
    other = {"data.labels": "", "data.artists": "", **other}
  config = workdir.config_of(path, run, given.config, other)
  runtime.use_compilation_cache(config.log.compilation_cache)
  if other:
    corpus = data.open_corpus(config.data, genres=1)
    out = pathlib.Path(out or path / f"external-{corpus.fingerprint[:8]}")
    found = corpus_checks.find(corpus_checks.facts_of(corpus))
    notices.warnings(found)
    external.evaluate(
      path,
      corpus,
      out,
      config.data.path,
      prepared=data.fingerprint(run["feature_spec"], corpus),
      artists=artists.clusters(corpus.tracks),
      warnings=[one.plain() for one in found],
    )
  else:
    out, dataset = path, data.open_dataset(config)
    with workdir.locked(path):
      tasks.of(config).evaluate(path, dataset, sharding.make_mesh())
  beware_unfinished(path, config)
  console.result(out)
  return 0


def _ensemble(given: Given) -> int:
  from gtzan_jax.cli import console
  from gtzan_jax.inference import ensemble

  if given.overrides:
    key, value = next(iter(given.overrides.items()))
    raise InputError(
      f"--config.{key}={value}: test each --workdir"
      " on it by itself; then give the folders of their reports as --workdir"
    )
  if not given.flags.out:
    raise InputError(
      "--out is needed: the folder for the report of several --workdir"
    )
  ensemble.evaluate(given.flags.workdir, given.flags.out)
  console.result(pathlib.Path(given.flags.out))
  return 0


def warn_damaged(path: pathlib.Path, names: tuple[str, ...]) -> None:
  """A line of each checkpoint of a run that is not as it was written."""
  from gtzan_jax.training import checkpoint

  for name in names:
    store = checkpoint.Store(path / name)
    if store.latest() is not None and (damage := store.damage()):
      print(f"warning: {damage}")
    store.close()


def beware_unfinished(
  path: pathlib.Path, config, what: str = "the report is"
) -> None:
  """Says so of a run that was stopped half way, or whose last/ is damaged."""
  from gtzan_jax.training import checkpoint, progress

  if not (path / "last").is_dir():
    return  # fitted at once, without steps
  last = checkpoint.Store(path / "last")
  facts = last.facts()
  last.close()
  warn_damaged(path, ("last",))
  if not progress.finished(config.train, facts):
    print(
      f"beware: this run is at epoch {facts['progress']['evaluations']} of"
      f" {config.train.epochs}; {what} of its best so far"
    )


def predict(given: Given) -> int:
  """Genres of audio files; those that cannot be read are named and passed."""
  from gtzan_jax.data import notices
  from gtzan_jax.inference import predict as prediction
  from gtzan_jax.training import workdir

  path, as_json = given.workdir(), given.flags.json
  run = workdir.load(path)
  found, passed_over = prediction.find(
    given.files, run["kind"], given.config.data
  )
  notices.passed_over(passed_over, sys.stderr)
  model = prediction.load(path, run)
  of_all, failed = prediction.about(run), 0
  for warning in of_all:
    print(f"warning: {warning}", file=sys.stderr)
  with (
    _json_list() if as_json else contextlib.nullcontext(_print_answer) as put
  ):
    for source in found:
      name = os.fsencode(source.name).decode("utf-8", "backslashreplace")
      answer = {"file": name}
      warnings = [*of_all]
      try:
        with prediction.opened(source) as file:
          probabilities = model(file, warnings)
      except InputError as error:
        print(f"skipped: {shown(str(error))}", file=sys.stderr)
        failed += 1
        answer |= {"genre": None, "probabilities": None, "skipped": str(error)}
      else:
        genre = next(iter(probabilities))
        answer |= {"genre": genre, "probabilities": probabilities}
        for warning in warnings[len(of_all) :]:
          print(f"warning: {shown(answer['file'])}: {warning}", file=sys.stderr)
        if warnings:
          answer["warnings"] = warnings
      put(answer)
  return 1 if failed else 0


def _print_answer(answer: Mapping) -> None:
  if answer["genre"] is not None:
    best = list(answer["probabilities"].items())[:3]
    likeliest = ", ".join(f"{name} {p:.3f}" for name, p in best)
    print(f"{shown(answer['file'])}: {likeliest}", flush=True)


@contextlib.contextmanager
def _json_list() -> Iterator[Callable[[object], None]]:
  """Prints what the function is given, each at once; a list when it is left,
  by a Ctrl-C too."""
  start = "["

  def put(value: object) -> None:
    nonlocal start
    text = json.dumps(value, indent=2, allow_nan=False)
    print(f"{start}\n{textwrap.indent(text, '  ')}", end="", flush=True)
    start = ","

  try:
    yield put
  finally:
    print("[]" if start == "[" else "\n]")


def generate(given: Given) -> int:
  """Writes examples that a GAN makes of a genre, a file each."""
  import ml_collections

  from gtzan_jax.gan import generate as generation

  flags = given.flags
  for name in ("genre", "out"):
    if getattr(flags, name) is None:
      raise InputError(f"--{name} is needed")
  generator = generation.load(given.workdir())
  files = generation.write(
    generator,
    flags.genre,
    1 if flags.count is None else flags.count,
    flags.out,
    flags.seed or 0,
  )
  config = ml_collections.ConfigDict(generator.run["config"])
  beware_unfinished(generator.path, config, "what it generates is")
  print(f"generated: {len(files)} files, {files[0]} to {files[-1].name}")
  return 0


def sweep(given: Given) -> int:
  """The runs of a sweep file, each in a process of its own."""
  from gtzan_jax.studies.sweep import run as runs

  file = given.flags.sweep
  if file is not None and not pathlib.Path(file).is_file():
    file = recipes.find(file)
  if file is None:
    known = recipes.files("sweeps/*.py")
    what = (
      "--sweep is needed"
      if given.flags.sweep is None
      else f"--sweep={given.flags.sweep}: no file"
    )
    raise InputError(f"{what}: give one of {known}")
  return runs.run(
    file,
    launcher=LAUNCHER,
    recipe=given.recipe,
    overrides=given.overrides,
    out=given.flags.out,
    retry=given.flags.retry,
  )


def models(given: Given) -> int:
  """Prints the table of models, or redraws it in --out."""
  from gtzan_jax.models import sources

  if given.flags.out:
    sources.redraw(given.flags.out)
  else:
    print(sources.table())
  return 0


def leaderboard(given: Given) -> int:
  """Tables of the reports below the folders named."""
  from gtzan_jax.reports import leaderboard as board

  if not given.files:
    raise InputError(
      "leaderboard needs workdirs, or folders that hold some: none were named"
    )
  print(f"leaderboard: {board.write(given.files, given.flags.out or 'runs')}")
  return 0


def compare(given: Given) -> int:
  """Two workdirs, or several seeds of two recipes, on the same tracks."""
  from gtzan_jax.studies.compare import run as compare_runs

  out = given.flags.out
  found = compare_runs.compare_runs(given.flags.workdir, out or ".")
  written = out and compare_runs.write(found, out)
  print("\n".join(compare_runs.lines(found)))
  if written:
    print(f"comparison: {written}")
  return 0


def verify(given: Given) -> int:
  """Every stored number once more; names each file that says another."""
  from gtzan_jax.studies.verify import run as verification

  found = verification.verify(given.files)
  print("\n".join([*found.wrong, found.summary]))
  return 1 if found.wrong else 0


def prepare(given: Given) -> int:
  """Only prepares the data set, or writes its log-mel into an archive."""
  from gtzan_jax.data import open_dataset

  data, asked = given.config.data, given.flags
  if asked.archive is not None:
    _check_archive(given)
  elif asked.columns_per_second is not None:
    raise InputError(
      f"--columns_per_second={asked.columns_per_second}: of the log-mel archive"
      " that --archive=OUT.npz writes; give both or none"
    )
  else:
    open_dataset.check_protocol(data)
  if asked.download:
    _download(data)
  if asked.archive is not None:
    _write_archive(given)
  else:
    open_dataset.open_dataset(given.config, asked.beam_options)
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
  from gtzan_jax.data import notices, open_dataset
  from tfds_gtzan.corpora import archive_writer

  corpus = open_dataset.open_checked(given.config.data)
  notices.archive(
    archive_writer.write(corpus, given.flags.archive, **_rate(given))
  )


def _rate(given: Given) -> dict[str, float]:
  rate = given.flags.columns_per_second
  return {} if rate is None else {"columns_per_second": rate}


def explore(given: Given) -> int:
  """One HTML page about a corpus."""
  from gtzan_jax.data import open_dataset
  from gtzan_jax.studies.explore import run as page
  from tfds_gtzan.facts import track_lists

  corpus = open_dataset.open_corpus(given.config.data)
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


def leak(given: Given) -> int:
  """How much of a recipe's accuracy is leakage."""
  from gtzan_jax.studies.leak import run as meter

  given.refuse(meter.OWN)
  return meter.run(
    given.config,
    recipe=given.recipe,
    overrides=given.overrides,
    launcher=LAUNCHER,
    out=given.flags.workdir and given.workdir(),
    seeds=given.flags.seeds,
    chosen=given.flags.protocol,
    retry=given.flags.retry,
  )


def crossval(given: Given) -> int:
  """A run of every fold of a protocol, and the predictions of all pooled."""
  from gtzan_jax.studies.crossval import run as folds

  given.refuse(folds.OWN)
  return folds.run(
    given.config,
    recipe=given.recipe,
    overrides=given.overrides,
    launcher=LAUNCHER,
    out=given.flags.workdir and given.workdir(),
    seeds=given.flags.seeds,
    retry=given.flags.retry,
  )


def check_splits(given: Given) -> int:
  """Tracks, recordings and artists shared between the splits of files."""
  from gtzan_jax.data import open_dataset
  from gtzan_jax.studies.split_audit import run as audit

  if not given.files:
    raise InputError(
      "check-splits needs the files of a split, lists such as train.txt and"
      " test.txt, a table or a .json: none were named"
    )
  corpus = None
  if "data.path" in given.overrides:
    corpus = open_dataset.open_corpus(given.config.data)
  elif given.overrides:
    raise InputError(
      f"--config.{next(iter(given.overrides))} is of a corpus: give its"
      " --config.data.path too"
    )
  return audit.run(given.files, corpus, given.flags.out)


def failures(given: Given) -> int:
  """Errors that several runs share."""
  from gtzan_jax.studies.failures import run as shared

  return shared.run(given.files, given.flags.out)


def robustness(given: Given) -> int:
  """Evaluates a run on distorted test audio."""
  from gtzan_jax.data import open_dataset
  from gtzan_jax.studies.robustness import run as study
  from gtzan_jax.training import runtime, workdir

  path = given.workdir()
  study.check_names(given.files)
  run = study.load(path)
  config = workdir.config_of(path, run, given.config, given.overrides)
  runtime.use_compilation_cache(config.log.compilation_cache)
  corpus = open_dataset.open_corpus(config.data)
  out = pathlib.Path(given.flags.out or path / "robustness")
  print(f"robustness: {study.run(path, run, corpus, out, given.files)}")
  return 0


def explain(given: Given) -> int:
  """Integrated gradients of files or tracks."""
  from gtzan_jax.studies.explain import run as study
  from gtzan_jax.training import runtime, workdir

  path = given.workdir()
  config = workdir.config_of(
    path, workdir.load(path), given.config, given.overrides
  )
  runtime.use_compilation_cache(config.log.compilation_cache)
  skipped = []
  page = study.explain(path, given.files, config, skipped)
  print(f"explained: {page}")
  return 1 if skipped else 0
