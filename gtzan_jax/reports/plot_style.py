"""Style and output of every picture: a matplotlib `Figure`, without pyplot.

`png` returns a file's bytes, `inline_svg` HTML, with the colours of PALETTE
as CSS variables for the light and dark themes.
"""

import functools
import html
import io
import re
import warnings
from collections.abc import Sequence
from typing import Any

import matplotlib.style
import matplotlib.ticker
import numpy as np
from matplotlib import font_manager
from matplotlib.backends.backend_agg import FigureCanvasAgg, RendererAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

# name -> colour on white. No colour twice: `inline_svg` finds them by value.
PALETTE = {
  "ink": "#1f2933",
  "muted": "#6b7785",
  "grid": "#e4e8ec",
  "accent": "#1f6f8b",
  "middle": "#6fa8b8",
  "pale": "#c3dbe2",
  "warm": "#d0763a",
  "on-accent": "#fdfefe",
}

# Fonts of other scripts, used where they are installed and FONT lacks a letter.
FALLBACKS = (
  *("Noto Sans CJK JP", "Noto Sans CJK KR", "Noto Sans CJK SC"),
  *("Noto Sans JP", "Noto Sans KR", "Noto Sans SC", "WenQuanYi Zen Hei"),
  *("Malgun Gothic", "Yu Gothic", "Microsoft YaHei", "Hiragino Sans"),
  *("Apple SD Gothic Neo", "PingFang SC", "NanumGothic", "IPAexGothic"),
  *("Droid Sans Fallback", "Arial Unicode MS", "Unifont"),
  *("Noto Sans Thai", "Noto Sans Devanagari", "Noto Sans Bengali"),
)
FONT = "DejaVu Sans"
# Nothing that differs between two runs or two machines goes into a file, but
# for letters that FONT lacks.
STYLE = {
  "font.family": FONT,
  "font.size": 10,
  "text.color": PALETTE["ink"],
  "text.parse_math": False,  # a genre may be called $1
  "axes.labelcolor": PALETTE["muted"],
  "axes.labelsize": 9,
  "axes.edgecolor": PALETTE["grid"],
  "axes.facecolor": "none",
  "axes.titlelocation": "left",
  "axes.titlesize": 11,
  "axes.titleweight": "bold",
  "axes.titlepad": 26,
  "axes.titlecolor": PALETTE["ink"],
  "axes.spines.top": False,
  "axes.spines.right": False,
  "axes.spines.left": False,
  "axes.axisbelow": True,
  "grid.color": PALETTE["grid"],
  "grid.linewidth": 0.8,
  "xtick.color": PALETTE["muted"],
  "ytick.color": PALETTE["muted"],
  "xtick.labelsize": 9,
  "ytick.labelsize": 9,
  "xtick.major.size": 0,
  "ytick.major.size": 0,
  "xtick.bottom": False,
  "ytick.left": False,
  "legend.frameon": False,
  "legend.fontsize": 9,
  "lines.linewidth": 1.8,
  "lines.solid_capstyle": "round",
  "figure.dpi": 100,
  "svg.fonttype": "none",
  "svg.hashsalt": "gtzan_jax",
}


@functools.cache
def _has() -> dict[str, frozenset[int]]:
  """{font: its letters}, of FONT and the FALLBACKS installed."""
  here = {FONT, *font_manager.get_font_names()}
  files = {
    name: font_manager.findfont(font_manager.FontProperties(family=[name]))
    for name in (FONT, *FALLBACKS)
    if name in here
  }
  return {
    name: frozenset(font_manager.get_font(file).get_charmap())
    for name, file in files.items()
  }


@functools.cache
def drawable(text: str) -> tuple[str, tuple[str, ...]]:
  """Drawable text and its fonts; a letter that no font has becomes its escape,
  so that two names stay different."""
  letters, fonts = [], [FONT]
  for letter in text:
    font = next(
      (name for name, has in _has().items() if ord(letter) in has), ""
    )
    if font and letter.isprintable():
      fonts += [] if font in fonts else [font]
    else:
      letter = letter.encode("unicode_escape", "surrogatepass").decode()
    letters.append(letter)
  return "".join(letters), tuple(fonts)


class _Renderer(RendererAgg):
  """Draws text in the installed fonts without warnings of missing letters."""

  def draw_text(self, gc, x, y, s, prop, *args, **kwargs):
    super().draw_text(gc, x, y, *_in_fonts(s, prop), *args, **kwargs)

  def get_text_width_height_descent(self, s, prop, ismath):
    return super().get_text_width_height_descent(*_in_fonts(s, prop), ismath)


def _in_fonts(text: str, prop: font_manager.FontProperties) -> tuple:
  text, fonts = drawable(text)
  if len(fonts) > 1:
    prop = prop.copy()
    prop.set_family(fonts)
  return text, prop


class _Canvas(FigureCanvasAgg):
  def get_renderer(self):
    key = (*self.get_width_height(physical=True), self.figure.dpi)
    if self._lastKey != key:
      self.renderer, self._lastKey = _Renderer(*key), key
    return self.renderer


def png(figure: Figure) -> bytes:
  """A PNG on white, 160 dpi, at most 256 colours; the same bytes every time."""
  return packed(pixels(figure))


def pixels(figure: Figure) -> np.ndarray:
  """The picture, uint8 [height, width, 4], on white at 160 dpi."""
  with style():
    figure.set(dpi=160, facecolor="white")
    figure.canvas.draw()
    return np.array(figure.canvas.buffer_rgba())


def packed(rgba: np.ndarray) -> bytes:
  """A PNG of opaque pixels: their 256 commonest colours, others as the nearest.

  It can run in a thread: most of it holds no lock.
  """
  from PIL import Image

  key = rgba.view("<u4")[..., 0] & 0xFFFFFF
  found, count = np.unique(key, return_counts=True)
  kept = found[np.argsort(-count, kind="stable")[:256]]
  every, few = (
    (of[:, None] >> np.array([0, 8, 16])) & 0xFF for of in (found, kept)
  )
  apart = (few**2).sum(1) - 2 * every.astype(np.float32) @ few.T
  place = np.zeros(2**24, np.uint8)  # of a colour in the palette
  place[found] = apart.argmin(1)
  image, file = Image.fromarray(place[key]), io.BytesIO()
  image.putpalette(few.astype(np.uint8).tobytes())
  image.save(file, format="png")
  return file.getvalue()


def inline_svg(figure: Figure, name: str, description: str) -> str:
  """An <svg> element coloured by var(--plot-<colour>). `name` prefixes its ids,
  so that several can share a page; `description` is one sentence."""
  buffer = io.StringIO()
  nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
  with style(), warnings.catch_warnings():
    # Text stays text: it is the browser that finds a font for it.
    warnings.filterwarnings("ignore", r"Glyph \d+ .*missing", UserWarning)
    if figure.axes and (engine := figure.get_layout_engine()):
      engine.execute(figure)
      figure.set_layout_engine("none")
    figure.set_facecolor("none")
    # Not `savefig`, which draws twice, to measure what is laid out already.
    FigureCanvasSVG(figure).print_svg(buffer, metadata=nothing)
  svg = buffer.getvalue()
  svg = svg[svg.index("<svg") :]
  svg = re.sub(r' xmlns(:xlink)?="[^"]*"', "", svg)
  svg = re.sub(r'(\bid="|url\(#|href="#)', rf"\g<1>{name}-", svg)
  for colour, value in PALETTE.items():
    svg = svg.replace(value, f"var(--plot-{colour})")
  label = html.escape(description)
  return svg.replace("<svg ", f'<svg role="img" aria-label="{label}" ', 1)


def style():
  """Our style over matplotlib's defaults, whatever the user's rc has; a context
  or a decorator."""
  return matplotlib.style.context(["default", STYLE])


def new_figure(
  width: float, height: float, margins: Sequence[float] = ()
) -> Figure:
  """A figure in inches; `margins` of its axes (left, bottom, right, top), in
  place of those found by measuring all that is drawn, which takes as long as
  drawing it."""
  figure = Figure(
    figsize=(width, height), layout="none" if margins else "constrained"
  )
  _Canvas(figure)
  if margins:
    left, bottom, right, top = margins
    figure.subplots_adjust(
      left=left / width,
      bottom=bottom / height,
      right=1 - right / width,
      top=1 - top / height,
    )
  return figure


def text_width(text: str, points: float) -> float:
  """The width in inches of a line of text."""
  prop = font_manager.FontProperties(family=FONT, size=points)
  width, _, _ = _Renderer(1, 1, 72).get_text_width_height_descent(
    text, prop, ismath=False
  )
  return width / 72


def percent(axis) -> None:
  axis.set_major_locator(matplotlib.ticker.MultipleLocator(0.2))
  axis.set_major_formatter(matplotlib.ticker.PercentFormatter(1, decimals=0))


def interval(
  axes, y: int, value: float, ci95: Sequence[float], colour: str, text: str
) -> None:
  """A dot with its interval, if any, and text above, in a row of its own."""
  colour = PALETTE[colour]
  axes.plot(ci95, [y] * len(ci95), color=colour, linewidth=2.4, alpha=0.5)
  axes.plot([value], [y], "o", color=colour, markersize=6)
  label(axes, text, (value, y), (0, 5), "ink")


def label(
  axes, text: str, place: tuple, by: tuple, colour: str, **given: Any
) -> None:
  """Small text, moved from a place by so many points; `given` as annotate's."""
  look = {"ha": "center", "fontsize": 8, "color": PALETTE[colour], **given}
  axes.annotate(text, place, by, textcoords="offset points", **look)


def name_rows(axes, names: Sequence[str]) -> None:
  """Names rows 0, 1, ... from above."""
  axes.set_yticks(range(len(names)), names)
  axes.set_ylim(len(names) - 0.4, -0.6)
  axes.grid(axis="x")
