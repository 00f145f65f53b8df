"""A conditional GAN through the loop: trained, killed, resumed, made use of."""

import dataclasses
import importlib
import itertools
import pathlib
import re
import shutil

import jax
import numpy as np
import pytest
import soundfile

from gtzan_jax import atomic, config_ranges, errors, features, models
from gtzan_jax.cli import parse_flags, tasks
from gtzan_jax.cli.main import VERBS, main
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
from gtzan_jax.inference import predict
from gtzan_jax.reports import report
from gtzan_jax.training import (
  checkpoint,
  evaluate,
  metrics_log,
  sharding,
  shared_tracks,
  workdir,
)

ROOT = pathlib.Path(__file__).resolve().parents[2]
# Most tests train a small GAN, its judge or a classifier on it.
pytestmark = pytest.mark.slow
AUGMENTED = ("lstm_cgan", "lstm_feature_gan")
SMALL = {"noise": 8, "embedding": 4, "hidden": (16,), "critic_hidden": (16,)}


def recipe(name):
  return importlib.import_module(f"configs.{name}").get_config()


@pytest.fixture(scope="module")
def make_gan(data_dir, tmp_path_factory):
  """A small GAN's config: 30 synthetic tracks, a judge of one epoch."""
  path = tmp_path_factory.mktemp("judge") / "judge"

  def small(name):
    config = recipe(name)
    config.data.dir = str(data_dir)
    config.data.tracks_per_genre = 3
    config.data.features = "mfcc_slices"
    config.train.update(epochs=2, batch_size=16)
    config.eval.update(batch_size=16, bootstrap=20)
    config.log.update(every_steps=1, tensorboard=False, compilation_cache="")
    return config

  def make(name="gan_features", **changes):
    if not path.exists():
      config = small("judge")
      config.train.epochs = 1
      config.model.update(channels=(4, 8), dense=16)
      fit(config, path)
    config = small(name)
    if config.model.name == "cgan_dense":
      config.model.update(SMALL)
    config.gan.update(judge=str(path), samples=30)
    config.update_from_flattened_dict(changes)
    return config

  return make


def one_device():
  return sharding.make_mesh(jax.devices()[:1])


def fit(config, path, devices=None):
  """Trains in this process; returns the data set."""
  dataset = open_dataset(config)
  mesh = sharding.make_mesh(devices) if devices else one_device()
  tasks.check_config(config, mesh)
  tasks.check_data(config, dataset)
  with workdir.locked(path):
    workdir.begin(path, config, dataset, upstream.find(config))
    tasks.train(config, dataset, path, mesh)
  return dataset


def check(config):
  tasks.check_config(config, one_device())
  tasks.check_data(config, open_dataset(config))


def assert_refused(config, message):
  with pytest.raises(errors.InputError, match=message):
    check(config)


def made_by(path, label, seed=0):
  """Examples of these genres from the GAN in a run folder."""
  examples = generate.load(path).examples(np.array(label), seed)
  return sampling.join(examples)


@pytest.fixture(scope="module")
def features_gan(make_gan, tmp_path_factory):
  path = tmp_path_factory.mktemp("gan") / "features"
  fit(make_gan(), path)
  return path


@pytest.fixture(scope="module")
def audio_gan(make_gan, tmp_path_factory):
  """Of waveforms; four steps are all it takes."""
  path = tmp_path_factory.mktemp("gan") / "audio"
  fit(make_gan("gan_waveform", **{"train.max_steps": 4}), path)
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


def test_without_a_judge_one_is_trained_first(
  make_gan, tmp_path, monkeypatch, capsys
):
  """On the GAN's data, with its seed; what is finished is not trained again."""
  small = make_gan("judge", **{"train.epochs": 1})
  small.model.update(channels=(4, 8), dense=16)
  monkeypatch.setattr(judge.recipe, "get_config", lambda: small)
  config = make_gan(**{"gan.judge": "", "seed": 3, "train.max_steps": 2})
  line = f"training the judge first: {tmp_path / judge.FOLDER}\n"
  fit(config, tmp_path)
  assert line in capsys.readouterr().out
  judged = report.read(tmp_path / judge.FOLDER / "report.json")
  assert (judged["seed"], judged["epochs_run"]) == (3, 1)
  data = workdir.load(tmp_path)["data_fingerprint"]
  assert judged["data_fingerprint"] == data
  rows = metrics_log.read(tmp_path / "metrics.jsonl")
  assert np.isfinite(rows[-1]["validation/frechet_distance"])
  fit(config, tmp_path)
  assert line not in capsys.readouterr().out


def test_each_epoch_is_measured_and_the_least_distance_is_best(features_gan):
  rows = metrics_log.read(features_gan / "metrics.jsonl")
  rows = [row for row in rows if "epoch" in row]
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
  def made(*given):
    return made_by(features_gan, *given)["features"]

  three, alone = made([3, 7, 3]), made([3, 3])
  np.testing.assert_allclose(three[[0, 2]], alone, rtol=1e-5, atol=1e-5)
  assert not np.array_equal(*alone)
  np.testing.assert_array_equal(three, made([3, 7, 3]))
  assert not np.array_equal(alone, made([3, 3], 1))
  assert not np.array_equal(alone[:1], made([3], 2**32 - 1))


def test_generated_waveforms_go_the_way_of_real_segments(audio_gan):
  made = made_by(audio_gan, [1, 1])
  assert made["audio"].dtype == np.int16
  assert made["audio"].shape == (2, 66_150)
  samples = made["audio"].astype(np.float32) / 32768
  wanted = features.extract(samples, "mfcc_slices")
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
  wavs = generate.write(generate.load(audio_gan), "jazz", 2, tmp_path)
  assert [file.name for file in wavs] == [
    "generated-jazz-00000.wav",
    "generated-jazz-00001.wav",
  ]
  pcm, rate = soundfile.read(wavs[1], dtype="int16")
  assert rate == 22_050
  np.testing.assert_array_equal(pcm, made_by(audio_gan, [5, 5])["audio"][1])
  generator = generate.load(features_gan)
  (file,) = generate.write(generator, "rock", 1, tmp_path)
  with np.load(file) as arrays:
    assert arrays["features"].shape == (130, 13)
    named = str(arrays["genre"]), str(arrays["feature_set"])
  assert named == ("rock", "mfcc_slices")
  # none is overwritten, and none written beside those that stand
  before = file.read_bytes()
  with pytest.raises(errors.InputError, match=r"rock-00000\.npz exists"):
    generate.write(generator, "rock", 2, tmp_path, seed=1)
  assert file.read_bytes() == before
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
  path, mark = request.getfixturevalue(gan), 1234.5
  trained, rows = [], {}

  def spy(place, name, seen):
    original = getattr(place, name)

    def spied(*args, **kwargs):
      for batch in original(*args, **kwargs):
        yield seen(batch, args[0])

    monkeypatch.setattr(place, name, spied)

  def marked(batch, _):
    return batch | {"features": np.full_like(batch["features"], mark)}

  def in_training(batch, _):
    trained.append(np.mean(batch["features"] == mark))
    return batch

  def in_evaluation(batch, records):
    found = (batch["features"] == mark).any(axis=(1, 2))
    rows.setdefault(records.ids, []).extend(found[batch["mask"]])
    return batch

  spy(generate.Generator, "examples", marked)
  spy(pipeline, "train_batches", in_training)
  spy(pipeline, "eval_batches", in_evaluation)
  config = lstm(**{"data.augment_with": str(path), "train.epochs": 1})
  dataset = fit(config, tmp_path / "run")
  assert np.mean(trained) == pytest.approx(0.5, abs=0.1)
  run = workdir.load(tmp_path / "run")
  predicted, variables = (
    evaluate.predict_parts(tmp_path / "run", run, dataset, one_device())[0],
    evaluate.restore_best(tmp_path / "run", run)[1],
  )
  (stats,) = variables["input_stats"].values()
  assert np.abs(stats["mean"]).max() < mark / 2  # of real examples alone
  for part in ("validation", "test"):
    ids = tuple(dataset.parts[part])
    assert len(predicted[part]) == len(ids) > 0
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
  got, first = mixed.take([len(real) + 2, 0, len(real)]), real.take([0])
  assert got["label"].tolist() == [6, first["label"][0], 4]
  np.testing.assert_array_equal(got["features"][1], first["features"][0])
  assert (got["features"][[0, 2]] == 7).all()
  assert pipeline.Mixed(None, made).take([1])["label"].tolist() == [5]


def test_equally_many_of_each_genre_times_the_ratio(features_gan, lstm, capsys):
  config = lstm(**{"data.augment_with": str(features_gan)})
  dataset = open_dataset(config)
  real = pipeline.Records(dataset, "train", ["features"])
  count = np.bincount(real.labels(), minlength=10)
  for ratio, only in ((0.5, False), (2.0, True)):
    config.data.update(augment_ratio=ratio, augment_only=only)
    made = augment_train.generate_examples(config, dataset)
    wanted = np.rint(count * ratio)
    np.testing.assert_array_equal(
      np.bincount(made["label"], minlength=10), wanted
    )
    assert (
      f"train split: {0 if only else len(real)} real examples"
      f" + {int(wanted.sum())} generated by {features_gan}\n"
    ) in capsys.readouterr().out


NONE, ONLY = {"data.augment_ratio": 0.0}, {"data.augment_only": True}
FEW = {"data.augment_ratio": 0.01}


@pytest.mark.parametrize(
  ("name", "changes", "message"),
  [
    # a classifier with generated examples
    ("lstm", {"data.augment_ratio": -0.5}, "ratio=-0.5: give a number from 0"),
    (
      "lstm",
      {"data.augment_ratio": 1e12},
      "=1000000000000.0: give a .* to 100",
    ),
    ("lstm", FEW, "=0.01: of at most .* is none; give 0.1"),
    ("lstm", FEW | ONLY, "=0.01: of at most .* is none; give 0.1"),
    ("lstm", NONE | ONLY, "=0.0: give more than 0 to 100"),
    ("lstm", {"data.genres": ("jazz", "rock")}, "other genres"),
    ("lstm", {"data.protocol": "tracks_70_10_20"}, "was trained on"),
    ("lstm", {"data.augment_with": "/nowhere"}, "with=/nowhere: no such"),
    # recipes that need a GAN, and one that takes none
    ("lstm_cgan", {}, "augment_with is needed by 'lstm_cgan': give the"),
    ("lstm_feature_gan", {}, "is needed by 'lstm_feature_gan': give the"),
    ("logreg_stats", {}, "neither initial weights nor"),
    # a GAN
    ("gan", {"gan.loss": "wgan"}, "gan.loss='wgan': give one of bce, hinge"),
    ("gan", {"gan.domain": "wave"}, "domain='wave': give one of features, aud"),
    ("gan", {"gan.r1": -1.0}, "gan.r1=-1.0"),
    ("gan", {"augment.mixup_alpha": 0.2}, "mixup_alpha=0.2: not used by"),
    ("gan", {"train.monitor": "validation/loss"}, "one of validation/frechet"),
    ("gan", {"gan.domain": "audio"}, "standardize='bin': waveforms"),
    ("gan", {"gan.judge": "/nowhere"}, "no such folder"),
    ("gan", {"data.protocol": "tracks_70_10_20"}, "judge=.* was trained on"),
  ],
)
def test_what_does_not_fit_is_refused(
  name, changes, message, features_gan, make_gan, lstm
):
  if name == "gan":
    config = make_gan(**changes)
  elif name == "lstm":
    config = lstm(**{"data.augment_with": str(features_gan), **changes})
  else:
    config = recipe(name)
  if name == "logreg_stats":
    config.data.augment_with = str(features_gan)
  assert_refused(config, message)


@pytest.mark.parametrize(
  ("gan", "changes", "message"),
  [
    ("audio_gan", {"segment_samples": 66_000}, "samples 66150, .* have 66000"),
    ("audio_gan", {"sample_rate": 16_000}, "sample_rate=16000: give 22050"),
    ("audio_gan", {"whole_clip": True}, "waveforms, and .* are of whole clips"),
    (
      "features_gan",
      {"hop_length": 600, "sample_rate": 16_000},
      "mfcc_slices of hop_length .*, sample_rate 22050, and this run has"
      " mfcc_slices of hop_length 600, sample_rate 16000$",
    ),
    (
      "features_gan",
      {"name": "mfcc", "n_mfcc": 20},
      "other features: mfcc_slices, and this run has mfcc$",
    ),
  ],
)
def test_what_is_generated_has_the_form_of_the_data(
  gan, changes, message, lstm, request
):
  path = request.getfixturevalue(gan)
  config = lstm(**{"data.augment_with": str(path)})
  dataset = open_dataset(config)
  spec = dataset.metadata["feature_spec"] | changes
  fields = dict(dataset.fields)
  if "whole_clip" in changes:
    del fields["audio"]
  metadata = {**dataset.metadata, "feature_spec": spec}
  other = dataclasses.replace(dataset, metadata=metadata, fields=fields)
  with pytest.raises(errors.InputError, match=message):
    augment_train.check(config, other)


def test_what_was_stopped_half_way_is_refused(
  features_gan, make_gan, lstm, stopped, tmp_path, capsys
):
  half = stopped(features_gan)
  assert_refused(
    lstm(**{"data.augment_with": str(half)}),
    f"augment_with={half} is at epoch 2 of 5: let it",
  )
  judged = stopped(pathlib.Path(make_gan().gan.judge))
  assert_refused(
    make_gan(**{"gan.judge": str(judged)}), r"gan\.judge=.* epoch 1 of 5: "
  )
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
    with pytest.raises(errors.InputError, match="was retrained"):
      gan_report.evaluate(path, dataset, one_device())


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


def test_what_the_docs_chain_together_fits(monkeypatch):
  """The GAN of each example generates what its next command takes."""
  monkeypatch.chdir(ROOT)
  chained = 0
  for page in ("docs/gan.md", *map("configs/{}.py".format, AUGMENTED)):
    text = (ROOT / page).read_text().split("## Results")[0]
    text = re.sub(r"\\+\n\s*", " ", text)
    made = {}
    for line in re.findall(r"^ *python launch.py (--config=.*)", text, re.M):
      given = parse_flags.parse(line.split(), VERBS)
      config = given.config
      made |= dict.fromkeys(given.flags.workdir, config)
      for path in filter(None, (config.data.augment_with, config.gan.judge)):
        chained += 1
        used = made[path]
        waveforms = used.task == "gan" and used.gan.domain == "audio"
        same = ("segment_samples", "sample_rate") if waveforms else ("name",)
        one, other = (
          [c.data.path, c.data.protocol]
          + [getattr(features.get(c.data.features), key) for key in same]
          for c in (used, config)
        )
        assert one == other
  assert chained == 4


def test_a_classifier_generates_nothing_and_a_gan_tells_no_genre(
  features_gan, make_gan
):
  with pytest.raises(errors.InputError, match="'judge', which generates"):
    generate.load(make_gan().gan.judge)
  with pytest.raises(errors.InputError, match="does not classify"):
    predict.load(features_gan)


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


class Killed(Exception):
  """Raised where a run is killed."""


def test_killed_it_ends_with_the_same_bits(make_gan, tmp_path, monkeypatch):
  """In the middle of the second epoch, as by SIGKILL: nothing is saved then."""
  config = make_gan(**{"train.epoch_steps": 8})
  whole, killed = tmp_path / "whole", tmp_path / "killed"
  fit(config, whole, jax.devices())
  batches = pipeline.train_batches

  def few(*args, **kwargs):
    yield from itertools.islice(batches(*args, **kwargs), 10)
    raise Killed

  with monkeypatch.context() as patched:
    patched.setattr(pipeline, "train_batches", few)
    with pytest.raises(Killed):
      fit(config, killed, jax.devices())
  fit(config, killed, jax.devices())
  rows = [
    [
      {k: v for k, v in row.items() if not k.startswith("time/")}
      for row in metrics_log.read(path / "metrics.jsonl")
    ]
    for path in (whole, killed)
  ]
  assert [row["step"] for row in rows[0]] == list(range(1, 17))
  assert rows[0] == rows[1]
  jax.tree.map(
    np.testing.assert_array_equal,
    *(generate.load(path).variables for path in (whole, killed)),
  )


def test_the_report_says_how_good_it_is(
  features_gan, make_gan, undrawn, monkeypatch
):
  dataset, firsts = open_dataset(make_gan()), []
  batches, measure = sampling.batches, fidelity.measure

  def spied(*args, first, **kwargs):
    firsts.append(first)
    return batches(*args, first=first, **kwargs)

  def measured(fake, held_out, train):
    # other shares of genres would be a distance of their own
    shares, wanted = (
      np.bincount(x.label, minlength=10) / len(x.label)
      for x in (fake, held_out)
    )
    assert np.abs(shares - wanted).max() <= 1 / len(fake.label)
    return measure(fake, held_out, train)

  monkeypatch.setattr(sampling, "batches", spied)
  monkeypatch.setattr(fidelity, "measure", measured)
  page = gan_report.evaluate(features_gan, dataset, one_device())
  assert "samples.png" in {file.name for file in page.parent.iterdir()}
  # other noise than the checkpoint was chosen by, however much that was
  assert min(firsts) >= config_ranges.MOST_SAMPLES
  read = report.read(features_gan / "report.json")
  assert read["headline"] is None  # it classifies nothing
  gan = read["gan"]
  assert (gan["domain"], gan["generated"]) == ("features", 30)
  # as often as the commonest genre of validation was asked for
  label = [track.split(".")[0] for track, _ in dataset.parts["validation"]]
  wanted = max(map(label.count, label)) / len(label)
  assert gan["chance"] == pytest.approx(wanted, abs=1 / 30)
  assert gan["chance"] > 0.1
  assert list(gan["measures"]) == ["validation", "test"]
  measures = gan["measures"]["validation"]
  assert set(measures) == set(fidelity.MEASURES)
  generated, real = (
    read["splits"][name]["segment"] for name in ("generated", "real")
  )
  assert measures["genre_share"] == pytest.approx(generated["accuracy"])
  assert gan["judge"]["accuracy"] == pytest.approx(real["accuracy"])
  assert real["n"] == 65
  assert gan["collapsed"] == (measures["diversity"] < fidelity.COLLAPSED)


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
  verdicts = {"collapsed": collapsed, "memorised": memorised}
  assert gan_report.verdicts(measures) == verdicts


def test_a_judge_that_is_gone_is_named(features_gan, make_gan, tmp_path):
  path = shutil.copytree(features_gan, tmp_path / "gan")
  run = workdir.load(path)
  run["config"]["gan"]["judge"] = str(tmp_path / "moved")
  atomic.write_json(path / workdir.RUN_FILE, run)
  dataset = open_dataset(make_gan())
  with pytest.raises(errors.InputError, match=r"gan\.judge=.*moved: no"):
    gan_report.evaluate(path, dataset, one_device())
