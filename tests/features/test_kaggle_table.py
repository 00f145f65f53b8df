"""Kaggle's table of 57 columns, computed from audio."""

import pathlib
import subprocess
import sys

import numpy as np
import pytest

import tfds_gtzan
from gtzan_jax import features
from gtzan_jax.audio import waveform
from gtzan_jax.features import kaggle_table, whole_clip

ROOT = pathlib.Path(__file__).resolve().parents[2]


def named(row: np.ndarray) -> dict[str, float]:
  return dict(zip(kaggle_table.COLUMNS, row.tolist(), strict=True))


def test_simple_sounds_have_their_values():
  seconds = np.arange(3 * 22_050) / 22_050
  tone = (0.5 * np.sin(2 * np.pi * 440 * seconds)).astype(np.float32)
  row = named(kaggle_table.from_audio(tone, 22_050))
  assert row["rms_mean"] == pytest.approx(0.5 / np.sqrt(2), rel=0.01)
  assert row["zero_crossing_rate_mean"] == pytest.approx(880 / 22_050, rel=0.02)
  assert row["spectral_centroid_mean"] == pytest.approx(440, rel=0.02)
  assert row["harmony_var"] == pytest.approx(0.125, rel=0.02)
  assert row["perceptr_var"] < 1e-3
  clicks = np.zeros(10 * 22_050, np.float32)
  clicks[::11_025] = 1  # 120 a minute
  row = named(kaggle_table.from_audio(clicks, 22_050))
  assert row["tempo"] == pytest.approx(120, abs=4)
  assert row["perceptr_var"] > 10 * row["harmony_var"]


@pytest.mark.parametrize("samples", [1, 600, 3000])
@pytest.mark.parametrize("level", [0.0, 0.3])
def test_short_and_silent_sounds_have_rows(samples, level):
  noise = np.random.default_rng(0).uniform(-level, level, samples)
  (row,) = whole_clip.from_audio(
    noise.astype(np.float32), features.get("table57")
  )
  assert row.shape == (57,)
  assert row.dtype == np.float32
  assert np.isfinite(row).all()


THREADS = """
from concurrent import futures
import numpy as np
from gtzan_jax.features import kaggle_table
sounds = np.random.default_rng(0).uniform(-0.3, 0.3, (8, 22050)).astype("f")
with futures.ThreadPoolExecutor(8) as pool:
  rows = list(pool.map(lambda x: kaggle_table.from_audio(x, 22050), sounds))
again = [kaggle_table.from_audio(x, 22050) for x in sounds]
np.testing.assert_array_equal(rows, again)
"""


@pytest.mark.slow
def test_threads_do_not_compile_at_the_same_time():
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
    samples = waveform.read(root / "genres" / genre / f"{name}.wav")
    assert len(samples) > 661_000
    found = kaggle_table.from_audio(samples, 22_050)
    for column, own, wanted in zip(
      kaggle_table.COLUMNS, found, rows[name], strict=True
    ):
      if column in ("harmony_mean", "perceptr_mean"):
        assert own == pytest.approx(wanted, abs=1e-7), column
      else:
        assert own == pytest.approx(wanted, rel=1e-5), column
