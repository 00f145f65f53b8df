"""The most frequent genre, whatever is played: what chance gives.

  python launch.py --config=configs/majority.py \\
    --config.data.path=/path/to/gtzan

A baseline without a network: no deep result stands without it. scikit-learn
fits it once; predictions and report are those of every other recipe.

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
