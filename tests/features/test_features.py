"""Feature sets against librosa, hand calculation and their own contract."""

import dataclasses
import json
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from benchmarks import parity
from gtzan_jax import features
from gtzan_jax.audio import files as audio
from gtzan_jax.errors import InputError
from gtzan_jax.features import logmel_archive, mfcc, parts

RATE = audio.SAMPLE_RATE
LOGMEL = features.get("logmel_1024")
MFCC = features.get("mfcc_slices")
FUSION = features.get("fusion")
IN_FRAMES = {  # pictures and tables have tests of their own
  name: spec
  for name, spec in features.FEATURES.items()
  if set(spec.parts) <= set(parts.PARTS)
}
EVERY_SET = pytest.mark.parametrize("name", sorted(IN_FRAMES))


def signal(samples=66_150, seed=0):
  """A glide and a beat in noise, growing louder; the same on every NumPy."""
  t = np.arange(samples) / RATE
  glide = 0.4 * np.sin(2 * np.pi * (110 + 400 * t) * t)
  noise = np.random.RandomState(seed).uniform(-0.5, 0.5, samples)
  beat = 0.1 + np.exp(-8 * (t * 2 % 1))
  return (0.1 * (1 + t) * (glide + beat * noise)).astype(np.float32)


# Shapes and the tables.

SHAPES = {  # of one example; the number of samples where it is not the set's
  "logmel_1024": (258, 128),
  "mfcc": (129, 13),
  "mfcc_slices": (130, 13),
  "mfcc_clip": (1290, 13),
  "sequence": (61, 33),
  "fusion": (130, 187),
  "patches": (80, 80),
  "image_180": (180, 180, 3),
  "image_256": (256, 256, 3),
}


@pytest.mark.parametrize("name", sorted(features.FEATURES))
def test_every_set_keeps_the_contract(name):
  spec = features.get(name)
  assert spec.name == name
  assert set(spec.kinds) <= {"audio", "logmel", "picture", "table"}
  plain = json.loads(json.dumps(spec.to_dict()))
  assert features.FeatureSpec.from_dict(plain) == spec
  if name == "table57":  # on the host: no shape without the numbers
    return
  sound = jax.ShapeDtypeStruct((2, spec.segment_samples), jnp.float32)
  feature = jax.eval_shape(lambda x: features.extract(x, name), sound)
  assert feature.dtype == jnp.float32
  assert feature.shape == (2, *SHAPES[name])


def test_rows_stand_in_the_order_of_their_sources():
  """13 MFCC, centroid, chroma, contrast; 128 mel, 40 MFCC, chroma, contrast."""
  sound = signal(66_000)
  sequence = np.asarray(features.extract(sound, "sequence"))
  assert sequence[:, 13].min() > 300  # Hz
  np.testing.assert_allclose(sequence[:, 14:26].max(1), 1)
  fusion = np.asarray(features.extract(sound, "fusion"))[:129]
  dct = mfcc.dct_matrix(128, 40)
  np.testing.assert_allclose(
    fusion[:, :128] @ dct, fusion[:, 128:168], atol=0.1
  )
  np.testing.assert_allclose(fusion[:, 168:180].max(1), 1)


def test_tables_are_computed_clip_by_clip(monkeypatch):
  def from_audio(clip, rate):
    assert clip.shape == (100,)
    return np.full(57, clip[0] * rate, np.float32)

  monkeypatch.setattr(features.kaggle_table, "from_audio", from_audio)
  clips = np.repeat(np.arange(6.0).reshape(2, 3, 1), 100, axis=2)
  table = features.extract(clips, "table57")
  assert table.shape == (2, 3, 57)
  np.testing.assert_allclose(table, np.repeat(RATE * clips[..., :1], 57, 2))
  assert features.extract(clips[1, 2], "table57").shape == (57,)


def test_unknown_set_names_the_known():
  with pytest.raises(
    InputError, match=r"'mel'.*logmel_1024, mfcc, mfcc_clip, mfcc_slices"
  ):
    features.get("mel")


def test_spec_of_other_code_is_refused():
  values = LOGMEL.to_dict()
  del values["top_db"]
  with pytest.raises(InputError, match="prepare or train again"):
    features.FeatureSpec.from_dict(values)


@pytest.mark.parametrize("name", ["sequence", "fusion", "table57"])
def test_a_set_that_a_logmel_cannot_give(name):
  db = np.zeros((38, 128), np.float32)
  with pytest.raises(InputError, match=rf"'{name}' cannot .* takes audio"):
    features.from_logmel(db, name)


def test_a_part_that_does_not_exist_or_needs_audio():
  sound, db = np.zeros(4096, np.float32), np.zeros((9, 128), np.float32)
  with pytest.raises(InputError, match=r"'mine'.*'tempo'.* chroma, contrast"):
    features.extract(sound, features.FeatureSpec("mine", parts=("tempo",)))
  with pytest.raises(InputError, match=r"'chroma' .* are logmel, mfcc"):
    features.from_logmel(db, features.FeatureSpec("mine", parts=("chroma",)))


def test_fewer_samples_than_a_window():
  short = np.zeros(4083, np.float32)
  for call in (features.extract, features.extract_clip):
    with pytest.raises(InputError, match=r"4083 samples .* window of 4084"):
      call(short, "sequence")


# Parity with librosa, part by part.


class Tolerance(NamedTuple):
  """All values within `most`, all but 5 % within `usual`."""

  usual: float
  most: float


BIN = RATE / 2048
TOLERANCES = {
  # dB. The 32 bit Fourier transform shows in bands some 70 dB below the
  # loudest line of their frame; librosa transforms in 64 bits.
  "logmel": Tolerance(1e-4, 1e-3),
  # The same errors, averaged over the bands.
  "mfcc": Tolerance(1e-4, 1e-3),
  # Power relative to the strongest class: the errors of a frame's loud lines,
  # a few units in the last place of 32 bits.
  "chroma": Tolerance(1e-6, 1e-5),
  # dB of magnitudes. Valleys are the faintest bins there are, down to a
  # millionth of the loudest line, where 32 bits leave an error of per cents.
  # (From the same magnitudes: 1e-4, see test_feature_parts.py.)
  "contrast": Tolerance(2e-2, 5e-1),
  # Hz, of thousands: seven digits, and sums of a thousand terms.
  "centroid": Tolerance(2e-3, 1e-2),
  "bandwidth": Tolerance(2e-3, 1e-2),
  # Hz. Where the cumulative sum meets 85 % within rounding, the next bin over.
  "rolloff": Tolerance(1e-2, 1.01 * BIN),
  # Counts: equal but for the division.
  "zero_crossing_rate": Tolerance(1e-7, 1e-7),
  # Sums of 2048 squares in 32 bits, in another order.
  "rms": Tolerance(1e-6, 1e-6),
}
EVERY_PART = {spec.name: spec for spec in (parity.EVERY_PART,)} | IN_FRAMES


def check_parity(ours, theirs):
  """One example `[frames, bins]` against librosa's parts of it."""
  assert ours.shape[1] == sum(part.shape[1] for part in theirs.values())
  for part, difference in parity.compare(ours, theirs).items():
    usual, most = TOLERANCES[part]
    assert difference.max() < most, part
    assert (difference > usual).mean() < 0.05, part


@pytest.mark.parametrize("name", sorted(EVERY_PART))
@pytest.mark.parametrize("seed", [0, 1])
def test_parity_on_a_generated_signal(name, seed):
  spec = EVERY_PART[name]
  sound = signal(spec.segment_samples, seed)
  ours = np.asarray(features.extract(sound, spec))
  check_parity(ours, parity.reference(sound, spec))


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(EVERY_PART))
@pytest.mark.parametrize("clip", ["blues.00000", "classical.00001"])
def test_parity_on_real_clips(gtzan_data, name, clip):
  spec = EVERY_PART[name]
  path = gtzan_data / "gtzan" / "genres" / clip.split(".")[0] / f"{clip}.wav"
  pairs = parity.examples(path, spec)
  assert len(pairs) == (1 if spec.whole_clip else spec.segments_per_track)
  for ours, theirs in pairs:
    check_parity(ours, theirs)


# Analytic properties.


@pytest.mark.parametrize("name", ["logmel_1024", "sequence"])
def test_a_quiet_clip_beside_a_loud_one_is_unchanged(name):
  """librosa 0.11 floors a batch as a whole and moves it by up to 38 dB."""
  loud = signal()
  # Silence in its second half: there the floor is all that one sees.
  quiet = 1e-3 * loud * (np.arange(len(loud)) < 33_000)
  alone = np.asarray(features.extract(quiet, name))
  beside = np.asarray(features.extract(np.stack([loud, quiet]), name))[1]
  np.testing.assert_allclose(beside, alone, atol=2e-3, rtol=0)


@pytest.mark.parametrize("name", ["logmel_1024", "sequence"])
def test_leading_axes_jit_and_vmap(name):
  """One example gives the same numbers however it is called."""
  batch = np.stack([signal(22_050, seed) for seed in range(6)])
  alone = np.stack([features.extract(sound, name) for sound in batch])

  def extract(sound):
    return features.extract(sound, name)

  same = {
    "two axes": extract(batch.reshape(2, 3, -1)).reshape(alone.shape),
    "vmap": jax.jit(jax.vmap(extract))(jnp.asarray(batch)),
  }
  for how, value in same.items():
    np.testing.assert_allclose(value, alone, atol=2e-3, rtol=0, err_msg=how)


def test_from_logmel_is_the_second_half_of_extract():
  unfloored = features.FeatureSpec("whole", top_db=1000.0)
  fading = np.logspace(0, -6, 66_150, dtype=np.float32)
  sound = np.stack([signal(seed=3) * fading, 0.01 * signal(seed=4)])
  stored = features.extract(sound, unfloored)
  assert stored[0].max() - stored[0].min() > 90
  np.testing.assert_allclose(
    features.from_logmel(stored, MFCC),
    features.extract(sound, MFCC),
    atol=1e-4,
  )
  floored = np.asarray(features.from_logmel(stored, LOGMEL))
  assert floored.shape == stored.shape
  np.testing.assert_allclose(
    floored,
    np.maximum(stored, np.max(stored, (1, 2), keepdims=True) - 80),
    atol=1e-5,
  )


@pytest.mark.parametrize("columns", [25, 12])
def test_patches_stretch_what_was_stored(columns):
  """Linear pictures stay linear: values are read between columns and bands."""
  column = np.linspace(-30, 0, columns, dtype=np.float32)[:, None]
  band = np.linspace(-20, 0, 128, dtype=np.float32)[None, :]
  patch = np.asarray(features.from_logmel(column + band, "patches"))
  assert patch.shape == (80, 80)
  # The middles of 80 pixels, in columns and in bands of what was stored.
  at_column = (np.arange(80) + 0.5) * columns / 80 - 0.5
  at_band = (np.arange(80) + 0.5) * 128 / 80 - 0.5
  expected = (
    30 * at_column[:, None] / (columns - 1) - 30 + 20 * at_band / 127 - 20
  )
  inside = (slice(4, -4), slice(2, -2))  # at the edges there is no neighbour
  # Antialiasing over 1.6 bands leaves 6 % of a band; half a pixel would be 30.
  np.testing.assert_allclose(patch[inside], expected[inside], atol=0.02)


# Whole clips.


@pytest.mark.parametrize("name", ["fusion", "image_180"])
@pytest.mark.parametrize("samples", [30_001, 100_000])
def test_a_clip_of_any_length_is_its_exact_length(name, samples):
  """The padding does not change the numbers.

  Silence, all of it at the floor, and noise that swells to the very end: the
  first frame beyond is the loudest, and would raise the floor.
  """
  sound = np.zeros(samples, np.float32)
  sound[-600:] = np.logspace(-3, 0, 600) * signal(600)
  exact = np.asarray(features.extract(sound, name))
  clip = features.extract_clip(sound, name)
  assert isinstance(clip, np.ndarray)
  # A colour is one of 256: values on the edge of two fall to either.
  atol = 2e-3 if name == "fusion" else 0.03
  np.testing.assert_allclose(clip, exact, atol=atol, rtol=0)


def test_clips_share_compiled_programs():
  before = parts.extract._cache_size()
  spec = dataclasses.replace(FUSION, parts=("logmel", "mfcc"))
  for samples in (140_000, 200_000, 262_144):
    features.extract_clip(signal(samples), spec)
  assert parts.extract._cache_size() == before + 1


@pytest.mark.parametrize("center", [True, False])
def test_a_clip_of_other_parts_ends_where_it_ends(center):
  """A negative last sample crosses nothing, though zeros are put behind it."""
  few = ("mfcc", "rolloff", "zero_crossing_rate", "rms")
  spec = features.FeatureSpec("few", parts=few, center=center)
  sound = signal(66_000)
  sound[-1] = -0.5
  clip = features.extract_clip(sound, spec)
  exact = np.asarray(features.extract(sound, spec))
  assert clip.shape == exact.shape
  assert len(clip) == 1 + (66_000 - (0 if center else 2048)) // 512
  np.testing.assert_allclose(clip[:, :-2], exact[:, :-2], atol=1e-3, rtol=0)
  np.testing.assert_allclose(clip[:, -2:], exact[:, -2:], atol=1e-6, rtol=0)


def test_fusion_floors_by_the_whole_clip_and_keeps_its_start():
  """A loud end that is cut off still sets the floor of the quiet start."""
  sound = np.concatenate([1e-5 * signal(70_000), signal(70_000)])
  feature = features.extract_clip(sound, FUSION)
  assert feature.shape == (130, 187)
  top = np.asarray(
    features.extract(sound, dataclasses.replace(FUSION, parts=("logmel",)))
  )
  theirs = parity.reference(sound, FUSION)
  floor = theirs["logmel"].max() - 80
  assert top.max() < floor + 80 - 20  # the loudest frame is not kept
  assert feature[:100, :128].min() == pytest.approx(floor, abs=1e-3)
  check_parity(feature, theirs)


# Values as they were when FEATURES_VERSION was last raised.

GOLDEN_VERSION = 2
GOLDEN = {  # mean, standard deviation, [3, 5], [30, 11]
  "logmel_1024": [-26.025, 8.73, 4.033, -29.74],
  "mfcc": [-17.265, 62.248, 9.805, 17.51],
  "mfcc_slices": [-17.265, 62.248, 9.805, 17.51],
  "sequence": [119.435, 691.689, 10.001, 18.129],
  "fusion": [-13.94, 20.562, 11.434, -25.682],
  "patches": [-20.61, 8.515, -17.682, -21.362],
  "stretched": [-26.106, 7.109, -8.946, -21.512],
  "archive": [-4.099, 6.832, -5.484, -8.765],
}


@pytest.mark.parametrize("name", sorted(GOLDEN))
def test_values_change_only_with_the_version(name):
  """Prepared data and checkpoints hold these numbers: heed the advice."""
  if name == "archive":
    db, n_frames = logmel_archive.from_audio(signal(330_750), 0.3)
    value = logmel_archive.segments(db, n_frames, LOGMEL, 38, 10)[4]
  elif name == "stretched":
    stored = features.extract(signal(), LOGMEL)[::10]
    value = features.from_logmel(stored, "patches")
  else:
    value = features.extract(signal(), name)
  value = np.asarray(value, np.float64)
  now = [value.mean(), value.std(), value[3, 5], value[30, 11]]
  advice = "raise FEATURES_VERSION, then put the new values here: "
  assert features.FEATURES_VERSION == GOLDEN_VERSION, advice + str(now)
  assert GOLDEN[name] == pytest.approx(now, abs=2e-3), advice + str(now)
