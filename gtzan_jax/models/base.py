"""The interface of every model."""

import jax
from flax import linen as nn


class Classifier(nn.Module):
  """A genre classifier on one array of features.

  Contract:

    variables = model.init(key, x, train=False)
    logits = model.apply(variables, x, train=False)
    logits, changed = model.apply(variables, x, train=True,
                                  rngs={"dropout": key},
                                  mutable=["batch_stats"])

  - `x` is `[batch, frames, bins]`, float32, in the feature set's own unit
    (dB for log-mel); logits are `[batch, num_classes]`, before the softmax.
  - An example's logits depend on no other example when `train=False`.
  - The first layer is `layers.InputStats`, in the collection `input_stats`.
  - `params` holds what is trained, `batch_stats` the averages of BatchNorm (if
    the model has any); there are no other collections.

  Attributes:
    num_classes: the number of logits.
  """

  num_classes: int

  def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
    """Returns logits `[batch, num_classes]` of `x` `[batch, frames, bins]`."""
    raise NotImplementedError(f"{type(self).__name__} defines no __call__")
