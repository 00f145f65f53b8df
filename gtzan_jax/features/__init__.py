"""Feature sets in JAX, used to prepare, train and predict.

Every feature is a pure function, `[*batch, samples]` to `[*batch, frames,
bins]`: it can be jitted and vmapped, and an example gives the same numbers
alone and in a batch. Values agree with librosa's.
"""

import jax
import jax.numpy as jnp
import numpy as np

from gtzan_jax.errors import InputError
from gtzan_jax.features import kaggle_columns, parts, stft
from gtzan_jax.features.feature_sets import (
  FEATURES,
  FEATURES_VERSION,
  FeatureSpec,
  get,
)

__all__ = [
  "FEATURES",
  "FEATURES_VERSION",
  "FeatureSpec",
  "extract",
  "extract_clip",
  "from_logmel",
  "get",
]

BLOCK = 256  # frames; whole clips are padded to a multiple: few programs


def extract(
  audio: jax.Array | np.ndarray, name: str | FeatureSpec
) -> jax.Array:
  """Features of waveforms.

  Args:
    audio: float32 `[*batch, samples]` in -1..1 at the set's sample rate.
    name: a key of `FEATURES`, or a spec.

  Returns:
    float32 `[*batch, frames, bins]`, the spec's parts concatenated; pictures
    `[*batch, size, size, 3]`; tables `[*batch, 57]`, which are computed on the
    host and can be neither jitted nor vmapped.

  Raises:
    InputError: no such set, or fewer samples than one window.
  """
  spec = get(name)
  if spec.parts == ("table57",):
    clips = np.asarray(audio, np.float32)
    rows = [
      kaggle_columns.from_audio(clip, spec.sample_rate)
      for clip in clips.reshape(-1, clips.shape[-1])
    ]
    shape = (*clips.shape[:-1], len(kaggle_columns.COLUMNS))
    return jnp.asarray(rows, jnp.float32).reshape(shape)
  # A NumPy array stays one: jit does not copy it, jnp.asarray would.
  convert = jnp.asarray if isinstance(audio, jax.Array) else np.asarray
  audio = convert(audio, np.float32)
  return parts.extract(audio, spec)


def from_logmel(
  db: jax.Array | np.ndarray, name: str | FeatureSpec
) -> jax.Array:
  """Features of stored log-mel spectrograms.

  Float32, as `extract`. The set's time axis and n_fft are not used: columns and
  bands are those stored, unless it has `max_frames`, to which they are resized.

  Args:
    db: float32 `[*batch, columns, bands]`, absolute dB (reference 1.0).
    name: a key of `FEATURES`, or a spec.

  Raises:
    InputError: a set that cannot be computed from a log-mel.
  """
  spec = get(name)
  if "logmel" not in spec.kinds:
    raise InputError(
      f"feature set {spec.name!r} cannot be computed from a log-mel; it takes"
      f" {' or '.join(spec.kinds)}"
    )
  return parts.from_logmel(jnp.asarray(db, jnp.float32), spec)


def extract_clip(samples: np.ndarray, name: str | FeatureSpec) -> np.ndarray:
  """Features of one whole clip of any length, with few compiled programs.

  The clip is padded to a multiple of 256 hops and the frames beyond its end are
  removed: the numbers are those of `extract`.

  Args:
    samples: float32 `[n]` in -1..1 at the set's sample rate.
    name: a key of `FEATURES`, or a spec; not a table.

  Returns:
    float32 `[frames, bins]`; a picture is `[size, size, 3]`.

  Raises:
    InputError: no such set, or fewer samples than one window.
  """
  spec = get(name)
  samples = np.asarray(samples, np.float32)
  n = len(samples)
  count = stft.frames(n, spec.n_fft, spec.hop_length, spec.center)
  if count < 1:
    raise InputError(f"{n} samples are fewer than one window of {spec.n_fft}")
  padded = np.pad(samples, (0, -n % (BLOCK * spec.hop_length)))
  values = np.asarray(parts.extract(padded, spec, np.int32(n)))
  fixed = spec.max_frames is not None or spec.parts == ("picture",)
  return values if fixed else values[:count]
