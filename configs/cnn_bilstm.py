"""Two convolutions with BatchNorm, then two bidirectional LSTM layers.

Source: the BiLSTM project, P2.

  python launch.py --config=configs/cnn_bilstm.py \\
    --config.data.path=/path/to/gtzan

On 80 x 80 log-mel patches, 15 a track; Adam 1e-3, batch 128, 50 epochs. The
source has 8 of the 10 genres and does not name them:
--config.data.genres="('blues', ...)". How it scaled its patches is unknown;
here they are standardised as a whole. It selects on the 20 % that it reports.

On the log-mel archive with --config.data.protocol=filtered: about 22 minutes on
two CPU cores beside other work, validation track accuracy 0.49 (n=1).
"""

from gtzan_jax.recipes import default


def get_config():
  config = default.get_config()
  config.recipe = "cnn_bilstm"
  config.data.features = "patches"
  config.data.protocol = "tracks_80_20"
  config.data.standardize = "global"
  config.model.name = "cnn_bilstm"
  config.optim.name = "adam"
  config.optim.learning_rate = 0.001
  config.optim.eps = 1e-7
  config.optim.eps_rule = "keras"
  config.train.batch_size = 128
  config.train.epochs = 50
  config.train.patience = 0  # the source trains all epochs
  return config
