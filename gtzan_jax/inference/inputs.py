"""Model inputs from a track's content, after training.

The functions are those that prepared the training data: 16 bits, segments,
features; for a model of a log-mel archive audio becomes what an archive would
store. Tracks of any length are used whole.
"""

import itertools
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import jax
import numpy as np

from gtzan_jax import features
from gtzan_jax.audio import mono_waveform
from gtzan_jax.features import logmel_archive, whole_clip

BATCH = 32  # one size, padded: nothing is compiled for the last batch
# Seconds that a model of an archive treats as one track; longer audio is split
# into parts of about that length.
LONGEST = 300.0
# Yields a waveform in blocks, float32 `[n]`, each time it is called.
Blocks = Callable[[], Iterator[np.ndarray]]
# Corpus kinds that a model accepts, by the kind it was trained on.
_KINDS = {
  "audio": ("audio",),
  "logmel": ("logmel", "audio"),
  "picture": ("picture",),
  "table": ("table", "audio"),
}


def kinds(run: Mapping) -> tuple[str, ...]:
  """Corpus kinds that a run's model accepts."""
  if "table57" in run["feature_spec"]["parts"]:
    return _KINDS["table"]  # computed or read, the columns are the same
  return _KINDS[run["kind"]]


def examples(content: Any, kind: str, run: Mapping) -> np.ndarray:
  """Model inputs of one track, float32 `[s, ...]`.

  Args:
    content: of "audio" its `samples`, of "logmel" its `db` and `n_frames`, of
      "picture" its `rgb`, of "table" its `rows` `[s, 57]`.
    kind: which of these, one of `kinds(run)`.
    run: run.json's "kind", "feature_spec", "columns_per_frame" and
      "clip_seconds".
  """
  if kind == "audio":
    return np.concatenate([*stream(lambda: iter([content.samples]), run)])
  if kind == "logmel":
    return from_logmel(content.db, content.n_frames, run)
  if kind == "picture":
    return from_picture(content.rgb, run)
  return np.asarray(content.rows, np.float32)


def stream(blocks: Blocks, run: Mapping) -> Iterator[np.ndarray]:
  """Model inputs of a waveform of any length, `[s, ...]` at a time.

  Memory holds a few tracks' length at most. `blocks` gives the waveform at
  22,050 Hz, and is called twice where its length must be known first; `run` as
  for `examples`.
  """
  spec = features.FeatureSpec.from_dict(run["feature_spec"])

  def rounded() -> Iterator[np.ndarray]:
    for block in blocks():
      yield mono_waveform.to_float(
        mono_waveform.to_int16(block)
      )  # as in prepared data

  if spec.whole_clip:
    for part in _even(rounded, spec.sample_rate, run["clip_seconds"]):
      if run["kind"] == "logmel":
        db, _ = logmel_archive.from_audio(part, run["columns_per_frame"])
        yield whole_clip.from_logmel(db, spec)
      else:
        yield whole_clip.from_audio(part, spec)
  elif run["kind"] == "logmel":
    for part in _even(rounded, spec.sample_rate, LONGEST):
      columns = logmel_archive.from_audio(part, run["columns_per_frame"])
      yield from_logmel(*columns, run)
  else:
    length = spec.segment_samples
    sizes = itertools.repeat(spec.segments_per_track * length)
    for i, samples in enumerate(_resized(rounded(), sizes)):
      if i == 0 or len(samples) >= length:
        cut = mono_waveform.segments(samples, length, None)
        yield _computed(features.extract, cut, spec)


def _even(blocks: Blocks, rate: int, seconds: float) -> Iterator[np.ndarray]:
  """Parts of equal length, of about so many seconds."""
  kept: list[np.ndarray] = []
  total = 0
  for block in blocks():
    total += len(block)
    if total < 1.5 * seconds * rate:
      kept.append(block)
  count = _count(total, total / rate, seconds)
  if count == 1:
    yield np.concatenate(kept)
    return
  del kept
  longer = total % count
  sizes = [total // count + (i < longer) for i in range(count)]
  yield from _resized(blocks(), iter(sizes))


def _resized(
  blocks: Iterable[np.ndarray], sizes: Iterator[int]
) -> Iterator[np.ndarray]:
  """All rows or samples in blocks of other sizes; the last may be shorter."""
  kept: list[np.ndarray] = []
  count, size = 0, next(sizes)
  for block in blocks:
    while count + len(block) >= size:
      yield np.concatenate([*kept, block[: size - count]])
      block = block[size - count :]
      kept, count, size = [], 0, next(sizes, sys.maxsize)
    if len(block):
      kept.append(block)
      count += len(block)
  if kept:
    yield np.concatenate(kept)


def from_logmel(db: np.ndarray, n_frames: int, run: Mapping) -> np.ndarray:
  """Model inputs of a log-mel, float32 `[s, ...]`.

  `db` is float32 `[columns, 128]`, absolute dB, columns picked evenly from
  `n_frames`; `run` is of a model that was trained on an archive.
  """
  spec = features.FeatureSpec.from_dict(run["feature_spec"])
  if spec.whole_clip:
    seconds = n_frames * logmel_archive.HOP / logmel_archive.SAMPLE_RATE
    count = _count(len(db), seconds, run["clip_seconds"])
    parts = np.array_split(db, count)
    return np.concatenate([whole_clip.from_logmel(x, spec) for x in parts])
  width = logmel_archive.segment_columns(spec, run["columns_per_frame"])
  cut = logmel_archive.segments(db, n_frames, spec, width, None)
  return _computed(features.from_logmel, cut, spec)


def from_picture(rgb: np.ndarray, run: Mapping) -> np.ndarray:
  """uint8 `[height, width, 3]` -> float32 `[1, size, size, 3]`."""
  spec = features.FeatureSpec.from_dict(run["feature_spec"])
  return whole_clip.from_picture(rgb, spec)


def _count(length: int, seconds: float, each: float) -> int:
  return min(max(1, round(seconds / each)), length)


def _computed(
  compute: Callable[[np.ndarray, features.FeatureSpec], jax.Array],
  cut: np.ndarray,
  spec: features.FeatureSpec,
) -> np.ndarray:
  """Features of segments, in the batch size of preparing."""
  padded = batches(cut, spec.segments_per_track)
  return np.concatenate([compute(batch, spec)[:n] for batch, n in padded])


def regrouped(
  groups: Iterable[np.ndarray], size: int
) -> Iterator[tuple[np.ndarray, int]]:
  """`batches` of all groups together."""
  for batch in _resized(groups, itertools.repeat(size)):
    yield from batches(batch, size)


def batches(
  array: np.ndarray, size: int = BATCH
) -> Iterator[tuple[np.ndarray, int]]:
  """Yields (`size` examples in order, padded; the number of real ones)."""
  for start in range(0, len(array), size):
    batch = array[start : start + size]
    spare = ((0, size - len(batch)),) + ((0, 0),) * (batch.ndim - 1)
    yield np.pad(batch, spare), len(batch)
