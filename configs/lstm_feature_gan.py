"""The LSTM-GAN project's Net6 in features: LSTM on real and generated ones.

  python launch.py --config=configs/gan_features.py \\
    --config.data.path=/path/to/gtzan --workdir=runs/gan
  python launch.py --config=configs/lstm_feature_gan.py \\
    --config.data.path=/path/to/gtzan --config.data.augment_with=runs/gan

As lstm_cgan, with sequences of features from gan_features, patience 7. On a
log-mel archive give both --config.data.features=mfcc.
"""

from gtzan_jax.recipes import lstm_cgan


def get_config():
  config = lstm_cgan.get_config()
  config.recipe = "lstm_feature_gan"
  config.train.patience = 7
  return config
