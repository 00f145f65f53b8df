"""Batches from a prepared TFDS folder and a protocol's ids.

array_record is random access, so a split is a list of positions and another
protocol prepares nothing again. grain orders indices; examples are gathered a
batch at a time, from memory where they fit.

A batch is a dict of stored arrays ("features" and, for training with waveform
or log-mel augmentation, "audio" or "logmel") with "label" [b], "index" [b]
(place in the split) and "mask" [b]. Shapes are static: evaluation pads the last
batch and masks the padding, so each example counts once.
"""

import contextlib
import dataclasses
import pathlib
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import grain
import jax
import numpy as np
import tensorflow_datasets as tfds

from gtzan_jax import errors, features
from gtzan_jax.features import logmel_archive

if TYPE_CHECKING:
  from tfds_gtzan import Partition

Ids = Sequence[tuple[str, int]]
Indices = Sequence[int] | np.ndarray


@dataclasses.dataclass(frozen=True)
class Dataset:
  """A prepared corpus under one protocol.

  Attributes:
    directory: the TFDS folder, of one corpus and one feature set.
    metadata: written by its builder (see docs/formats.md).
    genres: the classes, in label order: the corpus's own, or some of them.
    fields: (shape, dtype) of each array of an example.
    parts: {"train", "validation", "test"}: (track id, segment index) pairs.
    protocol: the protocol's name.
    leak: what the protocol leaks, None if nothing.
    missing: number of listed tracks of each split absent from the corpus.
    sha256: of each split's track ids.
    artists: {track: artist}, "" where unknown.
    warnings: findings about the corpus: `check`, `title` and `text` each.
  """

  directory: pathlib.Path
  metadata: Mapping
  genres: tuple[str, ...]
  fields: Mapping[str, tuple[tuple[int, ...], np.dtype]]
  parts: Mapping[str, Ids]
  protocol: str
  leak: str | None
  missing: Mapping[str, int]
  sha256: Mapping[str, str]
  artists: Mapping[str, str]
  warnings: Sequence[Mapping[str, str]] = ()

  @property
  def kind(self) -> str:
    """The corpus kind: "audio", "logmel", "picture" or "table"."""
    return self.metadata["kind"]

  @property
  def raw(self) -> str | None:
    """The array stored beside the features: "audio", "logmel" or None."""
    return self.kind if self.kind in self.fields else None

  @property
  def example_shape(self) -> tuple[int, ...]:
    """Shape of one example's features: [frames, bins], a picture or a row."""
    return self.fields["features"][0]

  @property
  def spec(self) -> features.FeatureSpec:
    return features.FeatureSpec.from_dict(self.metadata["feature_spec"])

  @property
  def clip_seconds(self) -> float:
    """Approximate duration of the clip that a whole-clip example covers."""
    rows = self.metadata["rows"]
    slices = self.kind == "table" and any(row["segments"] > 1 for row in rows)
    return 3.0 if slices else 30.0  # features_3_sec.csv; GTZAN's tracks

  @property
  def columns_per_second(self) -> float | None:
    """Columns of stored log-mel a second; None for audio."""
    rate = self.metadata["columns_per_frame"]
    return rate and rate * logmel_archive.SAMPLE_RATE / logmel_archive.HOP


def from_folder(
  directory: pathlib.Path,
  protocol: str,
  partition: "Partition",
  genres: Sequence[str] = (),
  *,
  artists: Mapping[str, str],
  warnings: Sequence[Mapping[str, str]] = (),
) -> Dataset:
  """Opens prepared data with a protocol's partition.

  Args:
    directory: the TFDS folder.
    protocol: the protocol's name.
    partition: has `parts`, `leak`, `missing` and `sha256` (see `Dataset`).
    genres: the genres that `partition` was made for; none for all.
    artists: see `Dataset`.
    warnings: see `Dataset`.
  """
  info = tfds.builder_from_directory(str(directory)).info
  return Dataset(
    directory=directory,
    metadata=dict(info.metadata),
    genres=tuple(
      genre
      for genre in info.metadata["genres"]
      if genre in genres or not genres
    ),
    fields={
      name: (tuple(feature.shape), np.dtype(feature.np_dtype))
      for name, feature in info.features.items()
      if name in ("audio", "logmel", "features")
    },
    parts=partition.parts,
    protocol=protocol,
    leak=partition.leak,
    missing=partition.missing,
    sha256=partition.sha256,
    artists=artists,
    warnings=warnings,
  )


class Records:
  """The examples of one split, by index."""

  def __init__(self, dataset: Dataset, part: str, fields: Sequence[str]):
    self.ids = tuple(dataset.parts[part])
    self.shapes = {name: dataset.fields[name] for name in fields}
    builder = tfds.builder_from_directory(str(dataset.directory))
    # Only these are decoded: audio is most of a record.
    # (tfds.decode.PartialDecoding does the same, but imports TensorFlow.)
    wanted = tfds.features.FeaturesDict(
      {name: builder.info.features[name] for name in (*fields, "label")}
    )
    self._decode = wanted.deserialize_example_np
    with _reading(dataset.directory):
      self._sources = {
        split: builder.as_data_source(
          split, deserialize_method=tfds.decode.DeserializeMethod.RAW_BYTES
        )
        for split in builder.info.splits
      }
    self._directory = dataset.directory
    self._label_of = {
      stored: dataset.genres.index(genre)
      for stored, genre in enumerate(dataset.metadata["genres"])
      if genre in dataset.genres
    }
    place = positions(dataset.metadata["rows"])
    self._places = [place[track, int(segment)] for track, segment in self.ids]
    genre_of = {row["id"]: row["genre"] for row in dataset.metadata["rows"]}
    self._labels = np.array(
      [dataset.genres.index(genre_of[track]) for track, _ in self.ids], np.int32
    )
    self._cache: dict[str, np.ndarray] | None = None

  def __len__(self) -> int:
    return len(self.ids)

  @property
  def nbytes(self) -> int:
    """Size of the whole split in memory."""
    example = sum(
      int(np.prod(shape)) * dtype.itemsize
      for shape, dtype in self.shapes.values()
    )
    return len(self) * example

  def load(self) -> None:
    """Reads the whole split into memory, once."""
    self._cache = self._read(range(len(self)))

  def take(self, indices: Indices) -> dict[str, np.ndarray]:
    """The examples at `indices`, stacked."""
    if self._cache is None:
      return self._read(indices)
    return {key: value[indices] for key, value in self._cache.items()}

  def _read(self, indices: Indices) -> dict[str, np.ndarray]:
    batch = {
      name: np.empty((len(indices), *shape), dtype)
      for name, (shape, dtype) in self.shapes.items()
    }
    batch["label"] = np.empty(len(indices), np.int32)
    for row, index in enumerate(indices):
      split, position = self._places[index]
      with _reading(self._directory):
        example = self._decode(self._sources[split][position])
      example["label"] = self._label_of[int(example["label"])]
      for name, value in batch.items():
        value[row] = example[name]
    return batch

  def labels(self) -> np.ndarray:
    """`[n]` int32; nothing is read for it."""
    return self._labels


@contextlib.contextmanager
def _reading(directory: pathlib.Path) -> Iterator[None]:
  """array_record raises RuntimeError for missing or corrupt files."""
  try:
    yield
  except (RuntimeError, OSError, LookupError) as error:
    reason = errors.first_line(error).partition(";")[0]
    raise errors.damaged_data(directory, reason) from error


def positions(rows: Sequence[Mapping]) -> dict[tuple[str, int], tuple]:
  """{(track, segment): (TFDS split, place in it)}; the builder keeps order."""
  place: dict[tuple[str, int], tuple] = {}
  count: dict[str, int] = {}
  for row in rows:
    split = row["partition"]
    for segment in range(row["segments"]):
      place[row["id"], segment] = (split, count.get(split, 0))
      count[split] = count.get(split, 0) + 1
  return place


class Mixed:
  """Real examples followed by generated ones: what training reads of Records.

  Generated examples have no `ids`, which evaluation reads.
  """

  def __init__(
    self,
    real: Records | None,
    generated: Mapping[str, np.ndarray],
  ):
    self._real = real
    self._generated = generated
    self._first = len(real) if real else 0

  def __len__(self) -> int:
    return self._first + len(self._generated["label"])

  def take(self, indices: Indices) -> dict[str, np.ndarray]:
    """The examples at `indices`, stacked."""
    places = np.asarray(indices)
    made = places >= self._first
    chosen = places[made] - self._first
    found = {key: value[chosen] for key, value in self._generated.items()}
    if self._real is None or made.all():
      return found
    real = self._real.take(places[~made])
    for key, value in found.items():
      both = np.empty((len(places), *value.shape[1:]), value.dtype)
      both[made], both[~made] = value, real[key]
      found[key] = both
    return found

  def labels(self) -> np.ndarray:
    real = [] if self._real is None else [self._real.labels()]
    return np.concatenate([*real, self._generated["label"]])


def load_parts(
  dataset: Dataset, fields: Mapping[str, Sequence[str]], cache_mb: int
) -> dict[str, Records]:
  """Opens splits; reads into memory, smallest first, what fits `cache_mb`."""
  records = {
    part: Records(dataset, part, names) for part, names in fields.items()
  }
  left = cache_mb * 2**20
  for part in sorted(records.values(), key=lambda part: part.nbytes):
    if part.nbytes <= left:
      part.load()
      left -= part.nbytes
  return records


def train_batches(
  records: Records | Mixed, *, batch_size: int, seed: int, start_step: int
) -> Iterator[dict[str, np.ndarray]]:
  """An endless stream; batch k depends on the seed and k alone.

  Every epoch is a new permutation; batches run across its end, so no example
  is dropped. Each process yields its own share of the global batch.
  """
  if not len(records):
    raise errors.InputError("the train split is empty")
  share = batch_size // jax.process_count()
  first = jax.process_index() * share

  def gather(indices: np.ndarray) -> dict[str, np.ndarray]:
    return records.take(indices[first : first + share])

  stream = (
    grain.MapDataset.range(len(records))
    .seed(seed)
    .shuffle()
    .repeat(None)
    .batch(batch_size, drop_remainder=True)
    .map(gather)
    .to_iter_dataset(grain.ReadOptions(num_threads=1, prefetch_buffer_size=4))
  )
  iterator = iter(stream)
  iterator.set_state({"next_index": start_step})
  return iterator


def eval_batches(
  records: Records, batch_size: int
) -> Iterator[dict[str, np.ndarray]]:
  """Every example once, in order; the last batch is padded, with a mask."""
  share = batch_size // jax.process_count()
  first = jax.process_index() * share
  for start in range(0, len(records), batch_size):
    indices = np.arange(start, start + batch_size)[first : first + share]
    mask = indices < len(records)
    indices = np.minimum(indices, len(records) - 1)
    batch = records.take(indices)
    yield batch | {"index": indices.astype(np.int32), "mask": mask}


def input_statistics(
  records: Records, over: str
) -> tuple[np.ndarray, np.ndarray]:
  """Mean and standard deviation [bins] of the features of a split.

  Args:
    records: the train split, and no other.
    over: "bin": a mean for each bin, over examples and frames; "global": one
      mean for all, repeated.
  """
  count, total, squares = 0, np.zeros(()), np.zeros(())
  for start in range(0, len(records), 256):
    stop = min(start + 256, len(records))
    x = records.take(np.arange(start, stop))["features"].astype(np.float64)
    x = x.reshape(-1, x.shape[-1])
    count += len(x)
    total = total + x.sum(0)
    squares = squares + (x**2).sum(0)
  mean, second = total / count, squares / count
  if over == "global":
    mean = np.full_like(mean, mean.mean())
    second = np.full_like(second, second.mean())
  std = np.sqrt(np.maximum(second - mean**2, 0.0))
  # A bin that never varies (an empty mel band) is centred and left unscaled.
  std = np.where(std > 1e-6, std, 1.0)
  return mean.astype(np.float32), std.astype(np.float32)
