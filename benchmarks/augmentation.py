"""The tables of an augmentation sweep, in Markdown.

  python benchmarks/augmentation.py runs/sweeps/augmentation

For the LSTMs of configs/sweeps/augmentation.py or augmentation_waveform.py:
track accuracy of each arm, mean ± standard deviation over the seeds, and the
gain over real segments alone with a 95 % interval (all seeds together, a
bootstrap over artists). For the GANs: the measures in their reports.
"""

import argparse
import collections
import pathlib
import re
import statistics

from gtzan_jax.reports import stored_runs
from gtzan_jax.scores import paired_tests

LSTM = re.compile(r"lstm_(?:(\d+)_)?(.+)_seed\d+")
MEASURES = ("genre_share", "frechet_ratio", "coverage", "diversity", "nearest")


def runs(folder: pathlib.Path) -> dict[str, dict]:
  """{name: report} of the runs of a sweep that have ended."""
  return {
    path.name: stored_runs.read(path) for path in stored_runs.below(folder)
  }


def headline(folder: pathlib.Path, name: str, found: dict):
  """A run's predictions for the tracks of its headline split."""
  return stored_runs.table(folder / name, found["headline"]).by_track("mean")


def cell(tables: list, real: list) -> str:
  """Mean ± deviation, and the difference to `real`."""
  values = [100 * float(table.correct.mean()) for table in tables]
  text = f"{statistics.fmean(values):.1f} ± {statistics.stdev(values):.1f}"
  if tables is real:
    return text
  found = paired_tests.compare_many(tables, real)
  low, high = (100 * bound for bound in found["ci95"])
  difference = 100 * found["difference"]
  return f"{text} ({difference:+z.1f}; {low:+z.1f} to {high:+z.1f})"


def lstm_table(folder: pathlib.Path, found: dict[str, dict]) -> list[str]:
  arms = collections.defaultdict(lambda: collections.defaultdict(list))
  for name, one in found.items():
    if match := LSTM.fullmatch(name):
      share, arm = match[1] or "100", match[2]
      arms[arm][share].append(headline(folder, name, one))
  shares = sorted({s for cells in arms.values() for s in cells}, key=int)[::-1]
  lines = [
    f"| arm | {' | '.join(f'{share} %' for share in shares)} |",
    f"|---|{'---|' * len(shares)}",
  ]
  for arm in sorted(arms, key=lambda arm: (arm != "real", arm)):
    cells = [
      cell(arms[arm][share], arms["real"][share])
      if len(arms[arm][share]) > 1 and len(arms["real"][share]) > 1
      else "–"
      for share in shares
    ]
    lines.append(f"| `{arm}` | {' | '.join(cells)} |")
  return lines


def gan_table(found: dict[str, dict]) -> list[str]:
  lines = [
    f"| GAN | judge | {' | '.join(MEASURES)} |",
    f"|---|---|{'---|' * len(MEASURES)}",
  ]
  for name, one in found.items():
    if "gan" in one:
      split = "test" if "test" in one["gan"]["measures"] else "validation"
      measures = one["gan"]["measures"][split]
      cells = [f"{measures[key]:.2f}" for key in MEASURES]
      judge = one["gan"]["judge"]["accuracy"]
      lines.append(f"| `{name}` | {judge:.2f} | {' | '.join(cells)} |")
  return lines


def main() -> None:
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument("folder", type=pathlib.Path)
  folder = parser.parse_args().folder
  found = runs(folder)
  if not found:
    parser.error(f"{folder} holds no run that has ended")
  if any(map(LSTM.fullmatch, found)):
    print("\n".join([*lstm_table(folder, found), ""]))
  print("\n".join(gan_table(found)))


if __name__ == "__main__":
  main()
