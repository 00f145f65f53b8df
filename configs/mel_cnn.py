"""CNN on log-mel spectrograms: the CNN-GRU project's base CNN.

  python launch.py --config=configs/mel_cnn.py --config.data.path=/path/to/gtzan

The source names the layers (convolution, pooling, dropout, fully connected),
Adam 1e-3 and 30 epochs, and neither sizes nor the kind of its spectrogram
augmentation. They were chosen on the validation split of the fault-filtered
partition: four blocks, SpecAugment, mixup, +-6 dB of gain, a cosine rate.

On the log-mel archive with --config.data.protocol=filtered: 5 to 15 minutes
on two CPU cores beside other work, validation track accuracy 0.599 +- 0.009 (3
seeds).
"""

from gtzan_jax.recipes import default


def get_config():
  config = default.get_config()
  config.recipe = "mel_cnn"
  config.data.features = "logmel_1024"
  config.data.protocol = "tracks_80_20"
  config.data.standardize = "bin"
  config.model.name = "mel_cnn"
  config.model.channels = (16, 32, 64, 128)
  config.model.dense = 128
  config.model.dropout = 0.4
  config.optim.name = "adam"
  config.optim.learning_rate = 1e-3
  config.optim.schedule = "cosine"
  config.optim.warmup_epochs = 1.0
  config.augment.gain_db = 6.0
  config.augment.time_masks = 2
  config.augment.time_width = 0.25
  config.augment.bin_masks = 2
  config.augment.bin_width = 0.15
  config.augment.mixup_alpha = 0.3
  config.train.batch_size = 64
  config.train.epochs = 30
  config.train.patience = 15
  return config
