"""Opens the corpus of a config's data section, prepared and split."""

import pathlib
from collections.abc import Callable
from typing import Any

import jax
import ml_collections

import tfds_gtzan
from gtzan_jax import errors, ranges
from gtzan_jax.data import corpus_checks, notices, pipeline
from gtzan_jax.features import FeatureSpec
from tfds_gtzan import tfds_gtzan_dataset_builder as dataset_builder
from tfds_gtzan.corpora import files
from tfds_gtzan.corpora.open_corpus import tree_at
from tfds_gtzan.corpora.types import Corpus
from tfds_gtzan.facts import artists
from tfds_gtzan.protocols import table as protocols
from tfds_gtzan.split_audit import crossings


def open_dataset(
  config: ml_collections.ConfigDict, beam_options: str | None = None
) -> pipeline.Dataset:
  """Prepares the corpus of a config, and splits it.

  Args:
    config: configs/default.py with a recipe's changes.
    beam_options: prepare with Apache Beam (docs/beam.md).

  Raises:
    InputError: what the corpus, its preparation or the protocol refuses.
  """
  data = config.data
  check_protocol(data)
  prepared, found, own = _prepare(data, beam_options)
  try:
    partition = tfds_gtzan.apply(rows=prepared.rows, own=own, **_cut(data))
  except errors.InputError:  # which may be why
    notices.skipped(prepared.skipped)
    raise
  found += map(corpus_checks.noted, partition.notes)
  dataset = pipeline.from_folder(
    prepared.directory,
    partition.protocol,
    partition,
    tuple(data.genres),
    artists=artists.clusters(prepared.rows),
    warnings=[one.plain() for one in found],
  )
  notices.dataset(prepared, partition)
  return dataset


def open_corpus(
  data: ml_collections.ConfigDict, genres: int = 2, announced: bool = True
) -> Corpus:
  """Opens a corpus without preparing it.

  Args:
    data: a config's data section.
    genres: the least number of genres.
    announced: whether to print notices about it.
  """
  corpus = tfds_gtzan.open_corpus(
    *(data.path, data.tracks_per_genre, data.dir, data.labels, data.artists),
    least_genres=genres,
  )
  if announced:
    notices.corpus(corpus.name, corpus.passed_over, corpus.hint)
  return corpus


def open_checked(data: ml_collections.ConfigDict) -> Corpus:
  """Opens a corpus, prints findings and refuses what is not allowed."""
  allowed, corpus = corpus_checks.allowed(data.allow), open_corpus(data)
  _checked(corpus, allowed)
  return corpus


def open_splits(
  config: ml_collections.ConfigDict,
) -> tuple[Callable[..., tfds_gtzan.Partition], tuple[tfds_gtzan.Row, ...]]:
  """Prepares the corpus of a config, on the CPU, to split it several ways.

  Returns:
    a function (arguments of tfds_gtzan.apply that differ from the config's) ->
    Partition; and the track table.
  """
  data = config.data
  check_protocol(data)
  # The runs, each a process, need all of an accelerator's memory.
  jax.config.update("jax_platforms", "cpu")
  prepared, _, own = _prepare(data)

  def split(**changed):
    kept = None if "name" in changed else own
    values = {**_cut(data), "own": kept, **changed}
    return tfds_gtzan.apply(rows=prepared.rows, **values)

  return split, prepared.rows


def open_tree(path: str, data: ml_collections.ConfigDict) -> files.Tree | None:
  """The files of a folder or an archive; None of any other path."""
  return tree_at(pathlib.Path(path), pathlib.Path(data.dir).expanduser())


def fingerprint(spec: dict, corpus: Corpus) -> str:
  """The fingerprint of a corpus prepared for a feature spec."""
  return dataset_builder.fingerprint(FeatureSpec.from_dict(spec), corpus)


def check_protocol(data: ml_collections.ConfigDict) -> None:
  """Refuses, before anything is prepared, a split that cannot be made.

  Raises:
    InputError: no such protocol, or values that it does not take.
  """
  cut = _cut(data)
  protocols.check(
    **{key: cut[key] for key in cut.keys() - {"genres", "split_seed"}},
    own=bool(data.splits),
  )


def _cut(data: ml_collections.ConfigDict) -> dict[str, Any]:
  """What splits a corpus, as tfds_gtzan.apply takes it."""
  keys = ("fold", "split_seed", "train_fraction", "train_segments")
  return {
    **{"name": data.protocol, "genres": tuple(data.genres)},
    **{key: data[key] for key in (*keys, "leak", "leak_share")},
  }


def _prepare(data: ml_collections.ConfigDict, beam_options: str | None = None):
  """Prepares a corpus -> it, findings (printed), config.data.splits or None."""
  found, own = [], None
  allowed = corpus_checks.allowed(data.allow)

  def check(corpus) -> None:
    nonlocal own
    facts = {}
    if paths := ranges.listed(data.splits):
      own, facts["splits"] = crossings.given(paths, corpus)
    found.extend(_checked(corpus, allowed, facts))

  prepared = tfds_gtzan.prepare(
    data.path,
    data.features,
    data.dir,
    data.tracks_per_genre,
    beam_options=beam_options,
    check=check,
    label_table=data.labels,
    artists=data.artists,
  )
  facts = corpus_checks.facts_of_rows(prepared.genres, prepared.rows)
  known = {one.check for one in found}
  read = [x for x in corpus_checks.find(facts) if x.check not in known]
  notices.warnings(read)
  return prepared, [*found, *read], own


def _checked(corpus, allowed, facts=()) -> list[corpus_checks.Finding]:
  """Findings of an opened corpus, printed; refuses what is not allowed."""
  found = corpus_checks.find(corpus_checks.facts_of(corpus) | dict(facts))
  corpus_checks.refuse(found, allowed)
  notices.warnings(found)
  return found
