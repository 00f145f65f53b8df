"""Two LSTM layers on a sequence of 33 features: the LSTM-GAN project, Net5.

  python launch.py --config=configs/lstm.py --config.data.path=/path/to/gtzan

13 MFCC, centroid, 12 chroma and 7 contrast bands of 61 frames, not
standardised; 2 x 128 (the source's code has 512: --config.model.hidden=512),
dropout 0.3, Adam 1e-4 (or RMSprop 5e-4), at most 100 epochs, patience 7 on the
validation loss. The source split segments (its own split:
--config.data.protocol=leaky_segments_70_20_10) and kept its last weights; here
tracks are split and the best weights are kept. Needs audio.

On 96 clips: 20 seconds on two CPU cores, 0.70 on 10 test tracks, which is
mostly artist recognition. On 371 cuts of 2 to 3 s with
--config.data.protocol=filtered it stops after 8 epochs with nothing learnt,
0.03 (n=1 each): see lstm_standardised.
"""

from gtzan_jax.recipes import default


def get_config():
  config = default.get_config()
  config.recipe = "lstm"
  config.data.features = "sequence"
  config.data.protocol = "tracks_70_20_10"
  config.model.name = "lstm"
  config.model.hidden = 128
  config.model.dropout = 0.3
  config.optim.name = "adam"
  config.optim.learning_rate = 1e-4
  config.train.batch_size = 32
  config.train.epochs = 100
  config.train.monitor = "validation/loss"
  config.train.patience = 7
  return config
