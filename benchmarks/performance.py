"""Draws the tables of docs/performance.md from results/performance.

  python benchmarks/performance.py [--results=FOLDER] [--page=FILE]

Between <!--table NAME.json--> and <!--end--> stands the table of that file; the
rest of the page is kept. A file is compare.py's, with a row for each recipe, or
{"rows": [...], "versions": {...}, "commit": "...", "command": "..."}, whose
rows have a key for each column. Where there is no such file there is no table.
"""

import argparse
import json
import pathlib
import re
from collections.abc import Mapping, Sequence

ROOT = pathlib.Path(__file__).resolve().parents[1]
MARKS = re.compile(r"(<!--table (.+?)-->\n).*?(<!--end-->)", re.S)


def table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
  lines = [columns, ["---"] * len(columns), *rows]
  return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def number(value) -> str:
  """Three digits, thousands apart; text as it is, true and false as words."""
  if isinstance(value, bool):
    return "yes" if value else "no"
  if isinstance(value, str) or value is None:
    return value or ""
  if abs(value) >= 100 or value == int(value):
    return f"{value:,.0f}"
  return f"{value:.3g}"


def plain(stored: Mapping) -> list[str]:
  """The table of a file of rows, and a line on how it was measured."""
  rows = stored["rows"]
  keys = list(dict.fromkeys(key for row in rows for key in row))
  columns = [key.replace("_ms", ", ms").replace("_", " ") for key in keys]
  cells = [[number(row.get(key)) for key in keys] for row in rows]
  said = [f"{k} {version}" for k, version in stored.get("versions", {}).items()]
  if "commit" in stored:
    said.append(f"commit {stored['commit']}")
  if "command" in stored:
    said.append(f"`{stored['command']}`")
  return [table(columns, cells), ", ".join(said) + "." if said else ""]


def spread(side: Mapping) -> str:
  return (
    f"{number(side['ms'])} ({number(side['p10'])} to {number(side['p90'])})"
  )


def steps(rows: Mapping[str, Mapping]) -> list[str]:
  """The table of a file of compare.py, and a line on how it was measured."""
  names = list(dict.fromkeys(n for row in rows.values() for n in row["sides"]))
  columns = [
    *("recipe", "batch", *(f"{name}, ms (p10 to p90)" for name in names)),
    *("ours / fastest other (range)", "page faults a step"),
    "peak memory, MiB",
  ]
  cells = []
  for recipe, row in rows.items():
    sides = [row["sides"].get(name) for name in names]
    ratio = ""
    if "ratio" in row:
      low, high = row["ratio_range"]
      ratio = f"{row['ratio']:.2f} ({low:.2f} to {high:.2f})"
    cells.append(
      [
        *(f"`{recipe}`", str(row["batch_size"])),
        *(spread(side) if side else "" for side in sides),
        ratio,
        *(
          " / ".join(number(side[key]) if side else "-" for side in sides)
          for key in ("faults", "rss_mib")
        ),
      ]
    )
  return [table(columns, cells), conditions(list(rows.values()))]


def conditions(rows: Sequence[Mapping]) -> str:
  """What the rows of compare.py were measured with."""
  versions: dict[str, set] = {}
  for row in rows:
    for name, version in row["versions"].items():
      versions.setdefault(name, set()).add(version)
  said = {
    f"{m['cpu']}, {m['threads']} threads on {m['cores']} cores, {m['system']},"
    f" Python {m['python']}"
    for m in (row["machine"] for row in rows)
  }
  libraries = (
    f"{name} {' and '.join(sorted(each))}" for name, each in versions.items()
  )
  return (
    f"{'; '.join(sorted(said))}; {', '.join(libraries)}."
    f" {span(row['repeats'] for row in rows)} repeats of"
    f" {span(row['rounds'] for row in rows)} rounds,"
    f" {span(row['date'] for row in rows)}, commit"
    f" {' and '.join(sorted({row['commit'] for row in rows}))}; other processes"
    f" took at most {max(row['others'] or 0 for row in rows):.1%} of the cores."
  )


def span(values) -> str:
  """One value, or the least and the greatest."""
  values = {*values}
  least, most = min(values), max(values)
  return f"{least}" if least == most else f"{least} to {most}"


def draw(text: str, results: pathlib.Path) -> str:
  """A page with its tables drawn anew; one whose file is missing is empty."""

  def read(name: str):
    file = results / name
    return json.loads(file.read_text("utf-8")) if file.is_file() else {}

  def replaced(marks: re.Match) -> str:
    parts = []
    if stored := read(marks[2]):
      parts = plain(stored) if "rows" in stored else steps(stored)
    body = "".join(f"\n{part}\n" for part in parts if part)
    return f"{marks[1]}{body}\n{marks[3]}"

  return MARKS.sub(replaced, text)


def main() -> None:
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument(
    "--results", type=pathlib.Path, default=ROOT / "results/performance"
  )
  parser.add_argument(
    "--page", type=pathlib.Path, default=ROOT / "docs/performance.md"
  )
  asked = parser.parse_args()
  page = asked.page.read_text("utf-8")
  asked.page.write_text(draw(page, asked.results), "utf-8")


if __name__ == "__main__":
  main()
