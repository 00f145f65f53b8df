"""GANs by name. Add one: a file, a line in GANS, a row in docs."""

import inspect
from collections.abc import Callable

from gtzan_jax import ranges
from gtzan_jax.errors import InputError
from gtzan_jax.gan.networks.base import Discriminator, Generator, Networks
from gtzan_jax.gan.networks.conv import cgan_conv
from gtzan_jax.gan.networks.dense import cgan_dense
from gtzan_jax.gan.networks.waveform_conv import cgan_waveform_conv

__all__ = [
  "GANS",
  "Discriminator",
  "Generator",
  "Networks",
  "create",
  "options",
]

GANS: dict[str, Callable[..., Networks]] = {
  "cgan_conv": cgan_conv,
  "cgan_dense": cgan_dense,
  "cgan_waveform_conv": cgan_waveform_conv,
}


def create(
  name: str, num_classes: int, example_shape: tuple[int, ...], **kwargs
) -> Networks:
  """The two networks of the GAN called `name`, without variables.

  Args:
    name: a key of GANS.
    num_classes: number of genres.
    example_shape: of one example, without the batch.
    **kwargs: options of the GAN; those left out keep their default. A list is
      taken as a tuple (JSON knows no tuples).

  Raises:
    InputError: if the GAN or one of the options does not exist, an option is
      of another type than its default or out of its range, or the GAN makes no
      such examples.
  """
  if name not in GANS:
    raise InputError(f"unknown GAN {name!r}; there are {', '.join(GANS)}")
  defaults = options(name)
  for key, value in kwargs.items():
    if key not in defaults:
      raise InputError(
        f"GAN {name!r} has no option {key!r}; its options are"
        f" {', '.join(defaults)}"
      )
    _check_option(name, key, value, defaults[key])
  kwargs = {
    k: tuple(v) if isinstance(v, list) else v for k, v in kwargs.items()
  }
  return GANS[name](num_classes, tuple(example_shape), **kwargs)


def options(name: str) -> dict:
  """What `create(name, ...)` takes by keyword, with the defaults."""
  parameters = inspect.signature(GANS[name]).parameters.values()
  return {p.name: p.default for p in parameters if p.kind == p.KEYWORD_ONLY}


def _check_option(name: str, key: str, value, default) -> None:
  wanted = ranges.option(key, default)
  if not wanted.holds(value):
    raise InputError(
      f"GAN {name!r}: {key}={ranges.brief(value)}: give {wanted.accepted}, as"
      f" {default!r}"
    )
