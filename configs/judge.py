"""The classifier by which a GAN is judged, where config.gan.judge names none.

  python launch.py --config=configs/judge.py --config.data.path=/path/to/gtzan

mel_cnn with its input standardised, on whatever features the GAN has to do
with: its last hidden layer is where distances are taken.
"""

from configs import default


def get_config():
  config = default.get_config()
  config.recipe = "judge"
  config.data.protocol = "filtered"
  config.data.standardize = "bin"
  config.model.name = "mel_cnn"
  config.train.epochs = 30
  config.train.patience = 8
  return config


def of(config):
  """The judge's config for the GAN of `config`: its data, its seed."""
  judge = get_config()
  standardize = judge.data.standardize
  for section in ("data", "eval", "log"):
    judge[section] = config[section].copy_and_resolve_references()
  judge.data.standardize = standardize
  judge.seed = config.seed
  return judge
