"""How much of its accuracy a model keeps when sound gets worse.

From what it said of the same tracks, as they are and distorted, to
robustness.json and what is drawn of it. `listening` has the model hear them.
"""

import os
import pathlib
from collections.abc import Mapping

from matplotlib.figure import Figure

from gtzan_jax import atomic, ranges
from gtzan_jax.audio.distortions import DISTORTIONS, Distortion
from gtzan_jax.reports import markdown, report
from gtzan_jax.reports import schema as report_schema
from gtzan_jax.reports import style as plots
from gtzan_jax.reports.style import PALETTE
from gtzan_jax.scores import compare, metrics, predictions
from gtzan_jax.scores.predictions import Predictions

FILE, PAGE = "robustness.json", "robustness.md"
CLEAN = "undistorted"


def name(distortion: str, level: float) -> str:
  """Of a table: "mp3_128", "time_stretch_0.8"."""
  return f"{distortion}_{level:g}"


def build(facts: Mapping, tables: Mapping[str, Predictions]) -> dict:
  """What robustness.json holds.

  Args:
    facts: of the run, carried along.
    tables: CLEAN and `name`s: what the model said of the same tracks.

  Returns:
    facts; n (tracks), clusters; undistorted: accuracy and ci95; distortions:
    {its name: label and levels: of each level, accuracy, difference (from
    undistorted), ci95 of the difference (paired bootstrap of clusters) and p
    (McNemar's exact test)}. All of tracks by mean probability.

  Raises:
    InputError: tables of other tracks.
  """
  tracks = {key: table.by_track("mean") for key, table in tables.items()}
  clean = tracks[CLEAN]
  scored = metrics.scores(clean, resamples=compare.RESAMPLES)
  return {
    **facts,
    "n": len(clean),
    "clusters": clean.n_clusters,
    "undistorted": {key: scored[key] for key in ("accuracy", "ci95")},
    "distortions": {
      key: {"label": one.label, "levels": levels}
      for key, one in DISTORTIONS.items()
      if (
        levels := [
          _row(level, tracks[name(key, level)], clean)
          for level in one.levels
          if name(key, level) in tracks
        ]
      )
    },
  }


def again(folder: str | os.PathLike) -> dict:
  """What robustness.json in a folder would hold if it were written now.

  Raises:
    InputError: it or one of its tables cannot be read.
  """
  folder = pathlib.Path(folder)
  levels = [{"level": float, ...: object}]
  tables = {ranges.FILE: {"levels": levels, ...: object}}
  spec = {"distortions": tables, ...: object}
  found = report_schema.read_json(folder / FILE, spec, "robustness")
  names = [
    name(key, row["level"])
    for key, one in found["distortions"].items()
    for row in one["levels"]
  ]
  facts = {key: value for key, value in found.items() if key not in _COMPUTED}
  stored = folder / "predictions"
  tables = {key: predictions.load(stored / f"{key}.npz") for key in names}
  return build(
    facts, tables | {CLEAN: predictions.load(stored / f"{CLEAN}.npz")}
  )


_COMPUTED = ("n", "clusters", "undistorted", "distortions")


def write(
  found: Mapping, tables: Mapping[str, Predictions], out: pathlib.Path
) -> pathlib.Path:
  """Writes tables, picture, Markdown and, last of all, robustness.json.

  Tables that an earlier call left and this one lacks are removed.
  """
  stored = out / "predictions"
  for key, table in tables.items():
    table.save(stored / f"{key}.npz")
  for file in stored.glob("*.npz"):
    if file.stem.rpartition("_")[0] in DISTORTIONS and file.stem not in tables:
      file.unlink()
  plots.save_png(draw(found), out / "robustness.png")
  atomic.write(out / PAGE, as_markdown(found))
  report.save(out / FILE, found)
  return out / FILE


def said(
  kind: Distortion, level: float, table: Predictions, clean: Predictions
) -> str:
  """One level in words."""
  row = _row(level, table.by_track("mean"), clean.by_track("mean"))
  low, high = row["ci95"]
  return (
    f"{kind.label} {level:g}: accuracy {row['accuracy']:.3f},"
    f" {row['difference']:+z.3f} (95 % {low:+z.3f} to {high:+z.3f})"
  )


def as_markdown(found: Mapping) -> str:
  """All levels as a table, in per cent."""
  clean = found["undistorted"]
  low, high = (f"{100 * x:.1f}" for x in clean["ci95"])
  rows = [
    (
      one["label"],
      f"{row['level']:g}",
      f"{100 * row['accuracy']:.1f}",
      f"{100 * row['difference']:+z.1f}",
      " to ".join(f"{100 * x:+z.1f}" for x in row["ci95"]),
      f"{row['p']:.2g}",
    )
    for one in found["distortions"].values()
    for row in one["levels"]
  ]
  head = (
    "distortion",
    "level",
    "accuracy, %",
    "difference",
    "95 % interval",
    "p",
  )
  return (
    f"{found['recipe']} (seed {found['seed']}) on {found['n']} {found['split']}"
    f" tracks of {found['protocol']}: {100 * clean['accuracy']:.1f} % as they"
    f" are (95 % {low} to {high}). Differences are paired.\n\n"
    f"{markdown.table(head, rows, numbers=1)}\n"
  )


def draw(found: Mapping) -> Figure:
  """A panel a distortion: accuracy by level beside that of undistorted sound.

  Bars are the 95 % interval of the difference, set on the undistorted accuracy.
  """
  kinds = found["distortions"]
  columns = min(4, len(kinds))
  rows = -(-len(kinds) // columns)
  with plots.style():
    figure = plots.new_figure(0.6 + 2.6 * columns, 0.5 + 2.35 * rows)
    figure.get_layout_engine().set(h_pad=0.1)
    cells = figure.subplots(rows, columns, squeeze=False, sharey=True).ravel()
    for axes, (key, one) in zip(cells, kinds.items(), strict=False):
      _panel(axes, DISTORTIONS[key], one, found["undistorted"]["accuracy"])
    for axes in cells[len(kinds) :]:
      axes.set_axis_off()
    figure.supxlabel(
      "track accuracy; dashed: undistorted; bars: 95 % interval of the"
      " difference from it",
      fontsize=9,
      color=PALETTE["muted"],
    )
  return figure


def _row(level: float, table: Predictions, clean: Predictions) -> dict:
  paired = compare.compare(table, clean)
  return {
    "level": level,
    "accuracy": paired["accuracy_a"],
    "difference": paired["difference"],
    "ci95": paired["ci95"],
    "p": paired["mcnemar"]["p"],
  }


def _panel(axes, kind: Distortion, one: Mapping, clean: float) -> None:
  """Levels at equal distances, from where nothing is done or on both sides."""
  levels = [row["level"] for row in one["levels"]]
  shown = [CLEAN, *levels]
  if kind.neutral is not None:
    shown = sorted([kind.neutral, *levels])
  at = {level: x for x, level in enumerate(shown)}
  y = {row["level"]: row["accuracy"] for row in one["levels"]}
  axes.axhline(clean, color=PALETTE["muted"], linewidth=1, dashes=(2, 2))
  for row in one["levels"]:
    x, ends = at[row["level"]], [clean + end for end in row["ci95"]]
    axes.plot([x, x], ends, color=PALETTE["pale"], linewidth=5)
  axes.plot(
    range(len(shown)),
    [y.get(level, clean) for level in shown],
    color=PALETTE["accent"],
    marker="o",
    markersize=5,
  )
  axes.set_xticks(
    range(len(shown)),
    ["none" if level is CLEAN else f"{level:g}" for level in shown],
  )
  axes.set_xlim(-0.4, len(shown) - 0.6)
  axes.set_ylim(0, 1)
  plots.percent(axes.yaxis)
  axes.grid(axis="y")
  axes.set_title(one["label"], pad=8, fontsize=10)
