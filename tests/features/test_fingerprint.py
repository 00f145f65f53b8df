"""Fingerprints: a copy is found through what copies suffer, nothing else is."""

import io

import numpy as np
import pytest
import scipy.signal
import soundfile

import tfds_gtzan
from gtzan_jax.features import fingerprint
from gtzan_jax.features.fingerprint import RATE, THRESHOLD
from tfds_gtzan.facts import track_lists
from tfds_gtzan.split_audit import relations

HZ = 22_050


def song(seed: int, seconds: float = 16.0) -> np.ndarray:
  """Notes of random pitch, loudness and length over a beat of noise."""
  rng = np.random.default_rng(seed)
  time = np.arange(round(seconds * HZ)) / HZ
  sound, at = np.zeros(len(time)), 0.0
  while at < seconds:
    length = rng.uniform(0.1, 0.6)
    on = (time >= at) & (time < at + length)
    pitch = 110 * 2 ** (rng.integers(0, 48) / 12)
    for partial in range(1, 6):
      sound[on] += np.sin(2 * np.pi * pitch * partial * time[on]) / partial
    sound[on] *= rng.uniform(0.1, 0.4)
    at += length
  beat = (time % rng.uniform(0.3, 0.7)) < 0.05
  sound[beat] += 0.2 * rng.normal(size=beat.sum())
  return sound.astype(np.float32)


def mp3(sound: np.ndarray) -> np.ndarray:
  file = io.BytesIO()
  soundfile.write(file, sound, HZ, format="MP3", subtype="MPEG_LAYER_III")
  file.seek(0)
  return soundfile.read(file, dtype="float32")[0]


def low_passed(sound: np.ndarray) -> np.ndarray:
  sos = scipy.signal.butter(4, 3000, "low", fs=HZ, output="sos")
  return scipy.signal.sosfilt(sos, sound).astype(np.float32)


def noisy(sound: np.ndarray) -> np.ndarray:
  rng = np.random.default_rng(9)
  return sound + 0.1 * sound.std() * rng.normal(size=len(sound))


COPIES = {
  "level": (lambda sound: 0.05 * sound, 0.0),
  "start": (lambda sound: sound[round(3.3 * HZ) :], -3.3),
  "longer": (lambda sound: np.concatenate([song(99, 5.0), sound]), 5.0),
  "mp3": (lambda sound: mp3(np.clip(sound, -1, 1)), 0.0),
  "bandwidth": (low_passed, 0.0),
  "noise": (noisy, 0.0),
  "excerpt": (lambda sound: sound[6 * HZ : 10 * HZ], -6.0),
}


@pytest.fixture(scope="module")
def songs():
  return [fingerprint.of_audio(song(seed)) for seed in range(4)]


@pytest.mark.slow
@pytest.mark.parametrize("copy", COPIES)
def test_a_copy_is_found_and_where(songs, copy):
  change, offset = COPIES[copy]
  copied = fingerprint.of_audio(change(song(1)).astype(np.float32))
  (pair,) = fingerprint.alike([*songs, copied])
  assert pair[:2] == (1, 4)
  assert pair.likeness > THRESHOLD + 0.05
  assert pair.offset == pytest.approx(offset, abs=0.12)


def test_a_level_changes_nothing_and_silence_is_like_nothing(songs):
  quiet = fingerprint.of_audio(0.01 * song(0))
  assert quiet == pytest.approx(songs[0], abs=2e-3)
  silent = fingerprint.of_audio(np.zeros(5 * HZ, np.float32))
  assert not silent.any()
  assert fingerprint.alike([silent, silent]) == []
  assert fingerprint.alike([]) == []


def test_a_fingerprint_has_rows_of_length_one_and_an_end():
  db = np.random.default_rng(0).uniform(-60, 0, (387, 128)).astype(np.float32)
  made = fingerprint.fingerprint(db, 1293)
  assert made.shape == (int(1293 * 512 / HZ * RATE), fingerprint.BANDS)
  assert np.linalg.norm(made, axis=1) == pytest.approx(1, abs=1e-4)
  long = fingerprint.fingerprint(np.tile(db, (9, 1)), 9 * 1293)
  assert len(long) == int(fingerprint.LONGEST * RATE)
  assert len(fingerprint.fingerprint(db[:1], 1)) == 1


def test_the_likeness_is_that_of_a_plain_correlation(monkeypatch):
  """Of tracks of many lengths, in tiles that do not come out even."""
  monkeypatch.setattr(fingerprint, "_TILE", 3)
  rng = np.random.default_rng(3)
  prints = [
    rng.normal(size=(n, fingerprint.BANDS)).astype(np.float32) / 6
    for n in (40, 1, 200, 7, 131, 64, 200)
  ]
  found = fingerprint.alike(prints, threshold=-1.0)
  assert len(found) == 7 * 6 // 2
  assert [p.likeness for p in found] == sorted(
    (p.likeness for p in found), reverse=True
  )
  for pair in found:
    a, b = prints[pair.first], prints[pair.second]
    sums = sum(
      scipy.signal.correlate(y, x) for x, y in zip(a.T, b.T, strict=True)
    )
    lags = scipy.signal.correlation_lags(len(b), len(a))
    meet = scipy.signal.correlate(np.ones(len(b)), np.ones(len(a))).round()
    likeness = sums / np.sqrt(meet * np.maximum(meet, 10 * RATE))
    assert pair.likeness == pytest.approx(likeness.max(), abs=1e-5)
    assert pair.offset == pytest.approx(lags[likeness.argmax()] / RATE)


@pytest.mark.slow
def test_of_gtzans_duplicates_all_are_found_and_nothing_else(gtzan_data):
  """Of the genres that have most of them, in the archive at hand.

  Only exact replicas are published as the same recording,
  so what is found is held against the index of artists and titles.
  """
  genres = {"jazz", "metal", "pop", "rock"}
  corpus = tfds_gtzan.open_corpus(str(gtzan_data / "gtzan_logmel.npz"))
  tracks = [track for track in corpus.tracks if track.genre in genres]
  held = [track.read() for track in tracks]
  found = fingerprint.alike(
    [fingerprint.fingerprint(one.db, one.n_frames) for one in held]
  )
  ids = [track.id for track in tracks]
  likeness = {
    (ids[pair.first], ids[pair.second]): pair.likeness for pair in found
  }
  published = [pair for pair in track_lists.duplicates() if {*pair} <= {*ids}]
  assert len(published) == 9
  assert min(likeness.get(pair, 0) for pair in published) > 0.999
  titles = relations.songs()
  other = {
    pair
    for pair in likeness
    if titles[pair[0]].keys().isdisjoint(titles[pair[1]])
  }
  # The same song again; the index calls the third one "Radio rip".
  assert other <= {("pop.00015", "pop.00037"), ("pop.00022", "pop.00037")}
  # 13 Coleman Hawkins among them, that no list of replicas names.
  assert len(likeness) - len(published) > 20
