"""The judge of a GAN, where config.gan.judge names none.

  python launch.py --config=configs/judge.py --config.data.path=/path/to/gtzan

mel_cnn with standardised input, on the GAN's features; distances are measured
in its last hidden layer.
"""

from gtzan_jax.recipes import default


def get_config():
  config = default.get_config()
  config.recipe = "judge"
  config.data.protocol = "filtered"
  config.data.standardize = "bin"
  config.model.name = "mel_cnn"
  config.train.epochs = 30
  config.train.patience = 8
  return config
