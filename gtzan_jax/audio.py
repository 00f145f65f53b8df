"""Audio file -> mono float32 at one rate -> segments of one length."""

import itertools
import operator
import os
import stat
from collections.abc import Iterable, Iterator

import numpy as np
import soxr

from gtzan_jax import decoding, errors
from gtzan_jax.errors import InputError

SAMPLE_RATE = 22_050
# Formats of libsndfile that people have; not .w64, where a file that was cut
# short would pass for a whole one.
EXTENSIONS = (
  ".au",
  ".snd",
  ".wav",
  ".wave",
  ".flac",
  ".ogg",
  ".oga",
  ".opus",
  ".mp3",
  ".aif",
  ".aiff",
  ".caf",
)

# Files that a GAN made have names that begin so: none is a track.
GENERATED = "generated-"

# Raised when what is read of MP3 files changes: it is part of fingerprints.
MP3_VERSION = 2
SHORTEST = 0.1  # seconds of a file: less gives a model nothing to go by


def read(path: str | os.PathLike, sample_rate: int = SAMPLE_RATE) -> np.ndarray:
  """A whole file, mono at `sample_rate`: float32 `[samples]`, see `blocks`."""
  return np.concatenate([*blocks(path, sample_rate)])


def blocks(
  path: str | os.PathLike, sample_rate: int = SAMPLE_RATE
) -> Iterator[np.ndarray]:
  """Decodes a file to mono at `sample_rate`, a block after the other.

  Any format, rate and channel count that libsndfile knows (WAV, AU, FLAC, Ogg,
  MP3, ...). Channels are averaged, then soxr (quality HQ) resamples. Memory
  does not depend on the length, and the samples do not depend on the blocks.

  Yields:
    float32 `[n]`, n >= 1, nominally in -1..1.

  Raises:
    InputError: missing, empty, undecodable or truncated file, no samples in
      it, or samples that are not finite. One line: the file and the reason.
      What a reader raises is never anything else.
  """
  name = errors.shown(path)
  with errors.reading(path):
    try:
      status = os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
      status = None
    if status is None or not stat.S_ISREG(status.st_mode):
      raise InputError(f"{name}: no such audio file")
    if status.st_size == 0:
      raise InputError(f"{name}: empty file (0 bytes)")
    seconds = 0.0

    def mixed() -> Iterator[tuple[np.ndarray, int]]:
      nonlocal seconds
      for samples, rate in decoding.blocks(path):
        seconds += len(samples) / rate
        mono = samples.mean(axis=1)
        if not np.isfinite(mono).all():
          raise InputError(
            f"{name}: samples that are not finite (NaN or infinity)"
          )
        yield mono, rate

    yield from _resampled(mixed(), sample_rate)
    if seconds == 0:
      raise InputError(f"{name}: no audio samples in it")
    if seconds < SHORTEST:
      raise InputError(
        f"{name}: {seconds:.4f} s of sound; accepted are {SHORTEST} s or more"
      )


def _resampled(
  mixed: Iterable[tuple[np.ndarray, int]], sample_rate: int
) -> Iterator[np.ndarray]:
  """Mono blocks with their rate -> blocks at one rate, empty ones left out."""
  for rate, same in itertools.groupby(mixed, key=operator.itemgetter(1)):
    if rate == sample_rate:
      yield from (mono for mono, _ in same)
      continue
    stream = soxr.ResampleStream(
      rate, sample_rate, 1, dtype="float32", quality="HQ"
    )
    # As many samples as a block has come out, whatever the ratio.
    step = max(1, decoding.BLOCK * rate // max(rate, sample_rate))
    for mono, _ in same:
      for start in range(0, len(mono), step):
        some = stream.resample_chunk(mono[start : start + step])
        if len(some):
          yield some
    rest = stream.resample_chunk(np.zeros(0, np.float32), last=True)
    if len(rest):
      yield rest


def to_int16(samples: np.ndarray) -> np.ndarray:
  """Rounds -1..1 to 16 bit PCM and clips; any shape."""
  scaled = np.rint(np.asarray(samples, np.float32) * 32768)
  return np.clip(scaled, -32768, 32767).astype(np.int16)


def to_float(pcm: np.ndarray) -> np.ndarray:
  """16 bit PCM to float32 in -1..1, exactly; NumPy or JAX, any shape."""
  return pcm.astype(np.float32) / 32768


def segments(
  audio: np.ndarray, segment_samples: int, max_segments: int | None
) -> np.ndarray:
  """Whole segments from the start; what is left over at the end is dropped.

  A track shorter than one segment becomes one, padded with zeros.

  Args:
    audio: `[n]`, any dtype.
    segment_samples: samples a segment.
    max_segments: segments at most; None for no limit.

  Returns:
    `[s, segment_samples]` with s >= 1.
  """
  if len(audio) < segment_samples:
    audio = np.pad(audio, (0, segment_samples - len(audio)))
  count = len(audio) // segment_samples
  if max_segments is not None:
    count = min(count, max_segments)
  return audio[: count * segment_samples].reshape(count, segment_samples)
