"""The embedded corpus: ten genre-like generators, no files needed.

`tracks()` is the track table, `render(id)` a track's audio. A track's audio
follows from its id alone. What is heard and why is in docs/synthetic.md.

A score on this corpus says that the machinery works. It is never a score on
GTZAN, whose ids (jazz.00054) these (jazz.s00054) cannot be taken for.
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
