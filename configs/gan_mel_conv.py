"""Convolutional conditional GAN of log-mel spectrograms.

  python launch.py --config=configs/gan_mel_conv.py \\
    --config.data.path=/path/to/gtzan_or_archive.npz

Ours, beside the source's GANs; settings chosen on validation tracks.

On the log-mel archive, on two CPU cores beside other work: 13 minutes after its
judge, which assigns 0.52 of the examples to the requested genre; on its MFCCs
(--config.data.features=mfcc) 2 minutes, 0.44 (n=1 each; see docs/gan.md).
"""

from gtzan_jax.recipes import gan_features


def get_config():
  config = gan_features.get_config()
  config.recipe = "gan_mel_conv"
  config.data.features = "logmel_1024"
  del config.model.output
  config.model.name = "cgan_conv"
  config.optim.learning_rate = 1e-3
  config.gan.discriminator_rate = 0.5
  config.gan.r1 = 10.0
  config.gan.average = 0.999
  config.train.epoch_steps = 100
  config.train.epochs = 30
  return config
