"""The parts of a frame: constants, analytic properties, librosa's tables."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import librosa
import numpy as np
import pytest
import scipy.fft
import scipy.signal

from benchmarks import parity
from gtzan_jax import features
from gtzan_jax.errors import InputError
from gtzan_jax.features import chroma, contrast, mel, mfcc, spectral, stft

RATE = 22_050
RNG = np.random.RandomState


def magnitudes(frames=50, n_fft=2048, seed=0):
  """A spectrum of no particular music, float32 `[frames, bins]`."""
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


# Mel and cosine transform.


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


# Chroma.


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


# Contrast.


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
  """Valleys of nothing at all lie 80 dB below the loudest valley."""
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


# Moments.


def test_rolloff_is_the_cumulative_sums():
  """Whatever the group that the answer falls into."""
  magnitude = magnitudes(400)
  # From 85 % in the very first bins to 85 % in the last.
  slope = np.linspace(-0.5, 0.5, 400)[:, None] * np.arange(1025)[None, :]
  magnitude = (magnitude * np.exp(slope - slope.max(1, keepdims=True))).astype(
    np.float32
  )
  below = np.cumsum(magnitude.astype(np.float64), 1)
  share = below / below[:, -1:]
  expected = (share < 0.85).sum(1)
  clear = (np.abs(share - 0.85) > 1e-5).all(1)  # not a matter of rounding
  assert clear.mean() > 0.95
  assert expected.min() == 0
  assert expected.max() == 1024
  ours = np.asarray(jitted(spectral.rolloff)(magnitude, RATE))[:, 0]
  np.testing.assert_allclose(ours[clear], expected[clear] * RATE / 2048)


# Waveform.


def test_what_is_nearly_zero_is_positive():
  """librosa counts -1e-11 as 0 and 0 as positive: only -1 is negative."""
  sound = np.tile(np.float32([1, -1e-11, 0, -1]), 1024)
  spec = parity.EVERY_PART
  theirs = parity.reference(sound, spec)["zero_crossing_rate"]
  ours = one_part(sound, "zero_crossing_rate")
  np.testing.assert_array_equal(ours, theirs)
  assert ours[4] == pytest.approx(0.5, abs=1e-3)


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
