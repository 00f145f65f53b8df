"""CNN on spectrogram pictures: the ResNet project, phase 2.

  python launch.py --config=configs/image_cnn.py \\
    --config.data.path=/path/to/pictures

256 x 256 x 3, three convolutions of 32, 64 and 128, one hidden layer of 128
with dropout 0.5, Adam, 30 epochs, tracks split 80 / 20 as in the source. The
source read Kaggle's pictures (`images_original`); audio or a log-mel archive is
rendered.

On the log-mel archive with --config.data.protocol=filtered: about 45 minutes on
two CPU cores beside other work, validation track accuracy 0.47 (n=1).
"""

from gtzan_jax.recipes import default


def get_config():
  config = default.get_config()
  config.recipe = "image_cnn"
  config.data.features = "image_256"
  config.data.protocol = "tracks_80_20"
  config.model.name = "image_cnn"
  config.optim.name = "adam"
  config.optim.learning_rate = 1e-3
  config.optim.eps = 1e-7
  config.optim.eps_rule = "keras"
  config.train.batch_size = 32
  config.train.epochs = 30
  config.train.patience = 0  # the source trains all epochs
  return config
