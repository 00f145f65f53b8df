"""CNN on stacked mel, MFCC, chroma and contrast: the Fusion project.

  python launch.py --config=configs/fusion_cnn.py \\
    --config.data.path=/path/to/gtzan

The first 130 frames of a clip, 187 rows; three convolutions of 64, 128 and 256,
dropout 0.3 and 0.7, L2 1e-3 on the hidden layer, balanced class weights, Adam
with the rate times 0.2 after 5 epochs without a best, patience 15 on the
validation accuracy, batch 8, 50 epochs. The source stops by, and reports, one
and the same 20 % (--config.data.protocol=leaky_selection_80_20). Needs audio.

On 371 cuts of 2 to 3 s with --config.data.protocol=filtered: about 8 minutes on
two CPU cores beside other work, validation track accuracy 0.44; on 96 clips 3
minutes, 0.55 on 20 test tracks, which is mostly artist recognition (n=1 each).
"""

from gtzan_jax.recipes import default


def get_config():
  config = default.get_config()
  config.recipe = "fusion_cnn"
  config.data.features = "fusion"
  config.data.protocol = "tracks_80_20"
  config.model.name = "fusion_cnn"
  config.optim.name = "adam"
  config.optim.learning_rate = 1e-3
  config.optim.eps = 1e-7
  config.optim.eps_rule = "keras"
  config.optim.schedule = "plateau"
  config.optim.plateau_factor = 0.2
  config.optim.plateau_patience = 5
  config.loss.class_weights = "balanced"
  config.loss.l2 = 1e-3
  config.loss.l2_layers = "dense"
  config.train.batch_size = 8
  config.train.epochs = 50
  config.train.monitor = "validation/accuracy"
  config.train.ties = "first"  # EarlyStopping, ReduceLROnPlateau of Keras
  config.train.patience = 15
  return config
