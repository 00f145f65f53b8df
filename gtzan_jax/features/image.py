"""Spectrogram pictures: drawn from a log-mel, or read and resized.

A picture is float32 `[size, size, 3]` in 0..1, time to the right, low bands at
the bottom, as in Kaggle's `images_original` without their white margins.
"""

import contextlib
import functools
import os
from collections.abc import Iterator
from typing import BinaryIO

import jax
import jax.numpy as jnp
import numpy as np
from PIL import Image, UnidentifiedImageError

from gtzan_jax import errors, input_limits
from gtzan_jax.errors import InputError, StopError
from gtzan_jax.features import mel

# input_limits.LIMITS replaces Pillow's limit, which only warns at first.
Image.MAX_IMAGE_PIXELS = None
EXTENSIONS = (".png", ".jpg", ".jpeg")
_FORMATS = ("PNG", "JPEG")
_DEPTH = 24  # the byte of a PNG file that has the bits per channel
COLOUR_MAP = "magma"  # librosa.display.specshow's


@functools.lru_cache
def colours() -> np.ndarray:
  """The colour map's entries, float32 `[256, 3]` in 0..1, read-only."""
  import matplotlib  # only pictures need it

  table = matplotlib.colormaps[COLOUR_MAP](np.arange(256))[:, :3]
  table = table.astype(np.float32)
  table.flags.writeable = False
  return table


def render(
  db: jax.Array,
  size: int,
  top_db: float,
  frames: jax.Array | int | None = None,
) -> jax.Array:
  """Draws log-mel spectrograms.

  Args:
    db: float32 `[*batch, frames, mels]`, absolute dB.
    size: height and width of the picture.
    top_db: dB below the example's maximum that are drawn, black to brightest.
    frames: number of valid frames, the first ones; it may be traced, so that
      clips padded to one length share a compiled program. None: all.

  Returns:
    float32 `[*batch, size, size, 3]` in 0..1.
  """
  count = db.shape[-2] if frames is None else frames
  valid = (jnp.arange(db.shape[-2]) < count)[:, None]
  valid = jnp.broadcast_to(valid, db.shape)
  top = jnp.max(db, (-2, -1), keepdims=True, where=valid, initial=-jnp.inf)
  level = jnp.where(valid, jnp.clip(1 + (db - top) / top_db, 0, 1), 0)
  picture = _resize(level, size, count)
  upright = jnp.flip(jnp.swapaxes(picture, -1, -2), -2)
  # matplotlib's look-up: 256 equal steps, 1.0 in the last one.
  entry = jnp.minimum((upright * 256).astype(jnp.int32), 255)
  return jnp.asarray(colours())[entry]


class TransparentError(StopError):
  """A picture with transparent pixels, whose background is unknown."""


def read(path: str | os.PathLike) -> np.ndarray:
  """Decodes a PNG or a JPEG file to RGB, uint8 `[height, width, 3]`.

  An opaque alpha channel (Kaggle's pictures have one) is dropped.

  Raises:
    InputError: missing, empty, undecodable or truncated file, or PNG of 16 bits
      a channel.
    TransparentError: a transparent pixel.
  """
  name = errors.shown(path)
  with errors.reading(path):
    if not os.path.isfile(path):
      raise InputError(f"{name}: no such picture")
    with open(path, "rb") as file, _opened(file, name) as picture:
      rgba = np.asarray(picture.convert("RGBA"))
  if rgba[..., 3].min() < 255:
    raise TransparentError(
      f"{name}: transparent in places; accepted are pictures without an alpha"
      " channel, or with an opaque one"
    )
  return rgba[..., :3]


def size(file: BinaryIO, name: str) -> tuple[int, int]:
  """Width and height of an opened picture from its header; raises as `read`."""
  with errors.reading(name), _opened(file, errors.shown(name)) as picture:
    return picture.size


@contextlib.contextmanager
def _opened(file: BinaryIO, name: str) -> Iterator[Image.Image]:
  header = file.read(_DEPTH + 1)
  if not header:
    raise InputError(f"{name}: empty file (0 bytes)")
  file.seek(0)
  try:
    with Image.open(file, formats=_FORMATS) as picture:
      pixels = picture.width * picture.height / 1e6
      input_limits.check_limit(
        "MEGAPIXELS",
        pixels,
        f"{name}: {picture.width:,} x {picture.height:,} pixels,"
        f" {pixels:,.0f} million",
      )
      if picture.format == "PNG" and header[_DEPTH] > 8:
        # Pillow would reduce colour to 8 bits and leave grey.
        raise InputError(
          f"{name}: {header[_DEPTH]} bits a channel received; accepted are 8"
        )
      yield picture
  except InputError:
    raise
  except UnidentifiedImageError as error:
    raise InputError(f"{name}: not decodable as PNG or JPEG") from error
  except MemoryError:
    raise
  except Exception as error:  # Pillow raises anything at damage
    raise InputError(f"{name}: not decodable as a picture ({error})") from error


@functools.partial(jax.jit, static_argnums=1)
def from_picture(rgb: np.ndarray | jax.Array, size: int) -> jax.Array:
  """Resizes linearly with antialiasing.

  uint8 `[height, width, 3]` to float32 `[size, size, 3]` in 0..1.
  """
  channels = jnp.moveaxis(jnp.asarray(rgb, jnp.float32) / 255, -1, 0)
  return jnp.moveaxis(_resize(channels, size, rgb.shape[0]), 0, -1)


def _resize(image: jax.Array, size: int, rows: jax.Array | int) -> jax.Array:
  """`[*batch, h, w]` to `[*batch, size, size]`; only the first `rows` count."""
  down = _weights(image.shape[-2], rows, size)
  across = _weights(image.shape[-1], image.shape[-1], size)
  return mel.exact_product(mel.exact_product(down, image), across.T)


def _weights(length: int, used: jax.Array | int, size: int) -> jax.Array:
  """Linear resampling of the first `used` samples: float32 `[size, length]`.

  The triangle is wider where the picture shrinks (antialiasing) and its weights
  sum to 1 at the edges too: Pillow's BILINEAR, jax.image.resize.
  """
  step = used / size
  centre = (jnp.arange(size, dtype=jnp.float32) + 0.5) * step - 0.5
  sample = jnp.arange(length, dtype=jnp.float32)
  away = jnp.abs(centre[:, None] - sample[None, :]) / jnp.maximum(step, 1.0)
  weight = jnp.maximum(0, 1 - away) * (sample[None, :] < used)
  return weight / weight.sum(1, keepdims=True)
