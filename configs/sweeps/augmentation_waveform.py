"""Does a waveform GAN's augmentation help? LSTM on sequences of audio.

  python launch.py sweep --sweep=configs/sweeps/augmentation_waveform.py \\
    --config=configs/lstm_standardised.py --config.data.path=/path/to/gtzan

As augmentation.py, on all train tracks, two seeds, with the source's waveform
GAN (see configs/gan_waveform.py for what it takes) and a convolutional one.
"""

from configs.sweeps import augmentation
from gtzan_jax.sweep import Run

GANS = {
  "gan": "configs/gan_waveform.py",
  "conv_gan": "configs/gan_waveform_conv.py",
}
SEEDS = range(2)


def get_sweep():
  data = {"data.protocol": "filtered"}
  runs = [Run(gan, data, recipe) for gan, recipe in GANS.items()]
  arms = {"real": {}, "spec_augment": augmentation.PLAIN["spec_augment"]}
  for gan in GANS:
    arms[f"with_{gan}"] = {"data.augment_with": f"{{out}}/{gan}"}
  return runs + [
    Run(
      f"lstm_{arm}_seed{seed}",
      {**data, **augmentation.LSTM, **overrides, "seed": seed},
    )
    for arm, overrides in arms.items()
    for seed in SEEDS
  ]
