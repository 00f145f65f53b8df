"""The classifier by which a GAN is judged, where config.gan.judge names none.

  python launch.py --config=configs/judge.py --config.data.path=/path/to/gtzan

mel_cnn with its input standardised, on whatever features the GAN has to do
with: its last hidden layer is where distances are taken.
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
