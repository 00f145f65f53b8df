"""Baselines without a network: scikit-learn on statistics of each example.

No result of a network stands without them. An example [frames, bins] becomes
one row: mean and deviation of each bin over the frames, and the deviation of
its change from frame to frame, which says how fast the sound moves (of all that
was tried on validation it helped most). A table's row is taken as it is.

What was fitted is kept as plain arrays, model.npz, and applied in numpy: no
pickle, and no other version of scikit-learn can change what a model says.
"""

import collections
import dataclasses
import itertools
import os
import pathlib
import zipfile
from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar

import ml_collections
import numpy as np

from gtzan_jax import features, logs, metrics, pipeline
from gtzan_jax.errors import InputError
from gtzan_jax.predictions import Predictions

MODEL_FILE = "model.npz"
# The lowest gives a clear winner 98 %: some hundred tracks show no more.
TEMPERATURES = np.geomspace(0.25, 20.0, 89)
_FOLDS = 5  # of the train tracks, to find the temperature
_CHUNK = 256  # examples read at a time
_UNREADABLE = (OSError, ValueError, TypeError, EOFError, zipfile.BadZipFile)

Arrays = dict[str, np.ndarray]
Model = Callable[[np.ndarray], np.ndarray]


@dataclasses.dataclass(frozen=True)
class Majority:
  """The shares of the genres in the train part, whatever is heard."""

  least: ClassVar[tuple[int, int]] = (1, 1)  # genres, train tracks of each

  def fit(self, x, label, track, seed) -> Arrays:
    return {"share": np.bincount(label) / len(label)}

  @staticmethod
  def probabilities(arrays: Mapping[str, np.ndarray], x) -> np.ndarray:
    return np.tile(arrays["share"], (len(x), 1))


@dataclasses.dataclass(frozen=True)
class LogisticRegression:
  """Multinomial logistic regression on standardised columns.

  Attributes:
    C: one over the strength of the L2 penalty.
  """

  C: float = 0.1
  least: ClassVar[tuple[int, int]] = (2, 1)

  def fit(self, x, label, track, seed) -> Arrays:
    from sklearn import linear_model

    estimator = linear_model.LogisticRegression(C=self.C, max_iter=10_000)
    scaler, fitted = _standardised(estimator, x, label)
    coef, intercept = fitted.coef_, fitted.intercept_
    if len(coef) == 1:  # two genres: scikit-learn keeps the second's alone
      coef = np.concatenate([np.zeros_like(coef), coef])
      intercept = np.concatenate([np.zeros_like(intercept), intercept])
    return {**scaler, "coef": coef, "intercept": intercept}

  @staticmethod
  def probabilities(arrays: Mapping[str, np.ndarray], x) -> np.ndarray:
    z = (x - arrays["mean"]) / arrays["scale"]
    return _softmax(z @ arrays["coef"].T + arrays["intercept"])


@dataclasses.dataclass(frozen=True)
class SVM:
  """Support vector machine with a Gaussian kernel on standardised columns.

  A machine votes; its probabilities are the softmax of its scores over one
  temperature (Guo et al. 2017, "On calibration of modern neural networks"),
  found on train tracks that were left out in turn. The winner stays the same.

  Attributes:
    C: the price of an example on the wrong side.
    gamma: one over the squared width of the kernel, times the number of
      columns: 1.0 is scikit-learn's "scale".
  """

  C: float = 1.0
  gamma: float = 0.3
  least: ClassVar[tuple[int, int]] = (2, 2)

  def fit(self, x, label, track, seed) -> Arrays:
    from sklearn.model_selection import StratifiedGroupKFold

    tracks = {pair[0]: pair[1] for pair in zip(track, label, strict=True)}
    fewest = min(collections.Counter(tracks.values()).values())
    folds = StratifiedGroupKFold(
      min(_FOLDS, fewest), shuffle=True, random_state=seed
    )
    scores = np.zeros((len(x), len(np.unique(label))))
    for rest, held in folds.split(x, label, track):
      scores[held] = self.scores(self._fit(x[rest], label[rest]), x[held])

    def loss(temperature: float) -> float:
      chosen = _softmax(scores / temperature)[np.arange(len(x)), label]
      return -np.log(np.maximum(chosen, metrics.SMALLEST)).mean()

    best = min(TEMPERATURES, key=loss)
    return {**self._fit(x, label), "temperature": np.asarray(best)}

  def _fit(self, x, label) -> Arrays:
    from sklearn import svm

    gamma = self.gamma / x.shape[1]
    scaler, fitted = _standardised(svm.SVC(C=self.C, gamma=gamma), x, label)
    # For two genres scikit-learn turns the sign round.
    sign = -1.0 if len(fitted.classes_) == 2 else 1.0
    return {
      **scaler,
      "gamma": np.asarray(gamma),
      "support": fitted.support_vectors_,
      "count": fitted.n_support_,
      "dual": sign * fitted.dual_coef_,
      "intercept": sign * fitted.intercept_,
    }

  @staticmethod
  def scores(arrays: Mapping[str, np.ndarray], x) -> np.ndarray:
    """Duels won by each genre [n, genres], margins settling the ties.

    As SVC.decision_function(decision_function_shape="ovr") counts them.
    """
    from sklearn.metrics.pairwise import rbf_kernel

    z = (x - arrays["mean"]) / arrays["scale"]
    kernel = rbf_kernel(z, arrays["support"], gamma=float(arrays["gamma"]))
    genres, dual = len(arrays["count"]), arrays["dual"]
    owner = np.repeat(np.arange(genres), arrays["count"])
    pairs = list(itertools.combinations(range(genres), 2))
    weights = [
      np.where(owner == i, dual[j - 1], 0) + np.where(owner == j, dual[i], 0)
      for i, j in pairs
    ]
    margins = kernel @ np.transpose(weights) + arrays["intercept"]
    sign = np.zeros((len(pairs), genres))
    for row, (i, j) in zip(sign, pairs, strict=True):
      row[i], row[j] = 1.0, -1.0
    won = np.where(margins >= 0, 1.0, -1.0) @ sign
    total = margins @ sign
    return (won + genres - 1) / 2 + total / (3 * (np.abs(total) + 1))

  @staticmethod
  def probabilities(arrays: Mapping[str, np.ndarray], x) -> np.ndarray:
    return _softmax(SVM.scores(arrays, x) / arrays["temperature"])


CLASSIFIERS: dict[str, type] = {
  "majority": Majority,
  "logreg": LogisticRegression,
  "svm": SVM,
}


def create(name: str, **options) -> Majority | LogisticRegression | SVM:
  """The classifier called `name`, not fitted.

  Args:
    name: a key of CLASSIFIERS.
    **options: its fields; those left out keep their default.

  Raises:
    InputError: no such classifier or option, or a value that is no number
      above 0.
  """
  if name not in CLASSIFIERS:
    raise InputError(
      f"unknown classifier {name!r}; the classifiers are"
      f" {', '.join(sorted(CLASSIFIERS))}"
    )
  known = [field.name for field in dataclasses.fields(CLASSIFIERS[name])]
  for key, value in options.items():
    if key not in known:
      raise InputError(
        f"classifier {name!r} has no option {key!r}; its options are"
        f" {', '.join(known) or 'none'}"
      )
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not 0 < value < np.inf:
      raise InputError(
        f"classifier {name!r}: {key}={value!r} is no number above 0"
      )
  return CLASSIFIERS[name](**options)


def statistics(x: np.ndarray) -> np.ndarray:
  """Examples as rows: [n, frames, bins] -> float64 [n, 3 * bins].

  Mean, standard deviation and standard deviation of the first difference in
  time of each bin, in its own unit. Rows of a table [n, columns] stay.
  """
  x = np.asarray(x, np.float64)
  if x.ndim == 2:
    return x
  change = np.diff(x, axis=1)
  return np.concatenate([x.mean(1), x.std(1), change.std(1)], axis=1)


def check(config: ml_collections.ConfigDict, dataset: pipeline.Dataset) -> None:
  """Refuses, before anything is fitted, what cannot be.

  Raises:
    InputError: see `create`; pictures, or too few train tracks or genres.
  """
  options = dict(config.model)
  classifier = create(options.pop("name"), **options)
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
      f"config.data.protocol={dataset.protocol!r} leaves {has or 'no'} tracks"
      f" in the train part: {config.model.name!r} needs {genres} genres or more"
      f" with {each} tracks or more each"
    )


def fit(
  config: ml_collections.ConfigDict,
  dataset: pipeline.Dataset,
  workdir: pathlib.Path,
) -> None:
  """Fits the classifier that config.model names: one epoch, no steps.

  Args:
    config: of a recipe with task "classical"; `optim`, `augment` and
      `data.standardize` mean nothing to it (columns are always standardised on
      the train part).
    dataset: a prepared corpus cut by a protocol.
    workdir: holds model.npz and one row of metrics.jsonl afterwards.

  Raises:
    InputError: see `check`.
  """
  check(config, dataset)
  options = dict(config.model)
  classifier = create(options.pop("name"), **options)
  scalars = logs.Scalars(
    workdir, step=0, rows=0, tensorboard=config.log.tensorboard
  )
  parts = [part for part in ("train", "validation") if dataset.parts[part]]
  records = pipeline.load_parts(
    dataset, {part: ["features"] for part in parts}, config.data.cache_mb
  )
  batches = [
    (statistics(batch["features"]), batch["label"])
    for batch in _batches(records["train"])
  ]
  x, label = map(np.concatenate, zip(*batches, strict=True))
  print(f"segments: {', '.join(f'{len(records[p])} {p}' for p in parts)}")
  track = np.array([track for track, _ in records["train"].ids])
  classes, index = np.unique(label, return_inverse=True)
  arrays = classifier.fit(x, index, track, config.seed) | {"classes": classes}
  model = _model(type(classifier), arrays, len(dataset.genres))
  row = {"epoch": 1}
  for part in parts:
    found = metrics.quick(predict_part(model, records[part], dataset.genres))
    keys = ("loss", "accuracy") if part == "train" else found
    row |= {f"{part}/{key}": found[key] for key in keys}
  scalars.write(0, row)
  scalars.close()
  _save(workdir / MODEL_FILE, arrays)
  values = [f"{key} {value:.4f}" for key, value in row.items() if "/" in key]
  print(f"epoch   1  {'  '.join(values)}")


def load(workdir: pathlib.Path, run: Mapping) -> Model:
  """The fitted classifier of a workdir.

  Args:
    workdir: where `fit` has been.
    run: its run.json.

  Returns:
    features [n, frames, bins] (or rows [n, columns]) -> float32 [n, genres].

  Raises:
    InputError: no model in it, or one that cannot be read.
  """
  kind = CLASSIFIERS[run["config"]["model"]["name"]]
  return _model(kind, _read(workdir / MODEL_FILE), len(run["genres"]))


def num_params(workdir: pathlib.Path) -> int:
  """How many fitted numbers the model of a workdir holds."""
  arrays = _read(workdir / MODEL_FILE).values()
  return sum(array.size for array in arrays if array.dtype.kind == "f")


def is_reported(workdir: pathlib.Path) -> bool:
  """Is there nothing left to fit here, and does the report stand?"""
  return all((workdir / n).is_file() for n in (MODEL_FILE, "report.json"))


def predict_part(
  model: Model, records: pipeline.Records, genres: Sequence[str]
) -> Predictions:
  """Every example of a part exactly once, on the host."""
  rows = [
    (model(batch["features"]), batch["label"]) for batch in _batches(records)
  ]
  probabilities, label = map(np.concatenate, zip(*rows, strict=True))
  track, segment = zip(*records.ids, strict=True)
  return Predictions(track, segment, label, probabilities, tuple(genres))


def _batches(records: pipeline.Records):
  for start in range(0, len(records), _CHUNK):
    yield records.take(np.arange(start, min(start + _CHUNK, len(records))))


def _model(kind: type, arrays: Mapping[str, np.ndarray], genres: int) -> Model:
  """Probabilities of all genres; one that was not learnt has none."""

  def probabilities(x: np.ndarray) -> np.ndarray:
    found = np.zeros((len(x), genres), np.float32)
    found[:, arrays["classes"]] = kind.probabilities(arrays, statistics(x))
    return found

  return probabilities


def _standardised(estimator, x, label) -> tuple[Arrays, object]:
  """(what standardises a column, the estimator fitted behind it)."""
  from sklearn import pipeline as sklearn_pipeline
  from sklearn import preprocessing

  fitted = sklearn_pipeline.make_pipeline(
    preprocessing.StandardScaler(), estimator
  ).fit(x, label)
  return {"mean": fitted[0].mean_, "scale": fitted[0].scale_}, fitted[-1]


def _softmax(scores: np.ndarray) -> np.ndarray:
  """[n, genres] -> rows that sum to 1."""
  shares = np.exp(scores - scores.max(axis=1, keepdims=True))
  return shares / shares.sum(axis=1, keepdims=True)


def _save(path: pathlib.Path, arrays: Mapping[str, np.ndarray]) -> None:
  """All of it or nothing."""
  temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
  try:
    with temporary.open("wb") as file:
      np.savez(file, allow_pickle=False, **arrays)
    os.replace(temporary, path)
  finally:
    temporary.unlink(missing_ok=True)


def _read(path: pathlib.Path) -> Arrays:
  try:
    with path.open("rb") as file:
      return dict(np.load(file, allow_pickle=False))
  except FileNotFoundError:
    raise InputError(
      f"no {path}: train first, or give another workdir"
    ) from None
  except _UNREADABLE as error:
    raise InputError(f"{path} cannot be read: {error}; train again") from error
