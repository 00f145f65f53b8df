"""Evaluates a run: predictions of every split, and the report."""

import functools
import pathlib
from collections.abc import Callable, Mapping
from typing import NamedTuple

import flax.linen as nn
import jax
import ml_collections
import numpy as np

from gtzan_jax import errors, models
from gtzan_jax.data import pipeline
from gtzan_jax.reports import provenance, report
from gtzan_jax.scores import metrics
from gtzan_jax.scores.predictions import Predictions
from gtzan_jax.training import (
  checkpoint,
  classify,
  fit_scikit_learn,
  metrics_log,
  sharding,
  workdir,
)
from gtzan_jax.training.state import TrainState


@functools.lru_cache(maxsize=1)  # the report predicts as validation did
def predictor(
  model: nn.Module, mesh: jax.sharding.Mesh
) -> Callable[[Mapping, jax.Array], jax.Array]:
  """Jitted (variables, features [b, ...]) -> probabilities [b, genres]."""
  return jax.jit(
    functools.partial(classify.predict, model),
    out_shardings=sharding.batched(mesh),
  )


def validator(
  config: ml_collections.ConfigDict,
  dataset: pipeline.Dataset,
  task: classify.Classify,
  records: Mapping[str, pipeline.Records],
  mesh: jax.sharding.Mesh,
  workdir: pathlib.Path,
) -> Callable[[TrainState, Callable[[], None]], dict[str, float]]:
  """Validation after each epoch: state -> scalars."""
  del workdir
  apply = predictor(task.model, mesh)
  size = config.eval.batch_size

  def validate(state, check):
    model = functools.partial(apply, task.variables_of(state))
    given = (records["validation"], dataset.genres, size, mesh, check)
    return metrics.quick(begin_part(model, *given)())

  return validate


def begin_part(
  model: Callable[[jax.Array], jax.Array],
  records: pipeline.Records,
  genres: tuple[str, ...],
  batch_size: int,
  mesh: jax.sharding.Mesh,
  check: Callable[[], None] = lambda: None,
) -> Callable[[], Predictions]:
  """Begins to predict every example of a split exactly once, without padding.

  `model` maps features on the devices to probabilities [b, genres]; `genres`
  are in label order; `batch_size` is over all devices. What `check`, called
  before each batch, raises ends the evaluation. The devices work until what
  this returns, which waits for them, is called.
  """
  outputs = []
  for batch in pipeline.eval_batches(records, batch_size):
    check()
    read = {name: batch[name] for name in ("features", "mask")}
    placed = sharding.put(read, mesh)
    outputs.append((model(placed["features"]), placed["mask"]))

  def end() -> Predictions:
    rows = [sharding.fetch(out)[sharding.fetch(mask)] for out, mask in outputs]
    none = np.zeros((0, len(genres)), np.float32)
    return records.predictions(np.concatenate([none, *rows]), genres)

  return end


def restore_best(
  path: pathlib.Path, run: Mapping
) -> tuple[nn.Module, dict, int]:
  """A run's model, its best variables and the number of parameters."""
  config = ml_collections.ConfigDict(run["config"])
  model = classify.create_model(config, len(run["genres"]))
  here = jax.sharding.SingleDeviceSharding(jax.devices()[0])
  like = jax.tree.map(
    lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=here),
    models.shapes(model, run["example_shape"]),
  )
  store = checkpoint.Store(path / "best")
  variables, _ = store.restore(like)
  store.close()
  size = sum(leaf.size for leaf in jax.tree.leaves(variables["params"]))
  return model, variables, size


def load_model(
  path: pathlib.Path, run: Mapping, mesh: jax.sharding.Mesh | None = None
) -> tuple[Callable[[np.ndarray], jax.Array], int]:
  """The classifier of a run of any task, and its number of trained numbers.

  It maps features [b, ...] to probabilities [b, genres]. `mesh` None is one
  device; scikit-learn's models run on the host. Raises InputError if there is
  no model in the folder, or it does not fit run.json.
  """
  load = _of_task(path, run).load
  model, size = load(path, run, mesh or sharding.make_mesh(jax.devices()[:1]))

  def checked(x):
    check_shape(path, run, x)
    return model(x)

  return checked, size


def _load_network(path, run, mesh) -> tuple[Callable, int]:
  model, variables, size = restore_best(path, run)
  variables = jax.device_put(variables, sharding.replicated(mesh))
  return functools.partial(predictor(model, mesh), variables), size


def check_shape(path: pathlib.Path, run: Mapping, x: np.ndarray) -> None:
  """Refuses examples `[b, ...]` of another shape than run.json has."""
  wanted, found = tuple(run["example_shape"]), tuple(x.shape[1:])
  if found != wanted:
    raise errors.InputError(
      f"{path / workdir.RUN_FILE}: example_shape={list(wanted)}, but its"
      f" feature_spec gives examples of shape {list(found)}; train again"
    )


def predict_parts(
  path: pathlib.Path,
  run: Mapping,
  dataset: pipeline.Dataset,
  mesh: jax.sharding.Mesh,
) -> tuple[dict[str, Predictions], int]:
  """A run's predictions of every split, and its number of parameters."""
  begun, num_params = _begin_parts(path, run, dataset, mesh)
  return {part: end() for part, end in begun.items()}, num_params


def _begin_parts(
  path: pathlib.Path,
  run: Mapping,
  dataset: pipeline.Dataset,
  mesh: jax.sharding.Mesh,
) -> tuple[dict[str, Callable[[], Predictions]], int]:
  """`predict_parts` in two, as `begin_part`; the smallest split is first."""
  config = ml_collections.ConfigDict(run["config"])
  model, num_params = load_model(path, run, mesh)
  begin = _of_task(path, run).begin
  fields = {part: ["features"] for part, ids in dataset.parts.items() if ids}
  records = pipeline.load_parts(dataset, fields, config.data.cache_mb)
  size = config.eval.batch_size
  begun: dict[str, Callable[[], Predictions]] = {}

  def with_artists(end: Callable[[], Predictions]) -> Predictions:
    return end().with_artists(dataset.artists)

  for part in sorted(fields, key=lambda part: len(records[part])):
    end = begin(model, records[part], dataset.genres, size, mesh)
    begun[part] = functools.partial(with_artists, end)
  return begun, num_params


def trained(path: pathlib.Path, config: ml_collections.ConfigDict) -> dict:
  """Facts of the training: best_epoch, epochs_run and the monitor's value."""
  facts = checkpoint.read_facts(path / "last")
  progress = facts["progress"]
  metrics_log.read(path / "metrics.jsonl", facts["rows"])
  return {
    "best_epoch": progress["best_epoch"],
    "epochs_run": progress["evaluations"],
    "monitor": {"name": config.train.monitor, "value": progress["best_value"]},
  }


class _Classifier(NamedTuple):
  """Loads a trained classifier, begins a split, has its training facts."""

  load: Callable
  begin: Callable
  trained: Callable = trained


_CLASSIFIERS = {
  "classify": _Classifier(_load_network, begin_part),
  "classical": _Classifier(
    fit_scikit_learn.load,
    functools.partial(functools.partial, fit_scikit_learn.predict_part),
    fit_scikit_learn.trained,
  ),
}


def _of_task(path: pathlib.Path, run: Mapping) -> _Classifier:
  """The functions of a run's task; refuses a run that does not classify."""
  task = run["config"]["task"]
  if task not in _CLASSIFIERS:
    raise errors.InputError(
      f"--workdir={path} has config.task={task!r}, which does not classify;"
      " give a classifier's run folder"
    )
  return _CLASSIFIERS[task]


def facts_of(
  path: pathlib.Path, run: Mapping, mesh: jax.sharding.Mesh
) -> tuple[dict, list[Mapping]]:
  """A report's facts of a run, for any test data; and its history."""
  rows = metrics_log.read(path / "metrics.jsonl")
  config = ml_collections.ConfigDict(run["config"])
  of_task = _CLASSIFIERS.get(config.task, _CLASSIFIERS["classify"])
  facts = {
    "recipe": run["recipe"],
    "seed": run["config"]["seed"],
    "commit": provenance.commit(),
    "versions": provenance.versions(),
    "device": sharding.describe(mesh),
    "config": run["config"],
    "seconds": rows[-1]["time/seconds"] if rows else 0.0,
    **of_task.trained(path, config),
  }
  return facts, [row for row in rows if "epoch" in row]


def facts_of_data(
  path: pathlib.Path, run: Mapping, dataset: pipeline.Dataset
) -> dict:
  """A report's facts of a run's data; InputError for other data or splits."""
  fingerprint = dataset.metadata["fingerprint"]
  workdir.check_fingerprint(path, run, fingerprint, run["data_path"])
  workdir.check_cut(path, run, dataset)
  return {
    "corpus": dataset.metadata["corpus"],
    "source": dataset.metadata["source"],
    "protocol": dataset.protocol,
    "leak": dataset.leak,
    "data_fingerprint": run["data_fingerprint"],
    "tracks": len(dataset.metadata["rows"]),
    "skipped": dataset.metadata["skipped"],
    "warnings": list(dataset.warnings),
  }


def evaluate(
  path: pathlib.Path, dataset: pipeline.Dataset, mesh: jax.sharding.Mesh
) -> pathlib.Path:
  """Scores a run's model on every split; returns the path of report.html.

  Raises InputError for no model, or data other than the run's.
  """
  run = workdir.load(path)
  about_data = facts_of_data(path, run, dataset)
  begun, num_params = _begin_parts(path, run, dataset, mesh)
  facts, history = facts_of(path, run, mesh)
  facts |= about_data | {"num_params": num_params}
  # Pictures are drawn while the devices work on the largest split.
  pictures, predictions = report.Pictures(), {}
  known = {
    "history": history,
    "best_epoch": facts["best_epoch"],
    "genres": dataset.genres,
    "splits": {},
  }
  for part, end in begun.items():
    pictures.draw(known)
    predictions[part] = end()
    known["splits"] = {part: report.scored(predictions[part], resamples=1)}
  built = report.build(
    facts,
    predictions,
    history,
    missing=dataset.missing,
    sha256=dataset.sha256,
    resamples=run["config"]["eval"]["bootstrap"],
  )
  return report.write(path, built, predictions, pictures=pictures)
