"""robustness.md and robustness.png: accuracy by distortion and its strength."""

import pathlib
from collections.abc import Mapping

from matplotlib.figure import Figure

from gtzan_jax.audio.distortions import DISTORTIONS, Distortion
from gtzan_jax.reports import document as doc
from gtzan_jax.reports import plot_style, report
from gtzan_jax.reports.document import interval, percent, points
from gtzan_jax.reports.plot_style import PALETTE
from gtzan_jax.scores.predictions import Predictions
from gtzan_jax.studies.robustness.measure import CLEAN, FILE

PAGE = "robustness.md"


def write(
  result: Mapping, tables: Mapping[str, Predictions], out: pathlib.Path
) -> pathlib.Path:
  """Writes tables (removing old ones), picture, Markdown, last
  robustness.json."""
  stored = out / "predictions"
  for key, table in tables.items():
    table.save(stored / f"{key}.npz")
  for file in stored.glob("*.npz"):
    if file.stem.rpartition("_")[0] in DISTORTIONS and file.stem not in tables:
      file.unlink()
  document(result).write(out, PAGE)
  report.save(out / FILE, result)
  return out / FILE


def document(result: Mapping) -> doc.Document:
  """All levels as a table, in per cent."""
  clean = result["undistorted"]
  rows = [
    (
      *(one["label"], f"{row['level']:g}", percent(row["accuracy"])),
      *(points(row["difference"]), " to ".join(map(points, row["ci95"]))),
      f"{row['p']:.2g}",
    )
    for one in result["distortions"].values()
    for row in one["levels"]
  ]
  head = ("distortion", "level", "accuracy, %", "difference", "95 % interval")
  return doc.Document(
    f"Distorted test audio: {result['recipe']} (seed {result['seed']})",
    [
      f"{result['n']} {result['split']} tracks of {result['protocol']}:"
      f" {percent(clean['accuracy'])} % undistorted (95 %"
      f" {interval(clean['ci95'], ' to ')}). Differences are paired.",
      doc.figure(
        "robustness", "track accuracy by distortion and level", draw, result
      ),
      doc.table((*head, "p"), rows, "lr"),
    ],
  )


@plot_style.style()
def draw(result: Mapping) -> Figure:
  """A panel for each distortion: accuracy by level, with the 95 % interval of
  the difference around the undistorted accuracy."""
  kinds = result["distortions"]
  columns = min(4, len(kinds))
  rows = -(-len(kinds) // columns)
  figure = plot_style.new_figure(0.6 + 2.6 * columns, 0.5 + 2.35 * rows)
  figure.get_layout_engine().set(h_pad=0.1)
  cells = figure.subplots(rows, columns, squeeze=False, sharey=True).ravel()
  for axes, (key, one) in zip(cells, kinds.items(), strict=False):
    _panel(axes, DISTORTIONS[key], one, result["undistorted"]["accuracy"])
  for axes in cells[len(kinds) :]:
    axes.set_axis_off()
  figure.supxlabel(
    "track accuracy; dashed: undistorted; bars: 95 % interval of the"
    " difference from it",
    fontsize=9,
    color=PALETTE["muted"],
  )
  return figure


def _panel(axes, kind: Distortion, one: Mapping, clean: float) -> None:
  """Levels at equal distances, starting from undistorted audio or around it."""
  rows = {row["level"]: row for row in one["levels"]}
  shown = [CLEAN, *rows]
  if kind.neutral is not None:
    shown = sorted([kind.neutral, *rows])
  axes.axhline(clean, color=PALETTE["muted"], linewidth=1, dashes=(2, 2))
  for level, row in rows.items():
    x, ends = shown.index(level), [clean + end for end in row["ci95"]]
    axes.plot([x, x], ends, color=PALETTE["pale"], linewidth=5)
  axes.plot(
    [rows[x]["accuracy"] if x in rows else clean for x in shown],
    color=PALETTE["accent"],
    marker="o",
    markersize=5,
  )
  names = ["none" if level is CLEAN else f"{level:g}" for level in shown]
  axes.set_xticks(range(len(shown)), names)
  axes.set(xlim=(-0.4, len(shown) - 0.6), ylim=(0, 1))
  plot_style.percent(axes.yaxis)
  axes.grid(axis="y")
  axes.set_title(one["label"], pad=8, fontsize=10)
