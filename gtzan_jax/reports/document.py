"""A page as blocks: one renderer for self-contained HTML and for Markdown.

A page's module names its blocks; how they look is decided here and in
style.css. The HTML asks no server for anything and has no script, so it can be
mailed, archived and printed. Text is a str, which is escaped, or a tuple of
strs, numbers, `Mark`s and `Bar`s.
"""

import base64
import dataclasses
import functools
import html
import pathlib
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from gtzan_jax import atomic, errors

STYLE = pathlib.Path(__file__).with_name("style.css")
_WIDEST = 240  # letters of a line of Markdown that is set in even columns


# Numbers.


def percent(value: float | None, digits: int = 1) -> str:
  """0.1234 as 12.3; None as a dash."""
  return "–" if value is None else f"{100 * value:.{digits}f}"


def interval(ends: Sequence[float], to: str = " – ") -> str:
  """[0.1, 0.25] as 10.0 – 25.0."""
  return to.join(map(percent, ends))


def number(value: float | None, digits: int = 4) -> str:
  """12345 as 12,345; 0.123456 as 0.1235; 12345.6 as 12,346; 0.00001 as 1e-5."""
  if value is None:
    return "–"
  if isinstance(value, int) or abs(value) >= 10**digits:
    return f"{value:,.0f}".replace("-", "−")
  text = re.sub(r"e-0*", "e-", f"{value:.{digits}g}")
  return text.replace("-", "−")


def duration(seconds: float | None) -> str:
  """12.3 s, 2 min 5 s or 1 h 40 min."""
  if seconds is None:
    return "–"
  if seconds < 60:
    return f"{seconds:.1f} s"
  minutes, seconds = divmod(round(seconds), 60)
  hours, minutes = divmod(minutes, 60)
  return f"{hours:,} h {minutes} min" if hours else f"{minutes} min {seconds} s"


# Text.


@dataclasses.dataclass(frozen=True)
class Mark:
  """A marked piece of text; `note` is a link's address or a tooltip."""

  kind: str
  text: Any
  note: str = ""


@dataclasses.dataclass(frozen=True)
class Bar:
  """A share (0 to 1) as a bar of a colour of style.PALETTE, with a number."""

  value: float | None
  tone: str = "accent"


bold = functools.partial(Mark, "bold")
code = functools.partial(Mark, "code")
muted = functools.partial(Mark, "muted")
small = functools.partial(Mark, "small")
link = functools.partial(Mark, "link")
# kind -> element, CSS class, attribute that is the note, mark of Markdown
_MARKS = {
  "bold": ("b", "", "title", "**"),
  "code": ("span", "mono", "title", "`"),
  "muted": ("span", "muted", "title", ""),
  "plain": ("span", "", "title", ""),
  "strong": ("b", "", "title", ""),  # bold in HTML alone
  "small": ("small", "", "title", ""),
  "link": ("a", "", "href", ""),
}


def _html(text) -> str:
  if isinstance(text, tuple):
    return "".join(map(_html, text))
  if isinstance(text, Mark):
    name, css, note, _ = _MARKS[text.kind]
    return _tag(name, _html(text.text), css, **{note: text.note})
  if isinstance(text, Bar):
    if text.value is None:
      return _html(muted("–"))
    fill = _tag("u", "", text.tone, style=f"width:{100 * text.value:.1f}%")
    return _tag("span", _tag("i", fill) + _tag("b", percent(text.value)), "bar")
  return html.escape(errors.shown(str(text), keep="\n\t"))


def markdown(text) -> str:
  """A text in Markdown: a str ends no cell, starts no link, no element of HTML
  and no emphasis, and is one line."""
  if isinstance(text, tuple):
    return "".join(map(markdown, text))
  if isinstance(text, Mark):
    if text.kind == "link":
      return f"[{markdown(text.text)}]({text.note})"
    mark = _MARKS[text.kind][-1]
    return f"{mark}{markdown(text.text)}{mark}"
  if isinstance(text, Bar):
    return percent(text.value)
  line = re.sub(r"&(?=#?\w+;)", "&amp;", errors.shown(str(text)))
  line = line.replace("|", "&#124;").replace("<", "&lt;")
  return re.sub(r"[`*]|\](?=\()", lambda mark: f"\\{mark[0]}", line)


def _tag(name: str, inner: str, css: str = "", **attributes: str) -> str:
  given = {"class": css, **attributes}
  text = "".join(
    f' {key}="{html.escape(errors.shown(value))}"'
    for key, value in given.items()
    if value
  )
  return f"<{name}{text}>{inner}</{name}>"


# Blocks. Each has `html(level)`, where its headings begin, and those of pages
# that are written as Markdown too have `markdown(level)`.


@dataclasses.dataclass(frozen=True)
class Text:
  """A paragraph; `css` is lead, caption, statement or nothing."""

  text: Any
  css: str = "lead"

  def html(self, level: int) -> str:
    return _tag("p", _html(self.text), self.css)

  def markdown(self, level: int) -> str:
    return markdown(self.text).strip()


@dataclasses.dataclass(frozen=True)
class Table:
  """Rows of texts.

  Attributes:
    head: of each column its name.
    rows: cells; the first names the row.
    align: a letter a column, "l" or "r"; the last one stands for the rest.
    css: of the table.
  """

  head: Sequence[Any]
  rows: Iterable[Sequence[Any]]
  align: str = "l"
  css: str = ""

  def _sides(self, cells: Sequence[Any]) -> str:
    return self.align.ljust(len(cells), self.align[-1])

  def html(self, level: int) -> str:
    def row(cells: Sequence[Any], first: str, other: str, scope: str) -> str:
      kinds = [first] + [other] * (len(cells) - 1)
      css = ["num" if side == "r" else "" for side in self._sides(cells)]
      return _tag(
        "tr",
        "".join(
          _tag(kind, _html(cell), c, scope=scope if kind == "th" else "")
          for kind, cell, c in zip(kinds, cells, css, strict=True)
        ),
      )

    head = _tag("thead", row(self.head, "th", "th", "")) if self.head else ""
    body = [row(cells, "th", "td", "row") for cells in self.rows]
    table = head + _tag("tbody", "\n".join(body))
    return _tag("div", _tag("table", table, self.css), "scroll")

  def markdown(self, level: int) -> str:
    lines = [list(map(markdown, row)) for row in (self.head, *self.rows)]
    widths = [max(3, *map(len, column)) for column in zip(*lines, strict=True)]
    if sum(widths) > _WIDEST:
      widths = [3] * len(widths)
    sides = self._sides(self.head)
    set_ = {"l": str.ljust, "r": str.rjust}
    rule = {"l": lambda w: "-" * w, "r": lambda w: "-" * (w - 1) + ":"}
    lines = [
      [set_[side](x, w) for side, x, w in zip(sides, row, widths, strict=True)]
      for row in lines
    ]
    lines.insert(1, [rule[s](w) for s, w in zip(sides, widths, strict=True)])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def records(
  rows: Iterable[Mapping], columns: Mapping[str, tuple], css: str = ""
) -> Table:
  """A table of mappings.

  Args:
    rows: of each a line.
    columns: of each its head, and (key, format): a format of Python's or one
      of `percent`, `number`, `interval` for numbers, which stand on the right;
      another function, or none, for text.
    css: of the table.
  """
  ways = [(key, *rest, None)[:2] for key, *rest in columns.values()]
  numbers = (percent, number, interval)

  def cell(value, way):
    return format(value, way) if isinstance(way, str) else way(value)

  return Table(
    list(columns),
    [
      [cell(row[key], way or (lambda x: x)) for key, way in ways]
      for row in rows
    ],
    "".join(
      "r" if isinstance(w, str) or w in numbers else "l" for _, w in ways
    ),
    css,
  )


@dataclasses.dataclass(frozen=True)
class Figure:
  """A drawing: SVG in HTML, a PNG file called `name` beside Markdown.

  Attributes:
    name: of the file without its ending; prefixes the ids in HTML.
    alt: one sentence for those who cannot see it.
    draw: gives a matplotlib Figure.
    css: of the <figure>.
  """

  name: str
  alt: str
  draw: Callable[[], Any]
  css: str = ""

  def html(self, level: int) -> str:
    from gtzan_jax.reports import style  # matplotlib, for those who draw

    svg = style.inline_svg(self.draw(), self.name, self.alt)
    return _tag("figure", svg, self.css)

  def markdown(self, level: int) -> str:
    return f"![{markdown(self.alt)}]({self.name}.png)"


@dataclasses.dataclass(frozen=True)
class Media:
  """A picture or a sound: a file's bytes, or a str that is base64 already."""

  data: bytes | str
  kind: str  # a media type, image/... or audio/...
  alt: str = ""

  def html(self, level: int) -> str:
    data = self.data
    text = data if isinstance(data, str) else base64.b64encode(data).decode()
    source = f'src="data:{self.kind};base64,{text}"'
    if self.kind.startswith("audio"):
      return f'<audio controls preload="metadata" {source}></audio>'
    return _tag("figure", f'<img alt="{_html(self.alt)}" {source}>')


@dataclasses.dataclass(frozen=True)
class Warn:
  """A box: `stop` for what must not be relied on. Items are (title, text)."""

  title: Any
  text: Any = ""
  stop: bool = False
  items: Sequence[tuple[Any, Any]] = ()

  def html(self, level: int) -> str:
    inner = _tag("strong", _html(self.title))
    inner += _tag("p", _html(self.text)) if self.text else ""
    items = [_tag("li", _html((bold(a), b))) for a, b in self.items]
    inner += _tag("ul", "".join(items)) if items else ""
    kind, role = ("stop", "alert") if self.stop else ("warn", "note")
    return _tag("div", inner, f"banner {kind}", role=role)

  def markdown(self, level: int) -> str:
    return f"> {markdown((bold(self.title), ' ', self.text))}"


@dataclasses.dataclass(frozen=True)
class Items:
  """A list of texts."""

  texts: Sequence[Any]

  def html(self, level: int) -> str:
    return _tag("ul", "".join(_tag("li", _html(text)) for text in self.texts))

  def markdown(self, level: int) -> str:
    return "\n".join(f"- {markdown(text)}" for text in self.texts)


@dataclasses.dataclass(frozen=True)
class Facts:
  """Terms and what they are, side by side."""

  pairs: Iterable[tuple[Any, Any]]

  def html(self, level: int) -> str:
    pairs = [
      _tag("div", _tag("dt", _html(term)) + _tag("dd", _html(value)))
      for term, value in self.pairs
    ]
    return _tag("dl", "".join(pairs), "facts")


@dataclasses.dataclass(frozen=True)
class Key:
  """What the colours of a drawing are: (of style.PALETTE or "", text)."""

  colours: Sequence[tuple[str, Any]]

  def html(self, level: int) -> str:
    inner = [_tag("i", "", css) + _html(text) for css, text in self.colours]
    return _tag("p", "".join(inner), "caption key")


class Card(NamedTuple):
  """A number to be seen first; `span` is (low, high, at), from 0 to 1."""

  name: str
  value: str
  note: str
  unit: str = ""
  span: tuple[float, float, float] | None = None


@dataclasses.dataclass(frozen=True)
class Cards:
  """Cards in a row; `css` is "first" (a large one), "first leaky" or ""."""

  cards: Sequence[Card]
  css: str = "first"

  def html(self, level: int) -> str:
    return _tag(
      "div", "".join(map(self._card, self.cards)), f"cards {self.css}"
    )

  @staticmethod
  def _card(card: Card) -> str:
    place = ""
    if card.span:
      low, high, at = (100 * x for x in card.span)
      width = max(high - low, 0)
      place = _tag("i", "", style=f"left:{low:.1f}%;width:{width:.1f}%")
      place += _tag("b", "", style=f"left:{at:.1f}%")
    value = _html(card.value) + (_tag("small", card.unit) if card.unit else "")
    inner = _tag("div", _html(card.name), "name") + _tag("div", value, "value")
    inner += _tag("div", place, "range") if place else ""
    return _tag("div", inner + _tag("div", _html(card.note), "note"), "card")


@dataclasses.dataclass(frozen=True)
class Part:
  """Blocks under a heading: a box at the top level."""

  title: Any
  blocks: Sequence[Any]
  css: str = ""

  def html(self, level: int) -> str:
    inner = _tag(f"h{level}", _html(self.title))
    inner += _blocks(self.blocks, level + 1)
    return _tag("section" if level == 2 else "div", inner, self.css)

  def markdown(self, level: int) -> str:
    blocks = [render(block, level + 1) for block in self.blocks if block]
    return "\n\n".join([f"{'#' * level} {markdown(self.title)}", *blocks])


@dataclasses.dataclass(frozen=True)
class Side:
  """Blocks side by side; `css` names a grid of style.css."""

  blocks: Sequence[Any]
  css: str = "two"

  def html(self, level: int) -> str:
    return _tag("div", _blocks(self.blocks, level), self.css)


@dataclasses.dataclass(frozen=True)
class Details:
  """Blocks that a click opens."""

  title: str
  blocks: Sequence[Any]

  def html(self, level: int) -> str:
    inner = _tag("summary", _html(self.title)) + _blocks(self.blocks, level)
    return _tag("details", inner)


def _blocks(blocks: Iterable[Any], level: int) -> str:
  """HTML of blocks; a str or a tuple is a paragraph, None is nothing."""
  shown = [Text(b) if isinstance(b, str | tuple) else b for b in blocks]
  return "\n".join(block.html(level) for block in shown if block)


def render(block: Any, level: int = 2) -> str:
  """A block, or a text as a paragraph, in Markdown."""
  block = Text(block) if isinstance(block, str | tuple) else block
  return block.markdown(level)


@dataclasses.dataclass(frozen=True)
class Document:
  """A whole page.

  Attributes:
    title: its first heading.
    blocks: None among them is nothing.
    window: the title of the browser's window.
    chips: (name, value) under the heading.
    eyebrow: above it.
    footer: below all.
    css: of the page: "wide", or nothing.
  """

  title: Any
  blocks: Sequence[Any]
  window: str = ""
  chips: Sequence[tuple[str, Any]] = ()
  eyebrow: str = "Music genre classification"
  footer: str = ""
  css: str = ""

  def html(self) -> str:
    """A page that stands alone."""
    chips = [
      _tag("li", _tag("span", _html(name)) + _html(value))
      for name, value in self.chips
    ]
    head = _tag("p", _html(self.eyebrow), "eyebrow")
    head += _tag("h1", _html(self.title))
    head += _tag("ul", "".join(chips), "chips") if chips else ""
    body = _tag("header", head) + _blocks(self.blocks, 2)
    if self.footer:
      body += _tag("footer", _tag("p", _html(self.footer)))
    return (
      '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
      '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
      '<meta name="color-scheme" content="light dark">\n'
      f"<title>{_html(self.window or self.title)}</title>\n"
      f"<style>\n{STYLE.read_text('utf-8')}</style>\n</head>\n<body>\n"
      f"{_tag('main', body, self.css)}\n</body>\n</html>\n"
    )

  def markdown(self) -> str:
    """A page whose figures stand beside it."""
    blocks = [render(block) for block in self.blocks if block]
    return "\n\n".join([f"# {markdown(self.title)}", *blocks]) + "\n"

  def write(self, folder: pathlib.Path, name: str) -> str:
    """Writes the Markdown, called `name`, and its figures; returns the text."""
    from gtzan_jax.reports import style  # matplotlib, for those who draw

    for block in self.blocks:
      if isinstance(block, Figure):
        style.save_png(block.draw(), folder / f"{block.name}.png")
    text = self.markdown()
    atomic.write(folder / name, text)
    return text
