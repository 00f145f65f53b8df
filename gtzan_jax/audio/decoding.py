"""Decodes audio files in blocks.

libsndfile decodes. This module adds: headers with too small a size,
concatenated or damaged MP3 files, and the capture of lines that libmpg123
prints without the name of the file.
"""

import contextlib
import importlib.util
import itertools
import os
import re
import struct
import sys
import tempfile
import threading
from collections.abc import Iterator
from typing import BinaryIO

import numpy as np
import soundfile

from gtzan_jax import errors, input_limits
from gtzan_jax.errors import InputError, install

BLOCK = 2**17  # samples of all channels together
# Files that libsndfile does not know, with FFmpeg's demuxer: read by PyAV if it
# is installed. Other demuxers are not tried: some open further files.
FFMPEG = {
  **dict.fromkeys((".m4a", ".m4b", ".mp4"), "mov"),
  **{".aac": "aac", ".wma": "asf", ".webm": "matroska", ".ape": "ape"},
}
HAS_FFMPEG = importlib.util.find_spec("av") is not None
REMEDY = f"PyAV reads it: {install('av')}"

# From libsndfile's log: a WAV, AU or AIFF whose header gives more bytes than
# there are. (FLAC samples are counted; Ogg and MP3 are streams, which may end
# anywhere.) Recorders that cannot seek write about 2 or 4 GiB.
_SIZES = re.compile(r"(?:data|SSND|Data Size)\s*: (\d+) \(should be (\d+)\)")
_STREAMED = 0.9 * 2**31
# A header that gives less than this share of what follows is wrong: the audio
# extends to the end of the file.
_PROMISED = 0.9
_FLAC_COUNT = 21  # the byte of a FLAC's number of samples: 36 bits
_FAULTS = 1000  # damaged places of one MP3 that are skipped
_TAIL = 0.1  # share of a file after its audio that is worth a note


def blocks(path: str | os.PathLike) -> Iterator[tuple[np.ndarray, int]]:
  """Yields (samples float32 `[n, channels]`, their rate in Hz), n >= 1.

  Rate and number of channels may change where one MP3 ends and another begins.

  Raises:
    InputError: not decodable or truncated, in one line with the file's name;
      and what opening a file and libsndfile raise: see `errors.reading`.
  """
  name = errors.shown(path)
  form = FFMPEG.get(os.path.splitext(path)[1].lower())
  if form:
    yield from _by_ffmpeg(path, name, form)
    return
  with open(path, "rb", buffering=0) as file:
    size, start = os.fstat(file.fileno()).st_size, 0
    while start < size:
      try:
        sound = _opened(file, path, name, start)
      except InputError:
        if not start:
          raise
        if size - start > _TAIL * size:
          errors.note(f"{name}: its last {size - start:,} bytes are not audio")
        return
      if start:
        errors.note(
          f"{name}: continues after the end given by its header; all of it"
          " is read"
        )
      with sound:
        yield from _blocks(sound, name)
      if sound.format == "FLAC" and size - file.tell() > _TAIL * size:
        yield from _behind(file, name, sound.frames)
      if sound.format != "MP3" or file.tell() <= start:
        return
      # Another MP3 may follow after a tag and padding.
      rest = file.read(2**16)
      behind = rest[128:] if rest[:3] == b"TAG" else rest
      start = file.tell() - len(behind.lstrip(b"\0"))


def _by_ffmpeg(
  path: str | os.PathLike, name: str, form: str
) -> Iterator[tuple[np.ndarray, int]]:
  """The first audio stream; see `blocks`."""
  if not HAS_FFMPEG:
    raise InputError(f"{name}: not decodable as audio; {REMEDY}")
  import av

  frames = 0
  try:
    with open(path, "rb") as file, av.open(file, format=form) as container:
      if not container.streams.audio:
        raise InputError(f"{name}: no audio in it")
      # Changes the sample format only, not rate or channels.
      floats = av.AudioResampler(format="fltp")
      stream = container.streams.audio[0]
      for frame in itertools.chain(container.decode(stream), [None]):
        for block in floats.resample(frame):
          frames += block.samples
          check_length(frames / block.sample_rate, name)
          yield block.to_ndarray().T, block.sample_rate
  except av.FFmpegError as error:
    raise InputError(
      f"{name}: not decodable as audio ({error.strerror})"
    ) from error


def rate(file: BinaryIO) -> int | None:
  """Sample rate in Hz from the header of an opened file; None if unreadable.

  Reading the file reports what is wrong with it.
  """
  try:
    with _own_lines(), soundfile.SoundFile(file) as sound:
      return sound.samplerate
  except (soundfile.SoundFileError, RuntimeError, ValueError, TypeError):
    return None


def check_length(seconds: float, name: str) -> None:
  """Raises InputError for a file longer than `input_limits.LIMITS` accepts."""
  hours = seconds / 3600
  input_limits.check_limit(
    "HOURS", hours, f"{name}: {hours:,.1f} hours of audio"
  )


class _Sound(soundfile.SoundFile):
  """Not seekable: seeking in some codecs changes samples."""

  def seekable(self) -> bool:
    return False


def _opened(
  file: BinaryIO, path: str | os.PathLike, name: str, start: int
) -> _Sound:
  """The audio that starts at that byte of a file."""
  wrong = _promises_less(file, name) if start == 0 else None
  file.seek(start)
  with _refused(name), _own_lines():
    sound = _Sound(wrong) if wrong else _by_content(file, path, start)
  # libsndfile limits the header's size to the bytes present, except for
  # streams, which are counted while reading.
  if sound.format not in ("FLAC", "MP3", "OGG"):
    check_length(sound.frames / sound.samplerate, name)
  size = _SIZES.search(sound.extra_info)
  if size and int(size[2]) < 0.99 * int(size[1]) < _STREAMED:
    sound.close()
    raise InputError(
      f"{name}: truncated ({size[2]} of {size[1]} bytes of audio)"
    )
  return sound


def _by_content(file: BinaryIO, path: str | os.PathLike, start: int) -> _Sound:
  """Opens by content, not name: any bytes named .au pass as raw telephony."""
  try:
    return _Sound(file.fileno(), closefd=False)
  except soundfile.LibsndfileError:
    # MP3 files that begin with padding: libsndfile needs the name.
    if start or not os.fsencode(path).lower().endswith(b".mp3"):
      raise
    file.seek(0)
    return _Sound(os.fsencode(path))


@contextlib.contextmanager
def _refused(name: str) -> Iterator[None]:
  """Turns libsndfile's errors into an InputError."""
  try:
    yield
  except soundfile.LibsndfileError as error:
    reason = error.error_string.strip().rstrip(".")
    # libsndfile's error for an MP3 without any frame.
    if reason.startswith("File does not exist"):
      reason = "Format not recognised"
    raise InputError(f"{name}: not decodable as audio ({reason})") from error


def _blocks(sound: _Sound, name: str) -> Iterator[tuple[np.ndarray, int]]:
  rows, channels = max(1, BLOCK // sound.channels), sound.channels
  if sound.format == "MP3":
    yield from _blocks_of_mp3(sound, name, rows)
    return
  flac = sound.format == "FLAC"
  # No more than a FLAC's header gives: a tag that follows would be an error.
  left = sound.frames if flac else sys.maxsize
  while left > 0:
    with _refused(name):
      out = np.empty((min(left, rows), channels), np.float32)
      samples = sound.read(out=out)
    if not len(samples):
      break
    left -= len(samples)
    yield samples, sound.samplerate
  # Stream encoders write 0, which libsndfile reads as the highest number.
  if flac and 0.01 * sound.frames < left and sound.frames < _STREAMED:
    raise InputError(
      f"{name}: truncated ({sound.frames - left} of {sound.frames} samples a"
      " channel)"
    )


def _blocks_of_mp3(
  sound: _Sound, name: str, rows: int
) -> Iterator[tuple[np.ndarray, int]]:
  faults, left = 0, sound.frames
  # No more than the header gives: then the file position is that of what
  # follows.
  while faults <= _FAULTS and left > 0:
    lines: list[bytes] = []
    fault: InputError | None = None
    # Samples before a fault in a block are kept.
    samples = np.full((min(left, rows), sound.channels), np.nan, np.float32)
    try:
      with _refused(name), _own_lines(lines):
        samples = sound.read(out=samples)
    except InputError as error:
      fault, faults = error, faults + 1
      samples = samples[: np.isnan(samples[:, -1]).argmax()]
    if lines or fault:
      errors.note(f"{name}: damaged; what can be decoded is read")
    if len(samples):
      yield samples, sound.samplerate
    elif not fault:
      return
    left -= len(samples)


def _behind(
  file: BinaryIO, name: str, promised: int
) -> Iterator[tuple[np.ndarray, int]]:
  """Samples of a FLAC beyond the number in its header."""
  file.seek(0)
  head = file.read(_FLAC_COUNT + 5)
  try:
    if head[:4] != b"fLaC":
      raise InputError("no FLAC header at its start")
    unknown = bytes([head[_FLAC_COUNT] & 0xF0, 0, 0, 0, 0])
    file.seek(0)
    with _Sound(_Patched(file, _FLAC_COUNT, unknown)) as sound:
      count = 0
      for samples, rate in _blocks(sound, name):
        if count <= promised < count + len(samples):
          errors.note(
            f"{name}: its header gives {promised:,} samples a channel, but"
            " more follow: all are read"
          )
        if len(some := samples[max(0, promised - count) :]):
          yield some, rate
        count += len(samples)
  except InputError:
    errors.note(f"{name}: the bytes after its samples are not audio")


# Headers.


def _promises_less(file: BinaryIO, name: str) -> "_Patched | None":
  """The file with a corrected header, where the audio is larger than stated.

  Recorders that stop early leave 0, or the size when they last saved.
  """
  size = os.fstat(file.fileno()).st_size
  if (header := _sound_size(file, size)) is None:
    return None
  field, form, start, promised = header
  actual = size - start
  if promised >= _PROMISED * actual or actual >= 2**32 - 1:
    return None
  errors.note(
    f"{name}: its header gives {promised:,} bytes of audio, but"
    f" {actual:,} follow: all are read"
  )
  return _Patched(file, field, struct.pack(form, actual))


def _sound_size(file: BinaryIO, size: int) -> tuple[int, str, int, int] | None:
  """The audio size field of WAV, AIFF and AU.

  Returns:
    Its offset, its struct format, the offset of the audio, and the size; None
    without one, or if further chunks follow the audio.
  """
  file.seek(0)
  head = file.read(12)
  if head[:4] == b".snd" and len(head) == 12:
    start, promised = struct.unpack(">II", head[4:])
    return 8, ">I", start, promised
  if head[:4] not in (b"RIFF", b"RIFX", b"FORM"):
    return None
  form = "<I" if head[:4] == b"RIFF" else ">I"
  offset = 12
  while len(head := file.read(8)) == 8:
    (length,) = struct.unpack(form, head[4:])
    end = offset + 8 + length + length % 2
    file.seek(end)
    if head[:4] in (b"data", b"SSND"):
      more = file.read(8)
      if len(more) == 8 and re.fullmatch(rb"[ -~]{4}", more[:4]):
        (length_of_more,) = struct.unpack(form, more[4:])
        if end + 8 + length_of_more <= size:
          return None
      return offset + 4, form, offset + 8, length
    offset = end
  return None


class _Patched:
  """A file whose bytes from `at` on are read as `content`."""

  def __init__(self, file: BinaryIO, at: int, content: bytes):
    self._file, self._at, self._content = file, at, content
    self.tell = file.tell

  def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
    """Ignores offsets before the start, from damaged headers."""
    with contextlib.suppress(OSError):
      self._file.seek(offset, whence)
    return self.tell()

  def read(self, size: int) -> bytes:
    start = self.tell()
    data = bytearray(self._file.read(size))
    for i, byte in enumerate(self._content, self._at - start):
      if 0 <= i < len(data):
        data[i] = byte
    return bytes(data)


# Lines that libmpg123, below libsndfile, prints about damaged bytes.

_LINE = re.compile(rb"(Note|Warning): |\[src/libmpg123/")
_lock = threading.Lock()


@contextlib.contextmanager
def _own_lines(lines: list[bytes] | None = None) -> Iterator[None]:
  """Captures a decoder's own lines from the console into `lines`.

  They go to file descriptor 2, which all threads share: one decoder at a time,
  and other output is passed on.
  """
  with _lock, contextlib.ExitStack() as stack:
    try:
      console = os.dup(2)
      stack.callback(os.close, console)
      kept = stack.enter_context(tempfile.TemporaryFile(buffering=0))
    except OSError:  # no console
      yield
      return
    if sys.stderr is not None:
      sys.stderr.flush()
    os.dup2(kept.fileno(), 2)
    try:
      yield
    finally:
      os.dup2(console, 2)
      kept.seek(0)
      for line in kept.readall().splitlines(keepends=True):
        if not _LINE.match(line):
          with contextlib.suppress(OSError):  # a full or closed console
            os.write(2, line)
        elif lines is not None:
          lines.append(line)
