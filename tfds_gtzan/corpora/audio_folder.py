"""The corpus `audio`: sound files in a folder for each genre."""

import pathlib

from gtzan_jax.audio import mono_waveform
from tfds_gtzan.corpora import genre_folders
from tfds_gtzan.corpora.types import Audio


def _decode(path: pathlib.Path) -> Audio:
  return Audio(mono_waveform.read(path))


FORM = genre_folders.Form(
  name="audio",
  kind="audio",
  extensions=mono_waveform.EXTENSIONS,
  numbered="[.]",
  accepted=(
    "sound files <genre>/<genre>.NNNNN.<ext> (GTZAN's, five digits) or"
    " <genre>/<any other name>.<ext> of at least two genres, in the place"
    f" itself or below its {'/, '.join(genre_folders.ROOTS)}/; <ext> is one of"
    f" {', '.join(mono_waveform.EXTENSIONS)}"
  ),
  decode=_decode,
  blocks=mono_waveform.blocks,
  rate=mono_waveform.rate,
)
