"""From a track to its examples: decode on threads, cut, compute in JAX."""

import collections
import functools
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent import futures

import jax
import numpy as np
import tensorflow_datasets as tfds

from gtzan_jax import audio, features
from gtzan_jax.errors import InputError
from gtzan_jax.features import archive
from tfds_gtzan.track import Audio, Corpus, Track


def example_features(
  spec: features.FeatureSpec, corpus: Corpus
) -> dict[str, tfds.features.FeatureConnector]:
  """What a record holds; `audio` or `logmel`, as the corpus's tracks do."""
  tensor = functools.partial(
    tfds.features.Tensor, encoding=tfds.features.Encoding.BYTES
  )
  if corpus.kind == "audio":
    shape, dtype = (spec.segment_samples,), np.int16
  else:
    width = archive.segment_columns(spec, corpus.columns_per_frame)
    shape, dtype = (width, archive.N_MELS), np.float32
  example = jax.ShapeDtypeStruct((1, *shape), dtype)
  values = jax.eval_shape(functools.partial(_features, spec), example)
  return {
    corpus.kind: tensor(shape=shape, dtype=dtype),
    "features": tensor(shape=values.shape[1:], dtype=np.float32),
    "label": tfds.features.ClassLabel(names=corpus.genres),
    "track": tfds.features.Text(),
    "artist": tfds.features.Text(),
    "segment": tfds.features.Scalar(np.int32),
    "start": tfds.features.Scalar(np.float32),
  }


def read_segments(
  spec: features.FeatureSpec, corpus: Corpus, track: Track
) -> tuple[np.ndarray, np.ndarray]:
  """Decodes a track and cuts it: its segments [s, ...] and their starts in s.

  int16 `[s, segment_samples]` of a waveform, float32 `[s, width, 128]` of a
  log-mel. Raises InputError where the track cannot be decoded.
  """
  content, most = track.read(), spec.segments_per_track
  if isinstance(content, Audio):
    # 16 bits on disk; features are computed from the same 16 bits.
    pcm = audio.to_int16(content.samples)
    segments = audio.segments(pcm, spec.segment_samples, most)
    starts = np.arange(len(segments)) * spec.segment_samples / spec.sample_rate
    return segments, starts
  width = archive.segment_columns(spec, corpus.columns_per_frame)
  segments = archive.segments(content.db, content.n_frames, spec, width, most)
  return segments, archive.starts(content.n_frames, spec, most)


def decode_ahead(
  read: Callable[[Track], tuple], tracks: Sequence[Track]
) -> Iterator[tuple[Track, tuple | InputError]]:
  """Reads on threads a few tracks ahead; in order, mistakes as values.

  Threads and not processes: JAX has started, and its process must not fork.
  """
  threads = min(8, os.cpu_count() or 1)
  waiting = collections.deque()
  pool = futures.ThreadPoolExecutor(threads)

  def first() -> tuple[Track, tuple | InputError]:
    track, future = waiting.popleft()
    try:
      return track, future.result()
    except InputError as error:
      return track, error

  try:
    for track in tracks:
      waiting.append((track, pool.submit(read, track)))
      if len(waiting) > 2 * threads:
        yield first()
    while waiting:
      yield first()
  finally:
    pool.shutdown(cancel_futures=True)


def compute(spec: features.FeatureSpec, segments: np.ndarray) -> np.ndarray:
  """Features of a track's segments: float32 `[s, frames, bins]`.

  Segments are padded to the most a track can have, so that XLA compiles once.
  """
  spare = spec.segments_per_track - len(segments)
  pad = ((0, spare),) + ((0, 0),) * (segments.ndim - 1)
  values = _features(spec, np.pad(segments, pad))
  return np.asarray(values)[: len(segments)]


def _features(spec: features.FeatureSpec, segments: jax.Array) -> jax.Array:
  if segments.dtype == np.int16:
    return features.extract(audio.to_float(segments), spec)
  return features.from_logmel(segments, spec)
