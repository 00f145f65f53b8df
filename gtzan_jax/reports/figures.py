"""The pictures of a report: curves, confusion, genres, levels, calibration."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.collections import PolyCollection
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure

from gtzan_jax.reports.plot_style import (
  PALETTE,
  interval,
  label,
  name_rows,
  new_figure,
  percent,
  style,
  text_width,
)

# key in a history row -> (panel, legend, colour, line width)
CURVES = {
  "train/loss": ("loss", "train", "warm", 1.4),
  "validation/loss": ("loss", "validation", "accent", 2.0),
  "train/accuracy": ("accuracy", "train, segments", "warm", 1.4),
  "validation/accuracy": ("accuracy", "validation, segments", "middle", 1.4),
  "validation/track_accuracy": (
    "accuracy",
    "validation, tracks",
    "accent",
    2.0,
  ),
}

# Looks of a line that is no curve; `label` at a share of the panel's height.
_DASHES = {"color": PALETTE["muted"], "linewidth": 1, "dashes": (2, 2)}
_BY_HEIGHT = {"xycoords": ("data", "axes fraction")}

# key of a split -> what its accuracies count
LEVELS = {
  "track": "Tracks, mean probability",
  "track_majority": "Tracks, majority vote",
  "segment": "Segments",
}


@style()
def learning_curves(history: list[dict], best_epoch: int | None) -> Figure:
  """Loss and accuracy by epoch, from rows with "epoch" and keys of CURVES
  (None: a gap); the best epoch marked, what followed shaded."""
  figure = new_figure(10, 3.7, (0.65, 0.45, 0.1, 0.55))
  loss, accuracy = figure.subplots(1, 2, gridspec_kw={"wspace": 0.15})
  loss.set_title("Loss (nats)", y=1)
  accuracy.set_title("Accuracy", y=1)
  panels = {"loss": loss, "accuracy": accuracy}
  by_epoch(panels, CURVES, history, best_epoch)
  loss.set_ylim(bottom=0)
  loss.yaxis.get_major_locator().set_params(nbins=5)
  accuracy.set_ylim(0, 1)
  percent(accuracy.yaxis)
  return figure


def by_epoch(panels, curves, history, best_epoch: int | None) -> None:
  """Draws a table of curves, such as CURVES, into its panels."""
  for key, (panel, name, colour, width) in curves.items():
    points = [(r["epoch"], r[key]) for r in history if r.get(key) is not None]
    if points:
      panels[panel].plot(
        *zip(*points, strict=True),
        color=PALETTE[colour],
        linewidth=width,
        label=name,
        # A line of one point would be invisible.
        marker="o" if len(points) == 1 else None,
        markersize=4,
      )
  for axes in panels.values():
    axes.set_xlabel("epoch")
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.grid(axis="y")
    if not axes.lines:
      centre = {"transform": axes.transAxes, "ha": "center", "va": "center"}
      text = "nothing recorded"
      axes.text(0.5, 0.5, text, color=PALETTE["muted"], **centre)
      continue
    _legend(axes)
    if best_epoch is not None:
      _mark_best(axes, best_epoch, max(row["epoch"] for row in history))


@style()
def confusion(
  matrix: list[list[int]],
  genres: list[str],
  title: str,
  *,
  rows: str = "true",
  columns: str = "predicted",
) -> Figure:
  """Counts, each cell as dark as its share of its row."""
  count, side = len(genres), 0.55 * len(genres)
  longest = max((text_width(name, 9) for name in genres), default=0)
  # Of the names: beside the rows, and at 40 degrees below the columns.
  left, below = longest + 0.35, 0.64 * longest + 0.45
  margins = left, below, 0.1, 0.35
  figure = new_figure(left + side + 0.1, below + side + 0.35, margins)
  axes = figure.subplots()
  ends = (-0.5, count - 0.5)
  axes.set(xlim=ends, ylim=ends[::-1], xticks=[], yticks=[])
  axes.set_xlabel(columns)
  axes.set_ylabel(rows)
  axes.xaxis.set_label_coords(0.5, 0.15 / side - below / side)
  axes.yaxis.set_label_coords(0.15 / side - left / side, 0.5)
  axes.spines["bottom"].set_visible(False)
  _cells(axes, matrix)
  # Ticks would take three times as long as texts.
  look, edge = {"fontsize": 9, "color": PALETTE["muted"]}, 0.5 + 0.05 / 0.55
  for i, name in enumerate(genres):
    axes.text(-edge, i, name, ha="right", va="center", **look)
    axes.text(
      i, count - 1 + edge, name, ha="right", va="top", rotation=40, **look
    )
  axes.set_title(title, pad=12, y=1)
  return figure


def entitled(figure: Figure, title: str) -> Figure:
  """A figure of one panel, with another title of one line."""
  figure.axes[0].title.set_text(title)
  return figure


@style()
def per_genre(table: dict[str, dict], title: str) -> Figure:
  """Precision, recall and F1 of each genre; absent genres are marked."""
  figure = new_figure(10, 3.7, (0.5, 0.45, 0.1, 0.55))
  axes, places = figure.subplots(), range(len(table))
  bars = {"precision": "pale", "recall": "middle", "f1": "accent"}
  for k, (name, colour) in enumerate(bars.items()):
    axes.bar(
      [i + (k - 1) * 0.25 for i in places],
      [row[name] or 0.0 for row in table.values()],
      width=0.22,
      color=PALETTE[colour],
      label="F1" if name == "f1" else name,
    )
  for i, (genre, row) in enumerate(table.items()):
    if not row["support"]:
      axes.text(i, 0.02, "absent", ha="center", color=PALETTE["muted"])
    axes.text(
      i,
      -0.02,
      f"{genre}\n{row['support']}",
      ha="center",
      va="top",
      fontsize=9,
      color=PALETTE["muted"],
    )
  axes.set(xlim=(-0.6, len(table) - 0.4), ylim=(0, 1), xticks=[])
  axes.set_title(title, y=1)
  percent(axes.yaxis)
  axes.grid(axis="y")
  _legend(axes)
  return figure


@style()
def levels(split: Mapping, chance: float) -> Figure:
  """Accuracy by mean, majority vote and segment, with 95 % intervals."""
  rows = [
    (name, "accent" if key == "track" else "middle", split[key])
    for key, name in LEVELS.items()
    if split[key]["n"]
  ]
  figure = new_figure(6.4, 2.9, (1.7, 0.45, 0.25, 0.35))
  axes = figure.subplots()
  accuracies(axes, rows)
  axes.axvline(chance, **_DASHES)
  look = {"ha": "left", "va": "top", **_BY_HEIGHT}
  label(axes, "chance", (chance, 1), (4, -2), "muted", **look)
  axes.set_xlabel("accuracy, 95 % interval")
  axes.set_title("Accuracy", pad=12, y=1)
  return figure


def accuracies(axes, rows: Sequence[tuple[str, str, Mapping]]) -> None:
  """Accuracies with their intervals, in rows of (name, colour, level)."""
  for y, (_, colour, level) in enumerate(rows):
    text = f"{100 * level['accuracy']:.1f}"
    interval(axes, y, level["accuracy"], level["ci95"], colour, text)
  axes.set(xlim=(0, 1), xlabel="track accuracy, 95 % interval")
  percent(axes.xaxis)
  name_rows(axes, [name for name, _, _ in rows])


@style()
def reliability(
  bins: Sequence[dict], title: str, scaled: Sequence[dict] = ()
) -> Figure:
  """Accuracy against confidence, from bins {confidence, accuracy, n}; `scaled`
  is the same after temperature scaling."""
  figure = new_figure(3.6, 2.9, (0.65, 0.45, 0.1, 0.35))
  axes = figure.subplots()
  axes.plot([0, 1], [0, 1], **_DASHES)
  drawn = {"as it is": (bins, "middle", "accent")}
  if scaled:
    drawn["scaled"] = (scaled, "warm", "warm")
  for name, (rows, line, dots) in drawn.items():
    total = sum(row["n"] for row in rows)
    x = [row["confidence"] for row in rows]
    y = [row["accuracy"] for row in rows]
    axes.plot(x, y, color=PALETTE[line], linewidth=1.2, label=name)
    sizes = [16 + 240 * row["n"] / total for row in rows]
    axes.scatter(x, y, s=sizes, color=PALETTE[dots], alpha=0.85, zorder=3)
  ends = (-0.03, 1.05)
  axes.set(xlim=ends, ylim=ends, xlabel="confidence", ylabel="accuracy")
  percent(axes.xaxis)
  percent(axes.yaxis)
  axes.grid()
  if scaled:
    axes.legend(loc="upper left", borderaxespad=0)
  axes.set_title(title, pad=12, y=1)
  return figure


def _legend(axes) -> None:
  """One line above the panel on the right, where no curve passes."""
  axes.legend(
    loc="lower right",
    bbox_to_anchor=(1.0, 1.03),
    ncols=3,
    handlelength=1.2,
    columnspacing=1.2,
    borderaxespad=0,
  )


def _mark_best(axes, best: int, last: int) -> None:
  """A line at the best epoch; later epochs are shaded."""
  axes.axvline(best, **_DASHES)
  if last > best:
    axes.axvspan(best, last, color=PALETTE["grid"], alpha=0.45, linewidth=0)
  side, by = ("right", -4) if best > sum(axes.get_xlim()) / 2 else ("left", 4)
  place = (best, 0.03)  # the text on the wider side
  label(axes, f"best: {best}", place, (by, 0), "muted", ha=side, **_BY_HEIGHT)


def _cells(axes, matrix: list[list[int]]) -> None:
  """A square for each count and, but for zeros, the count."""
  size, edge = len(matrix), 0.48
  shares = [[count / max(sum(row), 1) for count in row] for row in matrix]
  colours = [
    # 0.12 at least: one lost track in a hundred must stay visible.
    to_rgba(PALETTE["accent"], 0.12 + 0.88 * share)
    if count
    else to_rgba(PALETTE["grid"], 0.4)
    for row, of in zip(matrix, shares, strict=True)
    for count, share in zip(row, of, strict=True)
  ]
  squares = PolyCollection(
    [
      [
        (x, y),
        (x + 2 * edge, y),
        (x + 2 * edge, y + 2 * edge),
        (x, y + 2 * edge),
      ]
      for y in np.arange(size) - edge
      for x in np.arange(size) - edge
    ],
    facecolors=colours,
    linewidths=0,
  )
  axes.add_collection(squares, autolim=False)
  for i, row in enumerate(matrix):
    for j, count in enumerate(row):
      if count:
        axes.text(
          j,
          i,
          str(count),
          ha="center",
          va="center",
          fontsize=9,
          fontweight="bold" if i == j else "normal",
          color=PALETTE["on-accent" if shares[i][j] > 0.45 else "ink"],
        ).set_in_layout(False)
