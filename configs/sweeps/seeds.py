"""Three seeds of the recipe of --config: the leaderboard shows their spread.

  python launch.py sweep --sweep=configs/sweeps/seeds.py \\
    --config=configs/resnet.py --config.data.path=/path/to/gtzan

The seed decides weights, order, dropout and augmentation, never the split
(config.data.split_seed). Give each recipe a folder: --out=runs/seeds/resnet.
"""

from gtzan_jax.studies.sweep.run import Run


def get_sweep():
  return [Run(f"seed_{seed}", {"seed": seed}) for seed in (0, 1, 2)]
