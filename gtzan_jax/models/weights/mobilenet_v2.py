"""Names of MobileNetV2's layers in the files of other libraries.

Their order is the same everywhere: `UNITS`, each a convolution without bias and
a BatchNorm, then the head. Ours are the modules of gtzan_jax.models.mobilenet.
"""

import pathlib
from collections.abc import Iterable, Sequence

import numpy as np

from gtzan_jax.errors import InputError
from gtzan_jax.models.mobilenet import BLOCKS, BN_EPSILON
from gtzan_jax.models.weights.match_arrays import Conversion, Entries, Shapes

TORCH_EPSILON = 1e-5  # torch.nn.BatchNorm2d's
PARTS = ("expand", "depthwise", "project")
KERNEL = "params/{}/conv/kernel"
NORM = (
  "params/{}/norm/scale",
  "params/{}/norm/bias",
  "batch_stats/{}/norm/mean",
  "batch_stats/{}/norm/var",
)
HEAD = ("params/head/kernel", "params/head/bias")


def _parts(block: int) -> tuple[str, ...]:
  return PARTS if BLOCKS[block][0] > 1 else PARTS[1:]


UNITS = (
  "stem",
  *(f"block{n}/{part}" for n in range(len(BLOCKS)) for part in _parts(n)),
  "last",
)


def conversion(path: str, entries: Entries, names: Sequence[str]) -> Conversion:
  """How a file with these entries becomes MobileNetV2's variables.

  Args:
    path: its suffix decides whose names it has.
    entries: what `files.read` returned.
    names: the model's variables.

  Raises:
    InputError: another model, or layers without names.
  """
  ours = {name.format(unit) for name in (KERNEL, *NORM) for unit in UNITS}
  if set(names) != ours | set(HEAD):
    raise InputError(
      f"{path}: only mobilenet_v2 takes such a file; other models take an"
      " .npz written by gtzan_jax.models.weights.save_npz"
    )
  if any(name.startswith("layers/") for name in entries):
    raise InputError(
      f"{path} names no layers, as Keras 3 writes .weights.h5: save the whole"
      " model as .h5, model.save(path)"
    )
  return FORMATS[pathlib.Path(path).suffix.lower()](entries)


def _rows(unit: str, kernel: str, axes: str, norm: Iterable[str]) -> dict:
  rows: dict = {KERNEL.format(unit): (kernel, axes)}
  for name, weight in zip(NORM, norm, strict=True):
    rows[name.format(unit)] = (weight, "o")
  return rows


def _head(kernel: str, axes: str, bias: str) -> dict:
  return {HEAD[0]: (kernel, axes), HEAD[1]: (bias, "o")}


def _keras(entries: Entries) -> Conversion:
  """keras.applications, whole or without top, alone or inside a model.

  A weight's path has its layer's name somewhere: "Conv1/Conv1/kernel:0",
  "model_weights/mobilenetv2_1.00_224/Conv1/kernel:0", "Conv1/kernel".
  """
  layers = {unit: _keras_layers(unit) for unit in UNITS}
  known = {name for pair in layers.values() for name in pair}
  known |= {"predictions", "Logits"}
  places = {}
  for place in entries:
    *groups, weight = place.split("/")
    for layer in known.intersection(groups):
      places[f"{layer}/{weight.split(':')[0]}"] = place

  def find(layer: str, weight: str) -> str:
    return places.get(f"{layer}/{weight}", f"{layer}/{weight}")

  rows: dict = {}
  for unit, (conv, norm) in layers.items():
    depthwise = unit.endswith("depthwise")
    # In Keras 3 a depthwise kernel is called kernel.
    old = depthwise and f"{conv}/depthwise_kernel" in places
    kernel = find(conv, "depthwise_kernel" if old else "kernel")
    weights = ("gamma", "beta", "moving_mean", "moving_variance")
    rows |= _rows(
      unit,
      kernel,
      "hwoi" if depthwise else "hwio",
      (find(norm, weight) for weight in weights),
    )
  # Early versions of Keras: Logits.
  top = "Logits" if "Logits/kernel" in places else "predictions"
  head = _head(find(top, "kernel"), "io", find(top, "bias"))
  return Conversion(rows, head)


def _keras_layers(unit: str) -> tuple[str, str]:
  """Convolution and BatchNorm."""
  if unit == "stem":
    return "Conv1", "bn_Conv1"
  if unit == "last":
    return "Conv_1", "Conv_1_bn"
  block, part = unit.removeprefix("block").split("/")
  prefix = "expanded_conv" if block == "0" else f"block_{block}"
  return f"{prefix}_{part}", f"{prefix}_{part}_BN"


def _torch(entries: Entries) -> Conversion:
  """torchvision.models.mobilenet_v2's state dict."""
  rows: dict = {}
  for unit in UNITS:
    conv, norm = _torch_layers(unit)
    weights = ("weight", "bias", "running_mean", "running_var")
    names = (f"{norm}.{weight}" for weight in weights)
    rows |= _rows(unit, f"{conv}.weight", "oihw", names)
  head = _head("classifier.1.weight", "oi", "classifier.1.bias")
  return Conversion(rows, head, _other_epsilon)


def _torch_layers(unit: str) -> tuple[str, str]:
  """Convolution and BatchNorm."""
  if unit in ("stem", "last"):
    number = 0 if unit == "stem" else len(BLOCKS) + 1
    return f"features.{number}.0", f"features.{number}.1"
  block, part = unit.removeprefix("block").split("/")
  place = f"features.{int(block) + 1}.conv"
  step = _parts(int(block)).index(part)
  if part == "project":  # no ReLU6, so not wrapped in a Sequential
    return f"{place}.{step}", f"{place}.{step + 1}"
  return f"{place}.{step}.0", f"{place}.{step}.1"


def _other_epsilon(arrays: dict, shapes: Shapes) -> dict[str, np.ndarray]:
  """The same normalisation with our epsilon: the scale absorbs the rest."""
  scale, _, _, variance = NORM
  for unit in UNITS:
    var = arrays[variance.format(unit)].astype(np.float64)
    with np.errstate(invalid="ignore"):  # a variance below 0 becomes NaN
      factor = np.sqrt((var + BN_EPSILON) / (var + TORCH_EPSILON))
    arrays[scale.format(unit)] = arrays[scale.format(unit)] * factor
  return arrays


def _folded(entries: Entries) -> Conversion:
  """BatchNorm folded into kernels and biases: `00_conv_2d/w`, `/b`, ...

  The 53 layers are numbered in order; the last is the head, as a convolution.
  """
  rows: dict[str, tuple[str, str | None]] = {}
  for number, unit in enumerate(UNITS):
    depthwise = unit.endswith("depthwise")
    layer = f"{number:02d}_{'depthwise_' * depthwise}conv_2d"
    axes = "ihwo" if depthwise else "ohwi"
    rows[KERNEL.format(unit)] = (f"{layer}/w", axes)
    rows[NORM[1].format(unit)] = (f"{layer}/b", "o")
  layer = f"{len(UNITS):02d}_conv_2d"
  head = _head(f"{layer}/w", "ohwi", f"{layer}/b")
  return Conversion(rows, head, _identity_norm)


def _identity_norm(arrays: dict, shapes: Shapes) -> dict[str, np.ndarray]:
  """BatchNorm that only adds its bias, to the last bit."""
  scale, _, mean, variance = NORM
  for name, value in ((scale, 1.0), (mean, 0.0), (variance, 1.0 - BN_EPSILON)):
    for unit in UNITS:
      shape = shapes[name.format(unit)]
      arrays[name.format(unit)] = np.full(shape, value)
  return arrays


FORMATS = {
  ".h5": _keras,
  ".hdf5": _keras,
  ".safetensors": _torch,
  ".npz": _folded,
}
