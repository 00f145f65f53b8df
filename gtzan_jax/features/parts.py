"""The parts of an example, computed in one pass over the STFT."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from gtzan_jax.errors import InputError
from gtzan_jax.features import (
  chroma,
  contrast,
  image,
  mel,
  mfcc,
  spectral,
  stft,
  waveform,
)
from gtzan_jax.features.spec import FeatureSpec


class Views(NamedTuple):
  """Representations of the same frames; each part reads the one it needs.

  Attributes:
    spec: the feature set.
    logmel: absolute dB without a floor, `[*batch, frames, n_mels]`.
    audio: `[*batch, samples]`; None, like the next two, where only the log-mel
      is known.
    power: `[*batch, frames, 1 + n_fft // 2]`.
    magnitude: its square root.
    samples: int32 `[]`, where padding begins in `audio`; None, like the next,
      without padding.
    valid: bool `[frames, 1]`, frames that are not padding.
  """

  spec: FeatureSpec
  logmel: jax.Array
  audio: jax.Array | None = None
  power: jax.Array | None = None
  magnitude: jax.Array | None = None
  samples: jax.Array | None = None
  valid: jax.Array | None = None

  @property
  def db(self) -> jax.Array:
    """Log-mel with its floor."""
    return mel.floor_db(self.logmel, self.spec.top_db, self.valid)


def _framing(spec: FeatureSpec) -> tuple[int, int, bool]:
  return spec.n_fft, spec.hop_length, spec.center


# Views -> `[*batch, frames, bins of the part]`.
PARTS: dict[str, Callable[[Any], jax.Array]] = {
  "logmel": lambda v: v.db,
  "mfcc": lambda v: mfcc.mfcc(v.db, v.spec.n_mfcc),
  "chroma": lambda v: chroma.chroma(v.power, v.spec.sample_rate),
  "contrast": lambda v: contrast.contrast(
    v.magnitude, v.spec.sample_rate, v.valid
  ),
  "centroid": lambda v: spectral.centroid(v.magnitude, v.spec.sample_rate),
  "bandwidth": lambda v: spectral.bandwidth(v.magnitude, v.spec.sample_rate),
  "rolloff": lambda v: spectral.rolloff(v.magnitude, v.spec.sample_rate),
  "zero_crossing_rate": lambda v: waveform.zero_crossing_rate(
    v.audio, *_framing(v.spec), v.samples
  ),
  "rms": lambda v: waveform.rms(v.audio, *_framing(v.spec)),
}
OF_LOGMEL = {part: PARTS[part] for part in ("logmel", "mfcc")}


@functools.partial(jax.jit, static_argnums=1)
def extract(
  audio: jax.Array, spec: FeatureSpec, samples: jax.Array | None = None
) -> jax.Array:
  """An example's parts from its waveform.

  Args:
    audio: float32 `[*batch, samples]`.
    samples: int32 `[]`, where a single clip ends and padding begins; None
      without padding. Frames beyond are ignored and come out as zeros.

  Returns:
    float32 `[*batch, frames, bins]` or `[*batch, size, size, 3]`.

  Raises:
    InputError: a part that is not in `PARTS`, or too few samples.
  """
  framing = _framing(spec)
  windows = stft.frame(audio, *framing)
  valid = None
  if samples is not None:
    count = stft.frames(samples, *framing)
    valid = (jnp.arange(windows.shape[-2]) < count)[:, None]
  power = stft.power(windows)
  db = mel.power_to_db(mel.mel(power, spec.sample_rate, spec.n_mels))
  # XLA drops what no part uses.
  magnitude = jnp.sqrt(power)
  views = Views(spec, db, audio, power, magnitude, samples, valid)
  return _put_together(views, PARTS)


@functools.partial(jax.jit, static_argnums=1)
def from_logmel(db: jax.Array, spec: FeatureSpec) -> jax.Array:
  """An example's parts from a log-mel, `[*batch, columns, bands]` absolute dB.

  For a set with `max_frames` the stored columns and bands are resized, linearly
  and antialiased, to `[max_frames, n_mels]`.

  Raises:
    InputError: a part that is not in `OF_LOGMEL`.
  """
  if spec.max_frames is not None:
    shape = (*db.shape[:-2], spec.max_frames, spec.n_mels)
    db = jax.image.resize(mel.floor_db(db, spec.top_db), shape, "linear")
  return _put_together(Views(spec, db), OF_LOGMEL)


def _put_together(
  views: Views, known: dict[str, Callable[[Any], jax.Array]]
) -> jax.Array:
  spec = views.spec
  if spec.parts == ("picture",):
    frames = None if views.valid is None else views.valid.sum()
    assert spec.size is not None
    return image.render(views.logmel, spec.size, spec.top_db, frames)
  for part in spec.parts:
    if part not in known:
      raise InputError(
        f"feature set {spec.name!r}: the part {part!r} cannot be computed from"
        f" this input; accepted parts: {', '.join(known)}"
      )
  rows = [known[part](views) for part in spec.parts]
  stacked = rows[0] if len(rows) == 1 else jnp.concatenate(rows, axis=-1)
  if views.valid is not None:
    stacked = jnp.where(views.valid, stacked, 0)
  return stacked if spec.max_frames is None else _cut(stacked, spec.max_frames)


def _cut(stacked: jax.Array, frames: int) -> jax.Array:
  """The first `frames` frames, zeros where there are fewer."""
  stacked = stacked[..., :frames, :]
  edge = [(0, 0)] * stacked.ndim
  edge[-2] = (0, frames - stacked.shape[-2])
  return jnp.pad(stacked, edge)
