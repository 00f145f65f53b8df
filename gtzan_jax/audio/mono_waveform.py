"""Audio file -> mono float32 at one rate -> segments of one length."""

import itertools
import operator
import os
import stat
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import soxr

from gtzan_jax import errors
from gtzan_jax.audio import decoding
from gtzan_jax.errors import InputError

SAMPLE_RATE = 22_050
rate = decoding.rate
# Common formats of libsndfile; not .w64, whose truncated files look complete.
EXTENSIONS = (
  *(".au", ".snd", ".wav", ".wave", ".flac", ".ogg", ".oga", ".opus"),
  *(".mp3", ".aif", ".aiff", ".caf"),
  *(decoding.FFMPEG if decoding.HAS_FFMPEG else ()),
)

# Prefix of files that a GAN generated: never tracks.
GENERATED = "generated-"

# Part of fingerprints: raise it when MP3 files are decoded differently.
MP3_VERSION = 2
BANDS = 64  # of equal width, for a waveform's bandwidth
FLOOR = -70.0  # dB below the loudest band: quieter bands count as empty
_FRAME = 2048
_FRAMES = 256  # at a time
_WINDOW = np.hanning(_FRAME).astype(np.float32)
# Limits of what counts as audio.
SHORTEST = 0.1  # seconds
# Least peak, of full scale: -60 dB, 33 of the 32,768 steps of 16 bits.
QUIETEST = 1e-3
# Greatest peak: beyond +20 dB floating point was never scaled.
LOUDEST = 10.0
# Least share of the channels' power that their mean keeps, -30 dB: less is what
# a codec left of channels in opposite phase.
CANCELLED = 1e-3


def read(path: str | os.PathLike, sample_rate: int = SAMPLE_RATE) -> np.ndarray:
  """A whole file, mono at `sample_rate`: float32 `[samples]`, see `blocks`."""
  return np.concatenate([*blocks(path, sample_rate)])


def blocks(
  path: str | os.PathLike, sample_rate: int = SAMPLE_RATE
) -> Iterator[np.ndarray]:
  """Decodes a file to mono at `sample_rate`, in blocks.

  Any format, rate and channel count that libsndfile knows (WAV, AU, FLAC, Ogg,
  MP3, ...). Channels are averaged, then soxr (quality HQ) resamples. Memory
  does not depend on the length, and the samples do not depend on the blocks.

  Yields:
    float32 `[n]`, n >= 1, nominally in -1..1.

  Raises:
    InputError, and nothing else: missing, empty, undecodable or truncated file,
      samples that are not finite or never were scaled, less than SHORTEST, or
      no signal. What can be known only at the end is raised there.
  """
  name = errors.shown(path)
  with errors.reading(path):
    try:
      status = os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
      status = None
    if not status or not stat.S_ISREG(status.st_mode):
      raise InputError(f"{name}: no such audio file")
    if status.st_size == 0:
      raise InputError(f"{name}: empty file (0 bytes)")
    signal = _Signal()

    def mixed() -> Iterator[tuple[np.ndarray, int]]:
      for samples, rate in decoding.blocks(path):
        with np.errstate(invalid="ignore", over="ignore"):  # refused below
          mono = samples.mean(axis=1)
        if not np.isfinite(mono).all():
          raise InputError(
            f"{name}: samples that are not finite (NaN or infinity)"
          )
        signal.add(samples, mono, rate)
        decoding.check_length(signal.seconds, name)
        yield mono, rate

    yield from _resampled(mixed(), sample_rate)
    if fault := signal.fault():
      raise InputError(f"{name}: {fault}")


class _Signal:
  """Checks, block by block, that a file contains a signal."""

  def __init__(self):
    self.seconds = self._power = self._mixed = 0.0
    self._low, self._high = np.inf, -np.inf

  def add(self, samples: np.ndarray, mono: np.ndarray, rate: int) -> None:
    """Channels float32 `[n, channels]` and their mean `[n]`."""
    seconds = len(mono) / rate
    self.seconds += seconds
    self._low = min(self._low, float(mono.min()))
    self._high = max(self._high, float(mono.max()))
    if samples.shape[1] > 1:  # without their offsets, which are no signal
      self._power += seconds * samples.var(axis=0, dtype=np.float64).mean()
      self._mixed += seconds * mono.var(dtype=np.float64)

  def fault(self) -> str:
    """Why it is no signal; "" if it is one."""
    if self.seconds == 0:
      return "no audio samples in it"
    if self.seconds < SHORTEST:
      return f"{self.seconds:.4g} s of audio; accepted are {SHORTEST} s or more"
    rms = np.sqrt(self._power / self.seconds)
    if rms > QUIETEST / 10 and self._mixed < CANCELLED * self._power:
      return (
        "no signal: its channels cancel each other out where they are averaged;"
        " give one of them"
      )
    half, peak = (self._high - self._low) / 2, max(self._high, -self._low)
    if half <= 0.5 / 32768:
      level = np.rint(32768 * self._low) / 32768 + 0.0  # never -0
      return f"no signal: in 16 bits its samples are {level:.2g} throughout"
    if half < QUIETEST:
      return (
        f"hardly any signal: its peak is {20 * np.log10(half):.0f} dB of full"
        f" scale; accepted are {20 * np.log10(QUIETEST):.0f} dB or more"
      )
    if peak > LOUDEST:
      return (
        f"its samples reach {peak:,.0f}: they were not scaled to -1..1, which"
        " is full scale"
      )
    return ""


class Level:
  """Length, level and bandwidth of a waveform, accumulated over blocks."""

  def __init__(self, rate: int = SAMPLE_RATE):
    self._rate, self._count, self._energy = rate, 0, 0.0
    self._rest = np.zeros(0, np.float32)  # less than a frame
    self._power = np.zeros(_FRAME // 2 + 1)

  def add(self, block: np.ndarray) -> None:
    """Float32 `[n]` in -1..1."""
    self._count += len(block)
    self._energy += float(np.square(block, dtype=np.float64).sum())
    samples = np.concatenate([self._rest, block])
    whole = len(samples) // _FRAME * _FRAME
    self._rest = samples[whole:].copy()
    for start in range(0, whole, _FRAME * _FRAMES):
      frames = samples[start : min(start + _FRAME * _FRAMES, whole)]
      spectrum = np.fft.rfft(frames.reshape(-1, _FRAME) * _WINDOW)
      self._power += np.square(np.abs(spectrum)).sum(0, dtype=np.float64)

  @property
  def seconds(self) -> float:
    return self._count / self._rate

  @property
  def bandwidth(self) -> float | None:
    """Bandwidth in Hz: the last of BANDS that is above FLOOR of the loudest.

    None for less than a frame, and for silence."""
    bands = [band.mean() for band in np.array_split(self._power[1:], BANDS)]
    if not 0 < max(bands) < np.inf:
      return None
    last = np.flatnonzero(np.array(bands) > max(bands) * 10 ** (FLOOR / 10))[-1]
    return round((last + 1) / BANDS * self._rate / 2, 1)

  @property
  def decibels(self) -> float | None:
    """RMS in dBFS; None for silence and non-finite samples."""
    if not 0 < self._energy < np.inf:
      return None
    return round(10 * float(np.log10(self._energy / self._count)), 3)


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
    # Chunks whose output has about BLOCK samples, whatever the ratio.
    step = max(1, decoding.BLOCK * rate // max(rate, sample_rate))
    resampled = (
      stream.resample_chunk(mono[start : start + step])
      for mono, _ in same
      for start in range(0, len(mono), step)
    )
    yield from filter(len, resampled)
    rest = stream.resample_chunk(np.zeros(0, np.float32), last=True)
    if len(rest):
      yield rest


def to_int16(samples: np.ndarray) -> np.ndarray:
  """Rounds -1..1 to 16 bit PCM and clips; any shape."""
  scaled = np.rint(np.asarray(samples, np.float32) * 32768)
  return np.clip(scaled, -32768, 32767).astype(np.int16)


def to_float(pcm: Any) -> Any:
  """16 bit PCM to float32 in -1..1, exactly; NumPy or JAX, any shape."""
  return pcm.astype(np.float32) / 32768


def segments(
  audio: np.ndarray, segment_samples: int, max_segments: int | None
) -> np.ndarray:
  """Whole segments from the start, `[s, segment_samples]` with s >= 1.

  The remainder is dropped, but a track shorter than one segment becomes one,
  padded with zeros.

  Args:
    audio: `[n]`, any dtype.
    segment_samples: samples a segment.
    max_segments: segments at most; None for no limit.
  """
  if len(audio) < segment_samples:
    audio = np.pad(audio, (0, segment_samples - len(audio)))
  count = len(audio) // segment_samples
  split = audio[: count * segment_samples].reshape(count, segment_samples)
  return split[:max_segments]
