"""Residual CNN on MFCC slices: the ResNet project, phase 5.

  python launch.py --config=configs/resnet.py --config.data.path=/path/to/gtzan

13 MFCC of 130 frames, three convolutional stages with two shortcuts, Adam with
a rate that falls by 5 % an epoch from the eleventh epoch on, 60 epochs. The
source split segments and selected on test; here tracks are split and validation
selects. Its own split: --config.data.protocol=
leaky_segments_80_20.

On the log-mel archive with --config.data.protocol=filtered: about 2 minutes on
two CPU cores, validation track accuracy 0.48 (n=1).
"""

from gtzan_jax.recipes import default


def get_config():
  config = default.get_config()
  config.recipe = "resnet"
  config.data.features = "mfcc_slices"
  config.data.protocol = "tracks_80_20"
  config.model.name = "resnet"
  config.model.dropout = 0.4
  config.model.shortcuts = True
  config.optim.name = "adam"
  config.optim.learning_rate = 1e-3
  config.optim.eps = 1e-7
  config.optim.eps_rule = "keras"
  config.optim.schedule = "exponential"
  config.optim.decay_rate = 0.95
  config.optim.decay_begin = 10
  config.loss.l2 = 1e-3
  config.loss.l2_layers = "dense"
  config.train.batch_size = 32
  config.train.epochs = 60
  config.train.patience = 0  # the source trains all epochs
  return config
