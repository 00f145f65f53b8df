"""Features against librosa, published constants and hand calculation."""

import json

import jax
import jax.numpy as jnp
import librosa
import numpy as np
import pytest
import scipy.fft
import scipy.signal

from gtzan_jax import audio, features
from gtzan_jax.errors import InputError
from gtzan_jax.features import archive, mel, mfcc, stft

RATE = audio.SAMPLE_RATE
LOGMEL = features.get("logmel_1024")
MFCC = features.get("mfcc_slices")
EVERY_SET = pytest.mark.parametrize("name", sorted(features.FEATURES))


def signal(samples=66_150, seed=0):
  """A glide and a beat in noise, growing louder; the same on every NumPy."""
  t = np.arange(samples) / RATE
  glide = 0.4 * np.sin(2 * np.pi * (110 + 400 * t) * t)
  noise = np.random.RandomState(seed).uniform(-0.5, 0.5, samples)
  beat = 0.1 + np.exp(-8 * (t * 2 % 1))
  return (0.1 * (1 + t) * (glide + beat * noise)).astype(np.float32)


def reference(sound, spec):
  """The set by librosa, one example: `[frames, bins]`."""
  power = librosa.feature.melspectrogram(
    y=sound,
    sr=spec.sample_rate,
    n_fft=spec.n_fft,
    hop_length=spec.hop_length,
    n_mels=spec.n_mels,
  )
  db = librosa.power_to_db(power, top_db=spec.top_db)
  if spec.n_mfcc is None:
    return db.T
  return librosa.feature.mfcc(S=db, n_mfcc=spec.n_mfcc).T


# Shapes and the tables.


@EVERY_SET
def test_every_set_keeps_the_contract(name):
  spec = features.get(name)
  assert spec.name == name
  sound = signal(spec.segment_samples)
  feature = features.extract(sound, name)
  assert feature.dtype == jnp.float32
  assert feature.shape == (spec.frames(spec.segment_samples), spec.bins)
  assert np.isfinite(feature).all()
  assert set(spec.kinds) <= {"audio", "logmel"}
  plain = json.loads(json.dumps(spec.to_dict()))
  assert features.FeatureSpec.from_dict(plain) == spec


@pytest.mark.parametrize(
  ("name", "samples", "shape"),
  [
    ("logmel_1024", 66_000, (258, 128)),
    ("mfcc_slices", 66_150, (130, 13)),
    ("mfcc_slices", 66_000, (129, 13)),  # why slices are 66,150 samples
  ],
)
def test_published_shapes(name, samples, shape):
  assert features.extract(np.zeros(samples, np.float32), name).shape == shape


def test_unknown_set_names_the_known():
  with pytest.raises(InputError, match=r"'mel'.*logmel_1024, mfcc_slices"):
    features.get("mel")


def test_spec_of_other_code_is_refused():
  values = LOGMEL.to_dict()
  del values["top_db"]
  with pytest.raises(InputError, match="prepare or train again"):
    features.FeatureSpec.from_dict(values)


# Parity with librosa, example by example: 1e-3 dB, 1e-3 in the coefficients.


@EVERY_SET
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_parity_on_a_generated_signal(name, seed):
  spec = features.get(name)
  sound = signal(spec.segment_samples, seed)
  np.testing.assert_allclose(
    features.extract(sound, name), reference(sound, spec), atol=1e-3, rtol=0
  )


@EVERY_SET
@pytest.mark.parametrize(
  "clip", ["blues.00000", "classical.00001", "disco.00000", "metal.00000"]
)
def test_parity_on_real_clips(gtzan_data, name, clip):
  spec = features.get(name)
  path = gtzan_data / "gtzan" / "genres" / clip.split(".")[0] / f"{clip}.wav"
  cut = audio.segments(audio.read(path), spec.segment_samples, 10)
  ours = np.asarray(features.extract(cut, name))
  assert len(ours) == 10
  for segment, feature in zip(cut, ours, strict=True):
    np.testing.assert_allclose(
      feature, reference(segment, spec), atol=1e-3, rtol=0
    )


@pytest.mark.parametrize(
  ("rate", "n_fft", "n_mels"),
  [(22_050, 1024, 128), (22_050, 2048, 128), (16_000, 512, 40)],
)
def test_filterbank_is_slaneys(rate, n_fft, n_mels):
  ours = mel.filterbank(rate, n_fft, n_mels)
  theirs = librosa.filters.mel(sr=rate, n_fft=n_fft, n_mels=n_mels)
  np.testing.assert_allclose(ours, theirs.T, atol=1e-8)


def test_mel_scale_constants():
  """Linear to 1 kHz = mel 15; 27 mels above it for a factor of 6.4."""
  hz = np.array([0.0, 200.0, 1000.0, 6400.0])
  np.testing.assert_allclose(mel.hz_to_mel(hz), [0, 3, 15, 42])
  np.testing.assert_allclose(mel.mel_to_hz([0, 3, 15, 42]), hz)


def test_mel_in_groups_is_the_whole_product():
  power = np.abs(signal(3 * 513)).reshape(3, 513)
  whole = power.astype(np.float64) @ mel.filterbank(RATE, 1024, 100)
  np.testing.assert_allclose(mel.mel(power, RATE, 100), whole, rtol=1e-5)


def test_window_and_cosine_transform_are_scipys():
  window = scipy.signal.get_window("hann", 1024, fftbins=True)
  np.testing.assert_allclose(stft.hann(1024), window, atol=1e-7)
  basis = scipy.fft.dct(np.eye(128), type=2, norm="ortho", axis=1)[:, :13]
  np.testing.assert_allclose(mfcc.dct_matrix(128, 13), basis, atol=1e-7)


# Analytic properties.


def test_silence_lies_at_the_cut_off():
  db = features.extract(np.zeros(66_000, np.float32), LOGMEL)
  np.testing.assert_allclose(db, -100, atol=1e-4)
  coefficients = np.asarray(
    features.extract(np.zeros(66_150, np.float32), MFCC)
  )
  np.testing.assert_allclose(coefficients[:, 0], -100 * np.sqrt(128), rtol=1e-5)
  np.testing.assert_allclose(coefficients[:, 1:], 0, atol=1e-3)


def test_pure_tone_has_the_level_of_its_formula():
  """A tone of amplitude A on bin k: |X_k| = A n_fft / 4, half that beside."""
  k, level = 93, 0.5
  t = np.arange(66_000)
  sound = (level * np.sin(2 * np.pi * k / 1024 * t)).astype(np.float32)
  middle = np.asarray(features.extract(sound, LOGMEL))[100]
  bank = mel.filterbank(RATE, 1024, 128)
  power = (level * 1024 / 4) ** 2
  expected = power * (bank[k] + 0.25 * (bank[k - 1] + bank[k + 1]))
  touched = expected > 0
  np.testing.assert_allclose(
    middle[touched], 10 * np.log10(expected[touched]), atol=1e-3
  )
  assert middle[~touched].max() < middle.max() - 40


def test_frames_are_centred():
  """A click on sample t * hop stands in the middle of frame t."""
  sound = np.zeros(20 * 256, np.float32)
  sound[7 * 256] = 1
  windows = stft.frame(jnp.asarray(sound), 1024, 256)
  assert windows.shape == (21, 1024)
  assert windows[7, 512] == 1
  assert windows.sum() == 4  # each sample stands in n_fft / hop windows


def test_floor_is_80_db_below_the_examples_maximum():
  sound = np.concatenate([signal(33_000), np.zeros(33_000, np.float32)])
  db = np.asarray(features.extract(sound, LOGMEL))
  assert db.min() == pytest.approx(db.max() - 80, abs=1e-4)


@EVERY_SET
def test_a_quiet_clip_beside_a_loud_one_is_unchanged(name):
  """librosa 0.11 floors a batch as a whole and moves it by up to 38 dB."""
  loud = signal()
  # Silence in its second half: there the floor is all that one sees.
  quiet = 1e-3 * loud * (np.arange(len(loud)) < 33_000)
  alone = np.asarray(features.extract(quiet, name))
  beside = np.asarray(features.extract(np.stack([loud, quiet]), name))[1]
  np.testing.assert_allclose(beside, alone, atol=1e-3, rtol=0)


@EVERY_SET
def test_leading_axes_jit_and_vmap(name):
  """One example gives the same numbers however it is called."""
  batch = np.stack([signal(22_050, seed) for seed in range(6)])
  alone = np.stack([features.extract(sound, name) for sound in batch])

  def extract(sound):
    return features.extract(sound, name)

  same = {
    "batch": extract(batch),
    "two axes": extract(batch.reshape(2, 3, -1)).reshape(alone.shape),
    "jit": jax.jit(extract)(batch),
    "vmap": jax.vmap(extract)(jnp.asarray(batch)),
  }
  for how, value in same.items():
    np.testing.assert_allclose(value, alone, atol=1e-3, rtol=0, err_msg=how)


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


# Values as they were when FEATURES_VERSION was last raised.

GOLDEN_VERSION = 1
GOLDEN = {  # mean, standard deviation, [3, 5], [30, 11]
  "logmel_1024": [-26.025, 8.73, 4.033, -29.74],
  "mfcc_slices": [-17.265, 62.248, 9.805, 17.51],
  "archive": [-4.099, 6.832, -5.484, -8.765],
}


@pytest.mark.parametrize("name", [*sorted(features.FEATURES), "archive"])
def test_values_change_only_with_the_version(name):
  """Prepared data and checkpoints hold these numbers: heed the advice."""
  if name == "archive":
    db, n_frames = archive.from_audio(signal(330_750), 0.3)
    value = archive.segments(db, n_frames, LOGMEL, 38, 10)[4]
  else:
    value = features.extract(signal(), name)
  value = np.asarray(value, np.float64)
  now = [value.mean(), value.std(), value[3, 5], value[30, 11]]
  advice = "raise FEATURES_VERSION, then put the new values here: "
  assert features.FEATURES_VERSION == GOLDEN_VERSION, advice + str(now)
  assert GOLDEN[name] == pytest.approx(now, abs=2e-3), advice + str(now)
