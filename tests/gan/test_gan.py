"""A conditional GAN through the loop: trained, killed, resumed, made use of."""

import dataclasses
import importlib
import json
import pathlib
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time

import jax
import numpy as np
import pytest
import soundfile

from gtzan_jax import atomic, errors, features, models, ranges
from gtzan_jax.cli import console, tasks
from gtzan_jax.cli.main import main
from gtzan_jax.data import pipeline
from gtzan_jax.data.open_dataset import open_dataset
from gtzan_jax.gan import (
  augment_train,
  fidelity,
  generate,
  judge,
  sampling,
  upstream,
)
from gtzan_jax.gan import report as gan_report
from gtzan_jax.gan import validation as gan_validation
from gtzan_jax.inference import ensemble, predict
from gtzan_jax.reports import report
from gtzan_jax.training import (
  checkpoint,
  evaluate,
  scalars,
  sharding,
  shared_tracks,
  workdir,
)

ROOT = pathlib.Path(__file__).resolve().parents[2]
# Most tests train a small GAN, its judge or a classifier on it.
pytestmark = pytest.mark.slow
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
  dataset = open_dataset(config)
  mesh = sharding.make_mesh(devices or jax.devices()[:1])
  tasks.check_config(config, mesh)
  tasks.check_data(config, dataset)
  with workdir.locked(path):
    workdir.begin(path, config, dataset, upstream.find(config))
    tasks.train(config, dataset, path, mesh)
  return dataset


def check(config):
  tasks.check_config(config, sharding.make_mesh(jax.devices()[:1]))
  tasks.check_data(config, open_dataset(config))


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


@pytest.fixture
def stopped(tmp_path):
  """A copy of a workdir, as if it had been begun for five epochs."""

  def copy(path):
    place = shutil.copytree(path, tmp_path / f"{path.name}_stopped")
    run = workdir.load(place)
    run["config"]["train"]["epochs"] = 5
    atomic.write_json(place / workdir.RUN_FILE, run)
    return place

  return copy


def test_each_epoch_is_measured_and_the_least_distance_is_best(features_gan):
  rows = [
    r for r in scalars.read(features_gan / "metrics.jsonl") if "epoch" in r
  ]
  assert len(rows) == 2
  keys = ("frechet_ratio", "coverage", "diversity", "nearest")
  for row in rows:
    for key in (*keys, "score_real", "score_generated"):
      assert np.isfinite(row[f"validation/{key}"]), row
    assert 0 <= row["validation/genre_share"] <= 1
    assert row["train/discriminator_loss"] > 0
    assert 0 <= row["train/real_found"] <= 1
  distances = [row["validation/frechet_distance"] for row in rows]
  store = checkpoint.Store(features_gan / "best")
  assert store.facts()["epoch"] == 1 + int(np.argmin(distances))
  store.close()


def test_samples_depend_on_the_seed_and_their_number_alone(features_gan):
  generator = generate.load(features_gan)

  def made(label, seed=0):
    return sampling.join(generator.examples(np.array(label), seed))["features"]

  three, alone = made([3, 7, 3]), made([3, 3])
  np.testing.assert_allclose(three[[0, 2]], alone, rtol=1e-5, atol=1e-5)
  assert not np.array_equal(*alone)
  np.testing.assert_array_equal(three, made([3, 7, 3]))
  assert not np.array_equal(alone, made([3, 3], 1))
  assert not np.array_equal(alone[:1], made([3], 2**32 - 1))


def test_generated_waveforms_go_the_way_of_real_segments(audio_gan):
  made = sampling.join(generate.load(audio_gan).examples(np.array([1, 1]), 0))
  assert made["audio"].dtype == np.int16
  assert made["audio"].shape == (2, 66_150)
  wanted = features.extract(
    made["audio"].astype(np.float32) / 32768, "mfcc_slices"
  )
  np.testing.assert_allclose(made["features"], wanted, atol=1e-3)


@pytest.mark.parametrize("gan", ["features_gan", "audio_gan"])
def test_files_are_the_same_however_many_are_made(gan, tmp_path, request):
  generator = generate.load(request.getfixturevalue(gan))
  few, many = (
    [file.read_bytes() for file in generate.write(generator, "pop", *given)]
    for given in ((2, tmp_path / "few"), (35, tmp_path / "many"))
  )
  assert len({*many}) == 35
  assert many[:2] == few


def test_files_are_whole_numbered_and_marked(audio_gan, features_gan, tmp_path):
  heard = generate.write(generate.load(audio_gan), "jazz", 2, tmp_path)
  assert [file.name for file in heard] == [
    "generated-jazz-00000.wav",
    "generated-jazz-00001.wav",
  ]
  pcm, rate = soundfile.read(heard[1], dtype="int16")
  made = sampling.join(generate.load(audio_gan).examples(np.array([5, 5]), 0))
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
  # none is overwritten, and none written beside those that stand
  before = seen.read_bytes()
  with pytest.raises(errors.InputError, match=r"rock-00000\.npz exists"):
    generate.write(generate.load(features_gan), "rock", 2, tmp_path, seed=1)
  assert seen.read_bytes() == before
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
  trained, rows = [], {}
  take = pipeline.train_batches

  def spied_train(records, **kwargs):
    for batch in take(records, **kwargs):
      trained.append(np.mean(batch["features"] == mark))
      yield batch

  evaluated = pipeline.eval_batches

  def spied_eval(records, batch_size):
    for batch in evaluated(records, batch_size):
      found = (batch["features"] == mark).any(axis=(1, 2))
      rows.setdefault(records.ids, []).extend(found[batch["mask"]])
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
  assert np.mean(trained) == pytest.approx(0.5, abs=0.1)
  run = workdir.load(tmp_path / "run")
  mesh = sharding.make_mesh(jax.devices()[:1])
  said, _ = evaluate.predict_parts(tmp_path / "run", run, dataset, mesh)
  for part in ("validation", "test"):
    ids = tuple(dataset.parts[part])
    assert len(said[part]) == len(ids) > 0
    # of validation, once as it trained and once as it was evaluated
    assert len(rows[ids]) == len(ids) * (2 if part == "validation" else 1)
    assert not any(rows[ids])
  held_out = {*dataset.parts["validation"], *dataset.parts["test"]}
  assert not {track for track, _ in held_out} & set(run["tracks"]["train"])


def test_a_mixed_part_is_the_real_one_and_then_the_generated(make_gan):
  dataset = open_dataset(make_gan())
  real = pipeline.Records(dataset, "train", ["features"])
  made = {
    "features": np.full((3, 130, 13), 7.0, np.float32),
    "label": np.array([4, 5, 6], np.int32),
  }
  mixed = pipeline.Mixed(real, made)
  assert len(mixed) == len(real) + 3
  got = mixed.take([len(real) + 2, 0, len(real)])
  assert got["label"].tolist() == [6, real.take([0])["label"][0], 4]
  np.testing.assert_array_equal(
    got["features"][1], real.take([0])["features"][0]
  )
  assert (got["features"][[0, 2]] == 7).all()
  assert mixed.labels().tolist() == [*real.labels(), 4, 5, 6]
  alone = pipeline.Mixed(None, made)
  assert alone.take([1])["label"].tolist() == [5]


def test_equally_many_of_each_genre_times_the_ratio(features_gan, lstm, capsys):
  config = lstm(**{"data.augment_with": str(features_gan)})
  dataset = open_dataset(config)
  real = pipeline.Records(dataset, "train", ["features"])
  count = np.bincount(real.labels(), minlength=10)
  for ratio, only in ((0.5, False), (2.0, True)):
    config.data.update(augment_ratio=ratio, augment_only=only)
    made = augment_train.generate_examples(config, dataset)
    part = pipeline.Mixed(None if only else real, made)
    found = np.bincount(part.labels(), minlength=10)
    wanted = np.rint(count * ratio) + (0 if only else count)
    np.testing.assert_array_equal(found, wanted)
    kept, total = 0 if only else len(real), int(np.rint(count * ratio).sum())
    assert (
      f"train split: {kept} real examples + {total} generated"
      f" by {features_gan}\n" in capsys.readouterr().out
    )


@pytest.mark.parametrize(
  ("changes", "message"),
  [
    ({"data.augment_ratio": -0.5}, "augment_ratio=-0.5: give a number from 0"),
    ({"data.augment_ratio": 1e12}, "ratio=1000000000000.0: give a .* to 100"),
    ({"data.augment_ratio": 0.01}, "=0.01: of at most .* is none; give 0.1"),
    (
      {"data.augment_ratio": 0.01, "data.augment_only": True},
      "=0.01: of at most .* is none; give 0.1",
    ),
    (
      {"data.augment_ratio": 0.0, "data.augment_only": True},
      "=0.0: give more than 0 to 100",
    ),
    ({"data.genres": ("jazz", "rock")}, "other genres"),
    ({"data.protocol": "tracks_70_10_20"}, "was trained on"),
    ({"data.augment_with": "/nowhere"}, "augment_with=/nowhere: no such"),
  ],
)
def test_a_generator_that_does_not_fit_is_refused(
  features_gan, lstm, changes, message
):
  config = lstm(**{"data.augment_with": str(features_gan), **changes})
  with pytest.raises(errors.InputError, match=message):
    check(config)


@pytest.mark.parametrize(
  ("field", "value", "message"),
  [
    ("segment_samples", 66_000, r"segment_samples 66150, .* have 66000"),
    ("sample_rate", 16_000, r"sample_rate=16000: give 22050"),
    ("whole_clip", True, "segments of waveforms, and .* are of whole clips"),
  ],
)
def test_waveforms_that_do_not_fit_are_refused(
  audio_gan, lstm, field, value, message
):
  config = lstm(**{"data.augment_with": str(audio_gan)})
  dataset = open_dataset(config)
  spec = dataset.metadata["feature_spec"] | {field: value}
  fields = dict(dataset.fields)
  if field == "whole_clip":
    del fields["audio"]
  other = dataclasses.replace(
    dataset,
    metadata={**dataset.metadata, "feature_spec": spec},
    fields=fields,
  )
  with pytest.raises(errors.InputError, match=message):
    augment_train.check(config, other)


@pytest.mark.parametrize(
  ("changes", "message"),
  [
    (
      {"hop_length": 600, "sample_rate": 16_000},
      "mfcc_slices of hop_length .*, sample_rate 22050, and this run has"
      " mfcc_slices of hop_length 600, sample_rate 16000$",
    ),
    (
      {"name": "mfcc", "n_mfcc": 20},
      "other features: mfcc_slices, and this run has mfcc$",
    ),
  ],
)
def test_features_that_do_not_fit_are_named(
  features_gan, lstm, changes, message
):
  config = lstm(**{"data.augment_with": str(features_gan)})
  dataset = open_dataset(config)
  spec = dataset.metadata["feature_spec"] | changes
  other = dataclasses.replace(
    dataset, metadata={**dataset.metadata, "feature_spec": spec}
  )
  with pytest.raises(errors.InputError, match=message):
    augment_train.check(config, other)


@pytest.mark.parametrize("recipe", ["lstm_cgan", "lstm_feature_gan"])
def test_net6_is_nothing_without_a_gan(recipe, lstm):
  config = importlib.import_module(f"configs.{recipe}").get_config()
  with pytest.raises(
    errors.InputError, match=f"augment_with is needed by '{recipe}': give the"
  ):
    check(config)


def test_a_classical_recipe_learns_from_real_examples_alone(features_gan):
  config = importlib.import_module("configs.logreg_stats").get_config()
  config.data.augment_with = str(features_gan)
  with pytest.raises(errors.InputError, match="neither initial weights nor"):
    check(config)


def test_what_was_stopped_half_way_is_refused(
  features_gan, make_gan, lstm, stopped, tmp_path, capsys
):
  half = stopped(features_gan)
  with pytest.raises(
    errors.InputError, match=f"augment_with={half} is at epoch 2 of 5: let it"
  ):
    check(lstm(**{"data.augment_with": str(half)}))
  judged = stopped(pathlib.Path(make_gan().gan.judge))
  with pytest.raises(errors.InputError, match=r"gan\.judge=.* epoch 1 of 5: "):
    check(make_gan(**{"gan.judge": str(judged)}))
  asked = [f"--workdir={half}", "--genre=jazz", f"--out={tmp_path / 'jazz'}"]
  assert main(["launch.py", "generate", *asked]) == 0
  assert (
    "warning: this run stopped at epoch 2 of 5; the examples use its best"
  ) in capsys.readouterr().out


@pytest.mark.parametrize("key", ["data.augment_with", "gan.judge"])
def test_what_a_run_is_built_on_may_not_change_under_it(
  key, features_gan, make_gan, lstm, tmp_path
):
  judged = key == "gan.judge"
  given = pathlib.Path(make_gan().gan.judge) if judged else features_gan
  other = shutil.copytree(given, tmp_path / "other")
  config = (make_gan if judged else lstm)(**{key: str(other)})
  dataset, path = open_dataset(config), tmp_path / "run"
  path.mkdir()
  workdir.begin(path, config, dataset, upstream.find(config))
  first = workdir.load(path)
  store = checkpoint.Store(other / "last", writable=True)
  facts = store.facts()
  assert first["built_on"][key]["best_value"] == facts["progress"]["best_value"]
  workdir.begin(path, config, dataset, upstream.find(config))  # taken up again
  assert workdir.load(path) == first
  facts["progress"]["best_value"] += 0.5
  store.save({"step": np.zeros(())}, facts)
  store.wait()
  store.close()
  with pytest.raises(errors.InputError, match=f"config.{key} was retrained"):
    workdir.begin(path, config, dataset, upstream.find(config))
  assert workdir.load(path) == first
  if judged:  # what it measured would not be comparable
    mesh = sharding.make_mesh(jax.devices()[:1])
    with pytest.raises(errors.InputError, match="was retrained"):
      gan_report.evaluate(path, dataset, mesh)


@pytest.mark.parametrize("key", ["data.augment_with", "gan.judge"])
def test_tracks_behind_a_gan_and_a_judge_count_as_learnt(
  key, features_gan, make_gan, lstm, tmp_path
):
  judged = key == "gan.judge"
  given = make_gan().gan.judge if judged else str(features_gan)
  config = (make_gan if judged else lstm)(**{key: given})
  dataset = open_dataset(config)
  few = {**dataset.parts, "train": dataset.parts["train"][:5]}
  workdir.begin(tmp_path, config, dataclasses.replace(dataset, parts=few))
  run, behind = workdir.load(tmp_path), workdir.load(pathlib.Path(given))
  assert len(behind["tracks"]["train"]) > 5
  assert run["tracks"]["train"] == behind["tracks"]["train"]
  # and in an external test: of two collections, whatever bears such a name
  run["tracks"]["train"] = ["rock/01"]
  assert shared_tracks.known(run, ["train"], "another") == {"rock/01"}
  run["config"]["data"]["augment_with"] = run["config"]["gan"]["judge"] = None
  assert shared_tracks.known(run, ["train"], "another") == set()


def test_what_the_docs_chain_together_fits(make_gan):
  """The GAN of each example generates what its next command takes."""
  texts = [(ROOT / "docs" / "gan.md").read_text().split("## Results")[0]]
  for recipe in ("lstm_cgan", "lstm_feature_gan"):
    texts.append((ROOT / "configs" / f"{recipe}.py").read_text())
  chained = 0
  for text in texts:
    text = re.sub(r"\\+\n\s*", " ", text)
    made = {}
    for line in re.findall(r"^ *python launch.py (--config=.*)", text, re.M):
      options = dict(word[2:].split("=", 1) for word in shlex.split(line))
      name = pathlib.Path(options.pop("config")).stem
      config = importlib.import_module(f"configs.{name}").get_config()
      for key, value in options.items():
        if key.startswith("config."):
          config.update_from_flattened_dict(
            {key.removeprefix("config."): type_of(config, key)(value)}
          )
      made[options.get("workdir")] = config
      for key in (config.data.augment_with, config.gan.judge):
        if key:
          chained += 1
          assert_fits(made[key], config)
  assert chained == 4


def type_of(config, key):
  value = config
  for name in key.split(".")[1:]:
    value = value[name]
  return str if value is None else type(value)


def assert_fits(given, config):
  assert (given.data.path, given.data.protocol) == (
    config.data.path,
    config.data.protocol,
  )
  if given.task == "gan" and given.gan.domain == "audio":
    one, other = (features.get(c.data.features) for c in (given, config))
    assert (one.segment_samples, one.sample_rate) == (
      other.segment_samples,
      other.sample_rate,
    )
  else:
    assert given.data.features == config.data.features


def test_a_classifier_generates_nothing_and_a_gan_tells_no_genre(
  features_gan, make_gan
):
  with pytest.raises(errors.InputError, match="'judge', which generates"):
    generate.load(make_gan().gan.judge)
  with pytest.raises(errors.InputError, match="does not classify"):
    predict.load(features_gan)


@pytest.mark.parametrize(
  ("changes", "message"),
  [
    ({"gan.loss": "wgan"}, "gan.loss='wgan': give one of bce, hinge"),
    ({"gan.domain": "wave"}, "gan.domain='wave': give one of features, audio"),
    ({"gan.r1": -1.0}, "gan.r1=-1.0"),
    ({"augment.mixup_alpha": 0.2}, "augment.mixup_alpha=0.2: not used by"),
    ({"train.monitor": "validation/loss"}, "give one of validation/frechet"),
    ({"gan.domain": "audio"}, "standardize='bin': waveforms"),
    ({"gan.judge": "/nowhere"}, "no such folder"),
    ({"data.protocol": "tracks_70_10_20"}, "gan.judge=.* was trained on"),
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
    lambda variables, x: judge.embed(model, variables, x),
    shapes,
    jax.ShapeDtypeStruct((2, *side), np.float32),
  )
  assert probabilities.shape == (2, 10)
  assert embedding.ndim == 2
  kernels = jax.tree.leaves(shapes["params"])
  assert any(k.shape == (embedding.shape[1], 10) for k in kernels)


def test_killed_it_ends_with_the_same_bits(make_gan, tmp_path):
  """By SIGKILL, in the middle of the second epoch of a process of its own."""
  config = make_gan(**{"train.epoch_steps": 30})
  config.log.compilation_cache = jax.config.jax_compilation_cache_dir
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
      row["step"] >= 33 for row in scalars.read(killed / "metrics.jsonl")
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
      for row in scalars.read(path / "metrics.jsonl")
    ]
    for path in (whole, killed)
  ]
  assert [row["step"] for row in rows[0]] == list(range(1, 61))
  assert rows[0] == rows[1]
  for a, b in zip(
    *(
      jax.tree.leaves(generate.load(path).variables) for path in (whole, killed)
    ),
    strict=True,
  ):
    np.testing.assert_array_equal(a, b)


def test_the_report_says_how_good_it_is(
  features_gan, make_gan, tmp_path, monkeypatch, capsys
):
  mesh = sharding.make_mesh(jax.devices()[:1])
  dataset, indices = open_dataset(make_gan()), []
  batches = sampling.batches

  def spied(*args, index, **kwargs):
    indices.extend(index)
    return batches(*args, index=index, **kwargs)

  monkeypatch.setattr(sampling, "batches", spied)
  measure = gan_validation.measure

  def shares(label):
    return np.bincount(label, minlength=10) / len(label)

  def measured(label, seen, held_out, train):
    # other shares of genres would be a distance of their own
    far = np.abs(shares(label) - shares(held_out.label))
    assert far.max() <= 1 / len(label)
    return measure(label, seen, held_out, train)

  monkeypatch.setattr(gan_validation, "measure", measured)
  page = gan_report.evaluate(features_gan, dataset, mesh)
  # other noise than the checkpoint was chosen by, however much that was
  assert min(indices) >= ranges.MOST_SAMPLES
  found = report.read(features_gan / "report.json")
  assert found["headline"] is None  # it classifies nothing
  gan = found["gan"]
  assert (gan["domain"], gan["generated"]) == ("features", 30)
  # as often as the commonest genre of validation was asked for
  label = [
    track.split(".")[0] for track, _ in sorted(dataset.parts["validation"])
  ]
  wanted = max(map(label.count, label)) / len(label)
  assert gan["chance"] == pytest.approx(wanted, abs=1 / 30)
  assert gan["chance"] > 0.1
  assert list(gan["measures"]) == ["validation", "test"]
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
  for said in (True, False):
    gan["collapsed"] = said
    (tmp_path / "report.json").write_text(json.dumps(found))
    console.result(tmp_path)
    assert ("COLLAPSED: generated examples" in capsys.readouterr().out) == said
  with pytest.raises(errors.InputError, match="is a GAN, which does not"):
    ensemble.evaluate([tmp_path, features_gan], tmp_path / "out")


@pytest.mark.parametrize(
  ("measures", "collapsed", "memorised"),
  [
    ({"diversity": 0.9, "nearest": 0.9}, False, False),
    ({"diversity": 0.51, "nearest": 0.49}, False, True),
    ({"diversity": 0.49, "nearest": 0.51}, True, False),
    ({"diversity": 0.9, "nearest": 1.7}, False, False),
    ({"diversity": np.nan, "nearest": np.nan}, True, False),
  ],
)
def test_what_a_report_warns_of(measures, collapsed, memorised):
  found = gan_report.verdicts(measures)
  assert found == {"collapsed": collapsed, "memorised": memorised}


def test_a_judge_that_is_gone_is_named(features_gan, make_gan, tmp_path):
  path = shutil.copytree(features_gan, tmp_path / "gan")
  run = workdir.load(path)
  run["config"]["gan"]["judge"] = str(tmp_path / "moved")
  atomic.write_json(path / workdir.RUN_FILE, run)
  dataset = open_dataset(make_gan())
  mesh = sharding.make_mesh(jax.devices()[:1])
  with pytest.raises(errors.InputError, match=r"gan\.judge=.*moved: no"):
    gan_report.evaluate(path, dataset, mesh)
