"""The only entry point: launch.py [verb] --config=... --workdir=... [files]

  (none), train   train, evaluate and report; the same command again resumes
  prepare         only prepare the data set
  evaluate        report anew on a workdir's best checkpoint; of several
                  --workdir, report on their mean probability into --out; with
                  --config.data.path=OTHER, test it on other music
  predict         genres of audio files, by a workdir's model
  sweep           the runs of --sweep=configs/sweeps/..., one after the other,
                  of the recipe that --config names (resnet if it is left out)
  leaderboard     tables of the report.json files below the folders named
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
"""

import json
import os
import pathlib
import sys

from absl import flags
from ml_collections import config_flags

from gtzan_jax import errors
from gtzan_jax.command_line import Verb, parse

FLAGS = flags.FLAGS
CONFIG = config_flags.DEFINE_config_file("config", None, "a file in configs/")
WORKDIR = flags.DEFINE_multi_string(
  "workdir", [], "folder of the run; default runs/<recipe>-<config hash>"
)
OUT = flags.DEFINE_string(
  "out",
  None,
  "ensemble, external test, sweep, leaderboard, models: where results go",
)
SWEEP = flags.DEFINE_string("sweep", None, "sweep: a file in configs/sweeps/")
RETRY = flags.DEFINE_bool("retry", False, "sweep: start what failed again")
DOWNLOAD = flags.DEFINE_bool(
  "download", False, "prepare: fetch GTZAN's original archive (1.2 GB) first"
)
ARCHIVE = flags.DEFINE_string(
  "archive", None, "prepare: only write the log-mel of the audio to this .npz"
)
COLUMNS_PER_SECOND = flags.DEFINE_float(
  "columns_per_second", None, "prepare --archive: 1 to 43.07; default 12.9"
)
BEAM_OPTIONS = flags.DEFINE_string(
  "beam_options", None, "prepare: by Apache Beam, see docs/beam.md"
)
JSON = flags.DEFINE_bool("json", False, "predict: print JSON")


def open_dataset(config, beam_options: str | None = None):
  """Prepares what the config's data section names, and cuts it."""
  import tfds_gtzan
  from gtzan_jax import pipeline
  from tfds_gtzan import protocols

  data = config.data
  protocols.check(
    data.protocol, fold=data.fold, train_fraction=data.train_fraction
  )
  genres = tuple(data.genres)
  prepared = tfds_gtzan.prepare(
    data.path,
    data.features,
    data.dir,
    data.tracks_per_genre,
    beam_options=beam_options,
  )
  partition = tfds_gtzan.apply(
    data.protocol,
    prepared.rows,
    genres=genres,
    fold=data.fold,
    split_seed=data.split_seed,
    train_fraction=data.train_fraction,
  )
  dataset = pipeline.open_dataset(
    prepared.directory, data.protocol, partition, genres
  )
  _announce(prepared, partition)
  return dataset


def _announce(prepared, partition) -> None:
  _announce_corpus(prepared.corpus)
  if partition.leak:
    _banner(f"LEAKING PROTOCOL: {partition.leak}")
  print(
    f"corpus: {prepared.corpus}, {len(prepared.rows)} tracks,"
    f" {len(prepared.genres)} genres, {sum(r.segments for r in prepared.rows)}"
    f" segments\nprepared: {prepared.directory}"
  )
  _print_skipped(prepared.skipped)
  for part, number in partition.missing.items():
    if number:
      print(
        f"missing: {number} tracks of the {part} list are not in the corpus"
      )


def _announce_corpus(name: str) -> None:
  if name == "synthetic":
    _banner(
      "SYNTHETIC CORPUS: embedded, made by this program. Its numbers are not"
      " GTZAN numbers. Give --config.data.path=... for real music."
    )


def _print_skipped(tracks) -> None:
  for skipped in tracks:
    print(f"skipped: {skipped['track']}: {skipped['reason']}")


def _banner(text: str) -> None:
  line = "*" * 78
  print(f"{line}\n{text}\n{line}")


def train(files: list[str]) -> int:
  from gtzan_jax import (
    checks,
    classical,
    evaluate,
    runtime,
    sharding,
    workdir,
  )
  from gtzan_jax import train as train_loop

  _no_files(files)
  config = _config()
  loop = classical if config.task == "classical" else train_loop
  path = _workdir(default=workdir.default_path(config))
  begun = workdir.check(path, config)
  if begun and loop.is_reported(config, path):
    print(f"finished before; the report: {path / 'report.html'}")
    return 0
  runtime.use_compilation_cache(config.log.compilation_cache)
  mesh = sharding.make_mesh()
  checks.check_config(config, mesh)
  dataset = open_dataset(config)
  checks.check_data(config, dataset, begun)
  with workdir.locked(path):
    workdir.begin(path, config, dataset)
    print(f"workdir: {path}")
    loop.train(config, dataset, path, mesh)
    evaluate.evaluate(path, dataset, mesh)
  _print_result(path)
  return 0


def prepare(files: list[str]) -> int:
  _no_files(files)
  config = _config()
  if COLUMNS_PER_SECOND.value is not None and not ARCHIVE.value:
    raise errors.InputError(
      f"--columns_per_second={COLUMNS_PER_SECOND.value}: of the log-mel archive"
      " that --archive=OUT.npz writes; give both or none"
    )
  if DOWNLOAD.value:
    _download(config)
  if ARCHIVE.value:
    _write_archive(config)
  else:
    open_dataset(config, BEAM_OPTIONS.value)
  if DOWNLOAD.value:
    print(f"from now on give --config.data.path={config.data.path}")
  return 0


def _download(config) -> None:
  if config.data.path:
    raise errors.InputError(
      f"--download and --config.data.path={config.data.path}: give one of the"
      " two; --download fetches GTZAN's original archive"
    )
  from tfds_gtzan import download

  config.data.path = str(download.fetch(config.data.dir))


def _write_archive(config) -> None:
  import tfds_gtzan
  from tfds_gtzan import archive_writer

  data = config.data
  corpus = tfds_gtzan.open_corpus(data.path, data.tracks_per_genre, data.dir)
  _announce_corpus(corpus.name)
  rate = COLUMNS_PER_SECOND.value
  done = archive_writer.write(
    corpus,
    ARCHIVE.value,
    archive_writer.COLUMNS_PER_SECOND if rate is None else rate,
  )
  _print_skipped(done.skipped)
  print(
    f"archive: {done.path}, {done.tracks} tracks of {done.columns} columns,"
    f" {done.columns_per_second:.2f} a second"
  )


def evaluate_verb(files: list[str]) -> int:
  import ml_collections

  from gtzan_jax import ensemble, evaluate, runtime, sharding, workdir

  _no_files(files)
  other = _other_music()
  if len(WORKDIR.value) > 1:
    if other:
      raise errors.InputError(
        f"--config.data.path={other['data.path']}: test each --workdir on it by"
        " itself; then give the folders of their reports as --workdir"
      )
    if not OUT.value:
      raise errors.InputError(
        "--out is needed: the folder for the report of several --workdir"
      )
    ensemble.evaluate(WORKDIR.value, OUT.value)
    _print_result(pathlib.Path(OUT.value))
    return 0
  path = _workdir()
  run = workdir.load(path)
  config = ml_collections.ConfigDict(run["config"])
  config.data.path = run["data_path"]
  runtime.use_compilation_cache(config.log.compilation_cache)
  if other:
    config.update_from_flattened_dict(other)
    return _external(path, config.data)
  if OUT.value:
    raise errors.InputError(
      f"--out={OUT.value}: the report of a run goes into its --workdir; --out"
      " is for several --workdir, or for --config.data.path=OTHER"
    )
  dataset = open_dataset(config)
  with workdir.locked(path):
    evaluate.evaluate(path, dataset, sharding.make_mesh())
  _print_result(path)
  return 0


# What evaluate takes of a config: where other music is.
OTHER_MUSIC = ("data.path", "data.tracks_per_genre", "data.dir")


def _other_music() -> dict[str, object]:
  """What evaluate was told of other music, {"data.path": ...}; or nothing."""
  config = FLAGS["config"]
  if config_flags.get_config_filename(config) != str(VERBS["evaluate"].config):
    raise errors.InputError(
      f"--config={config_flags.get_config_filename(config)}: evaluate takes the"
      " config of the --workdir"
    )
  given = config_flags.get_override_values(config)
  wrong = [key for key in given if key not in OTHER_MUSIC]
  if wrong:
    raise errors.InputError(
      f"--config.{wrong[0]}={given[wrong[0]]}: evaluate takes the config of the"
      " --workdir, and of other music"
      f" {', '.join(f'--config.{key}' for key in OTHER_MUSIC)}"
    )
  if given and "data.path" not in given:
    raise errors.InputError(
      f"--config.{next(iter(given))} is of other music: give its"
      " --config.data.path too"
    )
  return given


def _external(path: pathlib.Path, data) -> int:
  """The run in `path` on the music that `data`, a config's section, names."""
  import tfds_gtzan
  from gtzan_jax import external

  other = tfds_gtzan.open_corpus(data.path, data.tracks_per_genre, data.dir)
  _announce_corpus(other.name)
  out = OUT.value or path / f"external-{other.fingerprint[:8]}"
  external.evaluate(path, other, pathlib.Path(out), data.path)
  _print_result(pathlib.Path(out))
  return 0


def predict(files: list[str]) -> int:
  from gtzan_jax import predict as prediction
  from gtzan_jax import workdir

  path = _workdir()
  run = workdir.load(path)
  found = prediction.find(files, run["kind"])
  model = prediction.load(path, run)
  answers, failed = [], 0
  for file in found:
    try:
      probabilities = model(file)
    except errors.InputError as error:
      print(f"skipped: {error}", file=sys.stderr)
      failed += 1
      continue
    genre = next(iter(probabilities))
    answers.append(
      {"file": str(file), "genre": genre, "probabilities": probabilities}
    )
    if not JSON.value:
      best = [f"{name} {p:.3f}" for name, p in list(probabilities.items())[:3]]
      print(f"{file}: {', '.join(best)}")
  if JSON.value:
    print(json.dumps(answers, indent=2))
  return 1 if failed else 0


def sweep(files: list[str]) -> int:
  from gtzan_jax import sweep as runs

  _no_files(files)
  if not SWEEP.value:
    raise errors.InputError(
      f"--sweep is needed: one of {_known_configs('sweeps/')}"
    )
  return runs.run(
    SWEEP.value,
    launcher=pathlib.Path(__file__).resolve(),
    recipe=config_flags.get_config_filename(FLAGS["config"]),
    overrides=config_flags.get_override_values(FLAGS["config"]),
    out=OUT.value,
    retry=RETRY.value,
  )


def explore(files: list[str]) -> int:
  from gtzan_jax import explore as page
  from tfds_gtzan import open_corpus, track_lists

  _no_files(files)
  data = _config().data
  corpus = open_corpus(data.path, data.tracks_per_genre, data.dir)
  out = page.folder(OUT.value or f"runs/explore-{corpus.name}")
  _announce_corpus(corpus.name)
  facts = page.survey(
    corpus,
    duplicates=track_lists.duplicates(),
    lists={
      name: track_lists.parts(name) for name in ("filtered", "stratified")
    },
    progress=True,
  )
  for warning in facts["warnings"]:
    print(f"beware: {warning['title']}")
  print(f"page: {page.write(facts, out)}")
  return 0


def models(files: list[str]) -> int:
  from gtzan_jax.models import reference

  _no_files(files)
  if OUT.value:
    reference.redraw(OUT.value)
  else:
    print(reference.table())
  return 0


def leaderboard(files: list[str]) -> int:
  from gtzan_jax import leaderboard as board

  if not files:
    raise errors.InputError(
      "leaderboard needs workdirs, or folders that hold some: none were named"
    )
  print(f"leaderboard: {board.write(files, OUT.value or 'runs')}")
  return 0


HOME = pathlib.Path(__file__).resolve().parent
VERBS = {
  "train": Verb(train, frozenset({"config", "workdir"})),
  "prepare": Verb(
    prepare,
    frozenset(
      {"config", "download", "archive", "columns_per_second", "beam_options"}
    ),
  ),
  "evaluate": Verb(
    evaluate_verb,
    frozenset({"config", "workdir", "out"}),
    HOME / "configs" / "default.py",
  ),
  "predict": Verb(predict, frozenset({"workdir", "json"})),
  "sweep": Verb(
    sweep,
    frozenset({"config", "sweep", "retry", "out"}),
    HOME / "configs" / "resnet.py",
  ),
  "leaderboard": Verb(leaderboard, frozenset({"out"})),
  "explore": Verb(
    explore, frozenset({"config", "out"}), HOME / "configs" / "default.py"
  ),
  "models": Verb(models, frozenset({"out"})),
}


def _print_result(path: pathlib.Path) -> None:
  from gtzan_jax import report

  found = report.read(path / report.REPORT_FILE)
  for name, split in found["splits"].items():
    track = split["track"]
    if not track["n"]:
      print(f"{name}: no tracks at hand, {split['missing']} missing")
      continue
    low, high = track["ci95"]
    print(
      f"{name}: track accuracy {track['accuracy']:.3f} (95 % {low:.3f} to"
      f" {high:.3f}), macro-F1 {track['macro_f1']:.3f}, {track['n']} tracks;"
      f" segment accuracy {split['segment']['accuracy']:.3f}"
    )
  print(f"report: {path / 'report.html'}\n        {path / report.REPORT_FILE}")


def _config():
  if CONFIG.value is None:
    raise errors.InputError(f"--config is needed: one of {_known_configs()}")
  return CONFIG.value


def _known_configs(folder: str = "") -> str:
  known = sorted(pathlib.Path(__file__).parent.glob(f"configs/{folder}*.py"))
  return ", ".join(f"configs/{folder}{file.name}" for file in known)


def _workdir(default: pathlib.Path | None = None) -> pathlib.Path:
  if len(WORKDIR.value) > 1:
    raise errors.InputError(
      f"--workdir={WORKDIR.value[1]}: one is enough; evaluate alone takes"
      " several"
    )
  if not WORKDIR.value and default is None:
    raise errors.InputError("--workdir is needed: the folder of a trained run")
  return pathlib.Path(WORKDIR.value[0]) if WORKDIR.value else default


def _no_files(files: list[str]) -> None:
  if files:
    raise errors.InputError(
      f"unexpected {files[0]!r}: the verbs are {', '.join(VERBS)}"
    )


def main(argv: list[str]) -> int:
  # The log lines of TFDS, Orbax and XLA are not for our users.
  os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
  try:
    from configs import default

    verb, rest = parse(
      argv, FLAGS, VERBS, "train", default.get_config, _known_configs()
    )
    return VERBS[verb].function(rest)
  except errors.InputError as error:
    print(f"error: {error}", file=sys.stderr)
    return 2
  except KeyboardInterrupt:
    print("interrupted", file=sys.stderr)
    return 130


if __name__ == "__main__":
  sys.exit(main(sys.argv))
