"""The time axis of a log-mel archive: columns, segments, and from audio."""

import fractions
import math

import librosa
import numpy as np
import pytest

from gtzan_jax import features
from gtzan_jax.audio import mono_waveform
from gtzan_jax.features import logmel_archive

LOGMEL = features.get("logmel_1024")
MFCC = features.get("mfcc_slices")
PATCHES = features.get("patches")
GTZAN_RATE = 387 / 1293


def numbered(columns):
  """A log-mel whose every value is the number of its column."""
  return np.repeat(np.arange(columns, dtype=np.float32)[:, None], 128, axis=1)


def noise(samples, seed=0):
  sound = 0.2 * np.random.RandomState(seed).standard_normal(samples)
  return sound.astype(np.float32)


def every_frame(sound):
  """librosa's floored log-mel before any column is dropped."""
  power = librosa.feature.melspectrogram(
    y=sound, sr=22_050, n_fft=2048, hop_length=512, n_mels=128
  )
  return librosa.power_to_db(power, top_db=80.0).T


def test_columns_per_frame_is_the_median_tracks():
  n_frames = np.array([1293, 1293, 1320])
  rate = logmel_archive.columns_per_frame(387, n_frames)
  assert rate == pytest.approx(GTZAN_RATE)


@pytest.mark.parametrize("n_frames", [1290, 1293, 1320])
def test_fifteen_patches_of_25_columns_are_stretched_to_80(n_frames):
  """Values are read between columns, at the middles of 80 pixels."""
  cut = logmel_archive.segments(numbered(387), n_frames, PATCHES, 25, 15)
  assert cut.shape == (15, 25, 128)
  slope = 0.1 * np.arange(128, dtype=np.float32)
  stretched = np.asarray(features.from_logmel(cut + slope, PATCHES))
  assert stretched.shape == (15, 80, 80)
  at = (np.arange(80) + 0.5) * 25 / 80 - 0.5
  at_band = (np.arange(80) + 0.5) * 128 / 80 - 0.5
  wanted = (cut[:, :1, 0] + at)[..., None] + 0.1 * at_band
  # At the edges there is no neighbour.
  np.testing.assert_allclose(
    stretched[:, 4:-4, 2:-2], wanted[:, 4:-4, 2:-2], atol=0.02
  )


@pytest.mark.parametrize("spec", [LOGMEL, MFCC], ids=lambda s: s.name)
@pytest.mark.parametrize(
  ("n_frames", "columns", "rate"),
  [
    # Every number of frames that GTZAN's tracks have, shortest to longest.
    *((n, 387, GTZAN_RATE) for n in (1290, 1292, 1293, 1298, 1309, 1320)),
    # 9.6 segments are ten, the last of them moved back to the end.
    (1238, 371, GTZAN_RATE),
    *((1293, columns, columns / 1293) for columns in (130, 200, 1293)),
  ],
)
def test_ten_segments_start_where_the_rule_says(spec, n_frames, columns, rate):
  width = logmel_archive.segment_columns(spec, rate)
  cut = logmel_archive.segments(numbered(columns), n_frames, spec, width, 10)
  assert cut.shape == (10, width, 128)
  for i, segment in enumerate(cut):
    start_s = i * spec.segment_samples / 22_050
    start = round(start_s * 22_050 / 512 * columns / n_frames)
    start = min(start, columns - width)
    np.testing.assert_array_equal(segment[:, 0], start + np.arange(width))


@pytest.mark.parametrize("seconds", [10, 15, 45, 60])
def test_another_length_keeps_the_tempo(seconds):
  """As many columns for another length: each segment still lasts 3 s."""
  n_frames = 1 + seconds * 22_050 // 512
  cut = logmel_archive.segments(numbered(387), n_frames, LOGMEL, 38, None)
  assert cut.shape == (round(seconds * 22_050 / 66_000), 38, 128)
  column_s = n_frames / 387 * 512 / 22_050
  middle = (cut[..., 0].mean(axis=1) + 0.5) * column_s
  expected = logmel_archive.starts(n_frames, LOGMEL, None) + 66_000 / 22_050 / 2
  np.testing.assert_allclose(middle, expected, atol=column_s + 0.05)
  lasts = (cut[:, -1, 0] - cut[:, 0, 0] + 1) * column_s
  np.testing.assert_allclose(lasts, 66_000 / 22_050, atol=2 * column_s)


def test_too_few_columns_are_padded_with_the_minimum():
  db = 7 + numbered(20)
  cut = logmel_archive.segments(db, round(20 / GTZAN_RATE), LOGMEL, 38, 10)
  assert cut.shape == (1, 38, 128)
  np.testing.assert_array_equal(cut[0, :20], db)
  np.testing.assert_array_equal(cut[0, 20:], 7)


# Writing one.


@pytest.mark.parametrize(
  ("n_frames", "per_second", "columns"),
  [
    ([1293] * 90 + [1290, 1298, 1309, 1320], 12.9, 387),  # GTZAN
    ([647] * 60 + [861] * 20 + [1293] * 10 + [1298], 12.9, 387),  # cut short
    ([1293, 2586, 2586], 12.9, 775),
    ([87, 108, 130], 12.9, 39),
    ([1, 1], 12.9, 1),
    ([1293] * 90 + [1320], logmel_archive.EVERY_FRAME, 1320),
  ],
)
def test_columns_are_those_of_the_longest_tracks(n_frames, per_second, columns):
  assert logmel_archive.columns_for(np.array(n_frames), per_second) == columns


@pytest.mark.parametrize("columns", [1, 130, 387, 1293])
@pytest.mark.parametrize("n_frames", [1, 87, 647, 1293, 1320])
def test_frames_of_columns(n_frames, columns):
  frames = logmel_archive.frames_of(n_frames, columns)
  rule = [
    math.floor(fractions.Fraction(2 * j + 1, 2 * columns + 1) * n_frames)
    for j in range(columns)
  ]
  np.testing.assert_array_equal(frames, rule)
  if columns >= n_frames:  # none is missing
    assert set(frames) == set(range(n_frames))


@pytest.mark.parametrize(
  ("spec", "width"), [(LOGMEL, 38), (MFCC, 38), (PATCHES, 25)]
)
def test_the_rate_asked_for_gives_segments_as_wide_as_gtzans(spec, width):
  """12.9 columns a second, and 387 of a track of 30.02 s."""
  for rate in (12.9 / logmel_archive.EVERY_FRAME, GTZAN_RATE):
    assert logmel_archive.segment_columns(spec, rate) == width


# From audio: what the archive would hold.


@pytest.mark.parametrize(
  ("samples", "level", "last"),
  # A click on the last sample is loudest in a frame that does not exist.
  [(3_000, 1, 0), (44_100, 1, 0), (661_794, 1, 0), (20 * 512 - 1, 1e-4, 1)],
)
def test_every_column_kept_is_librosas_logmel(samples, level, last):
  sound = level * noise(samples)
  sound[-1] = last
  db, n_frames = logmel_archive.from_audio(sound, 1.0)
  assert db.dtype == np.float32
  assert n_frames == len(db) == 1 + samples // 512
  np.testing.assert_allclose(db, every_frame(sound), atol=1e-3)


def test_columns_are_the_frames_of_the_archives_rule():
  sound = noise(661_794) * np.linspace(0, 1, 661_794, dtype=np.float32)
  db, n_frames = logmel_archive.from_audio(sound, GTZAN_RATE)
  assert (len(db), n_frames) == (387, 1293)
  frame = np.floor((np.arange(387) + 0.5) / 387.5 * 1293).astype(int)
  np.testing.assert_allclose(db, every_frame(sound)[frame], atol=1e-3)


def test_the_floor_follows_all_frames_not_the_kept_ones():
  sound = 1e-6 * noise(661_794)
  sound[512 : 512 + 64] = 1.0  # a click between the kept columns 0 and 1
  db, _ = logmel_archive.from_audio(sound, GTZAN_RATE / 8)
  top = every_frame(sound).max()
  assert db.max() < top - 30
  assert db.min() == pytest.approx(top - 80, abs=1e-3)


@pytest.mark.slow
def test_agrees_with_the_real_archive(gtzan_data):
  """The archive is 8 bit: steps of 0.31 dB, so 0.08 dB in the median."""
  path = gtzan_data / "gtzan_logmel.npz"
  with np.load(path, allow_pickle=False) as held:
    names = list(held["track"])
    mel, n_frames = held["mel"], held["n_frames"]
    range_db, top_db = held["range_db"], held["top_db"]
  rate = logmel_archive.columns_per_frame(mel.shape[2], n_frames)
  for spec, width, most in (
    (LOGMEL, 38, 10),
    (MFCC, 38, 10),
    (PATCHES, 25, 15),
  ):
    assert logmel_archive.segment_columns(spec, rate) == width
    counts = {len(logmel_archive.starts(n, spec, most)) for n in n_frames}
    assert counts == {most}
  full = 0
  for clip in sorted((gtzan_data / "gtzan" / "genres").glob("*/*.wav")):
    sound = mono_waveform.read(clip)
    i = names.index(clip.stem)
    if 1 + len(sound) // 512 != n_frames[i]:
      continue  # only the start of the track is here
    full += 1
    stored = -range_db[i] * (1 - mel[i].T / np.float32(255)) + top_db[i]
    db, frames = logmel_archive.from_audio(sound, 387 / n_frames[i])
    assert db.shape == stored.shape
    assert frames == n_frames[i]
    assert np.median(np.abs(db - stored)) < 0.1, clip.name
    assert np.corrcoef(db.ravel(), stored.ravel())[0, 1] > 0.9995
    ours, theirs = (
      logmel_archive.segments(values, frames, LOGMEL, 38, 10)
      for values in (db, stored)
    )
    assert np.median(np.abs(ours - theirs)) < 0.1, clip.name
  assert full >= 10
