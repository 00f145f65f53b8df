"""Frames and the power spectrogram, as librosa computes them."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from gtzan_jax.errors import InputError

_BLOCK = 3 << 15  # samples of the windows that a CPU's core treats at a time


def hann(n_fft: int) -> np.ndarray:
  """Periodic Hann window, float32 `[n_fft]` (scipy's `fftbins=True`)."""
  angle = 2 * np.pi * np.arange(n_fft) / n_fft
  return (0.5 - 0.5 * np.cos(angle)).astype(np.float32)


def frames(samples, n_fft: int, hop_length: int, center: bool):
  """Number of frames of a waveform of `samples` (an integer, also traced)."""
  edges = 2 * (n_fft // 2) if center else 0
  return 1 + (samples + edges - n_fft) // hop_length


def pad_last(x: jax.Array, before: int, after: int) -> jax.Array:
  """Zeros at the ends of the last axis."""
  return jnp.pad(x, [(0, 0)] * (x.ndim - 1) + [(before, after)])


def frame(
  audio: jax.Array, n_fft: int, hop_length: int, center: bool = True
) -> jax.Array:
  """Windows of a waveform, each times the Hann window.

  `[*batch, samples]` to `[*batch, frames, n_fft]`. `center` pads both edges
  with `n_fft // 2` zeros, so that frame t is centred on sample `t *
  hop_length`; otherwise it starts there. InputError for fewer samples than one
  window.
  """
  count = _count(audio, n_fft, hop_length, center)
  hops = _hops(audio, count, n_fft, hop_length, center)
  return _windows(hops, n_fft)


def _count(audio: jax.Array, n_fft: int, hop_length: int, center: bool) -> int:
  count = frames(audio.shape[-1], n_fft, hop_length, center)
  if count < 1:
    raise InputError(
      f"{audio.shape[-1]} samples are fewer than one window of {n_fft}"
    )
  return count


def _hops(
  audio: jax.Array, count: int, n_fft: int, hop_length: int, center: bool
) -> jax.Array:
  """Samples of the first `count` frames by hop: `[*batch, hops, hop_length]`.

  Zeros where there are fewer.
  """
  before = n_fft // 2 if center else 0
  hops = count - 1 + -(-n_fft // hop_length)
  audio = audio[..., : hops * hop_length - before]
  audio = pad_last(audio, before, hops * hop_length - before - audio.shape[-1])
  return audio.reshape(*audio.shape[:-1], hops, hop_length)


def _windows(hops: jax.Array, n_fft: int) -> jax.Array:
  """As `frame`, of windows that start with each of `[*batch, hops, hop]`."""
  hop_length = hops.shape[-1]
  steps = -(-n_fft // hop_length)
  count = hops.shape[-2] - steps + 1
  # Slices, since a gather takes twice as long, and far longer backwards.
  shifted = [hops[..., i : i + count, :] for i in range(steps)]
  windows = jnp.stack(shifted, -2)
  weights = np.zeros(steps * hop_length, np.float32)
  weights[:n_fft] = hann(n_fft)
  # Rank promotion is off in the tests.
  windows *= jnp.broadcast_to(weights.reshape(steps, -1), windows.shape)
  flat = windows.reshape(*windows.shape[:-2], steps * hop_length)
  return flat[..., :n_fft]


def map_frames(
  compute: Callable[[jax.Array], Any],
  audio: jax.Array,
  n_fft: int,
  hop_length: int,
  center: bool = True,
) -> Any:
  """Applies a function of frames to the frames of a waveform.

  A CPU gets blocks of frames, one after the other, that stay in its cache; not
  where a batch is split over several: the compiler would gather it.

  Args:
    compute: function of windows, float32 `[*batch, frames, n_fft]`, that treats
      each alone, to a pytree of arrays `[*batch, frames, ...]`.
    audio: float32 `[*batch, samples]`, then as in `frame`.

  Raises:
    InputError: fewer samples than one window.
  """
  count = _count(audio, n_fft, hop_length, center)
  blocks = max(1, round(count * n_fft / _BLOCK))
  in_turns = jax.default_backend() == "cpu" and blocks > 1 and audio.size
  if not in_turns or not jax.sharding.get_abstract_mesh().empty:
    return compute(frame(audio, n_fft, hop_length, center))
  size = 8 * -(-count // (8 * blocks))  # vectors of eight frames
  blocks = -(-count // size)
  batch = audio.shape[:-1]
  audio = audio.reshape(-1, audio.shape[-1])
  # Of one size, the last block ends with a few frames too many.
  hops = _hops(audio, blocks * size, n_fft, hop_length, center)
  shape = (1, size - 1 + -(-n_fft // hop_length), hop_length)

  def block(index: jax.Array) -> Any:
    start = (index // blocks, index % blocks * size, 0)
    return compute(
      _windows(jax.lax.dynamic_slice(hops, start, shape)[0], n_fft)
    )

  found = jax.lax.map(block, np.arange(len(audio) * blocks))

  def joined(x: jax.Array) -> jax.Array:
    x = x.reshape(-1, blocks * size, *x.shape[2:])[:, :count]
    return x.reshape(*batch, *x.shape[1:])

  return jax.tree.map(joined, found)


def power(windows: jax.Array) -> jax.Array:
  """Squared magnitude of the Fourier transform of windows.

  Float32 `[..., n_fft]` to `[..., 1 + n_fft // 2]`.
  """
  n_fft = windows.shape[-1]
  if jax.default_backend() != "cpu" or n_fft % 2:
    return squared(jnp.fft.rfft(windows))
  # Pairs of samples as complex numbers: on the CPU the complex transform of
  # half the length takes two thirds of the real one's time.
  packed = jnp.fft.fft(jax.lax.complex(windows[..., ::2], windows[..., 1::2]))
  half = n_fft // 2
  one, other = packed[..., 1:], packed[..., :0:-1]
  # Twice the transforms of the even samples, and of the odd ones times i.
  even = one.real + other.real, one.imag - other.imag
  odd = one.real - other.real, one.imag + other.imag
  turn = np.exp(-2j * np.pi * np.arange(1, half) / n_fft).astype(np.complex64)
  cos = jnp.broadcast_to(turn.real, even[0].shape)
  sin = jnp.broadcast_to(turn.imag, even[0].shape)
  real = even[0] + cos * odd[1] + sin * odd[0]
  imag = even[1] - cos * odd[0] + sin * odd[1]
  first = packed[..., :1]
  ends = (first.real + first.imag) ** 2, (first.real - first.imag) ** 2
  return jnp.concatenate([ends[0], (real**2 + imag**2) / 4, ends[1]], -1)


def squared(spectrum: jax.Array) -> jax.Array:
  """Squared magnitude, any shape."""
  return spectrum.real**2 + spectrum.imag**2
