"""Predictions: class probabilities of segments or tracks, in plain numpy.

Voting, metrics, plots and reports start from this table and import no JAX.
"""

import dataclasses
import hashlib
import os
import pathlib
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

import numpy as np

from gtzan_jax import atomic, input_limits
from gtzan_jax.errors import DAMAGED_NPZ, InputError
from gtzan_jax.scores import artist_names, segment_voting

TRACK_ROW = -1  # the segment number of a row for a whole track

_ROWS = ("track", "segment", "label", "probabilities", "artist")
_COLUMNS = (*_ROWS[:4], "genres", "artist")
# Tolerance of a row's sum: older tables were rounded to half precision, which
# moves a sum by up to 0.0005, averaged and rounded again.
_OFF = 5e-3


@dataclasses.dataclass(frozen=True, eq=False)
class Predictions:
  """Predictions for N examples; N may be zero.

  Nothing is rounded: means and the likeliest genre are computed in float64, and
  a file stores the probabilities to the last bit, so every number of a report
  can be recomputed from it. Only equal float64 values are a tie, which the
  first in `genres` wins.

  Attributes:
    track: [N] str, the track of each example.
    segment: [N] int32, its place in the track; -1 for the whole track.
    label: [N] int32, the true genre, an index into `genres`.
    probabilities: [N, C] float64; a row sums to 1 within 0.005, or has a NaN
      where the model diverged: it then predicts no genre.
    genres: the C genre names in the order of the columns.
    artist: [N] str, names separated by "; ", "" where unknown (default: all).

  Raises:
    InputError: shapes or types disagree, a label has no genre, a row does not
      sum to 1, an example occurs twice, or a track has two labels or artists.
  """

  track: np.ndarray
  segment: np.ndarray
  label: np.ndarray
  probabilities: np.ndarray
  genres: tuple[str, ...]
  artist: np.ndarray = None  # type: ignore[assignment]  # see __post_init__

  def __post_init__(self):
    artist = [""] * len(self.track) if self.artist is None else self.artist
    exact = {
      "genres": _names(self.genres),
      "track": _column("track", self.track, "U", np.str_),
      "segment": _column("segment", self.segment, "iu", np.int32),
      "label": _column("label", self.label, "iu", np.int32),
      "probabilities": _column(
        "probabilities", self.probabilities, "fiu", np.float64
      ),
      "artist": _column("artist", artist, "U", np.str_),
    }
    for name, value in exact.items():
      object.__setattr__(self, name, value)  # the class is frozen
    _check_shapes(self)
    _check_values(self)

  def __len__(self) -> int:
    return len(self.track)

  @property
  def predicted(self) -> np.ndarray:
    """[N] int32: the likeliest genre of each row, -1 where a row has a NaN."""
    usable = np.isfinite(self.probabilities).all(axis=1)
    likeliest = self.probabilities.argmax(axis=1)
    return np.where(usable, likeliest, -1).astype(np.int32)

  @property
  def correct(self) -> np.ndarray:
    """[N] bool: whether the predicted genre is the true one."""
    return self.predicted == self.label

  @property
  def clusters(self) -> np.ndarray:
    """[N] int, the bootstrap cluster of each row, numbered from 0.

    A cluster is an artist, joined with those that share a credit, or a track
    whose artist is unknown.
    """
    pairs = zip(self.artist.tolist(), self.track.tolist(), strict=True)
    labels = [
      [f"artist {name}" for name in artist_names.names(credit)]
      or [f"track {track}"]
      for credit, track in pairs
    ]
    group = artist_names.joined(labels)
    # Numbered alphabetically, independent of the order of the rows.
    first: dict[int, str] = {}
    for number, own in zip(group, labels, strict=True):
      first[number] = min(first.get(number, own[0]), *own)
    return np.unique([first[n] for n in group], return_inverse=True)[1]

  @property
  def n_clusters(self) -> int:
    """Number of clusters."""
    return int(self.clusters.max(initial=-1)) + 1

  def with_artists(self, credit: Mapping[str, str]) -> "Predictions":
    """A copy with the artists of {track: credit}."""
    known = [credit.get(track, "") for track in self.track.tolist()]
    return dataclasses.replace(self, artist=np.asarray(known, np.str_))

  def select(self, rows: np.ndarray) -> "Predictions":
    """The rows at these indices, or where [N] bool is true."""
    chosen = {name: getattr(self, name)[rows] for name in _ROWS}
    return dataclasses.replace(self, **chosen)

  def by_track(
    self, vote: Literal["mean", "majority"] = "mean"
  ) -> "Predictions":
    """One row a track (segment -1), in order of first appearance.

    Args:
      vote: "mean" averages the probabilities of a track's rows. "majority"
        gives each row one vote for its likeliest genre; the probabilities are
        the shares of the votes. A tie goes to the genre with the greatest mean
        probability (then the first in `genres`), which receives a thousandth
        of the votes more, so that argmax finds it.

    Raises:
      InputError: another `vote`.
    """
    if vote not in ("mean", "majority"):
      raise InputError(f"vote {vote!r}: 'mean' or 'majority' is accepted")
    first, group = segment_voting.tracks(self.track)
    total = np.zeros((len(first), len(self.genres)))
    np.add.at(total, group, self.probabilities)
    rows = np.bincount(group, minlength=len(first))[:, None]
    probabilities = total / rows
    if vote == "majority":
      ballots = self.predicted[:, None] == np.arange(len(self.genres))
      votes = np.zeros_like(total)
      np.add.at(votes, group, ballots)
      probabilities = segment_voting.shares(votes, probabilities)
    return Predictions(
      track=self.track[first],
      segment=np.full(len(first), TRACK_ROW, np.int32),
      label=self.label[first],
      probabilities=probabilities,
      genres=self.genres,
      artist=self.artist[first],
    )

  def save(self, path: str | os.PathLike) -> None:
    """Writes an .npz without pickles, atomically.

    Probabilities have the narrowest of float16, float32 and float64 that stores
    them exactly.
    """
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    columns = {name: np.asarray(getattr(self, name)) for name in _COLUMNS}
    exact = self.probabilities
    narrower = (exact.astype(dtype) for dtype in (np.float16, np.float32))
    same = (x for x in narrower if np.array_equal(x, exact, equal_nan=True))
    columns["probabilities"] = next(same, exact)
    with atomic.opened(path) as file:
      np.savez_compressed(file, allow_pickle=False, **columns)


def load(path: str | os.PathLike) -> Predictions:
  """Reads what `Predictions.save` wrote.

  Raises:
    InputError: see `columns`, or contents that `Predictions` refuses.
  """
  arrays = columns(path, _COLUMNS)
  try:
    return Predictions(**arrays)
  except InputError as error:
    raise InputError(f"{path}: {error}") from error


def columns(path: str | os.PathLike, names: Sequence[str]) -> dict[str, Any]:
  """The arrays of these names in an .npz.

  Raises:
    InputError: no such file, not such an .npz; pickled objects are refused.
  """
  wanted = f"an .npz with {', '.join(names)} is accepted"
  try:
    input_limits.check_npz(path, f"{path}: ")
    with open(path, "rb") as file, zipfile.ZipFile(file) as archive:
      held = {name.removesuffix(".npy") for name in archive.namelist()}
      absent = [name for name in names if name not in held]
      if absent:
        raise InputError(f"{path}: no {', '.join(absent)} inside; {wanted}")
      arrays: dict[str, Any] = {}
      for name in names:
        with archive.open(f"{name}.npy") as member:
          arrays[name] = np.lib.format.read_array(member, allow_pickle=False)
      return arrays
  except InputError:
    raise
  except OSError as error:
    raise InputError(f"{path}: {error.strerror or error}; {wanted}") from error
  except DAMAGED_NPZ as error:
    reason = str(error).splitlines()[0] if str(error) else "unreadable"
    raise InputError(f"{path}: {reason}; {wanted}") from error


def digest(tracks: Iterable[str]) -> str:
  """sha256 (hex) of track ids, each once, sorted and a line each."""
  lines = "".join(f"{track}\n" for track in sorted(set(tracks)))
  return hashlib.sha256(lines.encode()).hexdigest()


def _column(name: str, value, kinds: str, dtype: type) -> np.ndarray:
  """The values as `dtype`; refuses other kinds and inexact integers."""
  array = np.asarray(value)
  if array.dtype == object and all(isinstance(x, str) for x in array.flat):
    array = array.astype(np.str_)
  accepted = {np.str_: "str", np.int32: "int32"}.get(dtype, "float32")
  if array.size and array.dtype.kind not in kinds:
    raise InputError(f"{name}: {array.dtype} received, {accepted} is accepted")
  column: np.ndarray = array.astype(dtype)
  if dtype is np.int32 and (column != array).any():
    wrong = array.flat[np.flatnonzero(column != array)[0]]
    raise InputError(f"{name}: {wrong} received, int32 is accepted")
  return column


def _names(value) -> tuple[str, ...]:
  array = _column("genres", value, "U", np.str_)
  if array.ndim != 1:
    raise InputError(f"genres: shape {array.shape} received, [C] is accepted")
  return tuple(array.tolist())


def _check_shapes(p: Predictions) -> None:
  count, genres = len(p.genres), p.genres
  if count < 2 or len(set(genres)) != count:
    raise InputError(f"genres: {genres} received, two or more names, each once")
  rows = p.track.shape[0] if p.track.ndim == 1 else None
  for name in _ROWS:
    wide = name == "probabilities"
    accepted = (rows, count) if wide else (rows,)
    words = f"[N, {count}]" if wide else "[N]"
    if (shape := getattr(p, name).shape) != accepted:
      raise InputError(
        f"{name}: shape {shape} received, {words} is accepted (N = {rows})"
      )


def _check_values(p: Predictions) -> None:
  bad = np.flatnonzero((p.label < 0) | (p.label >= len(p.genres)))
  if bad.size:
    raise InputError(
      f"label: {p.label[bad[0]]} at track {p.track[bad[0]]} received, 0 to"
      f" {len(p.genres) - 1} is accepted"
    )
  sums = p.probabilities.sum(axis=1, dtype=np.float64)
  off = np.abs(sums - 1) > _OFF
  bad = np.flatnonzero(off | (p.probabilities < 0).any(axis=1))
  if bad.size:
    raise InputError(
      f"probabilities: a row of track {p.track[bad[0]]} sums to"
      f" {sums[bad[0]]:.4g} or has a negative part; 1 and none are accepted"
    )
  first, group = segment_voting.tracks(p.track)
  for name, what in (("label", "genres"), ("artist", "artists")):
    column = getattr(p, name)
    bad = np.flatnonzero(column != column[first][group])
    if bad.size:
      raise InputError(
        f"{name}: two {what} for track {p.track[bad[0]]}, one a track is"
        " accepted"
      )
  pairs = np.stack([group, p.segment], axis=1) if len(p) else np.zeros((0, 2))
  unique, counts = np.unique(pairs, axis=0, return_counts=True)
  if (counts > 1).any():
    group_index, segment = unique[counts.argmax()]
    raise InputError(
      f"segment: {segment} of track {p.track[first[group_index]]} occurs"
      f" {counts.max()} times, once is accepted"
    )
