"""The Keras side: one tf.function a step, compiled by XLA if asked."""

from benchmarks.twins import protocol

SPEC, answer = protocol.begin()

# ruff: noqa: E402 (standard output is for answers before Keras is imported)
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ["KERAS_BACKEND"] = "tensorflow"

import keras
import tensorflow as tf

from benchmarks.twins import keras_nets, keras_weights

OPTIM, GAN = SPEC["optim"], SPEC["gan"]


def optimizer(variables, factor=1.0):
  """The recipe's optimizer, ready to update variables."""
  rate = OPTIM["learning_rate"] * factor
  adam = {"beta_1": OPTIM["b1"], "beta_2": OPTIM["b2"], "epsilon": OPTIM["eps"]}
  clip = {"global_clipnorm": OPTIM["clip_norm"] or None}
  made = {
    "adam": lambda: keras.optimizers.Adam(rate, **adam, **clip),
    "adamw": lambda: keras.optimizers.AdamW(
      rate, OPTIM["weight_decay"], **adam, **clip
    ),
    # Keras adds it inside the root
    "rmsprop": lambda: keras.optimizers.RMSprop(
      rate, rho=0.99, epsilon=OPTIM["eps"] ** 2
    ),
    "sgd": lambda: keras.optimizers.SGD(rate, OPTIM["momentum"]),
  }[OPTIM["name"]]()
  if OPTIM["weight_decay"]:
    made.exclude_from_weight_decay([v for v in variables if len(v.shape) < 2])
  made.build(variables)
  return made


def apply(optim, gradients, variables):
  """Updates variables; Adam's epsilon by the recipe's rule."""
  if "adam" in OPTIM["name"] and OPTIM["eps_rule"] == "torch":
    # Keras adds it to the uncorrected root; see gtzan_jax.training.optim.
    step = tf.cast(optim.iterations + 1, keras.config.floatx())
    optim.epsilon = OPTIM["eps"] * tf.sqrt(1 - OPTIM["b2"] ** step)
  optim.apply(gradients, variables)


def function(step):
  return tf.function(step, jit_compile=SPEC["side"] == "keras-xla")


class Classifier:
  """A step of a classifier."""

  def __init__(self, x, label):
    self.batch = tf.constant(x), tf.constant(label)
    self.network = keras_nets.create(SPEC)
    self.networks = {"": self.network}
    loss_fn = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    variables = self.network.trainable_variables
    optim = optimizer(variables)
    weights = SPEC["class_weights"]

    @function
    def update(x, label):
      with tf.GradientTape() as tape:
        share = tf.gather(tf.constant(weights), label) if weights else None
        loss = loss_fn(label, self.network(x, training=True), share)
        if self.network.losses:
          loss += sum(self.network.losses)
      apply(optim, tape.gradient(loss, variables), variables)
      return loss

    self.update = update

  def step(self):
    """Updates the network; returns the loss."""
    return [self.update(*self.batch).numpy()]


class Gan:
  """A step of both networks of a GAN, on flat examples."""

  def __init__(self, x, label):
    size = len(label)
    self.batch = tf.constant(x.reshape(size, -1)), tf.constant(label)
    self.generator, self.discriminator = keras_nets.create_gan(SPEC)
    self.networks = {
      "generator/": self.generator,
      "discriminator/": self.discriminator,
    }
    ours = self.generator.trainable_variables
    theirs = self.discriminator.trainable_variables
    optim = optimizer(ours)
    against = optimizer(theirs, GAN["discriminator_rate"])
    mean, std = tf.zeros(x[0].size, x.dtype), tf.ones(x[0].size, x.dtype)
    softplus = tf.nn.softplus

    def score(x, label):
      return self.discriminator([x, label], training=True)

    def draw():
      noise = tf.random.normal((size, 100))
      return noise, tf.random.uniform((size,), 0, SPEC["classes"], tf.int32)

    @function
    def update(x, label, draws):
      real = (x - mean) / std
      first, second = draws or (draw(), draw())
      fake = self.generator(first, training=True)
      with tf.GradientTape() as tape:
        loss = tf.reduce_mean(
          softplus(-score(real, label)) + softplus(score(fake, first[1]))
        )
      apply(against, tape.gradient(loss, theirs), theirs)
      with tf.GradientTape(watch_accessed_variables=False) as tape:
        values = [variable.value for variable in ours]
        tape.watch(values)
        fake = self.generator(second, training=True)
        generator_loss = tf.reduce_mean(softplus(-score(fake, second[1])))
      apply(optim, tape.gradient(generator_loss, values), ours)
      return loss, generator_loss

    self.update = update

  def step(self, draws=None):
    """Updates both networks; returns their losses."""
    return [loss.numpy() for loss in self.update(*self.batch, draws)]


def check(side):
  """Answers with the losses from our weights."""
  for prefix, network in side.networks.items():
    weights = protocol.stored(SPEC["check"], f"weights/{prefix}")
    keras_weights.load(network, weights)
  holders = [
    keras_weights.holder(network) for network in side.networks.values()
  ]

  def step(number):
    drawn = protocol.stored(SPEC["check"], f"draws/{number}/")
    if not drawn:
      return side.step()
    pairs = (
      (drawn[f"{i}/noise"].astype(keras.config.floatx()), drawn[f"{i}/label"])
      for i in range(2)
    )
    return side.step([tuple(map(tf.constant, pair)) for pair in pairs])

  protocol.check(answer, step, lambda: [hold() for hold in holders])


def main():
  tf.config.threading.set_intra_op_parallelism_threads(SPEC["threads"])
  tf.config.threading.set_inter_op_parallelism_threads(SPEC["threads"])
  keras.utils.set_random_seed(0)
  if SPEC.get("check"):
    keras.config.set_floatx("float64")
  x, label = protocol.batch(SPEC)
  x = x.astype(keras.config.floatx())
  side = (Gan if SPEC["task"] == "gan" else Classifier)(x, label)
  if SPEC.get("check"):
    check(side)
    return
  versions = {"keras": keras.__version__, "tensorflow": tf.__version__}
  protocol.serve(answer, side.step, {"versions": versions})


if __name__ == "__main__":
  main()
