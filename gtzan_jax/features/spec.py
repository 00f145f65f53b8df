"""What a feature set is: the only place where its default numbers stand."""

import dataclasses

from gtzan_jax.errors import InputError

# Part of the fingerprint of prepared data: raise it by one whenever the same
# waveform no longer gives the same numbers (tests/test_features.py holds some).
FEATURES_VERSION = 1


@dataclasses.dataclass(frozen=True)
class FeatureSpec:
  """One feature set: from a waveform to `[frames, bins]`.

  Attributes:
    name: the key in `FEATURES`.
    kinds: what a track may hold for this set to be computed from it: "audio"
      (a waveform) and "logmel" (absolute dB, as the archive stores it).
    sample_rate: Hz of the waveform.
    n_fft: samples in a window (and points of its Fourier transform).
    hop_length: samples from one frame to the next.
    n_mels: mel bands from 0 Hz to half the sample rate.
    top_db: dB below the example's own maximum at which its floor lies.
    n_mfcc: cepstral coefficients kept; None leaves the log-mel as it is.
    segment_samples: samples of one training example.
    segments_per_track: examples taken from one track at most.
  """

  name: str
  kinds: tuple[str, ...] = ("audio", "logmel")
  sample_rate: int = 22_050
  n_fft: int = 2048
  hop_length: int = 512
  n_mels: int = 128
  top_db: float = 80.0
  n_mfcc: int | None = None
  segment_samples: int = 66_000
  segments_per_track: int = 10

  @property
  def bins(self) -> int:
    """Numbers in one frame: the last axis of the feature."""
    return self.n_mels if self.n_mfcc is None else self.n_mfcc

  def frames(self, samples: int) -> int:
    """Frames of a waveform of `samples` samples, both edges padded."""
    return 1 + samples // self.hop_length

  def to_dict(self) -> dict:
    """Plain values, ready for JSON (tuples become lists)."""
    return dataclasses.asdict(self) | {"kinds": list(self.kinds)}

  @classmethod
  def from_dict(cls, values: dict) -> "FeatureSpec":
    """Inverse of `to_dict`; raises InputError where the keys differ."""
    known = {field.name for field in dataclasses.fields(cls)}
    if set(values) != known:
      raise InputError(
        f"feature spec with keys {sorted(values)}; this version of the code "
        f"writes {sorted(known)}: prepare or train again"
      )
    return cls(**{**values, "kinds": tuple(values["kinds"])})
