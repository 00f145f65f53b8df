"""Mel-frequency cepstral coefficients from a log-mel spectrogram."""

import functools

import jax
import numpy as np

from gtzan_jax.features import mel


@functools.lru_cache
def dct_matrix(n_mels: int, n_mfcc: int) -> np.ndarray:
  """First columns of the orthonormal DCT-II, float32 `[n_mels, n_mfcc]`."""
  band = np.arange(n_mels)[:, None] + 0.5
  matrix = np.cos(np.pi / n_mels * band * np.arange(n_mfcc)[None, :])
  matrix *= np.sqrt(2 / n_mels)
  matrix[:, 0] /= np.sqrt(2)
  matrix = matrix.astype(np.float32)
  matrix.flags.writeable = False
  return matrix


def mfcc(db: jax.Array, n_mfcc: int) -> jax.Array:
  """Cosine transform of each frame: librosa's `mfcc(S=db)` without lifter.

  dB float32 `[*batch, frames, n_mels]` to `[*batch, frames, n_mfcc]`.
  """
  return mel.exact_product(db, dct_matrix(db.shape[-1], n_mfcc))
