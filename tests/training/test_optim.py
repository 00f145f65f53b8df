"""Losses, optimisers and schedules against hand numbers and formulas."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from sklearn.utils.class_weight import compute_class_weight

from gtzan_jax.errors import InputError
from gtzan_jax.training import losses, optim

RATE = {"learning_rate": 1e-3, "steps_per_epoch": 4, "epochs": 60}


def step_with(optimizer, params, gradients):
  """Parameters after one update a gradient."""
  state = optimizer.init(params)
  for gradient in gradients:
    updates, state = optimizer.update(gradient, state, params)
    params = optax.apply_updates(params, updates)
  return params


# --- schedules


@pytest.mark.parametrize("name", sorted(optim.SCHEDULES))
def test_every_schedule_is_jittable_and_stays_under_its_peak(name):
  schedule = jax.jit(optim.create_schedule(name, **RATE))
  rates = [float(schedule(step)) for step in range(0, 240, 12)]
  assert all(0 <= rate <= 1e-3 * (1 + 1e-6) for rate in rates)


def test_exponential_gives_the_rates_that_keras_printed_for_the_source():
  schedule = optim.create_schedule("exponential", **RATE)
  # "Epoch N/60 ... learning_rate" of the source's notebook; N counts from 1.
  printed = {1: 1e-3, 10: 1e-3, 25: 4.6329e-4, 26: 4.4013e-4, 60: 7.6945e-5}
  for epoch, rate in printed.items():
    for step in (4 * (epoch - 1), 4 * epoch - 1):
      np.testing.assert_allclose(schedule(step), rate, rtol=2e-5)
  np.testing.assert_allclose(schedule(4 * 10), 0.95e-3, rtol=1e-6)


def test_cosine_rises_linearly_and_ends_at_zero():
  schedule = optim.create_schedule("cosine", **{**RATE, "warmup_epochs": 10})
  expected = {
    0: 0.0,
    20: 0.5e-3,
    40: 1e-3,
    140: 0.5e-3,  # half of the 200 steps after the rise
    240: 0.0,
  }
  for step, rate in expected.items():
    np.testing.assert_allclose(schedule(step), rate, atol=1e-9)
  at_once = optim.create_schedule("cosine", **RATE)
  np.testing.assert_allclose(at_once(0), 1e-3, rtol=1e-6)


@pytest.mark.parametrize("name", ["constant", "plateau"])
def test_constant_and_plateau_do_not_move(name):
  schedule = optim.create_schedule(name, **RATE)
  assert float(schedule(0)) == float(schedule(239)) == 1e-3


def test_cosine_of_a_run_shorter_than_its_rise_peaks_half_way():
  rate = {**RATE, "warmup_epochs": 60, "epochs": 2}
  schedule = optim.create_schedule("cosine", **rate)
  steps = 2 * RATE["steps_per_epoch"]
  values = [float(schedule(step)) for step in range(steps + 1)]
  assert int(np.argmax(values)) == steps // 2
  assert max(values) == pytest.approx(RATE["learning_rate"])


# --- optimisers


@pytest.mark.parametrize("name", sorted(optim.OPTIMIZERS))
def test_every_optimizer_descends_and_takes_lr_scale(name):
  """Half the updates is half the rate: what `lr_scale` relies on."""
  params = {"kernel": jnp.array([[1.0, -2.0]]), "bias": jnp.array([0.5])}
  kwargs = {"weight_decay": 0.1} if name == "adamw" else {}
  full = optim.create(name, optax.constant_schedule(0.1), **kwargs)
  half = optim.create(name, optax.constant_schedule(0.05), **kwargs)
  updates, _ = full.update(params, full.init(params), params)
  small, _ = half.update(params, half.init(params), params)
  for big, little in zip(
    jax.tree.leaves(updates), jax.tree.leaves(small), strict=True
  ):
    np.testing.assert_allclose(0.5 * big, little, rtol=1e-6)
  assert updates["kernel"][0, 0] < 0 < updates["kernel"][0, 1]


def test_rmsprop_is_torchs():
  """v = 0.99 v + 0.01 g^2; w -= lr g / (sqrt(v) + 1e-8): torch's defaults."""
  gradients = [1e-8, -3e-8, 2.0]  # small ones first: epsilon has to matter
  expected, v = 1.0, 0.0
  for g in gradients:
    v = 0.99 * v + 0.01 * g * g
    expected -= 0.01 * g / (np.sqrt(v) + 1e-8)
  optimizer = optim.create("rmsprop", optax.constant_schedule(0.01))
  found = step_with(optimizer, jnp.ones(1), [jnp.full(1, g) for g in gradients])
  np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_sgd_with_momentum_by_hand():
  # Velocities 1, then 0.9 * 1 + 2 = 2.9: 1 - 0.1 * (1 + 2.9) = 0.61.
  optimizer = optim.create("sgd", optax.constant_schedule(0.1), momentum=0.9)
  found = step_with(optimizer, jnp.ones(1), [jnp.ones(1), jnp.full(1, 2.0)])
  np.testing.assert_allclose(found, 0.61, rtol=1e-6)


def test_adam_by_hand():
  m, v, expected = 0.0, 0.0, 1.0
  for t, g in enumerate([0.5, -0.25], start=1):
    m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g
    root = np.sqrt(v / (1 - 0.999**t)) + 1e-8
    expected -= 0.01 * m / (1 - 0.9**t) / root
  optimizer = optim.create("adam", optax.constant_schedule(0.01))
  found = step_with(
    optimizer, jnp.ones(1), [jnp.full(1, 0.5), jnp.full(1, -0.25)]
  )
  np.testing.assert_allclose(found, expected, rtol=1e-5)


@pytest.mark.parametrize("name", ["adam", "adamw"])
def test_keras_adds_epsilon_before_the_bias_correction(name):
  """lr sqrt(1 - b2^t) / (1 - b1^t) m / (sqrt(v) + eps): Keras's Adam.

  At a gradient of 1e-6 the first step is 0.24 of the rate; torch's rule with
  the same epsilon makes 0.91 of it.
  """
  gradients = [1e-6, -3e-6, 2e-7]
  m, v, expected = 0.0, 0.0, [0.0]
  for t, g in enumerate(gradients, start=1):
    m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g
    alpha = 0.01 * np.sqrt(1 - 0.999**t) / (1 - 0.9**t)
    expected.append(expected[-1] - alpha * m / (np.sqrt(v) + 1e-7))
  optimizer = optim.create(
    name, optax.constant_schedule(0.01), eps=1e-7, eps_rule="keras"
  )
  for t in range(1, 4):
    found = step_with(
      optimizer, jnp.zeros(1), [jnp.full(1, g) for g in gradients[:t]]
    )
    np.testing.assert_allclose(found, expected[t], rtol=5e-4)
  assert -expected[1] / 0.01 == pytest.approx(0.240, abs=1e-3)


def test_epsilon_by_the_two_rules_is_the_same_once_rescaled():
  """Keras's rule is torch's with epsilon / sqrt(1 - b2^t)."""
  params = {"kernel": jnp.ones((1, 2))}
  gradients = {"kernel": jnp.array([[1e-6, -1e-3]])}
  hat = 1e-7 / np.sqrt(1 - 0.999)
  updates = []
  for eps, rule in ((1e-7, "keras"), (hat, "torch")):
    optimizer = optim.create(
      "adam", optax.constant_schedule(0.1), eps=eps, eps_rule=rule
    )
    found, _ = optimizer.update(gradients, optimizer.init(params), params)
    updates.append(found["kernel"])
  np.testing.assert_allclose(*updates, rtol=1e-5)


def test_weight_decay_shrinks_kernels_only():
  params = {"kernel": jnp.ones((1, 1)), "bias": jnp.ones(1)}
  optimizer = optim.create(
    "adamw", optax.constant_schedule(0.1), weight_decay=0.5
  )
  found = step_with(optimizer, params, [jax.tree.map(jnp.zeros_like, params)])
  np.testing.assert_allclose(found["kernel"], 1 - 0.1 * 0.5, rtol=1e-6)
  np.testing.assert_array_equal(found["bias"], 1.0)


def test_clipping_bounds_the_global_norm():
  optimizer = optim.create("sgd", optax.constant_schedule(1.0), clip_norm=1.0)
  found = step_with(optimizer, jnp.zeros(2), [jnp.array([3.0, 4.0])])
  np.testing.assert_allclose(found, [-0.6, -0.8], rtol=1e-6)


def test_mistakes_are_named():
  rate = optax.constant_schedule(0.1)
  with pytest.raises(InputError, match=r"'lion'.*adam, adamw, rmsprop, sgd"):
    optim.create("lion", rate)
  with pytest.raises(InputError, match=r"'step'.*constant, cosine"):
    optim.create_schedule("step", **RATE)
  with pytest.raises(InputError, match=r"'adam' has no weight decay.*adamw"):
    optim.create("adam", rate, weight_decay=0.1)
  with pytest.raises(InputError, match=r"'tf'.*torch, keras"):
    optim.create("adam", rate, eps_rule="tf")


# --- losses


def test_cross_entropy_of_integers_soft_labels_and_smoothing():
  logits = jnp.array([[0.0, 0.0], [np.log(3.0), 0.0]])
  hard = losses.cross_entropy(logits, jnp.array([0, 1]))
  np.testing.assert_allclose(hard, [np.log(2), np.log(4)], rtol=1e-6)
  soft = losses.cross_entropy(logits, jnp.array([[1.0, 0.0], [0.5, 0.5]]))
  second = 0.5 * np.log(4 / 3) + 0.5 * np.log(4)
  np.testing.assert_allclose(soft, [np.log(2), second], rtol=1e-6)
  # Smoothing 0.2 over two classes: labels 0.9 and 0.1.
  smooth = losses.cross_entropy(logits, jnp.array([0, 1]), smoothing=0.2)
  second = 0.1 * np.log(4 / 3) + 0.9 * np.log(4)
  np.testing.assert_allclose(smooth, [np.log(2), second], rtol=1e-6)


def test_class_weights_are_scikit_learns_and_survive_an_absent_class():
  labels = np.repeat([0, 1, 2], [5, 1, 2])
  expected = compute_class_weight("balanced", classes=np.arange(3), y=labels)
  found = losses.balanced_class_weights(np.bincount(labels))
  np.testing.assert_allclose(found, expected, rtol=1e-6)
  with_gap = losses.balanced_class_weights([5, 0, 1, 2])
  np.testing.assert_allclose(with_gap[[0, 2, 3]], expected, rtol=1e-6)
  assert with_gap[1] == 0


def test_a_mixture_weighs_each_label_by_its_own_class():
  """0.75 of class 0 (weight 4), 0.25 of class 1 (weight 1); p = 3/4, 1/4."""
  logits = jnp.array([[np.log(3.0), 0.0]])
  weights = np.array([4.0, 1.0], np.float32)
  mixed = jnp.array([[0.75, 0.25]])
  found = losses.cross_entropy(logits, mixed, class_weights=weights)
  one, two = np.log(4 / 3), np.log(4)
  np.testing.assert_allclose(found, [3 * one + 0.25 * two], rtol=1e-6)
  # A label alone: its weight times its loss, smoothing included.
  for label, own in ((0, 4.0), (1, 1.0)):
    plain = losses.cross_entropy(logits, jnp.array([label]), smoothing=0.2)
    found = losses.cross_entropy(
      logits, jnp.array([label]), smoothing=0.2, class_weights=weights
    )
    np.testing.assert_allclose(found, own * plain, rtol=1e-6)


def test_l2_takes_the_chosen_kernels_only():
  params = {
    "dense": {"kernel": jnp.array([[1.0, 2.0]]), "bias": jnp.array([9.0])},
    "block": {"dense": {"kernel": jnp.array([[3.0]])}},
    "norm": {"scale": jnp.array([9.0])},
  }
  chosen = losses.l2(params, strength=0.1, layers="dense")
  np.testing.assert_allclose(chosen, 0.5, rtol=1e-6)
  np.testing.assert_allclose(
    losses.l2(params, strength=0.1, layers=".*"), 1.4, rtol=1e-6
  )
  assert losses.l2(params, strength=0.0, layers="nothing") == 0.0
  with pytest.raises(InputError, match=r"'head'.*block/dense, dense"):
    losses.l2(params, strength=0.1, layers="head")
  with pytest.raises(InputError, match="regular expression"):
    losses.l2(params, strength=0.1, layers="(")
