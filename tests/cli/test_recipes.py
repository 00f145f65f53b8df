"""Every recipe of configs/ takes two steps, in one process, on 20 tracks."""

import importlib
import pathlib

import corpora
import jax
import numpy as np
import pytest
from flax import traverse_util

import tfds_gtzan
from gtzan_jax import features
from gtzan_jax.cli import tasks
from gtzan_jax.data import pipeline
from gtzan_jax.data.open_dataset import open_dataset
from gtzan_jax.models import published_sizes
from gtzan_jax.training import classify, sharding
from tfds_gtzan.facts import track_lists

ROOT = pathlib.Path(__file__).resolve().parents[2]
RECIPES = sorted(
  path.stem
  for path in (ROOT / "configs").glob("*.py")
  if path.stem not in ("__init__", "default")
)

# Nets over 20 million parameters, and pictures that take seconds a step.
SHRUNK = {
  "gan_mel_conv": {"channels": (4, 4, 4), "critic_channels": (4, 4, 4)},
  "gan_waveform_conv": {"channels": (8, 8), "critic_channels": (4, 4)},
  "gan_waveform": {"hidden": (8, 8, 8), "critic_hidden": (8, 8)},
  "fcn": {"widths": (8, 8)},
  "image_cnn": {"channels": (4, 4, 4), "dense": 8},
  "image_cnn2": {"channels": (4, 4, 4, 4), "dense": 8},
  "image_cnn_bn": {"channels": (4, 4, 4, 4), "dense": 8},
  "image_cnn_bn_rmsprop": {"channels": (4, 4, 4, 4), "dense": 8},
}


@pytest.fixture
def recipe_config(data_dir, tmp_path):
  """A recipe on 20 tracks, 10 to train on and 10 to validate."""

  def make(name: str):
    config = importlib.import_module(f"configs.{name}").get_config()
    config.data.dir = str(data_dir)
    config.data.tracks_per_genre = 2
    config.data.protocol = "filtered"
    if name == "svm_stats":  # which needs two tracks of a genre to train on
      config.data.tracks_per_genre = 4
      config.data.genres = tfds_gtzan.GENRES[:5]
    if name == "mlp":  # whose columns take a second a track to compute
      lists = track_lists.splits("filtered")
      names = [
        f"{min(track for track in lists[split] if track.startswith(genre))}.wav"
        for split in ("train", "validation")
        for genre in tfds_gtzan.GENRES
      ]
      table = tmp_path / "features.csv"
      corpora.write_table(table, corpora.table_rows(names))
      config.data.path = str(table)
    config.model.update(SHRUNK.get(name, {}))
    config.train.batch_size = 8
    config.eval.batch_size = 8
    return config

  return make


@pytest.mark.slow
@pytest.mark.parametrize("name", RECIPES)
def test_recipe_takes_two_steps(recipe_config, name, tmp_path, monkeypatch):
  config = recipe_config(name)
  dataset = open_dataset(config)
  tracks = {part: {t for t, _ in ids} for part, ids in dataset.parts.items()}
  assert sum(map(len, tracks.values())) == 20
  assert len(tracks["train"]) == 10
  if config.task == "classical":
    tasks.train(config, dataset, tmp_path, sharding.make_mesh())
    return
  mesh = sharding.make_mesh(jax.devices()[:1])  # test_loop.py has four
  config.log.every_steps = 2
  if name == "mobilenet_v2":  # a frozen backbone has to come from somewhere
    config.train.init_from = "not read here"
  if config.data.augment_with == "":  # nor is a GAN
    from gtzan_jax.gan import generate

    config.data.augment_with = "not read here"
    monkeypatch.setattr(generate, "load_run", lambda *_: {})
  tasks.check_config(config, mesh)
  create = classify.create
  if config.task == "gan":
    from gtzan_jax.gan import adversarial_step  # the room may be deleted

    create = adversarial_step.create
  task = create(config, dataset, np.ones(10), 1)
  everywhere = sharding.replicated(mesh)
  state = jax.jit(task.init, out_shardings=everywhere)(jax.random.key(0))
  before = jax.device_get(state.params)
  step = jax.jit(task.train_step, out_shardings=(everywhere, everywhere))
  records = pipeline.Records(dataset, "train", [task.source])
  batches = pipeline.train_batches(records, batch_size=8, seed=0, start_step=0)
  for _ in range(2):
    state, scalars = step(state, sharding.put(next(batches), mesh))
  assert int(state.step) == 2
  assert all(np.isfinite(value) for value in scalars.values()), scalars
  differ = jax.tree.map(
    lambda x, y: not np.array_equal(x, y), before, jax.device_get(state.params)
  )
  moved = traverse_util.flatten_dict(differ, sep="/")
  frozen = name == "mobilenet_v2"
  for key, has_moved in moved.items():
    assert has_moved == (not frozen or key.startswith("head/")), key


@pytest.mark.slow
@pytest.mark.parametrize("name", published_sizes.REFERENCE)
def test_model_has_the_parameters_of_its_source(name):
  """At the source's input size and class count, BatchNorm's statistics in."""
  counts = published_sizes.count(name)
  published = published_sizes.REFERENCE[name].published
  whole = counts["params"] + counts.get("batch_stats", 0)
  if published is not None:
    assert whole == published
  config = importlib.import_module(f"configs.{name}").get_config()
  features_name = config.data.features
  assert features_name == published_sizes.REFERENCE[name].features
  if features_name != "table57":  # on the host: no shape without the numbers
    samples = features.get(features_name).segment_samples
    x = jax.eval_shape(
      lambda x: features.extract(x, features_name),
      jax.ShapeDtypeStruct((samples,), np.float32),
    )
    assert x.shape == published_sizes.REFERENCE[name].input


def test_every_recipe_with_a_network_has_a_source_or_is_known_as_ours():
  deep = {
    name
    for name in RECIPES
    if importlib.import_module(f"configs.{name}").get_config().task
    == "classify"
  }
  ours = {"judge", "quickstart", "lstm_standardised"}
  ours |= {"lstm_cgan", "lstm_feature_gan"}  # the LSTM, with more to learn from
  assert set(published_sizes.REFERENCE) <= deep
  assert deep - set(published_sizes.REFERENCE) <= ours


def test_table_of_models_in_the_docs_is_the_one_drawn():
  assert published_sizes.table() in (ROOT / "docs" / "models.md").read_text()
