"""CNN on spectrogram pictures: the LSTM-GAN project, Net4.

  python launch.py --config=configs/image_cnn_bn_rmsprop.py \\
    --config.data.path=/path/to/pictures

Net4: Net3 trained with RMSprop; RMSprop 1e-4, 50 epochs (and 100:
--config.train.epochs=100), tracks split 70 / 20 / 10 as in the source. The
source read Kaggle's pictures (`images_original`) at 180 x 180; give that
folder, or audio or a log-mel archive, from which a picture is rendered.

On the log-mel archive with --config.data.protocol=filtered: about 78 minutes on
two CPU cores beside other work, validation track accuracy 0.48 (n=1).
"""

from gtzan_jax.recipes import image_cnn_bn


def get_config():
  config = image_cnn_bn.get_config()
  config.recipe = "image_cnn_bn_rmsprop"
  config.optim.name = "rmsprop"
  return config
