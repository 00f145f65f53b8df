"""The optimizers of the source projects, on the recipe of --config.

  python launch.py sweep --sweep=configs/sweeps/optimizers.py \\
    --config=configs/resnet.py --config.data.path=/path/to/gtzan

Adam and RMSprop in the LSTM-GAN project, SGD with momentum 0.9 in the BiLSTM
project. All at the recipe's learning rate, which suits one better than another:
for a fair comparison run learning_rates.py with each (--config.optim.name=...).
"""

from gtzan_jax.studies.sweep.run import Run


def get_sweep():
  return [
    Run(name, {"optim.name": name}) for name in ("adam", "rmsprop", "sgd")
  ]
