"""Time that a run spends around its steps, and the memory that it takes.

  python benchmarks/waiting.py [--recipe=resnet] [--runs=3] [--before=CLONE] \\
    [--json=FILE]

Each run is a whole `launch.py` process, on the synthetic corpus but for
`prepare`. Printed, one JSON line: the medians of ROWS; --json writes the table
of docs/performance.md. --before times another clone too, in turns. A run of
each takes a minute; its numbers go to standard error.
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
CLIPS = 100
# key -> what it is, unit, the bar
ROWS = {
  "import_s": ("imports of `train`", "s", None),
  "first_step_cold_s": ("command to first step, caches empty", "s", None),
  "first_step_warm_s": ("command to first step", "s", 2.0),
  # A step on one batch, timed in turns with the epochs.
  "epoch_ratio": ("epoch's training / (steps x step)", "ratio", 1.05),
  "epoch_s": ("epoch, from line to line of metrics.jsonl", "s", None),
  "put_ms": ("one batch to the idle device", "ms", None),
  "input_wait": ("of the training, waiting for input", "share", None),
  "report_s": ("last epoch to the end: the report", "s", 1.2),
  "predict_first_file_s": ("`predict` to its first line", "s", 1.5),
  "prepare_s": (f"`prepare` of {CLIPS} WAV clips of 30 s", "s", None),
  "train_rss_mb": ("peak memory of `train`", "MB", None),
  "predict_rss_mb": ("peak memory of `predict`, an hour of audio", "MB", None),
  "predict_rss_ratio": ("the same / that of a plain script", "ratio", 0.5),
}
# Reads the file whole and predicts nothing: the least that such a script takes.
PLAIN = """
import sys, librosa
y, sr = librosa.load(sys.argv[1], sr=None)
librosa.feature.mfcc(y=y, sr=sr, n_mfcc=13)
"""
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


def commit(root: pathlib.Path) -> str:
  code = "from gtzan_jax.reports.provenance import commit, short\n"
  return subprocess.run(
    [sys.executable, "-c", f"{code}print(short(commit()))"],
    env=environment(root),
    check=True,
    stdout=subprocess.PIPE,
    text=True,
  ).stdout.strip()


def options(recipe: str, data: pathlib.Path) -> list[str]:
  return [f"--config={ROOT}/configs/{recipe}.py", f"--config.data.dir={data}"]


def prepare(
  root: pathlib.Path, recipe: str, data: pathlib.Path, *more: str
) -> float:
  """Seconds that it takes, into a new folder."""
  subprocess.run(["rm", "-rf", str(data)], check=True)
  began = time.monotonic()
  subprocess.run(
    [
      *(sys.executable, str(root / "launch.py"), "prepare"),
      *(*options(recipe, data), *more),
    ],
    check=True,
    cwd=root,
    env=environment(root),
    stdout=subprocess.DEVNULL,
  )
  return time.monotonic() - began


def train(root: pathlib.Path, recipe: str, folder: pathlib.Path) -> dict:
  """One run of three epochs in a new run folder."""
  path = folder / "run"
  subprocess.run(["rm", "-rf", str(path)], check=True)
  command = [
    *(
      sys.executable,
      str(root / "launch.py"),
      *options(recipe, folder / "data"),
    ),
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


def predict(
  root: pathlib.Path, folder: pathlib.Path, file: pathlib.Path
) -> tuple[float, float]:
  """Seconds to the first line, and the peak memory in MB."""
  command = [
    *(sys.executable, str(root / "launch.py"), "predict"),
    *(f"--workdir={folder / 'run'}", str(file)),
  ]
  began = time.monotonic()
  process = subprocess.Popen(
    command, cwd=root, env=environment(root), stdout=subprocess.PIPE
  )
  assert process.stdout is not None
  process.stdout.readline()
  first = time.monotonic() - began
  return first, wait(process)


def sounds(folder: pathlib.Path) -> None:
  """Noise with a beat: a track of 30 s, one of an hour, clips of two genres."""
  import numpy as np
  import soundfile

  rng = np.random.default_rng(0)
  lengths = {"track.wav": 30, "hour.wav": HOUR}
  for genre in ("blues", "rock"):
    (folder / "clips" / genre).mkdir(parents=True)
    for number in range(CLIPS // 2):
      lengths[f"clips/{genre}/{genre}.{number:05}.wav"] = 30
  for name, seconds in lengths.items():
    with soundfile.SoundFile(folder / name, "w", 22050, 1) as file:
      for _ in range(seconds // 10):
        beat = np.sin(np.arange(220_500) / 40) ** 2
        file.write(0.1 * rng.standard_normal(220_500) * beat)


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


def one_round(
  root: pathlib.Path, recipe: str, folder: pathlib.Path, files: pathlib.Path
) -> dict:
  side = [sys.executable, __file__, f"--recipe={recipe}", f"--steps={folder}"]
  subprocess.run(["rm", "-rf", str(folder / "epochs")], check=True)
  done = subprocess.run(
    side, env=environment(root), check=True, stdout=subprocess.PIPE, text=True
  )
  trained = train(root, recipe, folder)
  other, clips = folder / "other", f"--config.data.path={files / 'clips'}"
  return {
    **imports(root),
    "first_step_warm_s": trained.pop("first_step_s"),
    **trained,
    "predict_first_file_s": predict(root, folder, files / "track.wav")[0],
    "predict_rss_mb": predict(root, folder, files / "hour.wav")[1],
    "prepare_s": prepare(root, recipe, other, clips),
    **json.loads(done.stdout.splitlines()[-1]),
  }


def measure(
  roots: Mapping[str, pathlib.Path], recipe: str, runs: int
) -> dict[str, dict]:
  """{side: medians}; the sides in turns."""
  found: dict[str, list[dict]] = {side: [] for side in roots}
  medians = {}
  with tempfile.TemporaryDirectory() as name:
    whole = pathlib.Path(name)
    sounds(whole)
    for side, root in roots.items():
      folder = whole / side
      folder.mkdir()
      prepare(root, recipe, folder / "data")
      cold = train(root, recipe, folder)["first_step_s"]
      medians[side] = {"first_step_cold_s": cold}
      predict(root, folder, whole / "track.wav")  # fills the caches
    for _ in range(runs):
      for side, root in roots.items():
        found[side].append(one_round(root, recipe, whole / side, whole))
        print(side, found[side][-1], file=sys.stderr, flush=True)
    script = [sys.executable, "-c", PLAIN, str(whole / "hour.wav")]
    plain = wait(subprocess.Popen(script))
  for side, each in medians.items():
    for key in found[side][0]:
      each[key] = statistics.median(run[key] for run in found[side])
    each["predict_rss_ratio"] = each["predict_rss_mb"] / plain
  return {
    side: {key: round(each[key], 4) for key in ROWS}
    for side, each in medians.items()
  }


def main() -> None:
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument("--recipe", default="resnet")
  parser.add_argument("--runs", type=int, default=3)
  parser.add_argument("--before", type=pathlib.Path)
  parser.add_argument("--json", type=pathlib.Path)
  parser.add_argument("--steps", type=pathlib.Path, help=argparse.SUPPRESS)
  given = parser.parse_args()
  if given.steps:
    print(json.dumps(steps(given.recipe, given.steps)))
    return
  roots = {"before": given.before.resolve()} if given.before else {}
  roots["now"] = ROOT
  commits = [f"{commit(root)} {side}" for side, root in roots.items()]
  found = measure(roots, given.recipe, given.runs)
  print(json.dumps({"benchmark": "waiting", "recipe": given.recipe, **found}))
  if given.json:
    packages = ("jax", "jaxlib", "flax", "orbax-checkpoint", "matplotlib")
    table = {
      "rows": [
        {
          **{"name": name, "before": found.get("before", {}).get(key)},
          **{"now": found["now"][key], "bar": bar, "unit": unit},
        }
        for key, (name, unit, bar) in ROWS.items()
      ],
      "versions": {
        "python": platform.python_version(),
        **{name: importlib.metadata.version(name) for name in packages},
      },
      "commit": ", ".join(commits),
      "command": f"python benchmarks/waiting.py --recipe={given.recipe}"
      f" --runs={given.runs} --before=CLONE --json=FILE",
    }
    given.json.parent.mkdir(parents=True, exist_ok=True)
    given.json.write_text(json.dumps(table, indent=1) + "\n")


if __name__ == "__main__":
  main()
