"""What a side needs to know of a recipe, read from the recipe itself."""

from collections.abc import Mapping

import ml_collections
import numpy as np

from gtzan_jax import models
from gtzan_jax.errors import InputError
from gtzan_jax.models import published_sizes
from gtzan_jax.training import find_recipe, losses

_GANS = ("gan_features", "gan_mel_conv")  # their room may be deleted
RECIPES = (*published_sizes.REFERENCE, *filter(find_recipe.find, _GANS))
# Train examples of each class, behind the weights of a balanced loss.
EXAMPLES = np.arange(30, 50)
AUGMENTATION = (
  *("gain_db", "shift_s", "noise_probability", "time_masks", "bin_masks"),
  "mixup_alpha",
)
# Factors of the learning rate in a check, where three steps at the recipe's own
# learn the one batch, or make the rounding of float32 a hundred times as large.
CHECKED_RATE = {
  "fusion_cnn": 0.1,
  "gan_mel_conv": 0.1,
  "image_cnn_bn": 0.01,
  "image_cnn_bn_rmsprop": 0.001,
}
# Of the losses in a check, relative to float64. Of two almost equal values of a
# maximum or beside a kink the gradient may take the other one in float32, as
# torch's does: up to 1e-4 in these two, less elsewhere.
TOLERANCE = 1e-4
LOOSER = {"gan_mel_conv": 3e-4, "mel_cnn": 3e-4}
_DROPOUT = ("dropout", "block_dropout", "drop_path")


def config(
  recipe: str, batch_size: int | None = None, check: bool = False
) -> ml_collections.ConfigDict:
  """The recipe without augmentation and with a constant learning rate.

  Those are the same work on every side and small beside a step. A check has no
  dropout either.

  Raises:
    InputError: the comparison has no such recipe.
  """
  if recipe not in RECIPES:
    raise InputError(f"unknown recipe {recipe!r}; give {', '.join(RECIPES)}")
  path = find_recipe.find(recipe)
  assert path is not None
  found = find_recipe.load(path)
  for name in AUGMENTATION:
    found.augment[name] = type(found.augment[name])(0)
  found.optim.schedule = "constant"
  if batch_size:
    found.train.batch_size = batch_size
  if check:
    found.optim.learning_rate *= CHECKED_RATE.get(recipe, 1.0)
    if found.task == "classify":
      for name in models.options(found.model.name):
        if name in _DROPOUT:
          found.model[name] = 0.0
  return found


def spec(
  recipe: str, batch_size: int | None = None, check: bool = False
) -> dict:
  """A recipe in plain values, as JSON holds them.

  `shape` is that of an example, `optim` and `gan` are sections of the config,
  `l2` is the penalty's factor for the kernel of the layer `dense`.
  """
  found = config(recipe, batch_size, check)
  reference = published_sizes.REFERENCE.get(recipe)
  classes = reference.classes if reference else 10
  weights = None
  if found.loss.class_weights == "balanced":
    weights = losses.balanced_class_weights(EXAMPLES[:classes]).tolist()
  assert not found.loss.l2 or found.loss.l2_layers == "dense"
  return {
    "recipe": recipe,
    "task": found.task,
    "model": found.model.name,
    "shape": published_sizes.INPUTS[found.data.features],
    "batch_size": found.train.batch_size,
    "classes": classes,
    "class_weights": weights,
    "l2": found.loss.l2,
    "optim": found.optim.to_dict(),
    "gan": _gan(found),
  }


def _gan(found: ml_collections.ConfigDict) -> Mapping:
  names = ("r1", "average", "discriminator_rate")
  return {name: found.gan[name] for name in names}
