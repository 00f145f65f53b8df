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
  """What is known of the same frames; each part reads some of it.

  Attributes:
    spec: the feature set.
    by_frame: `BY_FRAME`'s results by name, `[*batch, frames, bins]`.
    audio: `[*batch, samples]`; None where only the log-mel is known.
    samples: int32 `[]`, where padding starts in `audio`; this and the next are
      None without padding.
    valid: bool `[frames, 1]`, the frames before the padding.
  """

  spec: FeatureSpec
  by_frame: dict[str, jax.Array]
  audio: Any = None
  samples: jax.Array | None = None
  valid: jax.Array | None = None

  @property
  def db(self) -> jax.Array:
    """Log-mel with its floor."""
    return mel.floor_db(self.by_frame["logmel"], self.spec.top_db, self.valid)

  @property
  def framing(self) -> tuple[int, int, bool]:
    return self.spec.n_fft, self.spec.hop_length, self.spec.center


# From power and magnitude, `[*batch, frames, 1 + n_fft // 2]`, frame by frame.
BY_FRAME: dict[str, Callable[..., jax.Array]] = {
  # Absolute dB without a floor.
  "logmel": lambda power, _, spec: mel.power_to_db(
    mel.mel(power, spec.sample_rate, spec.n_mels)
  ),
  "chroma": lambda power, _, spec: chroma.chroma(
    power, chroma.filterbank(spec.sample_rate, spec.n_fft)
  ),
  "contrast": lambda _, x, spec: contrast.levels(x, spec.sample_rate),
  "centroid": lambda _, x, spec: spectral.centroid(x, spec.sample_rate),
  "bandwidth": lambda _, x, spec: spectral.bandwidth(x, spec.sample_rate),
  "rolloff": lambda _, x, spec: spectral.rolloff(x, spec.sample_rate),
}
# Each is `[*batch, frames, bins]`.
PARTS: dict[str, Callable[[Views], jax.Array]] = {
  "logmel": lambda v: v.db,
  "mfcc": lambda v: mfcc.mfcc(v.db, v.spec.n_mfcc),
  "chroma": lambda v: v.by_frame["chroma"],
  "contrast": lambda v: contrast.contrast(v.by_frame["contrast"], v.valid),
  "centroid": lambda v: v.by_frame["centroid"],
  "bandwidth": lambda v: v.by_frame["bandwidth"],
  "rolloff": lambda v: v.by_frame["rolloff"],
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
  wanted = {
    "logmel" if part in ("mfcc", "picture") else part for part in spec.parts
  }

  def compute(windows: jax.Array) -> dict[str, jax.Array]:
    power = stft.power(windows)
    magnitude = jnp.sqrt(power)
    return {
      part: of(power, magnitude, spec)
      for part, of in BY_FRAME.items()
      if part in wanted
    }

  by_frame = stft.map_frames(compute, audio, *framing)
  valid = None
  if samples is not None:
    frames = stft.frames(audio.shape[-1], *framing)
    valid = (jnp.arange(frames) < stft.frames(samples, *framing))[:, None]
  return _concatenated(Views(spec, by_frame, audio, samples, valid), PARTS)


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
  return _concatenated(Views(spec, {"logmel": db}), OF_LOGMEL)


def _concatenated(
  views: Views, known: dict[str, Callable[[Views], jax.Array]]
) -> jax.Array:
  spec = views.spec
  if spec.parts == ("picture",):
    assert spec.size is not None
    frames = None if views.valid is None else views.valid.sum()
    return image.render(
      views.by_frame["logmel"], spec.size, spec.top_db, frames
    )
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
