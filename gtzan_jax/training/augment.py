"""Augmentation on the device: (key, batch) to batch, pure and jittable.

Three stages, each with one entry point, in the order of a training step:

- `on_audio`: gain, shift and noise on waveforms, before the features;
- `on_logmel`: gain and shift on stored log-mel in dB, in place of the above;
- `on_features`: SpecAugment and mixup on the model's input.

Strengths are Python numbers, known when the step is traced: 0 leaves an
augmentation out, and the output is exactly the input. Each example of a batch
has its own draw. Keys are folded by the augmentation's place in its stage, so
turning one off changes no other's draws.
"""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp

from gtzan_jax.errors import InputError


def shift(key: jax.Array, x: jax.Array, max_steps: int) -> jax.Array:
  """`x` `[b, time, ...]` rolled in time by up to `max_steps` either way.

  What leaves at one end enters at the other, so the values stay the same.
  """
  steps = jax.random.randint(key, (x.shape[0],), -max_steps, max_steps + 1)
  return jax.vmap(lambda row, step: jnp.roll(row, step, axis=0))(x, steps)


def noise(
  key: jax.Array,
  audio: jax.Array,
  probability: float,
  snr_db: tuple[float, float],
) -> jax.Array:
  """White noise added to a share of the waveforms `[b, n]`.

  The signal-to-noise ratio of each is uniform in `snr_db` (low, high) and
  exact: both powers are measured over the example. Silence stays silent.
  """
  kinds = [jax.random.fold_in(key, i) for i in range(3)]
  white = jax.random.normal(kinds[0], audio.shape)
  snr = _uniform(kinds[1], audio.shape[0], *snr_db)
  chosen = jax.random.bernoulli(kinds[2], probability, (audio.shape[0],))
  signal_power = jnp.mean(audio**2, axis=1)
  power = signal_power * 10.0 ** (-snr / 10.0) / jnp.mean(white**2, axis=1)
  scale = jnp.where(chosen, jnp.sqrt(power), 0.0)
  return audio + scale[:, None] * white


def mask(
  key: jax.Array,
  x: jax.Array,
  axis: int,
  count: int,
  width: float,
  fill: jax.Array,
) -> jax.Array:
  """SpecAugment's masks along one axis of `x` `[b, frames, bins]`.

  Each of `count` masks is 0 to `width` of the axis long (uniform over whole
  steps, the longest at least one step) and lies anywhere inside it; masks may
  overlap. Masked values become `fill`, which broadcasts against `x` by size-1
  axes. Park et al. 2019, with widths as fractions so that one recipe fits 258
  frames and 38 columns.
  """
  size = x.shape[axis]
  longest = max(1, round(width * size))
  shape = (x.shape[0], count)
  length_key, start_key = jax.random.fold_in(key, 0), jax.random.fold_in(key, 1)
  length = jax.random.randint(length_key, shape, 0, longest + 1)
  start = jax.random.randint(start_key, shape, 0, size - length + 1)
  place = jnp.arange(size)[None, None, :]
  inside = (place >= start[..., None]) & (place < (start + length)[..., None])
  inside = inside.any(axis=1)
  inside = inside[:, :, None] if axis == 1 else inside[:, None, :]
  return jnp.where(inside, fill, x)


def mixup(
  key: jax.Array, x: jax.Array, labels: jax.Array, alpha: float
) -> tuple[jax.Array, jax.Array]:
  """Convex combinations of pairs of examples and of their labels.

  Each example of `x` `[b, ...]` and `labels` `[b, num_classes]` (probabilities)
  is mixed with a random other one of the batch (or itself), with a share drawn
  from Beta(alpha, alpha). Zhang et al. 2018, one share an example.
  """
  share_key, pair_key = jax.random.fold_in(key, 0), jax.random.fold_in(key, 1)
  share = jax.random.beta(share_key, alpha, alpha, (x.shape[0],))
  pair = jax.random.permutation(pair_key, x.shape[0])

  def mix(values):
    wide = share.reshape(-1, *(1,) * (values.ndim - 1))
    return wide * values + (1.0 - wide) * values[pair]

  return mix(x), mix(labels)


def _uniform(key, size, low, high):
  return jax.random.uniform(key, (size,), minval=low, maxval=high)


def on_audio(
  key: jax.Array,
  audio: jax.Array,
  *,
  sample_rate: int,
  gain_db: float = 0.0,
  shift_s: float = 0.0,
  noise_probability: float = 0.0,
  noise_snr_db: tuple[float, float] = (10.0, 30.0),
) -> jax.Array:
  """Waveforms `[b, n]`, float in [-1, 1], augmented: noise, gain, shift.

  Samples may leave [-1, 1]: nothing is clipped, as features are computed next.

  Args:
    key: a key of this step.
    audio: `[b, n]`.
    sample_rate: Hz.
    gain_db: largest gain or loss, dB, of a uniform draw.
    shift_s: largest roll either way, seconds.
    noise_probability: share of the examples that get noise.
    noise_snr_db: range of their signal-to-noise ratio, dB.
  """
  if noise_probability:
    audio = noise(
      jax.random.fold_in(key, 0), audio, noise_probability, noise_snr_db
    )
  if gain_db:
    db = _uniform(jax.random.fold_in(key, 1), len(audio), -gain_db, gain_db)
    audio = audio * (10.0 ** (db / 20.0))[:, None]
  steps = round(shift_s * sample_rate)
  if steps:
    audio = shift(jax.random.fold_in(key, 2), audio, steps)
  return audio


def on_logmel(
  key: jax.Array,
  db: jax.Array,
  *,
  columns_per_second: float,
  gain_db: float = 0.0,
  shift_s: float = 0.0,
) -> jax.Array:
  """Stored log-mel `[b, columns, mels]` in dB, augmented: gain, shift.

  The arguments are those of `on_audio`, less the noise, which only a waveform
  can take (`check` refuses it); `columns_per_second` is the archive's rate.
  Equal to `on_audio` wherever the floor is relative to the maximum.
  """
  if gain_db:
    key_1 = jax.random.fold_in(key, 1)
    db = db + _uniform(key_1, len(db), -gain_db, gain_db)[:, None, None]
  steps = round(shift_s * columns_per_second)
  if steps:
    db = shift(jax.random.fold_in(key, 2), db, steps)
  return db


def on_features(
  key: jax.Array,
  x: jax.Array,
  labels: jax.Array,
  *,
  time_masks: int = 0,
  time_width: float = 0.0,
  bin_masks: int = 0,
  bin_width: float = 0.0,
  mixup_alpha: float = 0.0,
  fill: jax.Array | None = None,
) -> tuple[jax.Array, jax.Array]:
  """Features and labels, augmented: SpecAugment, mixup.

  Args:
    key: a key of this step.
    x: `[b, frames, bins]`; mixup takes any `[b, ...]`, `check` refuses masks.
    labels: `[b, num_classes]`, probabilities (one-hot).
    time_masks: number of masks in time.
    time_width: longest of them, as a fraction of the frames.
    bin_masks: number of masks in frequency.
    bin_width: longest of them, as a fraction of the bins.
    mixup_alpha: of Beta(alpha, alpha).
    fill: `[bins]`, what masked values become: the model's input mean, so that
      they are 0 after standardisation. None is each example's own mean.

  Returns:
    x and labels, shapes unchanged; labels still sum to 1.
  """
  masks = ((1, time_masks, time_width), (2, bin_masks, bin_width))
  for number, (axis, count, width) in enumerate(masks):
    if count and width:
      if fill is None:
        filling = x.mean((1, 2), keepdims=True)
      else:
        filling = fill[None, None, :]
      x = mask(jax.random.fold_in(key, number), x, axis, count, width, filling)
  if mixup_alpha:
    x, labels = mixup(jax.random.fold_in(key, 2), x, labels, mixup_alpha)
  return x, labels


def check(
  raw: str | None,
  example_shape: tuple[int, ...],
  strengths: Mapping[str, Any],
) -> None:
  """Refuses augmentations that such examples cannot carry.

  `raw` is what is stored beside the features, "audio", "logmel" or None;
  `strengths` is config.augment. Raises InputError, also for an SNR range from
  high to low.
  """
  low, high = strengths["noise_snr_db"]
  if low > high:
    raise InputError(
      f"config.augment.noise_snr_db={low, high}: give (low, high)"
    )
  refused: dict[str, str] = {}
  if raw is None:
    why = "acts before features are computed, but no raw array is stored"
    refused |= {"gain_db": why, "shift_s": why}
  if raw != "audio":
    refused["noise_probability"] = "acts on waveforms, which are not stored"
  if len(example_shape) != 2:
    why = f"masks frames or bins, but examples have shape {example_shape}"
    refused |= {"time_masks": why, "bin_masks": why}
  for name, why in refused.items():
    if strengths[name]:
      raise InputError(
        f"config.augment.{name}={strengths[name]} {why}: set it to 0"
      )
