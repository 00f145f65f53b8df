"""What an import loads: each in a process of its own."""

import subprocess
import sys

import pytest

PROGRAM = """
import sys
import {module}
import gtzan_jax
heavy = {{"matplotlib", "tensorflow_datasets", "orbax", "grain"}}
heavy |= set({more})
assert not heavy & set(sys.modules), heavy & set(sys.modules)
"""


@pytest.mark.slow
@pytest.mark.parametrize(
  ("module", "more"),
  [
    ("gtzan_jax", ["jax", "numpy"]),
    ("gtzan_jax.models", []),
    ("gtzan_jax.features", []),
  ],
)
def test_a_room_loads_no_more_than_it_needs(module, more):
  program = PROGRAM.format(module=module, more=more)
  subprocess.run([sys.executable, "-c", program], check=True)


@pytest.mark.slow
def test_the_loop_loads_few_modules_and_the_surface_is_lazy():
  program = """
import sys
import gtzan_jax.training.loop
ours = [x for x in sys.modules if x.startswith(("gtzan_jax", "tfds_gtzan"))]
assert len(ours) <= 35, ours
assert "matplotlib" not in sys.modules
import gtzan_jax
assert callable(gtzan_jax.open_dataset)
assert all(hasattr(gtzan_jax, name) for name in dir(gtzan_jax))
"""
  subprocess.run([sys.executable, "-c", program], check=True)
