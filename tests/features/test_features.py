"""Feature sets against librosa, hand calculation and their own contract."""

import dataclasses
import functools
import json
from typing import NamedTuple

import jax
import jax.numpy as jnp
import librosa
import numpy as np
import pytest
import scipy.fft
import scipy.signal

from benchmarks import parity
from gtzan_jax import features
from gtzan_jax.audio import waveform as audio
from gtzan_jax.errors import InputError
from gtzan_jax.features import (
  chroma,
  contrast,
  logmel_archive,
  mel,
  mfcc,
  parts,
  stft,
)

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


@pytest.mark.slow
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
  # (From the same magnitudes: 1e-4, see below.)
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


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(EVERY_PART))
def test_parity_on_a_generated_signal(name):
  spec = EVERY_PART[name]
  sound = signal(spec.segment_samples)
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


# Examples alone and in a batch.


@pytest.mark.slow
@pytest.mark.parametrize("name", ["logmel_1024", "sequence"])
def test_a_quiet_clip_beside_a_loud_one_is_unchanged(name):
  """librosa 0.11 floors a batch as a whole and moves it by up to 38 dB."""
  loud = signal()
  # Silence in its second half: there the floor is all that one sees.
  quiet = 1e-3 * loud * (np.arange(len(loud)) < 33_000)
  alone = np.asarray(features.extract(quiet, name))
  beside = np.asarray(features.extract(np.stack([loud, quiet]), name))[1]
  np.testing.assert_allclose(beside, alone, atol=2e-3, rtol=0)


@pytest.mark.slow
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


@pytest.mark.slow
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


@pytest.mark.slow
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


@pytest.mark.slow
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


# Single parts against librosa and scipy.

RNG = np.random.RandomState


def magnitudes(frames=50, n_fft=2048, seed=0):
  """A random spectrum, float32 `[frames, bins]`."""
  shape = (frames, 1 + n_fft // 2)
  return (RNG(seed).standard_normal(shape) ** 2).astype(np.float32)


def one_part(sound, part, **changes):
  spec = dataclasses.replace(parity.EVERY_PART, parts=(part,), **changes)
  return np.asarray(features.extract(sound, spec))


@functools.cache
def jitted(part):
  return jax.jit(part, static_argnums=1)


def tone(hz, samples=22_050, level=0.5):
  t = np.arange(samples) / RATE
  return (level * np.sin(2 * np.pi * hz * t)).astype(np.float32)


@pytest.mark.parametrize(
  ("rate", "n_fft", "n_mels"),
  [(22_050, 1024, 128), (22_050, 2048, 128), (16_000, 512, 40)],
)
def test_filterbank_is_slaneys(rate, n_fft, n_mels):
  ours = mel.filterbank(rate, n_fft, n_mels)
  theirs = librosa.filters.mel(sr=rate, n_fft=n_fft, n_mels=n_mels)
  np.testing.assert_allclose(ours, theirs.T, atol=1e-8)


def test_mel_in_groups_is_the_whole_product():
  power = magnitudes(3, 1024)
  whole = power.astype(np.float64) @ mel.filterbank(RATE, 1024, 100)
  np.testing.assert_allclose(mel.mel(power, RATE, 100), whole, rtol=1e-5)


def test_window_and_cosine_transform_are_scipys():
  window = scipy.signal.get_window("hann", 1024, fftbins=True)
  np.testing.assert_allclose(stft.hann(1024), window, atol=1e-7)
  basis = scipy.fft.dct(np.eye(128), type=2, norm="ortho", axis=1)[:, :13]
  np.testing.assert_allclose(mfcc.dct_matrix(128, 13), basis, atol=1e-7)


@pytest.mark.parametrize("n_fft", [2048, 4084])
def test_chroma_bank_is_librosas(n_fft):
  theirs = librosa.filters.chroma(sr=RATE, n_fft=n_fft, tuning=0.0)
  ours = chroma.filterbank(RATE, n_fft)
  np.testing.assert_allclose(ours, theirs.T, atol=1e-6)


def test_tuning_is_fixed():
  """A quarter tone sharp, librosa would move its filters; these stay."""
  sharp = tone(440 * 2 ** (0.4 / 12))
  free = librosa.feature.chroma_stft(y=sharp, sr=RATE).T
  fixed = librosa.feature.chroma_stft(y=sharp, sr=RATE, tuning=0.0).T
  ours = one_part(sharp, "chroma")
  assert np.abs(free - fixed).max() > 0.1
  np.testing.assert_allclose(ours, fixed, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("n_fft", [2048, 4084])
def test_contrast_of_the_same_magnitudes_is_librosas(n_fft):
  """1e-4 dB: from there on only means and logarithms in 32 bits differ."""
  magnitude = magnitudes(n_fft=n_fft)
  theirs = librosa.feature.spectral_contrast(S=magnitude.T, sr=RATE).T
  ours = jitted(contrast.contrast)(magnitude, RATE)
  np.testing.assert_allclose(ours, theirs, atol=1e-4)


@pytest.mark.parametrize("count", [1, 2, 5, 9])
def test_mean_of_the_largest_with_equal_values(count):
  """Few different values, so that ties straddle the count."""
  x = RNG(0).randint(0, 4, (60, 12)).astype(np.float32)
  x[0], x[1, :3] = 0, 7
  expected = np.sort(x)[:, -count:].mean(1)
  ours = jitted(contrast.mean_of_largest)(x, count)
  np.testing.assert_allclose(ours, expected, rtol=1e-6)


def test_peaks_and_valleys_have_floors_of_their_own():
  """Empty valleys are 80 dB below the loudest valley."""
  magnitude = magnitudes()
  magnitude[0, 600:] = 0
  magnitude[0, 700] = 1
  ours = np.asarray(jitted(contrast.contrast)(magnitude, RATE))
  theirs = librosa.feature.spectral_contrast(S=magnitude.T, sr=RATE).T
  np.testing.assert_allclose(ours, theirs, atol=1e-4)
  assert ours[0, 6] > 40


def test_contrast_without_bins_is_one_line():
  spec = dataclasses.replace(parity.EVERY_PART, sample_rate=8000)
  with pytest.raises(InputError, match=r"between 6400 and 12800 Hz: .* 8000"):
    features.extract(tone(440), spec)


def test_values_near_zero_are_positive():
  """librosa counts -1e-11 as 0 and 0 as positive: only -1 is negative."""
  sound = np.tile(np.float32([1, -1e-11, 0, -1]), 1024)
  spec = parity.EVERY_PART
  theirs = parity.reference(sound, spec)["zero_crossing_rate"]
  ours = one_part(sound, "zero_crossing_rate")
  np.testing.assert_array_equal(ours, theirs)
  assert ours[4] == pytest.approx(0.5, abs=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize("framing", [(2048, 512), (4084, 1024), (1000, 300)])
@pytest.mark.parametrize("center", [True, False])
def test_waveform_parts_in_any_frames(framing, center):
  """Windows and hops whose common divisor is 512, 4 and 100 samples."""
  sound = RNG(1).standard_normal((2, 20_001)).astype(np.float32)
  shape = {"n_fft": framing[0], "hop_length": framing[1], "center": center}
  for part in ("rms", "zero_crossing_rate"):
    spec = dataclasses.replace(parity.EVERY_PART, parts=(part,), **shape)
    ours = one_part(sound, part, **shape)
    for mine, waveform in zip(ours, sound, strict=True):
      theirs = parity.reference(waveform, spec)[part]
      np.testing.assert_allclose(mine, theirs, atol=1e-6)


# Silence, and one pass.


@pytest.mark.slow
def test_silence_is_finite_in_every_part():
  spec = parity.EVERY_PART
  silence = np.zeros(22_050, np.float32)
  ours = np.asarray(features.extract(silence, spec))
  theirs = np.concatenate(list(parity.reference(silence, spec).values()), 1)
  np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-3)


def test_one_fourier_transform_serves_all_parts():
  sound = jnp.zeros(22_050)
  graph = jax.make_jaxpr(lambda x: features.extract(x, parity.EVERY_PART))
  assert str(graph(sound)).count("fft_type") == 1


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


@pytest.mark.slow
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
