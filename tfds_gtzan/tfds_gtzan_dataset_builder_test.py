"""TFDS's own test of a builder: needs the extra tfds-test."""

import pytest

pytest.importorskip(
  "tensorflow",
  reason="TFDS's own test needs TensorFlow: the extra tfds-test",
)

import tensorflow_datasets as tfds

from tfds_gtzan import tfds_gtzan_dataset_builder as dataset_builder


# TFDS 4.9.10 asks protobuf 6, which TensorFlow brings, in its old way.
@pytest.mark.filterwarnings("ignore:label.. is deprecated:DeprecationWarning")
class OfEverySet(tfds.testing.DatasetBuilderTestCase):
  DATASET_CLASS = dataset_builder.Builder
  # Half a second each: one record a track, whatever the feature set.
  SPLITS = {"train": 2, "validation": 2, "test": 2, "unlisted": 2}  # noqa: RUF012

  def _make_builder(self, config=None):
    """Of the dummy data, in the format that tf.data reads."""
    return self.dataset_class(
      path=str(self.dummy_data),
      data_dir=self.tmp_dir,
      config=config,
      version=self.VERSION,
      file_format="tfrecord",
      progress=False,
    )
