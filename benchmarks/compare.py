"""A training step of each recipe beside the same network in PyTorch and Keras.

  python benchmarks/compare.py resnet cnn_gru [--sides=ours,torch,keras] \\
    [--rounds=7] [--repeats=3] [--threads=2] [--json=FILE]
  python benchmarks/compare.py --check mlp

Without recipes: all. `make bench` installs the other two libraries, each in an
environment of its own; or give --torch=PYTHON and --keras=PYTHON. The sides run
as processes on the same cores; when all are warm they step in turns of a
quarter of a second, so that a busy machine slows all alike. Augmentation is
off, learning rates are constant. Printed, for each side: median, 10th and 90th
percentile of a step, minor page faults a step, peak resident memory; the ratio
of ours to the fastest other side, with --repeats (the sides start anew) its
median and range. `others`: the share of the cores that other processes took.
--json adds a row for each recipe to a file, in place of an earlier one, with
the commit of this checkout ("+" behind it where files differ).

--check: all sides start from our weights, without dropout, and take three steps
of the recipe's optimizer; the losses have to agree. The others compute them in
float64, so that the rounding is ours alone.
"""

import argparse
import contextlib
import json
import math
import os
import pathlib
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT)]

from benchmarks.twins import recipes  # noqa: E402
from gtzan_jax import atomic  # noqa: E402
from gtzan_jax.errors import InputError  # noqa: E402
from gtzan_jax.reports import provenance  # noqa: E402

# Side: its module in benchmarks/twins and its environment.
SIDES = {
  "ours": ("ours", ""),
  "torch": ("torch_side", "torch"),
  "torch-compile": ("torch_side", "torch"),
  "torch-channels-last": ("torch_side", "torch"),
  "keras": ("keras_side", "keras"),
  "keras-xla": ("keras_side", "keras"),
}
WITHOUT = {("keras", "gan_mel_conv")}  # (environment, recipe)
TURN = 0.25  # seconds of steps
MOST_STEPS = 500  # in a turn


class SideError(Exception):
  """A side ended without an answer; the message is one line."""


class Side:
  """A process that answers as benchmarks/twins/protocol.py says."""

  def __init__(self, name: str, python: str, spec: Mapping):
    self.name = name
    self._errors = tempfile.TemporaryFile("w+")  # noqa: SIM115
    self._process = subprocess.Popen(
      [
        *(python, "-m", f"benchmarks.twins.{SIDES[name][0]}"),
        json.dumps({**spec, "side": name}),
      ],
      cwd=ROOT,
      env=os.environ | {"OMP_NUM_THREADS": str(spec["threads"])},
      stdin=subprocess.PIPE,
      stdout=subprocess.PIPE,
      stderr=self._errors,
      text=True,
    )
    self.pid = self._process.pid

  def answer(self) -> dict:
    """The next answer. Raises SideError where none comes."""
    line = self._process.stdout.readline()
    if line:
      return json.loads(line)
    status = self._process.wait()
    self._errors.seek(0)
    said = self._errors.read().strip().splitlines() or [""]
    raise SideError(f"{self.name}: exit status {status}: {said[-1][:300]}")

  def time(self, steps: int) -> dict:
    """The answer to so many steps."""
    # A side that has ended is found by the missing answer.
    with contextlib.suppress(BrokenPipeError):
      self._process.stdin.write(f"{steps}\n")
      self._process.stdin.flush()
    return self.answer()

  def close(self) -> None:
    with contextlib.suppress(BrokenPipeError):
      self._process.stdin.close()
    try:
      self._process.wait(20)
    except subprocess.TimeoutExpired:
      self._process.kill()
      self._process.wait()
    self._process.stdout.close()
    self._errors.close()


@contextlib.contextmanager
def started(
  spec: Mapping, pythons: Mapping[str, str]
) -> Iterator[dict[str, Side]]:
  """Sides, by name, which end with the block; `pythons` has their Python."""
  with contextlib.ExitStack() as stack:
    sides = {}
    for name, python in pythons.items():
      sides[name] = Side(name, python, spec)
      stack.callback(sides[name].close)
    yield sides


def ticks(pids: Iterable[int]) -> np.ndarray | None:
  """Processor time so far: all of our cores, those busy, these processes.

  None where there is no /proc.
  """
  own = 0
  try:
    cores = {f"cpu{core}" for core in os.sched_getaffinity(0)}
    with open("/proc/stat") as file:
      lines = [line.split() for line in file]
    times = np.array([line[1:9] for line in lines if line[0] in cores], int)
    for pid in pids:
      with open(f"/proc/{pid}/stat") as file:
        fields = file.read().rpartition(")")[2].split()
      own += int(fields[11]) + int(fields[12])
  except (OSError, AttributeError):
    return None
  idle = times[:, 3:5].sum()
  return np.array([times.sum(), times.sum() - idle, own])


def measure(spec: Mapping, pythons: Mapping[str, str], rounds: int) -> dict:
  """One repeat: starts the sides, warms them up and times them in turns.

  Returns:
    {"others": share of the cores taken by other processes or None, "sides":
    {side: {"seconds": of each step, "faults": of each turn, "rss_mib", and the
    facts that the side gave}}}.
  """
  with started(spec, pythons) as sides:
    got = {}
    for name, side in sides.items():
      got[name] = {**side.answer(), "seconds": [], "faults": []}
    steps = {}
    for name, side in sides.items():
      fastest = min(side.time(2)["seconds"])
      steps[name] = min(max(round(TURN / fastest), 1), MOST_STEPS)
    pids = [os.getpid(), *(side.pid for side in sides.values())]
    before = ticks(pids)
    for _ in range(rounds):
      for name, side in sides.items():
        turn = side.time(steps[name])
        got[name]["seconds"] += turn["seconds"]
        got[name]["faults"].append(turn["faults"])
        got[name]["rss_mib"] = turn["rss_mib"]
    after = ticks(pids)
  others = None
  if before is not None and after is not None:
    whole, busy, own = after - before
    others = round(max(0.0, (busy - own) / max(whole, 1)), 3)
  return {"others": others, "sides": got}


def summarize(repeats: Sequence[Mapping]) -> dict:
  """The numbers of a recipe's row from those of its repeats."""
  names = list(repeats[0]["sides"])
  peers = [name for name in names if name != "ours"]
  medians = {
    name: [
      1e3 * statistics.median(repeat["sides"][name]["seconds"])
      for repeat in repeats
    ]
    for name in names
  }
  sides, versions = {}, {}
  for name in names:
    runs = [repeat["sides"][name] for repeat in repeats]
    seconds = [second for run in runs for second in run["seconds"]]
    faults = [turn for run in runs for turn in run["faults"]]
    low, high = 1e3 * np.percentile(seconds, [10, 90])
    sides[name] = {
      "ms": round(statistics.median(medians[name]), 3),
      "p10": round(float(low), 3),
      "p90": round(float(high), 3),
      "steps": len(seconds),
      "faults": round(statistics.median(faults)),
      "rss_mib": max(run["rss_mib"] for run in runs),
      **{k: v for k, v in runs[0].items() if k == "device"},
    }
    versions |= runs[0]["versions"]
  row = {"sides": sides, "versions": versions}
  if "ours" in names and peers:
    ratios = [
      medians["ours"][i] / min(medians[name][i] for name in peers)
      for i in range(len(repeats))
    ]
    row["ratio"] = round(statistics.median(ratios), 3)
    row["ratio_range"] = [round(min(ratios), 3), round(max(ratios), 3)]
    row["peer"] = min(peers, key=lambda name: sides[name]["ms"])
  others = [repeat["others"] for repeat in repeats]
  row["others"] = None if None in others else max(others)
  return row


def check(spec: Mapping, pythons: Mapping[str, str]) -> float:
  """Prints the losses of each side; returns their largest difference from ours.

  Of each of the first steps the loss, or both of a GAN's; the difference is
  relative.
  """
  losses = {}
  with tempfile.TemporaryDirectory() as folder:
    spec = {**spec, "check": f"{folder}/ours.npz"}
    for name in ("ours", *(name for name in pythons if name != "ours")):
      python = pythons.get(name, sys.executable)
      with started(spec, {name: python}) as sides:
        losses[name] = np.array(sides[name].answer()["losses"])
  ours, largest = losses["ours"], 0.0
  for name, found in losses.items():
    difference = float(np.max(abs(found - ours) / abs(ours)))
    # NaN is no agreement
    largest = max(largest, math.inf if math.isnan(difference) else difference)
    text = " ".join(f"{loss:.6f}" for loss in found)
    print(f"{spec['recipe']:20} {name:20} {text}  {difference:.0e}", flush=True)
  return largest


def machine(threads: int) -> dict:
  """What the numbers depend on beside the libraries."""
  model = platform.processor()
  with contextlib.suppress(OSError, StopIteration):
    with open("/proc/cpuinfo") as file:
      line = next(line for line in file if line.startswith("model name"))
    model = line.partition(":")[2].strip()
  return {
    "cpu": model,
    "cores": os.cpu_count(),
    "threads": threads,
    "system": f"{platform.system()} {platform.machine()}",
    "python": platform.python_version(),
  }


def show(row: Mapping) -> None:
  """Prints a recipe's row."""
  size = " x ".join(map(str, (row["batch_size"], *row["shape"])))
  others = row["others"]
  busy = "unknown" if others is None else f"{others:.1%}"
  print(f"{row['recipe']}  batch {size}, others {busy}")
  for name, side in row["sides"].items():
    print(
      f"  {name:20}{side['ms']:10.2f} ms ({side['p10']:.2f} to"
      f" {side['p90']:.2f}, {side['steps']} steps)"
      f"{side['faults']:9} faults{side['rss_mib']:7} MiB"
    )
  if "ratio" in row:
    low, high = row["ratio_range"]
    label = f"ours / {row['peer']}"
    print(f"  {label:26}{row['ratio']:.2f}    ({low:.2f} to {high:.2f})")
  sys.stdout.flush()


def keep(path: pathlib.Path, row: Mapping) -> None:
  """Adds a recipe's row to a file of rows, by recipe."""
  rows = json.loads(path.read_text()) if path.is_file() else {}
  rows[row["recipe"]] = row
  atomic.write(path, json.dumps(dict(sorted(rows.items())), indent=1) + "\n")


def find_pythons(
  sides: Sequence[str], given: Mapping[str, str | None]
) -> dict[str, str]:
  """The Python of each side; `given` by environment, in place of our own.

  Raises:
    InputError: an unknown side, or its environment is not there.
  """
  pythons = {}
  for name in sides:
    if name not in SIDES:
      raise InputError(f"unknown side {name!r}; give {', '.join(SIDES)}")
    kind = SIDES[name][1]
    python = sys.executable
    if kind:
      python = given[kind] or str(ROOT / f".venv-{kind}/bin/python")
      if not os.access(python, os.X_OK):
        raise InputError(
          f"{python} is no program: `make bench` installs {kind}, or give"
          f" --{kind}=PYTHON with it, or --sides without {name}"
        )
    pythons[name] = os.path.abspath(python)
  return pythons


def positive(text: str) -> int:
  if (value := int(text)) < 1:
    raise ValueError
  return value


def main() -> int:
  parser = argparse.ArgumentParser(
    description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
  )
  parser.add_argument("recipes", nargs="*", metavar="RECIPE")
  parser.add_argument("--sides", default="ours,torch,keras")
  parser.add_argument("--rounds", type=positive, default=7)
  parser.add_argument("--repeats", type=positive, default=1)
  parser.add_argument("--threads", type=positive, default=2)
  parser.add_argument("--batch_size", type=positive)
  parser.add_argument("--json", type=pathlib.Path)
  parser.add_argument("--torch", metavar="PYTHON")
  parser.add_argument("--keras", metavar="PYTHON")
  parser.add_argument("--check", action="store_true")
  asked = parser.parse_args()
  if hasattr(os, "sched_setaffinity"):  # the sides inherit it
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, cores[: asked.threads])
  environment = machine(asked.threads)
  print(", ".join(f"{key} {value}" for key, value in environment.items()))
  commit = provenance.short(provenance.commit())  # before it writes
  failed, versions = False, {}
  try:
    given = {"torch": asked.torch, "keras": asked.keras}
    pythons = find_pythons(asked.sides.split(","), given)
    if asked.json and not asked.json.parent.is_dir():
      raise InputError(f"--json={asked.json}: its folder does not exist")
    for recipe in asked.recipes or recipes.RECIPES:
      spec = recipes.spec(recipe, asked.batch_size, asked.check)
      spec["threads"] = asked.threads
      chosen = {
        name: python
        for name, python in pythons.items()
        if (SIDES[name][1], recipe) not in WITHOUT
      }
      try:
        if asked.check:
          bound = recipes.LOOSER.get(recipe, recipes.TOLERANCE)
          if check(spec, chosen) > bound:
            print(f"{recipe}: losses differ by {bound:.0e}", file=sys.stderr)
            failed = True
          continue
        repeats = [
          measure(spec, chosen, asked.rounds) for _ in range(asked.repeats)
        ]
      except SideError as error:
        print(f"{recipe}: {error}", file=sys.stderr)
        failed = True
        continue
      row = {
        **{key: spec[key] for key in ("recipe", "batch_size", "shape")},
        **summarize(repeats),
        "rounds": asked.rounds,
        "repeats": asked.repeats,
        "commit": commit,
        "machine": environment,
        "date": time.strftime("%Y-%m-%d"),
      }
      show(row)
      versions |= row["versions"]
      if asked.json:
        keep(asked.json, row)
  except InputError as error:
    parser.error(str(error))
  print(", ".join(f"{name} {version}" for name, version in versions.items()))
  return 1 if failed else 0


if __name__ == "__main__":
  sys.exit(main())
