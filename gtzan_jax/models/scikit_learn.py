"""scikit-learn classifiers stored as plain arrays and applied in numpy.

So they are kept without a pickle, and the predictions of a stored model do not
depend on the version of scikit-learn.
"""

import collections
import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from gtzan_jax.errors import InputError
from gtzan_jax.scores import calibration

# The lowest gives a clear winner 98 %.
TEMPERATURES = np.geomspace(0.25, 20.0, 89)
_FOLDS = 5  # of the train tracks, to fit the temperature

Arrays = dict[str, np.ndarray]


@dataclasses.dataclass(frozen=True)
class Majority:
  """Predicts the genre frequencies of the train split for every example."""

  least: ClassVar[tuple[int, int]] = (1, 1)  # genres, train tracks of each
  arrays: ClassVar[tuple[str, ...]] = ("share",)

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
  arrays: ClassVar[tuple[str, ...]] = ("mean", "scale", "coef", "intercept")

  def fit(self, x, label, track, seed) -> Arrays:
    from sklearn import linear_model

    estimator = linear_model.LogisticRegression(C=self.C, max_iter=10_000)
    scaler, fitted = _standardised(estimator, x, label)
    coef, intercept = fitted.coef_, fitted.intercept_
    if len(coef) == 1:  # two genres: scikit-learn keeps the second's only
      coef = np.concatenate([np.zeros_like(coef), coef])
      intercept = np.concatenate([np.zeros_like(intercept), intercept])
    return {**scaler, "coef": coef, "intercept": intercept}

  @staticmethod
  def probabilities(arrays: Mapping[str, np.ndarray], x) -> np.ndarray:
    z = (x - arrays["mean"]) / arrays["scale"]
    return calibration.softmax(z @ arrays["coef"].T + arrays["intercept"])


@dataclasses.dataclass(frozen=True)
class SVM:
  """Support vector machine with a Gaussian kernel on standardised columns.

  Its probabilities are the softmax of its one-vs-rest scores over a temperature
  (Guo et al. 2017, "On calibration of modern neural networks"), fitted by cross
  validation on the train tracks.

  Attributes:
    C: inverse strength of the regularisation.
    gamma: one over the squared width of the kernel, times the number of
      columns: 1.0 is scikit-learn's "scale".
  """

  C: float = 1.0
  gamma: float = 0.3
  least: ClassVar[tuple[int, int]] = (2, 2)
  arrays: ClassVar[tuple[str, ...]] = (
    *("mean", "scale", "gamma", "support", "count", "dual", "intercept"),
    "temperature",
  )

  def fit(self, x, label, track, seed) -> Arrays:
    from sklearn.model_selection import StratifiedGroupKFold

    tracks = dict(zip(track, label, strict=True))
    fewest = min(collections.Counter(tracks.values()).values())
    folds = StratifiedGroupKFold(
      min(_FOLDS, fewest), shuffle=True, random_state=seed
    )
    scores = np.zeros((len(x), len(np.unique(label))))
    for rest, held in folds.split(x, label, track):
      scores[held] = self.scores(self._fit(x[rest], label[rest]), x[held])

    def loss(temperature: float) -> float:
      shares = calibration.softmax(scores / temperature)
      chosen = shares[np.arange(len(x)), label]
      return -np.log(np.maximum(chosen, calibration.SMALLEST)).mean()

    best = min(TEMPERATURES, key=loss)
    return {**self._fit(x, label), "temperature": np.asarray(best)}

  def _fit(self, x, label) -> Arrays:
    from sklearn import svm

    gamma = self.gamma / x.shape[1]
    scaler, fitted = _standardised(svm.SVC(C=self.C, gamma=gamma), x, label)
    # For two genres scikit-learn flips the sign.
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
    """SVC.decision_function(decision_function_shape="ovr"), [n, genres].

    One-vs-one wins of each genre, ties broken by margins.
    """
    from sklearn.metrics.pairwise import rbf_kernel

    z = (x - arrays["mean"]) / arrays["scale"]
    kernel = rbf_kernel(z, arrays["support"], gamma=float(arrays["gamma"]))
    genres, dual = len(arrays["count"]), arrays["dual"]
    owner = np.repeat(np.arange(genres), arrays["count"])
    i, j = np.triu_indices(genres, 1)  # the pairs
    weights = np.where(owner == i[:, None], dual[j - 1], 0)
    weights += np.where(owner == j[:, None], dual[i], 0)
    margins = kernel @ weights.T + arrays["intercept"]
    sign = np.eye(genres)[i] - np.eye(genres)[j]
    won = np.where(margins >= 0, 1.0, -1.0) @ sign
    total = margins @ sign
    return (won + genres - 1) / 2 + total / (3 * (np.abs(total) + 1))

  @staticmethod
  def probabilities(arrays: Mapping[str, np.ndarray], x) -> np.ndarray:
    return calibration.softmax(SVM.scores(arrays, x) / arrays["temperature"])


CLASSIFIERS: dict[str, type] = {
  "majority": Majority,
  "logreg": LogisticRegression,
  "svm": SVM,
}


def create(name: str, **options) -> Majority | LogisticRegression | SVM:
  """The classifier called `name`, unfitted.

  Args:
    name: a key of CLASSIFIERS.
    **options: its fields; those left out keep their default.

  Raises:
    InputError: no such classifier or option, or a value not above 0.
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
        f"classifier {name!r}: {key}={value!r} received, a number"
        " above 0 is accepted"
      )
  return CLASSIFIERS[name](**options)


def _standardised(estimator, x, label) -> tuple[Arrays, Any]:
  """(mean and scale of each column, the estimator fitted on the result)."""
  from sklearn import pipeline as sklearn_pipeline
  from sklearn import preprocessing

  fitted = sklearn_pipeline.make_pipeline(
    preprocessing.StandardScaler(), estimator
  ).fit(x, label)
  return {"mean": fitted[0].mean_, "scale": fitted[0].scale_}, fitted[-1]
