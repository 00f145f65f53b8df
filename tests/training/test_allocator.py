"""The allocator keeps a step's memory: each case in a process of its own."""

import os
import platform
import subprocess
import sys

import pytest

PROGRAM = """
import resource, sys
from gtzan_jax.training import allocator
print(allocator.keep_memory())
import jax, jax.numpy as jnp
step = jax.jit(lambda x: jnp.sort(x, axis=0)[::-1].sum())
x = jnp.ones((2**22, 2))
for _ in range(3):
  step(x).block_until_ready()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(3):
  step(x).block_until_ready()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def run(**environment) -> tuple[str, int]:
  done = subprocess.run(
    [sys.executable, "-c", PROGRAM],
    env=dict(os.environ, JAX_PLATFORMS="cpu", **environment),
    capture_output=True,
    text=True,
    check=True,
  )
  was_set, faults = done.stdout.split()
  return was_set, int(faults)


@pytest.mark.slow
@pytest.mark.skipif(
  platform.libc_ver()[0] != "glibc", reason="the allocator is glibc's"
)
def test_a_step_touches_no_new_pages():
  assert run(GTZAN_KEEP_MEMORY="0")[0] == "False"
  was_set, faults = run(GTZAN_KEEP_MEMORY="1")
  assert was_set == "True"
  assert faults < 500
  assert run(GTZAN_KEEP_MEMORY="0")[1] > 10 * max(faults, 100)


RELEASE = """
import ctypes
from gtzan_jax.training import allocator
def resident():
  return int(open("/proc/self/statm").read().split()[1]) * 4096
allocator.release_unused()  # does nothing
assert allocator.keep_memory()
blocks = [ctypes.create_string_buffer(2**27) for _ in range(2)]
for block in blocks:
  ctypes.memset(block, 1, len(block))
full = resident()
del block, blocks[0]  # in front of the other one
kept = resident()
allocator.release_unused()
print(full - kept < 2**20, kept - resident() > 2**26)
"""


@pytest.mark.slow
@pytest.mark.skipif(
  platform.libc_ver()[0] != "glibc", reason="the allocator is glibc's"
)
def test_free_blocks_are_kept_until_they_are_released():
  done = subprocess.run(
    [sys.executable, "-c", RELEASE],
    env=dict(os.environ, JAX_PLATFORMS="cpu", GTZAN_KEEP_MEMORY="1"),
    capture_output=True,
    text=True,
  )
  assert done.stdout == "True True\n", done.stderr


@pytest.mark.slow
def test_other_systems_are_left_alone():
  change = "import sys; sys.platform = 'darwin'\n"
  done = subprocess.run(
    [sys.executable, "-c", change + PROGRAM.split("import jax,")[0]],
    env=dict(os.environ, JAX_PLATFORMS="cpu", GTZAN_KEEP_MEMORY="1"),
    capture_output=True,
    text=True,
    check=True,
  )
  assert done.stdout == "False\n"
