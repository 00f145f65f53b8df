"""GANs by name. To add one: a file, a line in GANS, a row in docs/gan.md."""

import inspect
from collections.abc import Callable

from gtzan_jax import config_ranges
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
  """The two networks of a key of GANS, without variables.

  `example_shape` is without the batch. InputError for an unknown GAN or option,
  a value of another type or range, or a shape it cannot generate.
  """
  if name not in GANS:
    raise InputError(f"unknown GAN {name!r}; there are {', '.join(GANS)}")
  kwargs = config_ranges.options(f"GAN {name!r}", kwargs, options(name))
  return GANS[name](num_classes, tuple(example_shape), **kwargs)


def options(name: str) -> dict:
  """Keyword options of `create(name, ...)` with their defaults."""
  parameters = inspect.signature(GANS[name]).parameters.values()
  return {p.name: p.default for p in parameters if p.kind == p.KEYWORD_ONLY}
