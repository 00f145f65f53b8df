"""FeatureSpec, the only place with the default values of a feature set."""

import dataclasses
from typing import Any

from gtzan_jax import ranges
from gtzan_jax.errors import InputError

# Part of the fingerprint of prepared data: raise it by one whenever the same
# waveform no longer gives the same numbers (tests/test_features.py holds some).
FEATURES_VERSION = 2


@dataclasses.dataclass(frozen=True)
class FeatureSpec:
  """One feature set: from a track's content to the model's input.

  Attributes:
    name: the key in `FEATURES`.
    kinds: corpus kinds that this set can be computed from: "audio" (a
      waveform), "logmel" (absolute dB, as the archive stores it), "picture"
      (RGB), "table" (rows of 57 columns).
    parts: the features of a frame, stacked in this order, or one of "picture"
      and "table57" alone.
    sample_rate: Hz of the waveform.
    n_fft: samples in a window (and points of its Fourier transform).
    hop_length: samples from one frame to the next.
    center: whether frames are centred on multiples of the hop, both edges
      padded with zeros; otherwise the first frame starts at sample 0.
    n_mels: mel bands from 0 Hz to half the sample rate.
    top_db: a log-mel's floor, in dB below its maximum.
    n_mfcc: cepstral coefficients kept by the part "mfcc".
    max_frames: frames kept, the first ones, with zeros where there are fewer;
      None keeps them all.
    size: height and width of a picture.
    whole_clip: whether an example is a whole track. Floors then refer to the
      maximum of the track, and no waveform is stored beside the example.
    segment_samples: samples of one example unless whole_clip.
    segments_per_track: at most so many examples a track.
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
      InputError: other keys, or a value outside ranges.SPEC.
    """
    for problem in ranges.spec_problems(values):
      raise InputError(f"feature_spec.{problem}; prepare or train again")
    plain: dict[str, Any] = {
      key: tuple(value) if isinstance(value, list) else value
      for key, value in values.items()
    }
    return cls(**plain)
