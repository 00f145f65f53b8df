"""The most frequent genre for every track: chance.

  python launch.py --config=configs/majority.py \\
    --config.data.path=/path/to/gtzan

A baseline without a network, beside which networks are reported. scikit-learn
fits it once; predictions and report have the same form as any recipe's.

On the log-mel archive with --config.data.protocol=filtered: a second,
validation track accuracy 0.10.
"""

from gtzan_jax.recipes import default


def get_config():
  config = default.get_config()
  config.recipe = "majority"
  config.task = "classical"
  config.data.features = "mfcc"
  config.model.name = "majority"
  return config
