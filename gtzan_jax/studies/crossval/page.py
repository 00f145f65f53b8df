"""crossval.md and crossval.png: what a cross-validation gave, fold by fold."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from gtzan_jax.reports import document as doc
from gtzan_jax.reports import figures, plot_style
from gtzan_jax.reports.document import percent
from gtzan_jax.reports.plot_style import PALETTE
from gtzan_jax.reports.report import SPLITS
from gtzan_jax.scores import paired_tests

FILE = "crossval.md"


def document(facts: Mapping) -> doc.Document:
  """The page of what `crossval.measure` returned."""
  first = facts["pooled"][0]
  warnings = []
  if facts["leak"]:
    warnings += [doc.bold("Leaks"), f": {facts['leak']} "]
  if facts["corpus"] == "synthetic":
    warnings.append("The synthetic corpus: these are no numbers of GTZAN.")
  genres = [(fold["fold"], *fold["genres"].values()) for fold in facts["folds"]]
  return doc.Document(
    f"Cross-validation: {facts['recipe']} on {facts['corpus']}",
    [
      (
        "Protocol ",
        doc.code(facts["protocol"]),
        f": {len(facts['folds'])} folds, each tested by a model that was"
        " trained on others. Pooled,"
        f" {first['segment']['n']} segments of {first['n']} tracks by"
        f" {first['clusters']} artists (a track, where an artist is not known),"
        f" each tested once; seeds {', '.join(map(str, facts['seeds']))}."
        " Accuracies in per cent, mean ± standard deviation over seeds; in"
        " brackets the 95 % interval of the mean, a bootstrap over artists.",
      ),
      tuple(warnings),
      doc.figure(
        "crossval",
        "accuracies of the folds, and the genres that they test",
        picture,
        facts,
      ),
      _folds(facts),
      _spread(facts["spread"]),
      _pooled(facts["pooled"]),
      "Tested tracks of each genre:",
      doc.table(("fold", *facts["genres"]), genres),
      _balance(facts["balance"]),
    ],
  )


def _folds(facts: Mapping) -> doc.Block:
  pooled = facts["pooled"][0]
  rows = [
    (
      fold["fold"],
      *(fold[split]["tracks"] for split in SPLITS),
      fold["test"]["segments"],
      fold["artists"],
      *_accuracies(fold),
    )
    for fold in facts["folds"]
  ]
  tested = pooled["n"], pooled["segment"]["n"], pooled["clusters"]
  rows.append(("pooled", "", "", *tested, *_accuracies(facts["accuracy"])))
  head = ("fold", "train tracks", "validation", "test", "test segments")
  head += ("test artists", "track accuracy", "segment accuracy")
  return doc.table(head, rows)


def _accuracies(levels: Mapping) -> list[str]:
  return [paired_tests.as_text(levels[level]) for level in ("track", "segment")]


def _spread(spread: Mapping) -> str:
  texts = [
    f"{level} {percent(row['mean'])} ± {percent(row['deviation'])}"
    f" ({percent(row['lowest'])} to {percent(row['highest'])})"
    for level, row in spread.items()
  ]
  return (
    f"Over the folds: {', '.join(texts)}. A fold is trained on what others"
    " test, so this deviation is no standard error of the mean."
  )


def _pooled(pooled: Sequence[Mapping]) -> doc.Block:
  head = ("seed", "tracks", "macro F1", "top 3", "loss", "ECE")
  head += ("majority vote", "segments", "macro F1 of segments")
  rows = [
    (
      row["seed"],
      *(percent(row["track"][key]) for key in ("accuracy", "macro_f1", "top3")),
      *(f"{row['track'][key]:.3f}" for key in ("loss", "ece")),
      percent(row["track_majority"]["accuracy"]),
      *(percent(row["segment"][key]) for key in ("accuracy", "macro_f1")),
    )
    for row in pooled
  ]
  return doc.table(head, rows)


def _balance(balance: Mapping) -> str:
  genre, crossing = balance["genre"], balance["crossing"]
  text = "No artist is in two folds."
  if crossing["artists"]:
    text = (
      f"{crossing['artists']} artists, who have {crossing['tracks']} tracks,"
      " are in several folds: they are tested by models that were trained on"
      " others of their tracks."
    )
  if crossing["unknown"]:
    text += f" {crossing['unknown']} tracks have no known artist."
  return (
    f"A fold tests {percent(balance['smallest'])} to"
    f" {percent(balance['largest'])} % of the tracks. Farthest from its share"
    f" in the corpus is {genre['genre']} in fold {genre['fold']}:"
    f" {percent(genre['share'])} in place of {percent(genre['corpus'])} %. "
    + text
  )


# The picture: accuracies of the folds, and what each tests.


@plot_style.style()
def picture(facts: Mapping) -> Figure:
  """Track accuracies with their 95 % intervals, beside the genres tested."""
  genres, folds = len(facts["genres"]), len(facts["folds"])
  named = {f"fold {fold['fold']}": fold["track"] for fold in facts["folds"]}
  named["pooled"] = facts["accuracy"]["track"]
  colour = "warm" if facts["leak"] else "accent"
  figure = plot_style.new_figure(
    5.0 + 0.52 * genres, 1.9 + 0.36 * max(4, folds)
  )
  ratios = [4, 0.52 * genres + 1]
  left, right = figure.subplots(1, 2, width_ratios=ratios)
  low, high = named["pooled"]["ci95"]
  left.axvspan(low, high, color=PALETTE["grid"], alpha=0.6, linewidth=0)
  figures.accuracies(left, [(n, colour, x) for n, x in named.items()])
  left.set_title(f"{facts['recipe']}, {facts['protocol']}", pad=10)
  _draw_genres(right, facts)
  return figure


def _draw_genres(axes, facts: Mapping) -> None:
  """Equal shares of a genre's tracks have equal colours."""
  names, folds = facts["genres"], range(len(facts["folds"]))
  counts = np.array([[*fold["genres"].values()] for fold in facts["folds"]])
  shades = LinearSegmentedColormap.from_list("", ["white", PALETTE["accent"]])
  axes.pcolormesh(
    counts / counts.mean(0),
    cmap=shades,
    vmin=0,
    vmax=3,
    edgecolors="white",
    linewidth=2,
  )
  for (i, j), count in np.ndenumerate(counts):
    axes.text(j + 0.5, i + 0.5, str(count), ha="center", va="center")
  axes.invert_yaxis()
  axes.spines["bottom"].set_visible(False)
  axes.set_xticks(
    [j + 0.5 for j in range(len(names))], names, rotation=40, ha="right"
  )
  axes.set_yticks([i + 0.5 for i in folds], [f"fold {i}" for i in folds])
  axes.set_title("Tested tracks of each genre", pad=10)
