"""Baselines without a network: scikit-learn on statistics of each example.

An example [frames, bins] becomes one row: mean and deviation of each bin over
the frames, and the deviation of its change from frame to frame (which helped
most on validation). A table's row is taken as it is.

The fitted arrays are kept in model.npz and applied in numpy: no pickle, and no
version of scikit-learn changes the predictions.
"""

import collections
import pathlib
from collections.abc import Callable, Mapping
from typing import Any

import jax
import ml_collections
import numpy as np

from gtzan_jax import atomic, features
from gtzan_jax.data import pipeline
from gtzan_jax.errors import DAMAGED_NPZ, InputError, first_line
from gtzan_jax.models.scikit_learn import Arrays, create
from gtzan_jax.reports import report
from gtzan_jax.scores import metrics
from gtzan_jax.scores.predictions import Predictions
from gtzan_jax.training import metrics_log as logs

MODEL_FILE = "model.npz"

Model = Callable[[np.ndarray], np.ndarray]


def statistics(x: np.ndarray) -> np.ndarray:
  """Examples as rows: [n, frames, bins] -> float64 [n, 3 * bins].

  Mean, standard deviation and standard deviation of the first difference in
  time of each bin. Rows of a table [n, columns] stay.
  """
  x = np.asarray(x, np.float64)
  if x.ndim == 2:
    return x
  change = np.diff(x, axis=1)
  return np.concatenate([x.mean(1), x.std(1), change.std(1)], axis=1)


def check_config(config: ml_collections.ConfigDict) -> None:
  """Refuses initial weights and generated examples (InputError)."""
  for section, key in (("train", "init_from"), ("data", "augment_with")):
    if config[section][key]:
      raise InputError(
        f"config.{section}.{key}={config[section][key]}: a"
        " scikit-learn recipe takes neither initial weights nor generated"
        " examples; remove it"
      )
  _classifier(config.model)


def _classifier(model: Mapping):
  options = dict(model)
  return create(options.pop("name"), **options)


def check(
  config: ml_collections.ConfigDict,
  dataset: pipeline.Dataset,
  begun: bool = False,
) -> None:
  """Refuses pictures and too few train tracks or genres (InputError)."""
  del begun
  classifier = _classifier(config.model)
  if len(dataset.example_shape) > 2:
    usable = [n for n, spec in features.FEATURES.items() if spec.size is None]
    raise InputError(
      f"config.data.features={config.data.features!r} gives pictures"
      f" {list(dataset.example_shape)}: a classical recipe takes frames or"
      f" tables, as {', '.join(usable)}"
    )
  genre_of = {row["id"]: row["genre"] for row in dataset.metadata["rows"]}
  tracks = {track for track, _ in dataset.parts["train"]}
  count = collections.Counter(genre_of[track] for track in tracks)
  genres, each = classifier.least
  if len(count) < genres or min(count.values()) < each:
    has = ", ".join(f"{n} {genre}" for genre, n in sorted(count.items()))
    raise InputError(
      f"config.data.protocol={dataset.protocol!r} leaves {has or 'no'} train"
      f" tracks: {config.model.name!r} needs {genres} genres or more with"
      f" {each} tracks or more each"
    )


def train(
  config: ml_collections.ConfigDict,
  dataset: pipeline.Dataset,
  workdir: pathlib.Path,
  mesh: jax.sharding.Mesh | None = None,
  generated: None = None,
) -> None:
  """Fits the classifier of config.model: one epoch, no steps.

  Leaves model.npz and one row of metrics.jsonl. `optim`, `augment` and
  `data.standardize` have no effect: columns are always standardised on the
  train split. `mesh` is not used, and `generated` is None.
  """
  del mesh, generated
  classifier = _classifier(config.model)
  scalars = logs.Scalars(
    workdir, step=0, rows=0, tensorboard=config.log.tensorboard
  )
  parts = [part for part in ("train", "validation") if dataset.parts[part]]
  records = pipeline.load_parts(
    dataset, {part: ["features"] for part in parts}, config.data.cache_mb
  )
  x = np.concatenate(
    [statistics(block["features"]) for block in records["train"].blocks()]
  )
  print(f"examples: {', '.join(f'{len(records[p])} {p}' for p in parts)}")
  track = np.array([track for track, _ in records["train"].ids])
  classes, index = np.unique(records["train"].labels(), return_inverse=True)
  arrays = classifier.fit(x, index, track, config.seed) | {"classes": classes}
  model = _model(type(classifier), arrays, len(dataset.genres))
  row: dict[str, float] = {"epoch": 1}
  for part in parts:
    scores = metrics.quick(predict_part(model, records[part], dataset.genres))
    keys = ("loss", "accuracy") if part == "train" else scores
    row |= {f"{part}/{key}": scores[key] for key in keys}
  scalars.write(0, row)
  scalars.close()
  with atomic.opened(workdir / MODEL_FILE) as file:
    np.savez(file, allow_pickle=False, **arrays)
  atomic.write_checksums(workdir, [workdir / MODEL_FILE])
  values = [f"{key} {value:.4f}" for key, value in row.items() if "/" in key]
  print(f"epoch   1  {'  '.join(values)}")


def load(
  workdir: pathlib.Path, run: Mapping, mesh: jax.sharding.Mesh | None = None
) -> tuple[Model, int]:
  """The fitted classifier of a run folder, and its number of fitted numbers.

  It maps `[n, frames, bins]` or rows `[n, columns]` to float32 `[n, genres]`.
  """
  kind = type(_classifier(run["config"]["model"]))
  arrays = _read(workdir / MODEL_FILE)
  missing = [key for key in ("classes", *kind.arrays) if key not in arrays]
  if missing:
    raise InputError(
      f"{workdir / MODEL_FILE} lacks array {missing[0]!r}: written by another"
      " classifier; train again"
    )
  model = _model(kind, arrays, len(run["genres"]))
  try:
    total = model(np.zeros((1, *run["example_shape"]), np.float32)).sum()
    if not abs(total - 1) < 1e-3:
      raise ValueError(f"probabilities that sum to {total}")
  except Exception as error:  # whatever numpy raises of arrays of other shapes
    raise InputError(
      f"{workdir / MODEL_FILE} does not fit {list(run['example_shape'])}"
      f" examples: {first_line(error)}; train again"
    ) from error
  fitted = [array for array in arrays.values() if array.dtype.kind == "f"]
  return model, sum(array.size for array in fitted)


def trained(path: pathlib.Path, config: ml_collections.ConfigDict) -> dict:
  """The facts of the fit, as in `evaluate.trained`: one epoch."""
  rows = logs.read(path / "metrics.jsonl")
  value = rows[0].get(config.train.monitor) if rows else None
  return {
    "best_epoch": 1,
    "epochs_run": 1,
    "monitor": {"name": config.train.monitor, "value": value},
  }


def is_reported(
  config: ml_collections.ConfigDict, workdir: pathlib.Path
) -> bool:
  """Whether training is finished and the report is written."""
  del config  # fitted once, and then whole
  try:
    report.read(workdir / report.REPORT_FILE)
  except InputError:
    return False
  return (workdir / MODEL_FILE).is_file()


def predict_part(
  model: Model, records: pipeline.Records, genres: tuple[str, ...], *unused
) -> Predictions:
  """Every example of a split exactly once, on the host."""
  probabilities = [model(block["features"]) for block in records.blocks()]
  return records.predictions(np.concatenate(probabilities), genres)


def _model(kind: Any, arrays: Mapping[str, np.ndarray], genres: int) -> Model:
  """Probabilities of all genres: 0 for those without train tracks."""

  def probabilities(x: np.ndarray) -> np.ndarray:
    all_genres = np.zeros((len(x), genres), np.float32)
    all_genres[:, arrays["classes"]] = kind.probabilities(arrays, statistics(x))
    return all_genres

  return probabilities


def _read(path: pathlib.Path) -> Arrays:
  if not path.exists():
    raise InputError(f"no {path}: train first, or give another run folder")
  if damage := atomic.find_damage(path.parent, path.name.__eq__, whole=True):
    raise InputError(f"{path} is damaged; train again: {damage}")
  try:
    with path.open("rb") as file:
      return dict(np.load(file, allow_pickle=False))
  except (OSError, *DAMAGED_NPZ) as error:
    raise InputError(f"{path} cannot be read: {error}; train again") from error
