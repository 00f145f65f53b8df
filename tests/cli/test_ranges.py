"""What a run.json may hold, and what a stranger's cannot."""

import dataclasses
import json

import pytest
from stored import run_json

from gtzan_jax import config_ranges, features
from gtzan_jax.errors import InputError
from gtzan_jax.training import workdir


def test_the_table_holds_every_key_of_a_feature_set():
  fields = {field.name for field in dataclasses.fields(features.FeatureSpec)}
  assert config_ranges.SPEC.keys() == fields
  for spec in features.FEATURES.values():
    assert not list(config_ranges.spec_problems(spec.to_dict()))


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


NAN, INF = float("nan"), float("inf")
# {key: values that it may not have}; ... leaves the key out.
HOSTILE = {
  "feature_spec": [[]],
  "feature_spec/hop_length": [0, -1, 10**9, 3, "512"],
  "feature_spec/n_fft": [-5, 0, 2**31, 2**62, 1024.0],
  "feature_spec/segment_samples": [0, 10**12, None],
  "feature_spec/segments_per_track": [0, 10**9, True],
  "feature_spec/n_mels": [0, 5, 10**9],
  "feature_spec/n_mfcc": [200],
  "feature_spec/top_db": [NAN],
  "feature_spec/parts": [[], "mfcc", ["picture"], ["smell"]],
  "feature_spec/sample_rate": [0, 8000, "22050"],
  "feature_spec/kinds": [["smell"]],
  "feature_spec/max_frames": [10**12],
  "feature_spec/name": [...],
  "feature_spec/colour": ["red"],
  "config": [None],
  "config/task": ["cluster", ["classify"]],
  "config/seed": [..., -1, "0"],
  "config/train": [3, {}],
  "config/model": [{}],
  "config/train/monitor": ["test/loss"],
  "config/train/ties": ["last"],
  "config/train/epochs": [1e3],
  "config/eval/batch_size": [0, 10**9, 2**63, None],
  "config/eval/bootstrap": [0, 10**12, "1000"],
  "config/data/standardize": ["all"],
  "config/data/genres": ["blues"],
  "config/data/cache_mb": [-1],
  "config/data/path": ["a\0b"],
  "config/gan/domain": ["smell"],
  "config/optim/learning_rate": [INF],
  "config/loss/label_smoothing": [-1],
  "config/augment/noise_snr_db": [[1]],
  "config/extra": [1],
  "config/model/num_classes": [3],
  "data_path": [3, "x" * 256],
  "genres": [[], ["rock", "rock"], [1, 2], {"rock": 1}],
  "kind": ["smell", "logmel", "picture"],
  "example_shape": [[], [130, -13], [10**6, 10**6]],
  "columns_per_frame": [0.3],
  "clip_seconds": [0, NAN],
  "train_range": [
    {"seconds": [1.0], "level": None},
    {"seconds": None, "level": ["a", "b"]},
  ],
  "tracks": [["a"]],
  "tracks/train": [{"a": 1}, [None]],
  "built_on": [[1], {"gan.judge": {"best_epoch": "1"}}],
  "data_fingerprint": [None],
  "extra": [1],
}


@pytest.mark.parametrize(
  ("key", "value"),
  [(key, value) for key, values in HOSTILE.items() for value in values],
  ids=lambda x: str(x)[:40].replace("\0", "NUL"),
)
def test_a_strangers_run_json_is_refused_as_it_is_read(tmp_path, key, value):
  with pytest.raises(InputError) as caught:
    load(tmp_path, key, value)
  message = str(caught.value)
  assert str(tmp_path / workdir.RUN_FILE) in message
  assert key.split("/")[-1] in message
  assert not {"\n", "\0"} & set(message)
  assert len(message) < 600


def test_a_number_that_python_does_not_read(tmp_path):
  text = json.dumps(run_json()).replace('"seed": 0', f'"seed": {"9" * 5000}')
  (tmp_path / workdir.RUN_FILE).write_text(text)
  with pytest.raises(InputError, match="cannot be read as JSON"):
    workdir.load(tmp_path)
