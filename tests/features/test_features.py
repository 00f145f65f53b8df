"""Feature sets against librosa, hand calculation and their own contract."""

import dataclasses
import functools
import json

import jax
import jax.numpy as jnp
import librosa
import numpy as np
import pytest

from benchmarks import parity
from gtzan_jax import features
from gtzan_jax.audio import mono_waveform as audio
from gtzan_jax.errors import InputError
from gtzan_jax.features import contrast, logmel_archive, parts, stft

RATE = audio.SAMPLE_RATE
LOGMEL = features.get("logmel_1024")
MFCC = features.get("mfcc_slices")
FUSION = features.get("fusion")
IN_FRAMES = {  # pictures and tables have tests of their own
  name: spec
  for name, spec in features.FEATURES.items()
  if set(spec.parts) <= set(parts.PARTS)
}


def signal(samples=66_150, seed=0):
  """A glide and a beat in noise, growing louder; the same on every NumPy."""
  t = np.arange(samples) / RATE
  glide = 0.4 * np.sin(2 * np.pi * (110 + 400 * t) * t)
  noise = np.random.RandomState(seed).uniform(-0.5, 0.5, samples)
  beat = 0.1 + np.exp(-8 * (t * 2 % 1))
  return (0.1 * (1 + t) * (glide + beat * noise)).astype(np.float32)


def test_rows_stand_in_the_order_of_their_sources():
  parts = features.get("sequence").parts
  assert parts == ("mfcc", "centroid", "chroma", "contrast")
  assert FUSION.parts == ("logmel", "mfcc", "chroma", "contrast")


SHORT, DB = np.zeros(4083, np.float32), np.zeros((9, 128), np.float32)
OTHER_CODE = {k: v for k, v in LOGMEL.to_dict().items() if k != "top_db"}


def mine(part, **options):
  return features.FeatureSpec("mine", parts=(part,), **options)


@pytest.mark.parametrize(
  ("call", "given", "message"),
  [
    (features.get, ["mel"], r"'mel'.*logmel_1024, mfcc, mfcc_clip, mfcc_sl"),
    (features.FeatureSpec.from_dict, [OTHER_CODE], "prepare or train again"),
    (features.from_logmel, [DB, "sequence"], "'sequence' cannot .* takes au"),
    (features.from_logmel, [DB, "table57"], "'table57' cannot .* takes audio"),
    (features.from_logmel, [DB, mine("chroma")], "'chroma' .* are logmel, mf"),
    (features.extract, [SHORT, mine("tempo")], r"'tempo'.* chroma, contrast"),
    (features.extract, [SHORT, "sequence"], "4083 samples .* window of 4084"),
    (features.extract_clip, [SHORT, "sequence"], "4083 samples .* of 4084"),
    (
      *(features.extract, [SHORT, mine("contrast", sample_rate=8000)]),
      r"between 6400 and 12800 Hz: .* 8000",
    ),
  ],
)
def test_refusals(call, given, message):
  with pytest.raises(InputError, match=message):
    call(*given)


# Parity with librosa, part by part.


BIN = RATE / 2048
TOLERANCES = {  # of all but 5 % of the values, and of all
  # dB. The 32 bit Fourier transform shows in bands some 70 dB below the
  # loudest line of their frame; librosa transforms in 64 bits.
  "logmel": (1e-4, 1e-3),
  # The same errors, averaged over the bands.
  "mfcc": (1e-4, 1e-3),
  # Power relative to the strongest class: the errors of a frame's loud lines,
  # a few units in the last place of 32 bits.
  "chroma": (1e-6, 1e-5),
  # dB of magnitudes. Valleys are the faintest bins there are, down to a
  # millionth of the loudest line, where 32 bits leave an error of per cents.
  # (From the same magnitudes: 1e-4, see below.)
  "contrast": (2e-2, 5e-1),
  # Hz, of thousands: seven digits, and sums of a thousand terms.
  "centroid": (2e-3, 1e-2),
  "bandwidth": (2e-3, 1e-2),
  # Hz. Where the cumulative sum meets 85 % within rounding, the next bin over.
  "rolloff": (1e-2, 1.01 * BIN),
  # Counts: equal but for the division.
  "zero_crossing_rate": (1e-7, 1e-7),
  # Sums of 2048 squares in 32 bits, in another order.
  "rms": (1e-6, 1e-6),
}
SPEECH = features.FeatureSpec(
  "speech", sample_rate=16_000, n_fft=512, hop_length=160, n_mels=40
)
EVERY_PART = {
  **IN_FRAMES,
  **{spec.name: spec for spec in (parity.EVERY_PART, SPEECH)},
}


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
@pytest.mark.parametrize(
  ("name", "clip"),
  [
    *((name, "blues.00000") for name in sorted(EVERY_PART)),
    ("every_part", "classical.00001"),
  ],
)
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
def test_leading_axes_jit_and_vmap(name):
  """One example gives the same numbers however it is called.

  A quiet one beside a loud one too: librosa 0.11 floors a batch as a whole and
  moves it by up to 38 dB.
  """
  batch = np.stack([signal(22_050, seed) for seed in range(6)])
  # Silence in its second half: there the floor is all that one sees.
  batch[1] *= 1e-3 * (np.arange(22_050) < 11_000)
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
  stored = np.asarray(features.extract(sound, unfloored))
  assert np.ptp(stored[0]) > 90
  for spec, atol in ((features.FeatureSpec("floored"), 1e-5), (MFCC, 1e-4)):
    np.testing.assert_allclose(
      features.from_logmel(stored, spec),
      features.extract(sound, spec),
      atol=atol,
    )


# Whole clips.


@pytest.mark.slow
@pytest.mark.parametrize(
  ("name", "samples"),
  [("fusion", 30_001), ("fusion", 100_000), ("image_180", 30_001)],
)
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


@pytest.mark.slow
@pytest.mark.parametrize("n_fft", [2048, 4084])
def test_contrast_of_the_same_magnitudes_is_librosas(n_fft):
  """1e-4 dB: from there on only means and logarithms in 32 bits differ.

  Peaks and valleys have floors of their own: empty valleys are 80 dB below the
  loudest valley.
  """
  magnitude = RNG(0).standard_normal((50, 1 + n_fft // 2)) ** 2
  magnitude[0, 600:] = 0
  magnitude[0, n_fft // 3] = 1
  check_contrast(magnitude)


def check_contrast(magnitude):
  magnitude = magnitude.astype(np.float32)
  theirs = librosa.feature.spectral_contrast(S=magnitude.T, sr=RATE).T

  @jax.jit
  def ours(x):
    return contrast.contrast(contrast.levels(x, RATE))

  np.testing.assert_allclose(ours(magnitude), theirs, atol=1e-4)
  pair = np.stack([magnitude, magnitude])
  together = contrast.contrast(contrast.levels(pair, RATE))
  np.testing.assert_allclose(together[1], theirs, atol=1e-4)


def test_contrast_of_equal_magnitudes_is_librosas():
  """Ties straddle the number of peaks and of valleys; some are silent."""
  magnitude = RNG(0).randint(0, 40, (30, 1025)) ** 2
  magnitude[3], magnitude[4] = 0, 7
  check_contrast(magnitude)
  check_contrast(np.zeros((2, 1025)))


def test_contrast_has_the_gradient_of_its_peaks_and_valleys():
  """They are 1 to 9 bins of each band, 23 in all, and as many valleys."""
  magnitude = np.abs(RNG(0).standard_normal((3, 1025))).astype(np.float32)
  slope = jax.grad(lambda x: contrast.levels(x, RATE).sum())(magnitude)
  assert (np.asarray(slope) > 0).sum(1).tolist() == [46] * 3


@pytest.mark.slow
@pytest.mark.parametrize("framing", [(2048, 512), (4084, 1024), (1000, 300)])
@pytest.mark.parametrize("center", [True, False])
def test_waveform_parts_in_any_frames(framing, center):
  """Windows and hops whose common divisor is 512, 4 and 100 samples.

  librosa counts -1e-11 as 0 and 0 as positive: of the second waveform only -1
  is negative.
  """
  noise = RNG(1).standard_normal(20_001).astype(np.float32)
  sounds = np.stack([noise, np.resize(np.float32([1, -1e-11, 0, -1]), 20_001)])
  n_fft, hop = framing
  spec = dataclasses.replace(
    parity.EVERY_PART,
    parts=("rms", "zero_crossing_rate"),
    n_fft=n_fft,
    hop_length=hop,
    center=center,
  )
  for ours, sound in zip(features.extract(sounds, spec), sounds, strict=True):
    theirs = np.concatenate([*parity.reference(sound, spec).values()], axis=1)
    np.testing.assert_allclose(ours, theirs, atol=1e-6)


# Silence, and one pass.


@pytest.mark.slow
def test_silence_is_finite_in_every_part():
  silence = np.zeros(parity.EVERY_PART.segment_samples, np.float32)
  ours = np.asarray(features.extract(silence, parity.EVERY_PART))
  theirs = parity.reference(silence, parity.EVERY_PART)
  np.testing.assert_allclose(
    ours, np.concatenate([*theirs.values()], 1), rtol=1e-5, atol=1e-3
  )


@pytest.mark.parametrize("name", ["every_part", "fusion", "image_180"])
@pytest.mark.parametrize("samples", [6000, 66_000])
def test_an_empty_batch_has_no_examples(name, samples):
  """In one block of frames and in several; only traced, which is enough."""
  extract = functools.partial(features.extract, name=EVERY_PART.get(name, name))

  def shape(*batch):
    sound = jax.ShapeDtypeStruct((*batch, samples), np.float32)
    return jax.eval_shape(extract, sound).shape

  for batch in ((0,), (0, 2), (2, 0)):
    assert shape(*batch) == (*batch, *shape())


def test_frames_do_not_depend_on_their_block(monkeypatch):
  """The last block is not full; example by example, and the example before."""
  spec = dataclasses.replace(parity.EVERY_PART, n_fft=1000, hop_length=300)
  sounds = np.stack([signal(20_001, seed) for seed in range(3)])
  together = features.extract(sounds, spec)
  monkeypatch.setattr(stft, "_BLOCK", 7 * spec.n_fft)
  with jax.disable_jit():
    blocks = stft.map_frames(stft.power, sounds, 1000, 300)
  parts.extract.clear_cache()
  np.testing.assert_allclose(
    features.extract(sounds, spec), together, atol=2e-3
  )
  np.testing.assert_allclose(
    blocks, stft.power(stft.frame(sounds, 1000, 300)), atol=1e-4
  )


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


@pytest.mark.parametrize("name", sorted(features.FEATURES))
def test_a_set_comes_back_from_json(name):
  spec = features.get(name)
  assert spec.name == name
  plain = json.loads(json.dumps(spec.to_dict()))
  assert features.FeatureSpec.from_dict(plain) == spec


@pytest.mark.parametrize(
  ("name", "shape"), [("mfcc", (129, 13)), ("mfcc_clip", (1290, 13))]
)
def test_shapes_of_the_mfcc_sets(name, shape):
  length = features.get(name).segment_samples
  sound = jax.ShapeDtypeStruct((2, length), "float32")
  x = jax.eval_shape(lambda x: features.extract(x, name), sound)
  assert (x.shape, x.dtype) == ((2, *shape), jnp.float32)


def test_tables_are_computed_clip_by_clip(monkeypatch):
  def from_audio(clip, rate):
    return np.full(57, clip[0] * rate, np.float32)

  monkeypatch.setattr(features.kaggle_columns, "from_audio", from_audio)
  clips = np.repeat(np.arange(6.0).reshape(2, 3, 1), 100, axis=2)
  table = features.extract(clips, "table57")
  np.testing.assert_allclose(table, np.repeat(RATE * clips[..., :1], 57, 2))
  assert features.extract(clips[:0], "table57").shape == (0, 3, 57)
