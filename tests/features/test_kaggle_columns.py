"""Kaggle's table of 57 columns, computed from audio."""

import pathlib
import subprocess
import sys

import numpy as np
import pytest

import tfds_gtzan
from gtzan_jax import features
from gtzan_jax.audio import mono_waveform
from gtzan_jax.features import kaggle_columns, whole_clip

ROOT = pathlib.Path(__file__).resolve().parents[2]


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


THREADS = """
from concurrent import futures
import numpy as np
from gtzan_jax.features import kaggle_columns
sounds = np.random.default_rng(0).uniform(-0.3, 0.3, (8, 22050)).astype("f")
with futures.ThreadPoolExecutor(8) as pool:
  rows = list(pool.map(lambda x: kaggle_columns.from_audio(x, 22050), sounds))
again = [kaggle_columns.from_audio(x, 22050) for x in sounds]
np.testing.assert_array_equal(rows, again)
"""


@pytest.mark.slow
def test_threads_do_not_compile_at_the_same_time():
  """In a process that has not compiled yet."""
  command = [sys.executable, "-W", "error", "-c", THREADS]
  done = subprocess.run(
    command, cwd=ROOT, capture_output=True, text=True, check=False
  )
  assert done.returncode == 0, done.stderr


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
