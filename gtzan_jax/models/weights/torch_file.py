"""State dicts that torch.save wrote, without torch and without running them.

A .pt is a pickle of tensors that name their storages, and the storages' bytes:
a zip with `data.pkl` and `data/<key>` since torch 1.6, before that one stream
(as the first of torchvision's two MobileNetV2 files). A pickle is a program;
this one may call nothing but what stands in `_Unpickler`, and those only note
down what they are called with.
"""

import math
import pathlib
import pickle
import zipfile
from collections import OrderedDict
from typing import BinaryIO, NamedTuple

import ml_dtypes
import numpy as np

from gtzan_jax.errors import InputError

STORAGES = {
  "DoubleStorage": np.dtype(np.float64),
  "FloatStorage": np.dtype(np.float32),
  "HalfStorage": np.dtype(np.float16),
  "BFloat16Storage": np.dtype(ml_dtypes.bfloat16),
  "LongStorage": np.dtype(np.int64),  # num_batches_tracked
}
MAGIC = 0x1950A86A20F9469CFC6C  # what a stream begins with


class Storage(NamedTuple):
  key: str
  dtype: np.dtype


class Tensor(NamedTuple):
  storage: Storage
  offset: int
  size: tuple[int, ...]
  stride: tuple[int, ...]


class _Unpickler(pickle.Unpickler):
  """Knows tensors, parameters and dicts; refuses any other name."""

  def __init__(self, file: BinaryIO):
    super().__init__(file)
    self.storages: dict[str, Storage] = {}
    # An opcode can set attributes of whatever find_class returns: on strings
    # and on OrderedDict it cannot, and these functions die with the file.
    self._known = {
      "collections.OrderedDict": OrderedDict,
      "torch._utils._rebuild_tensor_v2": lambda *args: Tensor(*args[:4]),
      "torch._utils._rebuild_parameter": lambda tensor, *rest: tensor,
      **{f"torch.{name}": name for name in STORAGES},
    }

  def find_class(self, module: str, name: str):
    wanted = f"{module}.{name}"
    if wanted not in self._known:
      raise InputError(
        f"refused, as it asks for {wanted!r}; of .pt files only state dicts"
        " are read: torch.save(model.state_dict(), path)"
      )
    return self._known[wanted]

  def persistent_load(self, saved: tuple) -> Storage:
    what, kind, key, _, _, *view = saved
    if what != "storage" or kind not in STORAGES or any(view):
      raise InputError(f"refused, as a {what!r} in it is of no known kind")
    return self.storages.setdefault(key, Storage(key, STORAGES[kind]))


def read(path: pathlib.Path) -> dict[str, np.ndarray]:
  """The tensors of a state dict by name.

  Raises:
    InputError: it asks for more than tensors, or holds none. A damaged file
      raises whatever it may: the caller says so.
  """
  if zipfile.is_zipfile(path):
    tensors, stored = _read_zip(path)
  else:
    tensors, stored = _read_stream(path)
  found = {
    name: _array(tensor, stored[tensor.storage.key])
    for name, tensor in (tensors if isinstance(tensors, dict) else {}).items()
    if isinstance(tensor, Tensor)
  }
  if not found:
    raise InputError(
      "no tensors by name: torch.save(model.state_dict(), path) writes them"
    )
  return found


def _read_zip(path: pathlib.Path) -> tuple[dict, dict[str, bytes]]:
  with zipfile.ZipFile(path) as file:
    names = file.namelist()
    (pickled,) = (name for name in names if name.endswith("/data.pkl"))
    root = pickled.removesuffix("data.pkl")
    if root + "byteorder" in names and file.read(root + "byteorder") == b"big":
      raise InputError("big-endian; save it again on a usual machine")
    with file.open(pickled) as stream:
      tensors = _Unpickler(stream).load()
    keys = {
      name.removeprefix(root + "data/"): name
      for name in names
      if name.startswith(root + "data/")
    }
    return tensors, {key: file.read(name) for key, name in keys.items()}


def _read_stream(path: pathlib.Path) -> tuple[dict, dict[str, bytes]]:
  with open(path, "rb") as file:
    if _Unpickler(file).load() != MAGIC:
      raise InputError("this is no file of torch.save")
    _Unpickler(file).load()  # version of the format: there was one only
    _Unpickler(file).load()  # sizes of C types
    unpickler = _Unpickler(file)
    tensors, stored = unpickler.load(), {}
    for key in _Unpickler(file).load():
      count = int.from_bytes(file.read(8), "little")
      stored[key] = file.read(count * unpickler.storages[key].dtype.itemsize)
    return tensors, stored


def _array(tensor: Tensor, stored: bytes) -> np.ndarray:
  """The values of a tensor, which is a view of its storage's bytes."""
  storage, offset, size, stride = tensor
  values = np.frombuffer(stored, storage.dtype.newbyteorder("<"))
  if len(size) != len(stride) or min((offset, *size, *stride)) < 0:
    raise InputError(f"damaged: a tensor of size {size} and stride {stride}")
  if math.prod(size):
    steps = zip(size, stride, strict=True)
    if offset + sum((n - 1) * s for n, s in steps) >= len(values):
      raise InputError(f"damaged: {len(values)} values do not fill {size}")
  return np.lib.stride_tricks.as_strided(
    values[offset:], size, [step * values.itemsize for step in stride]
  )
