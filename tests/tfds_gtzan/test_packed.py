"""Archives: every form in which GTZAN is had, and what is refused of others."""

import errno
import gzip
import io
import os
import pickle
import shutil
import stat
import struct
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from concurrent import futures

import corpora
import numpy as np
import pytest
import soundfile

import tfds_gtzan
from gtzan_jax import errors
from gtzan_jax.audio import files as audio
from gtzan_jax.errors import InputError, StopError
from tfds_gtzan import examples
from tfds_gtzan.corpora import corpus, files, members, packed
from tfds_gtzan.corpora import digests as content

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
  opened = corpus.open_corpus(str(path), data_dir=tmp_path / "d")
  assert (opened.name, opened.genres) == ("audio", ("blues", "jazz", "rock"))
  assert_same(opened, corpus.open_corpus(str(plain)))
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
  wanted = corpus.open_corpus(str(music / plain))
  path = kaggle[form] / inside
  found = corpus.open_corpus(str(path), data_dir=tmp_path / "d")
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
    corpus.open_corpus(str(kaggle["zip"] / inside))


@pytest.mark.parametrize("name", ["a.tar.bz2", "a.RAR", "a.7z", "a.tar.xz"])
@pytest.mark.parametrize("inside", ["", "Data/images_original"])
def test_archives_of_other_forms(tmp_path, name, inside):
  (tmp_path / name).write_bytes(b"BZh9")
  with pytest.raises(
    InputError,
    match=rf"{name}: of archives, \.zip, \.tar, \.tar\.gz, \.tgz are read;",
  ):
    corpus.open_corpus(str(tmp_path / name / inside))


def test_endings_in_capitals(tmp_path, music, kaggle):
  wanted = corpus.open_corpus(str(music))
  for form in ARCHIVES:
    path = shutil.copy(kaggle[form], tmp_path / f"A.{form.upper()}")
    assert corpus.open_corpus(str(path), data_dir=tmp_path / "d") == wanted


@pytest.mark.parametrize("name", ["genres.tar.gz", "Kaggle.ZIP", "mels.npz"])
def test_a_folder_with_nothing_but_an_archive(tmp_path, name):
  (tmp_path / "notes" / "of" / "mine").mkdir(parents=True)
  (tmp_path / name).write_bytes(b"")
  with pytest.raises(
    InputError,
    match=rf"{tmp_path} holds no track, but the archive {name}: give its path,"
    rf" {tmp_path}/{name}$",
  ):
    corpus.open_corpus(str(tmp_path))


def test_an_archive_in_an_archive(tmp_path):
  with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
    archive.writestr("gtzan/genres.tar.gz", b"")
  with pytest.raises(InputError, match=r"archive gtzan/genres.tar.gz: unpack"):
    corpus.open_corpus(str(tmp_path / "a.zip"))


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
      corpus.open_corpus(str(path / "features_30_sec.csv"), data_dir=tmp_path)
    with pytest.raises(
      InputError,
      match=rf"/a\.{form}/Data/genres_original/disco is a genre folder without",
    ):
      corpus.open_corpus(str(path), data_dir=tmp_path)


def test_an_mp3_that_begins_with_padding_is_read_in_place(tmp_path):
  """By its bytes alone libsndfile would not know it."""
  root = corpora.write_folder(tmp_path / "c", LENGTHS)
  file = root / "jazz" / "jazz.00001.mp3"
  soundfile.write(file, np.tile(SQUARE, 3), 22_050)
  file.write_bytes(bytes(300) + file.read_bytes())
  plain = corpus.open_corpus(str(root))
  assert len(held(plain.tracks[3])) > 8000
  for form in ("tar", "zip"):
    archive = corpora.pack(root, tmp_path / f"a.{form}")
    assert_same(corpus.open_corpus(str(archive)), plain)


@pytest.mark.parametrize("form", ["tar", "zip"])
def test_members_are_read_from_threads_and_can_be_sent_elsewhere(kaggle, form):
  tracks = corpus.open_corpus(str(kaggle[form])).tracks
  wanted = list(map(held, tracks))
  with futures.ThreadPoolExecutor(8) as pool:
    found = list(pool.map(held, tracks * 20))
  assert found == wanted * 20
  sent = pickle.loads(pickle.dumps(tracks))
  assert list(map(held, sent)) == wanted


def test_an_archive_is_hashed_once(tmp_path, kaggle, monkeypatch):
  hashed = []
  sha256 = content._sha256
  monkeypatch.setattr(
    content, "_sha256", lambda file: hashed.append(file.name) or sha256(file)
  )
  for form, number in {"zip": 5, "tar": 5, "tar.gz": 6}.items():
    path = shutil.copy(kaggle[form], tmp_path / f"a.{form}")

    def opened(path=path):
      hashed.clear()
      return corpus.open_corpus(str(path), data_dir=tmp_path / "d").fingerprint

    first = opened()
    assert len(hashed) == number
    assert (opened(), hashed) == (first, [])
    os.utime(path, ns=(1, 1))
    assert opened() == first
    # A tar.gz alone is hashed anew: its content lies unpacked.
    assert len(hashed) == (1 if form == "tar.gz" else number)


def test_names_with_backslashes_are_those_of_windows(tmp_path, music):
  with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
    for file in (music / "Data" / "genres_original").rglob("*.wav"):
      archive.write(file, f"genres\\{file.parent.name}\\{file.name}")
  assert_same(
    corpus.open_corpus(str(tmp_path / "a.zip")),
    corpus.open_corpus(str(music)),
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
    corpus.open_corpus(str(path), data_dir=data_dir)
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
  monkeypatch.setattr(members, "SMALL", 20_000)
  corpus.open_corpus(str(path), data_dir=tmp_path / "d")
  monkeypatch.setattr(members, "RATIO", 0.5)
  assert_refused(path, r"makes it [\d,]+ bytes, more than the", tmp_path / "e")
  monkeypatch.setattr(members, "RATIO", 100)
  monkeypatch.setattr(members, "LARGEST", 20_000)
  assert_refused(path, "more than the 20,000 accepted", tmp_path / "e")
  monkeypatch.setattr(members, "LARGEST", 10**9)
  monkeypatch.setattr(files, "MOST", 7)
  assert_refused(path, "is one of more than the 7 accepted", tmp_path / "e")


def test_a_sparse_archive_counts_by_what_it_takes_on_the_disk(tmp_path):
  """A tar that is one big hole: nothing of it is read."""
  info = tarfile.TarInfo("rock/rock.00000.wav")
  info.size = 2**34
  with (tmp_path / "a.tar").open("wb") as file:
    file.write(info.tobuf(tarfile.GNU_FORMAT))
    file.truncate(2**34 + 10_240)
  assert_refused(
    tmp_path / "a.tar", "makes it 17,179,869,184 bytes, more", tmp_path / "d"
  )


def test_a_member_of_a_tar_is_read_where_it_lies(tmp_path):
  (tmp_path / "a").write_bytes(bytes(range(100)))
  with (tmp_path / "a").open("rb") as file:
    part = io.BufferedReader(packed._Part(file, 10, 20))
    assert part.read() == bytes(range(10, 30))
    assert part.read() == b""
    assert part.seek(-5, io.SEEK_END) == 15
    assert part.read(2) == bytes((25, 26))
    assert part.seek(1) == 1
    assert part.read(99) == bytes(range(11, 30))
  with (tmp_path / "a").open("rb") as file, pytest.raises(EOFError):
    packed._Part(file, 90, 20).read(20)


def test_a_decoders_fault_is_none_of_the_archive(kaggle, monkeypatch):
  def fails(_):
    raise RuntimeError("odd")

  monkeypatch.setattr(audio, "read", fails)
  (track, *_) = corpus.open_corpus(str(kaggle["zip"])).tracks
  with pytest.raises(
    InputError, match=r"^blues.*cannot be read .*: odd"
  ) as raised:
    track.read()
  assert not isinstance(raised.value, StopError)


@pytest.mark.parametrize("form", ["unpacked", "zip"])
def test_a_note_names_the_file_and_no_copy_of_it(tmp_path, capsys, form):
  errors._noted.clear()
  root = corpora.write_folder(tmp_path / "c", {"jazz": (1,), "rock": (1,)})
  file = root / "jazz" / "jazz.00000.wav"
  content = bytearray(file.read_bytes())
  content[40:44] = bytes(4)
  file.write_bytes(content)
  path = root if form == "unpacked" else corpora.pack(root, tmp_path / "a.zip")
  corpus.open_corpus(str(path)).tracks[0].read()
  where = f"{root}/jazz/" if form == "unpacked" else ""
  assert capsys.readouterr().err == (
    f"note: {where}jazz.00000.wav: its header promises 0 bytes of sound, and"
    " 44,100 follow it: all are read\n"
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
  member = members.Member(info.name, info.size, False, "", info)
  path = tmp_path / "a.tar"
  path.write_bytes(info.tobuf(tarfile.GNU_FORMAT) + bytes(2**12))
  with pytest.raises(InputError, match=r"rock/a\.wav' has a negative size"):
    list(members.accepted(path, [member]))
  # Some releases of Python refuse it first.
  assert_refused(path, "has a negative size|is damaged", tmp_path / "d")


def test_what_gzip_gives_behind_the_tar_is_counted(
  tmp_path, kaggle, monkeypatch
):
  monkeypatch.setattr(members, "RATIO", 2)
  monkeypatch.setattr(members, "SMALL", 2**18)
  path = tmp_path / "a.tar.gz"
  path.write_bytes(kaggle["tar.gz"].read_bytes() + gzip.compress(bytes(2**21)))
  assert_refused(path, r"more than [\d,]+ bytes in it", tmp_path / "d")


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


@pytest.mark.parametrize("form", ["tar", "zip"])
def test_an_archive_that_is_cut_short_while_it_is_open(tmp_path, kaggle, form):
  path = shutil.copy(kaggle[form], tmp_path / f"a.{form}")
  track = corpus.open_corpus(str(path)).tracks[-1]
  with path.open("r+b") as file:
    file.truncate(5000)
  with pytest.raises(StopError, match="damaged, cut short or no archive"):
    track.read()


@pytest.mark.parametrize("form", ["tar", "zip"])
def test_an_archive_that_is_taken_away_while_it_is_open(tmp_path, kaggle, form):
  path = shutil.copy(kaggle[form], tmp_path / f"a.{form}")
  tracks = corpus.open_corpus(str(path)).tracks
  packed._zip.cache_clear()
  path.unlink()
  with pytest.raises(
    StopError, match=rf"a\.{form} cannot be read: No such file or directory$"
  ):
    list(examples.read_ahead(lambda track: track.read(), tracks))


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


def test_a_process_that_was_killed_leaves_nothing_behind(
  tmp_path, kaggle, monkeypatch
):
  """It had written some files and could not clean up."""
  data_dir = tmp_path / "d"
  wanted = corpus.open_corpus(str(kaggle["zip"]))
  with monkeypatch.context() as patch:
    written = []

    def killed(file, size, place):
      if len(written) == 3:
        raise KeyboardInterrupt
      written.append(place)
      place.write_bytes(b"half of it")

    patch.setattr(packed, "_copy", killed)
    patch.setattr(packed.shutil, "rmtree", lambda *_, **__: None)
    with pytest.raises(KeyboardInterrupt):
      corpus.open_corpus(str(kaggle["tar.gz"]), data_dir=data_dir)
  assert all(place.exists() for place in written)
  opened = corpus.open_corpus(str(kaggle["tar.gz"]), data_dir=data_dir)
  assert_same(opened, wanted)
  assert not any(place.exists() for place in written)
  (unpacked,) = (data_dir / ".unpacked").glob("[!.]*")
  assert len(unpacked.name) == 16


def test_two_at_once_unpack_once(tmp_path, kaggle, monkeypatch):
  unpacked = []
  unpack = packed._unpack
  monkeypatch.setattr(
    packed, "_unpack", lambda *args: unpacked.append(args) or unpack(*args)
  )

  def opened(_):
    return corpus.open_corpus(str(kaggle["tar.gz"]), data_dir=tmp_path)

  with futures.ThreadPoolExecutor(4) as pool:
    found = list(pool.map(opened, range(4)))
  assert len(unpacked) == 1
  assert found == [corpus.open_corpus(str(kaggle["zip"]))] * 4


def test_a_full_disk_is_one_line(tmp_path, kaggle, monkeypatch):
  def full(file, size, place):
    place.write_bytes(b"half of it")
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

  monkeypatch.setattr(packed, "_copy", full)
  assert_refused(
    kaggle["tar.gz"],
    r"cannot be unpacked into .*/d/\.unpacked: No space left on device; give"
    " another folder as config.data.dir$",
    tmp_path / "d",
  )


def test_without_a_folder_a_tar_gz_is_not_unpacked(kaggle):
  with pytest.raises(
    InputError, match="no data_dir was given to unpack it into: give a data_dir"
  ):
    corpus.open_corpus(str(kaggle["tar.gz"]))


HOLDER = """
import fcntl, sys
lock = open(sys.argv[1], "w")
fcntl.flock(lock, fcntl.LOCK_EX)
print("held", flush=True)
sys.stdin.read()
"""


def test_while_another_process_unpacks_this_one_waits(
  tmp_path, kaggle, monkeypatch, caplog
):
  path, home = kaggle["tar.gz"], tmp_path / "d" / ".unpacked"
  home.mkdir(parents=True)
  unpack = packed._unpack
  monkeypatch.setattr(packed, "_unpack", None)  # it must not
  with (
    futures.ThreadPoolExecutor(1) as pool,
    subprocess.Popen(
      [sys.executable, "-c", HOLDER, str(home / ".lock")],
      stdin=subprocess.PIPE,
      stdout=subprocess.PIPE,
    ) as other,
  ):
    assert other.stdout.readline() == b"held\n"
    found = pool.submit(corpus.open_corpus, str(path), data_dir=tmp_path / "d")
    with pytest.raises(futures.TimeoutError):
      found.result(timeout=0.5)
    assert f"another process unpacks into {home}: waiting" in caplog.text
    # What the other process does meanwhile.
    unpack(path, home / content.digests(path, [path], None)[0][:16])
    other.kill()
    assert found.result(timeout=20) == corpus.open_corpus(str(kaggle["zip"]))


@pytest.mark.parametrize(
  "spoil",
  [
    lambda file: file.unlink(),
    lambda file: os.truncate(file, 100),
    lambda file: shutil.rmtree(file.parents[1]),
    lambda file: shutil.copy(file, file.with_name("rock.00001.wav")),
    lambda file: (file.parents[3] / ".files.json").write_text("{"),
  ],
)
def test_what_was_spoilt_by_hand_is_unpacked_again(
  tmp_path, kaggle, spoil, monkeypatch
):
  unpacked = []
  unpack = packed._unpack
  monkeypatch.setattr(
    packed, "_unpack", lambda *args: unpacked.append(args) or unpack(*args)
  )

  def opened():
    return corpus.open_corpus(str(kaggle["tar.gz"]), data_dir=tmp_path)

  first = opened()
  assert (opened(), len(unpacked)) == (first, 1)
  (file,) = tmp_path.glob(".unpacked/*/Data/*/rock/rock.00000.wav")
  spoil(file)
  assert_same(opened(), corpus.open_corpus(str(kaggle["zip"])))
  assert (opened(), len(unpacked)) == (first, 2)


# No room for what an archive's members are copied to.


@pytest.mark.parametrize("which", [1, 3, 8])
def test_no_room_for_a_copy_is_the_fault_of_no_track(
  tmp_path, monkeypatch, which
):
  """Once, whichever the track: the third is the only one of its split."""
  root = corpora.write_folder(
    tmp_path / "genres", {"blues": [0.1] * 11, "rock": [0.1] * 11}
  )
  file = root / "blues" / "blues.00000.wav"
  file.rename(file.with_name("blues.00012.wav"))  # of the test list
  path = corpora.pack(root, tmp_path / "a.zip")
  wanted = tfds_gtzan.prepare(str(root), "mfcc_slices", tmp_path / "e")
  write, written = shutil.copyfileobj, []

  def full(source, target, length):
    written.append(target)
    if len(written) == which:
      raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    write(source, target, length)

  monkeypatch.setattr(shutil, "copyfileobj", full)
  arguments = (str(path), "mfcc_slices", tmp_path / "d")
  with pytest.raises(
    StopError,
    match=r"wav cannot be copied from its archive to /.* \(No space left on"
    r" device\); name a folder with room as TMPDIR$",
  ):
    tfds_gtzan.prepare(*arguments)
  assert not [f for f in (tmp_path / "d").iterdir() if f.name[0] != "."]
  assert not any(os.path.exists(copy.name) for copy in written)
  done = tfds_gtzan.prepare(*arguments)
  assert (done.rows, done.skipped) == (wanted.rows, ())


def test_no_folder_for_a_copy(tmp_path, kaggle, monkeypatch):
  (track, *_) = corpus.open_corpus(str(kaggle["zip"])).tracks
  monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
  with pytest.raises(StopError, match=r"to .*/gone \(No such file"):
    track.read()
