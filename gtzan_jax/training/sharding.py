"""The device mesh.

Data parallelism over all devices: parameters are replicated, the batch is split
along its first axis. Under `jit` the compiler inserts the
collectives, so BatchNorm sees the global batch.
"""

import functools
from collections.abc import Callable, Sequence

import jax
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec


def make_mesh(devices: Sequence[jax.Device] | None = None) -> Mesh:
  """One axis, `data`, over `devices` (default: all)."""
  devices = list(devices or jax.devices())
  # jax.make_mesh defaults to Explicit axes in recent releases, which Flax
  # layers do not support.
  return Mesh(np.asarray(devices), ("data",), axis_types=(AxisType.Auto,))


def replicated(mesh: Mesh) -> NamedSharding:
  return NamedSharding(mesh, PartitionSpec())


def batched(mesh: Mesh) -> NamedSharding:
  return NamedSharding(mesh, PartitionSpec("data"))


@functools.lru_cache(maxsize=1)  # a step that was traced is known again
def within(mesh: Mesh, function: Callable) -> Callable:
  """`function`, whose layers see a mesh of several devices as JAX's own.

  What treats the examples of a batch in turns needs to know it: the compiler
  would gather the batch.
  """
  if mesh.size == 1:
    return function

  @functools.wraps(function)
  def wrapped(*args):
    with jax.sharding.use_abstract_mesh(mesh.abstract_mesh):
      return function(*args)

  return wrapped


def put(batch: dict[str, np.ndarray], mesh: Mesh) -> dict[str, jax.Array]:
  """This process's share of a batch -> global arrays over the mesh."""
  sharding = batched(mesh)
  if jax.process_count() == 1:
    return jax.device_put(batch, sharding)
  return {
    key: jax.make_array_from_process_local_data(sharding, value)
    for key, value in batch.items()
  }


def fetch(array: jax.Array) -> np.ndarray:
  """A global array on this host, whichever process holds it."""
  if array.is_fully_addressable:
    return np.asarray(array)
  return np.asarray(multihost_utils.process_allgather(array, tiled=True))


def describe(mesh: Mesh) -> str:
  """`4 x cpu`, `1 x NVIDIA H200`: for the console and the report."""
  return f"{mesh.size} x {mesh.devices.flat[0].device_kind}"
