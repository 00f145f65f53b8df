"""The training loop: devices, time and disk. A task defines the step.

Order within an epoch: steps -> evaluation on validation -> progress (best?
plateau? stop?) -> best/ -> a line of metrics.jsonl -> last/. Killed at any
point, the same command resumes from last/ and ends with the same bits.
"""

import concurrent.futures
import contextlib
import math
import pathlib
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import ml_collections
import numpy as np
import tqdm
from clu import parameter_overview

from gtzan_jax import errors
from gtzan_jax.data import pipeline, standardize
from gtzan_jax.training import (
  checkpoint,
  early_stopping,
  jax_process,
  sharding,
)
from gtzan_jax.training import metrics_log as logs
from gtzan_jax.training.stop_signals import Interrupt, Interrupted


class Steps(NamedTuple):
  """The functions of a task that trains in steps; see training/tasks.py.

  Attributes:
    fields: (config, Dataset.raw) -> {split: names of the stored arrays read}.
    create: (config, dataset, class_counts, epoch_steps) -> the task;
      class_counts [genre] counts the train examples.
    validator: (config, dataset, task, records, mesh, workdir) -> a function
      (state, check) -> the scalars of the validation split; it calls `check`,
      which raises Interrupted after a signal, between batches.
    load: (config.train.init_from, model's name, variables) -> the variables to
      start from.
  """

  fields: Callable
  create: Callable
  validator: Callable
  load: Callable | None = None


_PRINTED = (
  "train/loss",
  "train/accuracy",
  "train/discriminator_loss",
  "train/generator_loss",
  "validation/loss",
  "validation/accuracy",
  "validation/track_accuracy",
  "validation/frechet_ratio",
  "validation/genre_share",
  "validation/diversity",
)


def _print_epoch(epoch: int, row: Mapping[str, float], is_best: bool) -> None:
  text = "  ".join(f"{key} {row[key]:.4f}" for key in _PRINTED if key in row)
  tqdm.tqdm.write(f"epoch {epoch:3d}  {text}{'  *best' if is_best else ''}")


def create_task(
  create: Callable,
  config: ml_collections.ConfigDict,
  dataset: pipeline.Dataset,
  labels: np.ndarray | None = None,
) -> Any:
  """`Steps.create` for train examples with these labels [n] (None: all).

  The same arguments give the last task again: JAX finds what it has traced by
  the identity of the function, so a step that a check has traced is not traced
  once more to train.
  """
  if labels is None:
    labels = pipeline.labels(dataset, "train")
  counts = np.bincount(labels, minlength=len(dataset.genres))
  key = (create, config.to_json_best_effort(), counts.tolist())
  if _last.get("key") != key or _last["dataset"] is not dataset:
    task = create(config, dataset, counts, _epoch_steps(config, len(labels)))
    for name in ("init", "train_step"):  # else another object at each access
      object.__setattr__(task, name, getattr(task, name))
    _last.update(key=key, dataset=dataset, task=task)
  return _last["task"]


_last: dict[str, Any] = {}


def _epoch_steps(config: ml_collections.ConfigDict, examples: int) -> int:
  return config.train.epoch_steps or math.ceil(
    examples / config.train.batch_size
  )


def train(
  steps: Steps,
  config: ml_collections.ConfigDict,
  dataset: pipeline.Dataset,
  workdir: pathlib.Path,
  mesh: jax.sharding.Mesh,
  generated: Mapping[str, np.ndarray] | None = None,
) -> None:
  """Trains or resumes until the last epoch or an early stop.

  Leaves best/, last/ and metrics.jsonl in `workdir`. `generated` examples
  (stored arrays and "label") join the train split.

  Raises InputError if the monitored scalar was NaN in all epochs, and
  Interrupted after a signal; last/ then holds the state of that moment.
  """
  labels = pipeline.labels(dataset, "train")
  if generated is not None:
    real = labels[:0] if config.data.augment_only else labels
    labels = np.concatenate([real, generated["label"]])
  epoch_steps = _epoch_steps(config, len(labels))
  task = create_task(steps.create, config, dataset, labels)
  replicated = sharding.replicated(mesh)
  train_step = jax_process.JitStep(task.train_step, mesh)
  read = (task.source, "label")  # the other arrays stay on the host
  # XLA works on the programs while Python reads the data.
  init = jax_process.jit_init(task.init, mesh)
  key = jax.random.key(config.seed)
  compiled = _begun(
    train_step.compile,
    init.eval_shape(key),
    jax_process.batch_shapes(
      {task.source: dataset.fields[task.source]},
      config.train.batch_size,
      mesh,
    ),
  )
  initial_state = _begun(init, key)
  fields = steps.fields(config, dataset.raw)
  records = pipeline.load_parts(
    dataset,
    {split: fields[split] for split in fields if dataset.parts[split]},
    config.data.cache_mb,
  )
  state = initial_state.result()
  compiled.result()
  train_split: pipeline.Records | pipeline.Mixed = records["train"]
  if generated is not None:
    train_split = pipeline.Mixed(
      None if config.data.augment_only else records["train"], generated
    )
  last = checkpoint.Store(workdir / "last", writable=True)
  if steps.load and config.train.init_from and last.latest() is None:
    initial = steps.load(
      config.train.init_from, config.model.name, task.variables_of(state)
    )
    state = jax.device_put(task.with_variables(state, initial), replicated)
  if config.data.standardize != "none":  # generated examples excluded
    mean, std = standardize.input_statistics(
      records["train"], config.data.standardize
    )
    state = jax.device_put(task.with_input_stats(state, mean, std), replicated)
  sizes = [f"{len(ids)} {split}" for split, ids in dataset.parts.items()]
  print(
    f"{parameter_overview.get_parameter_overview(state.params)}\n"
    f"devices: {sharding.describe(mesh)}\nexamples: {', '.join(sizes)}\n"
    f"up to {config.train.epochs} epochs of {epoch_steps} steps"
  )

  best = checkpoint.Store(workdir / "best", writable=True)
  done, rows = early_stopping.Progress(), 0
  if last.latest() is not None:
    state, saved = last.restore(state)
    done = early_stopping.Progress.from_dict(saved["progress"])
    rows = saved["rows"]
    print(f"resumed at step {int(state.step)}, epoch {done.evaluations + 1}")
  step = int(state.step)
  scalars = logs.Scalars(
    workdir, step=step, rows=rows, tensorboard=config.log.tensorboard
  )
  validate = steps.validator(config, dataset, task, records, mesh, workdir)
  batches = pipeline.train_batches(
    train_split,
    batch_size=config.train.batch_size,
    seed=config.seed,
    start_step=step,
  )
  last_step = early_stopping.last_step(config.train, epoch_steps)
  rule: dict[str, Any] = {
    "monitor": config.train.monitor,
    "ties": config.train.ties,
  }
  if config.optim.schedule == "plateau":
    least, rate = config.optim.min_learning_rate, config.optim.learning_rate
    rule |= {
      "plateau_factor": config.optim.plateau_factor,
      "plateau_patience": config.optim.plateau_patience,
      "min_lr_scale": least / rate,
    }

  # Python works on this while the devices work on the first epoch.
  ahead = threading.Thread(target=_import_ahead, daemon=True)

  def facts():  # stored with last/
    return {
      "progress": done.to_dict(),
      "rows": scalars.rows,
      "epoch_steps": epoch_steps,
    }

  with (
    Interrupt() as interrupt,
    checkpoint.without_pages(),
    contextlib.closing(scalars),
    contextlib.closing(best),
    contextlib.closing(last),
  ):
    try:
      while not early_stopping.finished(config.train, facts()):
        epoch = done.evaluations + 1
        epoch_end = min(epoch * epoch_steps, last_step)
        began, waited = time.monotonic(), 0.0
        step_scalars: Mapping | None = None
        for _ in tqdm.trange(
          step, epoch_end, desc=f"epoch {epoch}", leave=False, disable=None
        ):
          interrupt.check()
          start = time.monotonic()
          batch = next(batches)
          waited += time.monotonic() - start
          previous = step_scalars
          state, step_scalars = train_step(
            state,
            sharding.put({name: batch[name] for name in read}, mesh),
          )
          step += 1
          # Steps are only queued here. Two in flight keep the devices busy;
          # with more, a signal would wait for all of them.
          jax.block_until_ready(previous)
          interrupt.arm()
          if step % config.log.every_steps == 0 and step < epoch_end:
            scalars.write(step, jax.device_get(step_scalars))
          if not ahead.ident:
            ahead.start()
        row = task.summarize(jax.device_get(state.totals))
        row["time/train"] = time.monotonic() - began
        row["time/input"] = waited
        if "validation" in records:
          validation = validate(state, interrupt.check)
          row |= {f"validation/{key}": x for key, x in validation.items()}
        rate = float(task.learning_rate(step - 1))
        row["learning_rate"] = rate * done.lr_scale
        done, is_best = early_stopping.update(done, row, **rule)
        if is_best:
          best.save(task.variables_of(state), {"epoch": epoch})
        scalars.write(step, {"epoch": epoch} | row)
        _print_epoch(epoch, row, is_best)
        state = jax.device_put(
          state.replace(
            lr_scale=np.float32(done.lr_scale),
            totals=jax.tree.map(np.zeros_like, jax.device_get(state.totals)),
          ),
          replicated,
        )
        best.wait()
        last.save(state, facts())
      interrupt.check()
    except Interrupted:
      last.save(state, facts())
      last.wait()
      print(f"interrupted: saved at step {step}; the same command continues")
      raise
  if not done.best_epoch:
    raise errors.InputError(
      f"{config.train.monitor} was NaN in all {done.evaluations} epochs:"
      " training diverged; lower config.optim.learning_rate"
    )


def _begun(function: Callable, *arguments: Any) -> concurrent.futures.Future:
  """Calls a function in a thread that neither an error nor the exit waits for:
  compiling takes up to half a minute, and cannot be stopped."""
  future: concurrent.futures.Future = concurrent.futures.Future()

  def run() -> None:
    try:
      future.set_result(function(*arguments))
    except BaseException as error:
      future.set_exception(error)

  threading.Thread(target=run, daemon=True).start()
  return future


def _import_ahead() -> None:
  """Loads what saves and the report need, a second's worth."""
  with contextlib.suppress(Exception):  # it will be raised there
    import orbax.checkpoint  # noqa: F401
    import scipy.optimize  # noqa: F401

    from gtzan_jax.reports import page  # noqa: F401


def is_reported(
  config: ml_collections.ConfigDict, workdir: pathlib.Path
) -> bool:
  """Whether training is finished and the report is written."""
  from gtzan_jax.reports import report  # scores and schemas, for no step

  try:
    facts = checkpoint.read_facts(workdir / "last")
    reported = report.read(workdir / report.REPORT_FILE)
  except errors.InputError:
    return False
  is_current = facts["progress"]["evaluations"] == reported["epochs_run"]
  return is_current and early_stopping.finished(config.train, facts)
