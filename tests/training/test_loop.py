"""The loop with a toy, end to end: through early stop, kill, resume, report."""

import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time
import types
from functools import partial

import grain
import jax
import jax.numpy as jnp
import numpy as np
import orbax.checkpoint as ocp
import pytest

from gtzan_jax import atomic, config_ranges, errors
from gtzan_jax.cli import tasks, verbs
from gtzan_jax.cli.main import main
from gtzan_jax.data import pipeline, standardize
from gtzan_jax.data.open_dataset import open_dataset
from gtzan_jax.scores import metrics, predictions
from gtzan_jax.training import (
  checkpoint,
  classify,
  evaluate,
  sharding,
  stop_signals,
  workdir,
)
from gtzan_jax.training import loop as train
from gtzan_jax.training import metrics_log as logs

ROOT = pathlib.Path(__file__).resolve().parents[2]


def fit(config, path, devices=None) -> list[dict]:
  """Trains in this process, without a report; returns the scalars."""
  dataset = open_dataset(config)
  tasks.check_data(config, dataset)
  with workdir.locked(path):
    workdir.begin(path, config, dataset)
    tasks.train(config, dataset, path, sharding.make_mesh(devices))
  return scalars(path)


def run(config, path) -> None:
  """Trains and reports in this process."""
  fit(config, path)
  evaluate.evaluate(path, open_dataset(config), sharding.make_mesh())


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


def leaves(path, name) -> list[np.ndarray]:
  """Every array of a checkpoint, in the order of the tree."""
  (save,) = (path / name).absolute().iterdir()
  tree = ocp.StandardCheckpointer().restore(save / "state")
  return [
    np.asarray(
      jax.random.key_data(leaf)
      if jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key)
      else leaf
    )
    for leaf in jax.tree.leaves(tree)
  ]


def assert_same_training(a: pathlib.Path, b: pathlib.Path) -> None:
  assert scalars(a) == scalars(b)
  for name in ("best", "last"):
    for x, y in zip(leaves(a, name), leaves(b, name), strict=True):
      np.testing.assert_array_equal(x, y)


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
  return tmp_path_factory.mktemp("reference") / "run"


@pytest.fixture
def finished(reference, make_config):
  """A finished run of `make_config()`, for whoever only looks at it."""
  if not (reference / "report.json").exists():
    run(make_config(), reference)
  return reference


@pytest.mark.slow
def test_a_step_that_was_checked_is_not_traced_again(
  make_config, tmp_path, monkeypatch
):
  traced = []
  for name in ("init", "train_step"):
    function = getattr(classify.Classify, name)

    def counted(self, *given, name=name, function=function):
      traced.append(name)
      return function(self, *given)

    monkeypatch.setattr(classify.Classify, name, counted)
  fit(make_config(**{"train.max_steps": 2}), tmp_path / "run")
  assert traced == ["init", "train_step"]


def test_a_norm_that_is_not_logged_is_a_number():
  task = types.SimpleNamespace(log_every=2)
  with jax.debug_nans(True):
    norm = jax.jit(partial(classify.Classify._gradient_norm, task))
    assert norm(2, {"kernel": jnp.array([3.0, 4.0])}) == 5
    assert norm(1, {"kernel": jnp.array([3.0, 4.0])}) == -1


@pytest.mark.slow
def test_a_run_leaves_a_whole_report(finished):
  found = report(finished)
  assert (found["corpus"], found["source"]) == ("synthetic", "audio")
  assert found["recipe"] == "quickstart"
  assert found["protocol"] == "tracks_70_10_20"
  assert found["epochs_run"] == 3
  assert found["seconds"] > 0
  _, variables, size = evaluate.restore_best(finished, workdir.load(finished))
  assert found["num_params"] == size
  assert size == sum(x.size for x in jax.tree.leaves(variables["params"]))
  for name in ("report.html", "predictions/test.npz", "learning_curves.png"):
    assert (finished / name).stat().st_size > 0
  saved = predictions.load(finished / "predictions" / "test.npz")
  test = found["splits"]["test"]
  assert test["track"]["n"] == 10
  assert test["segment"]["n"] == len(saved)
  for resamples, same in ((50, True), (1000, False)):  # as many as asked for
    scores = metrics.evaluate(saved, resamples=resamples)
    assert (scores["segment"]["ci95"] == test["segment"]["ci95"]) == same

  assert found["history"][-1].keys() >= {*config_ranges.MONITORS["classify"]}
  # of the best checkpoint
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

  losses = [row["train/loss"] for row in found["history"]]
  assert losses[-1] < 0.9 * losses[0]


@pytest.mark.slow
def test_another_seed_gives_other_scalars_and_the_same_split(
  finished, tmp_path, make_config
):
  config = make_config(**{"seed": 1, "train.max_steps": 2})
  assert fit(config, tmp_path)[0] != scalars(finished)[0]
  dataset = open_dataset(config)
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
    loss = a["train/loss"] if "epoch" in a else a["train/step_loss"]
    assert loss == pytest.approx(b[f"train/{name}"], abs=1e-5)
  assert one[3]["validation/loss"] == pytest.approx(
    four[3]["validation/loss"], abs=1e-5
  )


# Calls of a run, each counted from the start or resumption before it.
MOMENTS = [
  (logs.Scalars, "write", 2),  # in the first epoch
  (pipeline, "eval_batches", 2),  # in the evaluation of the second
  (logs.Scalars, "write", 3),  # that is repeated; then in the third epoch
  (train, "_print_epoch", 1),  # after the last evaluation
]


@pytest.mark.slow
def test_sigterm_saves_and_the_same_command_goes_on(
  finished, tmp_path, make_config, monkeypatch
):
  for owner, name, number in MOMENTS:
    call, calls = getattr(owner, name), []

    def call_and_signal(*args, call=call, calls=calls, number=number):
      calls.append(args)
      result = call(*args)
      if len(calls) == number:
        os.kill(os.getpid(), signal.SIGTERM)
      return result

    with monkeypatch.context() as patched:
      patched.setattr(owner, name, call_and_signal)
      with pytest.raises(stop_signals.Interrupted) as stop:
        fit(make_config(), tmp_path)
    assert stop.value.code == 128 + signal.SIGTERM
    assert len(calls) == number
  fit(make_config(), tmp_path)
  assert_same_training(finished, tmp_path)


@pytest.fixture(params=[signal.default_int_handler])
def interrupt(request):
  """An armed Interrupt, of a process that handles Ctrl-C so."""
  before = signal.signal(signal.SIGINT, request.param)
  with stop_signals.Interrupt() as interrupt:
    interrupt.arm()
    yield interrupt
    interrupt._signal = None
  assert signal.signal(signal.SIGINT, before) == request.param


def test_a_second_ctrl_c_waits_for_nothing(interrupt):
  signal.raise_signal(signal.SIGINT)
  with pytest.raises(KeyboardInterrupt):
    signal.raise_signal(signal.SIGINT)
  with pytest.raises(stop_signals.Interrupted):
    interrupt.check()


@pytest.mark.parametrize("interrupt", [signal.SIG_IGN], indirect=True)
def test_a_signal_that_is_ignored_stays_so(interrupt):
  """A shell has what a script runs in the background ignore Ctrl-C."""
  signal.raise_signal(signal.SIGINT)
  interrupt.check()


def test_a_signal_after_the_last_check_is_not_lost(interrupt):
  interrupt.check()
  signal.raise_signal(signal.SIGTERM)
  with pytest.raises(stop_signals.Interrupted) as caught:
    interrupt.__exit__(None)
  assert caught.value.code == 128 + signal.SIGTERM


# A recipe whose process kills itself once the scalars of a step are written.
KILLED = """
import os, signal
import ml_collections
from gtzan_jax.training import metrics_log

def get_config():
  write = metrics_log.Scalars.write
  def write_and_die(self, step, row):
    write(self, step, row)
    if step == int(os.environ.get("KILLED_AT", 0)):
      os.kill(os.getpid(), signal.SIGKILL)
  metrics_log.Scalars.write = write_and_die
  return ml_collections.ConfigDict({config})
"""


@pytest.mark.slow
def test_killed_twice_in_mid_epoch_it_ends_with_the_same_bits(
  finished, tmp_path, make_config, capfd, monkeypatch
):
  killed, recipe = tmp_path / "killed", tmp_path / "recipe.py"
  recipe.write_text(KILLED.format(config=make_config().to_dict()))
  command = ["launch.py", f"--config={recipe}", f"--workdir={killed}"]
  compiled = {
    "JAX_COMPILATION_CACHE_DIR": jax.config.jax_compilation_cache_dir,
    "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
  }
  for step in (2, 10):  # of 12
    environment = {**os.environ, **compiled, "KILLED_AT": str(step)}
    process = subprocess.run(
      [sys.executable, *command], env=environment, cwd=ROOT, timeout=300
    )
    assert process.returncode == -signal.SIGKILL
    assert scalars(killed)[-1]["step"] == step
    assert not (killed / "report.json").exists()
  writer = logs.Scalars
  monkeypatch.setattr(writer, "write", writer.write)  # put back afterwards
  assert main(command) == 0
  out = capfd.readouterr().out
  assert "resumed at step" in out
  assert "test: track accuracy" in out
  assert [row["step"] for row in scalars(killed)] == [*range(1, 13)]
  assert_same_training(finished, killed)
  first, second = report(finished), report(killed)
  assert first | {"seconds": 0} == second | {"seconds": 0}


@pytest.mark.slow
def test_a_longer_run_goes_on_where_the_shorter_ended(
  finished, tmp_path, make_config, undrawn
):
  shorter = make_config(**{"train.epochs": 1})
  run(shorter, tmp_path)
  assert train.is_reported(shorter, tmp_path)
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
    if store._folder.name == "last":
      best = checkpoint.Store(tmp_path / "best")
      seen.append((best.facts()["epoch"], facts["progress"]["best_epoch"]))
      best.close()
    save(store, state, facts)

  monkeypatch.setattr(atomic, "write_checksums", write_slowly)
  monkeypatch.setattr(checkpoint.Store, "save", save_and_note)
  fit(make_config(**{"train.epochs": 1}), tmp_path)
  assert seen == [(1, 1)]


@pytest.mark.slow
def test_damage_is_named_before_a_run_goes_on(
  finished, tmp_path, make_config, capsys
):
  """Of best/ by a warning, for a later epoch may replace it."""
  path = tmp_path / "run"
  shutil.copytree(finished, path)
  for name in ("best", "last"):
    file = next((path / name).glob("*/state/d/*"))
    file.write_bytes(file.read_bytes()[:-1] + b"x")
  verbs.warn_damaged(path, ("best", "last"))
  warnings = capsys.readouterr().out.splitlines()
  assert [line.partition(" is damaged")[0] for line in warnings] == [
    f"warning: the checkpoint in {path / name}" for name in ("best", "last")
  ]
  longer = make_config(**{"train.epochs": 4})
  with pytest.raises(errors.InputError, match=r"last is damaged.*init_from="):
    fit(longer, path)
  shutil.rmtree(path / "last")
  shutil.copytree(finished / "last", path / "last")
  (path / "metrics.jsonl").write_text("")
  for read in (
    lambda: fit(longer, path),
    lambda: evaluate.trained(path, workdir.load(path)),
  ):
    with pytest.raises(errors.InputError, match="jsonl is damaged: it has 0"):
      read()


@pytest.mark.parametrize(
  ("recipe", "changes", "message"),
  [
    ("quickstart", {"optim.learning_rate": 0.5}, "optim.learning_rate .*0.5"),
    ("quickstart", {"seed": 3}, "config.seed .*3"),
    ("quickstart", {"train.max_steps": 4}, "config.train.max_steps .*4"),
    ("quickstart", {"data.protocol": "kfold10"}, "data.protocol .*kfold10"),
    ("quickstart", {"model.dense": 8}, "config.model.dense .*8"),
    ("resnet", {}, "'quickstart', not to 'resnet'"),
  ],
)
def test_another_value_is_refused_by_name(
  tmp_path, make_config, recipe, changes, message
):
  workdir.begin(tmp_path, make_config(), open_dataset(make_config()))
  with pytest.raises(errors.InputError, match=message):
    workdir.check(tmp_path, make_config(recipe, **changes))


def test_a_second_process_is_kept_out(tmp_path):
  with (
    workdir.locked(tmp_path),
    pytest.raises(errors.InputError, match="in use by another process"),
    workdir.locked(tmp_path),
  ):
    pass


def test_the_default_workdir_is_that_of_the_same_experiment(
  make_config, tmp_path, monkeypatch
):
  def default(**changes):
    return workdir.default_path(make_config(**changes))

  here = default()
  longer = {"train.epochs": 9, "train.patience": 2, "log.every_steps": 7}
  assert here.name.startswith("quickstart-")
  assert default(**longer) == here != default(seed=1)
  # of the same place, however it is written
  monkeypatch.chdir(tmp_path)
  (tmp_path / "link").symlink_to(tmp_path / "music")
  for key in workdir.PATHS:
    here = default(**{key: str(tmp_path / "music")})
    for place in ("music", "music/", "x/../music", "link", "./link/"):
      assert default(**{key: place}) == here
    assert default(**{key: "musik"}) != here


@pytest.mark.slow
def test_a_run_that_gets_no_better_slows_down_and_ends(tmp_path, make_config):
  """Plateau and early stop count the epochs that were not the best."""
  config = make_config(
    **{
      "train.epochs": 9,
      "train.patience": 2,
      "optim.learning_rate": 1e-12,
      "optim.schedule": "plateau",
      "optim.plateau_patience": 1,
      "optim.plateau_factor": 0.5,
    }
  )
  rows = epochs(fit(config, tmp_path))
  # nothing moves but BatchNorm's averages: the first ties are broken by loss
  values = [
    (row["validation/track_accuracy"], -row["validation/loss"]) for row in rows
  ]
  best = values.index(max(values))
  assert len(rows) == best + 1 + 2 < 9
  rates = [row["learning_rate"] for row in rows]
  assert rates[0] == pytest.approx(1e-12)
  assert rates[-1] == pytest.approx(rates[best] / 2)


@pytest.mark.slow
def test_divergence_is_said(tmp_path, make_config):
  config = make_config(
    **{"optim.learning_rate": 1e30, "train.monitor": "train/loss"},
    **{"optim.name": "sgd", "train.epochs": 1},
  )
  with pytest.raises(errors.InputError, match="training diverged"):
    fit(config, tmp_path)


@pytest.mark.parametrize(
  ("changes", "message"),
  [
    ({"train.batch_size": 30}, "config.train.batch_size=30 .* 4 devices"),
    ({"data.standardize": "frame"}, "config.data.standardize='frame'"),
    ({"loss.class_weights": "equal"}, "class_weights='equal'"),
    ({"optim.plateau_factor": 0.0}, "config.optim.plateau_factor=0.0"),
    ({"model.channels": ("abc",)}, "channels="),
    ({"loss.l2": 0.1, "loss.l2_layers": "nope"}, "nope"),
    ({"augment.gain_db": -1.0}, "gain_db=-1.0"),
  ],
)
def test_what_cannot_be_trained_is_refused_first(make_config, changes, message):
  config = make_config(**changes)
  with pytest.raises(errors.InputError, match=message):  # noqa: PT012
    tasks.check_config(config, sharding.make_mesh())
    tasks.check_data(config, open_dataset(config))


@pytest.mark.slow
def test_a_setting_of_the_loop_changes_the_run(finished, tmp_path, make_config):
  def steps(name, **changes):
    rows = fit(
      make_config(**changes, **{"train.max_steps": 2}), tmp_path / name
    )
    assert np.isfinite(rows[-1]["train/loss"])
    return rows[0]["train/step_loss"], rows[-1]["learning_rate"]

  loss = scalars(finished)[0]["train/step_loss"]
  assert steps("raw", **{"data.standardize": "none"})[0] != pytest.approx(loss)
  # reading from disk and warm-up leave the first step as it was
  warmup = {"optim.schedule": "cosine", "optim.warmup_epochs": 0.5}
  same, rate = steps("other", **warmup, **{"data.cache_mb": 0})
  assert same == pytest.approx(loss, rel=1e-7)
  assert rate < 2.9e-3


def first_step(config):
  """The loss of one step on the first examples; its gradients are not made."""
  dataset = open_dataset(config)
  counts = np.arange(1, len(dataset.genres) + 1)
  task = classify.create(config, dataset, counts, 4)
  records = pipeline.Records(dataset, "train", [task.source])

  @jax.jit
  def loss(batch):
    state = task.init(jax.random.key(0))
    return task.train_step(state, batch)[1]["train/step_loss"]

  return float(loss(records.take(range(8))))


@pytest.mark.slow
def test_a_setting_of_the_step_changes_its_loss(make_config):
  plain = first_step(make_config())
  for changes in (
    {"augment.gain_db": 6.0},
    {"augment.shift_s": 0.5},
    {"augment.noise_probability": 0.5},
    {"augment.time_masks": 1},
    {"augment.bin_masks": 2, "augment.bin_width": 0.5},
    {"augment.mixup_alpha": 0.3},
    {"loss.class_weights": "balanced"},
    {"loss.label_smoothing": 0.1},
    {"loss.l2": 1e-3},
  ):
    loss = first_step(make_config(**changes))
    assert np.isfinite(loss)
    assert loss != pytest.approx(plain, rel=1e-5), changes


@pytest.mark.slow
def test_evaluation_counts_each_example_once(finished, make_config):
  """Whatever the batch size, padding is masked and the order is kept."""
  dataset, mesh = open_dataset(make_config()), sharding.make_mesh()
  model, _ = evaluate.load_model(finished, workdir.load(finished), mesh)
  records = pipeline.load_parts(dataset, {"test": ["features"]}, 100)["test"]
  assert len(records) % 28  # it does not divide
  small, large = (
    evaluate.begin_part(model, records, dataset.genres, size, mesh)()
    for size in (28, 512)
  )
  for table in (small, large):
    assert list(zip(table.track, table.segment, strict=True)) == list(
      dataset.parts["test"]
    )
  np.testing.assert_allclose(
    small.probabilities, large.probabilities, atol=1e-3
  )


@pytest.fixture
def train_records(make_config):
  dataset = open_dataset(make_config())
  return pipeline.load_parts(dataset, {"train": ["features"]}, 100)["train"]


@pytest.mark.slow
def test_training_standardises_by_the_train_part(finished, train_records):
  x = train_records.take(np.arange(len(train_records)))["features"]
  x = x.astype(np.float64)
  mean, std = standardize.input_statistics(train_records, "bin")
  np.testing.assert_allclose(mean, x.mean((0, 1)), rtol=1e-4, atol=1e-4)
  np.testing.assert_allclose(std, x.std((0, 1)), rtol=1e-4)
  one_mean, one_std = standardize.input_statistics(train_records, "global")
  np.testing.assert_allclose(one_mean, np.full(13, x.mean()), rtol=1e-4)
  np.testing.assert_allclose(one_std, np.full(13, x.std()), rtol=1e-4)
  _, variables, _ = evaluate.restore_best(finished, workdir.load(finished))
  (stats,) = variables["input_stats"].values()
  np.testing.assert_allclose(stats["mean"], mean, rtol=1e-5)
  np.testing.assert_allclose(stats["std"], std, rtol=1e-5)


@pytest.mark.parametrize("seed", [0, 42])
@pytest.mark.parametrize("size", [1, 7, 888])
def test_the_order_of_examples_is_grains(size, seed):
  """Stored runs were trained in this order."""
  whole = grain.MapDataset.range(size).seed(seed).shuffle().repeat(None)
  order = pipeline.shuffled(size, seed)
  places = [*range(2 * size), 10**6 + 3]
  assert [order(i) for i in places] == [int(whole[i]) for i in places]


def test_batches_from_disk_are_those_from_memory(train_records, make_config):
  dataset = open_dataset(make_config())
  on_disk = pipeline.Records(dataset, "train", ["features"])
  assert train_records.in_memory
  assert not on_disk.in_memory
  given = {"batch_size": 8, "seed": 1, "start_step": 3}
  for _, *both in zip(
    range(4),
    pipeline.train_batches(train_records, **given),
    pipeline.train_batches(on_disk, **given),
    strict=False,
  ):
    for name in ("features", "label"):
      np.testing.assert_array_equal(*(batch[name] for batch in both))


def test_train_batches_see_every_example_and_can_start_anywhere(train_records):
  labels = train_records.labels()

  def stream(start, seed=0):
    return pipeline.train_batches(
      train_records, batch_size=len(labels), seed=seed, start_step=start
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
