"""Opens the corpus of a config's data section, prepared and split."""

import pathlib
from collections.abc import Callable
from typing import Any

import jax
import ml_collections

import tfds_gtzan
from gtzan_jax import config_ranges, errors, features
from gtzan_jax.data import corpus_checks, notices, pipeline
from tfds_gtzan import beam, prepared_data
from tfds_gtzan import tfds_gtzan_dataset_builder as dataset_builder
from tfds_gtzan.corpora import file_tree
from tfds_gtzan.corpora.open_corpus import tree_at
from tfds_gtzan.corpora.types import Corpus
from tfds_gtzan.facts import artist_clusters
from tfds_gtzan.protocols import protocol_table as protocols
from tfds_gtzan.split_audit import crossings


def open_dataset(
  config: ml_collections.ConfigDict, beam_options: str | None = None
) -> pipeline.Dataset:
  """Prepares the corpus of a config, and splits it.

  `beam_options`: prepare with Apache Beam (docs/beam.md). Raises InputError if
  the corpus cannot be used or prepared, or the protocol does not fit it.
  """
  data = config.data
  check_protocol(data)
  prepared, findings, own_splits = _prepare(data, beam_options)
  try:
    partition = tfds_gtzan.apply(
      rows=prepared.rows, own=own_splits, **_split_options(data)
    )
  except errors.InputError:  # skipped tracks may be the cause
    notices.skipped(prepared.skipped)
    raise
  findings += map(corpus_checks.noted, partition.notes)
  dataset = pipeline.from_folder(
    prepared.directory,
    partition.protocol,
    partition,
    tuple(data.genres),
    artists=artist_clusters.clusters(prepared.rows),
    warnings=[finding.plain() for finding in findings],
  )
  notices.dataset(prepared, partition)
  return dataset


def open_corpus(
  data: ml_collections.ConfigDict, genres: int = 2, announced: bool = True
) -> Corpus:
  """Opens a corpus of at least `genres` genres without preparing it.

  `data` is a config's data section; `announced` prints notices about it.
  """
  corpus = tfds_gtzan.open_corpus(
    *(data.path, data.tracks_per_genre, data.dir, data.labels, data.artists),
    least_genres=genres,
  )
  if announced:
    notices.corpus(corpus.name, corpus.passed_over, corpus.hint)
  return corpus


def open_checked(data: ml_collections.ConfigDict) -> Corpus:
  """Opens a corpus and prints findings; raises InputError for refused ones."""
  allowed, corpus = corpus_checks.allowed(data.allow), open_corpus(data)
  _checked(corpus, allowed)
  return corpus


def open_splits(
  config: ml_collections.ConfigDict,
) -> tuple[Callable[..., tfds_gtzan.Partition], tuple[tfds_gtzan.Row, ...]]:
  """Prepares the corpus of a config, on the CPU, to split it several ways.

  Returns a function (**changed) -> Partition, where `changed` are the arguments
  of tfds_gtzan.apply that differ from the config's; and the track table.
  """
  data = config.data
  check_protocol(data)
  # Each run is a process that needs all of the accelerator's memory.
  jax.config.update("jax_platforms", "cpu")
  prepared, _, own_splits = _prepare(data)

  def split(**changed):
    kept = None if "name" in changed else own_splits
    values = {**_split_options(data), "own": kept, **changed}
    return tfds_gtzan.apply(rows=prepared.rows, **values)

  return split, prepared.rows


def open_tree(
  path: str, data: ml_collections.ConfigDict
) -> file_tree.Tree | None:
  """The files of a folder or an archive; None for any other path."""
  return tree_at(pathlib.Path(path), pathlib.Path(data.dir).expanduser())


def fingerprint(spec: dict, corpus: Corpus) -> str:
  """The fingerprint of a corpus prepared for a feature spec."""
  return dataset_builder.fingerprint(
    features.FeatureSpec.from_dict(spec), corpus
  )


def check_protocol(data: ml_collections.ConfigDict) -> None:
  """Raises InputError for an unknown protocol or options it does not accept."""
  options = _split_options(data)
  protocols.check(
    **{key: options[key] for key in options.keys() - {"genres", "split_seed"}},
    own=bool(data.splits),
  )


def _split_options(data: ml_collections.ConfigDict) -> dict[str, Any]:
  """The arguments of tfds_gtzan.apply, except `rows` and `own`."""
  keys = ("fold", "split_seed", "train_fraction", "train_segments")
  return {
    **{"name": data.protocol, "genres": tuple(data.genres)},
    **{key: data[key] for key in (*keys, "leak", "leak_share")},
  }


def _prepare(data: ml_collections.ConfigDict, beam_options: str | None = None):
  """The prepared corpus, findings (printed too), and config.data.splits.

  The splits are {split: track ids}, None if unset.
  """
  # What can be refused before anything is opened.
  allowed = corpus_checks.allowed(data.allow)
  features.get(data.features)
  options = None if beam_options is None else beam.options(beam_options)
  prepared_data.make_folder(data.dir)
  corpus = open_corpus(data, announced=False)
  own_splits, facts = None, {}
  if paths := config_ranges.listed(data.splits):
    own_splits, facts["splits"] = crossings.given(paths, corpus)
  findings = _checked(corpus, allowed, facts)
  prepared = tfds_gtzan.prepare(
    corpus, data.features, data.dir, beam_options=options
  )
  facts = corpus_checks.facts_of_rows(prepared.genres, prepared.rows)
  reported = {finding.check for finding in findings}
  more = [x for x in corpus_checks.find(facts) if x.check not in reported]
  notices.warnings(more)
  return prepared, [*findings, *more], own_splits


def _checked(corpus, allowed, facts=()) -> list[corpus_checks.Finding]:
  """Prints findings about a corpus; raises InputError for refused ones."""
  findings = corpus_checks.find(corpus_checks.facts_of(corpus) | dict(facts))
  corpus_checks.refuse(findings, allowed)
  notices.warnings(findings)
  return findings
