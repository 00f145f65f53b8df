"""A GAN's losses and its step, against numbers worked out by hand."""

import dataclasses
import importlib
import re
import types

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import linen as nn

from gtzan_jax.gan import adversarial_losses, networks
from gtzan_jax.gan import adversarial_step as gan
from gtzan_jax.training import jax_process, sharding

REAL, FAKE = jnp.array([2.0, -1.0]), jnp.array([0.5, -3.0])


@pytest.mark.parametrize(
  ("loss", "discriminator", "generator"),
  [
    # 0 + 2 of the real, 1.5 + 0 of the generated, over two
    ("hinge", 1.75, 1.25),
    # log(1 + e^-2), log(1 + e^1); log(1 + e^0.5), log(1 + e^-3)
    ("bce", (0.126928 + 1.313262 + 0.974077 + 0.048587) / 2, 1.761332),
  ],
)
def test_what_each_side_minimises(loss, discriminator, generator):
  losses = adversarial_losses.ADVERSARIAL[loss]
  assert losses.discriminator(REAL, FAKE) == pytest.approx(discriminator)
  assert losses.generator(FAKE) == pytest.approx(generator, rel=1e-5)


class Generator(networks.Generator):
  """noise * gain + offset of the genre."""

  @nn.compact
  def __call__(self, noise, label):
    gain = self.param("gain", nn.initializers.normal(), (2,))
    offset = self.param("offset", nn.initializers.normal(), (3, 2))
    return noise * gain[None] + offset[label]


class Discriminator(networks.Discriminator):
  """x . slope + bias of the genre."""

  @nn.compact
  def __call__(self, x, label):
    slope = self.param("slope", nn.initializers.normal(), (2,))
    bias = self.param("bias", nn.initializers.normal(), (3,))
    return x @ slope + bias[label]


@pytest.fixture
def toy():
  """The task, a state of known numbers and a batch of four."""
  task = gan.Gan(
    networks=networks.Networks(Generator(3, (2,), 2), Discriminator(3)),
    optimizers={"generator": optax.sgd(0.1), "discriminator": optax.sgd(0.4)},
    **{"source": "features", "genres": 3, "shape": (2,), "loss": "bce"},
    **{"r1": 0.6, "average": 0.9, "learning_rate": lambda step: 0.1},
  )
  state = task.init(jax.random.key(5))
  rng = np.random.default_rng(0)
  params = jax.tree.map(
    lambda x: jnp.asarray(rng.normal(size=x.shape), jnp.float32), state.params
  )
  state = state.replace(params=params, lr_scale=jnp.float32(0.5))
  state = state.replace(
    model_state={**state.model_state, "average": params["generator"]}
  )
  state = task.with_input_stats(state, np.array([1.0, 2]), np.array([0.5, 4]))
  x = jnp.asarray(rng.normal(size=(4, 2)), jnp.float32)
  return task, state, {"features": x, "label": jnp.array([0, 2, 2, 1])}


def sigmoid(x):
  return 1 / (1 + np.exp(-x))


def summed(label, rows):
  """Rows `[n, ...]` added up by genre, `[3, ...]`."""
  return np.stack([rows[label == genre].sum(0) for genre in range(3)])


@pytest.mark.slow
@pytest.mark.parametrize("r1", [0.0, 0.6])
def test_a_step_is_the_one_worked_out_by_hand(toy, r1):
  task, state, batch = toy
  task = dataclasses.replace(task, r1=r1)
  after, scalars = task.train_step(state, batch)
  old = jax.device_get(state.params)
  keys = jax.random.split(jax.random.fold_in(state.key, 1))
  (fake, at), (again, at_again) = (
    map(np.asarray, task._draw(state.params["generator"], key, 4))
    for key in keys
  )
  label = np.asarray(batch["label"])
  assert len({*at.tolist()}) > 1
  assert at.tolist() != label.tolist()
  real = (np.asarray(batch["features"]) - [1, 2]) / [0.5, 4]

  # The discriminator: real ones up, generated ones under their own genres down.
  slope, bias = (old["discriminator"][key] for key in ("slope", "bias"))
  of_real, of_fake = real @ slope + bias[label], fake @ slope + bias[at]
  up, down = -sigmoid(-of_real) / 4, sigmoid(of_fake) / 4
  loss = (np.log1p(np.exp(-of_real)) + np.log1p(np.exp(of_fake))).mean()
  # R1: r1 / 2 times the squared length of the slope, so r1 times the slope.
  change = up @ real + down @ fake + r1 * slope
  new = after.params["discriminator"]
  slope = slope - 0.5 * 0.4 * change
  bias = bias - 0.5 * 0.4 * (summed(label, up) + summed(at, down))
  np.testing.assert_allclose(new["slope"], slope, rtol=1e-5)
  np.testing.assert_allclose(new["bias"], bias, rtol=1e-5)

  # The generator, against what the discriminator has become.
  gain, offset = (old["generator"][key] for key in ("gain", "offset"))
  noise = (again - offset[at_again]) / gain
  score = again @ slope + bias[at_again]
  pull = (-sigmoid(-score) / 4)[:, None] * slope
  best = task.variables_of(after)["generator"]
  for name, before, change in (
    ("gain", gain, (pull * noise).sum(0)),
    ("offset", offset, summed(at_again, pull)),
  ):
    value, new = before - 0.5 * 0.1 * change, after.params["generator"][name]
    np.testing.assert_allclose(new, value, rtol=1e-5, atol=1e-6)
    # What best/ holds is the average: (1 + 0) / (10 + 0) of the old at first.
    average = 0.1 * before + 0.9 * value
    np.testing.assert_allclose(best[name], average, atol=1e-6)
  assert task.summarize(jax.device_get(after.totals)) == pytest.approx(
    {
      "train/discriminator_loss": loss,
      "train/generator_loss": np.log1p(np.exp(-score)).mean(),
      "train/real_found": (of_real > 0).mean(),
      "train/generated_found": (of_fake < 0).mean(),
    },
    rel=1e-5,
  )
  assert scalars["train/step_discriminator_loss"] == pytest.approx(loss)


def test_what_the_config_says_reaches_the_step():
  config = importlib.import_module("configs.gan_mel_conv").get_config()
  config.optim.update(name="sgd", learning_rate=0.1, momentum=0.0)
  config.gan.update(discriminator_rate=0.25, r1=3.0, average=0.5, loss="hinge")
  data = types.SimpleNamespace(
    raw=None,
    genres=("jazz", "rock"),
    fields={"features": ((23, 13), np.float32)},
  )
  task = gan.create(config, data, np.ones(2), 1)
  for name, rate in (("generator", 0.1), ("discriminator", 0.025)):
    optimizer = task.optimizers[name]
    update, _ = optimizer.update(jnp.ones(1), optimizer.init(jnp.ones(1)))
    assert update == pytest.approx(-rate)
  assert (task.r1, task.average, task.loss) == (3.0, 0.5, "hinge")


@pytest.mark.parametrize("name", ["gan_waveform", "gan_features"])
def test_the_sources_gans_are_trained_as_the_source_says(name):
  config = importlib.import_module(f"configs.{name}").get_config()
  optim = {"name": "adam", "learning_rate": 2e-4, "b1": 0.5, "b2": 0.999}
  assert {key: config.optim[key] for key in optim} == optim
  assert (config.optim.schedule, config.train.epochs) == ("constant", 100)
  plain = {"loss": "bce", "r1": 0, "average": 0, "discriminator_rate": 1}
  assert {key: config.gan[key] for key in plain} == plain
  assert dict(config.model) == {
    "name": "cgan_dense",
    "output": "tanh" if name == "gan_waveform" else "linear",
  }


@pytest.mark.parametrize("r1", [0.0, 0.6])
def test_no_device_needs_the_examples_of_another(toy, r1):
  task, state, batch = toy
  task = dataclasses.replace(task, r1=r1)
  mesh = sharding.make_mesh(jax.devices()[:4])
  step = jax_process.JitStep(task.train_step, mesh)
  state = jax.device_put(state, sharding.replicated(mesh))
  batch = sharding.put(batch, mesh)
  program = step.compile(state, batch).lower(state, batch).compile().as_text()
  assert "all-reduce" in program
  assert not re.findall("all-gather|all-to-all|collective-permute", program)
