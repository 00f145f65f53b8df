"""Prepares a corpus for a feature set, once.

Into <data_dir>/<corpus>-<set>-<fingerprint>/tfds_gtzan/<set>/<version>. TFDS
writes beside it and renames; the checksums come last, so a folder that holds
them is complete. The next call removes what a killed process left.
"""

import contextlib
import dataclasses
import io
import pathlib
import shutil
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import tensorflow_datasets as tfds
from absl import logging

from gtzan_jax import atomic, errors, features
from gtzan_jax.errors import InputError
from tfds_gtzan import tfds_gtzan_dataset_builder as dataset_builder
from tfds_gtzan.corpora.open_corpus import open_corpus
from tfds_gtzan.corpora.types import Corpus, Row


@dataclasses.dataclass(frozen=True)
class Prepared:
  """A prepared data set: its facts, without reading a record.

  Attributes:
    directory: the TFDS folder, for tfds.builder_from_directory.
    corpus: "audio", "archive", "images", "table" or "synthetic".
    kind: what its tracks hold, "audio", "logmel", "picture" or "table"; records
      of segments hold it as well, beside the features.
    source: what the features were computed from: "audio"; "archive", whose time
      axis is coarser and whose mel is n_fft 2048 whatever the set's name;
      "images" or "table".
    genres: the labels, in label order.
    rows: the track table. Record order in each TFDS split is row order, a
      track's segments ascending, so positions follow from it.
    skipped: [{"track", "reason"}] of the tracks that cannot be decoded.
    fingerprint: sha256 (hex) of corpus content, segment rule, feature spec and
      feature code version.
    feature_spec: FeatureSpec.to_dict().
    columns_per_frame: of an archive; None for others.
    example: (shape, dtype name) of each field of a record.
    passed_over, hint: see Corpus.
  """

  directory: pathlib.Path
  corpus: str
  kind: str
  source: str
  genres: tuple[str, ...]
  rows: tuple[Row, ...]
  skipped: tuple[Mapping[str, str], ...]
  fingerprint: str
  feature_spec: Mapping
  columns_per_frame: float | None
  example: Mapping[str, tuple[tuple[int, ...], str]]
  passed_over: Mapping[str, int] = dataclasses.field(default_factory=dict)
  hint: str = ""


def prepare(
  corpus: Corpus | str | None,
  feature_name: str,
  data_dir: str | pathlib.Path,
  tracks_per_genre: int = 20,
  progress: bool = True,
  beam_options: Any | None = None,
) -> Prepared:
  """Prepares what is not prepared yet; returns at once where it is.

  Args:
    corpus: an opened corpus or its path, see `open_corpus.open_corpus`; None or
      "": the synthetic one.
    feature_name: a key of FEATURES.
    data_dir: folder of prepared data; made if need be.
    tracks_per_genre: size of the synthetic corpus.
    progress: whether to show a progress bar (on a terminal only).
    beam_options: options of Apache Beam, see `beam.options`, whose workers are
      to write the same bytes; None: this process writes.

  Raises:
    InputError: an unusable corpus, feature set or folder; an impossible pair;
      too many unreadable tracks. Nothing half-written stays.
  """
  spec = features.get(feature_name)
  config = tfds.download.DownloadConfig(beam_options=beam_options)
  data_dir = pathlib.Path(data_dir).expanduser()
  if beam_options is not None:  # workers have another current folder
    data_dir = data_dir.absolute()
  make_folder(data_dir)
  if not isinstance(corpus, Corpus):
    corpus = open_corpus(corpus, tracks_per_genre, data_dir)
  fingerprint = dataset_builder.fingerprint(spec, corpus)
  folder = data_dir / f"{corpus.name}-{spec.name}-{fingerprint[:16]}"
  builder = dataset_builder.Builder
  directory = folder / builder.name / spec.name / str(builder.VERSION)
  with _writing_to(data_dir):
    _remove_leftovers(data_dir)
    sums = directory / atomic.SUMS
    if not sums.is_file():
      waits = f"another process prepares {folder}: waiting"
      with atomic.locked(_lock(folder), lambda: logging.warning(waits)):
        # Another process may have prepared it while this one waited.
        if not sums.is_file():
          _write(folder, spec.name, corpus, progress, config)
          atomic.write_checksums(directory)
  return dataclasses.replace(
    _load(directory), passed_over=corpus.passed_over, hint=corpus.hint
  )


def make_folder(data_dir: str | pathlib.Path) -> None:
  """Makes a folder of prepared data; InputError where that cannot be."""
  data_dir = pathlib.Path(data_dir).expanduser()
  with _writing_to(data_dir):
    (data_dir / ".locks").mkdir(parents=True, exist_ok=True)


@contextlib.contextmanager
def _writing_to(data_dir: pathlib.Path) -> Iterator[None]:
  try:
    yield
  except OSError as error:
    raise InputError(
      f"cannot prepare in {data_dir}: {error}; give another folder as"
      " config.data.dir"
    ) from error


def _lock(folder: pathlib.Path) -> pathlib.Path:
  return folder.parent / ".locks" / folder.name


def _remove_leftovers(data_dir: pathlib.Path) -> None:
  pattern = f"*/{dataset_builder.Builder.name}/*/incomplete.*"
  for leftover in data_dir.glob(pattern):
    with atomic.locked(_lock(leftover.parents[2])) as held:
      if held:
        shutil.rmtree(leftover, ignore_errors=True)


def _write(
  folder: pathlib.Path,
  feature_name: str,
  corpus: Corpus,
  progress: bool,
  config: tfds.download.DownloadConfig,
) -> None:
  shutil.rmtree(folder, ignore_errors=True)
  try:
    # TFDS prints to stdout, which belongs to the caller.
    with contextlib.redirect_stdout(io.StringIO()):
      dataset_builder.Builder(
        corpus=corpus,
        config=feature_name,
        data_dir=folder,
        file_format="array_record",
        progress=progress,
      ).download_and_prepare(download_config=config)
    shutil.rmtree(folder / "downloads", ignore_errors=True)  # always empty
  except BaseException:
    shutil.rmtree(folder, ignore_errors=True)
    raise


def _load(directory: pathlib.Path) -> Prepared:
  damage = atomic.find_damage(
    directory, lambda name: ".array_record-" not in name
  )
  if damage:
    raise errors.damaged_data(directory, damage)
  info = tfds.builder_from_directory(str(directory)).info
  facts = dict(info.metadata)
  plain = ("corpus", "kind", "source", "fingerprint", "feature_spec")
  return Prepared(
    directory=directory,
    genres=tuple(facts["genres"]),
    rows=tuple(Row(**row) for row in facts["rows"]),
    skipped=tuple(facts["skipped"]),
    **{key: facts[key] for key in (*plain, "columns_per_frame")},
    example={
      name: (tuple(feature.shape), np.dtype(feature.np_dtype).name)
      for name, feature in info.features.items()
    },
  )
