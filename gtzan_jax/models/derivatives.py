"""The layers' own gradients, and the switch that does without them.

`jax.custom_vjp` allows reverse mode alone: `jax.jvp`, `jax.jacfwd` and
`jax.hessian` of a layer fail with it.
"""

import contextlib
import contextvars
from collections.abc import Iterator

import jax
from jax.sharding import AxisType

_PLAIN = contextvars.ContextVar("plain", default=False)


@contextlib.contextmanager
def plain() -> Iterator[None]:
  """Gives layers JAX's own derivatives, in forward mode too.

  For what is traced inside; a function that was traced before stays as it was.
  Values are the same, gradients take longer on a CPU.
  """
  token = _PLAIN.set(True)
  try:
    yield
  finally:
    _PLAIN.reset(token)


class custom_vjp(jax.custom_vjp):
  """`jax.custom_vjp`; the undecorated function within `plain`.

  And within `jax.shard_map`, `jax.pmap` or a mesh of explicit axes, whose
  gradients say on which devices they differ.
  """

  def __call__(self, *args, **kwargs):
    kinds = jax.sharding.get_abstract_mesh().axis_types
    if _PLAIN.get() or {*kinds} - {AxisType.Auto}:
      return self.fun(*args, **kwargs)
    return super().__call__(*args, **kwargs)
