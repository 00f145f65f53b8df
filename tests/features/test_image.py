"""Spectrogram pictures: drawn and read."""

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
SPEC = features.get("image_180")
draw = jax.jit(image.render, static_argnums=(1, 2))


def logmel(frames: int, mels: int = 128) -> np.ndarray:
  """A spectrogram with slopes, so that interpolation shows."""
  rng = np.random.default_rng(frames)
  slope = np.add.outer(np.linspace(0, 9, frames), np.linspace(0, -60, mels))
  return (slope + rng.normal(0, 3, (frames, mels))).astype(np.float32)


# Drawn.


def check_same(picture, wanted):
  """But for a step of the colour map where rounding falls to the other side."""
  difference = np.abs(picture - wanted)
  assert difference.max() < 0.02
  assert np.mean(difference > 1e-6) < 0.01


@pytest.mark.slow
@pytest.mark.parametrize(
  ("frames", "size"), [((50,), 80), ((387,), 180), ((256, 200, 131, 3), 40)]
)
def test_a_picture_is_what_others_draw(frames, size):
  """jax.image and matplotlib; frames beyond the end compile nothing new."""
  before = draw._cache_size()
  for count in frames:
    db = logmel(count)
    padding = ((0, frames[0] - count), (0, 0))
    padded = np.pad(db, padding, constant_values=50)
    picture = draw(padded, size, TOP_DB, count)
    assert picture.shape == (size, size, 3)
    assert picture.dtype == jnp.float32
    level = np.clip((db - db.max() + TOP_DB) / TOP_DB, 0, 1)
    level = jax.image.resize(level, (size, size), "linear", antialias=True)
    colours = matplotlib.colormaps[image.COLOUR_MAP]
    check_same(picture, colours(np.asarray(level).T[::-1])[..., :3])
  assert draw._cache_size() == before + 1


def test_levels_are_the_examples_own_alone_and_in_a_batch():
  loud, quiet = logmel(100), logmel(100)[::-1] - 40
  both = draw(np.stack([loud, quiet]), 40, TOP_DB)
  for db, picture in zip((loud, quiet), both, strict=True):
    alone = draw(db, 40, TOP_DB)
    np.testing.assert_allclose(picture, alone, atol=1e-6)
    louder = draw(db + 7, 40, TOP_DB)
    assert np.mean(np.abs(louder - alone) > 1e-6) < 0.01


@pytest.mark.slow
@pytest.mark.parametrize("seconds", [0.05, 2.0, 7.3])
def test_a_clip_is_drawn_as_extract_draws_it(seconds):
  rng = np.random.default_rng(0)
  samples = rng.uniform(-0.5, 0.5, round(seconds * 22_050)).astype(np.float32)
  (picture,) = whole_clip.from_audio(samples, SPEC)
  assert picture.shape == whole_clip.shape(SPEC) == (180, 180, 3)
  wanted = features.extract(samples, SPEC)
  assert np.mean(np.abs(picture - wanted) > 0.02) < 0.001


def test_an_archives_track_is_drawn_as_from_logmel_draws_it():
  db = logmel(300)
  (stored,) = whole_clip.from_logmel(db, SPEC)
  drawn = features.from_logmel(db, SPEC)
  assert np.mean(np.abs(stored - drawn) > 0.02) < 0.001


def test_the_archive_and_the_audio_show_the_same(gtzan_data):
  audio, archive = (
    {
      track.id: track
      for track in tfds_gtzan.open_corpus(str(gtzan_data / name)).tracks
    }
    for name in ("gtzan", "gtzan_logmel.npz")
  )
  for name in ("blues.00000", "classical.00000", "metal.00000"):  # full 30 s
    drawn = whole_clip.from_audio(audio[name].read().samples, SPEC)
    kept = whole_clip.from_logmel(archive[name].read().db, SPEC)
    light = np.corrcoef(drawn.sum(-1).ravel(), kept.sum(-1).ravel())[0, 1]
    assert light > 0.9


# Read.


@pytest.mark.parametrize("shape", [(288, 432), (50, 70), (180, 180)])
def test_a_picture_is_made_one_size_as_pillow_makes_it(shape):
  rng = np.random.default_rng(0)
  rgb = rng.integers(0, 256, (*shape, 3), np.uint8)
  resized = image.from_picture(rgb, 180)
  assert resized.shape == (180, 180, 3)
  assert resized.dtype == jnp.float32
  pillow = Image.fromarray(rgb).resize((180, 180), Image.Resampling.BILINEAR)
  # Pillow rounds to 8 bits after each of its two passes.
  np.testing.assert_allclose(resized, np.asarray(pillow) / 255, atol=1.1 / 255)


def noise(mode: str) -> Image.Image:
  rng = np.random.default_rng(0)
  rgb = Image.fromarray(rng.integers(0, 256, (8, 6, 3), np.uint8))
  return rgb.convert("P", palette=1) if mode == "P" else rgb.convert(mode)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "LA", "P", "1"])
def test_opaque_pictures_of_any_mode_are_read_as_torchvision_reads_them(
  tmp_path, mode
):
  noise(mode).save(tmp_path / "a.png")
  rgb = image.read(tmp_path / "a.png")
  assert rgb.dtype == np.uint8
  with Image.open(tmp_path / "a.png") as picture:
    np.testing.assert_array_equal(rgb, np.asarray(picture.convert("RGB")))
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


def png(width, height, depth, *chunks):
  """A PNG file of RGB."""
  header = struct.pack(">IIBBBBB", width, height, depth, 2, 0, 0, 0)
  return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + b"".join(chunks)


def test_pictures_that_cannot_be_read(tmp_path):
  noise("RGB").save(tmp_path / "whole.png")
  noise("RGB").save(tmp_path / "whole.jpg")
  data = (tmp_path / "whole.png").read_bytes()
  noise("RGB").save(tmp_path / "gif.png", format="GIF")
  grey = Image.fromarray(np.arange(48, dtype=np.uint16).reshape(6, 8))
  grey.save(tmp_path / "deep.png")
  broken = bytearray(data)
  broken[60] ^= 255
  # Pillow reads colours of 16 bits cut down to 8 and does not write them.
  colours = zlib.compress(8 * (b"\0" + 6 * b"\1\2\3\4\5\6"))
  deep_colour = png(6, 8, 16, chunk(b"IDAT", colours), chunk(b"IEND", b""))
  # A comment, packed, that is longer than Pillow takes.
  long = chunk(b"zTXt", b"k\0\0" + zlib.compress(b"x" * 2_000_000))
  damaged = "not decodable"
  deep = "16 bits a channel received; accepted are 8"
  for name, content, reason in (
    ("cut.png", data[:80], damaged),
    ("broken.png", bytes(broken), damaged),
    ("text.png", b"no picture", damaged),
    ("text_of_2_mb.png", data[:33] + long + data[33:], damaged),
    ("cut.jpg", (tmp_path / "whole.jpg").read_bytes()[:-40], damaged),
    ("empty.png", b"", "0 bytes"),
    ("gif.png", None, "not decodable as PNG or JPEG"),
    ("deep.png", None, deep),
    ("deep_colour.png", deep_colour, deep),
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
  content = png(12_000, 10_000, 8, chunk(b"IDAT", b""))
  (tmp_path / "a.png").write_bytes(content)
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
