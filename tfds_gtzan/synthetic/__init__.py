"""The embedded corpus: ten genre-like generators, no files needed.

A track's audio follows from its id alone; see docs/synthetic.md. A score on
this corpus says that the machinery works and is never a score on GTZAN.
"""

from tfds_gtzan.synthetic.catalogue import (
  GENRES,
  SyntheticTrack,
  track,
  tracks,
)
from tfds_gtzan.synthetic.rendering import SAMPLE_RATE, VERSION, render

__all__ = [
  "GENRES",
  "SAMPLE_RATE",
  "VERSION",
  "SyntheticTrack",
  "render",
  "track",
  "tracks",
]
