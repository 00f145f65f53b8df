"""The loop with a toy, end to end: through early stop, kill, resume, report."""

import itertools
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time

import jax
import numpy as np
import pytest

from gtzan_jax import atomic, errors, ranges
from gtzan_jax.cli import tasks, verbs
from gtzan_jax.data import pipeline
from gtzan_jax.data.open_dataset import open_dataset
from gtzan_jax.scores import metrics, predictions
from gtzan_jax.training import (
  checkpoint,
  evaluate,
  preemption,
  sharding,
  workdir,
)
from gtzan_jax.training import loop as train
from gtzan_jax.training import scalars as logs

ROOT = pathlib.Path(__file__).resolve().parents[2]


def fit(config, path, devices=None) -> list[dict]:
  """Trains in this process, without a report; returns the scalars."""
  dataset = open_dataset(config)
  mesh = sharding.make_mesh(devices)
  tasks.check_data(config, dataset)
  with workdir.locked(path):
    workdir.begin(path, config, dataset)
    tasks.train(config, dataset, path, mesh)
  return scalars(path)


def run(config, path) -> dict:
  """Trains and reports in this process; returns report.json."""
  fit(config, path)
  dataset = open_dataset(config)
  evaluate.evaluate(path, dataset, sharding.make_mesh())
  return report(path)


def epochs(rows) -> list[dict]:
  return [row for row in rows if "epoch" in row]


def report(path) -> dict:
  return json.loads((path / "report.json").read_text())


def scalars(path) -> list[dict]:
  """metrics.jsonl without the timings."""
  return [
    {key: value for key, value in row.items() if not key.startswith("time/")}
    for row in logs.read(path / "metrics.jsonl")
  ]


def arrays(path, name) -> list[np.ndarray]:
  """Every array of a checkpoint, in the order of the tree."""
  manager = checkpoint.ocp.CheckpointManager((path / name).absolute())
  step = manager.latest_step()
  restored = manager.restore(
    step,
    args=checkpoint.ocp.args.Composite(
      state=checkpoint.ocp.args.StandardRestore()
    ),
  )["state"]
  manager.close()
  return [
    np.asarray(jax.random.key_data(leaf))
    if jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key)
    else np.asarray(leaf)
    for leaf in jax.tree.leaves(restored)
  ]


def assert_same_training(a: pathlib.Path, b: pathlib.Path) -> None:
  for name in ("best", "last"):
    for x, y in zip(arrays(a, name), arrays(b, name), strict=True):
      np.testing.assert_array_equal(x, y)
  assert scalars(a) == scalars(b)


def assert_same_run(a: pathlib.Path, b: pathlib.Path) -> None:
  assert_same_training(a, b)
  first, second = report(a), report(b)
  assert first.pop("seconds") > 0
  assert second.pop("seconds") > 0
  assert first == second


@pytest.fixture(scope="module")
def reference(tmp_path_factory, data_dir):
  """A finished run of `make_config()`, for whoever only looks at it."""
  return tmp_path_factory.mktemp("reference") / "run"


@pytest.fixture
def finished(reference, make_config):
  if not (reference / "report.json").exists():
    run(make_config(), reference)
  return reference


@pytest.mark.slow
def test_a_run_leaves_a_whole_report(finished, make_config):
  found = report(finished)
  assert (found["corpus"], found["source"]) == ("synthetic", "audio")
  assert found["recipe"] == "quickstart"
  assert found["protocol"] == "tracks_70_10_20"
  assert found["epochs_run"] == 3
  assert found["splits"]["test"]["track"]["n"] == 10
  assert found["num_params"] == sum(
    leaf.size for leaf in _best_params(finished)
  )
  for name in ("report.html", "predictions/test.npz", "learning_curves.png"):
    assert (finished / name).stat().st_size > 0
  saved = predictions.load(finished / "predictions" / "test.npz")
  assert found["splits"]["test"]["segment"]["n"] == len(saved)


def _best_params(path) -> list:
  _, variables, _ = evaluate.restore_best(path, workdir.load(path))
  return jax.tree.leaves(variables["params"])


def test_intervals_come_from_as_many_resamples_as_asked(finished):
  saved = predictions.load(finished / "predictions" / "test.npz")
  found = report(finished)["splits"]["test"]
  for resamples, same in ((50, True), (1000, False)):
    scores = metrics.evaluate(saved, resamples=resamples)
    assert (scores["segment"]["ci95"] == found["segment"]["ci95"]) == same


def test_the_best_checkpoint_is_reported(finished):
  found = report(finished)
  key = "validation/track_accuracy"
  best = max(
    found["history"], key=lambda row: (row[key], -row["validation/loss"])
  )
  assert found["best_epoch"] == best["epoch"]
  assert found["monitor"] == {"name": key, "value": best[key]}
  split = found["splits"]["validation"]
  assert split["track"]["accuracy"] == pytest.approx(best[key])
  assert split["segment"]["loss"] == pytest.approx(
    best["validation/loss"], rel=1e-5
  )


@pytest.mark.slow
def test_training_learns(tmp_path, make_config):
  config = make_config(**{"train.epochs": 12})
  losses = [row["train/loss"] for row in epochs(fit(config, tmp_path))]
  assert losses[-1] < 0.8 * losses[0]


@pytest.mark.slow
def test_the_same_seed_gives_the_same_scalars(finished, tmp_path, make_config):
  run(make_config(), tmp_path)
  assert_same_run(finished, tmp_path)


@pytest.mark.slow
def test_another_seed_gives_other_scalars_and_the_same_split(
  finished, tmp_path, make_config
):
  found = fit(make_config(seed=1), tmp_path)
  assert found[0] != scalars(finished)[0]
  dataset = open_dataset(make_config(seed=1))
  for part, split in report(finished)["splits"].items():
    assert dataset.sha256[part] == split["sha256"]


@pytest.mark.slow
def test_four_devices_agree_with_one(finished, tmp_path, make_config):
  config = make_config(**{"train.max_steps": 5})
  assert len(jax.devices()) == 4
  one = fit(config, tmp_path, jax.devices()[:1])
  four = scalars(finished)[:5]
  # an epoch is four steps; its last row has the mean of all of them, and the
  # fifth step, which ends the short run, is an epoch of its own there
  names = ["step_loss"] * 3 + ["loss", "step_loss"]
  for a, b, name in zip(one, four, names, strict=True):
    found = a["train/loss"] if "epoch" in a else a["train/step_loss"]
    assert found == pytest.approx(b[f"train/{name}"], abs=1e-5)
  assert one[3]["validation/loss"] == pytest.approx(
    four[3]["validation/loss"], abs=1e-5
  )


@pytest.mark.slow
def test_sigterm_saves_in_mid_epoch_and_the_same_command_goes_on(
  finished, tmp_path, make_config, monkeypatch
):
  write, rows = logs.Scalars.write, []

  def write_and_signal(self, step, row):
    write(self, step, row)
    rows.append(step)
    if len(rows) in (2, 9):  # in the first epoch, then in the second
      os.kill(os.getpid(), signal.SIGTERM)

  monkeypatch.setattr(logs.Scalars, "write", write_and_signal)
  config = make_config()
  for _ in range(2):
    with pytest.raises(preemption.Interrupted) as stop:
      fit(config, tmp_path)
    assert stop.value.code == 128 + signal.SIGTERM
  fit(config, tmp_path)
  assert_same_training(finished, tmp_path)


@pytest.mark.slow
def test_sigterm_during_an_evaluation_repeats_it(
  finished, tmp_path, make_config, monkeypatch
):
  batches, calls = pipeline.eval_batches, []

  def batches_and_signal(*args):
    calls.append(args)
    if len(calls) == 2:
      os.kill(os.getpid(), signal.SIGTERM)
    return batches(*args)

  monkeypatch.setattr(pipeline, "eval_batches", batches_and_signal)
  with pytest.raises(preemption.Interrupted):
    fit(make_config(), tmp_path)
  fit(make_config(), tmp_path)
  assert_same_training(finished, tmp_path)


@pytest.mark.slow
def test_sigterm_in_the_last_evaluation_is_not_lost(
  finished, tmp_path, make_config, monkeypatch
):
  shown = train._print_epoch

  def show_and_signal(epoch, row, is_best):
    shown(epoch, row, is_best)
    if epoch == 3:
      os.kill(os.getpid(), signal.SIGTERM)

  monkeypatch.setattr(train, "_print_epoch", show_and_signal)
  with pytest.raises(preemption.Interrupted):
    fit(make_config(), tmp_path)
  fit(make_config(), tmp_path)
  assert_same_training(finished, tmp_path)


def _start(config, path, log) -> subprocess.Popen:
  flags = [
    f"--config.{key}={value}"
    for key, value in ranges.flatten(config.to_dict()).items()
    if key
    in ("data.dir", "data.features", "data.tracks_per_genre", "train.epochs")
  ]
  flags += [
    "--config.log.every_steps=1",
    "--config.log.tensorboard=False",
    f"--config.log.compilation_cache={path.parent / 'compiled'}",
  ]
  command = [sys.executable, str(ROOT / "launch.py")]
  command += [f"--config={ROOT / 'configs' / 'resnet.py'}", *flags]
  return subprocess.Popen(
    [*command, f"--workdir={path}"], stdout=log, stderr=log, cwd=ROOT
  )


def test_a_second_ctrl_c_waits_for_nothing():
  # as in a terminal
  before = signal.signal(signal.SIGINT, signal.default_int_handler)
  try:
    _press_twice()
  finally:
    signal.signal(signal.SIGINT, before)


def _press_twice():
  with preemption.Interrupt() as twice:
    twice.arm()
    signal.raise_signal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
      signal.raise_signal(signal.SIGINT)
    with pytest.raises(preemption.Interrupted):
      twice.check()
    twice._signal = None


def test_a_signal_that_is_ignored_stays_so():
  """A shell has what a script runs in the background ignore Ctrl-C."""
  before = signal.signal(signal.SIGINT, signal.SIG_IGN)
  try:
    with preemption.Interrupt() as once:
      once.arm()
      signal.raise_signal(signal.SIGINT)
      once.check()
    assert signal.getsignal(signal.SIGINT) == signal.SIG_IGN
  finally:
    signal.signal(signal.SIGINT, before)


def test_a_signal_after_the_last_check_is_not_lost():
  def late():
    with preemption.Interrupt() as once:
      once.arm()
      once.check()
      signal.raise_signal(signal.SIGTERM)

  with pytest.raises(preemption.Interrupted) as caught:
    late()
  assert caught.value.code == 128 + signal.SIGTERM


@pytest.mark.slow
def test_killed_twice_in_mid_epoch_it_ends_with_the_same_bits(
  tmp_path, make_config
):
  config = make_config(**{"train.epochs": 4})
  whole, killed = tmp_path / "whole", tmp_path / "killed"
  with (tmp_path / "log").open("w") as log:
    assert _start(config, whole, log).wait(timeout=300) == 0
    per_epoch = scalars(whole)[-1]["step"] // 4
    for epoch in (1, 3):
      process = _start(config, killed, log)
      middle = epoch * per_epoch + per_epoch // 2
      deadline = time.monotonic() + 120
      while not any(
        row["step"] >= middle for row in logs.read(killed / "metrics.jsonl")
      ):
        assert process.poll() is None, (tmp_path / "log").read_text()
        assert time.monotonic() < deadline
        time.sleep(0.002)
      process.send_signal(signal.SIGKILL)
      process.wait()
      assert not (killed / "report.json").exists()
    assert _start(config, killed, log).wait(timeout=300) == 0
  steps = [row["step"] for row in scalars(killed)]
  assert steps == list(range(1, 4 * per_epoch + 1))
  assert "resumed" in (tmp_path / "log").read_text()
  assert_same_run(whole, killed)


@pytest.mark.slow
def test_a_longer_run_goes_on_where_the_shorter_ended(
  finished, tmp_path, make_config
):
  run(make_config(**{"train.epochs": 1}), tmp_path)
  assert train.is_reported(make_config(**{"train.epochs": 1}), tmp_path)
  assert workdir.check(tmp_path, make_config())
  assert not train.is_reported(make_config(), tmp_path)
  assert fit(make_config(), tmp_path) == scalars(finished)


@pytest.mark.slow
def test_best_is_whole_before_last_is_begun(tmp_path, make_config, monkeypatch):
  """Else a run killed between the two would go on without its best."""
  write, save, seen = atomic.write_checksums, checkpoint.Store.save, []

  def write_slowly(folder, *files):
    time.sleep(0.5 if folder.parent.name == "best" else 0)
    write(folder, *files)

  def save_and_note(store, state, facts):
    if store._folder.name == "last" and facts["progress"]["bad"] == 0:
      best = checkpoint.Store(tmp_path / "best")
      seen.append((best.facts()["epoch"], facts["progress"]["best_epoch"]))
      best.close()
    save(store, state, facts)

  monkeypatch.setattr(atomic, "write_checksums", write_slowly)
  monkeypatch.setattr(checkpoint.Store, "save", save_and_note)
  fit(make_config(**{"train.epochs": 2}), tmp_path)
  assert seen
  assert all(held == wanted for held, wanted in seen)


def test_damage_is_named_before_a_run_goes_on(
  finished, tmp_path, make_config, capsys
):
  """Of best/ by a warning, for a later epoch may replace it."""
  path = tmp_path / "run"
  shutil.copytree(finished, path)

  def data(name):
    return next((path / name).glob("*/state/d/*"))

  for name in ("best", "last"):
    file = data(name)
    file.write_bytes(file.read_bytes()[:-1] + b"x")
  verbs.warn_damaged(path, ("best", "last"))
  warnings = capsys.readouterr().out.splitlines()
  assert [line.partition(" is damaged")[0] for line in warnings] == [
    f"warning: the checkpoint in {path / name}" for name in ("best", "last")
  ]
  longer = make_config()
  longer.train.epochs = 4
  with pytest.raises(errors.InputError, match=r"last is damaged.*init_from="):
    fit(longer, path)
  shutil.rmtree(path / "last")
  shutil.copytree(finished / "last", path / "last")
  (path / "metrics.jsonl").write_text("")
  with pytest.raises(errors.InputError, match="jsonl is damaged: it has 0"):
    fit(longer, path)
  with pytest.raises(errors.InputError, match="jsonl is damaged: it has 0"):
    evaluate.trained(path, workdir.load(path))


@pytest.mark.parametrize(
  ("key", "value"),
  [
    ("optim.learning_rate", 0.5),
    ("seed", 3),
    ("train.max_steps", 4),
    ("data.protocol", "kfold10"),
    ("model.dense", 8),
  ],
)
def test_another_value_is_refused_by_name(finished, make_config, key, value):
  with pytest.raises(errors.InputError, match=f"config.{key} .*{value}"):
    workdir.check(finished, make_config(**{key: value}))


def test_a_workdir_of_another_recipe_is_refused(finished, make_config):
  with pytest.raises(errors.InputError, match="'quickstart', not to 'resnet'"):
    workdir.check(finished, make_config("resnet"))


def test_a_second_process_is_kept_out(tmp_path):
  with (
    workdir.locked(tmp_path),
    pytest.raises(errors.InputError, match="in use by another process"),
    workdir.locked(tmp_path),
  ):
    pass


def test_the_default_workdir_is_that_of_the_same_experiment(make_config):
  here = workdir.default_path(make_config())
  longer = {"train.epochs": 9, "train.patience": 2, "log.every_steps": 7}
  assert workdir.default_path(make_config(**longer)) == here
  assert workdir.default_path(make_config(seed=1)) != here
  assert here.name.startswith("quickstart-")


def test_the_default_workdir_is_that_of_the_same_place(
  make_config, tmp_path, monkeypatch
):
  monkeypatch.chdir(tmp_path)
  (tmp_path / "link").symlink_to(tmp_path / "music")

  def default(place, key="data.path"):
    return workdir.default_path(make_config(**{key: str(place)}))

  for key in workdir.PATHS:
    here = default(tmp_path / "music", key)
    for place in ("music", "music/", "x/../music", "link", "./link/"):
      assert default(place, key) == here
    assert default("musik", key) != here


@pytest.mark.slow
def test_early_stopping_ends_a_run_that_gets_no_better(tmp_path, make_config):
  config = make_config(
    **{"train.epochs": 9, "train.patience": 2, "optim.learning_rate": 1e-12}
  )
  rows = epochs(fit(config, tmp_path))
  # nothing moves but BatchNorm's averages: the first ties are broken by loss
  values = [
    (row["validation/track_accuracy"], -row["validation/loss"]) for row in rows
  ]
  assert len(rows) == values.index(max(values)) + 1 + 2 < 9


@pytest.mark.slow
def test_divergence_is_said(tmp_path, make_config):
  config = make_config(
    **{"optim.learning_rate": 1e30, "train.monitor": "train/loss"}
  )
  config.optim.name = "sgd"
  with pytest.raises(errors.InputError, match="training diverged"):
    fit(config, tmp_path)


@pytest.mark.parametrize(
  ("changes", "message"),
  [
    ({"train.monitor": "test/loss"}, "config.train.monitor='test/loss'"),
    ({"train.batch_size": 30}, "config.train.batch_size=30 .* 4 devices"),
    ({"train.epochs": 0}, "config.train.epochs=0"),
    ({"data.standardize": "frame"}, "config.data.standardize='frame'"),
    ({"loss.class_weights": "equal"}, "class_weights='equal'"),
    ({"optim.name": "lion"}, "lion"),
    ({"optim.learning_rate": 0.0}, "learning_rate=0.0"),
    ({"optim.plateau_factor": 0.0}, "config.optim.plateau_factor=0.0"),
    ({"eval.bootstrap": 0}, "config.eval.bootstrap=0"),
    ({"seed": -1}, "config.seed=-1"),
    ({"seed": 2**32}, "config.seed=4294967296: give a whole .* to 4294967295"),
    ({"model.channels": ("abc",)}, "channels="),
    ({"optim.schedule": "step"}, "step"),
    ({"model.name": "vgg"}, "vgg"),
    ({"loss.l2": 0.1, "loss.l2_layers": "nope"}, "nope"),
    ({"augment.gain_db": -1.0}, "gain_db=-1.0"),
  ],
)
def test_what_cannot_be_trained_is_refused_first(make_config, changes, message):
  config = make_config(**changes)
  dataset = open_dataset(config)

  def check():
    tasks.check_config(config, sharding.make_mesh())
    tasks.check_data(config, dataset)

  with pytest.raises(errors.InputError, match=message):
    check()


@pytest.mark.slow
@pytest.mark.parametrize(
  "changes",
  [
    {"augment.gain_db": 6.0, "augment.shift_s": 0.5},
    {"augment.noise_probability": 0.5},
    {"augment.time_masks": 1, "augment.bin_masks": 1},
    {"augment.mixup_alpha": 0.3},
    {"loss.class_weights": "balanced", "loss.label_smoothing": 0.1},
    {"loss.l2": 1e-3},
    {"optim.schedule": "cosine", "optim.warmup_epochs": 0.5},
    {"data.standardize": "none"},
    {"data.cache_mb": 0},
  ],
)
def test_a_setting_changes_the_run(finished, tmp_path, make_config, changes):
  rows = fit(make_config(**changes, **{"train.max_steps": 2}), tmp_path)
  assert np.isfinite(rows[-1]["train/loss"])
  same = rows[0]["train/step_loss"] == pytest.approx(
    scalars(finished)[0]["train/step_loss"], rel=1e-7
  )
  # warm-up and reading from disk leave the first step as it was
  assert same == (
    "data.cache_mb" in changes or changes.get("optim.schedule") == "cosine"
  )


@pytest.mark.slow
def test_a_plateau_lowers_the_rate(tmp_path, make_config):
  config = make_config(
    **{
      "optim.schedule": "plateau",
      "optim.plateau_patience": 1,
      "optim.plateau_factor": 0.5,
      "optim.learning_rate": 1e-12,
      "train.epochs": 4,
      "train.monitor": "validation/track_macro_f1",
    }
  )
  rates = [row["learning_rate"] for row in epochs(fit(config, tmp_path))]
  assert rates[0] == pytest.approx(1e-12)
  assert min(rates) <= 0.5e-12
  assert all(
    b in (a, pytest.approx(a / 2)) for a, b in itertools.pairwise(rates)
  )


@pytest.mark.slow
def test_evaluation_counts_each_example_once(finished, make_config):
  """Whatever the batch size, padding is masked and the order is kept."""
  config = make_config()
  dataset = open_dataset(config)
  mesh = sharding.make_mesh()
  model, variables, _ = evaluate.restore_best(finished, workdir.load(finished))
  variables = jax.device_put(variables, sharding.replicated(mesh))
  apply = evaluate.predictor(model, mesh)
  records = pipeline.load_parts(dataset, {"test": ["features"]}, 100)["test"]
  found = [
    evaluate.predict_part(
      lambda batch: apply(variables, batch), records, dataset.genres, size, mesh
    )
    for size in (4, 8, 28, 512)
  ]
  assert len(records) % 28  # it does not divide
  for other in found:
    assert list(zip(other.track, other.segment, strict=True)) == list(
      dataset.parts["test"]
    )
    np.testing.assert_allclose(
      other.probabilities, found[0].probabilities, atol=1e-3
    )


def test_input_statistics_are_those_of_the_train_part(make_config):
  config = make_config()
  dataset = open_dataset(config)
  records = pipeline.load_parts(dataset, {"train": ["features"]}, 100)["train"]
  x = records.take(np.arange(len(records)))["features"].astype(np.float64)
  mean, std = pipeline.input_statistics(records, "bin")
  np.testing.assert_allclose(mean, x.mean((0, 1)), rtol=1e-4, atol=1e-4)
  np.testing.assert_allclose(std, x.std((0, 1)), rtol=1e-4)
  mean, std = pipeline.input_statistics(records, "global")
  np.testing.assert_allclose(mean, np.full(13, x.mean()), rtol=1e-4)
  np.testing.assert_allclose(std, np.full(13, x.std()), rtol=1e-4)


def test_training_standardises_by_the_train_part(finished, make_config):
  """best/ holds the statistics of the train part, not of all or of another."""
  dataset = open_dataset(make_config())
  _, variables, _ = evaluate.restore_best(finished, workdir.load(finished))
  (stats,) = variables["input_stats"].values()
  for part in ("train", "validation"):
    records = pipeline.load_parts(dataset, {part: ["features"]}, 100)[part]
    mean, std = pipeline.input_statistics(records, "bin")
    same = np.allclose(stats["mean"], mean) and np.allclose(stats["std"], std)
    assert same == (part == "train")


def test_train_batches_see_every_example_and_can_start_anywhere(make_config):
  dataset = open_dataset(make_config())
  records = pipeline.load_parts(dataset, {"train": ["features"]}, 100)["train"]
  labels = records.labels()

  def stream(start, seed=0):
    return pipeline.train_batches(
      records, batch_size=len(records), seed=seed, start_step=start
    )

  batches = stream(0)
  first, second = next(batches), next(batches)
  assert not np.array_equal(first["features"], second["features"])
  for batch in (first, second):  # an epoch is a permutation
    np.testing.assert_array_equal(np.sort(batch["label"]), np.sort(labels))
    np.testing.assert_array_equal(
      np.sort(batch["features"].sum((1, 2))),
      np.sort(first["features"].sum((1, 2))),
    )
  np.testing.assert_array_equal(next(stream(1))["features"], second["features"])
  assert not np.array_equal(
    next(stream(0, seed=1))["features"], first["features"]
  )
