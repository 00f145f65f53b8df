"""Time of preparing a corpus against decoding and feature computation alone.

  python benchmarks/prepare.py [--runs=3] [--features=logmel_1024] [--path=...]

`prepare` is `tfds_gtzan.prepare` into a new folder; `compute` reads the same
tracks on the same threads, cuts them, computes their features and writes
nothing. Without a path it is the synthetic corpus, 1,000 tracks, where to
decode is to render. Each run is a process of its own, the two in turns, timed
from after its imports. Printed, one JSON line: medians in seconds, their ratio,
and the most memory that a run of each took. GTZAN as logmel_1024 comes to
2.4 GB in the temporary folder, one run at a time.
"""

import argparse
import functools
import json
import pathlib
import resource
import statistics
import subprocess
import sys
import tempfile
import time

import jax

import tfds_gtzan
from gtzan_jax import features
from tfds_gtzan import track_examples

ROOT = pathlib.Path(__file__).resolve().parents[1]
SIDES = ("prepare", "compute")
# What ru_maxrss counts in.
RSS_UNIT = 1 if sys.platform == "darwin" else 1024


def one_run(given: argparse.Namespace) -> dict:
  """One side's work in this process: seconds, segments and megabytes."""
  began = time.perf_counter()
  if given.side == "prepare":
    with tempfile.TemporaryDirectory() as folder:
      prepared = tfds_gtzan.prepare(
        given.path, given.features, folder, given.tracks_per_genre
      )
      seconds = time.perf_counter() - began
      segments = sum(row.segments for row in prepared.rows)
  else:
    corpus = tfds_gtzan.open_corpus(given.path, given.tracks_per_genre)
    spec = features.get(given.features)
    read = functools.partial(track_examples.read, spec, corpus)
    segments = 0
    for _, found in track_examples.read_ahead(read, corpus.tracks):
      if not isinstance(found, Exception):
        segments += len(found["features"])
    seconds = time.perf_counter() - began
  peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * RSS_UNIT
  return {"seconds": seconds, "segments": segments, "rss_mb": peak / 1e6}


def measure(given: argparse.Namespace) -> dict:
  found: dict[str, list[dict]] = {side: [] for side in SIDES}
  for _ in range(given.runs):
    for side in SIDES:
      command = [sys.executable, __file__, *sys.argv[1:], f"--side={side}"]
      done = subprocess.run(
        command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True
      )
      found[side].append(json.loads(done.stdout))
  (segments,) = {run["segments"] for runs in found.values() for run in runs}
  seconds = {
    side: statistics.median(run["seconds"] for run in runs)
    for side, runs in found.items()
  }
  rss = {
    side: max(run["rss_mb"] for run in runs) for side, runs in found.items()
  }
  return {
    "benchmark": "prepare",
    "corpus": given.path or f"synthetic, {given.tracks_per_genre} a genre",
    "features": given.features,
    "segments": segments,
    "prepare_s": round(seconds["prepare"], 1),
    "compute_s": round(seconds["compute"], 1),
    "ratio": round(seconds["prepare"] / seconds["compute"], 2),
    "prepare_rss_mb": round(rss["prepare"]),
    "compute_rss_mb": round(rss["compute"]),
    "runs": given.runs,
    "device": jax.default_backend(),
    "jax": jax.__version__,
  }


if __name__ == "__main__":
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument("--path", type=lambda p: str(pathlib.Path(p).resolve()))
  parser.add_argument("--features", default="logmel_1024")
  parser.add_argument("--tracks_per_genre", type=int, default=100)
  parser.add_argument("--runs", type=int, default=3)
  parser.add_argument("--side", choices=SIDES, help=argparse.SUPPRESS)
  given = parser.parse_args()
  print(json.dumps(one_run(given) if given.side else measure(given)))
