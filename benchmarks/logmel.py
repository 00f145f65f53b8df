"""Log-mel of ten 3-second segments on one core: this project and librosa.

  python benchmarks/logmel.py [--rounds=40]

Prints one JSON line: the medians in ms of `features.extract` on a batch of ten
segments and of librosa called once a segment, taken in turns so that a busy
machine slows both; `ratio` is the second over the first, `max_error_db` the
largest difference between their results. The JAX side starts from a NumPy
array and ends in one.
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

SPEC = features.get("logmel_1024")


def segments() -> np.ndarray:
  """Ten segments of gliding tones in noise, float32 `[10, 66000]`."""
  rng = np.random.default_rng(0)
  shape = (SPEC.segments_per_track, SPEC.segment_samples)
  t = np.arange(shape[0] * shape[1]) / SAMPLE_RATE
  sound = 0.4 * np.sin(2 * np.pi * (220 + 20 * t) * t)
  sound += 0.1 * rng.standard_normal(t.shape)
  return sound.astype(np.float32).reshape(shape)


def with_jax(audio: np.ndarray) -> np.ndarray:
  return np.asarray(features.extract(audio, SPEC))


def with_librosa(audio: np.ndarray) -> np.ndarray:
  def one(segment: np.ndarray) -> np.ndarray:
    power = librosa.feature.melspectrogram(
      y=segment,
      sr=SPEC.sample_rate,
      n_fft=SPEC.n_fft,
      hop_length=SPEC.hop_length,
      n_mels=SPEC.n_mels,
    )
    return librosa.power_to_db(power, top_db=SPEC.top_db).T

  return np.stack([one(segment) for segment in audio])


def measure(rounds: int) -> dict:
  audio = segments()
  sides = {"jax": with_jax, "librosa": with_librosa}
  # The first call compiles, and gives the results to compare.
  first = {side: run(audio) for side, run in sides.items()}
  times: dict[str, list[float]] = {side: [] for side in sides}
  for _ in range(rounds):
    for side, run in sides.items():
      start = time.perf_counter()
      run(audio)
      times[side].append(1e3 * (time.perf_counter() - start))
  medians = {side: statistics.median(times[side]) for side in sides}
  error = np.abs(first["jax"] - first["librosa"]).max()
  return {
    "benchmark": "logmel",
    "jax_ms": round(medians["jax"], 2),
    "librosa_ms": round(medians["librosa"], 2),
    "ratio": round(medians["librosa"] / medians["jax"], 2),
    "max_error_db": float(f"{error:.1e}"),
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
  parser.add_argument("--rounds", type=int, default=40)
  print(json.dumps(measure(parser.parse_args().rounds)))
