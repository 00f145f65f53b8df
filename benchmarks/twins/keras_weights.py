"""Our weights in a Keras twin, for a check of both."""

import re
from collections.abc import Callable, Iterator

import keras
import numpy as np
from keras import layers as L

_MOBILENET = {
  "Conv1": "stem/conv",
  "bn_Conv1": "stem/norm",
  "Conv_1": "last/conv",
  "Conv_1_bn": "last/norm",
}
_BLOCK = re.compile(
  r"(?:expanded_conv|block_(\d+))_(expand|depthwise|project)(_BN)?"
)


def layers_of(model: keras.Model) -> Iterator[tuple[str, L.Layer]]:
  """(our path, layer), those of a network inside too."""
  for layer in model.layers:
    if isinstance(layer, keras.Model):
      yield from layers_of(layer)
    elif isinstance(layer, L.Bidirectional):
      yield f"{layer.name}/ahead", layer.forward_layer
      yield f"{layer.name}/back", layer.backward_layer
    elif match := _BLOCK.fullmatch(layer.name):
      block, unit, norm = match.groups()
      yield f"block{block or 0}/{unit}/{'norm' if norm else 'conv'}", layer
    else:
      yield _MOBILENET.get(layer.name, layer.name.replace(".", "/")), layer


def load(model: keras.Model, values: dict[str, np.ndarray]) -> None:
  """Copies our weights, by path, into the layers of the same path.

  Raises:
    ValueError: weights are left over, or an array has another shape.
  """
  left = dict(values)

  def take(path: str, *names: str) -> list[np.ndarray]:
    paths = [f"{path}/{name}" for name in names]
    return [left.pop(path) for path in paths if path in left]

  for path, layer in layers_of(model):
    if isinstance(layer, L.LSTM):
      biases = take(path, "bias", "input/bias")
      kernels = take(path, "input/kernel", "kernel")
      layer.two_biases = len(biases) == 2  # only their sum counts
      layer.set_weights([*kernels, sum(biases)])
    elif isinstance(layer, L.GRU):
      kernels = take(path, "input/kernel", "kernel", "input/bias")
      bias = np.pad(*take(path, "bias"), (2 * layer.units, 0))
      inputs, state, first = map(_update_first, kernels)
      layer.set_weights([inputs, state, np.stack([first, bias])])
    elif isinstance(layer, L.DepthwiseConv2D):
      (kernel,) = take(path, "kernel")
      layer.set_weights([kernel.swapaxes(2, 3)])
    else:
      names = ("embedding", "kernel", "scale", "bias", "mean", "var")
      if arrays := take(path, *names):
        layer.set_weights(arrays)
  if left:
    raise ValueError(f"no layer takes {', '.join(left)}")


def _update_first(array: np.ndarray) -> np.ndarray:
  """Gates reset, update, candidate to Keras's order, along the last axis."""
  reset, update, new = np.split(array, 3, axis=-1)
  return np.concatenate([update, reset, new], axis=-1)


def holder(model: keras.Model) -> Callable[[], None]:
  """A function to be called after a step: biases move as ours.

  A bias that is the sum of two of ours moves twice as far; of a GRU's biases
  that ours lacks nothing moves.
  """
  layers = [layer for _, layer in layers_of(model)]
  sums = [layer for layer in layers if getattr(layer, "two_biases", False)]
  grus = [layer for layer in layers if isinstance(layer, L.GRU)]
  before = [layer.get_weights()[2] for layer in sums]

  def hold() -> None:
    for number, layer in enumerate(sums):
      *kernels, bias = layer.get_weights()
      before[number] = 2 * bias - before[number]
      layer.set_weights([*kernels, before[number]])
    for layer in grus:
      *kernels, bias = layer.get_weights()
      bias[1, : 2 * layer.units] = 0
      layer.set_weights([*kernels, bias])

  return hold
