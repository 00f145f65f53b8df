"""Stores many tables of predictions in one small file.

A probability p is stored as round(levels * cbrt(p)), an integer of 8 or 16 bit.
The predicted genre of every segment and track, by mean and by majority vote, is
unchanged. Each table has the fewest LEVELS by which loss, calibration error and
top-3 accuracy change less than a tolerance. Rows that several tables share are
stored once.
"""

import dataclasses
import itertools
import os
from collections.abc import Iterator, Mapping

import numpy as np

from gtzan_jax import atomic
from gtzan_jax.errors import InputError
from gtzan_jax.scores import metrics, predictions, segment_voting
from gtzan_jax.scores.calibration import ece, loss
from gtzan_jax.scores.predictions import Predictions

LEVELS = (40, 100, 255, 65535)
TOLERANCE = 0.02
_NARROW = 255  # levels up to here are stored as 8 bit
_TRIES = 50  # adjustments of codes
_COLUMNS: dict[str, type] = {
  # of each table
  **{"run": np.str_, "split": np.str_, "rows": np.uint32},
  **{"genres_of": np.uint32, "levels": np.uint32},
  # genres: names by newlines; of each list of rows, its size
  **{"genres": np.str_, "sizes": np.uint32},
  # of each row: its place in the next three, and its segment
  **{"entry": np.uint32, "segment": np.int32},
  **dict.fromkeys(("track", "artist", "genre"), np.str_),
  # [C, N] of each table, one after the other
  **{"codes8": np.uint8, "codes16": np.uint16},
}

Key = tuple[str, str]  # run and split


def save(
  path: str | os.PathLike,
  tables: Mapping[Key, Predictions],
  tolerance: float = TOLERANCE,
) -> None:
  """Writes tables as one .npz without pickles, atomically.

  Args:
    path: of the file.
    tables: {(run, split): its predictions}.
    tolerance: maximum change of loss, calibration error and top-3 accuracy; 0
      selects the most LEVELS, whose changes are about 1e-5.

  Raises:
    InputError: a table that cannot be stored, such as one with a NaN.
  """
  entries, genres, rows = _Index(), _Index(), _Index()
  values: dict[str, list] = {name: [] for name in _COLUMNS}
  codes: dict[str, list[np.ndarray]] = {"codes8": [], "codes16": []}
  for (run, split), table in tables.items():
    names = [table.genres[i] for i in table.label]
    about = zip(table.track.tolist(), table.artist.tolist(), names, strict=True)
    own, known = [entries(one) for one in about], len(rows)
    number = rows((*own, *table.segment.tolist()))
    if number == known:
      values["sizes"].append(len(own))
      values["entry"] += own
      values["segment"] += table.segment.tolist()
    levels, code = encode(table, tolerance, f"{run}, {split}")
    codes["codes8" if levels <= _NARROW else "codes16"].append(code.T.ravel())
    values["run"].append(run)
    values["split"].append(split)
    values["rows"].append(number)
    values["genres_of"].append(genres("\n".join(table.genres)))
    values["levels"].append(levels)
  values["genres"] = list(genres)
  for i, name in enumerate(("track", "artist", "genre")):
    values[name] = [entry[i] for entry in entries]
  columns: dict[str, np.ndarray] = {
    name: np.array(values[name], dtype) for name, dtype in _COLUMNS.items()
  }
  for name, parts in codes.items():
    columns[name] = np.concatenate([columns[name], *parts])
  with atomic.opened(path) as file:
    np.savez_compressed(file, allow_pickle=False, **columns)


class Tables(Mapping[Key, Predictions]):
  """The tables of a file that `save` wrote, decoded on access.

  Raises:
    InputError: no such file, or not one that `save` wrote.
  """

  def __init__(self, path: str | os.PathLike):
    self._columns = columns = predictions.columns(path, tuple(_COLUMNS))
    self._path = path
    try:
      sizes = columns["sizes"].tolist()
      starts = np.cumsum([0, *sizes])
      self._rows = [slice(a, b) for a, b in itertools.pairwise(starts)]
      self._places, used = {}, {8: 0, 16: 0}
      for i, key in enumerate(
        zip(columns["run"].tolist(), columns["split"].tolist(), strict=True)
      ):
        bits = 8 if columns["levels"][i] <= _NARROW else 16
        names = columns["genres"][columns["genres_of"][i]].split("\n")
        end = used[bits] + sizes[columns["rows"][i]] * len(names)
        self._places[key] = i, names, f"codes{bits}", slice(used[bits], end)
        used[bits] = end
    except (IndexError, ValueError, TypeError) as error:
      raise InputError(f"{path} is damaged: {error}") from error

  def __iter__(self) -> Iterator[Key]:
    return iter(self._places)

  def __len__(self) -> int:
    return len(self._places)

  def __getitem__(self, key: Key) -> Predictions:
    i, names, name, place = self._places[key]
    columns = self._columns
    try:
      rows = self._rows[columns["rows"][i]]
      entry = columns["entry"][rows]
      code = columns[name][place].reshape(len(names), len(entry)).T
      return Predictions(
        track=columns["track"][entry],
        segment=columns["segment"][rows],
        label=np.array(
          [names.index(genre) for genre in columns["genre"][entry].tolist()],
          np.int32,
        ),
        probabilities=decode(code, int(columns["levels"][i])),
        genres=names,
        artist=columns["artist"][entry],
      )
    except (IndexError, ValueError) as error:
      raise InputError(f"{self._path} is damaged: {error}") from error


def encode(
  table: Predictions, tolerance: float, name: str
) -> tuple[int, np.ndarray]:
  """The levels of a table and its codes, [N, C] uint8 or uint16.

  Raises:
    InputError: see `save`; `name` is the table's.
  """
  if (table.predicted < 0).any():
    raise InputError(f"{name}: NaN received, finite probabilities are accepted")
  if not len(table):
    return LEVELS[0], np.zeros(table.probabilities.shape, np.uint8)
  genres, scores = list(_genres(table)), _scores(table)
  for levels in LEVELS:
    codes = _codes(table, levels)
    packed = dataclasses.replace(table, probabilities=decode(codes, levels))
    changed = np.abs(scores - _scores(packed)).max()
    if all(map(np.array_equal, genres, _genres(packed))) and (
      changed < tolerance or levels == LEVELS[-1]
    ):
      return levels, codes
  raise InputError(f"{name}: too many ties to be stored with {levels} levels")


def decode(codes: np.ndarray, levels: int) -> np.ndarray:
  """Probabilities [N, C] float64 of codes; each row sums to 1."""
  values = (codes / levels) ** 3
  return values / values.sum(axis=1, keepdims=True)


def _codes(table: Predictions, levels: int) -> np.ndarray:
  """Rounded codes, adjusted until the same genres are predicted."""
  dtype = np.uint8 if levels <= _NARROW else np.uint16
  codes = np.rint(levels * np.cbrt(table.probabilities)).astype(np.int64)
  winner = table.predicted
  by_track = table.by_track()
  # Rows and by_track have the same order.
  _, tracks = segment_voting.tracks(table.track)
  for _ in range(_TRIES):
    rows = np.flatnonzero(codes.argmax(axis=1) != winner)
    codes[rows, winner[rows]] = codes[rows].max(axis=1)
    rows = np.flatnonzero(codes.argmax(axis=1) != winner)
    codes[rows, winner[rows]] += 1
    probabilities = decode(codes, levels)
    now = dataclasses.replace(table, probabilities=probabilities).by_track()
    wrong = np.flatnonzero(now.predicted != by_track.predicted)
    if not len(wrong):
      break
    for track in wrong:
      own, genre = np.flatnonzero(tracks == track), by_track.predicted[track]
      codes[own[codes[own, genre].argmax()], genre] += 1
  return codes.clip(0, levels).astype(dtype)


def _genres(table: Predictions) -> Iterator[np.ndarray]:
  """Predicted genres of segments and tracks, which stay unchanged."""
  for one in (table, table.by_track(), table.by_track("majority")):
    yield one.predicted


def _scores(table: Predictions) -> np.ndarray:
  """Scores that may change within the tolerance."""
  return np.array(
    [
      score
      for one in (table, table.by_track())
      for score in (
        loss(one.probabilities, one.label),
        ece(one.probabilities, one.correct),
        metrics.top3(one),
      )
    ]
  )


class _Index(dict):
  """Numbers values in order of first occurrence."""

  def __call__(self, value) -> int:
    return self.setdefault(value, len(self))
