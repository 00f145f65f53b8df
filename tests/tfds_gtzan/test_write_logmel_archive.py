"""The log-mel archive written from audio, and read back."""

import dataclasses
import errno
import functools
import itertools
import zipfile

import corpora
import numpy as np
import pytest

from gtzan_jax import features
from gtzan_jax.audio import mono_waveform
from gtzan_jax.errors import InputError
from gtzan_jax.features import logmel_archive
from tfds_gtzan import track_examples
from tfds_gtzan.corpora import write_logmel_archive
from tfds_gtzan.corpora.types import Audio, Corpus, Track

EVERY = write_logmel_archive.FASTEST
LOGMEL = features.get("logmel_1024")
# What the archive's own parameters make of a clip.
CLIP = features.FeatureSpec("clip", n_fft=2048, hop_length=512)


def fading(seconds, seed=0):
  """Noise that fades by 90 dB: more than the 80 that are kept."""
  samples = round(seconds * 22_050)
  noise = np.random.default_rng(seed).uniform(-0.9, 0.9, samples)
  return (noise * np.logspace(0, -4.5, samples)).astype(np.float32)


def clicks(seconds, at):
  """Silence, but for a click at some second."""
  samples = np.zeros(round(seconds * 22_050), np.float32)
  samples[round(at * 22_050)] = 0.9
  return samples


def failing():
  raise InputError("song.wav: not decodable as audio")


def sounds(**genres):
  """A corpus in memory: genre=[samples or None for an unreadable one, ...]."""
  tracks = tuple(
    Track(
      *(f"{genre}.{i:05d}", genre, "", "unlisted"),
      failing if samples is None else functools.partial(Audio, samples),
    )
    for genre, held in genres.items()
    for i, samples in enumerate(held)
  )
  return Corpus("audio", "audio", tuple(genres), tracks, fingerprint="")


def written(corpus, path, *rate):
  """The archive of a corpus, opened, and what `write` returned."""
  done = write_logmel_archive.write(corpus, path, *rate)
  return corpora.opened(done.path), done


def arrays(path):
  with np.load(path, allow_pickle=False) as held:
    return dict(held)


# Read back.


def test_every_frame_is_read_back_to_half_a_step(tmp_path):
  silence = np.zeros(9_000, np.float32)
  held = [fading(3.1), fading(2), silence, fading(0.6), fading(0.01)]
  given = sounds(blues=held[:3], rock=held[3:])
  opened, done = written(given, tmp_path / "a.npz", EVERY)
  assert done.columns == 134
  assert done.columns_per_second == 22_050 / 512
  assert opened.columns_per_frame == 1.0
  stored = arrays(done.path)
  for track, samples, range_db in zip(
    opened.tracks, held, stored["range_db"], strict=True
  ):
    sixteen_bits = mono_waveform.to_float(mono_waveform.to_int16(samples))
    wanted = features.extract_clip(sixteen_bits, CLIP)
    content = track.read()
    assert content.n_frames == len(wanted) == 1 + len(samples) // 512
    assert content.db.shape == wanted.shape
    assert np.abs(content.db - wanted).max() <= range_db / 255 / 2 + 1e-4
  assert stored["range_db"][0] == pytest.approx(80)
  np.testing.assert_array_equal(opened.tracks[2].read().db, np.float32(-100))


def test_every_track_holds_the_columns_of_the_rule(tmp_path):
  """Whatever its length; the levels are those of all frames."""
  held = [fading(s, seed) for seed, s in enumerate([6.1, 6, 4.4, 1.1])]
  given = sounds(blues=held[:2], rock=held[2:])
  done = write_logmel_archive.write(given, tmp_path / "a.npz", 12.9)
  assert done.columns == round(np.median([263, 259]) * 12.9 * 512 / 22_050)
  every = arrays(
    write_logmel_archive.write(given, tmp_path / "b.npz", EVERY).path
  )
  stored = arrays(done.path)
  assert stored["mel"].shape == (4, 128, done.columns)
  for name in ("track", "genre", "range_db", "top_db", "n_frames"):
    np.testing.assert_array_equal(stored[name], every[name])
  for i, n_frames in enumerate(stored["n_frames"].tolist()):
    # Every frame of a track in the archive of all of them: first of its kind.
    frames = logmel_archive.frames_of(n_frames, every["mel"].shape[2])
    first = np.unique(frames, return_index=True)[1]
    j = np.arange(done.columns)
    frame = np.floor((j + 0.5) / (done.columns + 0.5) * n_frames).astype(int)
    np.testing.assert_array_equal(
      stored["mel"][i], every["mel"][i][:, first[frame]]
    )


@pytest.mark.parametrize("per_second", [12.9, 30.0, EVERY])
def test_the_time_axis_of_short_tracks(tmp_path, per_second):
  """A click is where it was, in tracks of any length, and in segments."""
  held = [clicks(s, at) for s, at in [(12, 7.7), (6, 4.0), (2, 1.5)]]
  given = sounds(blues=held[:1], rock=held[1:])
  opened, done = written(given, tmp_path / "a.npz", per_second)
  tolerance = 1 / done.columns_per_second
  for track, at in zip(opened.tracks, [7.7, 4.0, 1.5], strict=True):
    content = track.read()
    column = content.db.mean(1).argmax()
    column_s = content.n_frames / len(content.db) / logmel_archive.EVERY_FRAME
    assert column * column_s == pytest.approx(at, abs=tolerance)
    cut, starts = track_examples.cut(LOGMEL, opened, content)
    i, column = np.unravel_index(cut.mean(2).argmax(), cut.shape[:2])
    heard = starts[i] + column / cut.shape[1] * 66_000 / 22_050
    assert heard == pytest.approx(at, abs=2 * tolerance + 0.05)


def test_segments_are_as_wide_as_the_rate_says(tmp_path):
  """Not as the median track has it: that may be a short one."""
  given = sounds(blues=[fading(30.02)], rock=[fading(2, 1), fading(2, 2)])
  opened, done = written(given, tmp_path / "a.npz", 12.9)
  assert done.columns == 387
  assert logmel_archive.segment_columns(LOGMEL, opened.columns_per_frame) == 38
  counts = [
    len(track_examples.cut(LOGMEL, opened, track.read())[0])
    for track in opened.tracks
  ]
  assert counts == [10, 1, 1]
  # A file of the same arrays without the rate is read as it always was.
  stored = arrays(done.path)
  stored.pop("columns_per_second")
  np.savez(tmp_path / "old.npz", **stored)
  old = corpora.opened(tmp_path / "old.npz")
  assert old.columns_per_frame == pytest.approx(387 / 87)


def test_a_folder_of_gtzans_names(tmp_path):
  """From files on disk: artists and partition come with the ids."""
  root = corpora.write_folder(tmp_path / "in", {"blues": [2, 1], "rock": [1]})
  given = corpora.opened(root)
  opened, done = written(given, tmp_path / "made" / "here" / "a.npz")
  assert (done.tracks, done.skipped) == (3, ())
  assert opened.tracks == given.tracks  # compared by all but how they are read
  assert opened.tracks[0].artist == "John Lee Hooker"


def test_ids_of_other_collections_are_read_back(tmp_path):
  given = sounds(rock=[fading(1)], ambient=[fading(1, 1)])
  names = ("rock/My Song", "ambient/1999/Für Elise, live")
  tracks = [
    dataclasses.replace(track, id=name)
    for track, name in zip(given.tracks, names, strict=True)
  ]
  given = dataclasses.replace(given, tracks=tuple(tracks))
  opened, _ = written(given, tmp_path / "a.npz")
  assert opened.genres == ("rock", "ambient")
  assert tuple(track.id for track in opened.tracks) == names
  assert {(t.artist, t.partition) for t in opened.tracks} == {("", "unlisted")}


# Whole or not at all.


def test_same_corpus_same_bytes(tmp_path):
  """Over what a killed process left, too."""
  given = sounds(blues=[fading(2), fading(1, 1)], rock=[fading(1, 2)])
  one = write_logmel_archive.write(given, tmp_path / "1.npz").path
  (tmp_path / ".2.npz.tmp").write_bytes(bytes(one.stat().st_size + 1000))
  two = write_logmel_archive.write(given, tmp_path / "2.npz").path
  assert one.read_bytes() == two.read_bytes()
  assert {file.name for file in tmp_path.iterdir()} == {"1.npz", "2.npz"}
  members = zipfile.ZipFile(one).infolist()
  assert {member.date_time[0] for member in members} == {1980}
  assert {member.compress_type for member in members} == {zipfile.ZIP_DEFLATED}


def test_unreadable_tracks_are_left_out_and_named(tmp_path):
  many = [fading(0.2, seed) for seed in range(10)]
  given = sounds(blues=[*many, None], rock=many)
  done = write_logmel_archive.write(given, tmp_path / "a.npz")
  assert done.tracks == 20
  reason = "song.wav: not decodable as audio"
  assert done.skipped == ({"track": "blues.00010", "reason": reason},)
  assert "blues.00010" not in arrays(done.path)["track"]


GIVEN = sounds(blues=[fading(0.2)], rock=[fading(0.2)])
MANY = [fading(0.1)] * 30


@pytest.mark.parametrize(
  ("given", "message"),
  [
    (
      sounds(blues=MANY, rock=[None, None]),
      r"2 of 32 tracks cannot be read, more than 5%; .*song\.wav",
    ),
    (
      sounds(blues=MANY, rock=[None]),
      r"no track of the genre rock can be read; .*song\.wav",
    ),
    (
      dataclasses.replace(GIVEN, name="archive", kind="logmel"),
      "corpus archive hold logmel: give",
    ),
    (  # it must not swell all others
      sounds(blues=[fading(1)], rock=[fading(9)]),
      r"rock.00000 lasts 9 s: 2 tracks of as many columns are 0.0 GB",
    ),
  ],
)
def test_corpora_that_make_no_archive(tmp_path, monkeypatch, given, message):
  monkeypatch.setattr(write_logmel_archive, "_MOST_GB", 1e-5)
  with pytest.raises(InputError, match=message):
    write_logmel_archive.write(given, tmp_path / "a.npz", 12.9)
  assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
  ("name", "rate", "message"),
  [
    ("a.npy", 12.9, r"a\.npy does not end in \.npz"),
    ("taken.npz", 12.9, r"taken\.npz is there already: name a new file"),
    ("taken.npz/a.npz", 12.9, r"a\.npz cannot be written \(File exists\)"),
    ("a.npz", 0.5, r"0\.5 columns a second: accepted are 1 to 43\.07"),
    ("a.npz", 44, "44 columns a second: accepted"),
    ("a.npz", float("nan"), "nan columns a second: accepted"),
  ],
)
def test_what_cannot_be_written(tmp_path, name, rate, message):
  with pytest.raises(InputError, match=r"^'' does not end in \.npz"):
    write_logmel_archive.check_out("")
  (tmp_path / "taken.npz").write_text("mine")
  with pytest.raises(InputError, match=message) as caught:
    write_logmel_archive.write(GIVEN, tmp_path / name, rate)
  assert "\n" not in str(caught.value)
  if name != "taken.npz/a.npz":  # the rest is known beforehand
    with pytest.raises(InputError, match=message):
      write_logmel_archive.check_out(tmp_path / name, rate)
  assert [file.name for file in tmp_path.iterdir()] == ["taken.npz"]
  assert (tmp_path / "taken.npz").read_text() == "mine"


def test_the_second_of_two_writers_is_told_so(tmp_path):
  out, refused = tmp_path / "a.npz", []

  def read():
    """While one writes, another comes."""
    if not refused:
      with pytest.raises(InputError, match="another process writes") as caught:
        write_logmel_archive.write(GIVEN, out)
      refused.append(str(caught.value))
    return Audio(fading(0.2))

  tracks = (dataclasses.replace(GIVEN.tracks[0], read=read), GIVEN.tracks[1])
  write_logmel_archive.write(dataclasses.replace(GIVEN, tracks=tracks), out)
  assert refused == [
    f"another process writes {out}: wait for it or name another file"
  ]
  assert set(arrays(out)["track"]) == {"blues.00000", "rock.00000"}
  assert list(tmp_path.iterdir()) == [out]


def test_an_archive_has_its_name_only_when_all_of_it_is_written(
  tmp_path, monkeypatch
):
  """And the name's ending may be in capitals."""
  replace, sizes = write_logmel_archive.os.replace, []
  monkeypatch.setattr(
    write_logmel_archive.os,
    "replace",
    lambda old, new: sizes.append(old.stat().st_size) or replace(old, new),
  )
  opened, done = written(GIVEN, tmp_path / "A.NPZ")
  assert sizes == [done.path.stat().st_size]
  assert list(tmp_path.iterdir()) == [done.path] == [tmp_path / "A.NPZ"]
  assert len(opened.tracks) == 2


@pytest.mark.parametrize(
  ("problem", "expected"),
  [
    (OSError(errno.ENOSPC, "No space left on device"), InputError),
    (KeyboardInterrupt(), KeyboardInterrupt),
  ],
)
def test_nothing_half_written_stays(tmp_path, monkeypatch, problem, expected):
  def save(file, **_):
    file.write(b"PK")
    raise problem

  monkeypatch.setattr(np, "savez_compressed", save)
  with pytest.raises(expected, match=r"No space|^$"):
    write_logmel_archive.write(GIVEN, tmp_path / "a.npz")
  assert list(tmp_path.iterdir()) == []


# Real clips.


@pytest.mark.slow
def test_real_clips_agree_with_the_real_archive(tmp_path, gtzan_data):
  """Half a dB in every cell, rounded twice: the archive's steps and ours.

  Of a shorter clip the frames it has in common, down to where both have levels.
  """
  names = ("blues.00000", "classical.00000", "jazz.00000", "metal.00000")
  short = ("blues.00003", "classical.00007", "reggae.00001", "rock.00003")
  given = corpora.opened(gtzan_data / "gtzan")
  held = corpora.opened(gtzan_data / "gtzan_logmel.npz")
  theirs = {track.id: track for track in held.tracks}
  tracks = tuple(t for t in given.tracks if t.id in (*names, *short))
  genres = tuple(dict.fromkeys(track.genre for track in tracks))
  given = dataclasses.replace(given, tracks=tracks, genres=genres)
  made = {
    rate: written(given, tmp_path / f"{rate}.npz", rate)[0]
    for rate in (12.9, EVERY)
  }
  for ours in made[12.9].tracks:
    if ours.id in names:
      found, wanted = ours.read().db, theirs[ours.id].read().db
      assert found.shape == wanted.shape == (387, 128)
      assert np.abs(found - wanted).max() < 0.5
      assert np.median(np.abs(found - wanted)) < 0.1
  for ours in made[EVERY].tracks:
    found, wanted = ours.read(), theirs[ours.id].read()
    frames = logmel_archive.frames_of(wanted.n_frames, 387)
    frames = frames[frames < found.n_frames - 2]  # whole windows
    floor = max(found.db.min(), wanted.db.min())
    off = np.maximum(found.db[frames], floor) - np.maximum(
      wanted.db[: len(frames)], floor
    )
    assert len(frames) > 190
    assert np.abs(off).max() < 0.5, ours.id
  widths = [
    logmel_archive.segment_columns(spec, opened.columns_per_frame)
    for opened, spec in itertools.product(
      (held, made[12.9]), (LOGMEL, features.get("patches"))
    )
  ]
  assert widths == [38, 25, 38, 25]
  for track in held.tracks[::25]:
    segments, _ = track_examples.cut(LOGMEL, held, track.read())
    assert segments.shape == (10, 38, 128)
