"""A convolutional conditional GAN on waveforms, by way of their spectrum.

The generator makes magnitude and phase of a short-time Fourier transform and
inverts it (T. Kaneko et al., "iSTFTNet", arXiv:2203.02395), so that few frames
are convolved in place of many samples. A phase advances from frame to frame by
that of its bin's frequency and what the network adds to it: a steady tone is
then a constant (J. Engel et al., "GANSynth", arXiv:1902.08710). Waveforms are
judged twice, as samples and as a log-mel spectrogram; the scores are added.
"""

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from gtzan_jax.errors import InputError
from gtzan_jax.features import mel, stft
from gtzan_jax.gans import grids
from gtzan_jax.gans.base import Discriminator, Generator, Networks
from gtzan_jax.gans.conv import latent

_OVERLAP = 4  # hops in a window
_HOP = 240  # of the generator's transform, 10.9 ms at 22,050 Hz
_MEL_FFT, _MEL_HOP, _N_MELS = 1024, 256, 64
_QUIET = 1e-2  # added to a band's power: about 70 dB below a full-scale tone


def overlap_add(windows: jax.Array) -> jax.Array:
  """Sums windows that start a quarter of a window after each other.

  Args:
    windows: `[batch, frames, n_fft]`, `n_fft` a multiple of 4.

  Returns:
    `[batch, (frames - 3) * n_fft // 4]`: the samples that lie in four windows.
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

  Args:
    log_magnitude: `[batch, frames, 1 + n_fft // 2]`, natural logarithm.
    phase: the same shape, in radians, of the window's first sample.

  Returns:
    `[batch, (frames - 3) * n_fft // 4]`.
  """
  n_fft = 2 * (log_magnitude.shape[-1] - 1)
  magnitude = jnp.exp(jnp.minimum(log_magnitude, 6.0))
  spectrum = jax.lax.complex(
    magnitude * jnp.cos(phase), magnitude * jnp.sin(phase)
  )
  window = stft.hann(n_fft) / 1.5  # four squared Hann windows sum to 1.5
  return overlap_add(jnp.fft.irfft(spectrum) * window[None, None])


def log_mel(audio: jax.Array, sample_rate: int) -> jax.Array:
  """Log-mel spectrogram of about zero mean and unit deviation on music.

  The quietest power is added, not cut off: it has a gradient at silence.

  Args:
    audio: float32 `[batch, samples]`.

  Returns:
    float32 `[batch, frames, 64]`.
  """
  power = stft.power(stft.frame(audio, _MEL_FFT, _MEL_HOP))
  return jnp.log(mel.mel(power, sample_rate, _N_MELS) + _QUIET) / 3


def _sizes(samples: int) -> list[tuple[int, ...]]:
  """Rows of frames, from those of the transform to a few."""
  frames = -(-samples // _HOP) + _OVERLAP - 1
  return grids.shrinking((frames,), 5, first=2)


class WaveformGenerator(Generator):
  """Noise and genre to frames, frames to a spectrum, its inverse.

  Attributes:
    embedding: numbers that stand for a genre.
    texture: numbers of noise for each two frames.
    channels: of each row of frames, the longest first.
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


class WaveformDiscriminator(Discriminator):
  """The sum of two scores: of the samples and of their log-mel spectrogram.

  Attributes:
    channels: of the rows that the samples shrink to, by a fourth each.
    mel_channels: of the grids of the spectrogram, the largest first.
    sample_rate: Hz.
  """

  channels: tuple[int, ...]
  mel_channels: tuple[int, ...]
  sample_rate: int

  @nn.compact
  def __call__(self, x: jax.Array, label: jax.Array) -> jax.Array:
    sizes = grids.shrinking(x.shape[1:], 20, first=16, then=4)
    heard = grids.Falling(sizes, self.channels, kernel=5, name="samples")(
      x[..., None]
    )
    seen = log_mel(x, self.sample_rate)
    sizes = grids.shrinking(seen.shape[1:], 5, first=4)
    seen = grids.Falling(sizes, self.mel_channels, name="mel")(seen[..., None])
    return sum(
      grids.Projection(self.num_classes, name=f"project_{name}")(part, label)
      for name, part in (("samples", heard), ("mel", seen))
    )


def cgan_waveform_conv(
  num_classes: int,
  example_shape: tuple[int, ...],
  *,
  noise: int = 100,
  embedding: int = 32,
  texture: int = 16,
  channels: tuple[int, ...] = (128, 128, 192, 256),
  critic_channels: tuple[int, ...] = (16, 64, 128, 128),
  mel_channels: tuple[int, ...] = (32, 64, 128, 128),
  sample_rate: int = 22_050,
) -> Networks:
  """Networks for `[samples]`; a few million parameters at any length.

  The generator takes `noise` numbers for the whole and `texture` for each two
  frames of its transform.

  Raises:
    InputError: examples of another kind, or too short.
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
    WaveformDiscriminator(
      num_classes, critic_channels, mel_channels, sample_rate
    ),
  )
