"""failures.json as lines, as Markdown and as one picture."""

from collections.abc import Mapping
from typing import Any

from matplotlib.figure import Figure

from gtzan_jax.reports import document as doc
from gtzan_jax.reports import plot_style
from gtzan_jax.reports.document import percent
from gtzan_jax.reports.plot_style import PALETTE

FILE = "failures.md"
_SHOWN = 5  # of the confused pairs, on the terminal


def lines(found: Mapping) -> list[str]:
  """The main lines, for the terminal."""
  said = [
    f"{run['workdir']}: {run['recipe']}, seed {run['seed']} ({run['protocol']})"
    f", accuracy {run['accuracy']:.3f}"
    + (f"; LEAKS: {run['leak']}" if run["leak"] else "")
    for run in found["runs"]
  ]
  said += _copies(found)
  said.append(_always(found))
  said += [f"confused: {_pair(pair)}" for pair in found["confused"][:_SHOWN]]
  said += [f"faults: {_fault(*one)}" for one in found["faults"].items()]
  if not found["faults"]:
    said.append("faults: none are published of these tracks")
  if found["position"]:
    first, last = (_at(found["position"][i]) for i in (0, -1))
    said.append(f"position in the clip: {first}; {last}")
  return said


def document(found: Mapping) -> doc.Document:
  """All results, as tables."""
  runs = [
    (
      doc.code(run["workdir"]),
      run["recipe"],
      run["seed"],
      (run["protocol"], doc.bold(" (leaks)"))
      if run["leak"]
      else run["protocol"],
      percent(run["accuracy"]),
    )
    for run in found["runs"]
  ]
  faults: Any = "Nothing is published of these tracks."
  if found["faults"]:
    rows = [
      (
        kind,
        *_shares(test),
        "–" if test["odds_ratio"] is None else f"{test['odds_ratio']:.2f}",
        f"{test['p']:.3g}",
      )
      for kind, test in found["faults"].items()
    ]
    head = ("noted", "of the always wrong", "of the others", "odds ratio", "p")
    faults = doc.table(head, rows)
  confused = {
    "genre": ("genre",),
    "predicted": ("predicted",),
    "predictions": ("n",),
    "% of the genre's": ("share", percent),
  }
  position = {
    "segment": ("segment",),
    "n": ("n",),
    "accuracy, %": ("accuracy", percent),
    "95 % interval": ("ci95", doc.interval),
  }
  wrong = [
    (
      row["track"],
      row["genre"],
      row["artist"] or "–",
      row["title"] or "–",
      ", ".join(f"{genre} ({n})" for genre, n in row["heard"].items()),
      f"{row['true_probability']:.3f}",
      "; ".join(found["notes"].get(row["track"], {}).values()) or "–",
    )
    for row in found["always_wrong"]
  ]
  head = (
    "track",
    "genre",
    "artist",
    "title",
    "predicted",
    "true probability",
    "notes",
  )
  return doc.Document(
    "Where these runs fail",
    [
      doc.table(("run", "recipe", "seed", "protocol", "track accuracy"), runs),
      f"{_always(found).capitalize()}.",
      *_copies(found),
      doc.figure(
        "failures",
        "what is confused, how often, and where in the clip",
        draw,
        found,
      ),
      doc.part("Most confused", doc.records(found["confused"], confused)),
      doc.part("Always wrong", doc.table(head, wrong)),
      doc.part("Do published faults explain it?", faults),
      found["position"]
      and doc.part(
        "By position in the clip", doc.records(found["position"], position)
      ),
    ],
  )


def draw(found: Mapping) -> Figure:
  """Confused pairs, wrong runs per track, accuracy by segment number."""
  with plot_style.style():
    figure = plot_style.new_figure(11, 3.9)
    panels = figure.subplots(1, 3, width_ratios=(1.25, 0.9, 1.1))
    _draw_pairs(panels[0], found["confused"])
    _draw_agreement(panels[1], found["wrong_in"])
    _draw_position(panels[2], found["position"])
  return figure


def _always(found: Mapping) -> str:
  lost = found["always_wrong"]
  artists = len({row["artist"] or row["track"] for row in lost})
  expected = ""
  if found["by_chance"] is not None:
    expected = f"; if mistakes were independent, {found['by_chance']:.1f}"
  return (
    f"of {found['n']} {found['split']} tracks all {len(found['runs'])} runs get"
    f" {len(lost)} wrong, of {artists} artists{expected};"
    f" {found['wrong_in'][0]} no run gets wrong"
  )


def _copies(found: Mapping) -> list[str]:
  return [
    f"warning: {run['workdir']} has the predictions of {run['copy_of']}, so it"
    " adds nothing"
    for run in found["runs"]
    if run["copy_of"]
  ]


def _pair(pair: Mapping) -> str:
  return (
    f"{pair['genre']} predicted as {pair['predicted']}: {pair['n']}"
    f" predictions, {percent(pair['share'])} % of the genre's"
  )


def _fault(kind: str, test: Mapping) -> str:
  """ "left out of ...: 3 of 9 always wrong, 10 of 80 others, p = 0.1"."""
  always, others = _shares(test)
  return (
    f"{kind}: {always} always wrong, {others} others (Fisher's exact test,"
    f" p = {test['p']:.2g})"
  )


def _shares(test: Mapping) -> list[str]:
  sides = test["always_wrong"], test["others"]
  return [f"{noted} of {noted + without}" for noted, without in sides]


def _at(row: Mapping) -> str:
  return (
    f"segment {row['segment']} {row['accuracy']:.3f}"
    f" ({row['ci95'][0]:.3f} to {row['ci95'][1]:.3f}, n = {row['n']})"
  )


def _draw_pairs(axes, pairs: list[Mapping]) -> None:
  shown = pairs[:8]
  axes.barh(
    range(len(shown)), [p["n"] for p in shown], 0.62, color=PALETTE["accent"]
  )
  axes.set_yticks(
    range(len(shown)), [f"{p['genre']} → {p['predicted']}" for p in shown]
  )
  axes.set_ylim(7.5, -0.5)
  axes.xaxis.get_major_locator().set_params(integer=True, nbins=5)
  axes.grid(axis="x")
  axes.set_xlabel("predictions, all runs")
  axes.set_title("Most confused", pad=10)


def _draw_agreement(axes, wrong_in: list[int]) -> None:
  last = len(wrong_in) - 1
  colours = ["pale", *["middle"] * (last - 1), "warm"]
  axes.bar(
    range(len(wrong_in)), wrong_in, 0.72, color=[PALETTE[c] for c in colours]
  )
  for x, count in enumerate(wrong_in):
    axes.annotate(
      f"{count:,}",
      (x, count),
      (0, 3),
      textcoords="offset points",
      ha="center",
      fontsize=8,
      color=PALETTE["muted"],
    )
  axes.set_ylim(0, 1.1 * max(wrong_in))
  axes.xaxis.get_major_locator().set_params(integer=True)
  axes.set_xlabel(f"runs of {last} that get a track wrong")
  axes.set_title("Tracks", pad=10)


def _draw_position(axes, rows: list[Mapping] | None) -> None:
  axes.set_title("Accuracy by segment", pad=10)
  if not rows:
    axes.set_axis_off()
    axes.text(
      0.5,
      0.5,
      "tracks taken as wholes,\nor cut differently",
      transform=axes.transAxes,
      ha="center",
      color=PALETTE["muted"],
    )
    return
  x = [row["segment"] for row in rows]
  axes.vlines(
    x,
    *zip(*(row["ci95"] for row in rows), strict=True),
    color=PALETTE["middle"],
    linewidth=3,
  )
  axes.plot(x, [row["accuracy"] for row in rows], "o", color=PALETTE["accent"])
  axes.set_ylim(0, 1)
  plot_style.percent(axes.yaxis)
  axes.grid(axis="y")
  axes.xaxis.get_major_locator().set_params(integer=True)
  axes.set_xlabel("segment of the clip, from 0; bars: 95 %")
