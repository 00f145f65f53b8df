"""Losses of a classifier: pure functions on arrays."""

import re
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import traverse_util

from gtzan_jax.errors import InputError


def cross_entropy(
  logits: jax.Array,
  labels: jax.Array,
  *,
  smoothing: float = 0.0,
  class_weights: jax.Array | np.ndarray | None = None,
) -> jax.Array:
  """Softmax cross-entropy of each example, in nats.

  A mixture's loss is that of its labels, each times its own share and its own
  class's weight. The mean over a batch then divides by the number of examples,
  not by the sum of weights (Keras's rule, where PyTorch divides by the
  weights): a batch of rare classes counts for more.

  Args:
    logits: `[batch, num_classes]`.
    labels: integers `[batch]`, or probabilities `[batch, num_classes]`.
    smoothing: share of each label spread evenly over all classes, as in Keras
      and PyTorch: `(1 - s) * label + s / num_classes`.
    class_weights: `[num_classes]`, or None for ones.

  Returns:
    `[batch]`.
  """
  if labels.ndim == 1:
    labels = jax.nn.one_hot(labels, logits.shape[-1], dtype=logits.dtype)
  spread: jax.Array | float = 1.0
  if class_weights is not None:
    labels = labels * jnp.asarray(class_weights)[None]
    spread = labels.sum(-1, keepdims=True)
  labels = (1.0 - smoothing) * labels + smoothing / logits.shape[-1] * spread
  return optax.softmax_cross_entropy(logits, labels)


def balanced_class_weights(counts) -> np.ndarray:
  """Weights that let each class count the same, `[num_classes]` float32.

  `n_examples / (n_classes_present * count)`, scikit-learn's "balanced" for the
  classes that occur; a class with no example has weight 0.

  Args:
    counts: training examples of each class, `[num_classes]`.
  """
  counts = np.asarray(counts, np.float64)
  present = counts > 0
  weights = np.zeros_like(counts)
  weights[present] = counts.sum() / (present.sum() * counts[present])
  return weights.astype(np.float32)


def l2(params, *, strength: float, layers: str) -> jax.Array:
  """`strength * sum(w^2)` over chosen kernels, Keras's `regularizers.l2`.

  Biases and BatchNorm's scales are never penalised.

  Args:
    params: the model's parameters (nested dicts).
    strength: the factor; 0 gives exactly 0 whatever the layers.
    layers: regular expression that has to match a layer's whole path, names
      joined by "/": "dense" is that layer alone, ".*" every layer.

  Raises:
    InputError: if the expression is none, or matches no layer with a kernel.
  """
  if strength == 0:
    return jnp.zeros(())
  try:
    pattern = re.compile(layers)
  except re.error as error:
    raise InputError(
      f"L2 layers {layers!r} is no regular expression: {error}"
    ) from None
  flat = traverse_util.flatten_dict(params)
  kernels = {"/".join(p[:-1]): w for p, w in flat.items() if p[-1] == "kernel"}
  chosen = [w for name, w in kernels.items() if pattern.fullmatch(name)]
  if not chosen:
    raise InputError(
      f"L2 layers {layers!r} matches no layer; the layers are"
      f" {', '.join(sorted(kernels))}"
    )
  total: Any = sum(jnp.sum(jnp.square(w)) for w in chosen)
  return strength * total
