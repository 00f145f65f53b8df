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
from collections.abc import Iterable, Iterator, Mapping

import numpy as np

from gtzan_jax import atomic
from gtzan_jax.errors import InputError
from gtzan_jax.scores import metrics, predictions
from gtzan_jax.scores.calibration import ece, loss
from gtzan_jax.scores.predictions import Predictions

LEVELS = (40, 100, 255, 65535)
TOLERANCE = 0.02
_NARROW = 255  # levels up to here are stored as 8 bit
_TRIES = 50  # adjustments of codes
_COLUMNS = (
  # of each table
  *("run", "split", "rows", "genres_of", "levels"),
  # genres: names by newlines; of each list of rows, its size
  *("genres", "sizes"),
  # of each row: its place in the next three, and its segment
  *("entry", "segment"),
  *("track", "artist", "genre"),
  # [C, N] of each table, one after the other
  *("codes8", "codes16"),
)

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
  entry, segment, about = [], [], []
  codes: dict[int, list[np.ndarray]] = {8: [], 16: []}
  for (run, split), table in tables.items():
    where = np.array(
      [
        entries(one)
        for one in zip(
          table.track.tolist(),
          table.artist.tolist(),
          [table.genres[i] for i in table.label],
          strict=True,
        )
      ],
      np.uint32,
    )
    known = len(rows)
    number = rows((where.tobytes(), table.segment.tobytes()))
    if number == known:
      entry.append(where)
      segment.append(table.segment)
    levels, code = encode(table, tolerance, f"{run}, {split}")
    narrow = levels <= _NARROW
    codes[8 if narrow else 16].append(code.T.ravel())
    about.append((run, split, number, genres("\n".join(table.genres)), levels))
  of_tables = [*zip(*about, strict=True)] or [()] * 5
  of_entries = [*zip(*entries, strict=True)] or [()] * 3
  columns = {
    "run": np.array(of_tables[0], np.str_),
    "split": np.array(of_tables[1], np.str_),
    "rows": np.array(of_tables[2], np.uint32),
    "genres_of": np.array(of_tables[3], np.uint32),
    "levels": np.array(of_tables[4], np.uint32),
    "genres": np.array(list(genres), np.str_),
    "sizes": np.array([len(one) for one in entry], np.uint32),
    "entry": _joined(entry, np.uint32),
    "segment": _joined(segment, np.int32),
    "track": np.array(of_entries[0], np.str_),
    "artist": np.array(of_entries[1], np.str_),
    "genre": np.array(of_entries[2], np.str_),
    "codes8": _joined(codes[8], np.uint8),
    "codes16": _joined(codes[16], np.uint16),
  }
  with atomic.opened(path) as file:
    np.savez_compressed(file, allow_pickle=False, **columns)


class Tables(Mapping[Key, Predictions]):
  """The tables of a file that `save` wrote, decoded on access.

  Raises:
    InputError: no such file, or not one that `save` wrote.
  """

  def __init__(self, path: str | os.PathLike):
    self._columns = found = predictions.columns(path, _COLUMNS)
    self._path = path
    try:
      sizes = found["sizes"].tolist()
      starts = np.cumsum([0, *sizes])
      self._rows = [slice(a, b) for a, b in itertools.pairwise(starts)]
      self._places, used = {}, {8: 0, 16: 0}
      for i, key in enumerate(
        zip(found["run"].tolist(), found["split"].tolist(), strict=True)
      ):
        bits = 8 if found["levels"][i] <= _NARROW else 16
        names = found["genres"][found["genres_of"][i]].split("\n")
        end = used[bits] + sizes[found["rows"][i]] * len(names)
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
    found = self._columns
    try:
      rows = self._rows[found["rows"][i]]
      entry = found["entry"][rows]
      code = found[name][place].reshape(len(names), len(entry)).T
      return Predictions(
        track=found["track"][entry],
        segment=found["segment"][rows],
        label=np.array(
          [names.index(genre) for genre in found["genre"][entry].tolist()],
          np.int32,
        ),
        probabilities=decode(code, int(found["levels"][i])),
        genres=names,
        artist=found["artist"][entry],
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
    found = dataclasses.replace(table, probabilities=decode(codes, levels))
    changed = np.abs(scores - _scores(found)).max()
    if all(map(np.array_equal, genres, _genres(found))) and (
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
  wanted = dict(
    zip(by_track.track.tolist(), by_track.predicted.tolist(), strict=True)
  )
  tracks = table.track.tolist()
  for _ in range(_TRIES):
    rows = np.flatnonzero(codes.argmax(axis=1) != winner)
    codes[rows, winner[rows]] = codes[rows].max(axis=1)
    rows = np.flatnonzero(codes.argmax(axis=1) != winner)
    codes[rows, winner[rows]] += 1
    now = dataclasses.replace(
      table, probabilities=decode(codes, levels)
    ).by_track()
    wrong = {
      track
      for track, genre in zip(
        now.track.tolist(), now.predicted.tolist(), strict=True
      )
      if wanted[track] != genre
    }
    if not wrong:
      break
    best: dict[str, int] = {}  # the row with the highest code of the winner
    for i, track in enumerate(tracks):
      if track in wrong:
        genre = wanted[track]
        if track not in best or codes[i, genre] > codes[best[track], genre]:
          best[track] = i
    for track, i in best.items():
      codes[i, wanted[track]] += 1
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


def _joined(parts: Iterable[np.ndarray], dtype) -> np.ndarray:
  return np.concatenate([np.zeros(0, dtype), *parts])
