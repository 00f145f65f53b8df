"""What prevents a conditional GAN's collapse: gan_mel_conv, one change each.

  python launch.py sweep --sweep=configs/sweeps/gan_variants.py \\
    --config=configs/gan_mel_conv.py --config.data.features=mfcc \\
    --config.data.path=/path/to/gtzan_logmel.npz
  python benchmarks/augmentation.py runs/sweeps/gan_variants

The recipe's loss, penalty, rates and averaging against alternatives, 1,500
steps each, one judge. It chose the recipe's settings, on validation tracks.
"""

from gtzan_jax.studies.sweep.run import Run

VARIANTS = {
  "as_it_is": {},
  "hinge": {"gan.loss": "hinge"},
  "no_penalty": {"gan.r1": 0.0},
  "penalty_1": {"gan.r1": 1.0},
  "equal_rates": {"gan.discriminator_rate": 1.0},
  "slow": {"optim.learning_rate": 2e-4, "gan.discriminator_rate": 1.0},
  "not_averaged": {"gan.average": 0.0},
}


def get_sweep():
  judge = Run("judge", {}, "configs/judge.py")
  return [judge] + [
    Run(name, {"gan.judge": "{out}/judge", "train.epochs": 15, **changed})
    for name, changed in VARIANTS.items()
  ]
