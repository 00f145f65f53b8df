"""Fully connected network on spectrogram pictures: the LSTM-GAN project, Net1.

  python launch.py --config=configs/fcn.py --config.data.path=/path/to/pictures

180 x 180 x 3 flattened, two layers of 512, Adam 1e-4, 50 epochs (and 100:
--config.train.epochs=100), tracks split 70 / 20 / 10 as in the source. The
source read Kaggle's pictures (`images_original`) at 180 x 180; give that
folder, or audio or a log-mel archive, from which a picture is rendered.

On the log-mel archive with --config.data.protocol=filtered: about 6 minutes on
two CPU cores beside other work, validation track accuracy 0.44 (n=1).
"""

from gtzan_jax.recipes import default


def get_config():
  config = default.get_config()
  config.recipe = "fcn"
  config.data.features = "image_180"
  config.data.protocol = "tracks_70_20_10"
  config.model.name = "fcn"
  config.optim.name = "adam"
  config.optim.learning_rate = 1e-4
  config.train.batch_size = 32
  config.train.epochs = 50
  config.train.patience = 0  # the source trains all epochs
  return config
