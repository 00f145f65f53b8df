"""The LSTM-GAN project's numbers of epochs, on the recipe of --config.

  python launch.py sweep --sweep=configs/sweeps/epochs.py \\
    --config=configs/resnet.py --config.data.path=/path/to/gtzan

50 and 100 epochs, and up to 100 with patience 7 on validation loss. Each
reports the checkpoint with the best monitored value.
"""

from gtzan_jax.studies.sweep.run import Run


def get_sweep():
  return [
    Run("epochs_50", {"train.epochs": 50, "train.patience": 0}),
    Run("epochs_100", {"train.epochs": 100, "train.patience": 0}),
    Run(
      "early_stopping",
      {
        "train.epochs": 100,
        "train.patience": 7,
        "train.monitor": "validation/loss",
      },
    ),
  ]
