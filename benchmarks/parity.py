"""Every feature set beside librosa, over all audio files below a folder.

  python benchmarks/parity.py FOLDER [--clips=90]

One segment at a time, since librosa 0.11 floors an array as a whole; a set of
whole clips one clip at a time. Prints one JSON line for each part of each set
that is made of frames: how many examples, the largest and the median of each
example's largest difference, and the 99th percentile of all differences (dB of
log-mel and contrast, Hz of centroid, bandwidth and roll-off). The tests import
`reference` and `compare` from here.
"""

import argparse
import json
import pathlib

import jax
import librosa
import numpy as np

from gtzan_jax import features
from gtzan_jax.audio import mono_waveform
from gtzan_jax.errors import InputError

EXTENSIONS = {".wav", ".au", ".flac", ".ogg", ".mp3"}
EVERY_PART = features.FeatureSpec(
  "every_part",
  parts=(
    *("logmel", "mfcc", "chroma", "contrast", "centroid", "bandwidth"),
    *("rolloff", "zero_crossing_rate", "rms"),
  ),
)


def reference(y: np.ndarray, spec: features.FeatureSpec) -> dict:
  """Each part of a set by librosa: `[frames, bins]`."""
  sr, hop, center = spec.sample_rate, spec.hop_length, spec.center
  spectral = {
    "y": y,
    "sr": sr,
    "n_fft": spec.n_fft,
    "hop_length": hop,
    "center": center,
  }
  framed = {"frame_length": spec.n_fft, "hop_length": hop, "center": center}
  feature = librosa.feature

  def logmel() -> np.ndarray:
    power = feature.melspectrogram(**spectral, n_mels=spec.n_mels)
    return librosa.power_to_db(power, top_db=spec.top_db)

  compute = {
    "logmel": logmel,
    "mfcc": lambda: feature.mfcc(S=logmel(), n_mfcc=spec.n_mfcc),
    "chroma": lambda: feature.chroma_stft(**spectral, tuning=0.0),
    "contrast": lambda: feature.spectral_contrast(**spectral),
    "centroid": lambda: feature.spectral_centroid(**spectral),
    "bandwidth": lambda: feature.spectral_bandwidth(**spectral),
    "rolloff": lambda: feature.spectral_rolloff(**spectral),
    "zero_crossing_rate": lambda: feature.zero_crossing_rate(y, **framed),
    "rms": lambda: feature.rms(y=y, **framed),
  }
  return {part: compute[part]().T for part in spec.parts}


def table57(y: np.ndarray, sr: int) -> np.ndarray:
  """Kaggle's row of a clip by librosa, float32 `[57]`."""
  y = np.pad(y, (0, max(0, 2048 - len(y))))
  spectrum = librosa.stft(y, pad_mode="reflect")
  magnitude = np.abs(spectrum)
  power = magnitude**2
  feature = librosa.feature
  harmonic, percussive = (
    librosa.util.fix_length(librosa.istft(part), size=len(y))
    for part in librosa.decompose.hpss(spectrum)
  )
  onsets = librosa.onset.onset_strength(y=y, sr=sr, aggregate=np.median)
  tempo = feature.tempo(onset_envelope=onsets, sr=sr)[0]
  mel = feature.melspectrogram(S=power, sr=sr)
  rows = (
    feature.chroma_stft(S=power, sr=sr),
    feature.rms(y=y, pad_mode="reflect"),
    feature.spectral_centroid(S=magnitude, sr=sr),
    feature.spectral_bandwidth(S=magnitude, sr=sr),
    feature.spectral_rolloff(S=magnitude, sr=sr),
    feature.zero_crossing_rate(y),
    harmonic,
    percussive,
    *feature.mfcc(S=librosa.power_to_db(mel), n_mfcc=20),
  )
  values = [value for row in rows for value in (row.mean(), row.var())]
  values.insert(16, tempo if onsets.any() else 0.0)
  return np.asarray(values, np.float32)


def compare(ours: np.ndarray, theirs: dict[str, np.ndarray]) -> dict:
  """Differences of one example, part by part."""
  found, start = {}, 0
  for part, values in theirs.items():
    frames, bins = min(len(ours), len(values)), values.shape[1]
    columns = ours[:frames, start : start + bins]
    found[part] = np.abs(columns - values[:frames])
    start += bins
  return found


def examples(path: pathlib.Path, spec: features.FeatureSpec) -> list:
  """(ours, theirs) of each example in a file."""
  sound = mono_waveform.read(path)
  if spec.whole_clip:
    return [(features.extract_clip(sound, spec), reference(sound, spec))]
  cut = mono_waveform.segments(
    sound, spec.segment_samples, spec.segments_per_track
  )
  ours = np.asarray(features.extract(cut, spec))
  return [
    (mine, reference(segment, spec))
    for segment, mine in zip(cut, ours, strict=True)
  ]


def differences(paths: list[pathlib.Path], spec: features.FeatureSpec) -> dict:
  """Each part's differences, one array an example."""
  found: dict[str, list] = {part: [] for part in spec.parts}
  for path in paths:
    try:
      pairs = examples(path, spec)
    except InputError as error:
      print(error)
      continue
    for ours, theirs in pairs:
      for part, difference in compare(ours, theirs).items():
        found[part].append(difference)
  return found


def line(name: str, part: str, found: list[np.ndarray]) -> dict:
  largest = [difference.max() for difference in found]
  every = np.concatenate([difference.ravel() for difference in found])
  return {
    "benchmark": "parity",
    "features": name,
    "part": part,
    "examples": len(found),
    "largest": float(f"{max(largest):.1e}"),
    "median": float(f"{np.median(largest):.1e}"),
    "p99": float(f"{np.quantile(every, 0.99):.1e}"),
    "device": jax.default_backend(),
    "jax": jax.__version__,
    "librosa": librosa.__version__,
  }


if __name__ == "__main__":
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument("folder", type=pathlib.Path)
  parser.add_argument("--clips", type=int, help="only so many, spread evenly")
  given = parser.parse_args()
  paths = sorted(
    path for path in given.folder.rglob("*") if path.suffix in EXTENSIONS
  )
  if given.clips:
    paths = paths[:: max(1, len(paths) // given.clips)]
  for spec in (*features.FEATURES.values(), EVERY_PART):
    # Pictures and tables are no frames; benchmarks/table57.py has the latter.
    if set(spec.parts) <= set(EVERY_PART.parts):
      for part, found in differences(paths, spec).items():
        if found:
          print(json.dumps(line(spec.name, part, found)))
