"""LSTM on real and generated waveforms: the LSTM-GAN project, Net6.

  python launch.py --config=configs/gan_waveform.py \\
    --config.data.path=/path/to/gtzan --workdir=runs/gan
  python launch.py --config=configs/lstm_cgan.py \\
    --config.data.path=/path/to/gtzan --config.data.augment_with=runs/gan

Net5 (see lstm) with one generated segment for each real one, up to 400 epochs,
patience 10. The source generated first and split afterwards, so half of its
test set was generated, and computed the features of generated audio at
16,000 Hz; here generated segments join the train split only, processed as real
ones. Needs audio.
"""

from gtzan_jax.recipes import lstm


def get_config():
  config = lstm.get_config()
  config.recipe = "lstm_cgan"
  config.data.protocol = "filtered"  # as the GAN's
  config.data.augment_with = ""  # without a GAN it would be Net5
  config.data.augment_ratio = 1.0
  config.train.epochs = 400
  config.train.patience = 10
  return config
