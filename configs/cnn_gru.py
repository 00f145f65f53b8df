"""CNN and GRU on log-mel spectrograms (the CNN-GRU project).

  python launch.py --config=configs/cnn_gru.py --config.data.path=/path/to/gtzan

Convolutions, then a GRU over time, then dense layers. The source names
dropout, spectrogram augmentation, Adam 1e-3, 30 epochs and early stopping, and
neither sizes nor the kind of augmentation; here SpecAugment and gain. It has no
validation split and stops on test.

On the log-mel archive with --config.data.protocol=filtered: about 3 minutes on
two CPU cores, validation track accuracy 0.57 (n=1).
"""

from gtzan_jax.recipes import default


def get_config():
  config = default.get_config()
  config.recipe = "cnn_gru"
  config.data.features = "logmel_1024"
  config.data.protocol = "tracks_80_20"
  config.data.standardize = "bin"
  config.model.name = "cnn_gru"
  config.optim.name = "adam"
  config.optim.learning_rate = 1e-3
  config.augment.gain_db = 6.0
  config.augment.time_masks = 2
  config.augment.time_width = 0.25
  config.augment.bin_masks = 2
  config.augment.bin_width = 0.15
  config.train.batch_size = 64
  config.train.epochs = 30
  config.train.patience = 10
  return config
