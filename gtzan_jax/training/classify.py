"""Genre classification by a network, as pure functions on pytrees."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import ml_collections
import numpy as np
import optax

from gtzan_jax import features, models
from gtzan_jax.audio import mono_waveform
from gtzan_jax.data import pipeline
from gtzan_jax.models import layers
from gtzan_jax.training import augment, jax_process, losses, optim
from gtzan_jax.training.state import Scalars, TrainState, begin

# Augmentations that act before features are computed.
RAW_AUGMENT = ("gain_db", "shift_s", "noise_probability", "noise_snr_db")

Batch = Mapping[str, jax.Array]


@dataclasses.dataclass(frozen=True)
class Classify:
  """A model, an optimizer and a loss; see gtzan_jax.training.tasks.

  `source` is the batch entry that training starts from: "features" as stored,
  or "audio" / "logmel", augmented (`raw_augment`: keywords of augment.on_audio
  or on_logmel) and turned into features of `spec` on device. `class_weights` is
  [genres] float32 or None; `learning_rate` is for the log, a line of which is
  written every `log_every` steps; `standardized`: whether `input_stats` is
  filled.
  """

  model: nn.Module
  optimizer: optax.GradientTransformation
  spec: features.FeatureSpec
  source: str
  genres: int
  class_weights: np.ndarray | None
  label_smoothing: float
  l2: float
  l2_layers: str
  learning_rate: Callable[[int], jax.Array]
  raw_augment: Mapping[str, Any]
  feature_augment: Mapping[str, Any]
  standardized: bool
  example_shape: tuple[int, ...]
  log_every: int

  def init(self, key: jax.Array) -> TrainState:
    example = jnp.zeros((1, *self.example_shape), jnp.float32)
    variables = dict(
      self.model.init(jax.random.fold_in(key, 0), example, train=False)
    )
    params = variables.pop("params")
    return begin(
      key,
      params,
      variables,
      self.optimizer.init(params),
      ("loss", "correct", "count"),
    )

  def variables_of(self, state: TrainState) -> dict:
    """What `model.apply` takes, and what best/ holds."""
    return {"params": state.params, **state.model_state}

  def with_variables(self, state: TrainState, variables: Mapping) -> TrainState:
    """The state with these in place of the model's variables."""
    variables = dict(variables)
    return state.replace(params=variables.pop("params"), model_state=variables)

  def with_input_stats(
    self, state: TrainState, mean: np.ndarray, std: np.ndarray
  ) -> TrainState:
    """The state with the model's input standardisation filled in."""
    filled = layers.fill_input_stats(state.model_state, mean, std)
    return state.replace(model_state=filled)

  def check(self, fields: Mapping[str, tuple], batch_size: int) -> None:
    """Traces one step without computing it, which may raise.

    `fields` has (shape, dtype) of each stored array of an example.
    """
    read = {self.source: fields[self.source]}
    try:
      state = jax_process.trace(self.init, self.train_step, read, batch_size)
    except Exception:
      models.shapes(self.model, self.example_shape)  # whose error is clearer
      raise
    models.check_size(type(self.model).__name__, self.variables_of(state))

  def inputs(
    self, key: jax.Array, batch: Batch, fill: jax.Array | None
  ) -> tuple[jax.Array, jax.Array]:
    """Augmented features [b, ...] and soft labels [b, genres]."""
    raw_key, feature_key = jax.random.split(key)
    if self.source == "audio":
      wave = mono_waveform.to_float(batch["audio"])
      x = features.extract(
        augment.on_audio(raw_key, wave, **self.raw_augment), self.spec
      )
    elif self.source == "logmel":
      db = augment.on_logmel(raw_key, batch["logmel"], **self.raw_augment)
      x = features.from_logmel(db, self.spec)
    else:
      x = batch["features"]
    labels = jax.nn.one_hot(batch["label"], self.genres)
    return augment.on_features(
      feature_key, x, labels, fill=fill, **self.feature_augment
    )

  def train_step(
    self, state: TrainState, batch: Batch
  ) -> tuple[TrainState, Scalars]:
    key = jax.random.fold_in(state.key, state.step + 1)
    input_key, dropout_key = jax.random.split(key)
    # Masked cells take the train mean, which is 0 once standardised.
    fill = None
    if self.standardized:
      (stats,) = state.model_state[layers.INPUT_STATS].values()
      fill = stats["mean"]
    x, labels = self.inputs(input_key, batch, fill)

    def loss_fn(params):
      logits, changed = self.model.apply(
        {"params": params, **state.model_state},
        x,
        train=True,
        rngs={"dropout": dropout_key},
        mutable=["batch_stats"],
      )
      cross_entropy = losses.cross_entropy(
        logits,
        labels,
        smoothing=self.label_smoothing,
        class_weights=self.class_weights,
      ).mean()
      penalty = losses.l2(params, strength=self.l2, layers=self.l2_layers)
      return cross_entropy + penalty, (cross_entropy, logits, changed)

    (loss, (cross_entropy, logits, changed)), gradients = jax.value_and_grad(
      loss_fn, has_aux=True
    )(state.params)
    params, opt_state = optim.step(
      self.optimizer,
      gradients,
      state.opt_state,
      state.params,
      state.lr_scale,
    )
    size = jnp.float32(labels.shape[0])
    correct = (logits.argmax(-1) == batch["label"]).sum().astype(jnp.float32)
    totals = {
      "loss": state.totals["loss"] + cross_entropy * size,
      "correct": state.totals["correct"] + correct,
      "count": state.totals["count"] + size,
    }
    state = state.replace(
      step=state.step + 1,
      params=params,
      model_state={**state.model_state, **changed},
      opt_state=opt_state,
      totals=totals,
    )
    return state, {
      "train/step_loss": loss,
      "train/step_accuracy": correct / size,
      "train/gradient_norm": self._gradient_norm(state.step, gradients),
    }

  def _gradient_norm(self, step: jax.Array, gradients) -> jax.Array:
    """The global norm at the steps that are logged, else -1.

    On a CPU it takes as long as half a step of a network of large layers.
    """
    return jax.lax.cond(
      step % self.log_every == 0,
      optax.tree.norm,
      lambda gradients: jnp.float32(-1),
      gradients,
    )

  def summarize(self, totals: Mapping[str, float]) -> dict[str, float]:
    """Sums since the last evaluation -> scalars of the train part."""
    count = max(float(totals["count"]), 1.0)
    return {
      "train/loss": float(totals["loss"]) / count,
      "train/accuracy": float(totals["correct"]) / count,
    }


def predict(model: nn.Module, variables: Mapping, x: jax.Array) -> jax.Array:
  """Features [b, ...] -> probabilities [b, genres]."""
  logits: Any = model.apply(variables, x, train=False)
  return jax.nn.softmax(logits)


def create_model(config: ml_collections.ConfigDict, genres: int) -> nn.Module:
  options = dict(config.model)
  return models.create(options.pop("name"), genres, **options)


def create_optimizer(
  config: ml_collections.ConfigDict,
  epoch_steps: int,
  learning_rate: float | None = None,
) -> tuple[optax.GradientTransformation, optax.Schedule]:
  """The optimizer of config.optim and its learning rate, or the one given."""
  rate = optim.create_schedule(
    config.optim.schedule,
    learning_rate=learning_rate or config.optim.learning_rate,
    steps_per_epoch=epoch_steps,
    epochs=config.train.epochs,
    decay=config.optim.decay_rate,
    begin_epoch=config.optim.decay_begin,
    warmup_epochs=config.optim.warmup_epochs,
  )
  keys = ("clip_norm", *optim.Numbers._fields)
  numbers = {key: config.optim[key] for key in keys}
  return optim.create(config.optim.name, rate, **numbers), rate


def create(
  config: ml_collections.ConfigDict,
  dataset: pipeline.Dataset,
  class_counts: np.ndarray,
  epoch_steps: int,
) -> Classify:
  """The task of a config; see gtzan_jax.training.loop.Steps.

  InputError: an unknown name, or an augmentation that the data cannot carry.
  """
  spec, genres = dataset.spec, len(dataset.genres)
  augmentation = dict(config.augment)
  augment.check(dataset.raw, dataset.example_shape, augmentation)
  raw_augment = {key: augmentation.pop(key) for key in RAW_AUGMENT}
  if dataset.raw == "audio":
    raw_augment["sample_rate"] = spec.sample_rate
  else:
    raw_augment = {key: raw_augment[key] for key in ("gain_db", "shift_s")}
    raw_augment["columns_per_second"] = dataset.columns_per_second
  optimizer, learning_rate = create_optimizer(config, epoch_steps)
  weights = None
  if config.loss.class_weights == "balanced":
    weights = losses.balanced_class_weights(class_counts)
  return Classify(
    model=create_model(config, genres),
    optimizer=optimizer,
    spec=spec,
    source=training_source(config, dataset.raw),
    genres=genres,
    class_weights=weights,
    label_smoothing=config.loss.label_smoothing,
    l2=config.loss.l2,
    l2_layers=config.loss.l2_layers,
    learning_rate=learning_rate,
    raw_augment=raw_augment,
    feature_augment=augmentation,
    standardized=config.data.standardize != "none",
    example_shape=dataset.example_shape,
    log_every=config.log.every_steps,
  )


def fields(
  config: ml_collections.ConfigDict, raw: str | None
) -> dict[str, set[str]]:
  """The stored arrays of each split that training reads."""
  source = training_source(config, raw)
  stats = {"features"} if config.data.standardize != "none" else set()
  return {"train": {source} | stats, "validation": {"features"}}


def training_source(config: ml_collections.ConfigDict, raw: str | None) -> str:
  """The stored array that training starts from (see Classify.source)."""
  strength = config.augment
  acts = strength.gain_db or strength.shift_s or strength.noise_probability
  return raw if raw and acts else "features"
