"""Time to the first step, and time the loop waits for input.

  python benchmarks/waiting.py [--config=configs/quickstart.py] [--runs=3]

Each run is a whole `launch.py` process on the synthetic corpus. Printed, one
JSON line: seconds from the command to the first training step, with the
compilation cache cold (first run) and warm (median of the others), and the
share of the training time that the loop waited for input.
"""

import argparse
import json
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]


def rows(path: pathlib.Path) -> list[dict]:
  text = path.read_text() if path.is_file() else ""
  return [json.loads(line) for line in text.splitlines(keepends=True)
          if line.endswith("\n")]  # fmt: skip


def run(config: str, folder: pathlib.Path, name: str, steps: int) -> dict:
  metrics = folder / name / "metrics.jsonl"
  command = [
    sys.executable,
    str(ROOT / "launch.py"),
    f"--config={config}",
    f"--workdir={folder / name}",
    f"--config.data.dir={folder / 'data'}",
    f"--config.log.compilation_cache={folder / 'compiled'}",
    "--config.log.every_steps=1",
    f"--config.train.max_steps={steps}",
  ]
  began = time.monotonic()
  process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL)
  while not rows(metrics):
    if process.poll() is not None:
      sys.exit(f"{' '.join(command)}: exit status {process.returncode}")
    time.sleep(0.02)
  first = time.monotonic() - began
  process.wait()
  epochs = [row for row in rows(metrics) if "epoch" in row]
  # the first epoch compiles: what it waits for is not input
  waited = sum(row["time/input"] for row in epochs[1:])
  trained = sum(row["time/train"] for row in epochs[1:])
  return {"first_step_s": first, "input_wait": waited / trained}


def main() -> None:
  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument("--config", default=str(ROOT / "configs/quickstart.py"))
  parser.add_argument("--runs", type=int, default=3)
  parser.add_argument("--steps", type=int, default=100)
  arguments = parser.parse_args()
  with tempfile.TemporaryDirectory() as name:
    folder = pathlib.Path(name)
    subprocess.run(
      [
        sys.executable,
        str(ROOT / "launch.py"),
        "prepare",
        f"--config={arguments.config}",
        f"--config.data.dir={folder / 'data'}",
      ],
      check=True,
      cwd=ROOT,
      stdout=subprocess.DEVNULL,
    )
    found = [
      run(arguments.config, folder, str(i), arguments.steps)
      for i in range(arguments.runs + 1)
    ]
  warm = [one["first_step_s"] for one in found[1:]]
  print(
    json.dumps(
      {
        "benchmark": "waiting",
        "config": pathlib.Path(arguments.config).stem,
        "first_step_cold_s": round(found[0]["first_step_s"], 1),
        "first_step_warm_s": round(statistics.median(warm), 1),
        "input_wait": round(
          statistics.median(one["input_wait"] for one in found), 4
        ),
        "runs": arguments.runs,
      }
    )
  )


if __name__ == "__main__":
  main()
