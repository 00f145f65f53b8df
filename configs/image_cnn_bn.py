"""CNN on spectrogram pictures: the LSTM-GAN project, Net3.

  python launch.py --config=configs/image_cnn_bn.py \\
    --config.data.path=/path/to/pictures

Net3: Net2 with BatchNorm after each convolution; Adam 1e-4, 50 epochs (and 100:
--config.train.epochs=100), tracks split 70 / 20 / 10 as in the source. The
source read Kaggle's pictures (`images_original`) at 180 x 180; give that
folder, or audio or a log-mel archive, from which a picture is rendered.

On the log-mel archive with --config.data.protocol=filtered: about 54 minutes on
two CPU cores beside other work, validation track accuracy 0.54 (n=1).
"""

from gtzan_jax.recipes import image_cnn2


def get_config():
  config = image_cnn2.get_config()
  config.recipe = "image_cnn_bn"
  config.model.name = "image_cnn_bn"
  return config
