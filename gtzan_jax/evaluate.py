"""From best/ to Predictions of every part, and on to the report."""

import functools
import importlib.metadata
import pathlib
import platform
import subprocess
from collections.abc import Callable, Mapping

import flax.linen as nn
import jax
import ml_collections
import numpy as np

from gtzan_jax import (
  checkpoint,
  errors,
  logs,
  pipeline,
  report,
  sharding,
  workdir,
)
from gtzan_jax.predictions import Predictions
from gtzan_jax.tasks import classify

PACKAGES = (
  "gtzan_jax",
  "jax",
  "jaxlib",
  "flax",
  "optax",
  "orbax-checkpoint",
  "grain",
  "tensorflow-datasets",
  "librosa",
  "numpy",
  "scikit-learn",
)


def predictor(
  model: nn.Module, mesh: jax.sharding.Mesh
) -> Callable[[Mapping, Mapping[str, jax.Array]], jax.Array]:
  """Jitted (variables, batch) -> probabilities [b, genres] over the mesh."""

  def probabilities(variables, batch):
    return classify.predict(model, variables, batch["features"])

  return jax.jit(probabilities, out_shardings=sharding.batched(mesh))


def predict_part(
  probabilities_of: Callable[[Mapping[str, jax.Array]], jax.Array],
  records: pipeline.Records,
  genres: tuple[str, ...],
  batch_size: int,
  mesh: jax.sharding.Mesh,
  check: Callable[[], None] = lambda: None,
) -> Predictions:
  """Every example of a part exactly once: padding is masked out again.

  Args:
    probabilities_of: a batch on the devices -> [b, genres].
    records: the part.
    genres: their names, in label order.
    batch_size: over all devices.
    mesh: the devices.
    check: called before each batch; what it raises ends the evaluation.
  """
  outputs = []
  for batch in pipeline.eval_batches(records, batch_size):
    check()
    batch = sharding.put(batch, mesh)
    outputs.append((probabilities_of(batch), batch["mask"]))
  rows = [sharding.fetch(out)[sharding.fetch(mask)] for out, mask in outputs]
  return Predictions(
    track=np.asarray([track for track, _ in records.ids], dtype=str),
    segment=np.asarray([segment for _, segment in records.ids], np.int32),
    label=records.labels(),
    probabilities=np.concatenate(
      [np.zeros((0, len(genres)), np.float32), *rows]
    ),
    genres=genres,
  )


def restore_best(
  path: pathlib.Path, run: Mapping
) -> tuple[nn.Module, dict, int]:
  """The model of a workdir, its best variables, and how many parameters."""
  config = ml_collections.ConfigDict(run["config"])
  model = classify.create_model(config, len(run["genres"]))
  example = jax.ShapeDtypeStruct((1, *run["example_shape"]), np.float32)
  like = jax.eval_shape(
    functools.partial(model.init, train=False), jax.random.key(0), example
  )
  here = jax.sharding.SingleDeviceSharding(jax.devices()[0])
  like = jax.tree.map(
    lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=here),
    like,
  )
  store = checkpoint.Store(path / "best")
  variables, _ = store.restore(like)
  store.close()
  size = sum(leaf.size for leaf in jax.tree.leaves(variables["params"]))
  return model, variables, size


def evaluate(
  path: pathlib.Path, dataset: pipeline.Dataset, mesh: jax.sharding.Mesh
) -> pathlib.Path:
  """Scores best/ on every part and writes the report.

  Args:
    path: a workdir that `train` has been through.
    dataset: the data it was trained on.
    mesh: the devices.

  Returns:
    the path of report.html.

  Raises:
    InputError: no checkpoint, or data other than the run's.
  """
  run = workdir.load(path)
  if run["data_fingerprint"] != dataset.metadata["fingerprint"]:
    raise errors.InputError(
      f"--workdir={path} was trained on data"
      f" {run['data_fingerprint'][:12]}, at hand is"
      f" {dataset.metadata['fingerprint'][:12]}: the corpus or the features"
      " changed since; train again"
    )
  config = ml_collections.ConfigDict(run["config"])
  model, variables, num_params = restore_best(path, run)
  variables = jax.device_put(variables, sharding.replicated(mesh))
  probabilities_of = functools.partial(predictor(model, mesh), variables)
  fields = {part: ["features"] for part, ids in dataset.parts.items() if ids}
  records = pipeline.load_parts(dataset, fields, config.data.cache_mb)
  predictions = {
    part: predict_part(
      probabilities_of,
      records[part],
      dataset.genres,
      config.eval.batch_size,
      mesh,
    )
    for part in fields
  }
  last = checkpoint.Store(path / "last")
  progress = last.facts()["progress"]
  last.close()
  rows = logs.read(path / "metrics.jsonl")
  facts = {
    "recipe": run["recipe"],
    "corpus": dataset.metadata["corpus"],
    "source": dataset.metadata["source"],
    "protocol": dataset.protocol,
    "leak": dataset.leak,
    "seed": config.seed,
    "num_params": num_params,
    "commit": commit(),
    "versions": versions(),
    "device": sharding.describe(mesh),
    "config": run["config"],
    "data_fingerprint": run["data_fingerprint"],
    "tracks": len(dataset.metadata["rows"]),
    "skipped": dataset.metadata["skipped"],
    "best_epoch": progress["best_epoch"],
    "epochs_run": progress["evaluations"],
    "seconds": rows[-1]["time/seconds"] if rows else 0.0,
    "monitor": {
      "name": config.train.monitor,
      "value": progress["best_value"],
    },
  }
  built = report.build(
    facts,
    predictions,
    [row for row in rows if "epoch" in row],
    missing=dataset.missing,
    sha256=dataset.sha256,
    resamples=config.eval.bootstrap,
  )
  return report.write(path, built, predictions)


def versions() -> dict[str, str]:
  """Of Python and of what the numbers depend on."""
  found = {"python": platform.python_version()}
  for name in PACKAGES:
    try:
      found[name] = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
      continue  # run from a checkout that was not installed
  return found


def commit() -> str | None:
  """The commit of this checkout, "+" behind it where files differ; or None."""
  here = pathlib.Path(__file__).resolve().parent.parent
  try:
    described = subprocess.run(
      ["git", "describe", "--always", "--abbrev=40", "--dirty=+"],
      cwd=here,
      capture_output=True,
      text=True,
      timeout=10,
    )
  except (OSError, subprocess.TimeoutExpired):
    return None
  return described.stdout.strip() or None
