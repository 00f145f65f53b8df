"""Batches from a prepared TFDS folder and a protocol's ids.

array_record is random access, so a split is a list of positions, and another
protocol uses the same prepared data. grain shuffles indices; examples are
gathered batch by batch, from memory if they fit, or read ahead.

A batch is a dict of stored arrays ("features" and, for training with waveform
or log-mel augmentation, "audio" or "logmel") with "label" [b] and, to evaluate,
"mask" [b]. Shapes are static: evaluation pads the last batch and masks the
padding, so each example counts once.
"""

import contextlib
import dataclasses
import functools
import importlib.machinery
import importlib.util
import itertools
import pathlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import jax
import numpy as np

from gtzan_jax import errors, features
from gtzan_jax.features import logmel_archive
from gtzan_jax.scores.predictions import Predictions

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
    genres: the classes, in label order: those of the corpus, or some of them.
    fields: (shape, dtype) of each array of an example.
    parts: {split: (track id, segment index) pairs}.
    protocol: the protocol's name.
    leak: what the protocol leaks, in a sentence; None if nothing.
    missing: {split: number of listed tracks absent from the corpus}.
    sha256: {split: digest of its track ids}.
    artists: {track: artist}, "" where unknown.
    warnings: findings about the corpus: `check`, `title` and `text` each.
    loaded: features that `load_parts` has in memory; the report of a run reads
      those that training read.
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
  loaded: dict[tuple[str, ...], "Records"] = dataclasses.field(
    default_factory=dict, repr=False, compare=False
  )

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
    """Shape of an example's features: [frames, bins], or its picture or row."""
    return self.fields["features"][0]

  @property
  def spec(self) -> features.FeatureSpec:
    return features.FeatureSpec.from_dict(self.metadata["feature_spec"])

  @property
  def clip_seconds(self) -> float:
    """Approximate duration of the clip that a whole-clip example covers."""
    rows = self.metadata["rows"]
    slices = self.kind == "table" and any(row["segments"] > 1 for row in rows)
    return 3.0 if slices else 30.0  # features_3_sec.csv, else a GTZAN track

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
  """Opens a TFDS folder as split by a protocol.

  `partition` has `parts`, `leak`, `missing` and `sha256` (see `Dataset`, also
  for the others) and was made for `genres`, empty for all.
  """
  import tensorflow_datasets as tfds  # not to predict, nor grain

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

  def __init__(self, dataset: Dataset, split: str, fields: Sequence[str]):
    import tensorflow_datasets as tfds

    self.ids = tuple(dataset.parts[split])
    self.shapes = {name: dataset.fields[name] for name in fields}
    builder = tfds.builder_from_directory(str(dataset.directory))
    # Only these fields are decoded: audio is most of a record.
    # (tfds.decode.PartialDecoding does the same, but imports TensorFlow.)
    wanted = tfds.features.FeaturesDict(
      {name: builder.info.features[name] for name in (*fields, "label")}
    )
    self._decode = wanted.deserialize_example_np
    with _reading(dataset.directory):
      self._sources = {
        tfds_split: builder.as_data_source(
          tfds_split, deserialize_method=tfds.decode.DeserializeMethod.RAW_BYTES
        )
        for tfds_split in builder.info.splits
      }
    self._directory = dataset.directory
    self._label_of = {
      stored: dataset.genres.index(genre)
      for stored, genre in enumerate(dataset.metadata["genres"])
      if genre in dataset.genres
    }
    place = positions(dataset.metadata["rows"])
    self._places = [place[track, int(segment)] for track, segment in self.ids]
    self._labels = labels(dataset, split)
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

  @property
  def in_memory(self) -> bool:
    return self._cache is not None

  def load(self) -> None:
    """Reads the whole split into memory, once."""
    self._cache = self._read(range(len(self)))

  def take(self, indices: Indices) -> dict[str, np.ndarray]:
    """The examples at `indices`, stacked."""
    if self._cache is None:
      return self._read(indices)
    return {key: value[indices] for key, value in self._cache.items()}

  def blocks(self, size: int = 256) -> Iterator[dict[str, np.ndarray]]:
    """Every example once, in order, `size` at a time."""
    for start in range(0, len(self), size):
      yield self.take(np.arange(start, min(start + size, len(self))))

  def _read(self, indices: Indices) -> dict[str, np.ndarray]:
    batch = {
      name: np.empty((len(indices), *shape), dtype)
      for name, (shape, dtype) in self.shapes.items()
    }
    batch["label"] = np.empty(len(indices), np.int32)
    for row, index in enumerate(indices):
      tfds_split, position = self._places[index]
      with _reading(self._directory):
        example = self._decode(self._sources[tfds_split][position])
      example["label"] = self._label_of[int(example["label"])]
      for name, value in batch.items():
        value[row] = example[name]
    return batch

  def labels(self) -> np.ndarray:
    """`[n]` int32, without reading the examples."""
    return self._labels

  def predictions(
    self, probabilities: np.ndarray, genres: tuple[str, ...]
  ) -> Predictions:
    """The table of these examples; probabilities [n, genres]."""
    return Predictions(
      track=np.asarray([track for track, _ in self.ids], dtype=str),
      segment=np.asarray([segment for _, segment in self.ids], np.int32),
      label=self._labels,
      probabilities=probabilities,
      genres=genres,
    )


@contextlib.contextmanager
def _reading(directory: pathlib.Path) -> Iterator[None]:
  """Raises InputError where array_record fails on a missing or corrupt file."""
  try:
    yield
  except (RuntimeError, OSError, LookupError) as error:
    reason = errors.first_line(error).partition(";")[0]
    raise errors.damaged_data(directory, reason) from error


def labels(dataset: Dataset, split: str) -> np.ndarray:
  """`[n]` int32 of a split, from the track table alone."""
  label_of = {genre: label for label, genre in enumerate(dataset.genres)}
  genre_of = {row["id"]: row["genre"] for row in dataset.metadata["rows"]}
  return np.array(
    [label_of[genre_of[track]] for track, _ in dataset.parts[split]], np.int32
  )


def positions(rows: Sequence[Mapping]) -> dict[tuple[str, int], tuple]:
  """{(track, segment): (TFDS split, position in it)}, as the builder wrote."""
  place: dict[tuple[str, int], tuple] = {}
  count: dict[str, int] = {}
  for row in rows:
    split = row["partition"]
    for segment in range(row["segments"]):
      place[row["id"], segment] = (split, count.get(split, 0))
      count[split] = count.get(split, 0) + 1
  return place


class Mixed:
  """Real examples followed by generated ones.

  Has the methods of Records that training calls. It has no `ids`, which only
  evaluation reads and generated examples lack.
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

  @property
  def in_memory(self) -> bool:
    return self._real is None or self._real.in_memory

  def take(self, indices: Indices) -> dict[str, np.ndarray]:
    """The examples at `indices`, stacked."""
    places = np.asarray(indices)
    generated = places >= self._first
    chosen = places[generated] - self._first
    batch = {key: value[chosen] for key, value in self._generated.items()}
    if self._real is None or generated.all():
      return batch
    real = self._real.take(places[~generated])
    for key, value in batch.items():
      both = np.empty((len(places), *value.shape[1:]), value.dtype)
      both[generated], both[~generated] = value, real[key]
      batch[key] = both
    return batch


def load_parts(
  dataset: Dataset, fields: Mapping[str, Sequence[str]], cache_mb: int
) -> dict[str, Records]:
  """Opens splits; loads them, smallest first, while `cache_mb` suffices."""
  records = {
    split: dataset.loaded.get((split, *sorted(names)))
    or Records(dataset, split, names)
    for split, names in fields.items()
  }
  free_bytes = cache_mb * 2**20
  for split, of_split in sorted(records.items(), key=lambda x: x[1].nbytes):
    if of_split.nbytes <= free_bytes:
      if not of_split.in_memory:
        of_split.load()
      free_bytes -= of_split.nbytes
      if set(of_split.shapes) == {"features"}:
        dataset.loaded[split, "features"] = of_split
  return records


def train_batches(
  records: Records | Mixed, *, batch_size: int, seed: int, start_step: int
) -> Iterator[dict[str, np.ndarray]]:
  """An endless stream; batch k depends on the seed and k alone.

  Every epoch is a new permutation. A batch may span two epochs, so no example
  is dropped. Each process yields its own share of the global batch.
  """
  if not len(records):
    raise errors.InputError("the train split is empty")
  share = batch_size // jax.process_count()
  first = jax.process_index() * share
  order = shuffled(len(records), seed)

  def batch(k: int) -> dict[str, np.ndarray]:
    start = k * batch_size + first
    return records.take([order(i) for i in range(start, start + share)])

  if records.in_memory:
    return map(batch, itertools.count(start_step))
  import grain

  iterator = iter(
    grain.MapDataset.range(2**62)
    .map(batch)
    .to_iter_dataset(grain.ReadOptions(num_threads=1, prefetch_buffer_size=4))
  )
  iterator.set_state({"next_index": start_step})
  return iterator


def shuffled(size: int, seed: int) -> Callable[[int], int]:
  """The i-th of `size` indices in an endless stream, shuffled in each epoch.

  It is that of `grain.MapDataset.range(size).seed(seed).shuffle()`, without the
  25 us that its layers take for each index.
  """
  index_shuffle = _index_shuffle()
  # As MapDataset.seed derives it for a shuffle that comes next.
  (own,) = np.random.SeedSequence([seed, 1]).generate_state(1).tolist()

  def index(i: int) -> int:
    epoch, place = divmod(i, size)
    return index_shuffle(
      place, max_index=size - 1, seed=(own + epoch) % 2**32, rounds=4
    )

  return index


@functools.cache
def _index_shuffle() -> Callable[..., int]:
  """grain's permutation alone: with the rest of grain it takes 0.25 s to load.

  In a release of grain that keeps it elsewhere, it comes with the rest.
  """
  inner = "_src/python/experimental/index_shuffle/python"
  whole = importlib.util.find_spec("grain")
  folders = whole.submodule_search_locations if whole else None
  spec = importlib.machinery.PathFinder.find_spec(
    "index_shuffle_module", [f"{folder}/{inner}" for folder in folders or ()]
  )
  if spec is None or spec.loader is None:
    from grain.experimental import index_shuffle

    return index_shuffle
  module = importlib.util.module_from_spec(spec)
  spec.loader.exec_module(module)
  return module.index_shuffle


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
    yield records.take(indices) | {"mask": mask}
