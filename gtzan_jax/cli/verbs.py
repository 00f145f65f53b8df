"""The verbs that need no more of the data set than launch.py hands them.

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

from gtzan_jax.cli import recipes
from gtzan_jax.cli.command_line import Given
from gtzan_jax.errors import InputError, shown


def train(
  given: Given,
  open_dataset: Callable,
  judge_config: Callable,
  open_corpus: Callable,
  fingerprint: Callable,
) -> int:
  """Trains, evaluates and reports, or goes on with it.

  Args:
    given: the command line.
    open_dataset: a config -> the pipeline.Dataset that it names.
    judge_config: a GAN's config -> that of the classifier that judges it.
    open_corpus: see `evaluate`.
    fingerprint: see `evaluate`.
  """
  from gtzan_jax.cli import console
  from gtzan_jax.gan import upstream
  from gtzan_jax.training import checks, classical, runtime, sharding, workdir
  from gtzan_jax.training import loop as train_loop

  config = given.config
  loop = classical if config.task == "classical" else train_loop
  path = given.workdir(default=workdir.default_path(config))
  begun = workdir.check(path, config)
  if begun and config.data.path:
    # Before anything is prepared, or a finished run is taken for one on it.
    spec = workdir.load(path)["feature_spec"]
    data = fingerprint(spec, open_corpus(config.data))
    workdir.check_fingerprint(path, data, config.data.path)
  finished = begun and loop.is_reported(config, path)
  if config.task != "classical":
    warn_damaged(path, ("best", "last") if finished else ("best",))
  if finished:
    workdir.relocate(path, config)
    print(f"finished before; the report: {path / 'report.html'}")
    return 0
  runtime.use_compilation_cache(config.log.compilation_cache)
  mesh = sharding.make_mesh()
  checks.check_config(config, mesh)
  dataset = open_dataset(config)
  checks.check_data(config, dataset, begun)
  with workdir.locked(path):
    workdir.begin(path, config, dataset, upstream.find(config))
    print(f"workdir: {path}")
    if config.task == "gan" and not config.gan.judge:
      _train_judge(judge_config(config), dataset, path, mesh)
    loop.train(config, dataset, path, mesh)
    _report(config, path, dataset, mesh)
  console.result(path)
  return 0


def _train_judge(config, dataset, path: pathlib.Path, mesh) -> None:
  """Trains what a GAN is judged by, in its workdir, if that is to be done."""
  from gtzan_jax.gan import validation as gan_validation
  from gtzan_jax.inference import evaluate
  from gtzan_jax.training import loop as train_loop
  from gtzan_jax.training import workdir

  path = path / gan_validation.JUDGE_FOLDER
  if workdir.check(path, config) and train_loop.is_reported(config, path):
    return
  path.mkdir(exist_ok=True)
  workdir.begin(path, config, dataset)
  print(f"first its judge: {path}")
  train_loop.train(config, dataset, path, mesh)
  evaluate.evaluate(path, dataset, mesh)


def _report(config, path: pathlib.Path, dataset, mesh) -> None:
  from gtzan_jax.gan import report as gan_report
  from gtzan_jax.inference import evaluate

  draw = gan_report.evaluate if config.task == "gan" else evaluate.evaluate
  draw(path, dataset, mesh)


def evaluate(
  given: Given,
  open_dataset: Callable,
  open_corpus: Callable,
  fingerprint: Callable,
  artists: Callable,
) -> int:
  """Reports anew on a run, on several, or on a run and other music.

  Args:
    given: the command line.
    open_dataset: a config -> the pipeline.Dataset that it names.
    open_corpus: a config's data section -> the corpus that it names.
    fingerprint: (a feature spec as in run.json, a corpus) -> the fingerprint
      that the corpus has when it is prepared for it.
    artists: tracks -> {track: whose it is}.
  """
  from gtzan_jax.cli import console
  from gtzan_jax.data import corpus_checks
  from gtzan_jax.inference import external
  from gtzan_jax.training import runtime, sharding, workdir

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
    corpus = open_corpus(config.data)
    prepared = fingerprint(run["feature_spec"], corpus)
    out = pathlib.Path(out or path / f"external-{corpus.fingerprint[:8]}")
    found = corpus_checks.find(corpus_checks.facts_of(corpus))
    console.warnings(found)
    external.evaluate(
      *(path, corpus, out, config.data.path, prepared),
      artists(corpus.tracks),
      [one.plain() for one in found],
    )
  else:
    out, dataset = path, open_dataset(config)
    with workdir.locked(path):
      _report(config, path, dataset, sharding.make_mesh())
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

  if config.task == "classical":
    return  # fitted at once
  last = checkpoint.Store(path / "last")
  facts = last.facts()
  last.close()
  warn_damaged(path, ("last",))
  if not progress.finished(config.train, facts):
    print(
      f"beware: this run is at epoch {facts['progress']['evaluations']} of"
      f" {config.train.epochs}; {what} of its best so far"
    )


def predict(given: Given, open_tree: Callable) -> int:
  """Genres of audio files; those that cannot be read are named and passed.

  Args:
    given: the command line.
    open_tree: (path, config's data section) -> see `predict.find`.
  """
  from gtzan_jax.cli import console
  from gtzan_jax.inference import predict as prediction
  from gtzan_jax.training import workdir

  path, as_json = given.workdir(), given.flags.json
  run = workdir.load(path)
  found, passed_over = prediction.find(
    given.files, run["kind"], lambda path: open_tree(path, given.config.data)
  )
  console.passed_over(passed_over, sys.stderr)
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


def sweep(given: Given, launcher: pathlib.Path) -> int:
  """The runs of a sweep file, each by `launcher`, in a process of its own."""
  from gtzan_jax.studies.sweep import run as runs

  file = given.flags.sweep
  if file is None or not pathlib.Path(file).is_file():
    known = recipes.files(launcher.parent, "configs/sweeps/*.py")
    what = "--sweep is needed" if file is None else f"--sweep={file}: no file"
    raise InputError(f"{what}: give one of {known}")
  return runs.run(
    file,
    launcher=launcher,
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
