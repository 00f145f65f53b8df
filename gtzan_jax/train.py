"""The loop: devices, time and disk. What a step does stands in tasks/.

Order within an epoch: steps -> evaluation on validation -> progress (best?
plateau? stop?) -> best/ -> a line of metrics.jsonl -> last/. Killed at any
point, the same command goes on from last/ and ends with the same bits.
"""

import functools
import json
import math
import pathlib
import signal
import time
from collections.abc import Mapping

import jax
import ml_collections
import numpy as np
import tqdm
from clu import parameter_overview

from gtzan_jax import (
  checkpoint,
  classical,
  errors,
  evaluate,
  initial,
  logs,
  metrics,
  pipeline,
  progress,
  sharding,
)
from gtzan_jax.tasks import TASKS, classify
from gtzan_jax.workdir import flatten

MONITORS = (
  "train/loss",
  "train/accuracy",
  "validation/loss",
  "validation/accuracy",
  "validation/track_loss",
  "validation/track_accuracy",
  "validation/track_macro_f1",
)


class Interrupted(SystemExit):
  """SIGTERM or Ctrl-C arrived; the state was saved before this left."""


class Interrupt:
  """Turns SIGTERM and SIGINT into a flag that the loop asks for.

  Only once `arm` was called: while the first step compiles, Python could not
  look at a flag for long, and there is nothing to save that is not saved.
  """

  def __enter__(self):
    self._signal = None
    self._before = {}
    return self

  def arm(self) -> None:
    if not self._before:
      self._before = {
        number: signal.signal(number, self._note)
        for number in (signal.SIGTERM, signal.SIGINT)
      }

  def _note(self, number, frame):
    self._signal = number

  def check(self) -> None:
    if self._signal is not None:
      raise Interrupted(128 + self._signal)

  def __exit__(self, *unused):
    for number, handler in self._before.items():
      signal.signal(number, handler)


def check_config(
  config: ml_collections.ConfigDict, mesh: jax.sharding.Mesh
) -> None:
  """Refuses, before any data is prepared, what no data could mend.

  Raises:
    InputError: a batch that does not divide over the devices, a monitor that
      nothing reports, a length below 0, an unknown model or optimizer.
  """
  for key in ("train", "eval"):
    size = config[key].batch_size
    sharding.check_batch_size(size, mesh, f"config.{key}.batch_size")
  values = flatten(config.to_dict())
  for key, least in (
    ("seed", 0),
    ("train.epochs", 1),
    ("train.max_steps", 0),
    ("train.patience", 0),
    ("eval.bootstrap", 1),
    ("data.cache_mb", 0),
    ("log.every_steps", 1),
  ):
    if values[key] < least:
      raise errors.InputError(
        f"config.{key}={values[key]}: give {least} or more"
      )
  if not 0 < config.optim.plateau_factor <= 1:
    raise errors.InputError(
      f"config.optim.plateau_factor={config.optim.plateau_factor}: give more"
      " than 0 and at most 1"
    )
  if config.train.monitor not in MONITORS:
    raise errors.InputError(
      f"config.train.monitor={config.train.monitor!r}: give one of"
      f" {', '.join(MONITORS)} (never a scalar of the test part)"
    )
  if config.data.standardize not in pipeline.STANDARDIZE:
    raise errors.InputError(
      f"config.data.standardize={config.data.standardize!r}: give one of"
      f" {', '.join(pipeline.STANDARDIZE)}"
    )
  if config.task not in (*TASKS, "classical"):
    raise errors.InputError(
      f"config.task={config.task!r}: give one of {', '.join(TASKS)}, classical"
    )
  if config.task == "classical":
    options = dict(config.model)
    classical.create(options.pop("name"), **options)
    return
  classify.create_model(config, genres=2)
  classify.create_optimizer(config, epoch_steps=1)


def check(config: ml_collections.ConfigDict, dataset: pipeline.Dataset) -> None:
  """Refuses, before anything is trained, what this data cannot carry.

  Raises:
    InputError: an empty part, or what the task itself refuses.
  """
  for part in ("train", config.train.monitor.split("/")[0]):
    if not dataset.parts[part]:
      raise errors.InputError(
        f"config.data.protocol={dataset.protocol!r} leaves the {part} part of"
        " this corpus empty: give another protocol or another monitor"
      )
  task = create_task(config, dataset, np.ones(len(dataset.genres)), 1)
  task.check(dataset.fields, config.train.batch_size)
  if config.train.init_from:
    shapes = initial.shapes_of(task.model, dataset.example_shape)
    initial.load(config.train.init_from, config.model.name, shapes)


def create_task(
  config: ml_collections.ConfigDict,
  dataset: pipeline.Dataset,
  class_counts: np.ndarray,
  epoch_steps: int,
) -> classify.Classify:
  """The task that a config describes, for this data.

  Args:
    config: configs/default.py with a recipe's changes.
    dataset: a prepared corpus cut by a protocol.
    class_counts: [genres] train examples of each genre.
    epoch_steps: optimizer steps an epoch.
  """
  return TASKS[config.task](
    config,
    genres=len(dataset.genres),
    spec=dataset.spec,
    raw=dataset.raw,
    class_counts=class_counts,
    epoch_steps=epoch_steps,
    example_shape=dataset.example_shape,
    columns_per_second=dataset.columns_per_second,
  )


def _last_step(config, epoch_steps: int) -> int:
  limit = config.train.max_steps or math.inf
  return int(min(config.train.epochs * epoch_steps, limit))


def finished(config: ml_collections.ConfigDict, facts: Mapping) -> bool:
  """Has the run whose last/ says `facts` nothing left to train?"""
  done = progress.Progress(**facts["progress"])
  steps = facts["epoch_steps"]
  return done.evaluations >= math.ceil(
    _last_step(config, steps) / steps
  ) or progress.should_stop(done, config.train.patience)


def _print_start(state, mesh, dataset, config, epoch_steps: int) -> None:
  print(parameter_overview.get_parameter_overview(state.params))
  sizes = ", ".join(f"{len(ids)} {part}" for part, ids in dataset.parts.items())
  print(
    f"devices: {sharding.describe(mesh)}\nsegments: {sizes}\n"
    f"up to {config.train.epochs} epochs of {epoch_steps} steps"
  )


def _print_epoch(epoch: int, row: Mapping[str, float], is_best: bool) -> None:
  shown = ("train/loss", "train/accuracy", "validation/loss")
  shown += ("validation/accuracy", "validation/track_accuracy")
  text = "  ".join(f"{key} {row[key]:.4f}" for key in shown if key in row)
  tqdm.tqdm.write(f"epoch {epoch:3d}  {text}{'  *best' if is_best else ''}")


def train(
  config: ml_collections.ConfigDict,
  dataset: pipeline.Dataset,
  workdir: pathlib.Path,
  mesh: jax.sharding.Mesh,
) -> None:
  """Trains, or goes on training, until the last epoch or an early stop.

  Args:
    config: configs/default.py with a recipe's changes; see `check`.
    dataset: a prepared corpus cut by a protocol.
    workdir: holds best/, last/ and metrics.jsonl afterwards.
    mesh: the devices, from gtzan_jax.sharding.

  Raises:
    InputError: see `check`; or the monitored scalar was never a number.
    Interrupted: a signal came; last/ holds everything up to it.
  """
  source = classify.training_source(config, dataset.raw)
  needs_stats = config.data.standardize != "none"
  fields = {"train": {source, "features"} if needs_stats else {source}}
  if dataset.parts["validation"]:
    fields["validation"] = {"features"}
  records = pipeline.load_parts(dataset, fields, config.data.cache_mb)
  labels = records["train"].labels()
  epoch_steps = math.ceil(len(labels) / config.train.batch_size)
  task = create_task(
    config,
    dataset,
    np.bincount(labels, minlength=len(dataset.genres)),
    epoch_steps,
  )
  everywhere = sharding.replicated(mesh)
  state = jax.jit(task.init, out_shardings=everywhere)(
    jax.random.key(config.seed)
  )
  last = checkpoint.Store(workdir / "last")
  if config.train.init_from and last.latest() is None:
    begin = initial.load(
      config.train.init_from, config.model.name, classify.variables_of(state)
    )
    state = jax.device_put(classify.with_variables(state, begin), everywhere)
  if needs_stats:
    mean, std = pipeline.input_statistics(
      records["train"], config.data.standardize
    )
    state = jax.device_put(
      classify.with_input_stats(state, mean, std), everywhere
    )
  _print_start(state, mesh, dataset, config, epoch_steps)

  best = checkpoint.Store(workdir / "best")
  done, rows = progress.Progress(), 0
  if last.latest() is not None:
    state, facts = last.restore(state)
    done, rows = progress.Progress(**facts["progress"]), facts["rows"]
    print(f"resumed at step {int(state.step)}, epoch {done.evaluations + 1}")
  step = int(state.step)
  scalars = logs.Scalars(
    workdir, step=step, rows=rows, tensorboard=config.log.tensorboard
  )
  train_step = jax.jit(
    task.train_step, donate_argnums=0, out_shardings=(everywhere, everywhere)
  )
  predictor = evaluate.predictor(task.model, mesh)
  batches = pipeline.train_batches(
    records["train"],
    batch_size=config.train.batch_size,
    seed=config.seed,
    start_step=step,
  )
  last_step = _last_step(config, epoch_steps)

  def facts():
    return {
      "progress": done.to_dict(),
      "rows": scalars.rows,
      "epoch_steps": epoch_steps,
    }

  with Interrupt() as interrupt:
    try:
      while not finished(config, facts()):
        epoch = done.evaluations + 1
        epoch_end = min(epoch * epoch_steps, last_step)
        began, waited, of_step = time.monotonic(), 0.0, None
        for _ in tqdm.trange(
          step, epoch_end, desc=f"epoch {epoch}", leave=False, disable=None
        ):
          interrupt.check()
          asked = time.monotonic()
          batch = next(batches)
          waited += time.monotonic() - asked
          before = of_step
          state, of_step = train_step(state, sharding.put(batch, mesh))
          step += 1
          # Steps are only queued here. Two in flight keep the devices busy;
          # more would keep a signal waiting for all of them.
          jax.block_until_ready(before)
          interrupt.arm()
          if step % config.log.every_steps == 0 and step < epoch_end:
            scalars.write(step, jax.device_get(of_step))
        row = task.summarize(jax.device_get(state.totals))
        row["time/train"] = time.monotonic() - began
        row["time/input"] = waited
        variables = classify.variables_of(state)
        if "validation" in records:
          found = evaluate.predict_part(
            functools.partial(predictor, variables),
            records["validation"],
            dataset.genres,
            config.eval.batch_size,
            mesh,
            interrupt.check,
          )
          quick = metrics.quick(found)
          row |= {f"validation/{key}": quick[key] for key in quick}
        row["learning_rate"] = float(task.learning_rate(step - 1))
        row["learning_rate"] *= done.lr_scale
        done, is_best = progress.update(
          done, row, monitor=config.train.monitor, **_plateau(config)
        )
        if is_best:
          best.save(variables, {"epoch": epoch})
        scalars.write(step, {"epoch": epoch} | row)
        _print_epoch(epoch, row, is_best)
        state = jax.device_put(
          state.replace(
            lr_scale=np.float32(done.lr_scale), totals=classify.no_totals()
          ),
          everywhere,
        )
        best.wait()
        last.save(state, facts())
      interrupt.check()
    except Interrupted:
      last.save(state, facts())
      last.wait()
      print(f"interrupted: saved at step {step}; the same command goes on")
      raise
    finally:
      last.close()
      best.close()
      scalars.close()
  if not done.best_epoch:
    raise errors.InputError(
      f"{config.train.monitor} was never a number in {done.evaluations} epochs:"
      " training diverged; lower config.optim.learning_rate"
    )


def _plateau(config) -> dict[str, float]:
  if config.optim.schedule != "plateau":
    return {}
  return {
    "plateau_factor": config.optim.plateau_factor,
    "plateau_patience": config.optim.plateau_patience,
    "min_lr_scale": config.optim.min_learning_rate / config.optim.learning_rate,
  }


def is_reported(
  config: ml_collections.ConfigDict, workdir: pathlib.Path
) -> bool:
  """Is there nothing left to train here, and does the report stand?"""
  last = checkpoint.Store(workdir / "last")
  try:
    facts = last.facts()
    report = json.loads((workdir / "report.json").read_text())
  except (errors.InputError, OSError, json.JSONDecodeError):
    return False
  finally:
    last.close()
  done = facts["progress"]["evaluations"]
  return finished(config, facts) and report["epochs_run"] == done
