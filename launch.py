"""The only entry point: launch.py [verb] --config=... --workdir=... [files]

  (none), train   train, evaluate and report; the same command again resumes
  prepare         only prepare the data set
  evaluate        report anew on a workdir's best checkpoint; of several
                  --workdir, report on their mean probability into --out
  predict         genres of audio files, by a workdir's model
  sweep           the runs of --sweep=configs/sweeps/..., one after the other,
                  of the recipe that --config names (resnet if it is left out)
  leaderboard     tables of the report.json files below the folders named
  models          the table of models

Examples:
  python launch.py --config=configs/quickstart.py
  python launch.py --config=configs/resnet.py --config.data.path=/data/gtzan
  python launch.py predict --workdir=runs/demo song.mp3
  python launch.py evaluate --workdir=runs/a --workdir=runs/b --out=runs/ab
  python launch.py sweep --sweep=configs/sweeps/seeds.py \\
    --config=configs/lstm.py --config.data.path=/data/gtzan
"""

import json
import os
import pathlib
import re
import sys

from absl import flags
from ml_collections import config_flags

from gtzan_jax import errors

FLAGS = flags.FLAGS
CONFIG = config_flags.DEFINE_config_file("config", None, "a file in configs/")
WORKDIR = flags.DEFINE_multi_string(
  "workdir", [], "folder of the run; default runs/<recipe>-<config hash>"
)
OUT = flags.DEFINE_string(
  "out", None, "ensemble, sweep, leaderboard, models: where results go"
)
SWEEP = flags.DEFINE_string("sweep", None, "sweep: a file in configs/sweeps/")
RETRY = flags.DEFINE_bool("retry", False, "sweep: start what failed again")
JSON = flags.DEFINE_bool("json", False, "predict: print JSON")


def open_dataset(config):
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
    data.path, data.features, data.dir, data.tracks_per_genre
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
  if prepared.corpus == "synthetic":
    _banner(
      "SYNTHETIC CORPUS: embedded, made by this program. Its numbers are not"
      " GTZAN numbers. Give --config.data.path=... for real music."
    )
  if partition.leak:
    _banner(f"LEAKING PROTOCOL: {partition.leak}")
  print(
    f"corpus: {prepared.corpus}, {len(prepared.rows)} tracks,"
    f" {len(prepared.genres)} genres, {sum(r.segments for r in prepared.rows)}"
    f" segments\nprepared: {prepared.directory}"
  )
  for skipped in prepared.skipped:
    print(f"skipped: {skipped['track']}: {skipped['reason']}")
  for part, number in partition.missing.items():
    if number:
      print(
        f"missing: {number} tracks of the {part} list are not in the corpus"
      )


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
  open_dataset(_config())
  return 0


def evaluate_verb(files: list[str]) -> int:
  import ml_collections

  from gtzan_jax import ensemble, evaluate, runtime, sharding, workdir

  _no_files(files)
  if len(WORKDIR.value) > 1:
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
  dataset = open_dataset(config)
  with workdir.locked(path):
    evaluate.evaluate(path, dataset, sharding.make_mesh())
  _print_result(path)
  return 0


def predict(files: list[str]) -> int:
  from gtzan_jax import predict as prediction
  from gtzan_jax import workdir

  path = _workdir()
  found = prediction.find(files, workdir.load(path)["kind"])
  model = prediction.load(path)
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
  if WORKDIR.value:
    raise errors.InputError(
      f"--workdir={WORKDIR.value[0]}: a sweep makes its own below --out"
    )
  return runs.run(
    SWEEP.value,
    launcher=pathlib.Path(__file__).resolve(),
    recipe=config_flags.get_config_filename(FLAGS["config"]),
    overrides=config_flags.get_override_values(FLAGS["config"]),
    out=OUT.value,
    retry=RETRY.value,
  )


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


VERBS = {
  "train": train,
  "prepare": prepare,
  "evaluate": evaluate_verb,
  "predict": predict,
  "sweep": sweep,
  "leaderboard": leaderboard,
  "models": models,
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


def _parse(argv: list[str]) -> list[str]:
  """Sets the flags; what is left. Every mistake in them is an InputError."""
  try:
    # --config first, wherever it was given: the others change what it loads
    words = sorted(argv[1:], key=lambda word: not word.startswith("--config="))
    if "sweep" in words and not words[0].startswith("--config="):
      here = pathlib.Path(__file__).parent
      words.insert(0, f"--config={here / 'configs' / 'resnet.py'}")
    rest = FLAGS([argv[0], *words])[1:]
    if CONFIG.value is not None:
      CONFIG.value.to_dict()  # a file that could not be loaded fails here
    return rest
  except flags.Error as error:
    text = " ".join(str(error).split())
    text = re.sub("invalid literal for int.*", "an int is wanted", text)
    text = re.sub("could not convert string.*", "a float is wanted", text)
    raise errors.InputError(text) from error
  except OSError as error:
    given = [arg for arg in argv if arg.startswith("--config=")]
    raise errors.InputError(
      f"{' '.join(given)} cannot be read: give one of {_known_configs()}"
    ) from error
  except (AttributeError, KeyError) as error:
    from configs import default

    # "'epoch'\nDid you mean ...", in one or two pairs of quotes
    key = re.search(r"\w+", str(error))[0]
    paths = {arg: arg.split("=")[0].split(".")[1:] for arg in argv}
    given = next((arg for arg, path in paths.items() if key in path), None)
    if given is None:
      raise  # not a flag's doing
    section = default.get_config()
    for name in paths[given][: paths[given].index(key)]:
      section = section[name]
    raise errors.InputError(
      f"{given}: there is no key {key!r}; there are {', '.join(section)}"
    ) from error


def main(argv: list[str]) -> int:
  # The log lines of TFDS, Orbax and XLA are not for our users.
  os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
  try:
    rest = _parse(argv)
    verb = rest.pop(0) if rest and rest[0] in VERBS else "train"
    return VERBS[verb](rest)
  except errors.InputError as error:
    print(f"error: {error}", file=sys.stderr)
    return 2
  except KeyboardInterrupt:
    print("interrupted", file=sys.stderr)
    return 130


if __name__ == "__main__":
  sys.exit(main(sys.argv))
