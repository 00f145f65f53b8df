"""Logistic regression on statistics of log-mel frames: the strong baseline.

  python launch.py --config=configs/logreg_logmel.py \\
    --config.data.path=/path/to/gtzan

As logreg_stats, on 128 mel bands in place of 13 MFCC.

On the log-mel archive with --config.data.protocol=filtered: a few seconds,
validation track accuracy 0.59 (n=1), which few networks here beat.
"""

from gtzan_jax.recipes import logreg_stats


def get_config():
  config = logreg_stats.get_config()
  config.recipe = "logreg_logmel"
  config.data.features = "logmel_1024"
  config.model.C = 0.01  # one over the strength of the L2 penalty
  return config
