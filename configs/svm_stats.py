"""Support vector machine on statistics of MFCC frames.

  python launch.py --config=configs/svm_stats.py \\
    --config.data.path=/path/to/gtzan

A baseline without a network, beside which networks are reported. scikit-learn
fits it once; predictions and report have the same form as any recipe's.

On the log-mel archive with --config.data.protocol=filtered: a few seconds,
validation track accuracy 0.50 (n=1).
"""

from gtzan_jax.recipes import default


def get_config():
  config = default.get_config()
  config.recipe = "svm_stats"
  config.task = "classical"
  config.data.features = "mfcc"
  config.model.name = "svm"
  config.model.C = 1.0
  config.model.gamma = 0.3  # times 1 / columns, scikit-learn's "scale"
  return config
