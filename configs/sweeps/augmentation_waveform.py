"""Does a waveform GAN's augmentation help? LSTM on sequences of audio.

  python launch.py sweep --sweep=configs/sweeps/augmentation_waveform.py \\
    --config=configs/lstm_standardised.py --config.data.path=/path/to/gtzan

As augmentation.py, on all train tracks, three seeds, with the source's waveform
GAN (1,200 steps) and a convolutional one. The protocol is random, because in a
small part of GTZAN the published lists leave genres without train tracks.
"""

from gtzan_jax.recipes.sweeps import augmentation
from gtzan_jax.studies.sweep.run import Run

GANS = {
  "gan": (
    "configs/gan_waveform.py",
    {"train.epoch_steps": 100, "train.epochs": 12},
  ),
  "conv_gan": ("configs/gan_waveform_conv.py", {}),
}
SEEDS = range(3)
DATA = {"data.protocol": "tracks_80_20"}


def get_sweep():
  runs = [
    Run(gan, {**DATA, **overrides}, recipe)
    for gan, (recipe, overrides) in GANS.items()
  ]
  return runs + [
    Run(
      f"lstm_{arm}_seed{seed}",
      {**DATA, **augmentation.LSTM, **overrides, "seed": seed},
    )
    for arm, overrides in augmentation.arms({gan: gan for gan in GANS}).items()
    for seed in SEEDS
  ]
