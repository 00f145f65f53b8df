"""From what a track holds to a model's inputs, after training.

A track goes through the very functions that prepared the training data: 16
bits, segments, features; for a model of a log-mel archive sound becomes what
the archive would hold of it. Tracks of any length are taken whole.
"""

import itertools
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import jax
import numpy as np

from gtzan_jax import features
from gtzan_jax.audio import files as audio
from gtzan_jax.features import logmel_archive, whole_clip

BATCH = 32  # what a model is given at a time: nothing is compiled for the last
# Seconds that a model of an archive takes as one track: longer sound comes in
# parts of about that length.
LONGEST = 300.0
# A waveform, float32 `[n]` after `[n]`, as often as it is called.
Blocks = Callable[[], Iterator[np.ndarray]]
# What a model can be asked about, by what its training tracks held.
_KINDS = {
  "audio": ("audio",),
  "logmel": ("logmel", "audio"),
  "picture": ("picture",),
  "table": ("table", "audio"),
}


def kinds(run: Mapping) -> tuple[str, ...]:
  """What a track may hold for a run's model to be asked about it."""
  if "table57" in run["feature_spec"]["parts"]:
    return _KINDS["table"]  # computed or read, the columns are the same
  return _KINDS[run["kind"]]


def examples(content: Any, kind: str, run: Mapping) -> np.ndarray:
  """What a track holds -> a model's inputs, float32 `[s, ...]`.

  Args:
    content: of "audio" its `samples`, of "logmel" its `db` and `n_frames`, of
      "picture" its `rgb`, of "table" its `rows` `[s, 57]`.
    kind: which of these, one of `kinds(run)`.
    run: run.json's "kind", "feature_spec", "columns_per_frame" and
      "clip_seconds".
  """
  if kind == "audio":
    return from_audio(content.samples, run)
  if kind == "logmel":
    return from_logmel(content.db, content.n_frames, run)
  if kind == "picture":
    return from_picture(content.rgb, run)
  return np.asarray(content.rows, np.float32)


def from_audio(samples: np.ndarray, run: Mapping) -> np.ndarray:
  """A waveform, float32 `[n]` at 22,050 Hz: float32 `[s, ...]`."""
  return np.concatenate([*stream(lambda: iter([samples]), run)])


def stream(blocks: Blocks, run: Mapping) -> Iterator[np.ndarray]:
  """A waveform of any length in blocks: some examples after the other.

  Args:
    blocks: gives float32 `[n]` after `[n]` at 22,050 Hz; called twice where the
      length of all has to be known first.
    run: of the model.

  Yields:
    float32 `[s, ...]`; no more is held at a time than a few tracks have.
  """
  spec = features.FeatureSpec.from_dict(run["feature_spec"])

  def rounded() -> Iterator[np.ndarray]:
    for block in blocks():
      yield audio.to_float(audio.to_int16(block))  # as they are prepared

  if spec.whole_clip:
    for part in _even(rounded, spec.sample_rate, run["clip_seconds"]):
      yield _clip(part, spec, run)
  elif run["kind"] == "logmel":
    for part in _even(rounded, spec.sample_rate, LONGEST):
      columns = logmel_archive.from_audio(part, run["columns_per_frame"])
      yield from_logmel(*columns, run)
  else:
    length = spec.segment_samples
    many = itertools.repeat(spec.segments_per_track * length)
    for i, some in enumerate(_resized(rounded(), many)):
      if i == 0 or len(some) >= length:
        cut = audio.segments(some, length, None)
        yield _computed(features.extract, cut, spec)


def _even(blocks: Blocks, rate: int, seconds: float) -> Iterator[np.ndarray]:
  """Parts of one length, about so many seconds."""
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
  """The same samples in blocks of other sizes; the last may be shorter."""
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


def _clip(
  samples: np.ndarray, spec: features.FeatureSpec, run: Mapping
) -> np.ndarray:
  if run["kind"] == "logmel":
    db, _ = logmel_archive.from_audio(samples, run["columns_per_frame"])
    return whole_clip.from_logmel(db, spec)
  return whole_clip.from_audio(samples, spec)


def from_logmel(db: np.ndarray, n_frames: int, run: Mapping) -> np.ndarray:
  """A log-mel, float32 `[columns, 128]`, absolute dB: float32 `[s, ...]`.

  Args:
    db: of any number of columns, picked evenly from ...
    n_frames: ... so many frames.
    run: of a model that was trained on an archive.
  """
  spec = features.FeatureSpec.from_dict(run["feature_spec"])
  if spec.whole_clip:
    parts = _parts(
      db, n_frames * logmel_archive.HOP / logmel_archive.SAMPLE_RATE, run
    )
    return np.concatenate(
      [whole_clip.from_logmel(part, spec) for part in parts]
    )
  width = logmel_archive.segment_columns(spec, run["columns_per_frame"])
  cut = logmel_archive.segments(db, n_frames, spec, width, None)
  return _computed(features.from_logmel, cut, spec)


def from_picture(rgb: np.ndarray, run: Mapping) -> np.ndarray:
  """A picture, uint8 `[height, width, 3]`: float32 `[1, size, size, 3]`."""
  spec = features.FeatureSpec.from_dict(run["feature_spec"])
  return whole_clip.from_picture(rgb, spec)


def _parts(array: np.ndarray, seconds: float, run: Mapping) -> list[np.ndarray]:
  """Parts of one length, about that of a track: a GTZAN track is one."""
  count = _count(len(array), seconds, run["clip_seconds"])
  return np.array_split(array, count)


def _count(length: int, seconds: float, each: float) -> int:
  return min(max(1, round(seconds / each)), length)


def _computed(
  compute: Callable[[np.ndarray, features.FeatureSpec], jax.Array],
  cut: np.ndarray,
  spec: features.FeatureSpec,
) -> np.ndarray:
  """Features of segments, as many at a time as when they were prepared."""
  some = batches(cut, spec.segments_per_track)
  return np.concatenate([compute(batch, spec)[:n] for batch, n in some])


def regrouped(
  groups: Iterable[np.ndarray], size: int
) -> Iterator[tuple[np.ndarray, int]]:
  """`batches` of all groups together."""
  kept, count = [], 0
  for group in groups:
    kept.append(group)
    count += len(group)
    if count >= size:
      together = np.concatenate(kept)
      whole = count - count % size
      yield from batches(together[:whole], size)
      kept, count = [together[whole:]], count - whole
  if count:
    yield from batches(np.concatenate(kept), size)


def batches(
  array: np.ndarray, size: int = BATCH
) -> Iterator[tuple[np.ndarray, int]]:
  """Examples in order: (as many as `size`, how many of them are real)."""
  for start in range(0, len(array), size):
    batch = array[start : start + size]
    spare = ((0, size - len(batch)),) + ((0, 0),) * (batch.ndim - 1)
    yield np.pad(batch, spare), len(batch)
