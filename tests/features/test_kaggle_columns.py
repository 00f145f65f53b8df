"""Kaggle's table of 57 columns, computed from audio."""

from concurrent import futures

import librosa
import numpy as np
import pytest

import tfds_gtzan
from benchmarks import parity
from gtzan_jax import features
from gtzan_jax.audio import mono_waveform
from gtzan_jax.features import chroma, kaggle_columns, separation, whole_clip


def row(samples) -> dict[str, float]:
  values = kaggle_columns.from_audio(samples.astype(np.float32), 22_050)
  return dict(zip(kaggle_columns.COLUMNS, values.tolist(), strict=True))


def test_simple_sounds_have_their_values():
  tone = row(0.5 * np.sin(2 * np.pi * 440 * np.arange(3 * 22_050) / 22_050))
  assert tone["rms_mean"] == pytest.approx(0.5 / np.sqrt(2), rel=0.01)
  crossings = tone["zero_crossing_rate_mean"]
  assert crossings == pytest.approx(880 / 22_050, rel=0.02)
  assert tone["spectral_centroid_mean"] == pytest.approx(440, rel=0.02)
  assert tone["harmony_var"] == pytest.approx(0.125, rel=0.02)
  assert tone["perceptr_var"] < 1e-3
  clicks = row(np.arange(10 * 22_050) % 11_025 == 0)  # 120 a minute
  assert clicks["tempo"] == pytest.approx(120, abs=4)
  assert clicks["perceptr_var"] > 10 * clicks["harmony_var"]


@pytest.mark.parametrize("samples", [1, 600, 3000])
@pytest.mark.parametrize("level", [0.0, 0.3])
def test_short_and_silent_sounds_have_rows(samples, level):
  noise = np.random.default_rng(0).uniform(-level, level, samples)
  spec = features.get("table57")
  (values,) = whole_clip.from_audio(noise.astype(np.float32), spec)
  assert values.shape == whole_clip.shape(spec) == (57,)
  assert values.dtype == np.float32
  assert np.isfinite(values).all()


@pytest.mark.parametrize("bins", [1025, 20])
@pytest.mark.parametrize(("count", "frames"), [(64, 64), (50, 64), (16, 40)])
def test_masks_are_librosas(bins, count, frames):
  """Also of equal values, silence, and a clip shorter than the filter.

  (Not much shorter: SciPy 1.18 then reads memory that is not its own.)
  """
  magnitude = np.random.RandomState(0).randint(0, 9, (frames, bins)) ** 2
  magnitude[20:] *= magnitude[20:] > 30
  magnitude = magnitude.astype(np.float32)
  ours = separation.masks(magnitude, np.int32(count))
  theirs = librosa.decompose.hpss(magnitude[:count].T, mask=True)
  for mask, wanted in zip(ours, theirs, strict=True):
    np.testing.assert_allclose(mask[:count], wanted.T, atol=1e-6)


@pytest.mark.parametrize("count", [40, 33, 3])
def test_waveform_is_librosas_istft(count):
  values = np.random.RandomState(0).standard_normal((2, 40, 1025))
  spectrum = (values[0] + 1j * values[1]).astype(np.complex64)
  wanted = librosa.istft(spectrum[:count].T)
  ours = np.asarray(separation.waveform(spectrum, 512, np.int32(count)))
  np.testing.assert_allclose(ours[: len(wanted)], wanted, atol=1e-6)
  assert not ours[len(wanted) :].any()


def song(seconds, seed=0):
  """Notes a fifth of a semitone sharp, 100 a minute, and noise."""
  rng = np.random.RandomState(seed)
  t = np.arange(int(seconds * 22_050)) / 22_050
  beat = np.floor(t / 0.6).astype(int)
  note = rng.randint(0, 24, beat[-1] + 1)[beat]
  tone = np.sin(2 * np.pi * 220 * 2 ** ((note + 0.2) / 12) * t)
  loud = np.exp(-6 * (t / 0.6 % 1))
  noise = rng.uniform(-0.1, 0.1, len(t))
  return (loud * (0.4 * tone + noise)).astype(np.float32)


def test_rows_are_librosas():
  """Lengths in all parts of a block of frames; rounding, and roll-off's bins.

  A threshold met within rounding moves one frame's roll-off by a bin.
  """
  for samples in (22_050, 131_071, 131_072, 200_000):
    sound = song(samples / 22_050)
    wanted = parity.table57(sound, 22_050)
    for name, ours, theirs in zip(
      kaggle_columns.COLUMNS, row(sound).values(), wanted, strict=True
    ):
      rel = 1e-3 if name.startswith("rolloff") else 1e-5
      close = pytest.approx(theirs, rel=rel, abs=2e-6)
      assert ours == close, (samples, name)


def test_tuning_and_tempo_of_a_song():
  sound = song(20)
  power = np.abs(librosa.stft(sound)).T ** 2
  peaks = map(np.asarray, chroma.peaks(power, 22_050))
  found = chroma.tuning(*peaks)
  assert found == librosa.estimate_tuning(S=power.T, sr=22_050)
  assert found == pytest.approx(0.2, abs=0.03)
  assert row(sound)["tempo"] == pytest.approx(100, abs=3)


def test_rows_from_threads_are_the_same():
  sounds = np.random.default_rng(0).uniform(-0.3, 0.3, (4, 22_050)).astype("f")

  def compute(sound):
    return kaggle_columns.from_audio(sound, 22_050)

  with futures.ThreadPoolExecutor(4) as pool:
    rows = list(pool.map(compute, sounds))
  np.testing.assert_array_equal(rows, [compute(sound) for sound in sounds])


@pytest.mark.slow
def test_computed_rows_are_the_tables(gtzan_data):
  """Clips of the full 30 s: all 57 columns, but for rounding.

  Means of the harmonic and percussive parts are near zero, a sum of cancelling
  samples: those are held to a part of the parts' standard deviation.
  """
  root = gtzan_data / "gtzan"
  opened = tfds_gtzan.open_corpus(str(root / "features_30_sec.csv"))
  rows = {track.id: track.read().rows[0] for track in opened.tracks}
  for name in ("blues.00001", "metal.00000"):
    genre = name.split(".")[0]
    samples = mono_waveform.read(root / "genres" / genre / f"{name}.wav")
    assert len(samples) > 661_000
    for (column, ours), wanted in zip(
      row(samples).items(), rows[name], strict=True
    ):
      near_zero = column in ("harmony_mean", "perceptr_mean")
      tolerance = {"abs": 1e-7} if near_zero else {"rel": 1e-5}
      assert ours == pytest.approx(wanted, **tolerance), column
