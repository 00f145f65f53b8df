"""An overview as a picture: what a leaking split is worth, recipe by recipe."""

from collections.abc import Iterable, Mapping

from matplotlib.figure import Figure

from gtzan_jax import plots
from gtzan_jax.plots import PALETTE


def comparable(lines: Iterable[Mapping]) -> list[Mapping]:
  """Those of `overview.overview` that leak as their source does, and honestly
  have learnt from the same data; the best of the source's first."""
  found = [
    line
    for line in lines
    if line["same"]
    and line["honest"]
    and line["same"]["table"]["leak"]
    and line["same"]["data"] == line["honest"]["data"]
  ]
  return sorted(found, key=lambda line: -_leaking(line))


def draw(lines: Iterable[Mapping]) -> Figure | None:
  """A row a recipe; None where no two numbers may be set side by side."""
  lines = comparable(lines)
  if not lines:
    return None
  with plots.style():
    figure = plots.new_figure(8, 1.5 + 0.55 * len(lines))
    axes = figure.subplots()
    for y, line in enumerate(lines):
      _row(axes, y, line)
    axes.set_yticks(range(len(lines)), [line["recipe"] for line in lines])
    axes.tick_params(axis="y", labelsize=10)
    axes.set_ylim(len(lines) - 0.5, -0.6)
    axes.set_xlim(0, 1)
    plots.percent(axes.xaxis)
    axes.grid(axis="x")
    axes.set_xlabel("accuracy of what the source counts")
    axes.set_title("The same recipe, split as published and honestly", pad=24)
    for x, words, colour in (
      (0.0, "● tracks held out (ours)", "accent"),
      (0.33, "● the source's leaking split (ours)", "warm"),
      (0.76, "○ published", "muted"),
    ):
      axes.text(
        x,
        1.03,
        words,
        transform=axes.transAxes,
        color=PALETTE[colour],
        fontsize=9,
      )
  return figure


def _leaking(line: Mapping) -> float:
  return line["same"][line["published"].level].mean


def _row(axes, y: int, line: Mapping) -> None:
  published = line["published"]
  honest, leaking = line["honest"][published.level].mean, _leaking(line)
  axes.plot([honest, leaking], [y, y], color=PALETTE["pale"], linewidth=5)
  for x, colour in ((honest, "accent"), (leaking, "warm")):
    axes.plot(x, y, "o", color=PALETTE[colour], markersize=9)
    axes.annotate(
      f"{100 * x:.1f}",
      (x, y),
      (0, 9),
      textcoords="offset points",
      ha="center",
      fontsize=9,
      color=PALETTE[colour],
    )
  axes.plot(
    float(published.percent) / 100,
    y,
    "o",
    markersize=9,
    markerfacecolor="none",
    markeredgecolor=PALETTE["muted"],
  )
