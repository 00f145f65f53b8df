"""All features of one 30 s clip on one core: this project and librosa.

  python benchmarks/features.py [--rounds=20]

Everything but harmonic/percussive separation and tempo: log-mel, 13 MFCC,
chroma (tuning 0), contrast, centroid, bandwidth, roll-off, zero crossings, RMS.
Prints one JSON line: the medians in ms of one `features.extract` that gives
them all, and of librosa's functions called one after the other, each from the
waveform, taken in turns so that a busy machine slows both; `ratio` is the
second over the first, `librosa_parts_ms` the medians of each function. The JAX
side starts from a NumPy array and ends in one.
"""

import os

if hasattr(os, "sched_setaffinity"):  # before any thread pool is made
  os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})

import argparse
import json
import statistics
import time

import jax
import librosa
import numpy as np

from gtzan_jax import features
from gtzan_jax.audio.mono_waveform import SAMPLE_RATE

SPEC = features.FeatureSpec(
  "all",
  parts=(
    *("logmel", "mfcc", "chroma", "contrast", "centroid", "bandwidth"),
    *("rolloff", "zero_crossing_rate", "rms"),
  ),
)


def clip() -> np.ndarray:
  """30 s of gliding tones in noise, float32 `[661500]`."""
  t = np.arange(30 * SAMPLE_RATE) / SAMPLE_RATE
  sound = 0.4 * np.sin(2 * np.pi * (220 + 20 * t) * t)
  sound += 0.1 * np.random.default_rng(0).standard_normal(t.shape)
  return sound.astype(np.float32)


def one_by_one(y: np.ndarray) -> dict:
  """librosa's functions with their defaults (n_fft 2048, hop 512)."""
  feature, sr = librosa.feature, SAMPLE_RATE
  return {
    "logmel": lambda: librosa.power_to_db(
      feature.melspectrogram(y=y, sr=sr), top_db=SPEC.top_db
    ),
    "mfcc": lambda: feature.mfcc(y=y, sr=sr, n_mfcc=SPEC.n_mfcc),
    "chroma": lambda: feature.chroma_stft(y=y, sr=sr, tuning=0.0),
    "contrast": lambda: feature.spectral_contrast(y=y, sr=sr),
    "centroid": lambda: feature.spectral_centroid(y=y, sr=sr),
    "bandwidth": lambda: feature.spectral_bandwidth(y=y, sr=sr),
    "rolloff": lambda: feature.spectral_rolloff(y=y, sr=sr),
    "zero_crossing_rate": lambda: feature.zero_crossing_rate(y),
    "rms": lambda: feature.rms(y=y),
  }


def measure(rounds: int) -> dict:
  y = clip()
  parts = one_by_one(y)
  # The first call compiles, and gives the results to compare.
  ours = np.asarray(features.extract(y, SPEC))
  theirs = np.concatenate([compute().T for compute in parts.values()], axis=1)
  assert ours.shape == theirs.shape
  together: list[float] = []
  alone: dict[str, list[float]] = {part: [] for part in parts}
  for _ in range(rounds):
    start = time.perf_counter()
    np.asarray(features.extract(y, SPEC))
    together.append(1e3 * (time.perf_counter() - start))
    for part, compute in parts.items():
      start = time.perf_counter()
      compute()
      alone[part].append(1e3 * (time.perf_counter() - start))
  jax_ms = statistics.median(together)
  librosa_ms = statistics.median(
    sum(times) for times in zip(*alone.values(), strict=True)
  )
  return {
    "benchmark": "features",
    "jax_ms": round(jax_ms, 2),
    "librosa_ms": round(librosa_ms, 2),
    "ratio": round(librosa_ms / jax_ms, 2),
    "librosa_parts_ms": {
      part: round(statistics.median(times), 2) for part, times in alone.items()
    },
    "rounds": rounds,
    "cores": len(os.sched_getaffinity(0))
    if hasattr(os, "sched_getaffinity")
    else os.cpu_count(),
    "device": jax.default_backend(),
    "jax": jax.__version__,
    "librosa": librosa.__version__,
  }


if __name__ == "__main__":
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument("--rounds", type=int, default=20)
  print(json.dumps(measure(parser.parse_args().rounds)))
