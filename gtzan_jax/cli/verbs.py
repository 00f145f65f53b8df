"""The verbs: a function each, whose docstring is its help, with flags and keys.

Imports of one verb alone stay in it, so that errors are reported at once.
"""

import contextlib
import json
import os
import pathlib
import sys
import textwrap
from collections.abc import Callable, Iterator, Mapping

from gtzan_jax.cli.parse_flags import Given, Verb
from gtzan_jax.errors import InputError, shown
from gtzan_jax.training import find_recipe

# Keys of a config for opening a corpus, opening a run, and splitting a corpus.
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
# What starts the runs of a sweep: of a clone, or of an installed package.
_CLONE = pathlib.Path(__file__).parents[2] / "launch.py"
LAUNCHER = (
  _CLONE if _CLONE.is_file() else pathlib.Path(__file__).with_name("main.py")
)
VERBS: dict[str, Verb] = {}
_DATA = "resnet --config.data.path=/data/gtzan"


def _verb(flags: str, example: str = "", *keys: str, **takes) -> Callable:
  """Puts a function into VERBS; flags are one word each."""

  def register(function):
    name = function.__name__.replace("_", "-")
    line = f"{name} {example}".strip()
    VERBS[name] = Verb(
      function, tuple(flags.split()), example=line, **{"keys": keys, **takes}
    )
    return function

  return register


def _opened(given: Given, **other) -> tuple[pathlib.Path, dict, object]:
  """The run folder, its run.json and its config with the overrides."""
  from gtzan_jax.training import jax_process, workdir

  path = given.workdir()
  run = workdir.load(path)
  overrides = {**other, **given.overrides}
  config = workdir.config_of(path, run, given.config, overrides)
  jax_process.use_compilation_cache(config.log.compilation_cache)
  return path, run, config


@_verb("config workdir", _DATA, keys=None)
def train(given: Given) -> int:
  """Train, evaluate and report; the same command again resumes."""
  from gtzan_jax.cli import print_scores, tasks
  from gtzan_jax.data import open_dataset as data
  from gtzan_jax.training import (
    allocator,
    checkpoint,
    jax_process,
    sharding,
    workdir,
  )

  allocator.keep_memory()
  config = given.config
  task = tasks.of(config)
  path = given.workdir(default=workdir.default_path(config))
  begun = workdir.check(path, config)
  if begun and config.data.path:
    # Before anything is prepared, or a finished run is taken for one on it.
    run = workdir.load(path)
    corpus = data.open_corpus(config.data, announced=False)
    prepared = data.fingerprint(run["feature_spec"], corpus)
    workdir.check_fingerprint(path, run, prepared, config.data.path)
  finished = begun and task.is_reported(config, path)
  warn_damaged(path, ("best", "last") if finished else ("best",))
  if finished:
    workdir.relocate(path, config)
    print(f"already finished; report: {path / 'report.html'}")
    return 0
  jax_process.use_compilation_cache(config.log.compilation_cache)
  mesh = sharding.make_mesh()
  tasks.check_config(config, mesh)
  dataset = data.open_dataset(config)
  tasks.check_data(config, dataset, begun)
  with workdir.locked(path), checkpoint.closed_late():
    workdir.begin(path, config, dataset, tasks.upstream_runs(config))
    print(f"run folder: {path}")
    tasks.train(config, dataset, path, mesh)
    task.evaluate(path, dataset, mesh)
  print_scores.result(path)
  return 0


@_verb(
  "workdir out",
  "--workdir=runs/a --workdir=runs/b --out=runs/ab",
  *OPENED,
  config="default",
)
def evaluate(given: Given) -> int:
  """Evaluate a run's best checkpoint; several --workdir: their mean
  probability, into --out; --config.data.path=OTHER: on another corpus.
  """
  from gtzan_jax.cli import print_scores, tasks
  from gtzan_jax.data import corpus_checks, notices
  from gtzan_jax.data import open_dataset as data
  from gtzan_jax.inference import external_evaluation
  from gtzan_jax.training import sharding, workdir
  from tfds_gtzan.facts import artist_clusters

  other = [key for key in given.overrides if key not in workdir.PLACES]
  if other and "data.path" not in other:
    raise InputError(
      f"--config.{other[0]} applies to another corpus: also give"
      " --config.data.path"
    )
  if len(given.flags.workdir) > 1:
    return _ensemble(given)
  out = given.flags.out
  if out and not other:
    raise InputError(
      f"--out={out}: a run's report is written into its --workdir; give --out"
      " only with several --workdir or with --config.data.path=OTHER"
    )
  # The run's labels are not those of another corpus.
  own = {"data.labels": "", "data.artists": ""} if other else {}
  path, run, config = _opened(given, **own)
  if other:
    corpus = data.open_corpus(config.data, genres=1)
    out = pathlib.Path(out or path / f"external-{corpus.fingerprint[:8]}")
    findings = corpus_checks.find(corpus_checks.facts_of(corpus))
    notices.warnings(findings)
    external_evaluation.evaluate(
      path,
      corpus,
      out,
      config.data.path,
      prepared=data.fingerprint(run["feature_spec"], corpus),
      artists=artist_clusters.clusters(corpus.tracks),
      warnings=[one.plain() for one in findings],
    )
  else:
    out, dataset = path, data.open_dataset(config)
    with workdir.locked(path):
      tasks.of(config).evaluate(path, dataset, sharding.make_mesh())
  warn_unfinished(path, config)
  print_scores.result(out)
  return 0


def _ensemble(given: Given) -> int:
  from gtzan_jax.cli import print_scores
  from gtzan_jax.inference import ensemble

  if given.overrides:
    key, value = next(iter(given.overrides.items()))
    raise InputError(
      f"--config.{key}={value} with several --workdir: evaluate each run on it"
      " first, then give the folders of those reports as --workdir"
    )
  if not given.flags.out:
    raise InputError("--out is needed: the folder for the ensemble's report")
  ensemble.evaluate(given.flags.workdir, given.flags.out)
  print_scores.result(pathlib.Path(given.flags.out))
  return 0


def warn_damaged(path: pathlib.Path, names: tuple[str, ...]) -> None:
  """Prints a line for each damaged checkpoint of a run."""
  from gtzan_jax.training import checkpoint

  for name in names:
    store = checkpoint.Store(path / name)
    if store.latest() is not None and (damage := store.damage()):
      print(f"warning: {damage}")
    store.close()


def warn_unfinished(
  path: pathlib.Path, config, what: str = "the report uses"
) -> None:
  """Prints whether a run was stopped half way, or its last/ is damaged."""
  from gtzan_jax.training import checkpoint, early_stopping

  if not (path / "last").is_dir():
    return  # fitted at once, without steps
  facts = checkpoint.read_facts(path / "last")
  warn_damaged(path, ("last",))
  if not early_stopping.finished(config.train, facts):
    print(
      f"warning: this run stopped at epoch {facts['progress']['evaluations']}"
      f" of {config.train.epochs}; {what} its best checkpoint so far"
    )


@_verb(
  "workdir json",
  "--workdir=runs/demo song.mp3",
  "data.dir",
  "log.compilation_cache",
  config="default",
  files="FILE",
)
def predict(given: Given) -> int:
  """Predict genres of audio files."""
  from gtzan_jax.data import notices
  from gtzan_jax.inference import input_warnings
  from gtzan_jax.inference import predict as prediction
  from gtzan_jax.training import jax_process, workdir

  path, as_json = given.workdir(), given.flags.json
  run = workdir.load(path)
  jax_process.use_compilation_cache(given.config.log.compilation_cache)
  sources, passed_over = prediction.find(
    given.files, run["kind"], given.config.data
  )
  notices.passed_over(passed_over, sys.stderr)
  model = prediction.load(path, run)
  of_all, failed = input_warnings.for_all(run), 0
  for warning in of_all:
    print(f"warning: {warning}", file=sys.stderr)
  with (
    _json_list() if as_json else contextlib.nullcontext(_print_answer) as put
  ):
    for source in sources:
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
  """Prints values as they come; the list is closed by a Ctrl-C too."""
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


@_verb(
  "workdir genre count out seed", "--workdir=runs/gan --genre=jazz --out=jazz"
)
def generate(given: Given) -> int:
  """Write --count examples of --genre into --out, from the run of a GAN."""
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
  warn_unfinished(generator.path, config, "the examples use")
  print(f"generated: {len(files)} files, {files[0]} to {files[-1].name}")
  return 0


@_verb(
  "config sweep retry out",
  f"{_DATA} --sweep=configs/sweeps/seeds.py",
  keys=None,
  config="resnet",
)
def sweep(given: Given) -> int:
  """Train the runs of --sweep=configs/sweeps/..., one after the other, of a
  recipe (default: resnet).
  """
  from gtzan_jax.studies.sweep import run as runs

  file, flags = given.flags.sweep, given.flags
  if file is not None and not pathlib.Path(file).is_file():
    file = find_recipe.find(file)
  if file is None:
    what = f"--sweep={flags.sweep}: no file"
    if flags.sweep is None:
      what = "--sweep is needed"
    raise InputError(f"{what}: give one of {find_recipe.files('sweeps/*.py')}")
  return runs.run_all(
    runs.load(file),
    name=str(file),
    launcher=LAUNCHER,
    recipe=given.recipe,
    overrides=given.overrides,
    out=pathlib.Path(flags.out or runs.OUT / pathlib.Path(file).stem),
    retry=flags.retry,
  )


@_verb("out")
def models(given: Given) -> int:
  """Print the table of models, or update it in the page --out."""
  from gtzan_jax.models import published_sizes

  if given.flags.out:
    published_sizes.redraw(given.flags.out)
  else:
    print(published_sizes.table())
  return 0


@_verb("out", "runs --out=runs", files="FOLDER")
def leaderboard(given: Given) -> int:
  """Tables of the runs below the given folders, into --out (a folder or a
  Markdown page).
  """
  from gtzan_jax.reports import leaderboard_page as board

  if not given.files:
    raise InputError(
      "leaderboard: no folder given; give run folders or folders that contain"
      " them"
    )
  print(f"leaderboard: {board.write(given.files, given.flags.out or 'runs')}")
  return 0


@_verb("workdir out", "--workdir=runs/a --workdir=runs/b")
def compare(given: Given) -> int:
  """Compare two --workdir, or several seeds of two recipes, on the same
  tracks; --out keeps the result.
  """
  from gtzan_jax.studies.compare import run as compare_runs

  out = given.flags.out
  comparison = compare_runs.compare_runs(given.flags.workdir, out or ".")
  written = out and compare_runs.write(comparison, out)
  print("\n".join(compare_runs.lines(comparison)))
  if written:
    print(f"comparison: {written}")
  return 0


@_verb("out", "results", files="FOLDER")
def verify(given: Given) -> int:
  """Recompute every number of the given results from the stored predictions;
  --out keeps one folder of them compactly.
  """
  from gtzan_jax.studies.verify import pack
  from gtzan_jax.studies.verify import run as verification

  out = given.flags.out
  if out and len(given.files) != 1:
    raise InputError(f"--out={out}: give one folder, whose runs it is to hold")
  outcome = verification.verify(given.files)
  print("\n".join([*outcome.wrong, outcome.summary]))
  if outcome.wrong:
    return 1
  if out:
    pack.pack(given.files[0], out)
    print(f"packed: {out}")
  return 0


@_verb(
  "config download archive columns_per_second beam_options",
  _DATA,
  *CORPUS,
  "data.features",
  *CUT,
)
def prepare(given: Given) -> int:
  """Only prepare the data set."""
  from gtzan_jax.data import notices, open_dataset
  from tfds_gtzan.corpora import write_logmel_archive

  data, flags = given.config.data, given.flags
  rate = {}
  if flags.columns_per_second is not None:
    rate["columns_per_second"] = flags.columns_per_second
  if flags.archive is not None:
    unused = [f"--config.{key}" for key in given.overrides if key not in CORPUS]
    unused += ["--beam_options"] * (flags.beam_options is not None)
    if unused:
      raise InputError(
        f"{unused[0]}: --archive writes the whole corpus, in this process; it"
        f" takes {', '.join(f'--config.{key}' for key in CORPUS)}"
      )
    write_logmel_archive.check_out(flags.archive, **rate)
  elif rate:
    raise InputError(
      f"--columns_per_second={flags.columns_per_second} is for the log-mel"
      " archive that --archive=OUT.npz writes; give both or none"
    )
  else:
    open_dataset.check_protocol(data)
  if flags.download:
    if data.path:
      raise InputError(
        f"--download and --config.data.path={data.path}: give one of the two;"
        " --download fetches GTZAN's original archive"
      )
    from tfds_gtzan import download

    data.path = str(download.fetch(data.dir))
  if flags.archive is not None:
    corpus = open_dataset.open_checked(data)
    notices.archive(write_logmel_archive.write(corpus, flags.archive, **rate))
  else:
    open_dataset.open_dataset(given.config, flags.beam_options)
  if flags.download:
    print(f"from now on give --config.data.path={data.path}")
  return 0


@_verb(
  "config out", "--config.data.path=/data/gtzan", *CORPUS, config="default"
)
def explore(given: Given) -> int:
  """An HTML page about a corpus, into --out."""
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
      name: track_lists.splits(name) for name in ("filtered", "stratified")
    },
    progress=True,
  )
  for warning in facts["warnings"]:
    print(f"warning: {warning['title']}")
  print(f"page: {page.write(facts, out)}")
  return 0


@_verb("config workdir seeds protocol retry", _DATA, keys=None)
def leak(given: Given) -> int:
  """Measure leakage: the same test segments after training with and without
  it, --seeds times; into --workdir.
  """
  from gtzan_jax.studies.leak import run as study

  return _several(given, study, chosen=given.flags.protocol)


@_verb(
  "config workdir seeds retry",
  f"{_DATA} --config.data.protocol=kfold10",
  keys=None,
)
def crossval(given: Given) -> int:
  """Train every fold of --config.data.protocol and pool the test predictions;
  into --workdir.
  """
  from gtzan_jax.studies.crossval import run as study

  return _several(given, study)


def _several(given: Given, study, **more) -> int:
  """Runs a study that trains several classifiers of one recipe."""
  from gtzan_jax.cli import tasks

  for key, why in study.OWN.items():
    if key in given.overrides:
      raise InputError(
        f"--config.{key}={given.overrides[key]}: leave it out; {why}"
      )
  if not tasks.of(given.config).classifies:
    raise InputError(
      f"--config: {given.config.recipe!r} is of config.task="
      f"{given.config.task!r}, which does not classify: give a classifier's"
      " recipe"
    )
  return study.run(
    given.config,
    recipe=given.recipe,
    overrides=given.overrides,
    launcher=LAUNCHER,
    out=given.flags.workdir and given.workdir(),
    seeds=given.flags.seeds,
    retry=given.flags.retry,
    **more,
  )


@_verb(
  "out",
  "train.txt test.txt --out=runs/split",
  "data.path",
  "data.dir",
  config="default",
  files="FILE",
)
def check_splits(given: Given) -> int:
  """Find tracks, recordings and artists shared between splits; exit status 1
  if any, or if a name matches no track; --out keeps the result.
  """
  from gtzan_jax.data import open_dataset
  from gtzan_jax.studies.check_splits import run as audit

  if not given.files:
    raise InputError(
      "check-splits: no files given; give those of a split: lists such as"
      " train.txt and test.txt, a table or a .json"
    )
  corpus = None
  if "data.path" in given.overrides:
    corpus = open_dataset.open_corpus(given.config.data)
  elif given.overrides:
    raise InputError(
      f"--config.{next(iter(given.overrides))} applies to a corpus: also give"
      " --config.data.path"
    )
  return audit.run(given.files, corpus, given.flags.out)


@_verb("out", "runs/seeds/* --out=runs/failures", files="FOLDER")
def failures(given: Given) -> int:
  """Tracks that all given runs get wrong; into --out."""
  from gtzan_jax.studies.failures import run as study

  return study.run(given.files, given.flags.out)


@_verb(
  "workdir out",
  "--workdir=runs/demo white_noise mp3",
  *OPENED,
  config="default",
  files="DISTORTION",
)
def robustness(given: Given) -> int:
  """Evaluate a run on distorted test audio, all distortions or those given;
  into --out or WORKDIR/robustness.
  """
  from gtzan_jax.data import open_dataset
  from gtzan_jax.studies.robustness import run as study

  study.check_names(given.files)
  study.load(given.workdir())
  path, run, config = _opened(given)
  corpus = open_dataset.open_corpus(config.data)
  out = pathlib.Path(given.flags.out or path / "robustness")
  print(f"robustness: {study.run(path, run, corpus, out, given.files)}")
  return 0


@_verb(
  "workdir",
  "--workdir=runs/demo song.mp3",
  *OPENED,
  config="default",
  files="FILE",
)
def explain(given: Given) -> int:
  """Integrated gradients for files or tracks (default: lowest and highest
  confidence); into WORKDIR/explain.
  """
  from gtzan_jax.studies.explain import run as study

  path, _, config = _opened(given)
  skipped = []
  page = study.explain(path, given.files, config, skipped)
  print(f"explained: {page}")
  return 1 if skipped else 0
