"""Reads trained weights from files into a model's variables, and writes them.

MobileNetV2's from Keras, torchvision or an .npz with BatchNorm folded in; any
model's from the .npz that `save_npz` writes. Formats: docs/weights.md.
"""

from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np
from flax import traverse_util

from gtzan_jax.errors import InputError
from gtzan_jax.models.weights import file_formats, match_arrays, mobilenet_v2

COLLECTIONS = ("params/", "batch_stats/")
HEAD = "params/head/"


def load(path: str, variables: Mapping, *, head: bool = False) -> dict:
  """Returns the variables with the weights of a file.

  Args:
    path: .h5 or .hdf5 (Keras), .safetensors (torchvision) or .npz.
    variables: what the model's `init` returned, or its shapes and dtypes.
    head: whether the file must have the layer `head`. If not, it is loaded
      where the file has one for as many classes, and else stays unchanged.

  Returns:
    a new dict of the same structure, shapes and dtypes: `params` and
    `batch_stats` from the file, `input_stats` unchanged.

  Raises:
    InputError: no such file, a damaged one or of another kind; a layer that is
      missing, of another shape or not finite.
  """
  entries = file_formats.read(path)
  wanted = traverse_util.flatten_dict(
    dict(variables), sep="/", keep_empty_nodes=True
  )
  names = [name for name in wanted if name.startswith(COLLECTIONS)]
  if any(name.startswith(COLLECTIONS) for name in entries):
    convert = match_arrays.same_names(path, entries, names, HEAD)
  else:
    convert = mobilenet_v2.conversion(path, entries, names)
  shapes = {name: tuple(wanted[name].shape) for name in names}
  if not head and not match_arrays.fits(entries, convert.head, shapes):
    convert = convert._replace(head={})
  rows = {**convert.backbone, **convert.head}
  arrays = convert.finish(
    match_arrays.take(path, entries, rows, shapes), shapes
  )
  for name, value in arrays.items():
    if not np.isfinite(value.astype(np.float32)).all():
      raise InputError(f"{path}: {name} is not finite: the file is damaged")
    wanted[name] = jnp.asarray(value.astype(wanted[name].dtype))
  return traverse_util.unflatten_dict(wanted, sep="/")


def save_npz(path: str, variables: Mapping) -> None:
  """Writes `params` and `batch_stats` for `load`, one array a variable.

  Names are paths ("params/head/kernel"). `input_stats` are left out: they
  depend on the data that a model is trained on next.
  """
  flat = traverse_util.flatten_dict(dict(variables), sep="/")
  chosen: dict[str, Any] = {
    # npz has no bfloat16; float32 holds the same values
    name: np.asarray(value, np.float32)
    for name, value in flat.items()
    if name.startswith(COLLECTIONS)
  }
  with open(path, "wb") as file:  # np.savez would append to the name
    np.savez(file, **chosen)
