"""Weight files as arrays by name. No code in a file is run."""

import pathlib
import zipfile
from collections.abc import Callable

import h5py
import numpy as np
import safetensors.numpy

from gtzan_jax import input_limits
from gtzan_jax.errors import InputError


def read(path: str) -> dict[str, np.ndarray]:
  """All arrays of a file by name; an .h5's as its paths ("a/a/kernel:0").

  Raises:
    InputError: no such file, a suffix not in READERS, or a damaged file.
  """
  place = pathlib.Path(path).expanduser()
  reader = READERS.get(place.suffix.lower())
  if reader is None:
    raise InputError(
      f"{path}: {place.suffix or 'no suffix'} received; accepted are"
      f" {', '.join(READERS)}; docs/weights.md converts a .pt"
    )
  if not place.is_file():
    raise InputError(f"{path}: no such file")
  try:
    return reader(place)
  except InputError as error:
    raise InputError(f"{path}: {error}") from error
  except Exception as error:  # readers raise anything at damage
    reason = (str(error).splitlines() or [""])[0] or type(error).__name__
    raise InputError(
      f"{path} is damaged or not of the type of its suffix: {reason}"
    ) from error


def _h5(path: pathlib.Path) -> dict[str, np.ndarray]:
  arrays = {}

  def keep(name, item):
    optimizer = name.startswith("optimizer_weights/")
    if isinstance(item, h5py.Dataset) and not optimizer:
      arrays[name] = np.asarray(item[()])

  with h5py.File(path, "r") as file:
    file.visititems(keep)
  return arrays


def _npz(path: pathlib.Path) -> dict[str, np.ndarray]:
  if zipfile.is_zipfile(path):
    input_limits.check_npz(path)
  # numpy does not close a damaged file that it opened itself.
  with open(path, "rb") as file:
    arrays = np.load(file, allow_pickle=False)
    if not isinstance(arrays, np.lib.npyio.NpzFile):
      raise InputError("this is no .npz but a single array")
    return dict(arrays)


READERS: dict[str, Callable[[pathlib.Path], dict[str, np.ndarray]]] = {
  ".h5": _h5,
  ".hdf5": _h5,
  ".safetensors": safetensors.numpy.load_file,
  ".npz": _npz,
}
