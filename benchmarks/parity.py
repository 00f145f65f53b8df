"""Every feature set beside librosa, over all audio files below a folder.

  python benchmarks/parity.py FOLDER

One segment at a time, since librosa 0.11 floors an array as a whole. Prints
one JSON line a set: the number of segments, and the largest and the median of
each segment's largest difference (dB for log-mel).
"""

import argparse
import json
import pathlib

import jax
import librosa
import numpy as np

from gtzan_jax import audio, features
from gtzan_jax.errors import InputError

EXTENSIONS = {".wav", ".au", ".flac", ".ogg", ".mp3"}


def reference(segment: np.ndarray, spec: features.FeatureSpec) -> np.ndarray:
  """`[samples]` to `[frames, bins]` by librosa."""
  power = librosa.feature.melspectrogram(
    y=segment,
    sr=spec.sample_rate,
    n_fft=spec.n_fft,
    hop_length=spec.hop_length,
    n_mels=spec.n_mels,
  )
  db = librosa.power_to_db(power, top_db=spec.top_db)
  if spec.n_mfcc is None:
    return db.T
  return librosa.feature.mfcc(S=db, n_mfcc=spec.n_mfcc).T


def differences(folder: pathlib.Path, spec: features.FeatureSpec) -> list:
  """Each segment's largest difference."""
  found = []
  for path in sorted(folder.rglob("*")):
    if path.suffix not in EXTENSIONS:
      continue
    try:
      sound = audio.read(path)
    except InputError as error:
      print(error)
      continue
    cut = audio.segments(sound, spec.segment_samples, spec.segments_per_track)
    ours = np.asarray(features.extract(cut, spec))
    for segment, feature in zip(cut, ours, strict=True):
      found.append(np.abs(feature - reference(segment, spec)).max())
  return found


if __name__ == "__main__":
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument("folder", type=pathlib.Path)
  folder = parser.parse_args().folder
  for name, spec in features.FEATURES.items():
    found = differences(folder, spec)
    line = {
      "benchmark": "parity",
      "features": name,
      "segments": len(found),
      "largest": float(f"{max(found):.1e}") if found else None,
      "median": float(f"{np.median(found):.1e}") if found else None,
      "device": jax.default_backend(),
      "jax": jax.__version__,
      "librosa": librosa.__version__,
    }
    print(json.dumps(line))
