"""The optimizers of the source documents, on the recipe of --config.

  python launch.py sweep --sweep=configs/sweeps/optimizers.py \\
    --config=configs/resnet.py --config.data.path=/path/to/gtzan

Adam and RMSprop in source document 0, SGD with momentum 0.9 in 4. All at the
recipe's learning rate, which suits one better than another: for a fair
comparison run learning_rates.py with each (--config.optim.name=...).
"""

from gtzan_jax.studies.sweep.run import Run


def get_sweep():
  return [
    Run(name, {"optim.name": name}) for name in ("adam", "rmsprop", "sgd")
  ]
