"""A conditional GAN (Mirza and Osindero 2014) as pure functions on pytrees.

A step updates the discriminator on real and generated examples, then the
generator against the updated discriminator. One TrainState holds both: `params`
and `opt_state` are dicts of two. Examples are standardised by mean and
deviation of the train split, which are stored with the generator to undo it.
"""

import dataclasses
from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np
import optax

from gtzan_jax import config_ranges, errors, models
from gtzan_jax.audio import mono_waveform
from gtzan_jax.data import pipeline
from gtzan_jax.gan import adversarial_losses
from gtzan_jax.gan import networks as gans
from gtzan_jax.training import classify, jax_process, optim
from gtzan_jax.training.state import Scalars, TrainState, begin

Batch = Mapping[str, jax.Array]
_TOTALS = (
  "discriminator_loss",
  "generator_loss",
  "real_found",
  "generated_found",
  "count",
)


@dataclasses.dataclass(frozen=True)
class Gan:
  """Two networks and how they are trained.

  `source` is the stored array that is generated, "features" or "audio"; `loss`
  a key of ADVERSARIAL; `r1` gamma of the gradient penalty; `average` the decay
  of the averaged generator (0 keeps the last).
  """

  networks: gans.Networks
  optimizers: Mapping[str, optax.GradientTransformation]
  source: str
  genres: int
  shape: tuple[int, ...]
  loss: str
  r1: float
  average: float
  learning_rate: Callable[[int], jax.Array]

  def init(self, key: jax.Array) -> TrainState:
    generator_key, discriminator_key = jax.random.split(
      jax.random.fold_in(key, 0)
    )
    label = jnp.zeros((1,), jnp.int32)
    noise = jnp.zeros((1, self.networks.generator.noise), jnp.float32)
    example = jnp.zeros((1, *self.shape), jnp.float32)
    params = {
      "generator": self.networks.generator.init(generator_key, noise, label),
      "discriminator": self.networks.discriminator.init(
        discriminator_key, self.networks.view(example), label
      ),
    }
    params = {name: network["params"] for name, network in params.items()}
    bins = _scales(self.source, self.shape)
    model_state = {"scale": {"mean": jnp.zeros(bins), "std": jnp.ones(bins)}}
    if self.average:
      model_state["average"] = jax.tree.map(jnp.copy, params["generator"])
    opt_state = {
      name: optimizer.init(params[name])
      for name, optimizer in self.optimizers.items()
    }
    return begin(key, params, model_state, opt_state, _TOTALS)

  def variables_of(self, state: TrainState) -> dict:
    """What `generate` takes, and what best/ holds."""
    params = state.model_state.get("average", state.params["generator"])
    return {"generator": params, "scale": state.model_state["scale"]}

  def with_input_stats(
    self, state: TrainState, mean: np.ndarray, std: np.ndarray
  ) -> TrainState:
    """The state with the standardisation of its examples filled in."""
    scale = {"mean": jnp.asarray(mean), "std": jnp.asarray(std)}
    return state.replace(model_state={**state.model_state, "scale": scale})

  def check(self, fields: Mapping[str, tuple], batch_size: int) -> None:
    """Traces one step without computing; raises InputError for a misfit."""
    read = {self.source: fields[self.source]}
    state = jax_process.trace(self.init, self.train_step, read, batch_size)
    models.check_size("this GAN", state.params)

  def real(self, state: TrainState, batch: Batch) -> jax.Array:
    """Real examples in the networks' scale."""
    if self.source == "audio":
      return mono_waveform.to_float(batch["audio"])
    mean, std = _along_last(state.model_state["scale"], len(self.shape))
    return (batch["features"] - mean) / std

  def score(
    self, state: TrainState, x: jax.Array, label: jax.Array
  ) -> jax.Array:
    """The discriminator's score `[b]`, a logit: high means real."""
    params = state.params["discriminator"]
    return self._score(params, self.networks.view(x), label)

  def _score(self, params, view: jax.Array, label: jax.Array) -> jax.Array:
    params = {"params": params}
    return self.networks.discriminator.apply(params, view, label)

  def _draw(self, params, key, size: int) -> tuple[jax.Array, jax.Array]:
    """Generated examples in the networks' scale, with random genres."""
    noise_key, label_key = jax.random.split(key)
    noise = jax.random.normal(noise_key, (size, self.networks.generator.noise))
    label = jax.random.randint(label_key, (size,), 0, self.genres)
    fake = self.networks.generator.apply({"params": params}, noise, label)
    return fake, label

  def _discriminator_loss(self, params, real, label, fake, fake_label):
    real, fake = self.networks.view(real), self.networks.view(fake)
    penalty = 0.0
    if self.r1:
      slope, real_score = adversarial_losses.squared_gradient(
        lambda x: self._score(params, x, label), real
      )
      penalty = self.r1 / 2 * slope
      scores = [real_score, self._score(params, fake, fake_label)]
    else:
      # In one batch, so that the parameters are read once: the networks treat
      # each example alone. In turns, so that each device has its own pairs.
      views, labels = (
        jnp.stack(pair, 1).reshape(-1, *pair[0].shape[1:])
        for pair in ((real, fake), (label, fake_label))
      )
      scores = self._score(params, views, labels).reshape(-1, 2).T
    loss = adversarial_losses.ADVERSARIAL[self.loss].discriminator(*scores)
    return loss + penalty, (loss, *scores)

  def _generator_loss(self, params, discriminator, key, size: int):
    fake, label = self._draw(params, key, size)
    score = self._score(discriminator, self.networks.view(fake), label)
    return adversarial_losses.ADVERSARIAL[self.loss].generator(score)

  def _updated(self, state: TrainState, name: str, gradients) -> TrainState:
    """The state after a step of one of the two networks."""
    params, opt_state = state.params[name], state.opt_state[name]
    params, opt_state = optim.step(
      self.optimizers[name], gradients, opt_state, params, state.lr_scale
    )
    return state.replace(
      params={**state.params, name: params},
      opt_state={**state.opt_state, name: opt_state},
    )

  def train_step(
    self, state: TrainState, batch: Batch
  ) -> tuple[TrainState, Scalars]:
    key = jax.random.fold_in(state.key, state.step + 1)
    discriminator_key, generator_key = jax.random.split(key)
    real, label = self.real(state, batch), batch["label"]
    size = real.shape[0]
    fake, fake_label = self._draw(
      state.params["generator"], discriminator_key, size
    )
    gradients, (discriminator_loss, real_score, fake_score) = jax.grad(
      self._discriminator_loss, has_aux=True
    )(state.params["discriminator"], real, label, fake, fake_label)
    state = self._updated(state, "discriminator", gradients)
    generator_loss, gradients = jax.value_and_grad(self._generator_loss)(
      state.params["generator"],
      state.params["discriminator"],
      generator_key,
      size,
    )
    state = self._updated(state, "generator", gradients)
    model_state = dict(state.model_state)
    if self.average:
      model_state["average"] = self._averaged(state)
    sums = {
      "discriminator_loss": discriminator_loss * size,
      "generator_loss": generator_loss * size,
      "real_found": (real_score > 0).sum(),
      "generated_found": (fake_score < 0).sum(),
      "count": size,
    }
    state = state.replace(
      step=state.step + 1,
      model_state=model_state,
      totals={
        name: total + jnp.float32(sums[name])
        for name, total in state.totals.items()
      },
    )
    return state, {
      "train/step_discriminator_loss": discriminator_loss,
      "train/step_generator_loss": generator_loss,
    }

  def _averaged(self, state: TrainState):
    """Averages over few steps at first, so that early steps are forgotten."""
    step = state.step.astype(jnp.float32)
    decay = jnp.minimum(self.average, (1 + step) / (10 + step))
    return jax.tree.map(
      lambda old, new: decay * old + (1 - decay) * new,
      state.model_state["average"],
      state.params["generator"],
    )

  def summarize(self, totals: Mapping[str, float]) -> dict[str, float]:
    """Sums since the last evaluation -> train scalars."""
    count = max(float(totals["count"]), 1.0)
    return {
      f"train/{name}": float(total) / count
      for name, total in totals.items()
      if name != "count"
    }


def _along_last(scale: Mapping, rank: int) -> tuple[jax.Array, jax.Array]:
  wide = (1,) * rank + (-1,)
  return scale["mean"].reshape(wide), scale["std"].reshape(wide)


def generate(
  networks: gans.Networks, variables: Mapping, noise: jax.Array, label
) -> jax.Array:
  """Examples `[b, *shape]` in the units of the data (waveforms: -1..1).

  `variables` are those of `Gan.variables_of` or best/; `noise` is standard
  normal.
  """
  params = {"params": variables["generator"]}
  x = networks.generator.apply(params, noise, label)
  mean, std = _along_last(variables["scale"], x.ndim - 1)
  return x * std + mean


def shapes(
  networks: gans.Networks, source: str, shape: tuple[int, ...]
) -> dict:
  """The content of best/ as jax.ShapeDtypeStruct; nothing is computed."""
  noise = jax.ShapeDtypeStruct((1, networks.generator.noise), jnp.float32)
  label = jax.ShapeDtypeStruct((1,), jnp.int32)
  key = jax.random.key(0)
  variables = jax.eval_shape(networks.generator.init, key, noise, label)
  models.check_size("this GAN's generator", variables)
  bins = jax.ShapeDtypeStruct((_scales(source, shape),), jnp.float32)
  return {
    "generator": variables["params"],
    "scale": {"mean": bins, "std": bins},
  }


def _scales(source: str, shape: tuple[int, ...]) -> int:
  """Features are standardised bin by bin; waveforms are not."""
  return shape[-1] if source == "features" else 1


def create_networks(
  config: ml_collections.ConfigDict, genres: int, shape: tuple[int, ...]
) -> gans.Networks:
  options = dict(config.model)
  return gans.create(options.pop("name"), genres, shape, **options)


def check_config(config: ml_collections.ConfigDict) -> None:
  """Checks a GAN's config before data is prepared (InputError)."""
  wanted = config.gan
  if wanted.loss not in adversarial_losses.ADVERSARIAL:
    raise errors.InputError(
      f"config.gan.loss={wanted.loss!r}: give one of"
      f" {', '.join(adversarial_losses.ADVERSARIAL)}"
    )
  if wanted.domain == "audio" and config.data.standardize != "none":
    raise errors.InputError(
      f"config.data.standardize={config.data.standardize!r}: waveforms are not"
      " standardised; give none"
    )
  given = config_ranges.flatten(config.to_dict())
  for key in ("train.init_from", "data.augment_with"):
    if given[key]:
      raise errors.InputError(
        f"config.{key}={given[key]}: a GAN starts at random and trains on real"
        " examples; leave it out"
      )
  for key, off in _UNUSED.items():
    if given[key] != off:
      raise errors.InputError(
        f"config.{key}={given[key]!r}: not used by a GAN; leave it {off!r}"
      )


# Options of classifiers, and the value that leaves them out.
_UNUSED = {
  "loss.label_smoothing": 0.0,
  "loss.class_weights": "none",
  "loss.l2": 0.0,
  "augment.gain_db": 0.0,
  "augment.shift_s": 0.0,
  "augment.noise_probability": 0.0,
  "augment.time_masks": 0,
  "augment.bin_masks": 0,
  "augment.mixup_alpha": 0.0,
}


def fields(
  config: ml_collections.ConfigDict, raw: str | None
) -> dict[str, set[str]]:
  """The stored arrays that training reads of each split."""
  domain = config.gan.domain
  if domain == "audio" and raw != "audio":
    raise errors.InputError(
      "config.gan.domain='audio' needs a corpus of audio and features of"
      f" segments; this one has {raw or 'no waveform'} beside its features"
    )
  return {part: {domain, "features"} for part in ("train", "validation")}


def create(
  config: ml_collections.ConfigDict,
  dataset: pipeline.Dataset,
  class_counts: np.ndarray,
  epoch_steps: int,
) -> Gan:
  """The task of a config (see training/tasks.py).

  InputError: an unknown name or value, or a domain that the data lacks.
  """
  del class_counts  # genres are drawn evenly
  fields(config, dataset.raw)
  source = config.gan.domain
  shape = dataset.fields[source][0]
  optimizer, rate = classify.create_optimizer(config, epoch_steps)
  against, _ = classify.create_optimizer(
    config,
    epoch_steps,
    config.optim.learning_rate * config.gan.discriminator_rate,
  )
  return Gan(
    networks=create_networks(config, len(dataset.genres), shape),
    optimizers={"generator": optimizer, "discriminator": against},
    source=source,
    genres=len(dataset.genres),
    shape=tuple(shape),
    loss=config.gan.loss,
    r1=config.gan.r1,
    average=config.gan.average,
    learning_rate=rate,
  )
