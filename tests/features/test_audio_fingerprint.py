"""Fingerprints: a copy is found through what copies suffer, nothing else is."""

import numpy as np
import pytest
import scipy.signal

import tfds_gtzan
from gtzan_jax.audio import distortions
from gtzan_jax.features import audio_fingerprint
from gtzan_jax.features.audio_fingerprint import RATE, THRESHOLD
from tfds_gtzan.facts import track_lists
from tfds_gtzan.split_audit import track_relations
from tfds_gtzan.synthetic import rendering

HZ = 22_050


COPIES = {  # how, and the copy's start in seconds
  "level": (lambda sound: 0.05 * sound, 0.0),
  "start": (lambda sound: sound[round(3.3 * HZ) :], -3.3),
  "longer": (lambda sound: np.append(sound[: 5 * HZ][::-1], sound), 5.0),
  "mp3": (lambda sound: distortions.mp3(sound, 64, 0), 0.0),
  "bandwidth": (lambda sound: distortions.low_pass(sound, 3000, 0), 0.0),
  "noise": (lambda sound: distortions.white_noise(sound, 20, 9), 0.0),
  "excerpt": (lambda sound: sound[6 * HZ : 10 * HZ], -6.0),
}


@pytest.fixture(scope="module")
def songs():
  ids = ("blues.s00000", "classical.s00000", "rock.s00000", "reggae.s00001")
  return [rendering.render(track_id) for track_id in ids]


@pytest.mark.parametrize("copy", COPIES)
def test_a_copy_is_found_and_where(songs, copy):
  change, offset = COPIES[copy]
  sounds = [*songs, change(songs[3])]
  (pair,) = audio_fingerprint.alike([*map(audio_fingerprint.of_audio, sounds)])
  assert pair[:2] == (3, 4)
  assert pair.likeness > THRESHOLD + 0.05
  assert pair.offset == pytest.approx(offset, abs=0.12)


def test_silence_is_like_nothing():
  silent = audio_fingerprint.of_audio(np.zeros(5 * HZ, np.float32))
  assert not silent.any()
  assert audio_fingerprint.alike([silent, silent]) == []
  assert audio_fingerprint.alike([]) == []


def test_a_fingerprint_has_rows_of_length_one_and_an_end():
  db = np.random.default_rng(0).uniform(-60, 0, (387, 128)).astype(np.float32)
  rows = audio_fingerprint.fingerprint(db, 1293)
  assert rows.shape == (int(1293 * 512 / HZ * RATE), audio_fingerprint.BANDS)
  assert np.linalg.norm(rows, axis=1) == pytest.approx(1, abs=1e-4)
  louder = audio_fingerprint.fingerprint(db + 30, 1293)
  assert louder == pytest.approx(rows, abs=1e-5)
  long = audio_fingerprint.fingerprint(np.tile(db, (9, 1)), 9 * 1293)
  assert len(long) == int(audio_fingerprint.LONGEST * RATE)
  assert len(audio_fingerprint.fingerprint(db[:1], 1)) == 1


def test_the_likeness_is_that_of_a_plain_correlation(monkeypatch):
  """Of tracks of many lengths, in tiles that do not come out even."""
  monkeypatch.setattr(audio_fingerprint, "_TILE", 3)
  rng = np.random.default_rng(3)
  prints = [
    rng.normal(size=(n, audio_fingerprint.BANDS)).astype(np.float32) / 6
    for n in (40, 1, 200, 7, 131, 64, 200)
  ]
  pairs = audio_fingerprint.alike(prints, threshold=-1.0)
  assert len(pairs) == 7 * 6 // 2
  likenesses = [pair.likeness for pair in pairs]
  assert likenesses == sorted(likenesses, reverse=True)
  for pair in pairs:
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

  Only exact replicas are published as the same recording, so the pairs are
  compared with the index of artists and titles.
  """
  genres = {"jazz", "metal", "pop", "rock"}
  corpus = tfds_gtzan.open_corpus(str(gtzan_data / "gtzan_logmel.npz"))
  tracks = [track for track in corpus.tracks if track.genre in genres]
  prints = [
    audio_fingerprint.fingerprint(held.db, held.n_frames)
    for held in (track.read() for track in tracks)
  ]
  ids = [track.id for track in tracks]
  likeness = {
    (ids[pair.first], ids[pair.second]): pair.likeness
    for pair in audio_fingerprint.alike(prints)
  }
  published = [pair for pair in track_lists.duplicates() if {*pair} <= {*ids}]
  assert len(published) == 9
  assert min(likeness.get(pair, 0) for pair in published) > 0.999
  titles = track_relations.songs()
  other = {
    (one, two)
    for one, two in likeness
    if titles[one].keys().isdisjoint(titles[two])
  }
  # The same song again; the index calls the third one "Radio rip".
  assert other <= {("pop.00015", "pop.00037"), ("pop.00022", "pop.00037")}
  # 13 Coleman Hawkins among them, that no list of replicas names.
  assert len(likeness) - len(published) > 20
