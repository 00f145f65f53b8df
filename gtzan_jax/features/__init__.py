"""Feature sets in JAX: one implementation for preparing, training, predicting.

Every feature is a pure function of one example, `[*batch, samples]` to
`[*batch, frames, bins]`: it can be jitted and vmapped, and an example gives
the same numbers alone and in a batch. Values agree with librosa's.
"""

import functools

import jax
import jax.numpy as jnp

from gtzan_jax.errors import InputError
from gtzan_jax.features import mel, mfcc, stft
from gtzan_jax.features.spec import FEATURES_VERSION, FeatureSpec

__all__ = [
  "FEATURES",
  "FEATURES_VERSION",
  "FeatureSpec",
  "extract",
  "from_logmel",
  "get",
]

FEATURES: dict[str, FeatureSpec] = {
  spec.name: spec
  for spec in (
    FeatureSpec("logmel_1024", n_fft=1024, hop_length=256),
    FeatureSpec("mfcc_slices", n_mfcc=13, segment_samples=66_150),
  )
}


def get(name: str | FeatureSpec) -> FeatureSpec:
  """The feature set of that name (a spec is handed through).

  Raises:
    InputError: no such feature set; the message lists those there are.
  """
  if isinstance(name, FeatureSpec):
    return name
  if name not in FEATURES:
    known = ", ".join(sorted(FEATURES))
    raise InputError(f"unknown feature set {name!r}; there are {known}")
  return FEATURES[name]


def extract(audio: jax.Array, name: str | FeatureSpec) -> jax.Array:
  """Features of waveforms.

  Args:
    audio: float32 `[*batch, samples]` in -1..1 at the set's sample rate.
    name: a key of `FEATURES`, or a spec.

  Returns:
    float32 `[*batch, frames, bins]`, frames = 1 + samples // hop_length.
    Without `n_mfcc` these are absolute dB (reference 1.0, cut off at 1e-10),
    floored `top_db` below the example's maximum; with it, that log-mel's MFCC.
  """
  return _extract(jnp.asarray(audio, jnp.float32), get(name))


def from_logmel(db: jax.Array, name: str | FeatureSpec) -> jax.Array:
  """Features of stored log-mel spectrograms.

  Args:
    db: float32 `[*batch, frames, n_mels]`, absolute dB (reference 1.0).
    name: a key of `FEATURES`, or a spec. Its time axis and its n_fft play no
      part here: frames and mel are those of what was stored.

  Returns:
    float32 `[*batch, frames, bins]`, as `extract`.
  """
  return _from_logmel(jnp.asarray(db, jnp.float32), get(name))


@functools.partial(jax.jit, static_argnums=1)
def _extract(audio: jax.Array, spec: FeatureSpec) -> jax.Array:
  power = stft.power(audio, spec.n_fft, spec.hop_length)
  bands = mel.mel(power, spec.sample_rate, spec.n_mels)
  return _from_logmel(mel.power_to_db(bands), spec)


@functools.partial(jax.jit, static_argnums=1)
def _from_logmel(db: jax.Array, spec: FeatureSpec) -> jax.Array:
  db = mel.floor_db(db, spec.top_db)
  return db if spec.n_mfcc is None else mfcc.mfcc(db, spec.n_mfcc)
