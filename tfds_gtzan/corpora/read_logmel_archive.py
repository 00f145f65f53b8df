"""The corpus `archive`: log-mel spectrograms of many tracks in one .npz.

docs/formats.md lists the arrays; `mel` is uint8 [tracks, 128, columns] with the
lowest band first, the level `top_db - range_db * (1 - mel / 255)` dB.
"""

import functools
import pathlib
import re
import zipfile
from collections.abc import Mapping

import numpy as np

from gtzan_jax import input_limits
from gtzan_jax.errors import DAMAGED_NPZ, InputError
from gtzan_jax.features import logmel_archive
from tfds_gtzan.corpora import digests
from tfds_gtzan.corpora.types import (
  FORMS,
  GENRES,
  Corpus,
  LogMel,
  Track,
  in_genre_order,
  in_order,
  listed,
  printable,
)

KEYS = ("mel", "track", "genre", "range_db", "top_db", "n_frames")
RATE = "columns_per_second"
_GTZAN = re.compile(r"(\w+)\.\d{5}")


def open_archive(
  path: pathlib.Path, cache_dir: pathlib.Path | None = None
) -> Corpus:
  """Opens an archive and checks all of it; nothing in it is unpickled."""
  arrays = _load(path)
  _check(path, arrays)
  if RATE in arrays:
    columns_per_frame = float(arrays[RATE]) / logmel_archive.EVERY_FRAME
  else:
    columns_per_frame = logmel_archive.columns_per_frame(
      arrays["mel"].shape[2], arrays["n_frames"]
    )
  return Corpus(
    name="archive",
    kind="logmel",
    genres=in_genre_order(arrays["genre"].tolist()),
    tracks=in_order(_track(arrays, row) for row in range(len(arrays["mel"]))),
    fingerprint=digests.of_files(str(path), {str(path): path}, cache_dir)[0],
    columns_per_frame=columns_per_frame,
  )


def _load(path: pathlib.Path) -> dict[str, np.ndarray]:
  if not zipfile.is_zipfile(path):
    raise InputError(f"{path} is no .npz archive; accepted are {FORMS}")
  arrays = {}
  try:
    input_limits.check_npz(path, f"{path}: ")
    with np.load(path, allow_pickle=False) as data:
      missing = [key for key in KEYS if key not in data.files]
      if missing:
        raise InputError(
          f"{path} has no array {missing[0]!r}; a log-mel archive holds"
          f" {', '.join(KEYS)}"
        )
      for key in (*KEYS, *({RATE} & set(data.files))):
        arrays[key] = data[key]
  except InputError:
    raise
  except (OSError, *DAMAGED_NPZ) as error:
    if "allow_pickle" in str(error):
      problem = "holds pickled objects, which are never loaded"
    else:
      problem = f"is damaged ({type(error).__name__})"
    name = next(key for key in (*KEYS, RATE) if key not in arrays)
    raise InputError(
      f"{path}: the array {name!r} {problem}; write plain numbers and text with"
      " numpy.savez"
    ) from error
  return arrays


def _check(path: pathlib.Path, arrays: Mapping[str, np.ndarray]) -> None:
  """Shapes, types and values; one line for the first that is wrong."""

  def refuse(key: str, wanted: str) -> InputError:
    array = arrays[key]
    return InputError(
      f"{path}: {key!r} is {array.dtype} {array.shape}; wanted is {wanted}"
    )

  mel = arrays["mel"]
  if mel.dtype != np.uint8 or mel.shape[1:-1] != (logmel_archive.N_MELS,):
    raise refuse("mel", f"uint8 (tracks, {logmel_archive.N_MELS}, columns)")
  if 0 in mel.shape:
    raise refuse("mel", "at least one track and one column")
  kinds = {"track": "U", "genre": "U", "n_frames": "iu"}
  for key in KEYS[1:]:
    kind = kinds.get(key, "f")
    if arrays[key].shape != mel.shape[:1] or arrays[key].dtype.kind not in kind:
      name = {"U": "text", "f": "floating point", "iu": "integer"}[kind]
      raise refuse(key, f"{name} ({len(mel)},), one entry a track of 'mel'")
  for key in ("track", "genre"):
    if not all(arrays[key]):
      raise InputError(f"{path}: {key!r} has an empty entry")
  for track, genre in zip(arrays["track"], arrays["genre"], strict=True):
    for name in (track, genre):
      if not printable(name):
        raise InputError(f"{path}: the name {str(name)!r} cannot be printed")
    of_gtzan = _GTZAN.fullmatch(track)
    if of_gtzan and of_gtzan[1] in set(GENRES) - {str(genre)}:
      raise InputError(
        f"{path}: the track {str(track)!r} and its genre {str(genre)!r}"
        " disagree"
      )
  ids, counts = np.unique(arrays["track"], return_counts=True)
  if counts.max() > 1:
    raise InputError(f"{path}: the track {ids[counts.argmax()]} occurs twice")
  for key in ("range_db", "top_db"):
    if not np.isfinite(arrays[key]).all():
      raise InputError(f"{path}: {key!r} is not finite for every track")
  if (arrays["range_db"] < 0).any():
    raise InputError(f"{path}: 'range_db' is negative; it is a distance in dB")
  if (arrays["n_frames"] < 1).any():
    raise InputError(f"{path}: 'n_frames' is below 1 for some track")
  rate = arrays.get(RATE, np.array(logmel_archive.EVERY_FRAME))
  if rate.shape or rate.dtype.kind != "f":
    raise refuse(RATE, "one floating-point number")
  if not 0 < rate <= logmel_archive.EVERY_FRAME:
    raise InputError(
      f"{path}: {RATE!r} is {rate}; wanted is a number above 0 and at most"
      f" {logmel_archive.EVERY_FRAME:.2f}, every frame"
    )


def _track(arrays: Mapping[str, np.ndarray], row: int) -> Track:
  scale = ("range_db", "top_db", "n_frames")
  values = {key: arrays[key][row].item() for key in scale}
  read = functools.partial(_read, arrays["mel"][row], **values)
  return listed(str(arrays["track"][row]), str(arrays["genre"][row]), read)


def _read(
  mel: np.ndarray, range_db: float, top_db: float, n_frames: int
) -> LogMel:
  below = np.float32(range_db) * (1 - mel.astype(np.float32) / 255)
  db = (np.float32(top_db) - below).T
  if len(db) > n_frames:  # the track is short: each of its frames once
    frames = logmel_archive.frames_of(n_frames, len(db))
    db = db[np.unique(frames, return_index=True)[1]]
  return LogMel(db, n_frames)
