"""MLP on 57 summary features of a track: the ResNet project, phase 1.

  python launch.py --config=configs/mlp.py \\
    --config.data.path=features_30_sec.csv

Kaggle's table, or the same columns computed from audio; standardised by the
train tracks alone; 256-128-64 with dropout 0.3, Adam, 50 epochs, batch 32,
tracks split 80 / 20 as in the source, of the 80 an eighth to validate.

On Kaggle's table of 710 tracks with --config.data.protocol=filtered: about 10
seconds on two CPU cores, validation track accuracy 0.45 (n=1). From audio,
after preparing (1.4 s a track): 0.38 on 371 cuts of 2 to 3 s (filtered,
validation), 0.75 on the 20 test tracks of 96 clips, which is mostly artist
recognition (n=1 each).
"""

from gtzan_jax.recipes import default


def get_config():
  config = default.get_config()
  config.recipe = "mlp"
  config.data.features = "table57"
  config.data.protocol = "tracks_80_20"
  config.data.standardize = "bin"
  config.model.name = "mlp"
  config.optim.name = "adam"
  config.optim.learning_rate = 1e-3
  config.optim.eps = 1e-7
  config.optim.eps_rule = "keras"
  config.train.batch_size = 32
  config.train.epochs = 50
  config.train.patience = 0  # the source trains all epochs
  return config
