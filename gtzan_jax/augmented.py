"""Generated examples beside the real ones of a train part, and of no other.

A waveform is generated as the 16 bits that a segment is stored as, and its
features computed by the code that prepares data; features are generated as
they are stored.
"""

from collections.abc import Mapping, Sequence

import ml_collections
import numpy as np

from gtzan_jax import (
  errors,
  features,
  generate,
  overlap,
  pipeline,
  sampling,
  tasks,
)

KEY = "config.data.augment_with"


class Mixed:
  """Records of real examples followed by generated ones.

  It has what training reads of pipeline.Records: a length, `take` and `labels`.
  Evaluation reads `ids` too, and a generated example has none.
  """

  def __init__(
    self,
    real: pipeline.Records | None,
    generated: Mapping[str, np.ndarray],
  ):
    self._real = real
    self._generated = generated
    self._first = len(real) if real else 0

  def __len__(self) -> int:
    return self._first + len(self._generated["label"])

  def take(self, indices: Sequence[int]) -> dict[str, np.ndarray]:
    """The examples at `indices`, stacked."""
    indices = np.asarray(indices)
    made = indices >= self._first
    chosen = indices[made] - self._first
    found = {key: value[chosen] for key, value in self._generated.items()}
    if made.all():
      return found
    real = self._real.take(indices[~made])
    for key, value in found.items():
      both = np.empty((len(indices), *value.shape[1:]), value.dtype)
      both[made], both[~made] = value, real[key]
      found[key] = both
    return found

  def labels(self) -> np.ndarray:
    return self.take(np.arange(len(self)))["label"]


def train_part(
  config: ml_collections.ConfigDict,
  dataset: pipeline.Dataset,
  real: pipeline.Records,
) -> pipeline.Records | Mixed:
  """The train part with what config.data.augment_with generates.

  As many examples of each genre as `augment_ratio` times the real ones. They
  depend on config.seed.
  """
  data = config.data
  if not data.augment_with:
    return real
  generator = generate.load(data.augment_with, KEY)
  label = real.labels()
  counts = np.bincount(label, minlength=len(dataset.genres))
  counts = np.rint(counts * data.augment_ratio).astype(int)
  label = np.repeat(np.arange(len(counts)), counts)
  blocks = list(generator.examples(label, config.seed, spec=dataset.spec))
  if not blocks:
    return real
  wanted = {*tasks.fields(config, dataset.raw)["train"], "label"}
  generated = {
    key: value for key, value in sampling.join(blocks).items() if key in wanted
  }
  return Mixed(None if data.augment_only else real, generated)


def check(config: ml_collections.ConfigDict, dataset: pipeline.Dataset) -> None:
  """Refuses a generator whose examples are not as those of this run.

  Raises:
    InputError: no trained GAN; one of other genres, features or segments; one
      that learnt from tracks that this run holds out; or augmentation of what
      it does not generate.
  """
  path = config.data.augment_with
  if not path:
    return
  generator = generate.load(path, KEY)
  same = ["genres"]
  if generator.source == "features":
    same += ["feature_spec", "example_shape"]
  else:
    _check_waveforms(path, generator.spec, dataset)
  overlap.check(KEY, path, generator.run, dataset, config.data.path, same=same)
  source = tasks.fields(config, dataset.raw)["train"] - {"features"}
  if source - {generator.source}:
    raise errors.InputError(
      f"{KEY}={path} generates {generator.source}, and config.augment acts on"
      f" {source.pop()}: leave out gain_db, shift_s and noise_probability"
    )


def _check_waveforms(
  path: str, spec: features.FeatureSpec, dataset: pipeline.Dataset
) -> None:
  """Generated waveforms have to be as long, and as fast, as real segments."""
  if dataset.raw != "audio":
    raise errors.InputError(
      f"{KEY}={path} generates waveforms, and this run's examples are computed"
      f" from {dataset.kind}: give a GAN of features"
    )
  for name in ("sample_rate", "segment_samples"):
    theirs, ours = getattr(spec, name), getattr(dataset.spec, name)
    if theirs != ours:
      raise errors.InputError(
        f"{KEY}={path} generates waveforms of {name} {theirs}, and this run's"
        f" have {ours}"
      )


def check_config(config: ml_collections.ConfigDict) -> None:
  """Refuses what no data could mend.

  Raises:
    InputError: a ratio below 0, or of 0 without real examples.
  """
  data = config.data
  ratio = data.augment_ratio
  if not 0 <= ratio < float("inf") or (data.augment_only and not ratio):
    raise errors.InputError(
      f"config.data.augment_ratio={ratio}: give 0 or more generated examples"
      " for each real one"
      + (", and more than 0 with augment_only" if data.augment_only else "")
    )
  if data.augment_only and not data.augment_with:
    raise errors.InputError(
      "config.data.augment_only=True needs config.data.augment_with: the"
      " workdir of a trained GAN"
    )
