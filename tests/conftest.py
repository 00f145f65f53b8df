"""A strict world for every test: four devices, no silent broadcasting.

The flags have to be in the environment before JAX makes its first array, so
they are set when pytest loads this file.
"""

import os
import pathlib

os.environ.setdefault("JAX_PLATFORMS", "cpu")
if "xla_force_host_platform" not in os.environ.get("XLA_FLAGS", ""):
  os.environ["XLA_FLAGS"] = (
    os.environ.get("XLA_FLAGS", "")
    + " --xla_force_host_platform_device_count=4"
  ).strip()

import jax
import pytest

jax.config.update("jax_numpy_rank_promotion", "raise")

ROOT = pathlib.Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def gtzan_data() -> pathlib.Path:
  """The folder of real GTZAN material; the test is skipped without it."""
  given = os.environ.get("GTZAN_DATA")
  path = pathlib.Path(given) if given else ROOT.parent / "shared" / "data"
  if not path.is_dir():
    pytest.skip(f"no real GTZAN material at {path} (set GTZAN_DATA)")
  return path
