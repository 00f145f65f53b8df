"""The run folder.

    run.json        config, recipe, genres, feature spec, data fingerprint
    best/ last/     checkpoints: reported, resumed
    metrics.jsonl   scalars; tensorboard/ the same for TensorBoard
    report.json     results; report.html, *.png and predictions/ are made of it

evaluate and predict take a run folder and never a config. In all of
gtzan_jax.training `path` is a run folder and `run` its run.json.
"""

import contextlib
import hashlib
import json
import os
import pathlib
from collections.abc import Iterable, Iterator, Mapping
from typing import IO

import ml_collections

from gtzan_jax import atomic, config_ranges, errors
from gtzan_jax.training import run_json

RUN_FILE = "run.json"
# Keys that may differ when a run resumes, or that begin so.
FREE_KEYS = ("train.epochs", "train.patience", "data.dir", "log.")
# Where compiled code is loaded from, and where prepared data is written.
PLACES = ("data.dir", "log.compilation_cache")
# Keys whose values are paths: one place, however it is written.
PATHS = (
  *("data.path", "data.labels", "data.augment_with", "train.init_from"),
  "gan.judge",
)


def comparable(key: str, value: object) -> object:
  """A value as it is compared and hashed: paths without links and ".."."""
  if key == "data.splits" and isinstance(value, str):
    return [
      comparable("data.path", path) for path in config_ranges.listed(value)
    ]
  if key not in PATHS or not isinstance(value, str) or not value:
    return value
  try:
    return os.path.realpath(os.path.expanduser(value))
  except ValueError:  # a NUL, which opening refuses
    return value


def as_plain(config: ml_collections.ConfigDict) -> dict:
  """The config as it is in JSON (tuples become lists)."""
  return json.loads(config.to_json_best_effort())


def default_path(config: ml_collections.ConfigDict) -> pathlib.Path:
  """runs/<recipe>-<hash of the keys that a resume may not change>."""
  keys = {
    key: comparable(key, value)
    for key, value in config_ranges.flatten(as_plain(config)).items()
    if not key.startswith(FREE_KEYS)
  }
  digest = hashlib.sha256(json.dumps(keys, sort_keys=True).encode())
  return pathlib.Path("runs") / f"{config.recipe}-{digest.hexdigest()[:10]}"


def load(path: pathlib.Path, key: str = "") -> dict:
  """Reads and checks run.json, which may be a stranger's; `key` is its flag."""
  path = pathlib.Path(path).expanduser()
  named = f"{key}={path}" if key else f"{path}"
  if not path.is_dir():
    raise errors.InputError(f"{named}: no such folder; train first")
  try:
    run = json.loads((path / RUN_FILE).read_text("utf-8"))
  except FileNotFoundError:
    raise errors.InputError(
      f"{named} has no {RUN_FILE}: not a run folder"
    ) from None
  except OSError as error:
    raise errors.InputError(
      f"{path / RUN_FILE} cannot be read: {error.strerror}"
    ) from error
  except (ValueError, RecursionError) as error:
    raise errors.InputError(
      f"{path / RUN_FILE} cannot be read as JSON: {error}"
    ) from error
  for problem in run_json.problems(run):
    raise errors.InputError(
      f"{path / RUN_FILE} does not match this version: {problem}; train again"
    )
  return run


def config_of(
  path: pathlib.Path,
  run: Mapping,
  given: ml_collections.ConfigDict,
  overrides: Mapping[str, object],
) -> ml_collections.ConfigDict:
  """The config to evaluate a run with; prints which data it names.

  The folder may be a stranger's, so its config never decides where code is
  loaded from or anything is written: PLACES are those of `given`, the command
  line. `overrides` are its other keys, flat.
  """
  config = ml_collections.ConfigDict(run["config"])
  data = {"data.path": run["data_path"], **run["data_files"]}
  for key, place in data.items():
    if place and key not in overrides:
      named = key.replace("data.path", "data")
      print(f"{named}: {place}, as {path / RUN_FILE} has it")
  places = config_ranges.flatten(given.to_dict())
  config.update_from_flattened_dict(
    {**data, **overrides, **{key: places[key] for key in PLACES}}
  )
  return config


def seen_from(path: str | os.PathLike, folder: str | os.PathLike) -> str:
  """The relative path of a place, seen from a folder; links are followed."""
  return os.path.relpath(os.path.realpath(path), os.path.realpath(folder))


def distinct(
  paths: Iterable[str | os.PathLike], given: str = "--workdir="
) -> list[pathlib.Path]:
  """The folders as paths; InputError where two are the same one."""
  places: dict[pathlib.Path, pathlib.Path] = {}
  for path in map(pathlib.Path, paths):
    if path.resolve() in places:
      raise errors.InputError(f"{given}{path} was given twice: give each once")
    places[path.resolve()] = path
  return [*places.values()]


def is_workdir(path: str | None) -> bool:
  """Whether initial weights are a run folder's, and not a file's."""
  return bool(path and pathlib.Path(path).expanduser().is_dir())


def check(path: pathlib.Path, config: ml_collections.ConfigDict) -> bool:
  """Whether the folder holds a run to resume.

  InputError where it holds other things, or a run whose config differs in more
  than FREE_KEYS and config.data.path: data is compared by fingerprint.
  """
  path = pathlib.Path(path)
  if path.exists() and not path.is_dir():
    raise errors.InputError(f"--workdir={path} is a file: give a folder")
  if not path.exists() or {file.name for file in path.iterdir()} <= {".lock"}:
    return False
  if not (path / RUN_FILE).is_file():
    raise errors.InputError(
      f"--workdir={path} is not empty and has no {RUN_FILE}: give an empty or"
      " new folder"
    )
  before = config_ranges.flatten(load(path)["config"])
  now = config_ranges.flatten(as_plain(config))
  if before.get("recipe") != now["recipe"]:
    raise errors.InputError(
      f"--workdir={path} belongs to the recipe {before.get('recipe')!r}, not to"
      f" {now['recipe']!r}: give another --workdir"
    )
  changed = [
    f"config.{key} (was {before.get(key)!r}, now {now.get(key)!r})"
    for key in sorted(before.keys() | now.keys())
    if key != "data.path"
    and not key.startswith(FREE_KEYS)
    and comparable(key, before.get(key)) != comparable(key, now.get(key))
  ]
  if changed:
    raise errors.InputError(
      f"--workdir={path} was started with other values: {', '.join(changed)};"
      " give those, or another --workdir"
    )
  return True


@contextlib.contextmanager
def locked(path: pathlib.Path, given: str = "") -> Iterator[IO]:
  """Keeps other processes out of a folder, which is made if need be.

  Yields the lock, which a child that inherits it holds too. `given` is what the
  user gave, such as "--out=x".
  """
  given = given or f"--workdir={path}"
  with errors.writing(given):
    path.mkdir(parents=True, exist_ok=True)
    held = contextlib.ExitStack()
    lock = held.enter_context(atomic.locked(path / ".lock"))
  with held:
    if lock is None:
      raise errors.InputError(
        f"{given} is in use by another process: wait for it or give another"
        f" {given.partition('=')[0]}"
      )
    yield lock


def check_unchanged(
  path: pathlib.Path, before: Mapping[str, Mapping], now: Mapping[str, Mapping]
) -> None:
  """Refuses a run whose GAN or judge has been retrained: another `built_on`."""
  for key, current in now.items():
    if current != before.get(key):
      was, is_now = (
        f"{best['best_value']} at epoch {best['best_epoch']}"
        if best
        else "none"
        for best in (before.get(key), current)
      )
      raise errors.InputError(
        f"config.{key} was retrained after --workdir={path} started: its best"
        f" checkpoint was {was} and is {is_now}; give another --workdir"
      )


def check_fingerprint(
  path: pathlib.Path, run: Mapping, fingerprint: str, place: str | None
) -> None:
  """InputError where the current data (at `place`) is not the run's."""
  if run["data_fingerprint"] == fingerprint:
    return
  was = run["data_path"]
  why = f"config.data.path was {was!r} and is now {place!r}, with other content"
  if comparable("data.path", was) == comparable("data.path", place):
    why = "the corpus or the features have changed"
  raise errors.InputError(
    f"--workdir={path} was trained on data {run['data_fingerprint'][:12]}, but"
    f" the current data is {fingerprint[:12]}: {why}; give another --workdir"
  )


def check_cut(path: pathlib.Path, run: Mapping, dataset) -> None:
  """Refuses another split of the same data, which another version may make."""
  for split in ("train", "validation"):
    new = {track for track, _ in dataset.parts[split]} - {*run["tracks"][split]}
    if new:
      raise errors.InputError(
        f"--workdir={path} was trained on another {split} split ({len(new)}"
        f" tracks differ, such as {min(new)}), because this version assigns"
        f" {dataset.protocol} differently; evaluate with the version that"
        " trained it, or train in another --workdir"
      )


def relocate(path: pathlib.Path, config: ml_collections.ConfigDict) -> None:
  """Writes the current place of a run's data into run.json."""
  run = load(path)
  if run["data_path"] != (place := _absolute(config.data.path)):
    with locked(path):
      atomic.write_json(path / RUN_FILE, run | {"data_path": place})


def _absolute(place: str | None) -> str | None:
  return place and str(pathlib.Path(place).expanduser().absolute())


def _inherited(config: ml_collections.ConfigDict) -> dict[str, set[str]]:
  """The tracks of initial weights, generated examples and a GAN's judge."""
  given = (config.train.init_from, config.data.augment_with, config.gan.judge)
  runs = [load(path)["tracks"] for path in given if is_workdir(path)]
  return {
    part: set().union(*(run[part] for run in runs))
    for part in ("train", "validation")
  }


def _range(dataset, tracks: set[str], key: str) -> list[float] | None:
  values = [
    value
    for row in dataset.metadata["rows"]
    if row["id"] in tracks and (value := row.get(key)) is not None
  ]
  return [min(values), max(values)] if values else None


def begin(
  path: pathlib.Path,
  config: ml_collections.ConfigDict,
  dataset,
  built_on: Mapping[str, Mapping] = {},
) -> None:
  """Writes run.json: all that evaluate and predict need beside best/.

  InputError: the folder's run had other data, another split of it, or a GAN or
  a judge that has been retrained.
  """
  fingerprint = dataset.metadata["fingerprint"]
  tracks = {
    part: {track for track, _ in dataset.parts[part]}
    for part in ("train", "validation")
  }
  if (path / RUN_FILE).is_file():
    run = load(path)
    check_fingerprint(path, run, fingerprint, config.data.path)
    check_cut(path, run, dataset)
    inherited = run["tracks"]
    check_unchanged(path, run["built_on"], built_on)
  else:
    inherited = _inherited(config)
  atomic.write_json(
    path / RUN_FILE,
    {
      "recipe": config.recipe,
      "config": as_plain(config),
      "data_path": _absolute(config.data.path),
      "data_files": {
        "data.labels": _absolute(config.data.labels),
        "data.splits": ",".join(
          _absolute(place) or ""
          for place in config_ranges.listed(config.data.splits)
        ),
      },
      "genres": list(dataset.genres),
      "kind": dataset.kind,
      "feature_spec": dataset.metadata["feature_spec"],
      "example_shape": list(dataset.example_shape),
      "columns_per_frame": dataset.metadata["columns_per_frame"],
      "clip_seconds": dataset.clip_seconds,
      # lowest and highest of the train tracks
      "train_range": {
        key: _range(dataset, tracks["train"], key)
        for key in ("seconds", "level")
      },
      # of this run and those it builds on: no later run may be tested on them
      "tracks": {
        part: sorted(tracks[part].union(inherited[part])) for part in tracks
      },
      "data_fingerprint": fingerprint,
      "built_on": built_on,
    },
  )
