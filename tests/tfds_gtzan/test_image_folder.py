"""Folders of pictures as a corpus, and prepared."""

import corpora
import numpy as np
import pytest
from corpora import opened
from PIL import Image

import tfds_gtzan
from gtzan_jax.features import image

PAIR = {"blues": 2, "rock": 1}


def repaint(file, size=(48, 32)) -> None:
  rgb = np.random.default_rng(9).integers(0, 256, (*size[::-1], 3), np.uint8)
  Image.fromarray(rgb).save(file)


# The corpus.


@pytest.mark.parametrize("below", ["", "images_original"])
def test_a_folder_of_pictures_is_a_corpus(tmp_path, below):
  root = corpora.write_pictures(tmp_path / "here" / below, PAIR)
  (tmp_path / "here" / "features_30_sec.csv").write_text("filename\n")
  (root / "blues" / ".DS_Store").write_bytes(b"x")
  corpus = opened(tmp_path / "here")
  assert (corpus.name, corpus.kind) == ("images", "picture")
  assert corpus.genres == ("blues", "rock")
  names = [track.id for track in corpus.tracks]
  assert names == ["blues.00000", "blues.00001", "rock.00000"]
  assert corpus.tracks[0].artist == "John Lee Hooker"
  assert corpus.tracks[0].partition == "validation"
  plain = corpora.write_pictures(tmp_path / "plain", PAIR)
  assert corpus.fingerprint == opened(plain).fingerprint
  repaint(root / "rock" / "rock00000.png")
  assert opened(tmp_path / "here").fingerprint != corpus.fingerprint


@pytest.mark.parametrize(
  ("pictures", "sound"),
  [
    ("images_original/{0}/{0}00000.png", "genres_original/{0}/{0}.00000.wav"),
    ("{0}/cover.png", "{0}/{0}.00000.wav"),
  ],
)
def test_beside_sound_pictures_are_their_own_corpus_or_covers(
  tmp_path, pictures, sound
):
  genres = ("blues", "rock")
  names = [form.format(x) for form in (pictures, sound) for x in genres]
  corpora.write_names(tmp_path, names)
  assert opened(tmp_path).name == "audio"
  if "images_original" in pictures:
    assert opened(tmp_path / "images_original").name == "images"


def test_pictures_of_several_sizes_are_refused(tmp_path):
  root = corpora.write_pictures(tmp_path, PAIR)
  repaint(root / "rock" / "rock00000.png", (6, 8))
  corpora.refused(
    root,
    r"pictures of 2 sizes: blues00000.png is 48 x 32, rock00000.png is 6 x 8"
    r" \(1 such\); make them one size",
  )


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize("ext", ["jpg", "JPEG"])
def test_jpegs_are_read_as_torchvision_reads_them(tmp_path, mode, ext):
  root = corpora.write_pictures(tmp_path / "c", {"blues": 2, "rock": 2})
  for file in list(root.rglob("*.png")):
    with Image.open(file) as picture:
      picture.convert("RGB").convert(mode).save(file.with_suffix(f".{ext}"))
    file.unlink()
  corpus = opened(root)
  assert corpus.tracks[0].id == "blues.00000"
  with Image.open(root / "blues" / f"blues00000.{ext}") as picture:
    wanted = np.asarray(picture.convert("RGB"))
  np.testing.assert_array_equal(corpus.tracks[0].read().rgb, wanted)


def test_pictures_of_other_names(tmp_path):
  root = corpora.write_pictures(tmp_path / "c", PAIR)
  for file in root.rglob("*.png"):
    file.rename(file.with_stem(f"{file.stem[:-5]}.{file.stem[-5:]}"))
  corpus = opened(root)  # as sound is named: GTZAN's still
  assert corpus.tracks[0].artist == "John Lee Hooker"
  for file in sorted(root.rglob("*.png")):
    (file.parent / "deep").mkdir(exist_ok=True)
    file.rename(file.parent / "deep" / f"a-{file.name}")
  corpus = opened(root)
  assert (corpus.name, corpus.genres) == ("images", ("blues", "rock"))
  assert corpus.tracks[2].id == "rock/deep/a-rock.00000"
  assert corpus.tracks[2].read().rgb.shape == (32, 48, 3)


# Prepared.


def prepare(root, tmp_path):
  return tfds_gtzan.prepare(
    str(root), "image_180", tmp_path / "d", progress=False
  )


def test_pictures_are_prepared_one_a_track(tmp_path):
  root = corpora.write_pictures(tmp_path / "c", {"blues": 11, "rock": 11})
  (root / "rock" / "rock00003.png").write_bytes(b"no picture")
  done = prepare(root, tmp_path)
  assert done.corpus == done.source == "images"
  assert done.kind == "picture"
  (skipped,) = done.skipped
  assert skipped["track"] == "rock.00003"
  assert skipped["reason"] == "rock00003.png: not decodable as PNG or JPEG"
  assert {row.segments for row in done.rows} == {1}
  assert set(done.example) & {"picture", "logmel", "audio"} == set()
  assert done.example["features"] == ((180, 180, 3), "float32")
  for row, record in corpora.records(done):
    name = row.id.replace(".", "")
    rgb = image.read(root / row.genre / f"{name}.png")
    np.testing.assert_array_equal(
      record["features"], image.from_picture(rgb, 180)
    )


def test_one_transparent_picture_stops_preparing(tmp_path):
  root = corpora.write_pictures(tmp_path / "c", {"blues": 21, "rock": 21})
  file = root / "blues" / "blues00007.png"
  with Image.open(file) as picture:
    picture.putalpha(0)
    picture.save(file)
  with pytest.raises(
    image.TransparentError, match=r"^blues00007\.png: transparent"
  ):
    prepare(root, tmp_path)
