"""A conditional GAN through the loop: trained, killed, resumed, made use of."""

import importlib
import json
import pathlib
import signal
import subprocess
import sys
import time

import jax
import numpy as np
import pytest
import soundfile

import launch
from gtzan_jax import (
  augmented,
  checkpoint,
  checks,
  errors,
  features,
  fidelity,
  gan_report,
  generate,
  judge,
  logs,
  models,
  pipeline,
  predict,
  report,
  sampling,
  sharding,
  tasks,
  train,
  workdir,
)

ROOT = pathlib.Path(__file__).resolve().parents[1]
SMALL = {"noise": 8, "embedding": 4, "hidden": (16,), "critic_hidden": (16,)}


@pytest.fixture(scope="module")
def make_gan(data_dir, tmp_path_factory):
  """A small GAN's config: 30 synthetic tracks, a judge of one epoch."""
  path = tmp_path_factory.mktemp("judge") / "judge"

  def small(recipe, **changes):
    config = importlib.import_module(f"configs.{recipe}").get_config()
    config.data.dir = str(data_dir)
    config.data.tracks_per_genre = 3
    config.data.features = "mfcc_slices"
    config.train.update(epochs=2, batch_size=16)
    config.eval.update(batch_size=16, bootstrap=20)
    config.log.update(every_steps=1, tensorboard=False, compilation_cache="")
    config.update_from_flattened_dict(changes)
    return config

  def make(recipe="gan_features", **changes):
    if not path.exists():
      config = small("judge", **{"train.epochs": 1})
      config.model.update(channels=(4, 8), dense=16)
      fit(config, path)
    config = small(recipe)
    if config.model.name == "cgan_dense":
      config.model.update(SMALL)
    config.gan.update(judge=str(path), samples=30)
    config.update_from_flattened_dict(changes)
    return config

  return make


def fit(config, path, devices=None):
  """Trains in this process; returns the data set."""
  dataset = launch.open_dataset(config)
  mesh = sharding.make_mesh(devices or jax.devices()[:1])
  checks.check_config(config, mesh)
  checks.check_data(config, dataset)
  with workdir.locked(path):
    workdir.begin(path, config, dataset)
    train.train(config, dataset, path, mesh)
  return dataset


def check(config):
  checks.check_config(config, sharding.make_mesh(jax.devices()[:1]))
  checks.check_data(config, launch.open_dataset(config))


@pytest.fixture(scope="module")
def features_gan(make_gan, tmp_path_factory):
  path = tmp_path_factory.mktemp("gan") / "features"
  fit(make_gan(), path)
  return path


@pytest.fixture(scope="module")
def audio_gan(make_gan, tmp_path_factory):
  """Of waveforms; four steps are all it takes."""
  path = tmp_path_factory.mktemp("gan") / "audio"
  changes = {"data.features": "mfcc_slices", "train.max_steps": 4}
  fit(make_gan("gan_waveform", **changes), path)
  return path


@pytest.fixture
def lstm(make_gan):
  """A classifier's config on the data of the GANs."""

  def make(**changes):
    config = make_gan("lstm_standardised")
    config.data.protocol = "filtered"
    config.model.hidden = 8
    config.gan.judge = None
    config.update_from_flattened_dict(changes)
    return config

  return make


def test_both_networks_learn_and_what_is_made_is_measured(features_gan):
  rows = [r for r in logs.read(features_gan / "metrics.jsonl") if "epoch" in r]
  assert len(rows) == 2
  for row in rows:
    for key in ("frechet_ratio", "coverage", "diversity", "nearest"):
      assert np.isfinite(row[f"validation/{key}"]), row
    assert 0 <= row["validation/genre_share"] <= 1
    for key in ("score_real", "score_generated"):
      assert np.isfinite(row[f"validation/{key}"])
    assert row["train/discriminator_loss"] > 0
    assert 0 <= row["train/real_found"] <= 1


def test_a_step_changes_both_and_each_by_its_own_loss(make_gan):
  config = make_gan(**{"gan.r1": 1.0, "gan.average": 0.9})
  dataset = launch.open_dataset(config)
  task = tasks.create(config, dataset, np.ones(10), 1)
  before = task.init(jax.random.key(0))
  records = pipeline.Records(dataset, "train", ["features"])
  batch = records.take(np.arange(8))
  after, _ = jax.jit(task.train_step)(before, batch)
  for name in ("generator", "discriminator"):
    same = jax.tree.map(
      lambda a, b: bool((a == b).all()), before.params[name], after.params[name]
    )
    assert not all(jax.tree.leaves(same)), name
  # what best/ holds is the average: (1 + 0) / (10 + 0) of the old at first
  first = jax.tree.leaves(before.params["generator"])
  last = jax.tree.leaves(after.params["generator"])
  kept = jax.tree.leaves(task.variables_of(after)["generator"])
  for a, b, c in zip(first, last, kept, strict=True):
    np.testing.assert_allclose(c, 0.1 * a + 0.9 * b, atol=1e-6)


def test_best_is_that_of_the_least_distance(features_gan):
  rows = [r for r in logs.read(features_gan / "metrics.jsonl") if "epoch" in r]
  distances = [row["validation/frechet_distance"] for row in rows]
  store = checkpoint.Store(features_gan / "best")
  assert store.facts()["epoch"] == 1 + int(np.argmin(distances))
  store.close()


def test_samples_depend_on_the_seed_and_their_number_alone(features_gan):
  generator = generate.load(features_gan)
  three = sampling.join(list(generator.examples(np.array([3, 7, 3]), 0)))
  alone = sampling.join(list(generator.examples(np.array([3, 3]), 0)))
  for a, b in zip(three["features"][[0, 2]], alone["features"], strict=True):
    np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5)
  assert not np.array_equal(*alone["features"])
  again = sampling.join(list(generator.examples(np.array([3, 7, 3]), 0)))
  np.testing.assert_array_equal(three["features"], again["features"])
  other = sampling.join(list(generator.examples(np.array([3, 3]), 1)))
  assert not np.array_equal(alone["features"], other["features"])


def test_generated_waveforms_go_the_way_of_real_segments(audio_gan):
  made = sampling.join(
    list(generate.load(audio_gan).examples(np.array([1, 1]), 0))
  )
  assert made["audio"].dtype == np.int16
  assert made["audio"].shape == (2, 66_150)
  wanted = features.extract(
    made["audio"].astype(np.float32) / 32768, "mfcc_slices"
  )
  np.testing.assert_allclose(made["features"], wanted, atol=1e-3)


def test_files_are_whole_numbered_and_marked(audio_gan, features_gan, tmp_path):
  heard = generate.write(generate.load(audio_gan), "jazz", 2, tmp_path)
  assert [file.name for file in heard] == [
    "generated-jazz-00000.wav",
    "generated-jazz-00001.wav",
  ]
  pcm, rate = soundfile.read(heard[1], dtype="int16")
  made = sampling.join(
    list(generate.load(audio_gan).examples(np.array([5, 5]), 0))
  )
  assert rate == 22_050
  np.testing.assert_array_equal(pcm, made["audio"][1])
  (seen,) = generate.write(generate.load(features_gan), "rock", 1, tmp_path)
  with np.load(seen) as arrays:
    assert arrays["features"].shape == (130, 13)
    assert (str(arrays["genre"]), str(arrays["feature_set"])) == (
      "rock",
      "mfcc_slices",
    )
  assert len(list(tmp_path.iterdir())) == 3


@pytest.mark.parametrize(
  ("genre", "count", "message"),
  [
    ("polka", 1, "--genre=polka: give one of blues, .*rock"),
    ("jazz", 0, "--count=0: give 1 or more"),
  ],
)
def test_what_cannot_be_generated_is_said(
  features_gan, tmp_path, genre, count, message
):
  with pytest.raises(errors.InputError, match=message):
    generate.write(generate.load(features_gan), genre, count, tmp_path / "new")
  assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("gan", ["features_gan", "audio_gan"])
def test_generated_examples_join_the_train_part_alone(
  gan, lstm, tmp_path, request, monkeypatch
):
  """Whatever is generated is marked here, and looked for everywhere."""
  path = request.getfixturevalue(gan)
  mark = 1234.5
  real = generate.Generator.examples

  def marked(self, *args, **kwargs):
    for batch in real(self, *args, **kwargs):
      yield batch | {"features": np.full_like(batch["features"], mark)}

  monkeypatch.setattr(generate.Generator, "examples", marked)
  seen = {"train": [], "validation": []}
  take = pipeline.train_batches

  def spied_train(records, **kwargs):
    for batch in take(records, **kwargs):
      seen["train"].append(np.mean(batch["features"] == mark))
      yield batch

  evaluated = pipeline.eval_batches

  def spied_eval(records, batch_size):
    for batch in evaluated(records, batch_size):
      seen["validation"].append(np.mean(batch["features"] == mark))
      yield batch

  monkeypatch.setattr(pipeline, "train_batches", spied_train)
  monkeypatch.setattr(pipeline, "eval_batches", spied_eval)
  statistics = pipeline.input_statistics

  def spied_statistics(records, over):
    mean, std = statistics(records, over)
    assert np.abs(mean).max() < mark / 2  # of real examples alone
    return mean, std

  monkeypatch.setattr(pipeline, "input_statistics", spied_statistics)
  config = lstm(**{"data.augment_with": str(path), "train.epochs": 1})
  dataset = fit(config, tmp_path / "run")
  assert np.mean(seen["train"]) == pytest.approx(0.5, abs=0.1)
  assert seen["validation"]
  assert not any(seen["validation"])
  run = workdir.load(tmp_path / "run")
  held_out = {*dataset.parts["validation"], *dataset.parts["test"]}
  assert not {track for track, _ in held_out} & set(run["tracks"]["train"])


def test_a_mixed_part_is_the_real_one_and_then_the_generated(make_gan):
  dataset = launch.open_dataset(make_gan())
  real = pipeline.Records(dataset, "train", ["features"])
  made = {
    "features": np.full((3, 130, 13), 7.0, np.float32),
    "label": np.array([4, 5, 6], np.int32),
  }
  mixed = augmented.Mixed(real, made)
  assert len(mixed) == len(real) + 3
  got = mixed.take([len(real) + 2, 0, len(real)])
  assert got["label"].tolist() == [6, real.take([0])["label"][0], 4]
  np.testing.assert_array_equal(
    got["features"][1], real.take([0])["features"][0]
  )
  assert (got["features"][[0, 2]] == 7).all()
  assert mixed.labels().tolist() == [*real.labels(), 4, 5, 6]
  alone = augmented.Mixed(None, made)
  assert alone.take([1])["label"].tolist() == [5]


def test_equally_many_of_each_genre_times_the_ratio(features_gan, lstm):
  config = lstm(**{"data.augment_with": str(features_gan)})
  dataset = launch.open_dataset(config)
  real = pipeline.Records(dataset, "train", ["features"])
  count = np.bincount(real.labels(), minlength=10)
  for ratio, only in ((0.5, False), (2.0, True)):
    config.data.update(augment_ratio=ratio, augment_only=only)
    part = augmented.train_part(config, dataset, real)
    found = np.bincount(part.labels(), minlength=10)
    wanted = np.rint(count * ratio) + (0 if only else count)
    np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize(
  ("changes", "message"),
  [
    ({"data.augment_ratio": -0.5}, "augment_ratio=-0.5: give 0 or more"),
    ({"data.features": "logmel_1024"}, "other features: mfcc_slices"),
    ({"data.genres": ("jazz", "rock")}, "other genres"),
    ({"data.protocol": "tracks_70_10_20"}, "has learnt from"),
    ({"data.augment_with": "/nowhere"}, "no such folder"),
  ],
)
def test_a_generator_that_does_not_fit_is_refused(
  features_gan, lstm, changes, message
):
  config = lstm(**{"data.augment_with": str(features_gan), **changes})
  with pytest.raises(errors.InputError, match=message):
    check(config)


def test_waveforms_of_another_length_are_refused(audio_gan, lstm):
  config = lstm(
    **{"data.features": "sequence", "data.augment_with": str(audio_gan)}
  )
  with pytest.raises(errors.InputError, match=r"samples 66150, .* 66000"):
    check(config)


def test_a_classifier_generates_nothing_and_a_gan_tells_no_genre(
  features_gan, make_gan
):
  with pytest.raises(errors.InputError, match="'judge', which generates"):
    generate.load(make_gan().gan.judge)
  with pytest.raises(errors.InputError, match="tells no genres"):
    predict.load(features_gan)


@pytest.mark.parametrize(
  ("changes", "message"),
  [
    ({"gan.loss": "wgan"}, "gan.loss='wgan': give one of bce, hinge"),
    ({"gan.domain": "wave"}, "gan.domain='wave': give one of features, audio"),
    ({"gan.r1": -1.0}, "gan.r1=-1.0"),
    ({"augment.mixup_alpha": 0.2}, "augment.mixup_alpha=0.2: a GAN does not"),
    ({"train.monitor": "validation/loss"}, "give one of validation/frechet"),
    ({"gan.domain": "audio"}, "standardize='bin': waveforms"),
    ({"gan.judge": "/nowhere"}, "no such folder"),
    ({"data.protocol": "tracks_70_10_20"}, "gan.judge=.* has learnt from"),
  ],
)
def test_a_gan_that_cannot_be_is_refused(make_gan, changes, message):
  config = make_gan(**changes)
  with pytest.raises(errors.InputError, match=message):
    check(config)


@pytest.mark.parametrize("name", sorted(models.MODELS))
def test_every_network_can_judge(name):
  """What its last layer is given decides, with that layer, what it says."""
  side = {"fusion_cnn": (130, 187), "mlp": (57,)}.get(name, (80, 80))
  if "image" in name or name in ("fcn", "mobilenet_v2"):
    side = (64, 64, 3)
  model = models.create(name, 10)
  shapes = models.shapes(model, side)
  embedding, probabilities = jax.eval_shape(
    lambda variables, x: judge.look(model, variables, x),
    shapes,
    jax.ShapeDtypeStruct((2, *side), np.float32),
  )
  assert probabilities.shape == (2, 10)
  assert embedding.ndim == 2
  kernels = jax.tree.leaves(shapes["params"])
  assert any(k.shape == (embedding.shape[1], 10) for k in kernels)


def test_killed_it_ends_with_the_same_bits(make_gan, tmp_path):
  """By SIGKILL, in the middle of the second epoch of a process of its own."""
  config = make_gan(**{"train.epoch_steps": 8})
  whole, killed = tmp_path / "whole", tmp_path / "killed"
  fit(config, whole, jax.devices())
  recipe = tmp_path / "recipe.py"
  recipe.write_text(
    "import json, ml_collections\n"
    "def get_config():\n"
    f"  text = {json.dumps(config.to_json_best_effort())}\n"
    "  return ml_collections.ConfigDict(json.loads(text))\n"
  )
  command = [sys.executable, ROOT / "launch.py", f"--config={recipe}"]
  with (tmp_path / "log").open("w") as log:
    process = subprocess.Popen(
      [*command, f"--workdir={killed}"], stdout=log, stderr=log, cwd=ROOT
    )
    deadline = time.monotonic() + 120
    while not any(
      row["step"] >= 12 for row in logs.read(killed / "metrics.jsonl")
    ):
      assert process.poll() is None, (tmp_path / "log").read_text()
      assert time.monotonic() < deadline
      time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.wait()
  assert not (killed / "report.json").exists()
  fit(config, killed, jax.devices())
  rows = [
    [
      {k: v for k, v in row.items() if not k.startswith("time/")}
      for row in logs.read(path / "metrics.jsonl")
    ]
    for path in (whole, killed)
  ]
  assert [row["step"] for row in rows[0]] == list(range(1, 17))
  assert rows[0] == rows[1]
  for a, b in zip(
    *(
      jax.tree.leaves(generate.load(path).variables) for path in (whole, killed)
    ),
    strict=True,
  ):
    np.testing.assert_array_equal(a, b)


def test_the_report_says_how_good_it_is(features_gan, make_gan):
  mesh = sharding.make_mesh(jax.devices()[:1])
  page = gan_report.evaluate(
    features_gan, launch.open_dataset(make_gan()), mesh
  )
  found = report.read(features_gan / "report.json")
  assert found["headline"] is None  # it classifies nothing
  gan = found["gan"]
  assert (gan["domain"], gan["generated"], gan["chance"]) == (
    "features",
    30,
    0.1,
  )
  measures = gan["measures"]["validation"]
  assert set(measures) == set(fidelity.MEASURES)
  share = found["splits"]["generated"]["segment"]["accuracy"]
  assert measures["genre_share"] == pytest.approx(share)
  assert gan["collapsed"] == (measures["diversity"] < fidelity.COLLAPSED)
  assert found["splits"]["real"]["segment"]["n"] == 65
  assert gan["judge"]["accuracy"] == pytest.approx(
    found["splits"]["real"]["segment"]["accuracy"]
  )
  assert "samples.png" in {file.name for file in page.parent.iterdir()}
