"""The pictures of an explore page."""

import base64
import io
from collections.abc import Collection, Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import PathPatch
from matplotlib.path import Path
from PIL import Image

from gtzan_jax.audio.mono_waveform import SAMPLE_RATE
from gtzan_jax.features import mel
from gtzan_jax.features.image import COLOUR_MAP
from gtzan_jax.reports import plot_style
from gtzan_jax.reports.plot_style import PALETTE

# 0 to 1 in so many depths of a colour, each drawn as one path.
_DEPTHS = 10
_HZ = (256, 1024, 4096)
_MOST_ARTISTS = 40  # drawn apart in a genre; the others in one piece
_SQUARE = 0.47 * np.array([(-1, -1), (1, -1), (1, 1), (-1, 1), (-1, -1)])


def _rows(names: Collection[str], size: tuple[float, float], title: str, **css):
  """A figure of this size with a row for each name, the first on top."""
  figure = plot_style.new_figure(*size)
  axes = figure.subplots()
  short = [name if len(name) <= 16 else f"{name[:15]}…" for name in names]
  axes.set_yticks(range(len(names)), short)
  axes.set_ylim(len(names) - 0.5, -0.5)
  axes.set_title(title, **css)
  return figure, axes


@plot_style.style()
def tracks(balance: Mapping[str, Mapping]) -> Figure:
  """Readable tracks of each genre, unreadable ones behind them."""
  size = (5.0, 0.75 + 0.27 * len(balance))
  figure, axes = _rows(balance, size, "Tracks", pad=10)
  y = range(len(balance))
  sizes = [row["tracks"] for row in balance.values()]
  lost = [row["unreadable"] for row in balance.values()]
  axes.barh(y, sizes, 0.7, color=PALETTE["accent"])
  behind = axes.barh(y, lost, 0.7, sizes, color=PALETTE["warm"])
  axes.bar_label(
    behind,
    [
      f"{size:,}" + (f" + {out:,}" if out else "")
      for size, out in zip(sizes, lost, strict=True)
    ],
    padding=4,
    fontsize=8,
    color=PALETTE["muted"],
  )
  axes.set(xlim=(0, 1.14 * max(1, *np.add(sizes, lost))), xlabel="tracks")
  axes.xaxis.get_major_locator().set_params(integer=True, nbins=6)
  return figure


@plot_style.style()
def artists(balance: Mapping[str, Mapping]) -> Figure:
  """Each genre's tracks by artist, the largest first."""
  size = (5.0, 0.75 + 0.27 * len(balance))
  figure, axes = _rows(balance, size, "Artists", pad=10)
  for y, row in enumerate(balance.values()):
    sizes = [number for _, number in row["artists"]]
    left = 0.0
    for i, size in enumerate(
      [*sizes[:_MOST_ARTISTS], sum(sizes[_MOST_ARTISTS:])]
    ):
      share = size / max(row["tracks"], 1)
      colour = PALETTE[("accent", "middle", "pale")[min(i, 2)]]
      axes.barh(y, max(share - 0.004, share / 2), 0.7, left, color=colour)
      left += share
    if row["artist_unknown"]:
      axes.barh(y, 1 - left, 0.7, left, color=PALETTE["grid"])
  axes.set(xlim=(0, 1), xlabel="share of the genre's tracks")
  plot_style.percent(axes.xaxis)
  return figure


@plot_style.style()
def ridges(
  one: Mapping, genres: Sequence[str], label: str, unit: str
) -> Figure:
  """A measure's histogram in each genre, one below the other; `one` is its
  entry in the facts' "statistics"."""
  size = (3.25, 0.85 + 0.23 * len(genres))
  figure, axes = _rows(genres, size, label, pad=8, fontsize=10)
  edges = one["edges"]
  feet = np.arange(len(genres)) + 0.42
  axes.hlines(feet, edges[0], edges[-1], PALETTE["grid"], linewidth=0.8)
  medians = []
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
    if (median := one["genres"][genre]["median"]) is not None:
      medians.append((np.clip(median, edges[0], edges[-1]), foot))
  if medians:
    x, foot = np.array(medians).T
    axes.vlines(x, foot - 0.84, foot, PALETTE["warm"], linewidth=1.6)
  margin = 0.02 * (edges[-1] - edges[0])  # for a median at the very edge
  axes.set_xlim(edges[0] - margin, edges[-1] + margin)
  axes.xaxis.get_major_locator().set_params(nbins=5)
  axes.ticklabel_format(axis="x", scilimits=(-3, 5))
  axes.set_xlabel(unit or " ")  # a line in any case, so that rows align
  return figure


@plot_style.style()
def correlation(names: Sequence[str], matrix: Sequence[Sequence]) -> Figure:
  """Pearson's r of each pair of measures; negative is warm."""
  size = min(10.0, 2.0 + 0.28 * len(names))
  figure = plot_style.new_figure(size, size * 0.94)
  axes = figure.subplots()
  r = np.array(matrix)
  depth = np.ceil(np.abs(r) * _DEPTHS - 1e-9).clip(0, _DEPTHS).astype(int)
  for colour, rising in (("accent", True), ("warm", False)):
    for level in range(1, _DEPTHS + 1):
      cells = np.argwhere((depth == level) & ((r >= 0) == rising))[:, ::-1]
      if len(cells):
        squares = [Path(_SQUARE + cell, closed=True) for cell in cells]
        path = Path.make_compound_path(*squares)
        look = {"facecolor": PALETTE[colour], "alpha": level / _DEPTHS}
        axes.add_patch(PathPatch(path, linewidth=0, **look))
  ends = (-0.5, len(names) - 0.5)
  axes.set(xlim=ends, ylim=ends[::-1], aspect="equal")
  axes.spines["bottom"].set_visible(False)
  small = 6.5 if len(names) > 30 else 9
  axes.set_xticks(range(len(names)), names, rotation=90, fontsize=small)
  axes.set_yticks(range(len(names)), names, fontsize=small)
  return figure


@plot_style.style()
def excerpt(media: Mapping, start: float, seconds: float) -> Figure:
  """The log-mel of `measure.media` below its waveform, if any; times in s."""
  wave = media.get("wave")
  heights = (1, 2) if wave else (1,)
  figure = plot_style.new_figure(5.0, 2.7 if wave else 1.9)
  panels = figure.subplots(
    len(heights), 1, sharex=True, height_ratios=heights, squeeze=False
  )[:, 0]
  if wave:
    x = start + (np.arange(len(wave[0])) + 0.5) * seconds / len(wave[0])
    panels[0].fill_between(x, *wave, color=PALETTE["accent"], linewidth=0.4)
    panels[0].set(ylim=(-1, 1), yticks=(-1, 0, 1))
    panels[0].set_ylabel("amplitude", fontsize=8)
    panels[0].grid(axis="y")
  panels[-1].imshow(
    np.asarray(Image.open(io.BytesIO(base64.b64decode(media["levels"])))),
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
