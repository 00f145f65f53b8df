"""Examples of a feature set with `whole_clip`, from each kind of track.

Used to prepare and to predict. Each function returns float32 `[s, ...]`: one
example a track, or one a row of a table.
"""

import dataclasses
import functools

import jax
import numpy as np

from gtzan_jax import features
from gtzan_jax.features import image, kaggle_columns


def shape(spec: features.FeatureSpec) -> tuple[int, ...]:
  """Shape of one example: [frames, bins], [size, size, 3] or [57]."""
  if "table57" in spec.parts:
    return (len(kaggle_columns.COLUMNS),)
  clip = jax.ShapeDtypeStruct((spec.sample_rate,), np.float32)
  extract = functools.partial(features.extract, name=spec)
  return jax.eval_shape(extract, clip).shape


def from_audio(samples: np.ndarray, spec: features.FeatureSpec) -> np.ndarray:
  """From a waveform, float32 `[n]` at the set's rate: `[1, ...]`."""
  if "table57" in spec.parts:
    return kaggle_columns.from_audio(samples, spec.sample_rate)[None]
  if "picture" in spec.parts:
    logmel = dataclasses.replace(spec, parts=("logmel",))
    return from_logmel(features.extract_clip(samples, logmel), spec)
  return features.extract_clip(samples, spec)[None]


def from_logmel(db: np.ndarray, spec: features.FeatureSpec) -> np.ndarray:
  """From a log-mel, float32 `[columns, bands]`, absolute dB: `[1, ...]`."""
  padded = np.pad(db, ((0, -len(db) % features.BLOCK), (0, 0)))
  return np.asarray(_render(padded, spec.size, spec.top_db, len(db)))[None]


def from_picture(rgb: np.ndarray, spec: features.FeatureSpec) -> np.ndarray:
  """From a picture, uint8 `[height, width, 3]`: `[1, size, size, 3]`."""
  assert spec.size is not None
  return np.asarray(image.from_picture(rgb, spec.size))[None]


def from_rows(rows: np.ndarray, spec: features.FeatureSpec) -> np.ndarray:
  """The first rows of Kaggle's table, `[s, 57]`."""
  return np.asarray(rows, np.float32)[: spec.segments_per_track]


_render = jax.jit(image.render, static_argnums=(1, 2))
