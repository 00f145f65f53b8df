"""Accuracy, precision, recall, F1, loss, calibration and their uncertainty.

The numbers are scikit-learn's to the bit, computed in numpy: its import takes
longer than all scores. Two conventions:

- A genre without an example in the split is left out of the macro and weighted
  means; its precision, recall and F1 are null, its support 0. (scikit-learn
  with all labels and zero_division=0 would average in a 0.)
- A genre that has examples but is never predicted has precision 0.
"""

from typing import Any

import numpy as np

from gtzan_jax.errors import InputError
from gtzan_jax.scores import artist_names, bootstrap, segment_voting
from gtzan_jax.scores.calibration import ece, loss
from gtzan_jax.scores.predictions import Predictions


def evaluate(
  predictions: Predictions, *, resamples: int = bootstrap.RESAMPLES
) -> dict[str, dict]:
  """`scores` by segment, by track (mean) and by track (majority vote)."""
  levels = {
    "segment": predictions,
    "track": predictions.by_track("mean"),
    "track_majority": predictions.by_track("majority"),
  }
  return {
    name: scores(level, resamples=resamples) for name, level in levels.items()
  }


def scores(
  predictions: Predictions, *, resamples: int = bootstrap.RESAMPLES
) -> dict:
  """All scores of a table of predictions, as plain Python values.

  Args:
    predictions: a row is a segment or a track.
    resamples: number of bootstrap resamples for the interval.

  Returns:
    {"n": 0} for no rows; otherwise n (rows), accuracy, ci95 [low, high], top3,
    macro_precision, macro_recall, macro_f1, weighted_f1, loss (mean cross
    entropy in nats), ece (expected calibration error), per_genre {genre:
    {precision, recall, f1, support}} and confusion [C][C] (row = true genre,
    column = predicted genre). For a majority vote, a genre's probability is
    its share of the votes.

  Raises:
    InputError: a probability is NaN: the model diverged.
  """
  if not len(predictions):
    return {"n": 0}
  true, predicted = predictions.label, predictions.predicted
  if (predicted < 0).any():
    track = predictions.track[predicted.argmin()]
    raise InputError(
      f"probabilities: NaN at track {track}, finite ones are accepted; the"
      " model diverged, train it with a lower learning rate"
    )
  genres = len(predictions.genres)
  confusion = np.zeros((genres, genres), int)
  np.add.at(confusion, (true, predicted), 1)
  correct, support = confusion.diagonal(), confusion.sum(1)
  by_genre = {
    "precision": correct / np.maximum(confusion.sum(0), 1),
    "recall": correct / np.maximum(support, 1),
    "f1": 2 * correct / np.maximum(support + confusion.sum(0), 1),
  }
  has = support > 0
  macro = {key: float(x[has].mean()) for key, x in by_genre.items()}
  return {
    "n": len(predictions),
    "accuracy": float(np.mean(predicted == true)),
    "ci95": bootstrap.interval(
      predictions.clusters, predicted == true, resamples=resamples
    ),
    "top3": top3(predictions),
    "macro_precision": macro["precision"],
    "macro_recall": macro["recall"],
    "macro_f1": macro["f1"],
    "weighted_f1": float(np.average(by_genre["f1"][has], weights=support[has])),
    "loss": loss(predictions.probabilities, true),
    "ece": ece(predictions.probabilities, predictions.correct),
    "per_genre": {
      genre: {
        **{key: float(x[i]) if has[i] else None for key, x in by_genre.items()},
        "support": int(support[i]),
      }
      for i, genre in enumerate(predictions.genres)
    },
    "confusion": confusion.tolist(),
  }


def known_artists(
  predictions: Predictions, train: Predictions
) -> dict[str, int]:
  """Counts tracks whose artist is in the train split.

  Returns:
    {tracks, of}: their number, and the number of tracks whose artist is named.
  """
  known, first = artist_names.known, segment_voting.tracks(predictions.track)[0]
  credits = list(filter(None, map(known, predictions.artist[first].tolist())))
  trained = set().union(*map(known, set(train.artist.tolist())))
  shared = sum(not trained.isdisjoint(names) for names in credits)
  return {"tracks": shared, "of": len(credits)}


def top3(predictions: Predictions) -> float:
  """Share of the rows whose true genre is among the three most probable.

  Of equally probable genres the first in `genres` comes first. A genre of
  probability 0 (in a majority vote: without a vote) is never counted.
  """
  rows, true = np.arange(len(predictions)), predictions.label
  p = predictions.probabilities
  p_true = p[rows, true][:, None]
  before = np.arange(p.shape[1]) < true[:, None]
  ahead = ((p > p_true) | ((p == p_true) & before)).sum(axis=1)
  return float(np.mean((ahead < 3) & (p_true[:, 0] > 0)))


def quick(predictions: Predictions) -> dict[str, float]:
  """The scalars of one evaluation during training, computed in milliseconds.

  Returns:
    loss and accuracy of the rows; track_loss, track_accuracy and
    track_macro_f1 of the tracks by mean probability. If a
    probability is NaN, the losses are NaN and its row counts as incorrect.

  Raises:
    InputError: no rows.
  """
  if not len(predictions):
    raise InputError("predictions: 0 rows received, one or more are accepted")
  tracks = predictions.by_track("mean")
  return {
    "loss": loss(predictions.probabilities, predictions.label),
    "accuracy": float(np.mean(predictions.correct)),
    "track_loss": loss(tracks.probabilities, tracks.label),
    "track_accuracy": float(np.mean(tracks.correct)),
    "track_macro_f1": _macro_f1(tracks),
  }


def hardest(predictions: Predictions, count: int = 10) -> list[dict]:
  """The tracks with the lowest mean probability of the true genre.

  Returns:
    up to `count` of {track, genre, predicted, probability, true_probability},
    lowest first, ties by track id.
  """
  tracks = predictions.by_track("mean")
  if not len(tracks):
    return []
  p_true = tracks.probabilities[np.arange(len(tracks)), tracks.label]
  chosen = np.lexsort((tracks.track, p_true))[:count]
  return [
    {
      "track": str(tracks.track[i]),
      "genre": tracks.genres[tracks.label[i]],
      "predicted": tracks.genres[tracks.predicted[i]],
      "probability": float(tracks.probabilities[i].max()),
      "true_probability": float(p_true[i]),
    }
    for i in chosen
  ]


def confused(
  confusion: list[list[int]], genres: list[str], count: int = 8
) -> list[dict]:
  """The largest cells off the diagonal: [{genre, predicted, n, share}].

  `share` is n over the number of examples of the true genre.
  """
  pairs: list[dict[str, Any]] = [
    {"genre": genres[i], "predicted": genres[j], "n": n, "share": n / sum(row)}
    for i, row in enumerate(confusion)
    for j, n in enumerate(row)
    if i != j and n
  ]
  return sorted(pairs, key=lambda p: (-p["n"], -p["share"]))[:count]


def _macro_f1(predictions: Predictions) -> float:
  genres = np.arange(len(predictions.genres))
  true = predictions.label[:, None] == genres
  predicted = predictions.predicted[:, None] == genres
  return macro_f1((true & predicted).sum(0), true.sum(0), predicted.sum(0))


def macro_f1(
  correct: np.ndarray, support: np.ndarray, predicted: np.ndarray
) -> float:
  """Mean F1 over the genres that have examples: 2 TP / (2 TP + FP + FN).

  Args:
    correct: [genre] number of correct predictions.
    support: [genre] number of examples; at least one genre has some.
    predicted: [genre] number of predictions.
  """
  f1 = 2 * correct / np.maximum(support + predicted, 1)
  return float(f1[support > 0].mean())
