"""The shape of the code base: which file may know of which, and the tables.

Which room may import which is the contract of import-linter in pyproject.toml.
"""

import ast
import importlib
import importlib.metadata
import itertools
import json
import pathlib
import re
import sys
import tomllib
from collections.abc import Iterable

import pytest
from packaging import requirements

import tfds_gtzan
from gtzan_jax import config_ranges, errors, features, models
from gtzan_jax.cli.tasks import TASKS
from gtzan_jax.models import scikit_learn
from gtzan_jax.training import optim

ROOT = pathlib.Path(__file__).resolve().parents[1]
CONFIGS = sorted(
  path.stem
  for path in (ROOT / "configs").glob("*.py")
  if path.stem != "__init__"
)

# What these rooms and files may import beside the package's dependencies.
EXTRAS = {
  **{f"gtzan_jax/{room}": {"report"} for room in ("reports", "gan", "studies")},
  "gtzan_jax/audio/decoding.py": {"m4a"},
  "gtzan_jax/features/image.py": {"report"},
  "gtzan_jax/data": {"tfds"},
  "tfds_gtzan": {"tfds"},
  "tfds_gtzan/beam.py": {"tfds", "beam"},
  "tfds_gtzan/tfds_gtzan_dataset_builder_test.py": {"tfds", "dev"},
}
NO_SUBJECT = {"utils", "util", "common", "helpers", "helper", "misc"}


def sources(*places: str) -> list[pathlib.Path]:
  """Every Python file of these folders or files, relative to the root."""
  found = []
  for place in places:
    path = ROOT / place
    files = sorted(path.rglob("*.py")) if path.is_dir() else [path]
    found += [file.relative_to(ROOT) for file in files]
  return found


def imports(file: pathlib.Path) -> set[str]:
  """Dotted names that a file imports anywhere, inside functions too."""
  names = set()
  for node in ast.walk(ast.parse((ROOT / file).read_text())):
    if isinstance(node, ast.Import):
      names |= {alias.name for alias in node.names}
    elif isinstance(node, ast.ImportFrom):
      assert not node.level, f"{file}: write whole names, not `from .`"
      names |= {f"{node.module}.{alias.name}" for alias in node.names}
  return names


def test_there_is_one_loop():
  """Only the loop runs a training step; tasks define it."""
  tasks = {
    "gtzan_jax/training/classify.py",
    "gtzan_jax/gan/adversarial_step.py",
  }
  callers = set()
  for file in sources("gtzan_jax", "tfds_gtzan", "launch.py"):
    for node in ast.walk(ast.parse((ROOT / file).read_text())):
      name = getattr(node, "attr", getattr(node, "id", None))
      if name == "train_step":
        callers.add(file.as_posix())
  assert callers - tasks == {"gtzan_jax/training/loop.py"}


def test_every_file_has_a_subject_and_says_it():
  assert not NO_SUBJECT & {file.stem for file in sources("tests")}
  for file in sources("gtzan_jax", "tfds_gtzan", "configs", "launch.py"):
    assert file.stem not in NO_SUBJECT
    text = (ROOT / file).read_text()
    assert not text.strip() or ast.get_docstring(ast.parse(text)), file


@pytest.mark.slow
def test_the_metadata_name_every_import():
  """And none is TensorFlow, which is not needed at run time."""
  project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
  extras = project["optional-dependencies"]
  origin = importlib.metadata.packages_distributions()
  ours = {"gtzan_jax", "tfds_gtzan", "configs"}
  for file in sources("gtzan_jax", "tfds_gtzan", "configs", "launch.py"):
    required = _required(project["dependencies"])
    for place, names in EXTRAS.items():
      if file.is_relative_to(place):
        required |= _required(itertools.chain(*map(extras.get, names)))
    for module in {name.split(".")[0] for name in imports(file)}:
      if module in ours or module in sys.stdlib_module_names:
        continue
      found = {_normal(name) for name in origin.get(module, (module,))}
      assert found & required, f"{file} imports {module}: not in pyproject.toml"


def test_every_requirement_has_a_tested_version():
  project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
  lines = (ROOT / "constraints.txt").read_text().splitlines()
  pins = {}
  for line in filter(re.compile(r"[^#]").match, lines):
    pin = requirements.Requirement(line)
    if pin.marker is None or pin.marker.evaluate():
      (version,) = pin.specifier
      pins[_normal(pin.name)] = version.version
  extras = project["optional-dependencies"].values()
  for text in itertools.chain(project["dependencies"], *extras):
    wanted = requirements.Requirement(text)
    assert pins[_normal(wanted.name)] in wanted.specifier, text


def test_a_missing_module_of_an_extra_is_named():
  for module, extra in errors.EXTRAS.items():
    missing = ModuleNotFoundError(name=f"{module}.part")
    assert errors.system_reason(missing) == (
      f"{module} is not installed: pip install 'gtzan_jax[{extra}]'"
    )
  assert errors.system_reason(ModuleNotFoundError(name="other")) is None


def _required(lines: Iterable[str]) -> set[str]:
  return {_normal(requirements.Requirement(line).name) for line in lines}


def _normal(name: str) -> str:
  return re.sub(r"[-_.]+", "-", name).lower()


# Recipes.


@pytest.mark.parametrize("name", CONFIGS)
def test_a_recipe_is_the_default_config_and_a_delta(name):
  """A misspelt key would be an added one: only model.* may be added."""
  recipe = importlib.import_module(f"configs.{name}")
  config = recipe.get_config()
  assert config.recipe == name
  ours = config_ranges.flatten(config.to_dict())
  default = importlib.import_module("configs.default").get_config()
  default = config_ranges.flatten(default.to_dict())
  assert not default.keys() - ours.keys(), "a key of default.py is gone"
  added = ours.keys() - default.keys()
  assert all(key.startswith("model.") for key in added), added
  for key, value in default.items():
    if value is not None:
      assert type(ours[key]) is type(value), key
  for values in (ours, json.loads(json.dumps(ours))):  # as run.json has it
    assert not list(config_ranges.config_problems(values))
  if name == "default":
    return
  # It names what exists, and its header shows how to run it.
  assert f"launch.py --config=configs/{name}.py" in recipe.__doc__
  assert config.data.features in features.FEATURES
  assert config.data.protocol in tfds_gtzan.PROTOCOLS
  assert config.optim.name in optim.OPTIMIZERS
  assert config.optim.schedule in optim.SCHEDULES
  options = config.model.to_dict()
  if config.task == "classical":
    scikit_learn.create(options.pop("name"), **options)
  elif config.task == "gan":
    shape = (66_000,) if config.gan.domain == "audio" else (130, 13)
    from gtzan_jax.gan import networks  # the room may be deleted

    networks.create(options.pop("name"), 10, shape, **options)
  else:
    assert config.task in TASKS
    models.create(options.pop("name"), 10, **options)


def test_comments_of_the_default_config_list_the_tables():
  text = (ROOT / "configs" / "default.py").read_text()
  for key, table in (("name", optim.OPTIMIZERS), ("schedule", optim.SCHEDULES)):
    listed = re.search(rf"optim\.{key} = .*?# (.*)", text)[1]
    assert set(listed.split(" | ")) == set(table)


def test_a_models_options_are_in_its_repr():
  for name in models.MODELS:
    model = models.create(name, num_classes=7)
    assert all(option in repr(model) for option in models.options(name))


def test_every_task_is_that_of_a_recipe():
  recipes = (importlib.import_module(f"configs.{name}") for name in CONFIGS)
  assert {recipe.get_config().task for recipe in recipes} == {*TASKS}
