"""What benchmarks/compare.py and a side say to each other; no framework.

A side is a process of its own environment. It gets a spec (recipes.spec) as
JSON in its first argument, prints one JSON line of facts when it is warm, and
answers each line that holds a number of steps with one JSON line of times. If
the spec names a file to `check`, which holds our weights, the only answer is
the losses of the first steps.
"""

import json
import os
import resource
import sys
import time
from collections.abc import Callable, Mapping

import numpy as np

WARM_STEPS, WARM_SECONDS = 3, 0.5  # both are exceeded
CHECKED_STEPS = 3


def begin() -> tuple[dict, Callable[[Mapping], None]]:
  """The spec, and a function that sends an answer.

  Standard output is kept for answers: what libraries print goes to standard
  error. To be called before a framework is imported.
  """
  channel = os.fdopen(os.dup(1), "w")
  os.dup2(2, 1)

  def answer(facts: Mapping) -> None:
    print(json.dumps(facts), file=channel, flush=True)

  return json.loads(sys.argv[1]), answer


def batch(spec: Mapping) -> tuple[np.ndarray, np.ndarray]:
  """The examples and labels of every step, the same on every side.

  Returns:
    float32 `[batch, *shape]`, uniform in 0..1 for pictures, else standard
    normal; int32 `[batch]`.
  """
  draw = np.random.default_rng(0)
  shape = (spec["batch_size"], *spec["shape"])
  picture = len(spec["shape"]) == 3
  x = draw.random(shape) if picture else draw.standard_normal(shape)
  return x.astype("float32"), draw.integers(
    0, spec["classes"], len(x), dtype="int32"
  )


def serve(answer: Callable, step: Callable[[], None], facts: Mapping) -> None:
  """Warms `step` up, then times it as asked until the input ends."""
  start, count = time.perf_counter(), 0
  while count < WARM_STEPS or time.perf_counter() - start < WARM_SECONDS:
    step()
    count += 1
  answer(facts)
  for line in sys.stdin:
    seconds, before = [], _faults()
    for _ in range(int(line)):
      start = time.perf_counter()
      step()
      seconds.append(time.perf_counter() - start)
    faults = (_faults() - before) / len(seconds)
    answer({"seconds": seconds, "faults": faults, "rss_mib": peak_rss()})


def check(
  answer: Callable, step: Callable[[int], list], hold: Callable[[], None]
) -> None:
  """Answers with the losses of the first steps; `step` gets their number."""
  losses = []
  for number in range(CHECKED_STEPS):
    losses += map(float, step(number))
    hold()
  answer({"losses": losses})


def stored(path: str, prefix: str) -> dict[str, np.ndarray]:
  """The arrays below a prefix of our side's file (ours.py writes it)."""
  with np.load(path) as file:
    return {
      name.removeprefix(prefix): file[name]
      for name in file.files
      if name.startswith(prefix)
    }


def _faults() -> int:
  """Minor page faults of this process so far."""
  return resource.getrusage(resource.RUSAGE_SELF).ru_minflt


def peak_rss() -> int:
  """Largest resident memory of this process so far, MiB."""
  try:  # ru_maxrss would count the parent that this process was forked from
    with open("/proc/self/status") as file:
      lines = dict(line.split(":", 1) for line in file)
    return int(lines["VmHWM"].split()[0]) >> 10
  except (OSError, KeyError):
    unit = 2**20 if sys.platform == "darwin" else 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // unit
