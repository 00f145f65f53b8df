"""The feature sets by name: their parameters and the only defaults of these."""

import dataclasses
from typing import Any

from gtzan_jax import config_ranges
from gtzan_jax.errors import InputError

# Part of the fingerprint of prepared data: raise it by one whenever the same
# waveform no longer gives the same numbers (test_features.py has some).
FEATURES_VERSION = 2


@dataclasses.dataclass(frozen=True)
class FeatureSpec:
  """One feature set: from the data of a track to the array a model reads.

  Attributes:
    name: the key in `FEATURES`.
    kinds: corpus kinds that it can be computed from: "audio" (a waveform),
      "logmel" (absolute dB, as the archive stores it), "picture" (RGB), "table"
      (rows of 57 columns).
    parts: features of a frame, concatenated in this order, or only "picture" or
      "table57".
    sample_rate: Hz of the waveform.
    n_fft: samples in a window (and points of its Fourier transform).
    hop_length: samples from one frame to the next.
    center: whether frames are centred on multiples of the hop, both edges
      padded with zeros; otherwise the first frame starts at sample 0.
    n_mels: mel bands from 0 Hz to half the sample rate.
    top_db: a log-mel's floor, in dB below its maximum.
    n_mfcc: cepstral coefficients kept by the part "mfcc".
    max_frames: the first frames kept, zeros where there are fewer; None: all.
    size: height and width of a picture.
    whole_clip: whether an example is a whole track. Floors then refer to the
      maximum of the track, and no waveform is stored beside the example.
    segment_samples: samples of one example, unless it is a whole track.
    segments_per_track: maximum of examples from one track.
  """

  name: str
  kinds: tuple[str, ...] = ("audio", "logmel")
  parts: tuple[str, ...] = ("logmel",)
  sample_rate: int = 22_050
  n_fft: int = 2048
  hop_length: int = 512
  center: bool = True
  n_mels: int = 128
  top_db: float = 80.0
  n_mfcc: int = 13
  max_frames: int | None = None
  size: int | None = None
  whole_clip: bool = False
  segment_samples: int = 66_000
  segments_per_track: int = 10

  def to_dict(self) -> dict:
    """Plain values, ready for JSON (tuples become lists)."""
    return {
      key: list(value) if isinstance(value, tuple) else value
      for key, value in dataclasses.asdict(self).items()
    }

  @classmethod
  def from_dict(cls, values: dict) -> "FeatureSpec":
    """Inverse of `to_dict`.

    Raises:
      InputError: the keys differ, or a value is out of config_ranges.SPEC.
    """
    for problem in config_ranges.spec_problems(values):
      raise InputError(f"feature_spec.{problem}; prepare or train again")
    fields: dict[str, Any] = {
      key: tuple(value) if isinstance(value, list) else value
      for key, value in values.items()
    }
    return cls(**fields)


FEATURES: dict[str, FeatureSpec] = {
  spec.name: spec
  for spec in (
    FeatureSpec("logmel_1024", n_fft=1024, hop_length=256),
    FeatureSpec("mfcc", parts=("mfcc",)),
    FeatureSpec("mfcc_slices", parts=("mfcc",), segment_samples=66_150),
    FeatureSpec(
      "mfcc_clip",
      parts=("mfcc",),
      segment_samples=660_000,
      segments_per_track=1,
    ),
    FeatureSpec(
      "sequence",
      kinds=("audio",),
      parts=("mfcc", "centroid", "chroma", "contrast"),
      n_fft=4084,
      hop_length=1024,
      center=False,
    ),
    FeatureSpec(
      "fusion",
      kinds=("audio",),
      parts=("logmel", "mfcc", "chroma", "contrast"),
      n_mfcc=40,
      max_frames=130,
      whole_clip=True,
      segments_per_track=1,
    ),
    FeatureSpec(
      "patches",
      n_mels=80,
      hop_length=550,
      max_frames=80,
      segment_samples=44_000,
      segments_per_track=15,
    ),
    *(
      FeatureSpec(
        f"image_{size}",
        kinds=("audio", "logmel", "picture"),
        parts=("picture",),
        size=size,
        whole_clip=True,
        segments_per_track=1,
      )
      for size in (180, 256)
    ),
    FeatureSpec(
      "table57",
      kinds=("audio", "table"),
      parts=("table57",),
      whole_clip=True,
    ),
  )
}


def get(name: str | FeatureSpec) -> FeatureSpec:
  """The feature set of that name, InputError for none; a spec as it is."""
  if isinstance(name, FeatureSpec):
    return name
  if name not in FEATURES:
    known = ", ".join(sorted(FEATURES))
    raise InputError(f"unknown feature set {name!r}; accepted are {known}")
  return FEATURES[name]
