"""A small mel_cnn that learns the synthetic corpus while one watches.

make demo        (or: python launch.py --config=configs/quickstart.py)
"""

from configs import default


def get_config():
  config = default.get_config()
  config.recipe = "quickstart"
  config.data.standardize = "bin"
  return config
