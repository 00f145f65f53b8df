"""failures.json as lines, as Markdown and as one picture."""

from collections.abc import Mapping

from matplotlib.figure import Figure

from gtzan_jax.reports import document as doc
from gtzan_jax.reports import plot_style
from gtzan_jax.reports.document import percent
from gtzan_jax.reports.plot_style import PALETTE

FILE = "failures.md"
_SHOWN = 5  # of the confused pairs, on the terminal


def lines(result: Mapping) -> list[str]:
  """The main lines, for the terminal."""
  text = [
    f"{run['workdir']}: {run['recipe']}, seed {run['seed']} ({run['protocol']})"
    f", accuracy {run['accuracy']:.3f}"
    + (f"; LEAKS: {run['leak']}" if run["leak"] else "")
    for run in result["runs"]
  ]
  text += [*_copies(result), _always(result)]
  text += [
    f"confused: {pair['genre']} predicted as {pair['predicted']}: {pair['n']}"
    f" predictions, {percent(pair['share'])} % of the genre's"
    for pair in result["confused"][:_SHOWN]
  ]
  for kind, test in result["faults"].items():
    always, others = _shares(test)
    text.append(
      f"faults: {kind}: {always} always wrong, {others} others (Fisher's exact"
      f" test, p = {test['p']:.2g})"
    )
  if not result["faults"]:
    text.append("faults: none are published of these tracks")
  if result["position"]:
    first, last = (_at(result["position"][i]) for i in (0, -1))
    text.append(f"position in the clip: {first}; {last}")
  return text


def document(result: Mapping) -> doc.Document:
  """All results, as tables."""
  runs = [
    (
      *(doc.code(run["workdir"]), run["recipe"], run["seed"]),
      (run["protocol"], doc.bold(" (leaks)") if run["leak"] else ""),
      percent(run["accuracy"]),
    )
    for run in result["runs"]
  ]
  noted = ("noted", "of the always wrong", "of the others", "odds ratio", "p")
  faults = [
    (
      *(kind, *_shares(test)),
      "–" if test["odds_ratio"] is None else f"{test['odds_ratio']:.2f}",
      f"{test['p']:.3g}",
    )
    for kind, test in result["faults"].items()
  ]
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
  head = ("track", "genre", "artist", "title", "predicted", "true probability")
  wrong = [
    (
      *(row["track"], row["genre"], row["artist"] or "–", row["title"] or "–"),
      ", ".join(f"{genre} ({n})" for genre, n in row["heard"].items()),
      f"{row['true_probability']:.3f}",
      "; ".join(result["notes"].get(row["track"], {}).values()) or "–",
    )
    for row in result["always_wrong"]
  ]
  return doc.Document(
    "Where these runs fail",
    [
      doc.table(("run", "recipe", "seed", "protocol", "track accuracy"), runs),
      f"{_always(result).capitalize()}.",
      *_copies(result),
      doc.figure(
        "failures",
        "what is confused, how often, and where in the clip",
        draw,
        result,
      ),
      doc.part("Most confused", doc.records(result["confused"], confused)),
      doc.part("Always wrong", doc.table((*head, "notes"), wrong)),
      doc.part(
        "Do published faults explain it?",
        doc.table(noted, faults)
        if faults
        else "Nothing is published of these tracks.",
      ),
      result["position"]
      and doc.part(
        "By position in the clip", doc.records(result["position"], position)
      ),
    ],
  )


@plot_style.style()
def draw(result: Mapping) -> Figure:
  """Confused pairs, wrong runs per track, accuracy by segment number."""
  figure = plot_style.new_figure(11, 3.9)
  panels = figure.subplots(1, 3, width_ratios=(1.25, 0.9, 1.1))
  _draw_pairs(panels[0], result["confused"])
  _draw_agreement(panels[1], result["wrong_in"])
  _draw_position(panels[2], result["position"])
  return figure


def _always(result: Mapping) -> str:
  lost, runs = result["always_wrong"], len(result["runs"])
  artists = len({row["artist"] or row["track"] for row in lost})
  expected = ""
  if result["by_chance"] is not None:
    expected = f"; if mistakes were independent, {result['by_chance']:.1f}"
  return (
    f"of {result['n']} {result['split']} tracks all {runs} runs get"
    f" {len(lost)} wrong, of {artists} artists{expected};"
    f" {result['wrong_in'][0]} no run gets wrong"
  )


def _copies(result: Mapping) -> list[str]:
  return [
    f"warning: {run['workdir']} has the predictions of {run['copy_of']}, so it"
    " adds nothing"
    for run in result["runs"]
    if run["copy_of"]
  ]


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
  rows, counts = range(len(shown)), [pair["n"] for pair in shown]
  axes.barh(rows, counts, 0.62, color=PALETTE["accent"])
  axes.set_yticks(rows, [f"{p['genre']} → {p['predicted']}" for p in shown])
  axes.set(ylim=(7.5, -0.5), xlabel="predictions, all runs")
  axes.xaxis.get_major_locator().set_params(integer=True, nbins=5)
  axes.grid(axis="x")
  axes.set_title("Most confused", pad=10)


def _draw_agreement(axes, wrong_in: list[int]) -> None:
  last = len(wrong_in) - 1
  names = ["pale", *["middle"] * (last - 1), "warm"]
  colours = [PALETTE[name] for name in names]
  axes.bar(range(len(wrong_in)), wrong_in, 0.72, color=colours)
  for x, count in enumerate(wrong_in):
    plot_style.label(axes, f"{count:,}", (x, count), (0, 3), "muted")
  top, name = 1.1 * max(wrong_in), f"runs of {last} that get a track wrong"
  axes.set(ylim=(0, top), xlabel=name)
  axes.xaxis.get_major_locator().set_params(integer=True)
  axes.set_title("Tracks", pad=10)


def _draw_position(axes, rows: list[Mapping] | None) -> None:
  axes.set_title("Accuracy by segment", pad=10)
  if not rows:
    axes.set_axis_off()
    why = "tracks taken as wholes,\nor cut differently"
    look = {"transform": axes.transAxes, "ha": "center"}
    axes.text(0.5, 0.5, why, color=PALETTE["muted"], **look)
    return
  x = [row["segment"] for row in rows]
  ends = zip(*(row["ci95"] for row in rows), strict=True)
  axes.vlines(x, *ends, color=PALETTE["middle"], linewidth=3)
  axes.plot(x, [row["accuracy"] for row in rows], "o", color=PALETTE["accent"])
  axes.set(ylim=(0, 1), xlabel="segment of the clip, from 0; bars: 95 %")
  plot_style.percent(axes.yaxis)
  axes.grid(axis="y")
  axes.xaxis.get_major_locator().set_params(integer=True)
