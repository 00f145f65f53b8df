"""MobileNetV2 with ImageNet weights on pictures: the ResNet project, phase 3.

  python launch.py --config=configs/mobilenet_v2.py \\
    --config.data.path=/path/to/pictures --config.train.init_from=mobilenet.npz

The backbone is frozen; a head with dropout 0.5 is trained on its mean: Adam
1e-3, 20 epochs, tracks split 80 / 20 as in the source. Weights: Keras .h5,
torchvision .safetensors (with --config.model.padding=torch and
--config.model.scaling=torch), or .npz; see docs/weights.md. A second stage
continues from there with the last blocks unfrozen:
--config.train.init_from=<run folder of the first>
--config.model.trainable_from=14 --config.optim.learning_rate=1e-5.

On the log-mel archive with --config.data.protocol=filtered: about 5 minutes on
two CPU cores beside other work, validation track accuracy 0.53 (n=1).
"""

from gtzan_jax.recipes import default


def get_config():
  config = default.get_config()
  config.recipe = "mobilenet_v2"
  config.data.features = "image_256"
  config.data.protocol = "tracks_80_20"
  config.model.name = "mobilenet_v2"
  config.model.dropout = 0.5
  config.model.padding = "tf"
  config.model.scaling = "tf"
  config.model.frozen = True
  config.model.trainable_from = 17  # of 17 blocks: none of the backbone
  config.optim.name = "adam"
  config.optim.learning_rate = 1e-3
  config.optim.eps = 1e-7
  config.optim.eps_rule = "keras"
  config.train.batch_size = 32
  config.train.epochs = 20
  config.train.patience = 0  # the source trains all epochs
  return config
