"""From a track to its examples: decode, cut and compute, on threads."""

import collections
import functools
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent import futures
from typing import TypeVar

import jax
import numpy as np
import tensorflow_datasets as tfds

from gtzan_jax import features, input_limits
from gtzan_jax.audio import mono_waveform as audio
from gtzan_jax.errors import InputError, StopError
from gtzan_jax.features import logmel_archive, whole_clip
from tfds_gtzan.corpora.types import (
  Audio,
  Content,
  Corpus,
  LogMel,
  Picture,
  Track,
)

Stacked = Mapping[str, np.ndarray]
# Of a track: the number of its examples and the facts of its content, or why it
# cannot be read.
Outcome = tuple[int, Mapping[str, object]] | str
Note = Callable[[Track, Outcome], None]
_T = TypeVar("_T")


def example_features(
  spec: features.FeatureSpec, corpus: Corpus
) -> dict[str, tfds.features.FeatureConnector]:
  """What a record holds; of segments, what they were computed from as well."""
  tensor = functools.partial(
    tfds.features.Tensor, encoding=tfds.features.Encoding.BYTES
  )
  if spec.whole_clip:
    arrays = {
      "features": tensor(shape=whole_clip.shape(spec), dtype=np.float32)
    }
  else:
    shape: tuple[int, ...] = (spec.segment_samples,)
    if corpus.kind != "audio":
      shape = (_columns(spec, corpus), logmel_archive.N_MELS)
    dtype = np.int16 if corpus.kind == "audio" else np.float32
    segment = jax.ShapeDtypeStruct((1, *shape), dtype)
    values = jax.eval_shape(functools.partial(_features, spec), segment)
    arrays = {
      corpus.kind: tensor(shape=shape, dtype=dtype),
      "features": tensor(shape=values.shape[1:], dtype=np.float32),
    }
  return arrays | {
    "label": tfds.features.ClassLabel(names=corpus.genres),
    "track": tfds.features.Text(),
    "artist": tfds.features.Text(),
    "segment": tfds.features.Scalar(np.int32),
    "start": tfds.features.Scalar(np.float32),
  }


def _columns(spec: features.FeatureSpec, corpus: Corpus) -> int:
  assert corpus.columns_per_frame is not None
  return logmel_archive.segment_columns(spec, corpus.columns_per_frame)


def read(spec: features.FeatureSpec, corpus: Corpus, track: Track) -> Stacked:
  """Decodes a track and makes its examples, stacked.

  "features" float32 `[s, ...]` and "start" `[s]` in seconds, s >= 1; of
  segments also "audio" int16 `[s, segment_samples]` or "logmel" float32
  `[s, width, 128]`.
  """
  return of_content(spec, corpus, content(spec, track))


def content(spec: features.FeatureSpec, track: Track) -> Content:
  """What a track holds; of a long waveform no more than examples need.

  InputError where one example would be longer than `input_limits.LIMITS`.
  """
  if track.blocks is None:
    return track.read()
  if not spec.whole_clip:
    most = spec.segments_per_track * spec.segment_samples
    return Audio.start(track.blocks(), most)
  most = round(60 * input_limits.limit("CLIP_MINUTES") * spec.sample_rate)
  waveform = Audio.start(track.blocks(), most)
  minutes = waveform.facts["seconds"] / 60
  input_limits.check_limit(
    "CLIP_MINUTES",
    minutes,
    f"{track.id}: {minutes:,.1f} minutes, one example of {spec.name} in all",
  )
  return waveform


def of_content(
  spec: features.FeatureSpec, corpus: Corpus, content: Content
) -> Stacked:
  """The examples of what a track holds, as `read` returns them."""
  if spec.whole_clip:
    return _whole(spec, content)
  assert isinstance(content, Audio | LogMel)  # see builder's check_kind
  segments, starts = cut(spec, corpus, content)
  return {
    corpus.kind: segments,
    "features": _compute(spec, segments),
    "start": starts,
  }


def _whole(spec: features.FeatureSpec, content: Content) -> Stacked:
  if isinstance(content, Audio):
    # The same 16 bits as segments are computed from.
    samples = audio.to_float(audio.to_int16(content.samples))
    values = whole_clip.from_audio(samples, spec)
  elif isinstance(content, LogMel):
    values = whole_clip.from_logmel(content.db, spec)
  elif isinstance(content, Picture):
    values = whole_clip.from_picture(content.rgb, spec)
  else:
    values = whole_clip.from_rows(content.rows, spec)
    return {"features": values, "start": content.starts[: len(values)]}
  return {"features": values, "start": np.zeros(len(values))}


def cut(
  spec: features.FeatureSpec, corpus: Corpus, content: Audio | LogMel
) -> tuple[np.ndarray, np.ndarray]:
  """The segments `[s, ...]` of a track and their starts `[s]` in seconds.

  int16 `[s, segment_samples]` of a waveform, float32 `[s, width, 128]` of a
  log-mel.
  """
  most = spec.segments_per_track
  if isinstance(content, Audio):
    # 16 bits on disk; features are computed from the same 16 bits.
    pcm = audio.to_int16(content.samples)
    segments = audio.segments(pcm, spec.segment_samples, most)
    starts = np.arange(len(segments)) * spec.segment_samples / spec.sample_rate
    return segments, starts
  segments = logmel_archive.segments(
    content.db, content.n_frames, spec, _columns(spec, corpus), most
  )
  return segments, logmel_archive.starts(content.n_frames, spec, most)


def _compute(spec: features.FeatureSpec, segments: np.ndarray) -> np.ndarray:
  """Features of a track's segments: float32 `[s, frames, bins]`.

  Segments are padded to the most a track can have, so that XLA compiles once.
  """
  spare = spec.segments_per_track - len(segments)
  pad = ((0, spare),) + ((0, 0),) * (segments.ndim - 1)
  values = _features(spec, np.pad(segments, pad))
  return np.asarray(values)[: len(segments)]


def _features(
  spec: features.FeatureSpec, segments: jax.Array | np.ndarray
) -> jax.Array:
  if segments.dtype == np.int16:
    return features.extract(audio.to_float(segments), spec)
  return features.from_logmel(segments, spec)


def of_tracks(
  spec: features.FeatureSpec,
  corpus: Corpus,
  tracks: Sequence[Track],
  note: Note,
) -> Iterator[tuple[str, dict]]:
  """(key, example) of at most a shard's tracks in order, segments ascending.

  `note` is called with each track's outcome, in order; the corpus's own
  `tracks` are not used. StopError is raised: no track is skipped for it.
  """

  def made(track: Track) -> tuple[Stacked, Mapping[str, object]]:
    held = content(spec, track)
    return of_content(spec, corpus, held), held.facts

  for track, result in read_ahead(made, tracks):
    if isinstance(result, InputError):
      note(track, str(result))
      continue
    stacked, of_all = result
    count = len(stacked["features"])
    facts = {"track": track.id, "artist": track.artist, "label": track.genre}
    for i in range(count):
      example = {name: values[i] for name, values in stacked.items()}
      yield f"{track.id}/{i}", example | facts | {"segment": i}
    note(track, (count, of_all))


def read_ahead(
  read: Callable[[Track], _T], tracks: Sequence[Track]
) -> Iterator[tuple[Track, _T | InputError]]:
  """Reads on threads a few tracks ahead; in order, errors as values.

  Not on processes: JAX has started, and its process must not fork.
  StopError is raised: no track is skipped for it.
  """
  threads = min(8, os.cpu_count() or 1)
  waiting: collections.deque = collections.deque()
  pool = futures.ThreadPoolExecutor(threads)

  def first() -> tuple[Track, _T | InputError]:
    track, future = waiting.popleft()
    try:
      return track, future.result()
    except StopError:
      raise
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


def skip(
  corpus: Corpus, track: Track, reason: str, skipped: list[dict[str, str]]
) -> None:
  """Adds an unreadable track to `skipped`.

  InputError: too many (`input_limits.check_unreadable`), or all of a genre.
  """
  skipped.append({"track": track.id, "reason": reason})
  reasons = {skip["track"]: skip["reason"] for skip in skipped}
  first = skipped[0]["reason"]
  input_limits.check_unreadable(len(reasons), len(corpus.tracks), first)
  of_genre = [t.id for t in corpus.tracks if t.genre == track.genre]
  if reasons.keys() >= set(of_genre):
    raise InputError(
      f"no track of the genre {track.genre} can be read; the first:"
      f" {reasons[of_genre[0]]}; mend or remove them"
    )
