"""Our weights in a PyTorch twin, for a check of both."""

from collections.abc import Callable

import numpy as np
import torch
from torch import nn

_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d)
_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d)


def _rows(kernel: np.ndarray, parts) -> np.ndarray:
  """The rows of a kernel behind flattened pictures, channels first."""
  pieces, start = [], 0
  for height, width, channels in parts:
    end = start + height * width * channels
    piece = kernel[start:end].reshape(height, width, channels, -1)
    pieces.append(piece.transpose(2, 0, 1, 3).reshape(end - start, -1))
    start = end
  return np.concatenate(pieces)


def load(network: nn.Module, values: dict[str, np.ndarray]) -> None:
  """Copies our weights, by path, into the modules of the same path.

  Raises:
    ValueError: weights are left over, or an array has another shape.
  """
  left = dict(values)
  flattened = getattr(network, "flattened", {})
  half_turn = getattr(network, "turned_by_half", False)

  def copy(target: torch.Tensor, array: np.ndarray) -> None:
    if target.shape != array.shape:
      raise ValueError(f"{tuple(target.shape)} takes no {array.shape}")
    with torch.no_grad():
      target.copy_(torch.from_numpy(np.ascontiguousarray(array)))

  def kernel(path: str) -> np.ndarray:
    array = left.pop(f"{path}/kernel")
    layer = path.removesuffix("/input")
    return _rows(array, flattened[layer]) if layer in flattened else array

  for name, module in network.named_modules():
    path = name.replace(".", "/")
    if isinstance(module, nn.Linear):
      copy(module.weight, kernel(path).T)
    elif isinstance(module, _CONVOLUTIONS):
      array = left.pop(f"{path}/kernel")
      if half_turn:
        array = array[::-1, ::-1]
      copy(module.weight, np.moveaxis(array, (-1, -2), (0, 1)))
    elif isinstance(module, _NORMS):
      copy(module.running_mean, left.pop(f"{path}/mean"))
      copy(module.running_var, left.pop(f"{path}/var"))
    elif isinstance(module, nn.Embedding):
      copy(module.weight, left.pop(f"{path}/embedding"))
    elif isinstance(module, nn.RNNBase):
      for suffix, layer in module.parts.items():
        _copy_recurrent(module, suffix, layer, left, copy, kernel)
    if isinstance(module, (*_NORMS, nn.LayerNorm)):
      copy(module.weight, left.pop(f"{path}/scale"))
    if f"{path}/bias" in left:
      copy(module.bias, left.pop(f"{path}/bias"))
  if left:
    raise ValueError(f"no module takes {', '.join(left)}")


def _copy_recurrent(module, suffix, layer, left, copy, kernel) -> None:
  """Both kernels and both biases of a layer; of ours some may be missing."""
  copy(getattr(module, f"weight_ih_{suffix}"), kernel(f"{layer}/input").T)
  copy(getattr(module, f"weight_hh_{suffix}"), left.pop(f"{layer}/kernel").T)
  other = getattr(module, f"bias_hh_{suffix}")
  bias = left.pop(f"{layer}/bias")
  first = left.pop(f"{layer}/input/bias", None)
  if first is None:
    first, bias = bias, bias[:0]
  copy(getattr(module, f"bias_ih_{suffix}"), first)
  missing = len(other) - len(bias)
  copy(other, np.concatenate([np.zeros(missing, "float32"), bias]))
  module.missing = {**getattr(module, "missing", {}), suffix: missing}


def holder(network: nn.Module) -> Callable[[], None]:
  """A function to be called after a step: biases that ours lacks stay 0.

  torch has two biases a gate, ours one where only their sum has an effect. Two
  would move it twice as far.
  """
  held = [
    getattr(module, f"bias_hh_{suffix}")[:missing]
    for module in network.modules()
    for suffix, missing in getattr(module, "missing", {}).items()
  ]

  def hold() -> None:
    with torch.no_grad():
      for bias in held:
        bias.zero_()

  return hold


def without_dropout(network: nn.Module) -> None:
  for module in network.modules():
    if isinstance(module, nn.Dropout):
      module.p = 0.0
    elif isinstance(module, nn.RNNBase):
      module.dropout = 0.0
