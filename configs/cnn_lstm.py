"""CNN and LSTM on log-mel spectrograms (the CNN-GRU project).

  python launch.py --config=configs/cnn_lstm.py \\
    --config.data.path=/path/to/gtzan

Convolutions, then a LSTM over time, then dense layers. The source names
dropout, spectrogram augmentation, Adam 1e-3, 30 epochs and early stopping, and
neither sizes nor the kind of augmentation; here SpecAugment and gain. It has no
validation split and stops on test.

On the log-mel archive with --config.data.protocol=filtered: about 8 minutes on
two CPU cores beside other work, validation track accuracy 0.56 (n=1).
"""

from gtzan_jax.recipes import cnn_gru


def get_config():
  config = cnn_gru.get_config()
  config.recipe = "cnn_lstm"
  config.model.name = "cnn_lstm"
  return config
