"""Compares Kaggle's table of 57 columns with the columns computed from audio.

  python benchmarks/table57.py FOLDER [--table=FOLDER/features_30_sec.csv]

For the clips of FOLDER that are in the table and last the full 30 s, prints for
each column the median and the largest difference, relative to the table's
value; for the mean of a waveform, which is near zero, relative to that
waveform's standard deviation.
"""

import argparse
import pathlib

import numpy as np

import tfds_gtzan
from gtzan_jax.features import kaggle_columns

FULL = 660_000  # samples of the shortest track of GTZAN
WAVEFORMS = ("harmony", "perceptr")


def differences(found: np.ndarray, wanted: np.ndarray) -> np.ndarray:
  """Relative differences `[clips, 57]` of two tables of that shape."""
  scale = np.maximum(np.abs(wanted), np.finfo(np.float32).tiny)
  for name in WAVEFORMS:
    mean, var = (
      kaggle_columns.COLUMNS.index(f"{name}_{s}") for s in ("mean", "var")
    )
    scale[:, mean] = np.sqrt(wanted[:, var])
  return np.abs(found - wanted) / scale


def main() -> None:
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument("folder", type=pathlib.Path)
  parser.add_argument("--table", type=pathlib.Path)
  arguments = parser.parse_args()
  table = arguments.table or arguments.folder / "features_30_sec.csv"
  tracks = tfds_gtzan.open_corpus(str(table)).tracks
  rows = {track.id: track.read().rows[0] for track in tracks}
  found, wanted = [], []
  for track in tfds_gtzan.open_corpus(str(arguments.folder)).tracks:
    samples = track.read().samples
    if track.id in rows and len(samples) >= FULL:
      found.append(kaggle_columns.from_audio(samples, 22_050))
      wanted.append(rows[track.id])
  if not found:
    parser.error("no clip of the full 30 s is in the table")
  off = differences(np.array(found, float), np.array(wanted, float))
  print(f"{len(found)} clips; relative difference, median and largest")
  for name, column in zip(kaggle_columns.COLUMNS, off.T, strict=True):
    print(f"{name:24} {np.median(column):8.1e} {column.max():8.1e}")


if __name__ == "__main__":
  main()
