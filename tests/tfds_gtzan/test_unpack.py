"""Archives: every form in which GTZAN is had, and what is refused of others."""

import errno
import fcntl
import gzip
import io
import os
import pathlib
import shutil
import stat
import struct
import tarfile
import zipfile
from concurrent import futures

import corpora
import numpy as np
import pytest
import soundfile
from corpora import opened, refused, write_names

from gtzan_jax import errors
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
# {whose copy: the folder of its genres, what else lies there, passed over}
LAYOUTS = {
  "tzanetakis": ("genres", {"genres/input.mf": b"a list"}, {".mf": 1}),
  "hugging face": (  # a tar of wavs made on a Mac
    "genres",
    {
      **{"._genres": b"Mac OS X", "__MACOSX/genres/._blues": b"\0"},
      **{f"genres/rock/._{i}.wav": b"Mac OS X" for i in range(5)},
    },
    {"hidden": 7},
  ),
  "kaggle": ("Data/genres_original", {}, {".png": 4, ".csv": 2}),
  "torchaudio": ("genres", {"genres.tar.gz": b"as it came"}, {".gz": 1}),
  "mirdata": ("gtzan_genre/genres", {"beats/a.txt": b""}, {".txt": 1}),
}


@pytest.mark.parametrize("form", ["unpacked", *ARCHIVES])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_form_is_read_as_the_plain_folder(tmp_path, music, layout, form):
  genres, more, passed_over = LAYOUTS[layout]
  root, plain = tmp_path / "copy", music / "Data" / "genres_original"
  if layout == "kaggle":
    shutil.copytree(music, root)
  else:
    shutil.copytree(plain, root / genres)
  for name, data in more.items():
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / name).write_bytes(data)
  if layout == "tzanetakis":  # .au files, all of which can be decoded
    plain = root / genres
    for file in plain.rglob("*.wav"):
      odd = file.stem == "jazz.00054"
      samples, rate = (SQUARE, 22_050) if odd else soundfile.read(file)
      soundfile.write(file.with_suffix(".au"), samples, rate)
      file.unlink()
  path = root
  if form != "unpacked":
    path = corpora.pack(root, tmp_path / f"packed.{form}")
  corpus = opened(path, data_dir=tmp_path / "d")
  assert (corpus.name, corpus.genres) == ("audio", ("blues", "jazz", "rock"))
  assert_same(corpus, opened(plain))
  assert corpus.passed_over == passed_over
  by_id = {track.id: held(track) for track in corpus.tracks}
  assert len(by_id) == 5
  assert len(by_id["blues.00001"]) == 4410
  decoded = SQUARE.tolist() if layout == "tzanetakis" else UNREADABLE
  assert by_id["jazz.00054"] == decoded


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
  corpus = opened(kaggle[form] / inside, data_dir=tmp_path / "d")
  wanted = opened(music / plain)
  assert corpus == wanted
  one, other = corpus.tracks[0].read(), wanted.tracks[0].read()
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
  message = rf"kaggle\.zip holds no .* {inside}; {there}$"
  refused(kaggle["zip"] / inside, message)


@pytest.mark.parametrize("name", ["a.tar.bz2", "a.RAR", "a.7z", "a.tar.xz"])
@pytest.mark.parametrize("inside", ["", "Data/images_original"])
def test_archives_of_other_forms(tmp_path, name, inside):
  (tmp_path / name).write_bytes(b"BZh9")
  refused(
    tmp_path / name / inside,
    rf"{name}: of archives, \.zip, \.tar, \.tar\.gz, \.tgz are read;",
  )


@pytest.mark.parametrize("form", ARCHIVES)
def test_endings_in_capitals(tmp_path, music, kaggle, form):
  path = shutil.copy(kaggle[form], tmp_path / f"A.{form.upper()}")
  assert opened(path, data_dir=tmp_path / "d") == opened(music)


@pytest.mark.parametrize("name", ["genres.tar.gz", "Kaggle.ZIP", "mels.npz"])
@pytest.mark.parametrize("packed", [False, True])
def test_nothing_but_an_archive(tmp_path, name, packed):
  """In a folder, or in another archive."""
  place = write_names(tmp_path / "place", ["notes/of/mine/", name])
  file = place / name
  if packed:
    place, file = corpora.pack(place, tmp_path / "a.zip"), rf"\S*/{name}"
  message = "holds no track, but the archive"
  refused(place, rf"{place} {message} {name}: give its path, {file}$")


@pytest.mark.parametrize("form", ARCHIVES)
def test_messages_name_the_place_inside(tmp_path, music, form):
  root = shutil.copytree(music, tmp_path / "c")
  table = root / "Data" / "features_30_sec.csv"
  table.write_text(table.read_text().replace(",rock\n", ",polka\n"))
  (root / "Data" / "genres_original" / "disco").mkdir()
  path = corpora.pack(root, tmp_path / f"a.{form}")
  for inside, message in (
    ("features_30_sec.csv", r"features_30_sec\.csv line 3: the"),
    ("", "genres_original/disco is a genre folder without"),
  ):
    refused(path / inside, rf"/a\.{form}/Data/{message}", data_dir=tmp_path)


def test_an_mp3_that_begins_with_padding(tmp_path):
  """By its bytes alone libsndfile would not know it."""
  root = corpora.write_folder(tmp_path / "c", LENGTHS)
  file = root / "jazz" / "jazz.00001.mp3"
  soundfile.write(file, np.tile(SQUARE, 3), 22_050)
  file.write_bytes(bytes(300) + file.read_bytes())
  assert len(held(opened(root).tracks[3])) > 8000


def test_names_with_backslashes_are_those_of_windows(tmp_path, music):
  with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
    for file in (music / "Data" / "genres_original").rglob("*.wav"):
      archive.write(file, f"genres\\{file.parent.name}\\{file.name}")
  assert_same(opened(tmp_path / "a.zip"), opened(music))


# What is refused.

MEMBER = "genres/rock/rock.00001.wav"


def write_tar(path, **changes):
  """A tar(.gz) of good members and one that was changed in some way."""
  with tarfile.open(path, "w:gz" if path.suffix == ".gz" else "w") as archive:
    for genre in ("blues", "rock"):
      archive.addfile(tarfile.TarInfo(f"genres/{genre}/{genre}.00000.wav"))
    info = tarfile.TarInfo(MEMBER)
    info.size = 0 if "type" in changes else 4
    for name, value in changes.items():
      setattr(info, name, value)
    archive.addfile(info, io.BytesIO(b"RIFF") if info.size else None)


def write_zip(path, name=MEMBER, mode=stat.S_IFREG | 0o644, **changes):
  with zipfile.ZipFile(path, "w") as archive:
    for genre in ("blues", "rock"):
      archive.writestr(f"genres/{genre}/{genre}.00000.wav", b"")
    info = zipfile.ZipInfo(name)
    info.create_system, info.external_attr = 3, mode << 16
    for key, value in changes.items():
      setattr(info, key, value)
    archive.writestr(info, b"RIFF")


ANYWHERE = {
  "../evil.wav": "'../evil.wav' climbs out of the folder",
  "genres/../../evil.wav": "climbs out of the folder",
  "/tmp/evil.wav": "'/tmp/evil.wav' has an absolute path",
  "C:/evil.wav": "'C:/evil.wav' has an absolute path",
  "genres/rock/rock.00000.wav": "rock.00000.wav' stands in it twice",
  "./genres//rock/rock.00000.wav": "stands in it twice",
  f"genres/rock/{'x' * 256}": "a name of more than the 255 bytes",
  "genres/rock": "'genres/rock' stands in it twice",
  "genres/rock/rock.00000.wav/x": "lies below a file",
  "../._evil\nwith a line": r"evil\\nwith a line' climbs out",
}
DEVICES = (tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE)
OF_TAR = [
  *(({"name": name}, message) for name, message in ANYWHERE.items()),
  *(
    ({"type": tarfile.SYMTYPE, "linkname": name}, "is a symbolic link")
    for name in ("/etc/passwd", "rock.00000.wav")
  ),
  (
    {"type": tarfile.LNKTYPE, "linkname": "genres/rock/rock.00000.wav"},
    "is a hard link",
  ),
  *(({"type": kind}, "is a device or a pipe") for kind in DEVICES),
  ({"type": tarfile.GNUTYPE_SPARSE}, "is of the type b'S', no plain file"),
  ({"type": b"Z"}, "is of the type b'Z', no plain file"),
]
OF_ZIP = [
  *(({"name": name}, message) for name, message in ANYWHERE.items()),
  ({"name": "..\\evil.wav"}, "climbs out of the folder"),
  ({"mode": stat.S_IFLNK | 0o777}, "is a symbolic link"),
  ({"mode": stat.S_IFCHR}, "is a device or a pipe"),
  ({"mode": stat.S_IFIFO}, "is a device or a pipe"),
  ({"compress_type": zipfile.ZIP_LZMA}, "is not packed by deflate"),
]


def assert_refused(path, message, data_dir):
  refused(path, rf"^{path}.*{message}", data_dir=data_dir)
  # Nothing of it is on the disk.
  left = [file for file in data_dir.rglob("*") if ".digests" not in file.parts]
  assert {file.name for file in left} <= {".unpacked", ".lock"}
  assert {entry.name for entry in data_dir.parent.iterdir()} <= {
    *(path.name, data_dir.name),
  }


@pytest.mark.filterwarnings("ignore:Duplicate name:UserWarning")
@pytest.mark.parametrize(
  ("form", "changes", "message"),
  [
    *((form, *row) for form in ("tar", "tar.gz") for row in OF_TAR),
    *(("zip", *row) for row in OF_ZIP),
  ],
)
def test_members_that_are_refused(tmp_path, form, changes, message):
  path = tmp_path / f"a.{form}"
  (write_zip if form == "zip" else write_tar)(path, **changes)
  assert_refused(path, f"is refused: its member .*{message}", tmp_path / "d")


def test_encrypted_members_are_refused(tmp_path):
  path = tmp_path / "a.zip"
  write_zip(path)
  data = bytearray(path.read_bytes())
  data[data.rindex(b"PK\1\2") + 8] |= 1
  path.write_bytes(data)
  assert_refused(path, "rock.00001.wav' is encrypted: unpack", tmp_path / "d")


@pytest.mark.parametrize("form", ARCHIVES)
@pytest.mark.parametrize(
  ("module", "limit", "value", "message"),
  [
    (unpack, "RATIO", 0.5, r"makes it [\d,]+ bytes, more than the"),
    (unpack, "LARGEST", 20_000, "more than the 20,000 accepted"),
    (file_tree, "MOST", 7, "is one of more than the 7 accepted"),
  ],
)
def test_absurd_sizes_are_refused(
  tmp_path, kaggle, form, monkeypatch, module, limit, value, message
):
  monkeypatch.setattr(unpack, "SMALL", 20_000)
  data_dir = tmp_path / "here" / "d"
  data_dir.mkdir(parents=True)
  opened(kaggle[form], data_dir=tmp_path)
  monkeypatch.setattr(module, limit, value)
  assert_refused(kaggle[form], message, data_dir)


@pytest.mark.parametrize("form", ["unpacked", "zip"])
def test_a_note_names_the_file_of_an_archive(tmp_path, capsys, form):
  errors._noted.clear()
  root = corpora.write_folder(tmp_path / "c", {"jazz": (1,), "rock": (1,)})
  file = root / "jazz" / "jazz.00000.wav"
  content = bytearray(file.read_bytes())
  content[40:44] = bytes(4)
  file.write_bytes(content)
  path = root if form == "unpacked" else corpora.pack(root, tmp_path / "a.zip")
  opened(path).tracks[0].read()
  where = f"{root}/" if form == "unpacked" else ""
  assert capsys.readouterr().err == (
    f"note: {where}jazz/jazz.00000.wav: its header gives 0 bytes of audio,"
    " but 44,100 follow: all are read\n"
  )


def tar_header(size, name="rock/a.wav", kind=tarfile.REGTYPE, more=0):
  info = tarfile.TarInfo(name)
  info.type, info.size = kind, size
  return info.tobuf(tarfile.GNU_FORMAT) + bytes(more)


def forged():
  """A zip that says 10 bytes where a megabyte comes out."""
  file = io.BytesIO()
  with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
    for genre in ("blues", "rock"):
      archive.writestr(f"{genre}/{genre}.00000.wav", bytes(2**20))
  return file.getvalue().replace(*(struct.pack("<I", x) for x in (2**20, 10)))


# Of a long name tarfile would read as many bytes as its header says.
LONG_NAMES = [
  tar_header(size, "././@LongLink", tarfile.GNUTYPE_LONGNAME, 2048)
  for size in (10**10, -(10**10))
]


@pytest.mark.parametrize(
  ("name", "data", "message"),
  [
    ("a.zip", forged(), "is damaged, .*Bad CRC-32.*: get it"),
    *(("a.tar", x, r"a header of -?[\d,]+ bytes") for x in LONG_NAMES),
    *(
      ("a.tar.gz", gzip.compress(x), r"a header of -?[\d,]+ bytes")
      for x in LONG_NAMES
    ),
    # They would make room for others in the sum of all; some releases of
    # Python refuse them first.
    ("a.tar", tar_header(-512, more=2**12), "has a negative size|is damaged"),
    ("page.tar.gz", b"<html>log in first</html>", "or no archive"),
    ("page.zip", b"<html>log in first</html>" * 100, "or no archive"),
    ("text.tgz", gzip.compress(b"no tar" * 1000), "or no archive"),
  ],
  ids=lambda x: x if isinstance(x, str) else "",  # gzip writes the time
)
def test_files_that_are_no_archives_or_worse(tmp_path, name, data, message):
  (tmp_path / name).write_bytes(data)
  assert_refused(tmp_path / name, message, tmp_path / "d")


def test_a_sparse_archive_counts_by_what_it_takes_on_the_disk(
  tmp_path, monkeypatch
):
  """A tar that is one big hole."""
  monkeypatch.setattr(unpack, "SMALL", 2**20)
  path = tmp_path / "a.tar"
  path.write_bytes(tar_header(2**26))
  os.truncate(path, 2**26 + 10_240)
  message = "makes it 67,108,864 bytes, more"
  assert_refused(path, message, tmp_path / "d")


def test_what_gzip_gives_behind_the_tar_is_counted(
  tmp_path, kaggle, monkeypatch
):
  monkeypatch.setattr(unpack, "RATIO", 2)
  monkeypatch.setattr(unpack, "SMALL", 2**18)
  path = tmp_path / "a.tar.gz"
  path.write_bytes(kaggle["tar.gz"].read_bytes() + gzip.compress(bytes(2**21)))
  assert_refused(path, r"more than [\d,]+ bytes in it", tmp_path / "d")


@pytest.mark.slow
@pytest.mark.parametrize("form", ["tar.gz", "tar", "zip"])
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


# Unpacking.


@pytest.fixture
def lone(tmp_path, kaggle, caplog):
  """A data folder of its own, and how often something was unpacked into it."""

  class Lone:
    dir = tmp_path / "d"
    path = kaggle["tar.gz"]
    wanted = opened(kaggle["zip"])

    def open(self):
      return opened(self.path, data_dir=self.dir)

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
    unpacked.with_name(".lock").open("w") as lock,
    futures.ThreadPoolExecutor(1) as pool,
  ):
    fcntl.flock(lock, fcntl.LOCK_EX)
    second = pool.submit(lone.open)
    with pytest.raises(futures.TimeoutError):
      second.result(timeout=0.5)
    assert f"another process unpacks into {unpacked.parent}: w" in caplog.text
    aside.rename(unpacked)  # what the other process does meanwhile
    fcntl.flock(lock, fcntl.LOCK_UN)
    assert second.result(timeout=20) == first
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
