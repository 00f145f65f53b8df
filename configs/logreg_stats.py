"""Logistic regression on statistics of MFCC frames.

  python launch.py --config=configs/logreg_stats.py \\
    --config.data.path=/path/to/gtzan

A baseline without a network, beside which networks are reported. scikit-learn
fits it once; predictions and report have the same form as any recipe's.

On the log-mel archive with --config.data.protocol=filtered: a few seconds,
validation track accuracy 0.48 (n=1).
"""

from gtzan_jax.recipes import default


def get_config():
  config = default.get_config()
  config.recipe = "logreg_stats"
  config.task = "classical"
  config.data.features = "mfcc"
  config.model.name = "logreg"
  config.model.C = 0.1  # one over the strength of the L2 penalty
  return config
