"""The LSTM-GAN project's learning rates, on the recipe of --config.

  python launch.py sweep --sweep=configs/sweeps/learning_rates.py \\
    --config=configs/resnet.py --config.data.path=/path/to/gtzan

A schedule of the recipe starts from these rates. With another optimizer, and a
folder of its own: --config.optim.name=sgd --out=runs/sweeps/sgd_rates.
"""

from gtzan_jax.studies.sweep.run import Run


def get_sweep():
  return [
    Run(f"rate_{rate}", {"optim.learning_rate": rate})
    for rate in (0.01, 0.001, 0.0005, 0.0001)
  ]
