"""Each feature of one 30 s clip on one core: this project and librosa.

  python benchmarks/features.py [--rounds=15] [--json=FILE]

Prints one JSON line, and writes it to FILE: for each part alone, all of them
together ("union": one call here, librosa's functions one after the other) and
`table57`, the medians in ms and their ratio, ours / librosa. Both sides start
from a NumPy array, end in one, and take turns so that a busy machine slows
both. Chroma has tuning 0, except in `table57`.
"""

import os

if hasattr(os, "sched_setaffinity"):  # before any thread pool is made
  os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})

import argparse
import dataclasses
import json
import pathlib
import statistics
import sys
import time
from collections.abc import Callable

import jax
import librosa
import numpy as np
import scipy

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from benchmarks import parity
from gtzan_jax import features
from gtzan_jax.audio.mono_waveform import SAMPLE_RATE
from gtzan_jax.reports import provenance

SPEC = parity.EVERY_PART


def clip() -> np.ndarray:
  """30 s of gliding tones and a beat in noise, float32 `[661500]`."""
  t = np.arange(30 * SAMPLE_RATE) / SAMPLE_RATE
  sound = 0.4 * np.sin(2 * np.pi * (220 + 20 * t) * t)
  noise = np.random.default_rng(0).standard_normal(t.shape)
  sound += 0.1 * noise * (0.2 + np.exp(-8 * (2 * t % 1)))
  return sound.astype(np.float32)


def by_librosa(y: np.ndarray) -> dict[str, Callable]:
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


def pairs(y: np.ndarray) -> dict[str, tuple[Callable, Callable]]:
  """Ours and librosa's computation of each row."""
  theirs = by_librosa(y)

  def ours(spec: features.FeatureSpec) -> Callable:
    return lambda: np.asarray(features.extract(y, spec))

  rows = {
    part: (ours(dataclasses.replace(SPEC, parts=(part,))), theirs[part])
    for part in SPEC.parts
  }
  rows["union"] = (ours(SPEC), lambda: [f() for f in theirs.values()])
  table = features.get("table57")
  rows["table57"] = (ours(table), lambda: parity.table57(y, SAMPLE_RATE))
  return rows


def measure(rounds: int) -> dict:
  rows = []
  for name, sides in pairs(clip()).items():
    for run in sides:
      run()  # compiles
    times: list[list[float]] = [[], []]
    for _ in range(max(3, rounds // 3) if name == "table57" else rounds):
      for run, own in zip(sides, times, strict=True):
        start = time.perf_counter()
        run()
        own.append(1e3 * (time.perf_counter() - start))
    ours, theirs = map(statistics.median, times)
    rows.append(
      {
        "name": name,
        "ours_ms": round(ours, 2),
        "librosa_ms": round(theirs, 2),
        "ratio": round(ours / theirs, 3),
      }
    )
  return {
    "rows": rows,
    "versions": {
      "jax": jax.__version__,
      "librosa": librosa.__version__,
      "numpy": np.__version__,
      "scipy": scipy.__version__,
    },
    "device": jax.default_backend(),
    "commit": provenance.short(provenance.commit()),
    "command": f"python benchmarks/features.py --rounds={rounds}",
  }


if __name__ == "__main__":
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument("--rounds", type=int, default=15)
  parser.add_argument("--json", type=pathlib.Path)
  given = parser.parse_args()
  found = measure(given.rounds)
  print(json.dumps(found))
  if given.json:
    given.json.write_text(json.dumps(found, indent=1) + "\n")
