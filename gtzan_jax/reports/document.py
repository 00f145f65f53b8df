"""A page as blocks, rendered as HTML that stands alone or as Markdown.

The HTML has no scripts and loads nothing. Text is a str, which is escaped, or a
tuple of strs, numbers, `Mark`s and `Bar`s. style.css has the looks.
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


def percent(value: float | None) -> str:
  """0.1234 as 12.3; None as a dash."""
  return "–" if value is None else f"{100 * value:.1f}"


def interval(ends: Sequence[float], to: str = " – ") -> str:
  """[0.1, 0.25] as 10.0 – 25.0."""
  return to.join(map(percent, ends))


def points(value: float) -> str:
  """0.123 as +12.3: a difference of shares, in points."""
  return f"{100 * value:+z.1f}"


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
  """A share (0 to 1) as a bar, in a colour of PALETTE, with its number."""

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
    fill = _tag("u", css=text.tone, style=f"width:{100 * text.value:.1f}%")
    shown = _tag("i", fill), _tag("b", percent(text.value))
    return _tag("span", shown, "bar")
  return html.escape(errors.shown(str(text), keep="\n\t"))


def markdown(text) -> str:
  """One line of Markdown; a str is escaped (cells, links, HTML, emphasis)."""
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


def _tag(
  name: str, inner: str | Iterable[str] = "", css: str = "", **attributes: str
) -> str:
  given = {"class": css, **attributes}
  text = "".join(
    f' {key}="{html.escape(errors.shown(value))}"'
    for key, value in given.items()
    if value
  )
  return f"<{name}{text}>{''.join(inner)}</{name}>"


# Blocks.


def _no_markdown(level: int) -> str:
  raise NotImplementedError("this block has no Markdown")


@dataclasses.dataclass(frozen=True)
class Block:
  """A piece of a page: functions (heading level) -> HTML or Markdown, and for a
  figure its file name and what draws it."""

  html: Callable[[int], str]
  markdown: Callable[[int], str] = _no_markdown
  figure: tuple[str, Callable[[], Any]] | None = None


def _rendered(kind: str, blocks: Iterable[Any], level: int) -> list[str]:
  """Blocks as "html" or "markdown"; a str or a tuple is a paragraph, falsy
  blocks are omitted."""
  every = (text(x) if isinstance(x, str | tuple) else x for x in blocks if x)
  return [getattr(block, kind)(level) for block in every]


def _joined(blocks: Iterable[Any], level: int) -> str:
  return "\n".join(_rendered("html", blocks, level))


def _html_only(shown: str) -> Block:
  return Block(lambda level: shown)


def text(value: Any, css: str = "lead") -> Block:
  """A paragraph; `css` is lead, caption, statement or ""."""
  return Block(
    lambda level: _tag("p", _html(value), css),
    lambda level: markdown(value).strip(),
  )


def table(
  head: Sequence[Any],
  rows: Iterable[Sequence[Any]],
  align: str = "l",
  css: str = "",
) -> Block:
  """A table of texts, the first of which names the row; `align` has a letter
  "l" or "r" for each column, the last standing for the rest."""
  rows = list(rows)
  sides = align.ljust(max(map(len, (head, *rows))), align[-1])

  def row(cells: Sequence[Any], rest: str, scope: str) -> str:
    ways = [("th", scope)] + [(rest, "")] * (len(cells) - 1)
    shown = (
      _tag(name, _html(cell), "num" * (side == "r"), scope=of)
      for (name, of), cell, side in zip(ways, cells, sides, strict=False)
    )
    return _tag("tr", shown)

  def as_html(level: int) -> str:
    body = _tag("tbody", "\n".join(row(cells, "td", "row") for cells in rows))
    if head:
      body = _tag("thead", row(head, "th", "")) + body
    return _tag("div", _tag("table", body, css), "scroll")

  def line(cells: Iterable[str], widths: Iterable[int]) -> str:
    even = (
      cell.rjust(width) if side == "r" else cell.ljust(width)
      for cell, width, side in zip(cells, widths, sides, strict=True)
    )
    return f"| {' | '.join(even)} |"

  def as_markdown(level: int) -> str:
    lines = [list(map(markdown, cells)) for cells in (head, *rows)]
    widths = [max(3, *map(len, column)) for column in zip(*lines, strict=True)]
    if sum(widths) > _WIDEST:
      widths = [3] * len(widths)
    ends = (":" if side == "r" else "-" for side in sides)
    rule = [end.rjust(x, "-") for x, end in zip(widths, ends, strict=True)]
    lines.insert(1, rule)
    return "\n".join(line(cells, widths) for cells in lines)

  return Block(as_html, as_markdown)


def records(
  rows: Iterable[Mapping] | Mapping[str, Mapping],
  columns: Mapping[str, tuple],
  css: str = "",
) -> Block:
  """A table of mappings, or of {name: mapping}, where "name" is a key too.
  `columns` is {head: (key, format)}. A format is a format spec or `percent`,
  `number`, `interval` (aligned right), or another function or none, for
  text."""
  if isinstance(rows, Mapping):
    rows = [{"name": name, **row} for name, row in rows.items()]
  ways = [(key, *rest, None)[:2] for key, *rest in columns.values()]
  right = (percent, number, interval)

  def cell(value: Any, way: Any) -> Any:
    if isinstance(way, str):
      return format(value, way)
    return way(value) if way else value

  return table(
    list(columns),
    [[cell(row[key], way) for key, way in ways] for row in rows],
    "".join("r" if isinstance(w, str) or w in right else "l" for _, w in ways),
    css,
  )


def figure(
  name: str, alt: str, draw: Callable[..., Any], *args: Any, css: str = ""
) -> Block:
  """A drawing, `draw(*args)`: SVG in HTML, `name`.png beside Markdown. `name`
  also prefixes the ids; `alt` is one sentence."""

  def as_html(level: int) -> str:
    from gtzan_jax.reports import plot_style  # matplotlib, for those who draw

    return _tag("figure", plot_style.inline_svg(draw(*args), name, alt), css)

  link = f"![{markdown(alt)}]({name}.png)"
  drawn = (name, functools.partial(draw, *args))
  return Block(as_html, lambda level: link, drawn)


def media(data: bytes | str, kind: str, alt: str = "") -> Block:
  """A picture or sound of media type `kind`, from bytes or base64."""
  coded = data if isinstance(data, str) else base64.b64encode(data).decode()
  source = f'src="data:{kind};base64,{coded}"'
  if kind.startswith("audio"):
    return _html_only(f'<audio controls preload="metadata" {source}></audio>')
  return _html_only(_tag("figure", f'<img alt="{_html(alt)}" {source}>'))


def warning(
  title: Any,
  body: Any = "",
  stop: bool = False,
  items: Iterable[tuple[Any, Any]] = (),
) -> Block:
  """A box of (title, text); `stop` is for results that are not valid."""
  inner = [_tag("strong", _html(title))]
  if body:
    inner.append(_tag("p", _html(body)))
  if listed := [_tag("li", _html((bold(a), b))) for a, b in items]:
    inner.append(_tag("ul", listed))
  kind, role = ("stop", "alert") if stop else ("warn", "note")
  shown = _tag("div", inner, f"banner {kind}", role=role)
  line = f"> {markdown((bold(title), ' ', body))}"
  return Block(lambda level: shown, lambda level: line)


def items(*texts: Any) -> Block:
  shown = _tag("ul", (_tag("li", _html(one)) for one in texts))
  lines = "\n".join(f"- {markdown(one)}" for one in texts)
  return Block(lambda level: shown, lambda level: lines)


def facts(pairs: Iterable[tuple[Any, Any]]) -> Block:
  """Terms and what they are, side by side."""
  shown = (
    _tag("div", _tag("dt", _html(term)) + _tag("dd", _html(value)))
    for term, value in pairs
  )
  return _html_only(_tag("dl", shown, "facts"))


def key(colours: Iterable[tuple[str, Any]]) -> Block:
  """A colour legend: (colour of PALETTE or "", text)."""
  shown = (_tag("i", "", css) + _html(value) for css, value in colours)
  return _html_only(_tag("p", shown, "caption key"))


class Card(NamedTuple):
  """A large number; `span` is (low, high, at), from 0 to 1."""

  name: str
  value: str
  note: str
  unit: str = ""
  span: tuple[float, float, float] | None = None

  def html(self) -> str:
    unit = _tag("small", self.unit) if self.unit else ""
    inner = [_tag("div", _html(self.name), "name")]
    inner.append(_tag("div", _html(self.value) + unit, "value"))
    if self.span:
      low, high, at = (100 * x for x in self.span)
      line = f"left:{low:.1f}%;width:{max(high - low, 0):.1f}%"
      place = _tag("i", style=line) + _tag("b", style=f"left:{at:.1f}%")
      inner.append(_tag("div", place, "range"))
    inner.append(_tag("div", _html(self.note), "note"))
    return _tag("div", inner, "card")


def cards(*held: Card, css: str = "first") -> Block:
  """Cards in a row; `css` is "first" (a large one), "first leaky" or ""."""
  shown = (card.html() for card in held)
  return _html_only(_tag("div", shown, f"cards {css}"))


def part(title: Any, *blocks: Any, css: str = "") -> Block:
  """Blocks under a heading: a box at the top level."""

  def as_html(level: int) -> str:
    inner = _tag(f"h{level}", _html(title)) + _joined(blocks, level + 1)
    return _tag("section" if level == 2 else "div", inner, css)

  def as_markdown(level: int) -> str:
    head = f"{'#' * level} {markdown(title)}"
    return "\n\n".join([head, *_rendered("markdown", blocks, level + 1)])

  return Block(as_html, as_markdown)


def side(*blocks: Any, css: str = "two") -> Block:
  """Blocks side by side; `css` names a grid of style.css."""
  return Block(lambda level: _tag("div", _joined(blocks, level), css))


def details(title: str, *blocks: Any) -> Block:
  """Collapsed blocks."""
  head = _tag("summary", _html(title))
  return Block(lambda level: _tag("details", head + _joined(blocks, level)))


@dataclasses.dataclass(frozen=True)
class Document:
  """A whole page; falsy blocks are left out. `window` is the browser's title,
  `chips` (name, value) stand under the heading, `css` is "wide" or ""."""

  title: Any
  blocks: Sequence[Any]
  window: str = ""
  chips: Sequence[tuple[str, Any]] = ()
  eyebrow: str = "Music genre classification"
  footer: str = ""
  css: str = ""

  def html(self) -> str:
    """A page that stands alone."""
    head = _tag("p", _html(self.eyebrow), "eyebrow")
    head += _tag("h1", _html(self.title))
    if self.chips:
      chips = (_tag("span", _html(a)) + _html(b) for a, b in self.chips)
      head += _tag("ul", (_tag("li", chip) for chip in chips), "chips")
    body = _tag("header", head) + _joined(self.blocks, 2)
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
    blocks = _rendered("markdown", self.blocks, 2)
    return "\n\n".join([f"# {markdown(self.title)}", *blocks]) + "\n"

  def write(self, folder: pathlib.Path, name: str) -> str:
    """Writes the Markdown, called `name`, and its figures; returns the text."""
    from gtzan_jax.reports import plot_style  # matplotlib, for those who draw

    for block in self.blocks:
      if figure := getattr(block, "figure", None):
        picture, draw = figure
        atomic.write(folder / f"{picture}.png", plot_style.png(draw()))
    text = self.markdown()
    atomic.write(folder / name, text)
    return text
