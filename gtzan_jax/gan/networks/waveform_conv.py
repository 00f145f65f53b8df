"""A convolutional conditional GAN on waveforms, by way of their spectrum.

The generator makes magnitude and phase of a short-time Fourier transform and
inverts it (T. Kaneko et al., "iSTFTNet", arXiv:2203.02395), so that it
convolves few frames instead of many samples. A phase advances from frame to
frame by its bin's frequency plus the network's output, so that a steady tone is
a constant (J. Engel et al., "GANSynth", arXiv:1902.08710). The discriminator
gets log-mel spectrograms (as in W. Jang et al., "UnivNet", arXiv:2106.07889):
on samples it learns inaudible detail, and so does the generator.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from gtzan_jax.errors import InputError
from gtzan_jax.features import mel, stft
from gtzan_jax.gan.networks import grids
from gtzan_jax.gan.networks.base import Generator, Networks
from gtzan_jax.gan.networks.conv import ConvDiscriminator, latent

_OVERLAP = 4  # hops in a window
_HOP = 240  # of the generator's transform, 10.9 ms at 22,050 Hz
_MEL_FFT, _MEL_HOP, _N_MELS = 1024, 256, 64
_QUIET = 1e-5  # added to a band's power; 93 % of GTZAN's exceed three times it
_MEAN, _STD = -4.0, 3.5  # of its logarithm on GTZAN's clips, about


def overlap_add(windows: jax.Array) -> jax.Array:
  """Sums windows `[batch, frames, n_fft]` with a quarter of a window as hop.

  Gives `[batch, (frames - 3) * n_fft // 4]`: the samples in four windows.
  """
  batch, count, n_fft = windows.shape
  parts = windows.reshape(batch, count, _OVERLAP, n_fft // _OVERLAP)
  kept = count - _OVERLAP + 1
  total = sum(
    parts[:, _OVERLAP - 1 - i : _OVERLAP - 1 - i + kept, i]
    for i in range(_OVERLAP)
  )
  return total.reshape(batch, -1)


def synthesize(log_magnitude: jax.Array, phase: jax.Array) -> jax.Array:
  """Inverse short-time Fourier transform, Hann windows, a quarter as hop.

  Natural log magnitude and phase (radians, of the window's first sample),
  `[batch, frames, 1 + n_fft // 2]`, to `[batch, (frames - 3) * n_fft // 4]`.
  """
  n_fft = 2 * (log_magnitude.shape[-1] - 1)
  magnitude = jnp.exp(jnp.minimum(log_magnitude, 6.0))
  spectrum = jax.lax.complex(
    magnitude * jnp.cos(phase), magnitude * jnp.sin(phase)
  )
  window = stft.hann(n_fft) / 1.5  # four squared Hann windows sum to 1.5
  return overlap_add(jnp.fft.irfft(spectrum) * window[None, None])


def log_mel(audio: jax.Array, sample_rate: int) -> jax.Array:
  """`[batch, samples]` to log-mel `[batch, frames, 64]`, about standardised.

  Mean 0 and deviation 1 hold for music. A floor is added instead of clipping,
  for a gradient at silence.
  """
  power = stft.power(stft.frame(audio, _MEL_FFT, _MEL_HOP))
  level = jnp.log(mel.mel(power, sample_rate, _N_MELS) + _QUIET)
  return (level - _MEAN) / _STD


def _sizes(samples: int) -> list[tuple[int, ...]]:
  """Rows of frames, from those of the transform to a few."""
  frames = -(-samples // _HOP) + _OVERLAP - 1
  return grids.shrinking((frames,), 5, first=2)


class WaveformGenerator(Generator):
  """Noise and genre to frames, frames to a spectrum, its inverse.

  `texture` noise numbers for each two frames; `channels`: longest row first.
  """

  embedding: int
  texture: int
  channels: tuple[int, ...]

  @nn.compact
  def __call__(self, noise: jax.Array, label: jax.Array) -> jax.Array:
    (samples,) = self.example_shape
    sizes = _sizes(samples)
    (frames,), bins = sizes[0], 1 + _OVERLAP * _HOP // 2
    z = latent(
      noise,
      label,
      num_classes=self.num_classes,
      embedding=self.embedding,
      texture=self.texture * sizes[1][0],
    )
    x = grids.Rising(
      sizes, self.channels[1:], self.channels[0], kernel=5, name="frames"
    )(*z)
    y = nn.relu(nn.LayerNorm(name="norm")(x))
    x = x + nn.Conv(self.channels[0], (5,), name="conv")(y)
    y = nn.relu(nn.LayerNorm(name="head_norm")(x))
    level, change = jnp.split(nn.Dense(2 * bins, name="head")(y), 2, axis=-1)
    # The mean over GTZAN's clips is near this: it falls by 6 dB an octave.
    tilt = 1.5 - np.log1p(np.arange(bins, dtype=np.float32) / 8)
    # In quarters of a turn, exactly: bin k advances by k a hop.
    turns = np.outer(np.arange(frames), np.arange(bins)) % 4
    steady = (np.pi / 2 * turns).astype(np.float32)
    phase = steady[None] + jnp.cumsum(change, axis=1)
    audio = synthesize(level + tilt[None, None], phase)
    return jnp.tanh(audio[:, :samples])


def cgan_waveform_conv(
  num_classes: int,
  example_shape: tuple[int, ...],
  *,
  noise: int = 100,
  embedding: int = 32,
  texture: int = 16,
  channels: tuple[int, ...] = (128, 128, 192, 256),
  critic_channels: tuple[int, ...] = (32, 64, 128, 128),
  sample_rate: int = 22_050,
) -> Networks:
  """Networks for `[samples]`; a few million parameters at any length.

  The generator takes `noise` numbers and `texture` for each two frames.
  InputError for another shape or too few samples.
  """
  shortest = _HOP * _OVERLAP
  if len(example_shape) != 1 or example_shape[0] < shortest:
    raise InputError(
      f"cgan_waveform_conv takes waveforms [samples] of {shortest} or more,"
      f" not {list(example_shape)}"
    )
  return Networks(
    WaveformGenerator(
      num_classes,
      example_shape,
      noise + texture * _sizes(example_shape[0])[1][0],
      embedding,
      texture,
      channels,
    ),
    ConvDiscriminator(num_classes, critic_channels),
    functools.partial(log_mel, sample_rate=sample_rate),
  )
