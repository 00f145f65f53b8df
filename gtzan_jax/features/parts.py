"""Computes the parts of an example in one pass over the STFT."""

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
)
from gtzan_jax.features.feature_sets import FeatureSpec


class Views(NamedTuple):
  """Representations of the same frames; each part reads one of them.

  Attributes:
    spec: the feature set.
    logmel: absolute dB without a floor, `[*batch, frames, n_mels]`.
    audio: `[*batch, samples]`; this and the next two are None where only the
      log-mel is known.
    power: `[*batch, frames, 1 + n_fft // 2]`.
    magnitude: its square root.
    samples: int32 `[]`, where padding starts in `audio`; this and the next are
      None without padding.
    valid: bool `[frames, 1]`, the frames before the padding.
  """

  spec: FeatureSpec
  logmel: jax.Array
  audio: Any = None
  power: Any = None
  magnitude: Any = None
  samples: jax.Array | None = None
  valid: jax.Array | None = None

  @property
  def db(self) -> jax.Array:
    """Log-mel with its floor."""
    return mel.floor_db(self.logmel, self.spec.top_db, self.valid)

  @property
  def framing(self) -> tuple[int, int, bool]:
    return self.spec.n_fft, self.spec.hop_length, self.spec.center


# Each is `[*batch, frames, bins]`.
PARTS: dict[str, Callable[[Views], jax.Array]] = {
  "logmel": lambda v: v.db,
  "mfcc": lambda v: mfcc.mfcc(v.db, v.spec.n_mfcc),
  "chroma": lambda v: chroma.chroma(v.power, v.spec.sample_rate),
  "contrast": lambda v: contrast.contrast(
    v.magnitude, v.spec.sample_rate, v.valid
  ),
  "centroid": lambda v: spectral.centroid(v.magnitude, v.spec.sample_rate),
  "bandwidth": lambda v: spectral.bandwidth(v.magnitude, v.spec.sample_rate),
  "rolloff": lambda v: spectral.rolloff(v.magnitude, v.spec.sample_rate),
  "zero_crossing_rate": lambda v: spectral.zero_crossing_rate(
    v.audio, *v.framing, v.samples
  ),
  "rms": lambda v: spectral.rms(v.audio, *v.framing),
}
OF_LOGMEL = {part: PARTS[part] for part in ("logmel", "mfcc")}


@functools.partial(jax.jit, static_argnums=1)
def extract(
  audio: jax.Array, spec: FeatureSpec, samples: jax.Array | None = None
) -> jax.Array:
  """An example's parts from its waveform, float32 `[*batch, samples]`.

  Float32 `[*batch, frames, bins]` or `[*batch, size, size, 3]`. `samples`,
  int32 `[]`, is where a single clip ends and padding starts, whose frames are
  ignored and become zeros; None: no padding.

  Raises:
    InputError: a part not in `PARTS`, or fewer samples than one window.
  """
  framing = (spec.n_fft, spec.hop_length, spec.center)
  windows = stft.frame(audio, *framing)
  valid = None
  if samples is not None:
    count = stft.frames(samples, *framing)
    valid = (jnp.arange(windows.shape[-2]) < count)[:, None]
  power = stft.power(windows)
  db = mel.power_to_db(mel.mel(power, spec.sample_rate, spec.n_mels))
  # XLA drops what no part needs.
  magnitude = jnp.sqrt(power)
  views = Views(spec, db, audio, power, magnitude, samples, valid)
  return _concatenated(views, PARTS)


@functools.partial(jax.jit, static_argnums=1)
def from_logmel(db: jax.Array, spec: FeatureSpec) -> jax.Array:
  """An example's parts from a log-mel, `[*batch, columns, bands]` absolute dB.

  A set with `max_frames` gets the stored columns and bands resized, linearly
  and antialiased, to `[max_frames, n_mels]`.

  Raises:
    InputError: a part not in `OF_LOGMEL`.
  """
  if spec.max_frames is not None:
    shape = (*db.shape[:-2], spec.max_frames, spec.n_mels)
    db = jax.image.resize(mel.floor_db(db, spec.top_db), shape, "linear")
  return _concatenated(Views(spec, db), OF_LOGMEL)


def _concatenated(
  views: Views, known: dict[str, Callable[[Views], jax.Array]]
) -> jax.Array:
  spec = views.spec
  if spec.parts == ("picture",):
    assert spec.size is not None
    frames = None if views.valid is None else views.valid.sum()
    return image.render(views.logmel, spec.size, spec.top_db, frames)
  for part in spec.parts:
    if part not in known:
      raise InputError(
        f"feature set {spec.name!r}: part {part!r} received; accepted for this"
        f" input are {', '.join(known)}"
      )
  stacked = jnp.concatenate([known[part](views) for part in spec.parts], -1)
  if views.valid is not None:
    stacked = jnp.where(views.valid, stacked, 0)
  if spec.max_frames is None:
    return stacked
  stacked = stacked[..., : spec.max_frames, :]
  edge = [(0, 0)] * stacked.ndim
  edge[-2] = (0, spec.max_frames - stacked.shape[-2])
  return jnp.pad(stacked, edge)
