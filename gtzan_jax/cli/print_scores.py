"""Console output: the scores of a report."""

import pathlib
from collections.abc import Mapping

from gtzan_jax.data import notices
from gtzan_jax.reports import artist_note, report


def _generated(gan: Mapping) -> None:
  """Scores of generated examples, against chance and real examples."""
  parts = gan["measures"]
  if gan["collapsed"]:
    notices.banner(
      "COLLAPSED: generated examples of a genre are nearly identical or not"
      f" finite (diversity {_three(parts['validation']['diversity'])}; real"
      " examples: 1)"
    )
  print(
    f"generated: {gan['generated']} examples; the judge assigns"
    f" {_three(parts['validation']['genre_share'])} to the requested genre"
    f" (chance at most {gan['chance']:.3f}, real examples"
    f" {gan['judge']['accuracy']:.3f})"
  )
  for part, measures in parts.items():
    shown = ("frechet_ratio", "coverage", "diversity", "nearest")
    values = (f"{name} {_three(measures[name])}" for name in shown)
    print(f"{part}: {', '.join(values)}")


def _three(value: float | None) -> str:
  return "nan" if value is None else f"{value:.3f}"


def result(path: pathlib.Path) -> None:
  """Prints the scores of the report in a folder, and its path."""
  facts = report.read(path / report.REPORT_FILE)
  if "gan" in facts:
    _generated(facts["gan"])
  else:
    _classified(facts["splits"])
  print(f"report: {path / 'report.html'}\n        {path / report.REPORT_FILE}")


def _classified(splits: Mapping) -> None:
  for name, split in splits.items():
    track = split["track"]
    if not track["n"]:
      what = "not scored" if split["n"] else "no tracks present"
      print(f"{name}: {what}, {split['missing']} missing")
      continue
    low, high = track["ci95"]
    print(
      f"{name}: track accuracy {track['accuracy']:.3f} (95 % {low:.3f} to"
      f" {high:.3f}), macro-F1 {track['macro_f1']:.3f}, {track['n']} tracks;"
      f" segment accuracy {split['segment']['accuracy']:.3f}"
    )
    if note := artist_note.note(name, split):
      print(f"{'warning: ' * artist_note.artists_decide(split)}{note}")
