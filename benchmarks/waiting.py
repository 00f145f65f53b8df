"""Time that a run spends around its steps, and the memory that it takes.

  python benchmarks/waiting.py [--recipe=resnet] [--runs=3] [--root=CLONE] \\
    [--before=CLONE] [--json=FILE]

Each run is a whole `launch.py` process on the synthetic corpus. Printed, one
JSON line of medians:

  import_s              imports of `launch.py train`
  first_step_cold_s     command to first step, compilation cache empty (one run)
  first_step_warm_s     the same, cache filled
  epoch_ratio           training time of an epoch over steps x step, where a
                        step on one batch is timed in turns with the epochs
  epoch_s               from one epoch's line in metrics.jsonl to the next
  put_ms                one batch to the device, which is idle
  input_wait            share of the training time that it waited for input
  report_s              last epoch's line to the end of the process
  predict_first_file_s  `launch.py predict` to the first line, cache filled
  train_rss_mb, predict_rss_mb   peak memory; the file predicted takes an hour

--root times another clone; --before times two in turns, and --json then writes
{"rows": [{name, before, now, bar, unit}], "versions", "command"}.
"""

import argparse
import importlib.metadata
import json
import os
import pathlib
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping

ROOT = pathlib.Path(__file__).resolve().parents[1]
RSS_UNIT = 1 if sys.platform == "darwin" else 1024  # of ru_maxrss
HOUR = 3600
# name -> unit, the bar
ROWS = {
  "import_s": ("s", None),
  "first_step_cold_s": ("s", None),
  "first_step_warm_s": ("s", 2.0),
  "epoch_ratio": ("ratio", 1.05),
  "epoch_s": ("s", None),
  "put_ms": ("ms", None),
  "input_wait": ("share", None),
  "report_s": ("s", 1.2),
  "predict_first_file_s": ("s", 1.5),
  "train_rss_mb": ("MB", None),
  "predict_rss_mb": ("MB", None),
}
IMPORTS = """
from gtzan_jax.cli import main, print_scores, tasks
from gtzan_jax.data import open_dataset
from gtzan_jax.training import loop, sharding, workdir
"""


def environment(root: pathlib.Path) -> dict[str, str]:
  return {**os.environ, "PYTHONPATH": str(root)}


def rows(path: pathlib.Path) -> list[dict]:
  text = path.read_text() if path.is_file() else ""
  return [json.loads(line) for line in text.splitlines(keepends=True)
          if line.endswith("\n")]  # fmt: skip


def wait(process: subprocess.Popen) -> float:
  """Waits for the end; the process's peak memory in MB."""
  _, status, usage = os.wait4(process.pid, 0)
  process.returncode = os.waitstatus_to_exitcode(status)
  if process.returncode:
    sys.exit(f"{process.args}: exit status {process.returncode}")
  return usage.ru_maxrss * RSS_UNIT / 1e6


def imports(root: pathlib.Path) -> dict:
  began = time.monotonic()
  wait(subprocess.Popen([sys.executable, "-c", IMPORTS], env=environment(root)))
  return {"import_s": time.monotonic() - began}


def options(recipe: str, folder: pathlib.Path) -> list[str]:
  return [
    f"--config={ROOT}/configs/{recipe}.py",
    f"--config.data.dir={folder / 'data'}",
  ]


def train(root: pathlib.Path, recipe: str, folder: pathlib.Path) -> dict:
  """One run of three epochs in a new run folder."""
  path = folder / "run"
  subprocess.run(["rm", "-rf", str(path)], check=True)
  command = [
    *(sys.executable, str(root / "launch.py"), *options(recipe, folder)),
    *(f"--workdir={path}", "--config.train.epochs=3"),
    f"--config.log.compilation_cache={folder / 'compiled'}",
    "--config.log.every_steps=1",
  ]
  began, seen = time.monotonic(), {}
  process = subprocess.Popen(
    command, cwd=root, env=environment(root), stdout=subprocess.DEVNULL
  )
  while len(seen) < 4:
    if os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT):
      break
    found = rows(path / "metrics.jsonl")
    marks = found[:1] + [row for row in found if "epoch" in row]
    for i in range(len(seen), len(marks)):
      seen[i] = time.monotonic() - began
    time.sleep(0.01)
  memory = wait(process)
  end = time.monotonic() - began
  epochs = [row for row in rows(path / "metrics.jsonl") if "epoch" in row][1:]
  waited = sum(row["time/input"] for row in epochs)
  return {
    "first_step_s": seen[0],
    "epoch_s": (seen[3] - seen[1]) / 2,
    "input_wait": waited / sum(row["time/train"] for row in epochs),
    "report_s": end - seen[3],
    "train_rss_mb": memory,
  }


def predict(root: pathlib.Path, folder: pathlib.Path, file: str) -> dict:
  command = [
    *(sys.executable, str(root / "launch.py"), "predict"),
    *(f"--workdir={folder / 'run'}", str(folder / file)),
  ]
  began = time.monotonic()
  process = subprocess.Popen(
    command, cwd=root, env=environment(root), stdout=subprocess.PIPE
  )
  assert process.stdout is not None
  process.stdout.readline()
  first = time.monotonic() - began
  memory = wait(process)
  if file == "hour.wav":
    return {"predict_rss_mb": memory}
  return {"predict_first_file_s": first}


def sounds(folder: pathlib.Path) -> None:
  """Noise with a beat: a track of 30 s, and one of an hour."""
  import numpy as np
  import soundfile

  rng = np.random.default_rng(0)
  for name, seconds in (("track.wav", 30), ("hour.wav", HOUR)):
    with soundfile.SoundFile(folder / name, "w", 22050, 1) as file:
      for start in range(0, seconds, 10):
        beat = np.sin(np.arange(220_500) / 40) ** 2
        sound = 0.1 * rng.standard_normal(220_500) * beat
        file.write(sound[: 22050 * min(10, seconds - start)])


def steps(recipe: str, folder: pathlib.Path) -> dict:
  """In this process, whose PYTHONPATH is the clone's: epochs of the loop, and
  the same number of steps on one batch, in turns."""
  import contextlib
  import io

  import jax
  import numpy as np

  from gtzan_jax.cli import tasks
  from gtzan_jax.data import pipeline
  from gtzan_jax.data.open_dataset import open_dataset
  from gtzan_jax.training import classify, find_recipe, sharding, workdir

  try:
    from gtzan_jax.training.jax_process import JitStep as jit_step
  except ImportError:  # an older clone

    def jit_step(step, mesh):
      out = (sharding.replicated(mesh),) * 2
      return jax.jit(step, donate_argnums=0, out_shardings=out)

  config = find_recipe.load(find_recipe.find(recipe))
  config.data.dir = str(folder / "data")
  config.log.compilation_cache = str(folder / "compiled")
  config.train.patience = 0
  jax.config.update("jax_compilation_cache_dir", str(folder / "compiled"))
  mesh, path = sharding.make_mesh(), folder / "epochs"
  with contextlib.redirect_stdout(io.StringIO()):
    dataset = open_dataset(config)
    path.mkdir()
    workdir.begin(path, config, dataset)
  records = pipeline.load_parts(
    dataset, {"train": ["features"]}, config.data.cache_mb
  )["train"]
  size = config.train.batch_size
  count = -(-len(records) // size)
  task = classify.create(config, dataset, np.ones(10), count)
  step = jit_step(task.train_step, mesh)
  state = jax.device_put(
    jax.jit(task.init)(jax.random.key(0)), sharding.replicated(mesh)
  )
  host = records.take(np.arange(size))
  host = {name: host[name] for name in (task.source, "label")}
  batch = sharding.put(host, mesh)
  times: list[list[float]] = [[], []]
  for turn in range(2):
    config.train.epochs = 3 * turn + 3
    with contextlib.redirect_stdout(io.StringIO()):
      tasks.train(config, dataset, path, mesh)
    epochs = [row for row in rows(path / "metrics.jsonl") if "epoch" in row]
    times[0] += [row["time/train"] for row in epochs[-2:]]
    for i in range(3):
      began, scalars = time.perf_counter(), None
      for _ in range(count):
        previous = scalars
        state, scalars = step(state, batch)
        jax.block_until_ready(previous)
      jax.block_until_ready(scalars)
      if i:  # the first warms up, as the first epoch of a turn does
        times[1].append(time.perf_counter() - began)
  puts = []
  for _ in range(200):
    began = time.perf_counter()
    jax.block_until_ready(sharding.put(host, mesh))
    puts.append(time.perf_counter() - began)
  return {
    "epoch_ratio": statistics.median(times[0]) / statistics.median(times[1]),
    "put_ms": 1e3 * statistics.median(puts),
  }


def one_round(root: pathlib.Path, recipe: str, folder: pathlib.Path) -> dict:
  side = [sys.executable, __file__, f"--recipe={recipe}", f"--steps={folder}"]
  subprocess.run(["rm", "-rf", str(folder / "epochs")], check=True)
  done = subprocess.run(
    side, env=environment(root), check=True, stdout=subprocess.PIPE, text=True
  )
  trained = train(root, recipe, folder)
  return {
    **imports(root),
    "first_step_warm_s": trained.pop("first_step_s"),
    **trained,
    **predict(root, folder, "track.wav"),
    **predict(root, folder, "hour.wav"),
    **json.loads(done.stdout.splitlines()[-1]),
  }


def measure(
  roots: Mapping[str, pathlib.Path], recipe: str, runs: int
) -> dict[str, dict]:
  """{side: medians}; the sides in turns."""
  found: dict[str, list[dict]] = {side: [] for side in roots}
  cold = {}
  with tempfile.TemporaryDirectory() as name:
    whole = pathlib.Path(name)
    for side, root in roots.items():
      folder = whole / side
      folder.mkdir()
      sounds(folder)
      subprocess.run(
        [
          *(sys.executable, str(root / "launch.py"), "prepare"),
          *options(recipe, folder),
        ],
        check=True,
        cwd=root,
        env=environment(root),
        stdout=subprocess.DEVNULL,
      )
      cold[side] = train(root, recipe, folder)["first_step_s"]
      predict(root, folder, "track.wav")  # fills the caches
    for _ in range(runs):
      for side, root in roots.items():
        found[side].append(one_round(root, recipe, whole / side))
  return {
    side: {
      key: round(value, 4)
      for key in ROWS
      for value in [
        cold[side]
        if key == "first_step_cold_s"
        else statistics.median(run[key] for run in found[side])
      ]
    }
    for side in roots
  }


def main() -> None:
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument("--recipe", default="resnet")
  parser.add_argument("--runs", type=int, default=3)
  parser.add_argument("--root", type=pathlib.Path, default=ROOT)
  parser.add_argument("--before", type=pathlib.Path)
  parser.add_argument("--json", type=pathlib.Path)
  parser.add_argument("--steps", type=pathlib.Path, help=argparse.SUPPRESS)
  given = parser.parse_args()
  if given.steps:
    print(json.dumps(steps(given.recipe, given.steps)))
    return
  roots = {"before": given.before} if given.before else {}
  roots["now"] = given.root
  roots = {side: path.resolve() for side, path in roots.items()}
  found = measure(roots, given.recipe, given.runs)
  print(json.dumps({"benchmark": "waiting", "recipe": given.recipe, **found}))
  if given.json:
    packages = ("jax", "jaxlib", "flax", "orbax-checkpoint", "matplotlib")
    table = {
      "rows": [
        {
          **{"name": name, "before": found.get("before", {}).get(name)},
          **{"now": found["now"][name], "bar": bar, "unit": unit},
        }
        for name, (unit, bar) in ROWS.items()
      ],
      "versions": {
        "python": platform.python_version(),
        **{name: importlib.metadata.version(name) for name in packages},
      },
      "recipe": given.recipe,
      "cores": os.cpu_count(),
      "command": f"python benchmarks/waiting.py --recipe={given.recipe}"
      f" --runs={given.runs} --before=CLONE --json=FILE",
    }
    given.json.parent.mkdir(parents=True, exist_ok=True)
    given.json.write_text(json.dumps(table, indent=1) + "\n")


if __name__ == "__main__":
  main()
