"""Archives: every form in which GTZAN is had, and what is refused of others."""

import errno
import gzip
import hashlib
import io
import os
import pathlib
import pickle
import shutil
import stat
import struct
import subprocess
import sys
import tarfile
import zipfile
from concurrent import futures

import corpora
import numpy as np
import pytest
import soundfile

import tfds_gtzan
from gtzan_jax import errors
from gtzan_jax.audio import waveform
from gtzan_jax.errors import InputError
from tfds_gtzan.corpora import file_tree, unpack

LENGTHS = {"blues": (0.1, 0.2), "jazz": (0.1,), "rock": (0.1,)}
UNREADABLE = "jazz.00054.wav: not decodable as audio"
ARCHIVES = ("tar.gz", "tgz", "tar", "zip")


@pytest.fixture(scope="module")
def music(tmp_path_factory):
  """Kaggle's copy in small: sound, pictures, tables, jazz.00054 unreadable."""
  root = tmp_path_factory.mktemp("music") / "kaggle"
  sound = corpora.write_folder(root / "Data" / "genres_original", LENGTHS)
  (sound / "jazz" / "jazz.00054.wav").write_bytes(b"\x12\x34" * 500)
  numbers = {genre: len(lengths) for genre, lengths in LENGTHS.items()}
  corpora.write_pictures(root / "Data" / "images_original", numbers)
  rows = corpora.table_rows(["blues.00000.wav", "rock.00000.wav"])
  corpora.write_table(root / "Data" / "features_30_sec.csv", rows)
  rows = corpora.table_rows(["blues.00000.1.wav", "rock.00000.0.wav"])
  corpora.write_table(root / "Data" / "features_3_sec.csv", rows)
  return root


@pytest.fixture(scope="module")
def kaggle(music):
  """{form: archive} of all of it."""
  return {
    form: corpora.pack(music, music.parent / f"kaggle.{form}")
    for form in ARCHIVES
  }


def held(track):
  """What a track holds, or why it cannot be read.

  Without libsndfile's own words for it: they change if there is a file ._<name>
  beside it, which it takes for a part of the first.
  """
  try:
    return track.read().samples.tolist()
  except InputError as error:
    return str(error).split(" (")[0]


def assert_same(one, other):
  assert one == other  # tracks compare by all but `read`
  assert list(map(held, one.tracks)) == list(map(held, other.tracks))


# Every form.


SQUARE = np.repeat(np.tile([0.5, -0.5], 60), 25)


def as_tzanetakis(sound, tmp_path):
  """genres.tar.gz: .au files; its jazz.00054 can be decoded."""
  root = tmp_path / "original" / "genres"
  for file in sound.rglob("*.wav"):
    (root / file.parent.name).mkdir(parents=True, exist_ok=True)
    samples, rate = (
      soundfile.read(file) if "54" not in file.name else (SQUARE, 22_050)
    )
    soundfile.write(root / file.parent.name / f"{file.stem}.au", samples, rate)
  (root / "input.mf").write_text("a list that lies there as well\n")
  return root.parent


def as_hugging_face(sound, tmp_path):
  """A tar of wavs made on a Mac."""
  shutil.copytree(sound, tmp_path / "hf" / "genres")
  for file in list((tmp_path / "hf").rglob("*.wav")):
    file.with_name(f"._{file.name}").write_bytes(b"Mac OS X")
  (tmp_path / "hf" / "._genres").write_bytes(b"Mac OS X")
  (tmp_path / "hf" / "__MACOSX" / "genres").mkdir(parents=True)
  (tmp_path / "hf" / "__MACOSX" / "genres" / "._blues").write_bytes(b"\0")
  return tmp_path / "hf"


def as_kaggle(sound, tmp_path):
  shutil.copytree(sound.parent, tmp_path / "kaggle" / "Data")
  return tmp_path / "kaggle"


def as_torchaudio(sound, tmp_path):
  shutil.copytree(sound, tmp_path / "torch" / "genres")
  (tmp_path / "torch" / "genres.tar.gz").write_bytes(b"as it was downloaded")
  return tmp_path / "torch"


def as_mirdata(sound, tmp_path):
  shutil.copytree(sound, tmp_path / "mir" / "gtzan_genre" / "genres")
  (tmp_path / "mir" / "gtzan_tempo_beat-main" / "beats").mkdir(parents=True)
  return tmp_path / "mir"


PASSED_OVER = {
  as_tzanetakis: {".mf": 1},
  as_hugging_face: {"hidden": 7},
  as_kaggle: {".png": 4, ".csv": 2},
  as_torchaudio: {".gz": 1},
}


@pytest.mark.parametrize("form", ["unpacked", *ARCHIVES])
@pytest.mark.parametrize(
  "layout",
  [as_tzanetakis, as_hugging_face, as_kaggle, as_torchaudio, as_mirdata],
)
def test_every_form_is_read_as_the_plain_folder(tmp_path, music, layout, form):
  sound = music / "Data" / "genres_original"
  root = layout(sound, tmp_path)
  plain = root / "genres" if layout is as_tzanetakis else sound
  path = root
  if form != "unpacked":
    path = corpora.pack(root, tmp_path / f"packed.{form}")
  opened = tfds_gtzan.open_corpus(str(path), data_dir=tmp_path / "d")
  assert (opened.name, opened.genres) == ("audio", ("blues", "jazz", "rock"))
  assert_same(opened, tfds_gtzan.open_corpus(str(plain)))
  assert opened.passed_over == PASSED_OVER.get(layout, {})
  by_id = {track.id: held(track) for track in opened.tracks}
  assert len(by_id) == 5
  assert len(by_id["blues.00001"]) == 4410
  if layout is as_tzanetakis:
    assert by_id["jazz.00054"] == SQUARE.tolist()
  else:
    assert by_id["jazz.00054"] == UNREADABLE


@pytest.mark.parametrize("form", ARCHIVES)
@pytest.mark.parametrize(
  ("inside", "plain"),
  [
    ("Data/images_original", "Data/images_original"),
    ("images_original", "Data/images_original"),
    ("Data/genres_original", "Data/genres_original"),
    ("Data", "Data/genres_original"),
    ("Data/features_30_sec.csv", "Data/features_30_sec.csv"),
    ("features_3_sec.csv", "Data/features_3_sec.csv"),
  ],
)
def test_a_path_goes_on_inside_an_archive(
  tmp_path, music, kaggle, form, inside, plain
):
  wanted = tfds_gtzan.open_corpus(str(music / plain))
  path = kaggle[form] / inside
  found = tfds_gtzan.open_corpus(str(path), data_dir=tmp_path / "d")
  assert found == wanted
  one, other = found.tracks[0].read(), wanted.tracks[0].read()
  for name, value in vars(other).items():
    np.testing.assert_array_equal(getattr(one, name), value)


@pytest.mark.parametrize(
  ("inside", "there"),
  [
    ("gone", "at its top are Data"),
    ("../kaggle", "at its top are Data"),
    (
      "Data/gone/blues",
      r"in .*\.zip/Data are genres_original, images_original,"
      r" features_30_sec\.csv, features_3_sec\.csv",
    ),
    ("genres_original/b", "in .*/genres_original are blues, jazz, rock"),
    (
      "Data/genres_original/rock/b",
      r"in .*/genres_original/rock are rock\.00000\.wav",
    ),
  ],
)
def test_what_is_not_inside(kaggle, inside, there):
  with pytest.raises(
    InputError, match=rf"kaggle\.zip holds no .* {inside}; {there}$"
  ):
    tfds_gtzan.open_corpus(str(kaggle["zip"] / inside))


@pytest.mark.parametrize("name", ["a.tar.bz2", "a.RAR", "a.7z", "a.tar.xz"])
@pytest.mark.parametrize("inside", ["", "Data/images_original"])
def test_archives_of_other_forms(tmp_path, name, inside):
  (tmp_path / name).write_bytes(b"BZh9")
  with pytest.raises(
    InputError,
    match=rf"{name}: of archives, \.zip, \.tar, \.tar\.gz, \.tgz are read;",
  ):
    tfds_gtzan.open_corpus(str(tmp_path / name / inside))


def test_endings_in_capitals(tmp_path, music, kaggle):
  wanted = tfds_gtzan.open_corpus(str(music))
  for form in ARCHIVES:
    path = shutil.copy(kaggle[form], tmp_path / f"A.{form.upper()}")
    assert tfds_gtzan.open_corpus(str(path), data_dir=tmp_path / "d") == wanted


@pytest.mark.parametrize("name", ["genres.tar.gz", "Kaggle.ZIP", "mels.npz"])
def test_a_folder_with_nothing_but_an_archive(tmp_path, name):
  (tmp_path / "notes" / "of" / "mine").mkdir(parents=True)
  (tmp_path / name).write_bytes(b"")
  with pytest.raises(
    InputError,
    match=rf"{tmp_path} holds no track, but the archive {name}: give its path,"
    rf" {tmp_path}/{name}$",
  ):
    tfds_gtzan.open_corpus(str(tmp_path))


def test_an_archive_in_an_archive(tmp_path):
  with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
    archive.writestr("gtzan/genres.tar.gz", b"")
  with pytest.raises(
    InputError,
    match=r"archive gtzan/genres.tar.gz: give its path, .*genres.tar",
  ):
    tfds_gtzan.open_corpus(str(tmp_path / "a.zip"))


def test_messages_name_the_place_inside(tmp_path, music):
  root = shutil.copytree(music, tmp_path / "c")
  table = root / "Data" / "features_30_sec.csv"
  table.write_text(table.read_text().replace(",rock\n", ",polka\n"))
  (root / "Data" / "genres_original" / "disco").mkdir()
  for form in ARCHIVES:
    path = corpora.pack(root, tmp_path / f"a.{form}")
    with pytest.raises(
      InputError, match=rf"/a\.{form}/Data/features_30_sec\.csv line 3: the"
    ):
      tfds_gtzan.open_corpus(
        str(path / "features_30_sec.csv"), data_dir=tmp_path
      )
    with pytest.raises(
      InputError,
      match=rf"/a\.{form}/Data/genres_original/disco is a genre folder without",
    ):
      tfds_gtzan.open_corpus(str(path), data_dir=tmp_path)


def test_an_mp3_that_begins_with_padding(tmp_path):
  """By its bytes alone libsndfile would not know it."""
  root = corpora.write_folder(tmp_path / "c", LENGTHS)
  file = root / "jazz" / "jazz.00001.mp3"
  soundfile.write(file, np.tile(SQUARE, 3), 22_050)
  file.write_bytes(bytes(300) + file.read_bytes())
  plain = tfds_gtzan.open_corpus(str(root))
  assert len(held(plain.tracks[3])) > 8000
  for form in ("tar", "zip"):
    archive = corpora.pack(root, tmp_path / f"a.{form}")
    assert_same(tfds_gtzan.open_corpus(str(archive)), plain)


@pytest.mark.parametrize("form", ["tar.gz", "zip"])
def test_tracks_of_an_archive_can_be_sent_elsewhere(kaggle, form):
  tracks = tfds_gtzan.open_corpus(str(kaggle[form])).tracks
  sent = pickle.loads(pickle.dumps(tracks))
  assert list(map(held, sent)) == list(map(held, tracks))


def test_an_archive_is_hashed_once(tmp_path, music, monkeypatch):
  hashed, file_digest = [], hashlib.file_digest
  monkeypatch.setattr(
    hashlib,
    "file_digest",
    lambda file, name: hashed.append(file.name) or file_digest(file, name),
  )
  for form in ARCHIVES:
    # Genres at its top: the archive and what is in it have the same path.
    root = music / "Data" / "genres_original"
    path = corpora.pack(root, tmp_path / f"a.{form}")

    def opened(path=path, form=form):
      hashed.clear()
      home = tmp_path / f"of {form}"
      return tfds_gtzan.open_corpus(str(path), data_dir=home).fingerprint

    first = opened()
    assert len(hashed) == 6  # the archive and five files
    assert (opened(), hashed) == (first, [])
    os.utime(path, ns=(1, 1))
    assert (opened(), hashed) == (first, [str(path)])


def test_names_with_backslashes_are_those_of_windows(tmp_path, music):
  with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
    for file in (music / "Data" / "genres_original").rglob("*.wav"):
      archive.write(file, f"genres\\{file.parent.name}\\{file.name}")
  assert_same(
    tfds_gtzan.open_corpus(str(tmp_path / "a.zip")),
    tfds_gtzan.open_corpus(str(music)),
  )


def test_all_forms_share_what_was_prepared(tmp_path):
  root = corpora.write_folder(
    tmp_path / "genres", {"blues": [0.1] * 11, "jazz": [0.1] * 10}
  )
  (root / "jazz" / "jazz.00054.wav").write_bytes(b"no sound")

  def prepare(path):
    return tfds_gtzan.prepare(
      str(path), "mfcc_slices", tmp_path / "d", progress=False
    )

  archive = corpora.pack(root, tmp_path / "genres.tar.gz")
  done = prepare(archive)
  assert len(done.rows) == 21
  (skipped,) = done.skipped
  assert skipped["track"] == "jazz.00054"
  assert skipped["reason"] == f"{UNREADABLE} (Format not recognised)"
  for form in (root, corpora.pack(root, tmp_path / "genres.zip")):
    assert prepare(form) == done


# What is refused.


def write_tar(path, change):
  """A tar(.gz) of good members and one that was changed in some way."""
  with tarfile.open(path, "w:gz" if path.suffix == ".gz" else "w") as archive:
    for genre in ("blues", "rock"):
      archive.addfile(tarfile.TarInfo(f"genres/{genre}/{genre}.00000.wav"))
    info = tarfile.TarInfo("genres/rock/rock.00001.wav")
    info.size = 4
    change(info)
    data = io.BytesIO(b"RIFF") if info.isreg() and info.size == 4 else None
    archive.addfile(info, data)
  return path


def write_zip(path, change):
  with zipfile.ZipFile(path, "w") as archive:
    for genre in ("blues", "rock"):
      archive.writestr(f"genres/{genre}/{genre}.00000.wav", b"")
    info = zipfile.ZipInfo("genres/rock/rock.00001.wav")
    info.create_system = 3
    info.external_attr = (stat.S_IFREG | 0o644) << 16
    change(info)
    archive.writestr(info, b"RIFF")
  return path


def named(name):
  return lambda info: setattr(
    info, "name" if isinstance(info, tarfile.TarInfo) else "filename", name
  )


def linked(kind, target):
  def change(info):
    info.type, info.linkname, info.size = kind, target, 0

  return change


def of_mode(mode):
  return lambda info: setattr(info, "external_attr", mode << 16)


ANYWHERE = [
  (named("../evil.wav"), "'../evil.wav' climbs out of the folder"),
  (named("genres/../../evil.wav"), "climbs out of the folder"),
  (named("/tmp/evil.wav"), "'/tmp/evil.wav' has an absolute path"),
  (named("C:/evil.wav"), "'C:/evil.wav' has an absolute path"),
  (named("genres/rock/rock.00000.wav"), "rock.00000.wav' stands in it twice"),
  (named("./genres//rock/rock.00000.wav"), "stands in it twice"),
  (named(f"genres/rock/{'x' * 256}"), "a name of more than the 255 bytes"),
  (named("genres/rock"), "'genres/rock' stands in it twice"),
  (named("genres/rock/rock.00000.wav/x"), "lies below a file"),
  (named("../._evil\nwith a line"), r"evil\\nwith a line' climbs out"),
]
OF_TAR = [
  (linked(tarfile.SYMTYPE, "/etc/passwd"), "is a symbolic link"),
  (linked(tarfile.SYMTYPE, "rock.00000.wav"), "is a symbolic link"),
  (linked(tarfile.LNKTYPE, "genres/rock/rock.00000.wav"), "is a hard link"),
  (linked(tarfile.CHRTYPE, ""), "is a device or a pipe"),
  (linked(tarfile.BLKTYPE, ""), "is a device or a pipe"),
  (linked(tarfile.FIFOTYPE, ""), "is a device or a pipe"),
  (linked(tarfile.GNUTYPE_SPARSE, ""), "is of the type b'S', no plain file"),
  (linked(b"Z", ""), "is of the type b'Z', no plain file"),
]
OF_ZIP = [
  (of_mode(stat.S_IFLNK | 0o777), "is a symbolic link"),
  (of_mode(stat.S_IFCHR), "is a device or a pipe"),
  (of_mode(stat.S_IFIFO), "is a device or a pipe"),
  (named("..\\evil.wav"), "climbs out of the folder"),
  (
    lambda info: setattr(info, "compress_type", zipfile.ZIP_LZMA),
    "is not packed by deflate",
  ),
]


def assert_refused(path, message, data_dir):
  with pytest.raises(InputError, match=message) as caught:
    tfds_gtzan.open_corpus(str(path), data_dir=data_dir)
  assert str(caught.value).startswith(str(path))
  assert "\n" not in str(caught.value)
  # Nothing of it is on the disk.
  left = [file for file in data_dir.rglob("*") if ".digests" not in file.parts]
  assert {file.name for file in left} <= {".unpacked", ".lock"}


@pytest.mark.parametrize("form", ["tar", "tar.gz"])
@pytest.mark.parametrize(("change", "message"), [*ANYWHERE, *OF_TAR])
def test_members_of_a_tar_that_are_refused(tmp_path, form, change, message):
  path = write_tar(tmp_path / f"a.{form}", change)
  assert_refused(path, f"is refused: its member .*{message}", tmp_path / "d")
  assert {entry.name for entry in tmp_path.iterdir()} <= {path.name, "d"}


@pytest.mark.filterwarnings("ignore:Duplicate name:UserWarning")
@pytest.mark.parametrize(("change", "message"), [*ANYWHERE, *OF_ZIP])
def test_members_of_a_zip_that_are_refused(tmp_path, change, message):
  path = write_zip(tmp_path / "a.zip", change)
  assert_refused(path, f"is refused: its member .*{message}", tmp_path / "d")


def test_encrypted_members_are_refused(tmp_path):
  path = write_zip(tmp_path / "a.zip", lambda info: None)
  data = bytearray(path.read_bytes())
  data[data.rindex(b"PK\1\2") + 8] |= 1
  path.write_bytes(data)
  assert_refused(path, "rock.00001.wav' is encrypted: unpack", tmp_path / "d")


@pytest.mark.parametrize("form", ARCHIVES)
def test_absurd_sizes_are_refused(tmp_path, kaggle, form, monkeypatch):
  path = kaggle[form]
  monkeypatch.setattr(unpack, "SMALL", 20_000)
  tfds_gtzan.open_corpus(str(path), data_dir=tmp_path / "d")
  monkeypatch.setattr(unpack, "RATIO", 0.5)
  assert_refused(path, r"makes it [\d,]+ bytes, more than the", tmp_path / "e")
  monkeypatch.setattr(unpack, "RATIO", 100)
  monkeypatch.setattr(unpack, "LARGEST", 20_000)
  assert_refused(path, "more than the 20,000 accepted", tmp_path / "e")
  monkeypatch.setattr(unpack, "LARGEST", 10**9)
  monkeypatch.setattr(file_tree, "MOST", 7)
  assert_refused(path, "is one of more than the 7 accepted", tmp_path / "e")


def test_a_sparse_archive_counts_by_what_it_takes_on_the_disk(
  tmp_path, monkeypatch
):
  """A tar that is one big hole."""
  monkeypatch.setattr(unpack, "SMALL", 2**20)
  info = tarfile.TarInfo("rock/rock.00000.wav")
  info.size = 2**26
  with (tmp_path / "a.tar").open("wb") as file:
    file.write(info.tobuf(tarfile.GNU_FORMAT))
    file.truncate(2**26 + 10_240)
  assert_refused(
    tmp_path / "a.tar", "makes it 67,108,864 bytes, more", tmp_path / "d"
  )


def test_a_decoders_fault_is_none_of_the_archive(kaggle, monkeypatch):
  def fails(_):
    raise RuntimeError("odd")

  monkeypatch.setattr(waveform, "read", fails)
  (track, *_) = tfds_gtzan.open_corpus(str(kaggle["zip"])).tracks
  with pytest.raises(InputError, match=r"^blues.*cannot be read .*: odd"):
    track.read()


@pytest.mark.parametrize("form", ["unpacked", "zip"])
def test_a_note_names_the_file_of_an_archive(tmp_path, capsys, form):
  errors._noted.clear()
  root = corpora.write_folder(tmp_path / "c", {"jazz": (1,), "rock": (1,)})
  file = root / "jazz" / "jazz.00000.wav"
  content = bytearray(file.read_bytes())
  content[40:44] = bytes(4)
  file.write_bytes(content)
  path = root if form == "unpacked" else corpora.pack(root, tmp_path / "a.zip")
  tfds_gtzan.open_corpus(str(path)).tracks[0].read()
  where = f"{root}/" if form == "unpacked" else ""
  assert capsys.readouterr().err == (
    f"note: {where}jazz/jazz.00000.wav: its header gives 0 bytes of audio,"
    " but 44,100 follow: all are read\n"
  )


def test_a_declared_size_does_not_let_more_out(tmp_path):
  """A zip that says 10 bytes where a megabyte comes out."""
  with zipfile.ZipFile(
    tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED
  ) as archive:
    for genre in ("blues", "rock"):
      archive.writestr(f"{genre}/{genre}.00000.wav", bytes(2**20))
  data = (tmp_path / "a.zip").read_bytes()
  forged = data.replace(struct.pack("<I", 2**20), struct.pack("<I", 10))
  assert forged != data
  (tmp_path / "a.zip").write_bytes(forged)
  assert_refused(
    tmp_path / "a.zip", "is damaged, .*Bad CRC-32.*: get it", tmp_path / "d"
  )


@pytest.mark.parametrize("form", ["tar", "tar.gz"])
def test_headers_that_ask_for_much_are_refused(tmp_path, form):
  """Of a long name tarfile would read as many bytes as its header says."""
  for size in (10**10, -(10**10)):
    info = tarfile.TarInfo("././@LongLink")
    info.type, info.size = tarfile.GNUTYPE_LONGNAME, size
    data = info.tobuf(tarfile.GNU_FORMAT) + bytes(2048)
    path = tmp_path / f"a.{form}"
    path.write_bytes(gzip.compress(data) if form == "tar.gz" else data)
    assert_refused(path, r"a header of -?[\d,]+ bytes", tmp_path / "d")


def test_sizes_below_zero_are_refused(tmp_path):
  """They would make room for others in the sum of all."""
  info = tarfile.TarInfo("rock/a.wav")
  info.size = -512
  path = tmp_path / "a.tar"
  path.write_bytes(info.tobuf(tarfile.GNU_FORMAT) + bytes(2**12))
  # Some releases of Python refuse it first.
  assert_refused(path, "has a negative size|is damaged", tmp_path / "d")


def test_what_gzip_gives_behind_the_tar_is_counted(
  tmp_path, kaggle, monkeypatch
):
  monkeypatch.setattr(unpack, "RATIO", 2)
  monkeypatch.setattr(unpack, "SMALL", 2**18)
  path = tmp_path / "a.tar.gz"
  path.write_bytes(kaggle["tar.gz"].read_bytes() + gzip.compress(bytes(2**21)))
  assert_refused(path, r"more than [\d,]+ bytes in it", tmp_path / "d")


@pytest.mark.slow
@pytest.mark.parametrize("form", ARCHIVES)
def test_no_part_of_an_archive_is_taken_for_the_whole(tmp_path, kaggle, form):
  data = kaggle[form].read_bytes()
  path = tmp_path / f"a.{form}"
  # A tar's end is padding; of the others the last byte counts.
  end = len(data.rstrip(b"\0")) if form == "tar" else len(data)
  cuts = [0, 1, 2, 100, *np.linspace(512, end - 1, 40).astype(int)]
  cuts += [512 * (end // 512 * i // 20) for i in range(1, 20)]
  for cut in cuts:
    path.write_bytes(data[:cut])
    assert_refused(path, "is damaged, cut short or no archive", tmp_path / "d")


@pytest.mark.parametrize("form", ARCHIVES)
def test_damage_is_found(tmp_path, kaggle, form):
  data = bytearray(kaggle[form].read_bytes())
  path = tmp_path / f"a.{form}"
  if form == "tar":  # it has checksums of its headers alone
    place = data.index(b"genres_original/rock/rock.00000.wav")
  else:
    place = len(data) // 10
  data[place] ^= 0xFF
  path.write_bytes(data)
  assert_refused(path, "is damaged, cut short or no archive", tmp_path / "d")


def test_files_that_are_no_archives(tmp_path):
  for name, data in {
    "page.tar.gz": b"<html>log in first</html>",
    "page.zip": b"<html>log in first</html>" * 100,
    "text.tgz": gzip.compress(b"no tar" * 1000),
  }.items():
    (tmp_path / name).write_bytes(data)
    assert_refused(tmp_path / name, "or no archive", tmp_path / "d")


# Unpacking.


HOLDER = """
import sys
from gtzan_jax import atomic
with atomic.locked(sys.argv[1]):
  print("held", flush=True)
  sys.stdin.read()
"""


@pytest.fixture
def lone(tmp_path, kaggle, caplog):
  """A data folder of its own, and how often something was unpacked into it."""

  class Lone:
    dir = tmp_path / "d"
    path = kaggle["tar.gz"]
    wanted = tfds_gtzan.open_corpus(str(kaggle["zip"]))

    def open(self):
      return tfds_gtzan.open_corpus(str(self.path), data_dir=self.dir)

    @property
    def times(self):
      return sum(
        "unpacking" in line and str(self.dir) in line
        for line in caplog.messages
      )

  return Lone()


def test_a_process_that_was_killed_leaves_nothing_behind(lone, monkeypatch):
  """It had written some files and could not clean up."""
  copy, written = shutil.copyfileobj, []

  def killed(source, target, size):
    if len(written) == 3:
      raise KeyboardInterrupt
    written.append(pathlib.Path(target.name))
    copy(source, target, size)

  with monkeypatch.context() as patch:
    patch.setattr(shutil, "copyfileobj", killed)
    patch.setattr(shutil, "rmtree", lambda *_, **__: None)
    with pytest.raises(KeyboardInterrupt):
      lone.open()
  assert all(place.exists() for place in written)
  assert_same(lone.open(), lone.wanted)
  assert not any(place.exists() for place in written)
  (unpacked,) = (lone.dir / ".unpacked").glob("[!.]*")
  assert len(unpacked.name) == 16


def test_two_at_once_unpack_once(lone):
  with futures.ThreadPoolExecutor(4) as pool:
    found = list(pool.map(lambda _: lone.open(), range(4)))
  assert found == [lone.wanted] * 4
  assert lone.times == 1


def test_while_another_process_unpacks_this_one_waits(lone, caplog):
  first = lone.open()
  (unpacked,) = lone.dir.glob(".unpacked/[!.]*")
  aside = unpacked.rename(lone.dir / "aside")
  with (
    futures.ThreadPoolExecutor(1) as pool,
    subprocess.Popen(
      [sys.executable, "-c", HOLDER, str(unpacked.with_name(".lock"))],
      stdin=subprocess.PIPE,
      stdout=subprocess.PIPE,
    ) as other,
  ):
    assert other.stdout.readline() == b"held\n"
    found = pool.submit(lone.open)
    with pytest.raises(futures.TimeoutError):
      found.result(timeout=0.5)
    assert f"another process unpacks into {unpacked.parent}: w" in caplog.text
    aside.rename(unpacked)  # what the other process does meanwhile
    other.kill()
    assert found.result(timeout=20) == first
  assert lone.times == 1


def test_a_full_disk_is_one_line(lone, monkeypatch):
  def full(source, target, size):
    target.write(b"half of it")
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

  monkeypatch.setattr(shutil, "copyfileobj", full)
  assert_refused(
    lone.path,
    r"cannot be unpacked into .*/d/\.unpacked: No space left on device; give"
    " another folder as config.data.dir$",
    lone.dir,
  )


@pytest.mark.parametrize(
  "spoil",
  [
    lambda file: file.unlink(),
    lambda file: os.truncate(file, 100),
    lambda file: shutil.rmtree(file.parents[1]),
    lambda file: shutil.copy(file, file.with_name("rock.00001.wav")),
    lambda file: (file.parents[4] / "sizes.json").write_text("{"),
  ],
)
def test_what_was_spoilt_by_hand_is_unpacked_again(lone, spoil):
  first = lone.open()
  assert (lone.open(), lone.times) == (first, 1)
  (file,) = lone.dir.glob(".unpacked/*/files/Data/*/rock/rock.00000.wav")
  spoil(file)
  assert_same(lone.open(), lone.wanted)
  assert (lone.open(), lone.times) == (first, 2)
