"""CNN on spectrogram pictures: the LSTM-GAN project, Net2.

  python launch.py --config=configs/image_cnn2.py \\
    --config.data.path=/path/to/pictures

Net2: four convolutions in two stages, one hidden layer of 256; Adam 1e-4, 50
epochs (and 100: --config.train.epochs=100), tracks split 70 / 20 / 10 as in the
source. The source read Kaggle's pictures (`images_original`) at 180 x 180; give
that folder, or audio or a log-mel archive, from which a picture is rendered.

On the log-mel archive with --config.data.protocol=filtered: about 60 minutes on
two CPU cores beside other work, validation track accuracy 0.47 (n=1).
"""

from gtzan_jax.recipes import default


def get_config():
  config = default.get_config()
  config.recipe = "image_cnn2"
  config.data.features = "image_180"
  config.data.protocol = "tracks_70_20_10"
  config.model.name = "image_cnn2"
  config.optim.name = "adam"
  config.optim.learning_rate = 1e-4
  config.train.batch_size = 32
  config.train.epochs = 50
  config.train.patience = 0  # the source trains all epochs
  return config
