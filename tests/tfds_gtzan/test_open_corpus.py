import functools
import hashlib
import os
import shutil

import corpora
import numpy as np
import pytest
import soundfile

import tfds_gtzan
from gtzan_jax import errors
from gtzan_jax.audio import waveform
from gtzan_jax.errors import InputError
from tfds_gtzan import synthetic
from tfds_gtzan.corpora import file_tree
from tfds_gtzan.corpora.types import Audio, LogMel, Picture, Row, Table
from tfds_gtzan.facts import track_lists
from tfds_gtzan.protocols import table as protocols

TINY = {"blues": (0.1, 0.1), "rock": (0.1,)}


def ids(opened):
  return [track.id for track in opened.tracks]


# Folders of audio.


@pytest.mark.parametrize(
  "below",
  [
    *("", "genres", "genres_original", "gtzan_genre/genres"),
    *("Data/genres_original", "a copy", "a copy/Data/genres_original"),
  ],
)
def test_layouts_are_the_same_corpus(tmp_path, below):
  corpora.write_folder(tmp_path / "here" / below, TINY)
  (tmp_path / "here" / "features_30_sec.csv").write_text("filename\n")
  opened = tfds_gtzan.open_corpus(str(tmp_path / "here"))
  assert (opened.name, opened.kind) == ("audio", "audio")
  assert opened.genres == ("blues", "rock")
  assert ids(opened) == ["blues.00000", "blues.00001", "rock.00000"]
  plain = corpora.write_folder(tmp_path / "plain", TINY)
  assert opened.fingerprint == tfds_gtzan.open_corpus(str(plain)).fingerprint


def test_labels_are_in_gtzan_order_and_others_follow(tmp_path):
  lengths = dict.fromkeys(("rock", "zouk", "ambient", "blues"), (0.1,))
  corpora.write_folder(tmp_path / "c", lengths)
  opened = tfds_gtzan.open_corpus(str(tmp_path / "c"))
  assert opened.genres == ("blues", "rock", "ambient", "zouk")
  assert [track.genre for track in opened.tracks] == list(opened.genres)


@pytest.mark.parametrize(
  "ext",
  ["au", "snd", "wav", "WAVE", "flac", "ogg", "oga", "mp3", "aiff", "caf"],
)
def test_every_format_is_a_track_and_decodes(tmp_path, ext):
  root = corpora.write_folder(tmp_path / "c", {"pop": (0.5,)})
  samples, rate = soundfile.read(root / "pop" / "pop.00000.wav")
  (root / "jazz").mkdir()
  corpora.write_sound(root / "jazz" / f"jazz.00007.{ext}", samples, rate)
  track = tfds_gtzan.open_corpus(str(root)).tracks[0]
  assert track.id == "jazz.00007"
  assert abs(len(track.read().samples) - len(samples)) < 0.1 * rate


def test_what_is_no_track_is_counted_by_kind(tmp_path):
  root = corpora.write_folder(tmp_path / "c" / "genres", TINY)
  for name in ("._blues.00000.wav", "a.TXT", "b.txt", "a.xyz", "no. 7, live"):
    (root / "blues" / name).write_bytes(b"x")
  for name in ("cover.jpg", "intro.wav", "README"):
    (root / name).write_bytes(b"x")
  for name in (".cache", "__MACOSX"):
    (root / name).mkdir()
    (root / name / "blues.00000.wav").write_bytes(b"x")
  (root.parent / "table.csv").write_bytes(b"x")
  (root / "rock" / "gone.wav").symlink_to("nowhere")
  (root / "rock" / "self.wav").symlink_to("self.wav")
  os.mkfifo(root / "rock" / "pipe.wav")
  (root / "rock" / "again").symlink_to(root / "blues")
  opened = tfds_gtzan.open_corpus(str(tmp_path / "c"))
  assert len(opened.tracks) == 3
  assert opened.passed_over == {
    "hidden": 3,
    ".txt": 2,
    "broken links": 2,
    "without an extension": 2,
    ".csv": 1,
    ".jpg": 1,
    ".wav outside of a genre folder": 1,
    ".xyz": 1,
    "links to folders that are walked already": 1,
    "no plain file": 1,
  }


def test_facts_of_gtzan_ids(tmp_path):
  root = tmp_path / "c"
  for name in ("blues.00000", "blues.00012", "jazz.00054", "jazz.00001"):
    (root / name[:-6]).mkdir(parents=True, exist_ok=True)
    (root / name[:-6] / f"{name}.wav").write_bytes(b"never read here")
  tracks = {
    track.id: track for track in tfds_gtzan.open_corpus(str(root)).tracks
  }
  assert tracks["blues.00000"].artist == "John Lee Hooker"
  assert tracks["blues.00000"].partition == "validation"
  assert tracks["blues.00012"].partition == "test"
  assert tracks["jazz.00054"].artist == ""  # one of the 17


def renamed(old, new):
  return lambda root: (root / old).rename(root / new)


def made(*names):
  return lambda root: [(root / name).mkdir() for name in names]


def copied(old, new):
  return lambda root: shutil.copy(root / old, root / new)


SONG = "rock/rock.00000.wav"


@pytest.mark.parametrize(
  ("damage", "message"),
  [
    (
      lambda root: [shutil.rmtree(genre) for genre in root.iterdir()],
      "holds no track; accepted are sound files <genre>",
    ),
    (shutil.rmtree, "does not exist; give a folder"),
    (lambda root: shutil.rmtree(root / "rock"), r"one genre only \(blues\)"),
    (made("disco"), "disco is a genre folder without a track"),
    (copied(SONG, "rock/rock.00000.au"), "two files of the track rock.00000"),
    (
      renamed(SONG, "rock/song.wav"),
      "blues/blues.00000.wav is a name .* and rock/song.wav is none",
    ),
    (
      renamed(SONG, "rock/pop.00000.wav"),
      "and rock/pop.00000.wav is none; accepted are sound",
    ),
    (
      renamed(SONG, "rock/rock00000.png"),
      r"holds sound in blues/ and pictures without sound in rock/",
    ),
    (
      copied(SONG, "rock/generated-rock-00000.wav"),
      r"rock/generated-rock-00000.wav was generated by a GAN",
    ),
    (made("genres", "genres_original"), "both genres/ and genres_original/"),
  ],
)
def test_unusable_folders(tmp_path, damage, message):
  root = corpora.write_folder(tmp_path / "c", TINY)
  damage(root)
  with pytest.raises(InputError, match=message) as caught:
    tfds_gtzan.open_corpus(str(root))
  assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
  ("data", "reason"),
  [(b"", "0 bytes"), (b"MZ\x90 no audio at all" * 99, "not decodable")],
)
def test_an_unreadable_track_says_why_without_our_folders(
  tmp_path, data, reason
):
  root = corpora.write_folder(tmp_path / "c", TINY)
  (root / "rock" / "rock.00000.wav").write_bytes(data)
  track = tfds_gtzan.open_corpus(str(root)).tracks[-1]
  with pytest.raises(InputError, match=rf"^rock\.00000\.wav.*{reason}") as got:
    track.read()
  assert str(tmp_path) not in str(got.value)


def test_a_file_without_permission_is_a_track_that_says_so(
  tmp_path, monkeypatch
):
  """Rights are no hindrance to root, so the system's answer is made up."""

  def denied(path):
    raise PermissionError(13, "Permission denied")

  root = corpora.write_folder(tmp_path / "c", TINY)
  track = tfds_gtzan.open_corpus(str(root)).tracks[-1]
  monkeypatch.setattr(waveform, "read", denied)
  with pytest.raises(
    InputError, match=r"^rock\.00000\.wav: Permission denied$"
  ):
    track.read()


def test_a_folder_of_everything_is_not_walked_to_its_end(tmp_path, monkeypatch):
  root = corpora.write_folder(tmp_path / "c", TINY)
  monkeypatch.setattr(file_tree, "MOST", 4)
  with pytest.raises(InputError, match="more than 4 files: give the folder"):
    tfds_gtzan.open_corpus(str(root))


@pytest.mark.parametrize(
  "links",
  [
    {"blues/again": "."},
    {"blues/again": "blues"},
    {"everything": ".."},
    {"all the blues": "blues", "blues/live": "rock"},
    # Round by way of each other, and by way of a folder elsewhere.
    {"blues/x": "rock", "rock/y": "blues"},
    {"blues/x": "../there", "../there/y": "."},
    # Two ways to one folder elsewhere, and a part of it.
    {"blues/x": "../there", "blues/y": "../there", "rock/z": "../there/below"},
  ],
)
def test_a_link_never_multiplies_tracks(tmp_path, links):
  root = corpora.write_folder(tmp_path / "here" / "c", TINY)
  below = tmp_path / "here" / "there" / "below"
  below.mkdir(parents=True)
  (below / "song.wav").touch()
  for link, target in links.items():
    (root / link).symlink_to((root / target).resolve())
  tree = file_tree.walk(root)
  real = [os.path.realpath(file) for file in tree.files.values()]
  assert len(real) == len(set(real)) == 3 + ("../there" in links.values())
  assert {"blues/blues.00000.wav", "rock/rock.00000.wav"} <= tree.files.keys()
  assert set(tree.passed) <= {*links, "blues/x/y"}
  assert len(tree.passed) == len(links) - ("../there" in links.values())


def test_other_links_to_folders_are_followed(tmp_path):
  """Whatever lies beside the folder, and if the folder is a link itself."""
  root = corpora.write_folder(tmp_path / "c", TINY)
  there = corpora.write_folder(tmp_path / "there", {"jazz": (0.1,)})
  (root / "jazz").symlink_to(there / "jazz")
  (tmp_path / "link").symlink_to(root)
  opened = tfds_gtzan.open_corpus(str(tmp_path / "link"))
  assert opened.genres == ("blues", "jazz", "rock")


# Collections that are not GTZAN: <genre>/<any name, however deep>.


def write_collection(root):
  """Two genres of nobody's list: lengths, rates, channels, formats, depths."""
  sounds = {
    "Trip-Hop/A – B/01. Überall.flac": (0.3, 44_100, 2),
    "Trip-Hop/A – B/02.opus": (2.0, 48_000, 1),
    "Trip-Hop/02.mp3": (35.0, 16_000, 1),
    "fado/x.y.wav": (3.1, 8_000, 1),
    "fado/live/1/2/3/z.aiff": (0.5, 96_000, 2),
    "fado/b.OGG": (1.0, 22_050, 1),
  }
  for name, (seconds, rate, channels) in sounds.items():
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(len(name)).uniform(
      -0.3, 0.3, (round(seconds * rate), channels)
    )
    kind = {"format": "OGG", "subtype": "OPUS"} if ".opus" in name else {}
    soundfile.write(path, noise, rate, **kind)
  (root / "fado" / "cover.png").write_bytes(b"never looked at")
  return {name.rpartition(".")[0]: what[0] for name, what in sounds.items()}


def test_other_collections_have_genres_and_ids_of_their_own(tmp_path):
  seconds = write_collection(tmp_path)
  opened = tfds_gtzan.open_corpus(str(tmp_path))
  assert (opened.name, opened.kind) == ("audio", "audio")
  assert opened.genres == ("Trip-Hop", "fado")
  assert ids(opened) == sorted(seconds)
  for track in opened.tracks:
    assert (track.artist, track.partition) == ("", "unlisted")
    assert track.genre == track.id.split("/")[0]
    samples = track.read().samples
    assert len(samples) == pytest.approx(22_050 * seconds[track.id], abs=2000)


def test_an_archive_may_unpack_to_so_much_and_no_more(tmp_path, monkeypatch):
  """By its index: nothing is loaded."""
  path = corpora.write_archive(tmp_path / "a.npz")
  assert tfds_gtzan.open_corpus(str(path)).kind == "logmel"
  monkeypatch.setenv("GTZAN_JAX_MAX_GIGABYTES", "0.0001")
  with pytest.raises(
    InputError, match=r"a.npz: unpacked it has 0.0 GB; accept"
  ):
    tfds_gtzan.open_corpus(str(path))
  monkeypatch.delenv("GTZAN_JAX_MAX_GIGABYTES")
  monkeypatch.setattr(errors, "SMALL", 200_000)
  np.savez_compressed(path, mel=np.zeros((60, 128, 387), np.uint8))
  with pytest.raises(
    InputError, match=r"GB, more than 100 times its [\d,]+ byt"
  ):
    tfds_gtzan.open_corpus(str(path))


def test_another_collection_is_cut_by_random_protocols_only(tmp_path):
  rows = [
    Row(f"{genre}/song {i}", genre, "", "unlisted", 1)
    for genre in ("fado", "dub")
    for i in range(10)
  ]
  for name in ("tracks_70_10_20", "tracks_70_20_10", "tracks_80_20"):
    parts = protocols.apply(name, rows).parts
    assert sum(map(len, parts.values())) == 20
    assert all(parts.values())
  for name in ("filtered", "filtered_strict", "stratified"):
    with pytest.raises(
      InputError,
      match=rf"^protocol '{name}' follows .*published .*this corpus has none.*;"
      " this corpus supports tracks_70_10_20, tracks_70_20_10",
    ):
      protocols.apply(name, rows)


def write_names(root, names):
  for name in names:
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / name).write_bytes(name.encode())
  return root


@pytest.mark.parametrize(
  "form",
  [
    "{0}/{0}.{1:05d}.au.wav",
    "{2}/{2}.{1:05d}.wav",
    "{3}/{3}.{1:05d}.WAV",
    "{0}/{0}_{1:05d}.mp3",
    "{0}/{0}{1:05d}.flac",
    "{2}/wav/{0} - {1:05d}.wav",
  ],
)
def test_gtzan_under_near_names_has_its_ids(tmp_path, form):
  genres = {"blues": "Blues", "hiphop": "hip-hop", "rock": "ROCK"}
  names = [
    form.format(genre, number, genre.capitalize(), other)
    for genre, other in genres.items()
    for number in (0, 12, 99)
  ]
  opened = tfds_gtzan.open_corpus(str(write_names(tmp_path / "c", names)))
  assert opened.genres == tuple(genres)
  assert ids(opened) == [
    f"{genre}.{number}"
    for genre in genres
    for number in ("00000", "00012", "00099")
  ]
  assert opened.tracks[0].artist == "John Lee Hooker"
  assert opened.tracks[1].partition == "test"
  assert "are taken for GTZAN's (blues.00000)" in opened.hint
  found = {Row(t.id, t.genre, "", "", 1).id for t in opened.tracks}
  assert found <= set(track_lists.artists())


@pytest.mark.slow
@pytest.mark.parametrize("form", ["{0}/{0}.{1}.wav", "{0}/{0}{1:02d}.wav"])
def test_numbers_without_zeros_are_gtzans_where_all_are_there(tmp_path, form):
  names = [form.format(g, i) for g in tfds_gtzan.GENRES for i in range(100)]
  whole = tfds_gtzan.open_corpus(str(write_names(tmp_path / "c", names)))
  assert set(ids(whole)) == set(track_lists.artists())
  for i, fewer in enumerate((names[100:], names[20:], names[1:])):
    root = write_names(tmp_path / str(i), fewer)
    opened = tfds_gtzan.open_corpus(str(root))
    assert opened.tracks[0].id.count("/") == 1
    assert "are nearly GTZAN's: if this is GTZAN" in opened.hint


@pytest.mark.parametrize(
  ("names", "hint"),
  [
    # Another genre, another number, two folders of a genre, another name.
    (["Rock/Rock.00000.wav", "ska/ska.00000.wav", "Pop/Pop.00001.wav"], "2 of"),
    (["Rock/Rock.00000.wav", "Pop/Pop.00100.wav"], "2 of 2"),
    (["Rock/Rock.00000.wav", "rock/rock.00001.wav"], "2 of 2"),
    (["Rock/Rock.00000.au.wav", "Pop/Pop.00001.au.wav", "Pop/x.wav"], "2 of 3"),
    (["rock/rock 1.wav", "jazz/jazz 1.wav"], "2 of 2"),
    (["rock/rock.00000.7.wav", "jazz/jazz.00000.0.wav"], "is named as a piece"),
    (["rock/00000.wav", "jazz/00000.wav"], ""),
    (["rock/take 1.wav", "jazz/rock 1.wav"], ""),
    (["rock/rock 2019-05-01.wav", "jazz/jazz at 7.wav"], ""),
    (["ska/ska.00000.wav", "dub/dub.00000.wav"], ""),
    (["rock/rock.00000.wav", "jazz/jazz.00000.wav"], ""),
  ],
)
def test_other_music_is_not_taken_for_gtzan(tmp_path, names, hint):
  opened = tfds_gtzan.open_corpus(str(write_names(tmp_path, names)))
  assert len(opened.tracks) == len(names)
  assert {t.genre for t in opened.tracks} == {n.split("/")[0] for n in names}
  assert (hint in opened.hint) if hint else not opened.hint


def test_names_that_no_list_could_hold(tmp_path):
  root = corpora.write_folder(tmp_path / "c", TINY)
  for file in root.rglob("*.wav"):
    file.rename(file.with_name(f"my {file.name}"))
  assert (
    tfds_gtzan.open_corpus(str(root)).tracks[0].id == "blues/my blues.00000"
  )
  names = {"two\nlines": r"two\nlines", "tab\t": r"tab\t"}
  names |= {"\udcff": r"\xff", "\u2028": r"\u2028"}
  for name in names:
    shutil.copy(next((root / "rock").iterdir()), root / "rock" / f"{name}.wav")
  opened = tfds_gtzan.open_corpus(str(root))
  tracks = {track.id: track for track in opened.tracks}
  for name in names.values():
    assert len(tracks[f"rock/{name}"].read().samples)
  (root / "rock").rename(root / "r\udce9g")
  renamed = tfds_gtzan.open_corpus(str(root))
  assert r"r\xe9g" in renamed.genres
  assert len({track.id for track in renamed.tracks} - tracks.keys()) == 5


def test_two_files_of_one_track_of_another_collection(tmp_path):
  root = corpora.write_folder(tmp_path / "c", {"dub": (0.1,), "fado": (0.1,)})
  for genre, name in {"dub": "a.wav", "fado": "b.wav"}.items():
    (root / genre / f"{genre}.00000.wav").rename(root / genre / name)
  shutil.copy(root / "dub" / "a.wav", root / "dub" / "a.mp3")
  with pytest.raises(InputError, match=r"track dub/a: dub/a.mp3 and dub/a.wav"):
    tfds_gtzan.open_corpus(str(root))


# Fingerprints.


def test_fingerprint_is_of_content_and_names(tmp_path):
  root = corpora.write_folder(tmp_path / "c", TINY)
  first = tfds_gtzan.open_corpus(str(root)).fingerprint
  file = root / "rock" / "rock.00000.wav"
  file.rename(root / "rock" / "rock.00001.wav")
  renamed = tfds_gtzan.open_corpus(str(root)).fingerprint
  (root / "rock" / "rock.00001.wav").rename(file)
  assert tfds_gtzan.open_corpus(str(root)).fingerprint == first
  file.write_bytes(file.read_bytes()[:-2] + b"\0\1")
  assert (
    len({first, renamed, tfds_gtzan.open_corpus(str(root)).fingerprint}) == 3
  )


def test_files_are_hashed_once(tmp_path, monkeypatch):
  root = corpora.write_folder(tmp_path / "c", TINY)
  hashed, file_digest = [], hashlib.file_digest

  def counted(file, name):
    hashed.append(os.path.basename(file.name))
    return file_digest(file, name)

  monkeypatch.setattr(hashlib, "file_digest", counted)

  def fingerprint():
    hashed.clear()
    return tfds_gtzan.open_corpus(
      str(root), data_dir=tmp_path / "d"
    ).fingerprint

  first = fingerprint()
  assert len(hashed) == 3
  assert (fingerprint(), hashed) == (first, [])
  # Same length, other content, later: hashed again, and no other file is.
  file = root / "rock" / "rock.00000.wav"
  before = file.stat()
  file.write_bytes(file.read_bytes()[:-2] + b"\0\1")
  os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns + 1))
  changed = fingerprint()
  assert changed != first
  assert hashed == ["rock.00000.wav"]
  for nonsense in ("{", "[1]", '{"a": 3}', "\0"):
    (cache,) = (tmp_path / "d" / ".digests").iterdir()
    cache.write_text(nonsense)
    assert fingerprint() == changed
    assert len(hashed) == 3


def exchange(one, other):
  """As `mv` does: neither content is written anew."""
  aside = one.with_name("aside")
  one.rename(aside)
  other.rename(one)
  aside.rename(other)


def overwrite(one, other):
  """In place, with the times of before: `cp -p`, rsync --inplace."""
  status = one.stat()
  one.write_bytes(other.read_bytes())
  os.utime(one, ns=(status.st_atime_ns, status.st_mtime_ns))


@pytest.mark.parametrize("change", [exchange, overwrite])
@pytest.mark.parametrize("form", ["folder", "tar"])
def test_content_is_known_by_more_than_size_and_time(tmp_path, form, change):
  roots = []
  for name, lengths in (("c", TINY), ("d", TINY)):
    root = corpora.write_folder(tmp_path / name, lengths)
    roots.append(root)
  for file, other in (("rock/rock", "blues/blues"), ("blues/blues",) * 2):
    source = roots[0] / f"{other}.00000.wav"
    (roots[1] / f"{file}.00000.wav").write_bytes(source.read_bytes()[::-1])
  if form == "tar":
    roots = [corpora.pack(root, root.with_suffix(".tar")) for root in roots]
    files_ = roots
  else:
    files_ = [root / "rock" / "rock.00000.wav" for root in roots]
  assert files_[0].stat().st_size == files_[1].stat().st_size
  for file in files_:
    os.utime(file, (1.7e9, 1.7e9))
  opened = functools.partial(tfds_gtzan.open_corpus, str(roots[0]))
  before = opened(data_dir=tmp_path / "prepared").fingerprint
  change(*files_)
  after = opened(data_dir=tmp_path / "prepared").fingerprint
  assert after != before
  assert after == opened().fingerprint  # which remembers nothing


# Archives.


def test_archive_gives_absolute_db_frames_first(tmp_path):
  path = corpora.write_archive(tmp_path / "a.npz")
  arrays = corpora.archive_arrays()
  opened = tfds_gtzan.open_corpus(str(path))
  assert (opened.name, opened.kind) == ("archive", "logmel")
  assert ids(opened) == ["blues.00000", "blues.00001", "rock.00001"]
  assert opened.columns_per_frame == pytest.approx(387 / 1293)
  held = opened.tracks[0].read()  # the archive's last
  assert held.n_frames == 1293
  assert held.db.shape == (387, 128)
  assert held.db.dtype == np.float32
  column, band = 17, 5
  stored = int(arrays["mel"][2, band, column])
  wanted = arrays["top_db"][2] - arrays["range_db"][2] * (1 - stored / 255)
  assert held.db[column, band] == pytest.approx(wanted, abs=1e-5)
  assert opened.fingerprint == hashlib.sha256(path.read_bytes()).hexdigest()


def test_archive_tracks_are_in_label_order(tmp_path):
  arrays = corpora.archive_arrays(("ambient.00000", "rock.00001", "pop.00001"))
  path = corpora.write_archive(tmp_path / "a.npz", **arrays)
  opened = tfds_gtzan.open_corpus(str(path))
  assert opened.genres == ("pop", "rock", "ambient")
  assert tuple(track.genre for track in opened.tracks) == opened.genres


@pytest.mark.parametrize("columns", [1, 130, 1293])
def test_any_number_of_columns_is_accepted(tmp_path, columns):
  arrays = corpora.archive_arrays(columns=columns)
  path = corpora.write_archive(tmp_path / "a.npz", **arrays)
  assert (
    tfds_gtzan.open_corpus(str(path)).tracks[0].read().db.shape[0] == columns
  )


@pytest.mark.parametrize(
  ("changed", "message"),
  [
    ({"mel": None}, "no array 'mel'"),
    ({"n_frames": None}, "no array 'n_frames'"),
    ({"mel": np.zeros((3, 64, 9), np.uint8)}, r"wanted is uint8 \(tracks, 128"),
    ({"mel": np.zeros((3, 128), np.uint8)}, r"wanted is uint8 \(tracks, 128"),
    ({"mel": np.zeros((3, 128, 9), np.float32)}, "'mel' is float32"),
    ({"mel": np.zeros((3, 128, 0), np.uint8)}, "at least one track and one"),
    ({"mel": np.zeros((2, 128, 9), np.uint8)}, r"'track' is .* text \(2,\)"),
    ({"genre": np.array([0, 1, 1])}, r"'genre' is int64 .* text \(3,\)"),
    (
      {"genre": np.array(["rock"] * 3), "track": np.array(["a", "b", "c"])},
      r"one genre only \(rock\)",
    ),
    ({"genre": np.array(["rock", "", "pop"])}, "'genre' has an empty entry"),
    ({"track": np.array(["a", "b", "a"])}, "the track a occurs twice"),
    ({"track": np.array(["a", "b\n", "c"])}, r"'b\\n' cannot be printed"),
    (
      {
        "track": np.array(["a", "b", "pop.00000"]),
        "genre": np.array(["rock", "pop", "rock"]),
      },
      "the track 'pop.00000' and its genre 'rock' disagree",
    ),
    ({"range_db": np.array([1.0, np.nan, 1.0])}, "'range_db' is not finite"),
    ({"range_db": np.array([1.0, -1.0, 1.0])}, "'range_db' is negative"),
    ({"top_db": np.array([1.0, np.inf, 1.0])}, "'top_db' is not finite"),
    ({"top_db": np.zeros((3, 2))}, "one entry a track"),
    ({"n_frames": np.array([1.0, 1.0, 1.0])}, r"integer \(3,\)"),
    ({"n_frames": np.array([1, 0, 1])}, "'n_frames' is below 1"),
  ],
)
def test_unusable_archives(tmp_path, changed, message):
  path = corpora.write_archive(tmp_path / "a.npz", **changed)
  with pytest.raises(InputError, match=message) as caught:
    tfds_gtzan.open_corpus(str(path))
  assert "\n" not in str(caught.value)


class Trap:
  """Unpickled, it leaves a file behind."""

  def __init__(self, path):
    self.path = path

  def __reduce__(self):
    return open, (str(self.path), "w")


@pytest.mark.parametrize("key", ["mel", "track", "range_db"])
def test_pickled_objects_are_refused_and_never_run(tmp_path, key):
  objects = np.array([Trap(tmp_path / "trapped")] * 3, dtype=object)
  path = corpora.write_archive(tmp_path / "a.npz", **{key: objects})
  with pytest.raises(InputError, match=f"'{key}' holds pickled objects"):
    tfds_gtzan.open_corpus(str(path))
  assert not (tmp_path / "trapped").exists()


def test_files_that_are_no_archive(tmp_path):
  path = corpora.write_archive(tmp_path / "a.npz")
  data = bytearray(path.read_bytes())
  data[len(data) // 2] ^= 255  # inside 'mel': its checksum is wrong now
  path.write_bytes(data)
  with pytest.raises(InputError, match="the array 'mel' is damaged"):
    tfds_gtzan.open_corpus(str(path))
  for name, content_ in {
    "cut.npz": data[: len(data) // 2],
    "empty.npz": b"",
    "song.wav": b"RIFF",
  }.items():
    (tmp_path / name).write_bytes(content_)
    with pytest.raises(InputError, match=r"is no \.npz archive; accepted are"):
      tfds_gtzan.open_corpus(str(tmp_path / name))


# The synthetic corpus.


@pytest.mark.parametrize("path", [None, ""])
def test_no_path_is_the_synthetic_corpus(path):
  opened = tfds_gtzan.open_corpus(path, tracks_per_genre=3)
  assert (opened.name, opened.kind) == ("synthetic", "audio")
  assert opened.genres == tfds_gtzan.GENRES == synthetic.GENRES
  assert len(opened.tracks) == 30
  assert {t.partition for t in opened.tracks} == {"train", "validation", "test"}
  held = opened.tracks[4].read()
  np.testing.assert_array_equal(
    held.samples, synthetic.render(opened.tracks[4].id)
  )
  other = tfds_gtzan.open_corpus(path, tracks_per_genre=4)
  assert opened.fingerprint != other.fingerprint


def test_kinds_are_those_of_the_table(tmp_path):
  corpora.write_folder(tmp_path / "c", TINY)
  corpora.write_archive(tmp_path / "a.npz")
  corpora.write_pictures(tmp_path / "p", {"blues": 1, "rock": 1})
  names = ("blues.00000.wav", "rock.00000.wav")
  corpora.write_table(tmp_path / "t.CSV", corpora.table_rows(names))
  paths = {None: "synthetic"}
  for file, name in zip(
    ("c", "a.npz", "p", "t.CSV"),
    ("audio", "archive", "images", "table"),
    strict=True,
  ):
    paths[str(tmp_path / file)] = name
  held = {
    "audio": Audio,
    "logmel": LogMel,
    "picture": Picture,
    "table": Table,
  }
  assert set(paths.values()) == set(tfds_gtzan.CORPORA)
  for path, name in paths.items():
    opened = tfds_gtzan.open_corpus(path, tracks_per_genre=1)
    assert opened.name == name
    assert tfds_gtzan.CORPORA[opened.name] == opened.kind
    assert isinstance(opened.tracks[0].read(), held[opened.kind])


# GTZAN itself, where it is at hand.


@pytest.mark.parametrize(
  ("name", "number", "parts"),
  [
    ("gtzan", 96, (38, 51, 0, 7)),
    ("gtzan_cuts", 371, (230, 93, 0, 48)),
    ("gtzan_logmel.npz", 709, (442, 197, 0, 70)),
  ],
)
def test_real_corpora(gtzan_data, name, number, parts):
  opened = tfds_gtzan.open_corpus(str(gtzan_data / name))
  assert opened.genres == tfds_gtzan.GENRES
  assert len(opened.tracks) == number
  found = [track.partition for track in opened.tracks]
  names = ("train", "validation", "test", "unlisted")
  assert tuple(map(found.count, names)) == parts
  artists = {track.id: track.artist for track in opened.tracks}
  assert artists["blues.00001"] == "John Lee Hooker"
  held = opened.tracks[0].read()
  if opened.kind == "audio":
    assert np.abs(held.samples).max() <= 1
  else:
    assert held.db.shape == (387, 128)
    assert opened.columns_per_frame == pytest.approx(387 / 1293)
