"""Matches the arrays of a file to a model's variables, axes reordered.

Axes are letters: a convolution's kernel is "hwio" here (height, width, in,
out), a Dense layer's "io", everything else "o". A file may have them in another
order, or an additional axis of size 1.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from gtzan_jax.errors import InputError

Entries = Mapping[str, np.ndarray]
Shapes = Mapping[str, tuple[int, ...]]
# {variable: (name in the file, its axes; None: as here)}
Rows = Mapping[str, tuple[str, str | None]]

OURS = {1: "o", 2: "io", 4: "hwio"}


class Conversion(NamedTuple):
  """How a file of some kind becomes variables.

  Attributes:
    backbone: rows that the file must have.
    head: rows of the last layer.
    finish: from the rows' arrays to all variables that the file sets.
  """

  backbone: Rows
  head: Rows
  finish: Callable[[dict[str, np.ndarray], Shapes], dict[str, np.ndarray]] = (
    lambda arrays, shapes: arrays
  )


def take(
  path: str, entries: Entries, rows: Rows, shapes: Shapes
) -> dict[str, np.ndarray]:
  """The arrays that `rows` name, by variable and in our order of axes.

  Raises:
    InputError: one is missing, of another shape, or not of floating point.
  """
  arrays = {}
  for ours, (theirs, axes) in rows.items():
    wanted, order = _layout(axes, shapes[ours])
    who = "this model" if ours == theirs else ours
    if theirs not in entries:
      raise InputError(
        f"{path}: {theirs} is missing; {who} needs it, of shape {wanted}"
      )
    array = entries[theirs]
    if array.shape != wanted:
      raise InputError(
        f"{path}: {theirs} has shape {array.shape}; {who} needs {wanted}"
      )
    if array.dtype.kind != "f":
      raise InputError(
        f"{path}: {theirs} is {array.dtype}; give floating point"
      )
    arrays[ours] = array.transpose(order).reshape(shapes[ours])
  return arrays


def fits(entries: Entries, rows: Rows, shapes: Shapes) -> bool:
  """Whether the file has all arrays that `rows` name, in the right shapes."""
  return all(
    theirs in entries
    and entries[theirs].shape == _layout(axes, shapes[ours])[0]
    for ours, (theirs, axes) in rows.items()
  )


def same_names(
  path: str, entries: Entries, names: Sequence[str], head: str
) -> Conversion:
  """The conversion of a file with our names and shapes.

  Raises:
    InputError: it has an array that the model lacks.
  """
  for name in entries:
    if name not in names and not name.startswith(head):
      raise InputError(f"{path} has {name}, which this model lacks")
  backbone = {n: (n, None) for n in names if not n.startswith(head)}
  return Conversion(
    backbone, {n: (n, None) for n in names if n.startswith(head)}
  )


def _layout(
  axes: str | None, shape: tuple[int, ...]
) -> tuple[tuple[int, ...], list[int]]:
  """Shape in the file of what has `shape` here; its axes in our order."""
  if axes is None:
    return shape, list(range(len(shape)))
  ours = OURS[len(shape)]
  sizes = dict(zip(ours, shape, strict=True))
  there = tuple(sizes.get(letter, 1) for letter in axes)
  # An axis of size 1 that we lack (place -1) goes first and is dropped.
  return there, sorted(range(len(axes)), key=lambda i: ours.find(axes[i]))
