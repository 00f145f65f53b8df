"""What a config and a run.json may hold, and what a stranger's cannot."""

import dataclasses
import importlib
import json
import pathlib

import pytest
from stored import run_json

from gtzan_jax import features, ranges
from gtzan_jax.cli import command_line
from gtzan_jax.cli.verbs import VERBS
from gtzan_jax.errors import InputError
from gtzan_jax.training import workdir

ROOT = pathlib.Path(__file__).resolve().parents[2]
RECIPES = sorted(
  path.stem
  for path in (ROOT / "configs").glob("*.py")
  if path.stem != "__init__"
)


@pytest.mark.parametrize("name", RECIPES)
def test_the_table_holds_every_key_of_every_recipe(name):
  config = importlib.import_module(f"configs.{name}").get_config()
  flat = ranges.flatten(config.to_dict())
  assert not list(ranges.config_problems(flat))
  plain = json.loads(json.dumps(flat))  # as run.json has it
  assert not list(ranges.config_problems(plain))


def test_the_table_holds_every_key_of_a_feature_set():
  fields = {field.name for field in dataclasses.fields(features.FeatureSpec)}
  assert ranges.SPEC.keys() == fields
  for spec in features.FEATURES.values():
    assert not list(ranges.spec_problems(spec.to_dict()))


def load(path, key, value):
  """workdir.load of a run.json whose value at "a.b.c" is another one."""
  run = run_json()
  *sections, last = key.split("/")
  inner = run
  for section in sections:
    inner = inner[section]
  if value is ...:
    del inner[last]
  else:
    inner[last] = value
  (path / workdir.RUN_FILE).write_text(json.dumps(run))
  return workdir.load(path)


def test_a_run_that_is_none_but_whole(tmp_path):
  assert load(tmp_path, "recipe", "resnet") == run_json()


HOSTILE = [
  *(("feature_spec/hop_length", value) for value in (0, -1, 10**9, 3, "512")),
  *(("feature_spec/n_fft", value) for value in (-5, 0, 2**31, 2**62, 1024.0)),
  *(("feature_spec/segment_samples", value) for value in (0, 10**12, None)),
  *(("feature_spec/segments_per_track", value) for value in (0, 10**9, True)),
  *(("feature_spec/n_mels", value) for value in (0, 5, 10**9)),
  ("feature_spec/n_mfcc", 200),
  ("feature_spec/top_db", float("nan")),
  ("feature_spec/parts", []),
  ("feature_spec/parts", "mfcc"),
  ("feature_spec/parts", ["picture"]),
  ("feature_spec/parts", ["smell"]),
  *(("feature_spec/sample_rate", value) for value in (0, 8000, "22050")),
  ("feature_spec/kinds", ["smell"]),
  ("feature_spec/max_frames", 10**12),
  ("feature_spec/name", ...),
  ("feature_spec/colour", "red"),
  ("feature_spec", []),
  ("config/task", "cluster"),
  ("config/task", ["classify"]),
  ("config/seed", ...),
  ("config/seed", -1),
  ("config/seed", "0"),
  ("config/train", 3),
  ("config/train", {}),
  ("config/model", {}),
  ("config/train/monitor", "test/loss"),
  ("config/train/ties", "last"),
  ("config/train/epochs", 1e3),
  *(("config/eval/batch_size", value) for value in (0, 10**9, 2**63, None)),
  *(("config/eval/bootstrap", value) for value in (0, 10**12, "1000")),
  ("config/data/standardize", "all"),
  ("config/data/genres", "blues"),
  ("config/data/cache_mb", -1),
  ("config/data/path", "a\0b"),
  ("config/gan/domain", "smell"),
  ("config/optim/learning_rate", float("inf")),
  ("config/loss/label_smoothing", -1),
  ("config/augment/noise_snr_db", [1]),
  ("config/extra", 1),
  ("config/model/num_classes", 3),
  ("config", None),
  ("data_path", 3),
  ("data_path", "x" * 256),
  ("genres", []),
  ("genres", ["rock", "rock"]),
  ("genres", [1, 2]),
  ("genres", {"rock": 1}),
  ("kind", "smell"),
  ("kind", "logmel"),
  ("kind", "picture"),
  ("example_shape", []),
  ("example_shape", [130, -13]),
  ("example_shape", [10**6, 10**6]),
  ("columns_per_frame", 0.3),
  ("clip_seconds", 0),
  ("clip_seconds", float("nan")),
  ("train_range", {"seconds": [1.0], "level": None}),
  ("train_range", {"seconds": None, "level": ["a", "b"]}),
  ("tracks", ["a"]),
  ("tracks/train", {"a": 1}),
  ("tracks/train", [None]),
  ("built_on", [1]),
  ("built_on", {"gan.judge": {"best_epoch": "1"}}),
  ("data_fingerprint", None),
  ("extra", 1),
]


@pytest.mark.parametrize(
  ("key", "value"), HOSTILE, ids=lambda x: str(x)[:40].replace("\0", "NUL")
)
def test_a_strangers_run_json_is_refused_as_it_is_read(tmp_path, key, value):
  with pytest.raises(InputError) as caught:
    load(tmp_path, key, value)
  said = str(caught.value)
  assert str(tmp_path / workdir.RUN_FILE) in said
  assert key.split("/")[-1] in said
  assert not {"\n", "\0"} & set(said)
  assert len(said) < 600


def test_a_number_that_python_does_not_read(tmp_path):
  text = json.dumps(run_json()).replace('"seed": 0', f'"seed": {"9" * 5000}')
  (tmp_path / workdir.RUN_FILE).write_text(text)
  with pytest.raises(InputError, match="cannot be read as JSON"):
    workdir.load(tmp_path)


VALUES = [
  ("train.batch_size=9223372036854775808", "from 1 to 8192"),
  ("eval.batch_size=1000000000", "from 1 to 8192"),
  ("eval.bootstrap=1000000000000", "from 1 to"),
  ("loss.label_smoothing=-1.0", "a number from 0 and below 1"),
  ("loss.label_smoothing=1.0", "a number from 0 and below 1"),
  ("optim.learning_rate=-0.1", "a number above 0"),
  ("optim.learning_rate=nan", "a number above 0"),
  ("optim.decay_begin=-3", "from 0 to"),
  ("train.epochs=9223372036854775808", "from 1 to"),
  ("augment.time_width=2.0", "from 0 to 1"),
  ("seed=-1", "from 0 to 4294967295"),
  (f"data.dir={'x' * 256}", "up to 255 bytes"),
  ("data.path=a\0b", "without NUL"),
  ("data.dir=caf\udce9", "in UTF-8"),
  ("log.every_steps=0", "from 1 to"),
]


@pytest.mark.parametrize(
  ("given", "accepted"), VALUES, ids=lambda x: ascii(x)[1:30]
)
@pytest.mark.parametrize("verb", ["train", "prepare", "sweep", "leak"])
def test_a_value_out_of_its_range_is_refused_before_any_work(
  verb, given, accepted
):
  if verb == "prepare" and not given.startswith("data."):
    pytest.skip("takes no such key")
  config = ROOT / "configs" / "resnet.py"
  words = [verb, f"--config={config}", f"--config.{given}"]
  with pytest.raises(InputError) as caught:
    command_line.parse(words, VERBS)
  assert f"config.{given.split('=')[0]}=" in str(caught.value)
  assert accepted in str(caught.value)
