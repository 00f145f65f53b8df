"""crossval.md and crossval.png: what a cross-validation gave, fold by fold."""

import pathlib
from collections.abc import Mapping

import numpy as np
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from gtzan_jax import atomic
from gtzan_jax.reports import markdown
from gtzan_jax.reports import style as plots
from gtzan_jax.reports.style import PALETTE
from gtzan_jax.scores import compare

FILE = "crossval.md"


def write(found: Mapping, folder: pathlib.Path) -> str:
  """Writes crossval.md and crossval.png; returns the text of crossval.md.

  Args:
    found: from `crossval.measure`.
    folder: where to.
  """
  text = as_markdown(found)
  atomic.write(folder / FILE, text)
  plots.save_png(picture(found), folder / "crossval.png")
  return text


def as_markdown(found: Mapping) -> str:
  """The tables, with columns wide enough to be read as they are."""
  first = found["pooled"][0]
  seeds = ", ".join(map(str, found["seeds"]))
  lines = [
    f"# Cross-validation: {found['recipe']} on {found['corpus']}",
    "",
    f"Protocol `{found['protocol']}`: {len(found['folds'])} folds, each tested"
    " by a model that learnt from others. Pooled,"
    f" {first['segment']['n']} segments of {first['n']} tracks by"
    f" {first['clusters']} artists (a track, where an artist is not known),"
    f" each tested once; seeds {seeds}. Accuracies in per cent, mean ± standard"
    " deviation over seeds; in brackets the 95 % interval of the mean, a"
    " bootstrap over artists.",
    *_warnings(found),
    "",
    _folds(found),
    "",
    *_spread(found),
    "",
    _pooled(found),
    "",
    "Tested tracks of each genre:",
    "",
    _genres(found),
    "",
    *_balance(found["balance"]),
  ]
  return "\n".join(lines) + "\n"


def _warnings(found: Mapping) -> list[str]:
  said = [f"**Leaks**: {found['leak']}"] if found["leak"] else []
  if found["corpus"] == "synthetic":
    said.append("The synthetic corpus: these are no numbers of GTZAN.")
  return ["", " ".join(said)] if said else []


def _folds(found: Mapping) -> str:
  head = (
    "fold",
    "train tracks",
    "validation",
    "test",
    "test segments",
    "test artists",
    "track accuracy",
    "segment accuracy",
  )
  rows = []
  for one in found["folds"]:
    rows.append(
      (
        str(one["fold"]),
        *(str(one[p]["tracks"]) for p in ("train", "validation", "test")),
        *(str(one["test"]["segments"]), str(one["artists"])),
        *(compare.said(one[level]) for level in ("track", "segment")),
      )
    )
  pooled = found["pooled"][0]
  rows.append(
    (
      "pooled",
      "",
      "",
      pooled["n"],
      pooled["segment"]["n"],
      pooled["clusters"],
      *(
        compare.said(found["accuracy"][level]) for level in ("track", "segment")
      ),
    )
  )
  return markdown.table(head, rows)


def _spread(found: Mapping) -> list[str]:
  said = []
  for level, one in found["spread"].items():
    mean, deviation, low, high = (
      f"{100 * one[key]:.1f}"
      for key in ("mean", "deviation", "lowest", "highest")
    )
    said.append(f"{level} {mean} ± {deviation} ({low} to {high})")
  return [
    f"Over the folds: {', '.join(said)}. A fold learns from what others test,"
    " so this deviation is no standard error of the mean."
  ]


def _pooled(found: Mapping) -> str:
  head = (
    "seed",
    "tracks",
    "macro F1",
    "top 3",
    "loss",
    "ECE",
    "majority vote",
    "segments",
    "macro F1 of segments",
  )
  rows = []
  for one in found["pooled"]:
    track, segment = one["track"], one["segment"]
    rows.append(
      (
        str(one["seed"]),
        *(_percent(track[key]) for key in ("accuracy", "macro_f1", "top3")),
        f"{track['loss']:.3f}",
        f"{track['ece']:.3f}",
        _percent(one["track_majority"]["accuracy"]),
        *(_percent(segment[key]) for key in ("accuracy", "macro_f1")),
      )
    )
  return markdown.table(head, rows)


def _genres(found: Mapping) -> str:
  rows = [(one["fold"], *one["genres"].values()) for one in found["folds"]]
  return markdown.table(("fold", *found["genres"]), rows)


def _balance(balance: Mapping) -> list[str]:
  genre, crossing = balance["genre"], balance["crossing"]
  met = (
    "No artist stands in two folds"
    if not crossing["artists"]
    else f"{crossing['artists']} artists, who have {crossing['tracks']} tracks,"
    " stand in several folds: what is tested was in part learnt from others of"
    " their tracks"
  )
  unknown = (
    f" {crossing['unknown']} tracks are by nobody known."
    if crossing["unknown"]
    else ""
  )
  return [
    f"A fold tests {_percent(balance['smallest'])} to"
    f" {_percent(balance['largest'])} % of the tracks. Farthest from its share"
    f" in the corpus is {genre['genre']} in fold {genre['fold']}:"
    f" {_percent(genre['share'])} in place of {_percent(genre['corpus'])} %."
    f" {met}.{unknown}"
  ]


def _percent(value: float) -> str:
  return f"{100 * value:.1f}"


# The picture: accuracies of the folds, and what each tests.


def picture(found: Mapping) -> Figure:
  """Track accuracies with their 95 % intervals, beside the genres tested."""
  genres, folds = found["genres"], found["folds"]
  with plots.style():
    figure = plots.new_figure(
      5.0 + 0.52 * len(genres), 1.9 + 0.36 * max(4, len(folds))
    )
    ratios = [4, 0.52 * len(genres) + 1]
    left, right = figure.subplots(1, 2, width_ratios=ratios)
    _draw_accuracies(left, found)
    _draw_genres(right, found)
  return figure


def _draw_accuracies(axes, found: Mapping) -> None:
  named = {f"fold {one['fold']}": one["track"] for one in found["folds"]}
  named["pooled"] = found["accuracy"]["track"]
  low, high = named["pooled"]["ci95"]
  axes.axvspan(low, high, color=PALETTE["grid"], alpha=0.6, linewidth=0)
  for y, level in enumerate(named.values()):
    text = _percent(level["accuracy"])
    colour = "warm" if found["leak"] else "accent"
    plots.interval(axes, y, level["accuracy"], level["ci95"], colour, text)
  axes.set_xlim(0, 1)
  plots.percent(axes.xaxis)
  axes.set_xlabel("track accuracy, 95 % interval")
  plots.name_rows(axes, list(named))
  axes.set_title(f"{found['recipe']}, {found['protocol']}", pad=10)


def _draw_genres(axes, found: Mapping) -> None:
  """Coloured alike: as many as an equal share of the genre's tracks is."""
  names, folds = found["genres"], range(len(found["folds"]))
  counts = np.array([[*one["genres"].values()] for one in found["folds"]])
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
