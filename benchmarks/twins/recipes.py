"""What a side needs to know of a recipe, read from the recipe itself."""

from collections.abc import Mapping

import ml_collections
import numpy as np

from gtzan_jax import models
from gtzan_jax.errors import InputError
from gtzan_jax.models import published_sizes
from gtzan_jax.training import find_recipe, losses

RECIPES = (*published_sizes.REFERENCE, "gan_features", "gan_mel_conv")
# Train examples of each class, behind the weights of a balanced loss.
EXAMPLES = np.arange(30, 50)
_AUGMENTATION = (
  *("gain_db", "shift_s", "noise_probability", "time_masks", "bin_masks"),
  "mixup_alpha",
)
_DROPOUT = ("dropout", "block_dropout", "drop_path")


def config(
  recipe: str, batch_size: int | None = None, dropout: bool = True
) -> ml_collections.ConfigDict:
  """The recipe without augmentation and with a constant learning rate.

  Those are the same work on every side and small beside a step.

  Raises:
    InputError: the comparison has no such recipe.
  """
  if recipe not in RECIPES:
    raise InputError(f"unknown recipe {recipe!r}; give {', '.join(RECIPES)}")
  path = find_recipe.find(recipe)
  assert path is not None
  found = find_recipe.load(path)
  for name in _AUGMENTATION:
    found.augment[name] = type(found.augment[name])(0)
  found.optim.schedule = "constant"
  if batch_size:
    found.train.batch_size = batch_size
  if not dropout and found.task == "classify":
    for name in models.options(found.model.name):
      if name in _DROPOUT:
        found.model[name] = 0.0
  return found


def spec(recipe: str, batch_size: int | None = None) -> dict:
  """A recipe in plain values, as JSON holds them.

  `shape` is that of an example, `optim` and `gan` are sections of the config,
  `l2` is the penalty's factor for the kernel of the layer `dense`.
  """
  found = config(recipe, batch_size)
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
