"""Music genre classification on GTZAN in JAX and Flax.

`open_dataset` and the rooms below load on first use.
"""

import importlib

__version__ = "0.2.0"
_ROOMS = (
  *("audio", "data", "features", "inference", "models", "reports", "scores"),
  "training",
)
__all__ = ["__version__", "open_dataset", *_ROOMS]


def __getattr__(name: str):
  if name == "open_dataset":
    return importlib.import_module("gtzan_jax.data.open_dataset").open_dataset
  if name in _ROOMS:
    return importlib.import_module(f"gtzan_jax.{name}")
  raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
  return __all__
