"""Audio file -> mono float32 at one rate -> segments of one length."""

import os
import pathlib
import re

import numpy as np
import soundfile
import soxr

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

# From libsndfile's log: a WAV, AU or AIFF whose header promises more bytes of
# sound than there are. (FLAC raises by itself; Ogg and MP3 are streams, that
# may end anywhere.) Recorders that cannot seek promise about 2 or 4 GiB.
_SIZES = re.compile(r"(?:data|SSND|Data Size)\s*: (\d+) \(should be (\d+)\)")
_STREAMED = 0.9 * 2**31


def read(path: str | os.PathLike, sample_rate: int = SAMPLE_RATE) -> np.ndarray:
  """Decodes a file to mono at `sample_rate`.

  Any format, rate and channel count that libsndfile knows (WAV, AU, FLAC, Ogg,
  MP3, ...). Channels are averaged, then soxr (quality HQ) resamples.

  Returns:
    float32 `[samples]`, nominally in -1..1.

  Raises:
    InputError: missing, empty, undecodable or truncated file, no samples in
      it, or samples that are not finite. One line: the file and the reason.
  """
  path = pathlib.Path(path)
  if not path.is_file():
    raise InputError(f"{path}: no such audio file")
  if path.stat().st_size == 0:
    raise InputError(f"{path}: empty file (0 bytes)")
  samples, rate = _decode(path)
  if len(samples) == 0:
    raise InputError(f"{path}: no audio samples in it")
  mono = samples.mean(axis=1)
  if not np.isfinite(mono).all():
    raise InputError(f"{path}: samples that are not finite (NaN or infinity)")
  if rate != sample_rate:
    mono = soxr.resample(mono, rate, sample_rate, quality="HQ")
  if len(mono) == 0:
    raise InputError(
      f"{path}: {len(samples)} samples at {rate} Hz, which are none at"
      f" {sample_rate} Hz"
    )
  return mono


def _decode(path: pathlib.Path) -> tuple[np.ndarray, int]:
  """Samples float32 `[n, channels]` and their rate; see `read` for errors."""
  try:
    with soundfile.SoundFile(path) as file:
      # libsndfile takes any bytes named .au for headerless 8 kHz telephony.
      if file.format == "RAW":
        raise InputError(f"{path}: not decodable as audio (no audio header)")
      size = _SIZES.search(file.extra_info)
      if size and int(size[2]) < 0.99 * int(size[1]) < _STREAMED:
        raise InputError(
          f"{path}: truncated ({size[2]} of {size[1]} bytes of sound)"
        )
      return file.read(dtype="float32", always_2d=True), file.samplerate
  except soundfile.LibsndfileError as error:
    reason = error.error_string.strip().rstrip(".")
    # What it says of an MP3 without a single frame, though the file is there.
    if reason.startswith("File does not exist"):
      reason = "Format not recognised"
  except TypeError:  # soundfile's, for a name that ends in .raw
    reason = "no audio header"
  raise InputError(f"{path}: not decodable as audio ({reason})")


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
