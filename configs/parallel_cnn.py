"""Two shallow convolutional branches side by side: the BiLSTM project, P1.1.

  python launch.py --config=configs/parallel_cnn.py \\
    --config.data.path=/path/to/gtzan

On 80 x 80 log-mel patches, 15 a track; SGD (0.01, momentum 0.9), batch 128, 50
epochs. The source has 8 of the 10 genres and does not name them:
--config.data.genres="('blues', ...)". How it scaled its patches is unknown;
here they are standardised as a whole. It selects on the 20 % that it reports.

On the log-mel archive with --config.data.protocol=filtered: about 7 minutes on
two CPU cores beside other work, validation track accuracy 0.54 (n=1).
"""

from gtzan_jax.recipes import default


def get_config():
  config = default.get_config()
  config.recipe = "parallel_cnn"
  config.data.features = "patches"
  config.data.protocol = "tracks_80_20"
  config.data.standardize = "global"
  config.model.name = "parallel_cnn"
  config.optim.name = "sgd"
  config.optim.learning_rate = 0.01
  config.optim.momentum = 0.9
  config.train.batch_size = 128
  config.train.epochs = 50
  config.train.patience = 0  # the source trains all epochs
  return config
