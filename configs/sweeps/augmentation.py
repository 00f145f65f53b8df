"""Does a GAN's augmentation help? LSTM on MFCC sequences of the archive.

  python launch.py sweep --sweep=configs/sweeps/augmentation.py \\
    --config=configs/lstm_standardised.py \\
    --config.data.path=/path/to/gtzan_logmel.npz

100, 50 and 10 % of the train tracks, five seeds, 1,500 optimizer steps each,
the best of 15 evaluations on validation tracks: real segments only; with as
many from the source's GAN or from a convolutional one; with SpecAugment, mixup
or circular shifts; and generated segments alone (train on synthetic, test on
real). Each GAN and its judge were trained on no more tracks than the
LSTM that it augments.
"""

from gtzan_jax.studies.sweep.run import Run

FRACTIONS = {"100": 1.0, "50": 0.5, "10": 0.1}
GANS = {"gan": "configs/gan_features.py", "conv_gan": "configs/gan_mel_conv.py"}
SEEDS = range(5)
EQUAL = {
  "data.features": "mfcc",
  "data.protocol": "filtered",
  "data.standardize": "bin",
}
LSTM = {
  "train.epoch_steps": 100,
  "train.epochs": 15,
  "train.patience": 0,
}
PLAIN = {
  "real": {},
  "spec_augment": {"augment.time_masks": 2, "augment.bin_masks": 1},
  "mixup": {"augment.mixup_alpha": 0.2},
  "shift": {"augment.shift_s": 1.0},
}


def arms(gans):
  """Changes to the train split by name: {override: value}.

  Args:
    gans: {name: the GAN's run in the sweep}.
  """
  found = dict(PLAIN)
  for name, run in gans.items():
    made = {"data.augment_with": f"{{out}}/{run}"}
    found[f"with_{name}"] = made
    found[f"{name}_alone"] = {**made, "data.augment_only": True}
  return found


def get_sweep():
  runs = []
  for name, fraction in FRACTIONS.items():
    data = {**EQUAL, "data.train_fraction": fraction}
    gans = {gan: f"{gan}_{name}" for gan in GANS}
    runs += [Run(gans[gan], data, recipe) for gan, recipe in GANS.items()]
    runs += [
      Run(
        f"lstm_{name}_{arm}_seed{seed}",
        {**data, **LSTM, **overrides, "seed": seed},
      )
      for arm, overrides in arms(gans).items()
      for seed in SEEDS
    ]
  return runs
