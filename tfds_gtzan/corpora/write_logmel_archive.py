"""Writes a log-mel archive from audio: features where sound cannot be shared.

All tracks have the columns that the longest need at the given rate: column j is
frame `floor((j + 0.5) / (columns + 0.5) * n_frames)`, without padding.
"""

import contextlib
import dataclasses
import os
import pathlib
import tempfile
from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO

import numpy as np
import tqdm

from gtzan_jax import atomic
from gtzan_jax.audio import mono_waveform
from gtzan_jax.errors import InputError
from gtzan_jax.features import logmel_archive
from tfds_gtzan import track_examples
from tfds_gtzan.corpora.read_logmel_archive import KEYS, RATE
from tfds_gtzan.corpora.types import Audio, Corpus, Track

COLUMNS_PER_SECOND = 12.9  # GTZAN's own archive: 387 of a 30 s track
SLOWEST, FASTEST = 1.0, 43.07  # the latter: every frame
_MOST_GB = 4.0  # of `mel`, which is in memory when written and when read


@dataclasses.dataclass(frozen=True)
class Written:
  """What was written; `columns_per_second` is that of the longest tracks."""

  path: pathlib.Path
  tracks: int
  columns: int
  columns_per_second: float
  skipped: tuple[dict[str, str], ...]


def write(
  corpus: Corpus,
  out: str | os.PathLike,
  columns_per_second: float = COLUMNS_PER_SECOND,
  progress: bool = True,
) -> Written:
  """Writes the archive of an audio corpus; it appears whole or not at all.

  The same corpus gives the same bytes, by the same JAX and zlib. Levels are
  rounded to steps of `range_db / 255`, at most 0.31 dB. Of the frames, only
  `mel` is held in memory. A rate of 43.07 columns a second keeps every frame.
  """
  if corpus.kind != "audio":
    raise InputError(
      f"an archive is written from audio; the tracks of the corpus"
      f" {corpus.name} hold {corpus.kind}: give a folder or archive of sound"
    )
  check_out(out, columns_per_second)
  out = pathlib.Path(out).expanduser()
  rate = min(columns_per_second, logmel_archive.EVERY_FRAME)
  try:
    out.parent.mkdir(parents=True, exist_ok=True)
    with _claimed(out) as file:
      with tempfile.TemporaryFile(dir=out.parent) as spool:
        kept, skipped = _spool(corpus, rate, spool, progress)
        spool.seek(0)
        arrays = _arrays(kept, rate, spool)
      np.savez_compressed(file, allow_pickle=False, **arrays)
  except OSError as error:
    raise InputError(
      f"{out} cannot be written ({error.strerror or error}); name a file in a"
      " folder with room that you may write to"
    ) from error
  return Written(out, len(kept), arrays["mel"].shape[2], rate, tuple(skipped))


def check_out(
  out: str | os.PathLike, columns_per_second: float = COLUMNS_PER_SECOND
) -> None:
  """Raises InputError for a name or a rate that `write` would refuse."""
  path = pathlib.Path(out).expanduser()
  if path.suffix.lower() != ".npz":
    raise InputError(
      f"{os.fspath(out) or repr('')} does not end in .npz, as an archive's name"
      " does"
    )
  _check_new(path)
  if not SLOWEST <= columns_per_second <= FASTEST:
    raise InputError(
      f"{columns_per_second} columns a second: accepted are {SLOWEST:g} to"
      f" {FASTEST}, which keeps every frame"
    )


def _check_new(out: pathlib.Path) -> None:
  if os.path.lexists(out):
    raise InputError(f"{out} is there already: name a new file")


@contextlib.contextmanager
def _claimed(out: pathlib.Path) -> Iterator[BinaryIO]:
  """A file beside `out` that becomes it at the end, of one writer at a time."""
  temporary = out.with_name(f".{out.name}.tmp")
  with atomic.locked(temporary) as file:
    if file is None:
      raise InputError(
        f"another process writes {out}: wait for it or name another file"
      )
    try:
      _check_new(out)  # another may have been done just now
      file.truncate()
      yield file
      file.flush()
      os.replace(temporary, out)
    finally:
      temporary.unlink(missing_ok=True)


def _spool(
  corpus: Corpus, rate: float, spool: BinaryIO, progress: bool
) -> tuple[list[dict[str, Any]], list[dict[str, str]]]:
  """Appends each track's frames to the spool, uint8 `[n_frames, 128]`.

  Returns the tracks' entries in the archive's other arrays, and the skipped.
  """
  kept: list[dict[str, Any]] = []
  skipped: list[dict[str, str]] = []
  with tqdm.tqdm(
    track_examples.read_ahead(_encode, corpus.tracks),
    total=len(corpus.tracks),
    desc=f"{corpus.name} -> archive",
    unit=" tracks",
    disable=None if progress else True,  # None: not on a pipe
  ) as read:
    for track, result in read:
      if isinstance(result, InputError):
        track_examples.skip(corpus, track, str(result), skipped)
        continue
      frames, levels = result
      _check_length(corpus, track, len(frames), rate)
      spool.write(frames.tobytes())
      names = {"track": track.id, "genre": track.genre}
      kept.append(names | levels | {"n_frames": len(frames)})
  return kept, skipped


def _encode(track: Track) -> tuple[np.ndarray, dict[str, float]]:
  """A track's frames as the archive's bytes, and what turns them into dB."""
  content = track.read()
  assert isinstance(content, Audio)  # the corpus's kind
  # The 16 bits that prepared data and predictions are computed from.
  samples = mono_waveform.to_float(mono_waveform.to_int16(content.samples))
  db = logmel_archive.logmel(samples)
  top = db.max()
  span = top - db.min()
  # Silence has no range: all of it is the maximum.
  depth = (top - db) / max(span, np.finfo(np.float32).tiny)
  frames = np.rint(255 * (1 - depth)).astype(np.uint8)
  return frames, {"range_db": float(span), "top_db": float(top)}


def _arrays(
  kept: Sequence[dict[str, Any]], rate: float, spool: BinaryIO
) -> dict[str, np.ndarray]:
  """The archive's arrays; the columns of each track picked from its frames."""
  dtypes = {"range_db": np.float32, "top_db": np.float32, "n_frames": np.int32}
  arrays = {
    key: np.array([entry[key] for entry in kept], dtypes.get(key))
    for key in KEYS[1:]
  }
  columns = logmel_archive.columns_for(arrays["n_frames"], rate)
  mel = np.empty((len(kept), logmel_archive.N_MELS, columns), np.uint8)
  for row, number in zip(mel, arrays["n_frames"].tolist(), strict=True):
    held = np.frombuffer(spool.read(number * logmel_archive.N_MELS), np.uint8)
    frames = held.reshape(number, logmel_archive.N_MELS)
    row[:] = frames[logmel_archive.frames_of(number, columns)].T
  return {"mel": mel, **arrays, RATE: np.array(rate)}


def _check_length(
  corpus: Corpus, track: Track, n_frames: int, rate: float
) -> None:
  columns = logmel_archive.columns_for(np.array([n_frames]), rate)
  size = len(corpus.tracks) * logmel_archive.N_MELS * columns / 1e9
  if size > _MOST_GB:
    seconds = n_frames / logmel_archive.EVERY_FRAME
    raise InputError(
      f"{track.id} lasts {seconds:.0f} s: {len(corpus.tracks)} tracks of as"
      f" many columns are {size:.1f} GB, more than {_MOST_GB:g}; cut long"
      " tracks or keep fewer columns a second"
    )
