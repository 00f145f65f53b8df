"""Spectrogram pictures: drawn and read."""

import colorsys
import struct
import zlib

import jax
import jax.numpy as jnp
import matplotlib
import numpy as np
import pytest
from PIL import Image

import tfds_gtzan
from gtzan_jax import features
from gtzan_jax.errors import InputError
from gtzan_jax.features import image, whole_clip

TOP_DB = 80.0
draw = jax.jit(image.render, static_argnums=(1, 2))


def logmel(frames: int, mels: int = 128) -> np.ndarray:
  """A spectrogram with slopes, so that interpolation shows."""
  rng = np.random.default_rng(frames)
  slope = np.add.outer(np.linspace(0, 9, frames), np.linspace(0, -60, mels))
  return (slope + rng.normal(0, 3, (frames, mels))).astype(np.float32)


# Drawn.


def drawn_by_others(db: np.ndarray, size: int) -> np.ndarray:
  """The same picture by jax.image and matplotlib."""
  level = np.clip((db - db.max() + TOP_DB) / TOP_DB, 0, 1)
  level = jax.image.resize(level, (size, size), "linear", antialias=True)
  return matplotlib.colormaps[image.COLOUR_MAP](np.asarray(level).T[::-1])


@pytest.mark.parametrize(("frames", "size"), [(50, 80), (387, 180)])
def test_a_picture_is_what_others_draw(frames, size):
  db = logmel(frames)
  picture = draw(db, size, TOP_DB)
  assert picture.shape == (size, size, 3)
  assert picture.dtype == jnp.float32
  wanted = drawn_by_others(db, size)[..., :3]
  # One step of the colour map where rounding falls to the other side.
  assert np.abs(picture - wanted).max() < 0.02
  assert np.mean(np.abs(picture - wanted) > 1e-6) < 0.01


def test_time_runs_to_the_right_and_low_bands_lie_at_the_bottom():
  db = np.full((200, 128), -90, np.float32)
  db[150:, :20] = 0  # late and low
  light = np.asarray(draw(db, 100, TOP_DB)).sum(-1)
  assert light[90, 90] > 2.5
  darkest = image.colours()[0].sum()
  assert light[90, 10] == light[10, 90] == light[10, 10] == darkest


def test_lightness_rises_with_level_from_the_floor_to_the_maximum():
  db = np.repeat(np.linspace(-100, 0, 101, dtype=np.float32)[:, None], 8, 1)
  light = np.asarray(draw(db, 101, TOP_DB))[50]
  light = np.array([colorsys.rgb_to_hls(*rgb)[1] for rgb in light])
  assert (light[:20] == light[0]).all()  # more than 80 dB down
  assert light[24] > light[0]
  assert (np.diff(light[22:]) >= 0).all()
  colours = matplotlib.colormaps[image.COLOUR_MAP].colors
  np.testing.assert_allclose(image.colours(), colours, atol=1e-6)


def test_levels_are_the_examples_own_alone_and_in_a_batch():
  loud, quiet = logmel(100), logmel(100)[::-1] - 40
  both = draw(np.stack([loud, quiet]), 40, TOP_DB)
  for db, picture in zip((loud, quiet), both, strict=True):
    alone = draw(db, 40, TOP_DB)
    np.testing.assert_allclose(picture, alone, atol=1e-6)
    louder = draw(db + 7, 40, TOP_DB)
    assert np.mean(np.abs(louder - alone) > 1e-6) < 0.01


@pytest.mark.slow
def test_frames_beyond_the_end_play_no_part_and_compile_nothing():
  before = draw._cache_size()
  for frames in (256, 200, 131, 3):
    db = logmel(frames)
    padded = np.pad(db, ((0, 256 - frames), (0, 0)), constant_values=50)
    picture = draw(padded, 40, TOP_DB, frames)
    alone = drawn_by_others(db, 40)[..., :3]
    np.testing.assert_allclose(picture, alone, atol=0.02)
    assert np.mean(np.abs(picture - alone) > 1e-6) < 0.01
  assert draw._cache_size() == before + 1


@pytest.mark.slow
@pytest.mark.parametrize("seconds", [0.05, 2.0, 7.3])
def test_a_clip_is_drawn_as_extract_draws_it(seconds):
  rng = np.random.default_rng(0)
  samples = rng.uniform(-0.5, 0.5, round(seconds * 22_050)).astype(np.float32)
  spec = features.get("image_180")
  (picture,) = whole_clip.from_audio(samples, spec)
  assert picture.shape == whole_clip.shape(spec) == (180, 180, 3)
  wanted = features.extract(samples, spec)
  assert np.mean(np.abs(picture - wanted) > 0.02) < 0.001


def test_an_archives_track_is_drawn_as_from_logmel_draws_it():
  db, spec = logmel(300), features.get("image_180")
  (stored,) = whole_clip.from_logmel(db, spec)
  drawn = features.from_logmel(db, spec)
  assert np.mean(np.abs(stored - drawn) > 0.02) < 0.001


def test_the_archive_and_the_audio_show_the_same(gtzan_data):
  spec = features.get("image_180")
  audio_ = tfds_gtzan.open_corpus(str(gtzan_data / "gtzan"))
  archive_ = tfds_gtzan.open_corpus(str(gtzan_data / "gtzan_logmel.npz"))
  stored = {track.id: track for track in archive_.tracks}
  for name in ("blues.00000", "classical.00000", "metal.00000"):  # full 30 s
    track = next(track for track in audio_.tracks if track.id == name)
    drawn = whole_clip.from_audio(track.read().samples, spec)
    kept = whole_clip.from_logmel(stored[name].read().db, spec)
    light = np.corrcoef(drawn.sum(-1).ravel(), kept.sum(-1).ravel())[0, 1]
    assert light > 0.9


# Read.


@pytest.mark.parametrize("shape", [(288, 432), (50, 70), (180, 180)])
def test_a_picture_is_made_one_size_as_pillow_makes_it(shape):
  rng = np.random.default_rng(0)
  rgb = rng.integers(0, 256, (*shape, 3), np.uint8)
  made = image.from_picture(rgb, 180)
  assert made.shape == (180, 180, 3)
  assert made.dtype == jnp.float32
  pillow = Image.fromarray(rgb).resize((180, 180), Image.Resampling.BILINEAR)
  # Pillow rounds to 8 bits after each of its two passes.
  np.testing.assert_allclose(made, np.asarray(pillow) / 255, atol=1.1 / 255)


def noise(mode: str) -> Image.Image:
  rng = np.random.default_rng(0)
  rgb = Image.fromarray(rng.integers(0, 256, (8, 6, 3), np.uint8))
  return rgb.convert("P", palette=1) if mode == "P" else rgb.convert(mode)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "LA", "P", "1"])
def test_opaque_pictures_of_any_mode_are_read_as_torchvision_reads_them(
  tmp_path, mode
):
  noise(mode).save(tmp_path / "a.png")
  found = image.read(tmp_path / "a.png")
  assert found.dtype == np.uint8
  with Image.open(tmp_path / "a.png") as picture:
    np.testing.assert_array_equal(found, np.asarray(picture.convert("RGB")))
  with (tmp_path / "a.png").open("rb") as file:
    assert image.size(file, "a.png") == (6, 8)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P", "RGB"])
def test_transparency_is_refused(tmp_path, mode):
  picture, options = noise(mode), {}
  if mode in ("RGBA", "LA"):
    alpha = Image.new("L", picture.size, 255)
    alpha.putpixel((0, 0), 254)
    picture.putalpha(alpha)
  else:  # one colour, in tRNS
    options = {"transparency": picture.getpixel((0, 0))}
  picture.save(tmp_path / "a.png", **options)
  with pytest.raises(image.TransparentError, match="transparent in places"):
    image.read(tmp_path / "a.png")


def chunk(kind, data):
  """A part of a PNG file."""
  checksum = zlib.crc32(kind + data)
  return struct.pack(">I", len(data)) + kind + data + checksum.to_bytes(4)


def ztxt(size):
  """A comment, packed, that is longer than Pillow takes."""
  return chunk(b"zTXt", b"k\0\0" + zlib.compress(b"x" * size))


def write_deep_colour(path):
  """RGB of 16 bits, which Pillow reads cut down to 8 and does not write."""
  path.write_bytes(
    b"\x89PNG\r\n\x1a\n"
    + chunk(b"IHDR", struct.pack(">IIBBBBB", 6, 8, 16, 2, 0, 0, 0))
    + chunk(b"IDAT", zlib.compress(8 * (b"\0" + 6 * b"\1\2\3\4\5\6")))
    + chunk(b"IEND", b"")
  )
  with Image.open(path) as picture:
    assert np.asarray(picture).shape == (8, 6, 3)


def test_pictures_that_cannot_be_read(tmp_path):
  noise("RGB").save(tmp_path / "whole.png")
  noise("RGB").save(tmp_path / "whole.jpg")
  data = (tmp_path / "whole.png").read_bytes()
  noise("RGB").save(tmp_path / "gif.png", format="GIF")
  grey = Image.fromarray(np.arange(48, dtype=np.uint16).reshape(6, 8))
  grey.save(tmp_path / "deep.png")
  write_deep_colour(tmp_path / "deep_colour.png")
  broken = bytearray(data)
  broken[60] ^= 255
  damaged = "not decodable"
  deep = "16 bits a channel received; accepted are 8"
  for name, content, reason in (
    ("cut.png", data[:80], damaged),
    ("broken.png", bytes(broken), damaged),
    ("text.png", b"no picture", damaged),
    ("text_of_2_mb.png", data[:33] + ztxt(2_000_000) + data[33:], damaged),
    ("cut.jpg", (tmp_path / "whole.jpg").read_bytes()[:-40], damaged),
    ("empty.png", b"", "0 bytes"),
    ("gif.png", None, "not decodable as PNG or JPEG"),
    ("deep.png", None, deep),
    ("deep_colour.png", None, deep),
    ("gone.png", None, "no such picture"),
  ):
    if content is not None:
      (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=rf"{name}.*{reason}") as caught:
      image.read(tmp_path / name)
    assert "\n" not in str(caught.value)
    assert not isinstance(caught.value, image.TransparentError)


def test_a_picture_may_have_so_many_pixels_and_no_more(tmp_path, monkeypatch):
  """By its header: nothing is decoded. Pillow alone would only warn."""
  head = struct.pack(">4sIIBBBBB", b"IHDR", 12_000, 10_000, 8, 2, 0, 0, 0)
  (tmp_path / "a.png").write_bytes(
    b"\x89PNG\r\n\x1a\n\0\0\0\r"
    + head
    + struct.pack(">I", zlib.crc32(head))
    + b"\0\0\0\0IDAT"
    + struct.pack(">I", zlib.crc32(b"IDAT"))
  )
  with pytest.raises(
    InputError, match=r"a.png: 12,000 x 10,000 pixels, 120 mi"
  ):
    image.read(tmp_path / "a.png")
  with (
    (tmp_path / "a.png").open("rb") as file,
    pytest.raises(
      InputError, match="accepted are 64, or what GTZAN_JAX_MAX_ME"
    ),
  ):
    image.size(file, "a.png")
  Image.new("RGB", (200, 100)).save(tmp_path / "b.png")
  assert image.read(tmp_path / "b.png").shape == (100, 200, 3)
  monkeypatch.setenv("GTZAN_JAX_MAX_MEGAPIXELS", "0.019")
  with pytest.raises(InputError, match="200 x 100 pixels"):
    image.read(tmp_path / "b.png")
