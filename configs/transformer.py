"""Attention over log-mel frames: the CNN-GRU project's future work.

  python launch.py --config=configs/transformer.py \\
    --config.data.path=/path/to/gtzan

Positions, dropout, stochastic depth; AdamW under a cosine rate, SpecAugment,
mixup and gain. The source names the idea only; sizes were chosen here.

On the log-mel archive with --config.data.protocol=filtered: about 15 minutes on
two CPU cores beside other work, validation track accuracy 0.59 (n=1).
"""

from gtzan_jax.recipes import default


def get_config():
  config = default.get_config()
  config.recipe = "transformer"
  config.data.features = "logmel_1024"
  config.data.protocol = "tracks_80_20"
  config.data.standardize = "bin"
  config.model.name = "transformer"
  config.optim.name = "adamw"
  config.optim.learning_rate = 1e-3
  config.optim.weight_decay = 0.05
  config.optim.clip_norm = 1.0
  config.optim.schedule = "cosine"
  config.optim.warmup_epochs = 3.0
  config.augment.gain_db = 6.0
  config.augment.time_masks = 2
  config.augment.time_width = 0.25
  config.augment.bin_masks = 2
  config.augment.bin_width = 0.15
  config.augment.mixup_alpha = 0.3
  config.train.batch_size = 64
  config.train.epochs = 60
  config.train.patience = 20
  return config
