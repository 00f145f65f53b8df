"""Augmentation: never a no-op, identity at zero, analytic properties."""

import contextlib
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from configs import default
from gtzan_jax import features
from gtzan_jax.errors import InputError
from gtzan_jax.training import augment

KEY = jax.random.key(7)
RATE = 22_050
AUDIO = 0.1 * jax.random.normal(jax.random.key(1), (8, 4_410))
LOGMEL = 10.0 * jax.random.normal(jax.random.key(2), (8, 38, 16)) - 30.0
LABELS = jax.nn.one_hot(jnp.arange(8), 10)

on_audio = partial(augment.on_audio, KEY, AUDIO, sample_rate=RATE)
on_logmel = partial(augment.on_logmel, KEY, LOGMEL, columns_per_second=12.9)
on_features = partial(augment.on_features, KEY, LOGMEL, LABELS)

# Each augmentation at a strength, with its input: walked by the tests below.
ENTRIES = {
  "gain, audio": (on_audio, {"gain_db": 6.0}, AUDIO),
  "shift, audio": (on_audio, {"shift_s": 0.1}, AUDIO),
  "noise, audio": (on_audio, {"noise_probability": 1.0}, AUDIO),
  "gain, logmel": (on_logmel, {"gain_db": 6.0}, LOGMEL),
  "shift, logmel": (on_logmel, {"shift_s": 1.5}, LOGMEL),
  "time masks": (on_features, {"time_masks": 2, "time_width": 0.3}, LOGMEL),
  "bin masks": (on_features, {"bin_masks": 2, "bin_width": 0.3}, LOGMEL),
  "mixup": (on_features, {"mixup_alpha": 0.4}, LOGMEL),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(ENTRIES))
def test_each_example_has_its_own_draw_and_the_key_decides(name):
  stage, strength, given = ENTRIES[name]
  rest = stage.args[2:]

  def augmented(key, x, strength=strength):
    out = stage.func(key, x, *rest, **{**stage.keywords, **strength})
    return out[0] if isinstance(out, tuple) else out

  assert augmented(KEY, given, dict.fromkeys(strength, 0)) is given
  assert jax.eval_shape(augmented, KEY, given).shape == given.shape  # it traces
  found = augmented(KEY, given)
  assert bool(jnp.isfinite(found).all())
  changed = np.abs(np.asarray(found - given)).reshape(8, -1).max(1) > 1e-6
  assert changed.sum() >= 4, f"{name} changed {changed.sum()} of 8 examples"
  same = jnp.broadcast_to(given[:1], given.shape)
  first, again, other = (
    np.asarray(augmented(key, same)) for key in (KEY, KEY, jax.random.key(8))
  )
  np.testing.assert_array_equal(first, again)
  assert not np.array_equal(first, other)
  if name != "mixup":  # mixing an example with its copy changes nothing
    assert len(np.unique(first.reshape(8, -1), axis=0)) >= 4


def rms_db(x):
  return 10 * np.log10(np.mean(np.square(np.asarray(x, np.float64)), axis=1))


def test_gain_moves_the_level_by_a_uniform_number_of_db():
  """On a waveform it is what it is on its log-mel: an offset."""
  audio, ones = on_audio(gain_db=6.0), jnp.ones((4_000, 1))
  db = rms_db(audio) - rms_db(AUDIO)
  many = augment.on_audio(KEY, ones, sample_rate=RATE, gain_db=6.0)
  logmel = np.asarray(on_logmel(gain_db=6.0) - LOGMEL)
  assert np.all(np.ptp(logmel.reshape(8, -1), axis=1) < 1e-4)
  for moved in (db, 20 * np.log10(np.asarray(many)), logmel[:, 0, 0]):
    assert np.all(np.abs(moved) <= 6.0 + 1e-4)
    assert moved.min() < 0 < moved.max()
    np.testing.assert_allclose(
      moved.std(), 12 / np.sqrt(12), rtol=0.05 if len(moved) > 8 else 0.5
    )
  before, after = (features.extract(x, "logmel_1024") for x in (AUDIO, audio))
  offset = jnp.asarray(db, jnp.float32)[:, None, None]
  np.testing.assert_allclose(after, before + offset, atol=2e-3)


@pytest.mark.parametrize(
  ("stage", "strength", "longest"),
  [(on_audio, 0.01, 220), (on_logmel, 0.5, 6)],
)
def test_shift_rolls_by_a_bounded_number_of_steps(stage, strength, longest):
  given, found = np.asarray(stage.args[1]), np.asarray(stage(shift_s=strength))
  for before, after in zip(given, found, strict=True):
    rolled = [
      steps
      for steps in range(-longest, longest + 1)
      if np.array_equal(np.roll(before, steps, axis=0), after)
    ]
    assert len(rolled) == 1, "not a roll within the bound"


def test_noise_has_the_asked_signal_to_noise_ratio():
  found = on_audio(noise_probability=1.0, noise_snr_db=(5.0, 20.0))
  snr = rms_db(AUDIO) - rms_db(found - AUDIO)
  assert np.all((snr > 5.0 - 1e-2) & (snr < 20.0 + 1e-2))
  assert np.ptp(snr) > 1.0
  exact = on_audio(noise_probability=1.0, noise_snr_db=(12.0, 12.0))
  np.testing.assert_allclose(
    rms_db(AUDIO) - rms_db(exact - AUDIO), 12.0, atol=1e-2
  )


@pytest.mark.slow
def test_noise_touches_its_share_and_leaves_silence_silent():
  audio = jnp.ones((2_000, 4))
  found = augment.noise(KEY, audio, 0.3, (10.0, 10.0))
  share = np.mean(np.any(np.asarray(found != audio), axis=1))
  assert abs(share - 0.3) < 0.04
  silent = augment.noise(KEY, jnp.zeros((2, 100)), 1.0, (10.0, 10.0))
  np.testing.assert_array_equal(silent, 0.0)


@pytest.mark.slow
@pytest.mark.parametrize("axis", [1, 2])
def test_masks_are_whole_bands_no_wider_than_asked(axis):
  x = jax.random.normal(KEY, (64, 20, 30))
  found = np.asarray(augment.mask(KEY, x, axis, 1, 0.25, jnp.float32(99.0)))
  masked = found == 99.0
  across = 3 - axis
  np.testing.assert_array_equal(masked.all(across), masked.any(across))
  length = masked.any(across).sum(1)
  assert length.max() == round(0.25 * x.shape[axis])
  assert len(set(length)) > 3
  for row in masked.any(across):  # one mask is one run
    assert np.abs(np.diff(row.astype(int))).sum() <= 2
  np.testing.assert_array_equal(found[~masked], np.asarray(x)[~masked])
  assert masked.any(across)[:, [0, -1]].any(0).all(), "never reaches an end"


def test_masked_values_become_the_fill_or_the_examples_mean():
  strength = {"time_masks": 1, "time_width": 1.0}
  fill = jnp.arange(16.0) + 1000.0
  found = np.asarray(on_features(fill=fill, **strength)[0])
  masked = found >= 1000
  wide = np.broadcast_to(np.asarray(fill), found.shape)
  assert masked.any()
  np.testing.assert_array_equal(found[masked], wide[masked])
  own = np.asarray(on_features(**strength)[0])
  means = np.broadcast_to(
    np.asarray(LOGMEL).mean((1, 2), keepdims=True), own.shape
  )
  np.testing.assert_allclose(own[masked], means[masked], rtol=1e-5)


def test_mixup_is_linear_in_examples_and_labels_alike():
  # Rows that are their own labels: the mixed row has to equal the mixed label.
  x, labels = augment.mixup(KEY, LABELS, LABELS, 0.4)
  np.testing.assert_array_equal(x, labels)
  np.testing.assert_allclose(labels.sum(1), 1.0, rtol=1e-6)
  assert np.all((np.asarray(labels) > 0).sum(1) <= 2)
  assert np.any((np.asarray(labels) > 0.01).sum(1) == 2)
  pictures = jnp.broadcast_to(LABELS[:, None, :, None], (8, 5, 10, 3))
  mixed, same = augment.mixup(KEY, pictures, LABELS, 0.4)
  np.testing.assert_array_equal(same, labels)
  np.testing.assert_array_equal(mixed[:, 2, :, 1], labels)


@pytest.mark.slow
def test_mixup_draws_its_share_from_beta():
  """Beta(a, a) has mean 1/2 and variance 1 / (4 (2 a + 1))."""
  x = jnp.arange(8.0) + 1.0
  shares = []
  for key in jax.random.split(KEY, 60):
    mixed, labels = augment.mixup(key, x, jnp.eye(8), 0.4)
    np.testing.assert_allclose(mixed, labels @ x, rtol=1e-5)
    paired = np.asarray((labels > 0).sum(1) == 2)  # not mixed with itself
    shares.extend(np.asarray(jnp.diagonal(labels))[paired])
  shares = np.asarray(shares)
  np.testing.assert_allclose(shares.mean(), 0.5, atol=0.05)
  np.testing.assert_allclose(shares.var(), 1 / (4 * 1.8), rtol=0.1)


@pytest.mark.parametrize(
  ("raw", "shape", "change", "message"),
  [
    (None, (130, 187), {"gain_db": 6.0}, "gain_db=6.0.*no raw array"),
    (None, (130, 187), {"shift_s": 0.5}, "shift_s=0.5.*no raw array"),
    ("logmel", (38, 128), {"noise_probability": 0.5}, "=0.5.*not stored"),
    ("audio", (38, 128), {"noise_snr_db": (30.0, 10.0)}, "low, high"),
    (None, (57,), {"time_masks": 1}, r"time_masks=1.*shape \(57,\)"),
    (None, (180, 180, 3), {"bin_masks": 2}, "bin_masks=2.*180, 180, 3"),
    ("audio", (258, 128), {"noise_probability": 0.5, "bin_masks": 2}, None),
    ("logmel", (38, 128), {"gain_db": 6.0, "shift_s": 0.5}, None),
    (None, (57,), {"mixup_alpha": 0.3}, None),
  ],
)
def test_check_refuses_what_examples_cannot_carry(raw, shape, change, message):
  strengths = {**dict(default.get_config().augment), **change}
  refused = pytest.raises(InputError, match=message)
  with refused if message else contextlib.nullcontext():
    augment.check(raw, shape, strengths)
