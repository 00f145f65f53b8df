"""The data set `tfds_gtzan` in TFDS's own form.

One config a feature set; one record a segment, a track (whole clips) or a line
(tables). Splits are the published filtered partition; `protocols` cuts others.
"""

import contextlib
import dataclasses
import functools
import hashlib
import itertools
import json
import math
from collections.abc import Callable, Sequence
from typing import ClassVar

import numpy as np
import tensorflow_datasets as tfds
import tqdm
from tensorflow_datasets.core import writer as tfds_writer

from gtzan_jax import features
from gtzan_jax.errors import InputError, StopError
from tfds_gtzan import beam, record_format, track_examples
from tfds_gtzan.corpora.open_corpus import CORPORA, open_corpus
from tfds_gtzan.corpora.types import Corpus, Track
from tfds_gtzan.facts import track_lists

SPLITS = ("train", "validation", "test", "unlisted")
# What features were computed from, as reports name it, by kind of track.
SOURCES = {
  "audio": "audio",
  "logmel": "archive",
  "picture": "images",
  "table": "table",
}
# Version of the records: that of the builder may be higher where only the
# metadata changed, so that runs go on with data prepared before.
_RECORDS = "1.0.0"
_SHARD_BYTES = 128 * 2**20  # what is held in memory while a shard is written


class Builder(tfds.core.ShardBasedBuilder):
  """Builder of every corpus; record order is track order, segments ascending.

  A ShardBasedBuilder and not a GeneratorBasedBuilder: the latter keeps a split
  in memory to sort it and, above 1 GB (GTZAN), spills through TensorFlow.
  """

  VERSION = tfds.core.Version("1.1.0")
  RELEASE_NOTES: ClassVar = {
    "1.0.0": "First release.",
    "1.1.0": "The track table has a digest of each track's content.",
  }
  BUILDER_CONFIGS: ClassVar = [
    tfds.core.BuilderConfig(
      name=spec.name,
      description=f"{', '.join(spec.parts)} of "
      + (
        "whole tracks"
        if spec.whole_clip
        else f"segments of {spec.segment_samples:,} samples"
      ),
    )
    for spec in features.FEATURES.values()
  ]

  def __init__(
    self,
    *,
    path: str | None = None,
    tracks_per_genre: int = 20,
    corpus: Corpus | None = None,
    progress: bool = True,
    **kwargs,
  ):
    """Takes TFDS's keyword arguments and four more.

    Args:
      path: a corpus (see `open_corpus`); None for the synthetic one.
      tracks_per_genre: size of the synthetic corpus.
      corpus: an opened corpus, in place of `path`.
      progress: whether to show a progress bar (on a terminal only).
      **kwargs: data_dir, config, version, file_format (of what is written;
        "array_record" if it is left out, which needs no TensorFlow).

    Raises:
      InputError: no such corpus, a feature set that cannot be computed from
        what its tracks hold, or a data_dir that holds another one.
    """
    self.corpus = corpus or open_corpus(
      path, tracks_per_genre, kwargs.get("data_dir")
    )
    self._progress = progress
    super().__init__(**kwargs)
    # What TFDS makes a pickled builder again from.
    self._original_state |= {"corpus": self.corpus, "progress": progress}
    if not kwargs.get("file_format") and not self.info.initialized:
      self.info.set_file_format(
        tfds.core.FileFormat.ARRAY_RECORD, override=True
      )
    before = (self.info.metadata or {}).get("fingerprint")
    if before and before != fingerprint(self.spec, self.corpus):
      raise InputError(
        f"{self.data_dir} was prepared from other data or by other code; give"
        " another data_dir, or read it with tfds.builder_from_directory"
      )

  @property
  def spec(self) -> features.FeatureSpec:
    return features.get(self.builder_config.name)

  def _info(self) -> tfds.core.DatasetInfo:
    check_kind(self.spec, self.corpus)
    return self.dataset_info_from_configs(
      features=tfds.features.FeaturesDict(
        track_examples.example_features(self.spec, self.corpus)
      ),
      supervised_keys=("features", "label"),
      homepage="https://github.com/boblsturm/GTZAN",
      disable_shuffling=True,
      metadata=tfds.core.MetadataDict(),
    )

  def _download_and_prepare(self, dl_manager, download_config=None) -> None:
    """Writes the splits, then what reading every track showed."""
    self._rows: list[dict] = []
    self._skipped: list[dict] = []
    with contextlib.closing(
      tqdm.tqdm(
        total=len(self.corpus.tracks),
        desc=f"{self.corpus.name} -> {self.spec.name}",
        unit=" tracks",
        disable=None if self._progress else True,  # None: not on a pipe
      )
    ) as self._bar:
      config = download_config or tfds.download.DownloadConfig()
      if config.beam_runner or config.beam_options:
        self._prepare_with_beam(config)
      else:
        super()._download_and_prepare(dl_manager, config)
    self.info.metadata.update(
      fingerprint=fingerprint(self.spec, self.corpus),
      corpus=self.corpus.name,
      kind=self.corpus.kind,
      source=SOURCES[self.corpus.kind],
      genres=list(self.corpus.genres),
      feature_spec=self.spec.to_dict(),
      columns_per_frame=self.corpus.columns_per_frame,
      rows=self._rows,
      skipped=self._skipped,
    )

  def _shard_iterators_per_split(self, dl_manager):
    del dl_manager
    write = functools.partial(
      track_examples.of_tracks, self.spec, self.corpus, note=self._note
    )
    return {
      split: [functools.partial(write, tracks) for tracks in shards]
      for split, shards in self._shards().items()
    }

  def _prepare_with_beam(self, config: tfds.download.DownloadConfig) -> None:
    """The same shards, written by Beam's workers, and the same notes."""
    shards = self._shards()
    corpus = dataclasses.replace(self.corpus, tracks=())  # a shard has its own
    splits = beam.write(
      shards,
      {split: self._get_filename_template(split) for split in shards},
      functools.partial(
        _write_shard,
        tfds_writer.ShardWriter(
          self.info.features,
          tfds.core.ExampleSerializer(self.info.features.get_serialized_info()),
          self._example_writer(),
        ),
        functools.partial(track_examples.of_tracks, self.spec, corpus),
      ),
      self._note,
      config,
    )
    self.info.set_splits(splits)

  def _example_writer(self) -> record_format.Writer:
    return record_format.Writer(self.info.file_format)

  def _shards(self) -> dict[str, list[Sequence[Track]]]:
    """{split: the tracks of each shard}, shards of equal numbers of tracks."""
    example = sum(
      math.prod(feature.shape) * np.dtype(feature.np_dtype).itemsize
      for feature in self.info.features.values()
    )
    most = max(1, _SHARD_BYTES // (example * self.spec.segments_per_track))
    shards: dict[str, list[Sequence[Track]]] = {}
    for split in SPLITS:
      tracks = [t for t in self.corpus.tracks if t.partition == split]
      # A split of unreadable tracks only is not written: TFDS takes none that
      # is empty. As a rule this reads one track of each split twice.
      if any(self._readable(track) for track in tracks):
        count = math.ceil(len(tracks) / most)
        bounds = [len(tracks) * i // count for i in range(count + 1)]
        shards[split] = [
          tracks[start:stop] for start, stop in itertools.pairwise(bounds)
        ]
      else:
        for _ in track_examples.of_tracks(
          self.spec, self.corpus, tracks, self._note
        ):
          pass  # there is none: this notes why
    return shards

  def _readable(self, track: Track) -> bool:
    try:
      track_examples.content(self.spec, track)
    except StopError:
      raise
    except InputError:
      return False
    return True

  def _note(self, track: Track, outcome: track_examples.Outcome) -> None:
    """Keeps, of each track in record order, a row or why it was skipped."""
    self._bar.update()
    if isinstance(outcome, str):
      track_examples.skip(self.corpus, track, outcome, self._skipped)
      return
    segments, facts = outcome
    names = ("id", "genre", "artist", "partition")
    row = {name: getattr(track, name) for name in names}
    self._rows.append({**row, "segments": segments, **facts})


def _write_shard(
  writer: tfds_writer.ShardWriter,
  of_tracks: Callable,
  path: tfds.core.Path,
  tracks: Sequence[Track],
  note: track_examples.Note,
) -> None:
  writer.write(of_tracks(tracks, note), path)


def check_kind(spec: features.FeatureSpec, corpus: Corpus) -> None:
  """Raises InputError if the set cannot be computed from such tracks."""
  if corpus.kind not in spec.kinds:
    able = [name for name, held in CORPORA.items() if held in spec.kinds]
    raise InputError(
      f"the feature set {spec.name} cannot be computed from the corpus"
      f" {corpus.name}, whose tracks hold {corpus.kind}; corpora that work:"
      f" {', '.join(able)}"
    )


def fingerprint(spec: features.FeatureSpec, corpus: Corpus) -> str:
  """sha256 (hex) of all that decides what is written, and in what form."""
  content = {
    "builder": _RECORDS,
    "corpus": corpus.fingerprint,
    "kind": corpus.kind,
    "facts": track_lists.digest(),
    "features": features.FEATURES_VERSION,
    "spec": spec.to_dict(),
  }
  return hashlib.sha256(
    json.dumps(content, sort_keys=True).encode()
  ).hexdigest()
