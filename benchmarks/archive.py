"""Compares a log-mel archive made from audio with an existing one.

  python benchmarks/archive.py FOLDER --archive=gtzan_logmel.npz

Writes archives of the clips of FOLDER that are in the other one, reads them
back and prints one JSON line: over all cells, the differences in dB (both
archives' rounding included), for

  whole  clips that have as many frames as there: the archive of the same rate,
         cell by cell
  cut    clips that are the beginning of the track only: of the archive of
         every frame, those frames that the other one holds. Levels end 80 dB
         below a loudest frame that may be in the part that is missing, so both
         are floored at the higher of the two minima.

`beyond_half_db` names the clips with a cell that is off by more than 0.5 dB and
says by how much; `seconds_per_clip` is of decoding, log-mel and writing.
"""

import argparse
import dataclasses
import json
import pathlib
import tempfile
import time

import numpy as np

import tfds_gtzan
from gtzan_jax.features import logmel_archive
from tfds_gtzan.corpora import write_logmel_archive
from tfds_gtzan.corpora.types import Corpus, LogMel

_WINDOW = (
  logmel_archive.N_FFT // 2 // logmel_archive.HOP
)  # frames that reach beyond a cut


def whole(ours: LogMel, theirs: LogMel) -> np.ndarray:
  """|difference| in dB of two of one shape."""
  return np.abs(ours.db - theirs.db)


def cut(ours: LogMel, theirs: LogMel) -> np.ndarray:
  """|difference| in dB at those columns of `theirs` whose frame `ours` has."""
  frames = logmel_archive.frames_of(theirs.n_frames, len(theirs.db))
  frames = frames[frames < ours.n_frames - _WINDOW]
  floor = max(ours.db.min(), theirs.db.min())
  found = np.maximum(ours.db[frames], floor)
  return np.abs(found - np.maximum(theirs.db[: len(frames)], floor))


def read_back(given: Corpus, rate: float) -> tuple[dict[str, LogMel], float]:
  """{id: what an archive of that rate holds}, and the seconds it took."""
  with tempfile.TemporaryDirectory() as folder:
    start = time.perf_counter()
    done = write_logmel_archive.write(
      given, pathlib.Path(folder, "a.npz"), rate
    )
    seconds = time.perf_counter() - start
    tracks = tfds_gtzan.open_corpus(str(done.path)).tracks
    return {track.id: track.read() for track in tracks}, seconds


def summary(off: dict[str, np.ndarray]) -> dict:
  cells = np.concatenate([one.ravel() for one in off.values()])
  worst = {name: one.max() for name, one in off.items()}
  return {
    "clips": len(off),
    "median_db": round(float(np.median(cells)), 3),
    "p99_db": round(float(np.percentile(cells, 99)), 3),
    "max_db": round(float(cells.max()), 3),
    "beyond_half_db": {
      name: round(float(most), 2) for name, most in worst.items() if most > 0.5
    },
  }


def main() -> None:
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument("folder", type=pathlib.Path)
  parser.add_argument("--archive", type=pathlib.Path, required=True)
  arguments = parser.parse_args()
  held = tfds_gtzan.open_corpus(str(arguments.archive))
  theirs = {track.id: track for track in held.tracks}
  given = tfds_gtzan.open_corpus(str(arguments.folder))
  common = tuple(track for track in given.tracks if track.id in theirs)
  if not common:
    parser.error("no clip of the folder is in the archive")
  genres = tuple(g for g in given.genres if g in {t.genre for t in common})
  given = dataclasses.replace(given, tracks=common, genres=genres)
  rate = held.columns_per_frame * logmel_archive.EVERY_FRAME
  same, seconds = read_back(given, rate)
  every, _ = read_back(given, logmel_archive.EVERY_FRAME)
  off = {"whole": {}, "cut": {}}
  for name, ours in same.items():
    wanted = theirs[name].read()
    if ours.n_frames == wanted.n_frames and ours.db.shape == wanted.db.shape:
      off["whole"][name] = whole(ours, wanted)
    else:
      off["cut"][name] = cut(every[name], wanted)
  result = {"benchmark": "archive", "columns_per_second": round(rate, 2)}
  result |= {part: summary(one) for part, one in off.items() if one}
  result["seconds_per_clip"] = round(seconds / len(same), 3)
  print(json.dumps(result))


if __name__ == "__main__":
  main()
