"""GTZAN as facts: tracks, labels, faults, splits, and a TFDS builder.

Importing this package registers the TFDS data set `tfds_gtzan`.
"""

from tfds_gtzan.corpora.open_corpus import CORPORA, GENRES, open_corpus
from tfds_gtzan.corpora.types import Row
from tfds_gtzan.prepared_data import Prepared, prepare
from tfds_gtzan.protocols.protocol_table import PROTOCOLS, Partition, apply
from tfds_gtzan.tfds_gtzan_dataset_builder import Builder

__all__ = [
  "CORPORA",
  "GENRES",
  "PROTOCOLS",
  "Builder",
  "Partition",
  "Prepared",
  "Row",
  "apply",
  "open_corpus",
  "prepare",
]
