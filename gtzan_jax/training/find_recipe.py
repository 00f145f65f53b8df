"""Finds and runs recipes and sweeps, which are files of Python."""

import os
import pathlib
import runpy

import ml_collections

from gtzan_jax.errors import InputError

# configs/ of a clone; an installed package carries it under this name.
HOME = pathlib.Path(__file__).parents[1] / "recipes"


def files(pattern: str) -> str:
  """The recipes or sweeps that there are, for messages."""
  found = sorted(HOME.glob(pattern))
  return ", ".join(f"configs/{file.relative_to(HOME)}" for file in found)


def find(name: str | os.PathLike) -> pathlib.Path | None:
  """The recipe of a name: "resnet", "configs/resnet.py", "sweeps/seeds".

  Only recipes of this package have names; any other file is given by its path.
  """
  path = pathlib.PurePath(name)
  if path.is_absolute() or ".." in path.parts or not path.name:
    return None
  parts = path.with_suffix(".py").parts
  found = HOME.joinpath(*parts[parts[0] == "configs" :])
  return found if found.is_file() else None


def locate(name: str | None) -> str | pathlib.Path:
  """The file that --config names: a path, or the name of a recipe."""
  known = files("*.py")
  if name is None:
    raise InputError(f"--config is needed: one of {known}")
  # A bare name is this package's, whatever the working folder holds.
  places = [name, find(name)]
  if pathlib.PurePath(name).stem == name:
    places.reverse()
  for place in places:
    if place and os.path.isfile(place):
      return place
  raise InputError(f"--config={name}: no such file; give one of {known}")


def load(path: str | os.PathLike) -> ml_collections.ConfigDict:
  """What get_config() of a file returns."""
  config = call(path, "get_config")
  if not isinstance(config, ml_collections.ConfigDict):
    raise InputError(
      f"{path}: get_config() returns {str(config)[:60]}: give a"
      " ml_collections.ConfigDict"
    )
  return config


def call(path: str | os.PathLike, function: str) -> object:
  """Calls a function of a Python file; InputError also where it fails."""
  try:
    names = runpy.run_path(os.fspath(path))
    if function in names:
      return names[function]()
  except OSError as error:
    raise InputError(f"{path} cannot be read: {error.strerror}") from error
  except (Exception, SystemExit) as error:
    text = " ".join(f"{type(error).__name__}: {error}".split())
    raise InputError(f"{path} fails: {text}") from error
  raise InputError(f"{path} has no {function}()")


def check_key(word: str, key: str, config: ml_collections.ConfigDict) -> None:
  """Checks that `key` ("train.epochs") names a value; `word` was given."""
  section = value = config
  for name in key.split("."):
    if isinstance(value, ml_collections.ConfigDict):
      section = value
    if value is not section or name not in section:
      raise InputError(
        f"{word}: unknown key {name!r}; accepted: {', '.join(section)}"
      )
    value = section[name]
  if isinstance(value, ml_collections.ConfigDict):
    raise InputError(
      f"{word}: {key!r} is a section; its keys are"
      f" {', '.join(f'{key}.{name}' for name in value)}"
    )
