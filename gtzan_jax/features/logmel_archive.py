"""The time axis of a log-mel archive, whose columns are a subset of frames.

An archive has the same number of columns for each track, picked evenly from the
`n_frames` frames of its 2048-point, hop-512 log-mel at 22,050 Hz (GTZAN's: 387
of about 1293). Column j is frame `floor((j + 0.5) / (columns + 0.5) *
n_frames)`; a track of fewer frames than columns has frames more than once.
"""

import numpy as np

from gtzan_jax import features
from gtzan_jax.features.feature_sets import FeatureSpec

SAMPLE_RATE = 22_050
N_FFT = 2048
HOP = 512
N_MELS = 128
TOP_DB = 80.0
EVERY_FRAME = SAMPLE_RATE / HOP  # columns a second: 43.07

_LOGMEL = FeatureSpec(
  "archive",
  sample_rate=SAMPLE_RATE,
  n_fft=N_FFT,
  hop_length=HOP,
  n_mels=N_MELS,
  top_db=TOP_DB,
)


def columns_per_frame(columns: int, n_frames: np.ndarray) -> float:
  """Columns kept per frame, for the median of `n_frames`, int `[tracks]`."""
  return float(columns / np.median(n_frames))


def columns_for(n_frames: np.ndarray, columns_per_second: float) -> int:
  """Number of columns of an archive of such tracks.

  For the median of the tracks within 5 % of the longest, which `segments` takes
  for one length (all of GTZAN's). Shorter tracks have more columns a second.

  Args:
    n_frames: int `[tracks]`, frames of each track.
    columns_per_second: above 0, at most `EVERY_FRAME`, which keeps all frames
      of the longest track.
  """
  longest = n_frames.max()
  if columns_per_second == EVERY_FRAME:
    return int(longest)
  length = np.median(n_frames[n_frames >= 0.95 * longest])
  return max(1, round(float(length * columns_per_second / EVERY_FRAME)))


def frames_of(n_frames: int, columns: int) -> np.ndarray:
  """The frame of each column, int `[columns]`, in exact integer arithmetic."""
  return (2 * np.arange(columns) + 1) * n_frames // (2 * columns + 1)


def segment_columns(spec: FeatureSpec, columns_per_frame: float) -> int:
  """Columns of one segment, rounded down: the width of archive examples."""
  return max(1, int(spec.segment_samples / HOP * columns_per_frame))


def starts(
  n_frames: int, spec: FeatureSpec, max_segments: int | None
) -> np.ndarray:
  """Start times in seconds of a track's segments, float64 `[s]`.

  Their number is rounded to the nearest, as published lengths vary by a few
  frames round 30 s and each such track has ten segments.
  """
  count = max(1, round(n_frames * HOP / spec.segment_samples))
  if max_segments is not None:
    count = min(count, max_segments)
  return np.arange(count) * spec.segment_samples / SAMPLE_RATE


def segments(
  db: np.ndarray,
  n_frames: int,
  spec: FeatureSpec,
  width: int,
  max_segments: int | None,
) -> np.ndarray:
  """Splits a track into segments of `width` columns.

  Segment i starts at column `round(start_s * 22050 / 512 * columns /
  n_frames)`, moved left where it would exceed the end. A track of another
  column rate (of another length) is read at the nearest columns, so that its
  segments last as long. A track of fewer than `width` columns is padded with
  its minimum.

  Args:
    db: float32 `[columns, n_mels]`, absolute dB.
    n_frames: frames that the columns were picked from.
    width: columns a segment, from `segment_columns`.
    max_segments: None for no limit.

  Returns:
    float32 `[s, width, n_mels]`; `starts` gives the seconds.
  """
  rate = len(db) / n_frames
  # The archive's segments span [width, width + 1) columns. Within 5 % of that,
  # columns are taken one by one.
  span = spec.segment_samples / HOP * rate
  same_rate = 0.95 * width <= span < 1.05 * (width + 1)
  step = 1.0 if same_rate else span / width
  picked = np.floor((np.arange(width) + 0.5) * step).astype(int)
  length = picked[-1] + 1
  short = ((0, max(0, length - len(db))), (0, 0))
  db = np.pad(db, short, constant_values=db.min())
  start = np.rint(starts(n_frames, spec, max_segments) * EVERY_FRAME * rate)
  start = np.minimum(start.astype(int), len(db) - length)
  return db[start[:, None] + picked[None, :]]


def logmel(audio: np.ndarray) -> np.ndarray:
  """All frames of a waveform, float32 `[n]` at 22,050 Hz: `[n_frames, 128]`.

  Absolute dB, floored 80 dB below the maximum.
  """
  return features.extract_clip(audio, _LOGMEL)


def from_audio(
  audio: np.ndarray, columns_per_frame: float
) -> tuple[np.ndarray, int]:
  """What an archive would store for a waveform, float32 `[n]` at 22,050 Hz.

  Float32 `[columns, 128]`, columns of `logmel`; and the number of frames.
  """
  db = logmel(audio)
  columns = max(1, round(columns_per_frame * len(db)))
  return db[frames_of(len(db), columns)], len(db)
