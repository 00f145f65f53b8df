"""Small corpora on disk for the tests: noise in GTZAN's layout, an archive."""

import pathlib
from collections.abc import Mapping, Sequence

import numpy as np
import soundfile

RATE = 22_050


def write_folder(
  root: pathlib.Path,
  seconds: Mapping[str, Sequence[float]],
  ext: str = "wav",
) -> pathlib.Path:
  """Writes `<genre>/<genre>.NNNNN.<ext>`, noise of so many seconds each."""
  for g, (genre, lengths) in enumerate(seconds.items()):
    (root / genre).mkdir(parents=True)
    for i, length in enumerate(lengths):
      rng = np.random.default_rng([g, i])
      noise = rng.uniform(-0.5, 0.5, round(length * RATE))
      soundfile.write(root / genre / f"{genre}.{i:05d}.{ext}", noise, RATE)
  return root


def archive_arrays(
  tracks: Sequence[str] = ("rock.00001", "blues.00001", "blues.00000"),
  columns: int = 387,
) -> dict[str, np.ndarray]:
  """What a log-mel archive holds, with random spectrograms of 30 s tracks."""
  rng = np.random.default_rng(0)
  number = len(tracks)
  return {
    "mel": rng.integers(0, 256, (number, 128, columns), np.uint8),
    "track": np.array(tracks),
    "genre": np.array([name.split(".")[0] for name in tracks]),
    "range_db": rng.uniform(60, 80, number).astype(np.float32),
    "top_db": rng.uniform(10, 40, number).astype(np.float32),
    "n_frames": np.full(number, 1293, np.int32),
  }


def write_archive(path: pathlib.Path, **changed: np.ndarray) -> pathlib.Path:
  """Writes an archive, with some arrays exchanged (None: left out)."""
  arrays = archive_arrays() | changed
  kept = {key: value for key, value in arrays.items() if value is not None}
  np.savez(path, **kept)
  return path
