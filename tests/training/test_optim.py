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


@pytest.mark.parametrize(
  ("name", "options", "expected"),
  [
    # "Epoch N/60 ... learning_rate" that Keras printed in a source's notebook:
    # N of 1, 10, 25, 26 and 60, at the first and last of four steps
    (
      *("exponential", {}),
      {0: 1e-3, 39: 1e-3, 40: 0.95e-3, 96: 4.6329e-4, 99: 4.6329e-4}
      | {100: 4.4013e-4, 103: 4.4013e-4, 236: 7.6945e-5, 239: 7.6945e-5},
    ),
    # half of the 200 steps after the rise is half of the rate
    (
      *("cosine", {"warmup_epochs": 10}),
      {0: 0.0, 20: 0.5e-3, 40: 1e-3, 140: 0.5e-3, 240: 0.0},
    ),
    ("cosine", {}, {0: 1e-3}),
    # a run shorter than its rise peaks half way
    (
      *("cosine", {"warmup_epochs": 60, "epochs": 2}),
      {0: 0.0, 2: 0.5e-3, 4: 1e-3, 6: 0.5e-3, 8: 0.0},
    ),
    ("constant", {}, {0: 1e-3, 239: 1e-3}),
    ("plateau", {}, {0: 1e-3, 239: 1e-3}),
  ],
)
def test_schedule_by_hand(name, options, expected):
  schedule = jax.jit(optim.create_schedule(name, **{**RATE, **options}))
  rates = [float(schedule(step)) for step in expected]
  np.testing.assert_allclose(rates, [*expected.values()], rtol=2e-5, atol=1e-9)


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


KERAS = {"eps": 1e-7, "eps_rule": "keras"}
TINY = [1e-6, -3e-6, 2e-7]


@pytest.mark.parametrize(
  ("name", "options", "gradients", "updates"),
  [
    # v = 0.99 v + 0.01 g^2; g / (sqrt(v) + 1e-8): torch's defaults
    ("rmsprop", {}, [1e-8, -3e-8, 2.0], [0.909091, -2.279517, 10.0]),
    # velocities 1, then 0.9 * 1 + 2
    ("sgd", {"momentum": 0.9}, [1.0, 2.0], [1.0, 2.9]),
    ("adam", {}, [0.5, -0.25], [1.0, 0.26634]),
    # sqrt(1 - b2^t) / (1 - b1^t) m / (sqrt(v) + eps), and torch's rule
    ("adam", KERAS, TINY, [0.240253, -0.247089, -0.170575]),
    ("adamw", KERAS, TINY, [0.240253, -0.247089, -0.170575]),
    ("adam", {"eps": 1e-7}, TINY, [0.909091, -0.473039, -0.323234]),
  ],
)
def test_optimizer_by_hand(name, options, gradients, updates):
  optimizer = optim.create(name, optax.constant_schedule(0.01), **options)
  expected = -0.01 * np.cumsum(updates)
  for steps in range(1, len(gradients) + 1):
    given = [jnp.full(1, g) for g in gradients[:steps]]
    found = step_with(optimizer, jnp.zeros(1), given)
    np.testing.assert_allclose(found, expected[steps - 1], rtol=5e-4)


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


@pytest.mark.parametrize(
  ("create", "name", "options", "message"),
  [
    (optim.create, "lion", {}, r"'lion'.*adam, adamw, rmsprop, sgd"),
    (optim.create_schedule, "step", RATE, r"'step'.*constant, cosine"),
    (
      *(optim.create, "adam", {"weight_decay": 0.1}),
      r"'adam' has no weight decay.*adamw",
    ),
    (optim.create, "adam", {"eps_rule": "tf"}, r"'tf'.*torch, keras"),
  ],
)
def test_mistakes_are_named(create, name, options, message):
  given = [optax.constant_schedule(0.1)] * (create is optim.create)
  with pytest.raises(InputError, match=message):
    create(name, *given, **options)


# --- losses


LOGITS = np.array([[0.0, 0.0], [np.log(3.0), 0.0]])  # shares 1/2, 1/2; 3/4, 1/4
HALF, LIKELY, UNLIKELY = np.log(2), np.log(4 / 3), np.log(4)  # and their losses


@pytest.mark.parametrize(
  ("labels", "smoothing", "weights", "expected"),
  [
    ([0, 1], 0.0, None, [HALF, UNLIKELY]),
    ([[1.0, 0.0], [0.5, 0.5]], 0.0, None, [HALF, (LIKELY + UNLIKELY) / 2]),
    # Smoothing 0.2 over two classes: labels 0.9 and 0.1.
    ([0, 1], 0.2, None, [HALF, 0.1 * LIKELY + 0.9 * UNLIKELY]),
    # A mixture weighs each label by its own class.
    (
      *([[1.0, 0.0], [0.75, 0.25]], 0.0, [4.0, 1.0]),
      [4 * HALF, 3 * LIKELY + 0.25 * UNLIKELY],
    ),
    # A label alone: its weight times its loss, smoothing included.
    ([0, 0], 0.2, [4.0, 1], [4 * HALF, 4 * (0.9 * LIKELY + 0.1 * UNLIKELY)]),
    ([0, 1], 0.2, [4.0, 1], [4 * HALF, 0.1 * LIKELY + 0.9 * UNLIKELY]),
  ],
)
def test_cross_entropy_by_hand(labels, smoothing, weights, expected):
  found = losses.cross_entropy(
    jnp.asarray(LOGITS, jnp.float32),
    jnp.asarray(labels),
    smoothing=smoothing,
    class_weights=weights and np.array(weights, np.float32),
  )
  np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_class_weights_are_scikit_learns_and_survive_an_absent_class():
  labels = np.repeat([0, 1, 2], [5, 1, 2])
  expected = compute_class_weight("balanced", classes=np.arange(3), y=labels)
  found = losses.balanced_class_weights(np.bincount(labels))
  np.testing.assert_allclose(found, expected, rtol=1e-6)
  with_gap = losses.balanced_class_weights([5, 0, 1, 2])
  np.testing.assert_allclose(with_gap[[0, 2, 3]], expected, rtol=1e-6)
  assert with_gap[1] == 0


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
