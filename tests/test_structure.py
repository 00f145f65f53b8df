"""The shape of the code base: which file may know of which, and the tables.

Which room may import which is the contract of import-linter in pyproject.toml.
"""

import ast
import importlib
import importlib.metadata
import itertools
import pathlib
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterable

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from packaging import requirements

import tfds_gtzan
from gtzan_jax import errors, features, models, ranges
from gtzan_jax.cli.tasks import TASKS
from gtzan_jax.features import logmel_archive
from gtzan_jax.gan import networks
from gtzan_jax.models import scikit_learn
from gtzan_jax.models.sources import REFERENCE
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
WITHOUT_JAX = (
  "gtzan_jax.scores.metrics",
  "gtzan_jax.reports.report",
  "gtzan_jax.reports.leaderboard",
  "gtzan_jax.studies.sweep.run",
  "gtzan_jax.studies.verify.run",
)
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


@pytest.mark.parametrize("module", WITHOUT_JAX)
def test_what_begins_at_predictions_imports_no_jax(module):
  program = f"import sys, {module}; sys.exit('jax' in sys.modules)"
  assert (
    subprocess.run([sys.executable, "-c", program], cwd=ROOT).returncode == 0
  )


def test_models_and_features_stand_alone():
  """As a library: no data set, no config, no loop; README's own lines."""
  program = """
import sys
import jax, jax.numpy as jnp
from gtzan_jax import features, models

x = features.extract(jnp.zeros((1, 4096)), "logmel_1024")
model = models.create("cnn_gru", num_classes=10, channels=(2, 2),
                      pool_frames=(2, 1), pool_bins=(4, 4), hidden=4, dense=4)
variables = model.init(jax.random.key(0), x, train=False)
assert model.apply(variables, x, train=False).shape == (1, 10)
brought = {"tensorflow_datasets", "ml_collections", "tfds_gtzan", "grain",
           "orbax", "librosa", "sklearn", "matplotlib.pyplot"}
assert not brought & set(sys.modules), brought & set(sys.modules)
"""
  done = subprocess.run(
    [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True
  )
  assert done.returncode == 0, done.stderr


def test_there_is_one_loop():
  """Only the loop runs a training step; tasks define it."""
  tasks = {"gtzan_jax/training/classify.py", "gtzan_jax/gan/step.py"}
  callers = set()
  for file in sources("gtzan_jax", "tfds_gtzan", "launch.py"):
    for node in ast.walk(ast.parse((ROOT / file).read_text())):
      name = getattr(node, "attr", getattr(node, "id", None))
      if name == "train_step":
        callers.add(file.as_posix())
  assert callers - tasks == {"gtzan_jax/training/loop.py"}


def test_every_file_has_a_subject():
  files = sources("gtzan_jax", "tfds_gtzan", "configs", "tests", "launch.py")
  assert not [file for file in files if file.stem in NO_SUBJECT]


def test_every_file_says_what_it_is():
  for file in sources("gtzan_jax", "tfds_gtzan", "configs", "launch.py"):
    text = (ROOT / file).read_text()
    assert not text.strip() or ast.get_docstring(ast.parse(text)), file


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


@pytest.fixture(scope="module")
def default_config():
  return importlib.import_module("configs.default").get_config()


@pytest.mark.parametrize("name", CONFIGS)
def test_config_is_default_and_a_delta(name, default_config):
  """A misspelt key would be an added one: only model.* may be added."""
  config = importlib.import_module(f"configs.{name}").get_config()
  assert config.recipe == name
  ours, default = (
    ranges.flatten(c.to_dict()) for c in (config, default_config)
  )
  assert not default.keys() - ours.keys(), "a key of default.py is gone"
  added = set(ours) - set(default)
  assert all(key.startswith("model.") for key in added), added
  for key, value in default.items():
    if value is not None:
      assert type(ours[key]) is type(value), key


@pytest.mark.parametrize("name", sorted(set(CONFIGS) - {"default"}))
def test_config_names_what_exists(name):
  config = importlib.import_module(f"configs.{name}").get_config()
  assert config.data.features in features.FEATURES
  assert config.data.protocol in tfds_gtzan.PROTOCOLS
  assert config.optim.name in optim.OPTIMIZERS
  assert config.optim.schedule in optim.SCHEDULES
  options = config.model.to_dict()
  if config.task == "classical":
    scikit_learn.create(options.pop("name"), **options)
  elif config.task == "gan":
    shape = (66_000,) if config.gan.domain == "audio" else (130, 13)
    networks.create(options.pop("name"), 10, shape, **options)
  else:
    assert config.task in TASKS
    models.create(options.pop("name"), 10, **options)


@pytest.mark.parametrize("name", sorted(set(CONFIGS) - {"default"}))
def test_config_header_is_a_promise(name):
  header = importlib.import_module(f"configs.{name}").__doc__
  command = f"launch.py --config=configs/{name}.py"
  assert command in header, "the header of a recipe shows how to run it"


def test_comments_of_the_default_config_list_the_tables():
  text = (ROOT / "configs" / "default.py").read_text()
  for key, table in (("name", optim.OPTIMIZERS), ("schedule", optim.SCHEDULES)):
    listed = re.search(rf"optim\.{key} = .*?# (.*)", text)[1]
    assert set(listed.split(" | ")) == set(table)


# Tables: what stands in one can be made by its name alone.


@pytest.mark.parametrize("name", sorted(features.FEATURES))
def test_feature_set_keeps_its_contract(name):
  spec = features.get(name)
  assert spec.name == name
  assert features.FeatureSpec.from_dict(spec.to_dict()) == spec
  audio = np.random.default_rng(0).uniform(-0.5, 0.5, (2, spec.segment_samples))
  x = features.extract(audio.astype(np.float32), name)
  # A recipe's model was built for what its feature set gives.
  inputs = {r.input for r in REFERENCE.values() if r.features == name}
  assert inputs <= {x.shape[1:]}
  assert len(x) == 2
  assert x.dtype == np.float32
  assert np.isfinite(x).all()
  if "logmel" in spec.kinds:
    db = np.zeros(
      (3, logmel_archive.segment_columns(spec, 0.3), 128), np.float32
    )
    assert features.from_logmel(db, name).shape[2:] == x.shape[2:]


@pytest.mark.parametrize("name", sorted(models.MODELS))
def test_model_keeps_its_contract(name):
  """Logits, running statistics beside the parameters, input_stats apart."""
  model = models.create(name, num_classes=7)
  assert all(option in repr(model) for option in models.options(name))
  x = jax.ShapeDtypeStruct((2, *REFERENCE[name].input), jnp.float32)
  key = jax.random.key(0)
  variables = jax.eval_shape(lambda x: model.init(key, x, train=False), x)
  assert {"params", "input_stats"} <= variables.keys()
  assert variables.keys() <= {"params", "input_stats", "batch_stats"}
  logits = jax.eval_shape(
    lambda v, x: model.apply(v, x, train=False), variables, x
  )
  assert logits.shape == (2, 7)
  assert logits.dtype == jnp.float32


def _table(name: str) -> list[tfds_gtzan.Row]:
  """As many tracks and artists as every protocol needs, with GTZAN's ids."""
  partitions = ("train", "train", "validation", "test", "unlisted")
  return [
    tfds_gtzan.Row(
      f"{genre}.{i:05d}", genre, f"{genre} {i // 2}", partitions[i % 5], 2
    )
    for genre in tfds_gtzan.GENRES
    for i in range(60)
  ]


@pytest.mark.parametrize("name", sorted(tfds_gtzan.PROTOCOLS))
def test_protocol_keeps_its_contract(name):
  """Parts of known tracks; no track in two parts unless the name says leaky."""
  rows = _table(name)
  cut = tfds_gtzan.apply(name, rows)
  assert set(cut.parts) == {"train", "validation", "test"}
  known = {(row.id, s) for row in rows for s in range(row.segments)}
  assert all(set(part) <= known for part in cut.parts.values())
  assert (cut.leak is not None) == name.startswith("leaky_")
  if cut.leak is None:
    tracks = [{track for track, _ in part} for part in cut.parts.values()]
    assert sum(map(len, tracks)) == len(set.union(*tracks))
  assert tfds_gtzan.apply(name, rows[::-1]) == cut


@pytest.mark.parametrize("name", sorted(optim.SCHEDULES))
def test_schedule_keeps_its_contract(name):
  schedule = optim.create_schedule(
    name,
    learning_rate=0.1,
    steps_per_epoch=5,
    epochs=4,
    decay=0.9,
    begin_epoch=1,
    warmup_epochs=1.0,
  )
  rates = np.array([schedule(step) for step in range(20)])
  assert ((rates >= 0) & (rates <= 0.1 + 1e-6)).all()
  assert rates.max() == pytest.approx(0.1)


@pytest.mark.parametrize("name", sorted(optim.OPTIMIZERS))
def test_optimizer_goes_downhill(name):
  optimizer = optim.create(
    name, lambda step: 0.05, momentum=0.9, weight_decay=0.0, clip_norm=1.0
  )
  params = {"dense": {"kernel": jnp.full((2, 2), 3.0)}}

  def loss(params):
    return (params["dense"]["kernel"] ** 2).sum()

  @jax.jit
  def step(params, state):
    updates, state = optimizer.update(jax.grad(loss)(params), state, params)
    return jax.tree.map(jnp.add, params, updates), state

  before, state = loss(params), optimizer.init(params)
  for _ in range(30):
    params, state = step(params, state)
  assert loss(params) < 0.9 * before


def test_every_task_is_that_of_a_recipe():
  named = {
    importlib.import_module(f"configs.{name}").get_config().task
    for name in CONFIGS
  }
  assert named == {*TASKS}
