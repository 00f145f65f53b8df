"""docs/performance.md has the tables of results/performance."""

import json

from benchmarks import performance


def test_the_page_has_the_tables_of_its_files(pytestconfig):
  root = pytestconfig.rootpath
  page = (root / "docs" / "performance.md").read_text("utf-8")
  drawn = performance.draw(page, root / "results" / "performance")
  assert page == drawn, "run: python benchmarks/performance.py"
  marked = {match[2] for match in performance.MARKS.finditer(page)}
  stored = (root / "results" / "performance").glob("*.json")
  assert {file.name for file in stored} <= marked


PAGE = "# A\n<!--table {}-->\nold\n<!--end-->\nB\n"


def drawn(folder, content):
  """The page's lines for the table of a file."""
  (folder / "a.json").write_text(json.dumps(content))
  page = performance.draw(PAGE.format("a.json"), folder)
  assert performance.draw(page, folder) == page
  first, *lines, last = page.replace("\n\n", "\n").splitlines()
  assert (first, last, lines[-1]) == ("# A", "B", "<!--end-->")
  return lines[1:-1]


def test_rows_give_their_columns(tmp_path):
  row = {"name": "mfcc", "ours_ms": 1234.5, "ratio": 0.1234, "kept": True}
  rows = {"rows": [row, row, {"ratio": 2}]}
  said = {"versions": {"jax": "1"}, "commit": "abc", "command": "run"}
  table = [
    "| name | ours, ms | ratio | kept |",
    "| --- | --- | --- | --- |",
    "| mfcc | 1,234 | 0.123 | yes |",
    "| mfcc | 1,234 | 0.123 | yes |",
    "|  |  | 2 |  |",
  ]
  assert drawn(tmp_path, rows | said) == [*table, "jax 1, commit abc, `run`."]
  assert drawn(tmp_path, rows) == table
  assert drawn(tmp_path, {}) == []


def step(recipe, date, **sides):
  side = {"p10": 1, "p90": 2.5, "faults": 1000}
  return {
    "recipe": recipe,
    "batch_size": 8,
    "sides": {
      name: {**side, "ms": ms, "rss_mib": ms} for name, ms in sides.items()
    },
    "ratio": 0.5,
    "ratio_range": [0.4, 0.6],
    "versions": {"jax": "1"},
    "others": 0.01,
    "rounds": 7,
    "repeats": 3,
    "date": date,
    "commit": f"of {date}",
    "machine": dict.fromkeys(("cpu", "threads", "cores", "system"), "x")
    | {"python": "3"},
  }


def test_steps_have_a_column_for_each_side(tmp_path):
  header, _, mlp, new, said = drawn(
    tmp_path,
    {
      "mlp": step("mlp", "2026-01-01", ours=2, torch=4),
      "new": step("new", "2026-01-02", ours=3),
    },
  )
  assert header.startswith("| recipe | batch | ours, ms (p10 to p90) | torch,")
  assert mlp == (
    "| `mlp` | 8 | 2 (1 to 2.5) | 4 (1 to 2.5) | 0.50 (0.40 to 0.60)"
    " | 1,000 / 1,000 | 2 / 4 |"
  )
  assert "| 3 (1 to 2.5) |  | 0.50 (0.40 to 0.60) | 1,000 / - |" in new
  assert said == (
    "x, x threads on x cores, x, Python 3; jax 1. 3 repeats of 7 rounds,"
    " 2026-01-01 to 2026-01-02, commit of 2026-01-01 and of 2026-01-02; other"
    " processes took at most 1.0% of the cores."
  )
