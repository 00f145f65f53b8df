"""Small corpora on disk for the tests, one of each form."""

import csv
import pathlib
import tarfile
import zipfile
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pytest
import soundfile
import tensorflow_datasets as tfds
from PIL import Image

import tfds_gtzan
from gtzan_jax.errors import InputError
from gtzan_jax.features import kaggle_columns
from tfds_gtzan import synthetic
from tfds_gtzan.corpora.types import Corpus
from tfds_gtzan.facts import track_lists

RATE = 22_050


# libsndfile writes these by another name.
_FORMATS = {".snd": "AU", ".wave": "WAV", ".oga": "OGG", ".aif": "AIFF"}


def write_sound(path: pathlib.Path, samples: np.ndarray, rate: int) -> None:
  """Writes a file of the form that its name stands for."""
  form, kind = _FORMATS.get(path.suffix.lower()), None
  if path.suffix == ".opus":
    form, kind = "OGG", "OPUS"
  soundfile.write(path, samples, rate, format=form, subtype=kind)


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


def write_names(root: pathlib.Path, names: Iterable[str]) -> pathlib.Path:
  """Writes files of these names, which hold them; "x/" is a folder."""
  for name in names:
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    if name.endswith("/"):
      (root / name).mkdir()
    else:
      (root / name).write_bytes(name.encode())
  return root


def opened(path: pathlib.Path, **more) -> Corpus:
  return tfds_gtzan.open_corpus(str(path), **more)


def refused(path: pathlib.Path, message: str, **more) -> None:
  """Opening the corpus at a path raises an error of one line that matches."""
  with pytest.raises(InputError, match=message) as caught:
    opened(path, **more)
  assert "\n" not in str(caught.value)


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


def write_pictures(
  root: pathlib.Path,
  numbers: Mapping[str, int],
  size: tuple[int, int] = (48, 32),
) -> pathlib.Path:
  """Writes `<genre>/<genre>NNNNN.png`, opaque RGBA noise as Kaggle's are."""
  for g, (genre, number) in enumerate(numbers.items()):
    (root / genre).mkdir(parents=True)
    for i in range(number):
      rng = np.random.default_rng([g, i])
      rgba = rng.integers(0, 256, (*size[::-1], 4), np.uint8)
      rgba[..., 3] = 255
      Image.fromarray(rgba).save(root / genre / f"{genre}{i:05d}.png")
  return root


def table_rows(filenames: Sequence[str]) -> list[dict[str, str]]:
  """Lines of a features csv, with random values."""
  rng = np.random.default_rng(0)
  return [
    {"filename": name, "length": "661794"}
    | {column: str(rng.normal()) for column in kaggle_columns.COLUMNS}
    | {"label": name.split(".")[0]}
    for name in filenames
  ]


def write_table(
  path: pathlib.Path,
  rows: Sequence[Mapping[str, str]],
  without: Sequence[str] = (),
) -> pathlib.Path:
  """Writes a features csv, less some columns."""
  names = [name for name in rows[0] if name not in without]
  with path.open("w", newline="") as file:
    writer = csv.DictWriter(file, names, extrasaction="ignore")
    writer.writeheader()
    writer.writerows(rows)
  return path


def pack(root: pathlib.Path, path: pathlib.Path) -> pathlib.Path:
  """Packs what lies in a folder into a .zip, .tar, .tar.gz or .tgz."""
  if path.suffix == ".zip":
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
      for entry in sorted(root.rglob("*")):
        archive.write(entry, entry.relative_to(root))
  else:
    with tarfile.open(
      path, "w" if path.suffix == ".tar" else "w:gz"
    ) as archive:
      archive.add(root, ".")
  return path


def records(
  prepared: tfds_gtzan.Prepared,
) -> list[tuple[tfds_gtzan.Row, dict]]:
  """Each record of a prepared data set with its track's row."""
  builder = tfds.builder_from_directory(str(prepared.directory))
  sources = {
    split: iter(builder.as_data_source(split)) for split in builder.info.splits
  }
  return [
    (row, next(sources[row.partition]))
    for row in prepared.rows
    for _ in range(row.segments)
  ]


# Track tables.


def gtzan_rows(segments: int = 10) -> list[tfds_gtzan.Row]:
  return [
    tfds_gtzan.Row(
      *(name, name.split(".")[0], artist, track_lists.partition(name)), segments
    )
    for name, artist in track_lists.artists().items()
  ]


def synthetic_rows(tracks_per_genre: int = 20) -> list[tfds_gtzan.Row]:
  """Tracks of three to eight segments."""
  return [
    tfds_gtzan.Row(t.id, t.genre, t.artist, t.partition, 3 + i % 6)
    for i, t in enumerate(synthetic.tracks(tracks_per_genre))
  ]


def own_rows(
  tracks: int = 3,
  genres: Sequence[str] = ("blues", "rock"),
  segments: int | None = None,
) -> list[tfds_gtzan.Row]:
  """Somebody's folder: no artists, no partition; by default tracks of one to
  three segments."""
  return [
    tfds_gtzan.Row(
      f"{genre}.x{i}", genre, "", "unlisted", segments or 1 + i % 3
    )
    for genre in genres
    for i in range(tracks)
  ]
