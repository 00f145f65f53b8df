"""CNN on MFCC slices: the ResNet project, phase 4.

  python launch.py --config=configs/slice_cnn.py \\
    --config.data.path=/path/to/gtzan

13 MFCC of 130 frames (the source's text says slices of spectrograms, its code
MFCC), three convolutions of 32, one hidden layer of 64 with dropout 0.3, Adam
1e-4, 50 epochs. The source split slices (its own split:
--config.data.protocol=leaky_segments_80_20); here tracks are split.

On the log-mel archive with --config.data.protocol=filtered: about 35 seconds on
two CPU cores, validation track accuracy 0.50 (n=1).
"""

from gtzan_jax.recipes import default


def get_config():
  config = default.get_config()
  config.recipe = "slice_cnn"
  config.data.features = "mfcc_slices"
  config.data.protocol = "tracks_80_20"
  config.model.name = "slice_cnn"
  config.optim.name = "adam"
  config.optim.learning_rate = 1e-4
  config.optim.eps = 1e-7
  config.optim.eps_rule = "keras"
  config.train.batch_size = 32
  config.train.epochs = 50
  config.train.patience = 0  # the source trains all epochs
  return config
