"""The pictures of an explore page, in the manner of `plots`."""

import base64
import io
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import PathPatch
from matplotlib.path import Path
from PIL import Image

from gtzan_jax.audio.waveform import SAMPLE_RATE
from gtzan_jax.features import mel
from gtzan_jax.features.image import COLOUR_MAP
from gtzan_jax.reports import plot_style
from gtzan_jax.reports.plot_style import PALETTE

# 0 to 1 in so many depths of a colour, each drawn as one path.
_DEPTHS = 10
_HZ = (256, 1024, 4096)
_MOST_ARTISTS = 40  # drawn apart in a genre; the others in one piece


def tracks(balance: Mapping[str, Mapping]) -> Figure:
  """Readable tracks of each genre, unreadable ones behind them."""
  with plot_style.style():
    figure = plot_style.new_figure(5.0, 0.75 + 0.27 * len(balance))
    axes = figure.subplots()
    sizes = [row["tracks"] for row in balance.values()]
    lost = [row["unreadable"] for row in balance.values()]
    axes.barh(range(len(sizes)), sizes, height=0.7, color=PALETTE["accent"])
    axes.barh(
      range(len(sizes)), lost, left=sizes, height=0.7, color=PALETTE["warm"]
    )
    for y, (size, out) in enumerate(zip(sizes, lost, strict=True)):
      axes.annotate(
        f"{size:,}" + (f" + {out:,}" if out else ""),
        (size + out, y),
        (4, 0),
        textcoords="offset points",
        va="center",
        fontsize=8,
        color=PALETTE["muted"],
      )
    axes.set_xlim(0, 1.14 * max(1, *np.add(sizes, lost)))
    axes.set_xlabel("tracks")
    axes.xaxis.get_major_locator().set_params(integer=True, nbins=6)
    _rows(axes, balance)
    axes.set_title("Tracks", pad=10)
  return figure


def artists(balance: Mapping[str, Mapping]) -> Figure:
  """Each genre's tracks by artist, the largest first."""
  with plot_style.style():
    figure = plot_style.new_figure(5.0, 0.75 + 0.27 * len(balance))
    axes = figure.subplots()
    for y, row in enumerate(balance.values()):
      sizes = [number for _, number in row["artists"]]
      pieces = [*sizes[:_MOST_ARTISTS], sum(sizes[_MOST_ARTISTS:])]
      left = 0.0
      for i, size in enumerate(pieces):
        share = size / max(row["tracks"], 1)
        colour = PALETTE[("accent", "middle", "pale")[min(i, 2)]]
        axes.barh(y, max(share - 0.004, share / 2), 0.7, left, color=colour)
        left += share
      if row["artist_unknown"]:
        axes.barh(y, 1 - left, 0.7, left, color=PALETTE["grid"])
    axes.set_xlim(0, 1)
    plot_style.percent(axes.xaxis)
    axes.set_xlabel("share of the genre's tracks")
    _rows(axes, balance)
    axes.set_title("Artists", pad=10)
  return figure


def ridges(
  one: Mapping, genres: Sequence[str], label: str, unit: str
) -> Figure:
  """A measure's histogram in each genre, one below the other; `one` is its
  entry in the facts' "statistics"."""
  with plot_style.style():
    figure = plot_style.new_figure(3.25, 0.85 + 0.23 * len(genres))
    axes = figure.subplots()
    edges = one["edges"]
    feet = np.arange(len(genres)) + 0.42
    axes.hlines(feet, edges[0], edges[-1], PALETTE["grid"], linewidth=0.8)
    for foot, genre in zip(feet, genres, strict=True):
      counts = np.array(one["counts"][genre])
      # The axis runs downwards, from the first genre to the last.
      axes.stairs(
        foot - 0.84 * counts / max(counts.max(), 1),
        edges,
        baseline=foot,
        fill=True,
        color=PALETTE["middle"],
        linewidth=0,
      )
    medians = [one["genres"][genre]["median"] for genre in genres]
    there = [
      (m, f) for m, f in zip(medians, feet, strict=True) if m is not None
    ]
    if there:
      x, foot = np.array(there).T
      x = x.clip(edges[0], edges[-1])
      axes.vlines(x, foot - 0.84, foot, PALETTE["warm"], linewidth=1.6)
    # Room for a median at the very edge.
    axes.set_xlim(
      edges[0] - 0.02 * (edges[-1] - edges[0]),
      edges[-1] + 0.02 * (edges[-1] - edges[0]),
    )
    axes.xaxis.get_major_locator().set_params(nbins=5)
    axes.ticklabel_format(axis="x", scilimits=(-3, 5))
    _rows(axes, genres)
    axes.set_xlabel(unit or " ")  # a line in any case, so that rows align
    axes.set_title(label, pad=8, fontsize=10)
  return figure


def correlation(names: Sequence[str], matrix: Sequence[Sequence]) -> Figure:
  """Pearson's r of each pair of measures; negative is warm."""
  with plot_style.style():
    size = min(10.0, 2.0 + 0.28 * len(names))
    figure = plot_style.new_figure(size, size * 0.94)
    axes = figure.subplots()
    r = np.array(matrix)
    depth = np.ceil(np.abs(r) * _DEPTHS - 1e-9).clip(0, _DEPTHS).astype(int)
    for colour, rising in (("accent", True), ("warm", False)):
      for level in range(1, _DEPTHS + 1):
        cells = np.argwhere((depth == level) & ((r >= 0) == rising))
        if len(cells):
          path = Path.make_compound_path(*map(_square, cells))
          axes.add_patch(
            PathPatch(
              path,
              facecolor=PALETTE[colour],
              alpha=level / _DEPTHS,
              linewidth=0,
            )
          )
    axes.set_xlim(-0.5, len(names) - 0.5)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.set_aspect("equal")
    axes.spines["bottom"].set_visible(False)
    small = 6.5 if len(names) > 30 else 9
    axes.set_xticks(range(len(names)), names, rotation=90, fontsize=small)
    axes.set_yticks(range(len(names)), names, fontsize=small)
  return figure


def _square(cell: np.ndarray) -> Path:
  y, x = cell
  corners = np.array([(-1, -1), (1, -1), (1, 1), (-1, 1), (-1, -1)]) * 0.47
  return Path(corners + np.array((x, y)), closed=True)


def excerpt(media: Mapping, start: float, seconds: float) -> Figure:
  """The log-mel of `measure.media` below its waveform, if any; times in s."""
  with plot_style.style():
    wave = media.get("wave")
    heights = (1, 2) if wave else (1,)
    figure = plot_style.new_figure(5.0, 2.7 if wave else 1.9)
    panels = figure.subplots(
      len(heights), 1, sharex=True, height_ratios=heights, squeeze=False
    )[:, 0]
    if wave:
      low, high = wave
      x = start + (np.arange(len(low)) + 0.5) * seconds / len(low)
      panels[0].fill_between(
        x, low, high, color=PALETTE["accent"], linewidth=0.4
      )
      panels[0].set_ylim(-1, 1)
      panels[0].set_yticks((-1, 0, 1))
      panels[0].set_ylabel("amplitude", fontsize=8)
      panels[0].grid(axis="y")
    picture = Image.open(io.BytesIO(base64.b64decode(media["levels"])))
    panels[-1].imshow(
      np.asarray(picture),
      cmap=COLOUR_MAP,
      vmin=0,
      vmax=255,
      extent=(start, start + seconds, 0, 1),
      aspect="auto",
      interpolation="none",
    )
    top = mel.hz_to_mel(SAMPLE_RATE / 2)
    panels[-1].set_yticks([mel.hz_to_mel(hz) / top for hz in _HZ], _HZ)
    panels[-1].set_ylabel("Hz", fontsize=8)
    panels[-1].set_xlabel("seconds", fontsize=8)
    for axes in panels:
      axes.tick_params(labelsize=8)
  return figure


def _rows(axes, names) -> None:
  """A row for each name, the first on top."""
  axes.set_yticks(range(len(names)), [_short(name) for name in names])
  axes.set_ylim(len(names) - 0.5, -0.5)


def _short(name: str) -> str:
  return name if len(name) <= 16 else f"{name[:15]}…"
