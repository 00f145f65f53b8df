"""The tables of a leaderboard as Markdown and as one self-contained page."""

import pathlib
import re
from collections.abc import Iterable, Mapping, Sequence

import jinja2
from markupsafe import Markup

from gtzan_jax.reports import markdown, page
from gtzan_jax.reports.overview import overview

# Between these a page that somebody wrote holds the tables.
_BEGIN, _END = "<!-- drawn by ", "<!-- end of the leaderboard -->"
_MARKS = re.compile(rf"({_BEGIN}.*? -->\n).*?({_END})", re.S)
TEXTS = {
  "introduction": (
    "Accuracies and F1 in per cent: mean ± standard deviation over the seeds,"
    " which says nothing of other tracks (for that see the interval in each"
    " run's report). Rows of one recipe show the settings in which they differ."
    " Published figures stand as their source states them, on its own split."
    " Commit and data: the code that measured it, and the fingerprint of what"
    " it learnt from."
  ),
  "overview": (
    "A line a recipe. Split as there: under the protocol of ours that splits as"
    " the source did, in the segments or tracks that the source counts; ⚠ marks"
    " one that leaks, which is no result. Honest: track accuracy under a"
    " protocol that does not leak. Where there are several, the one that scored"
    " most tracks is shown (one that is mostly artist recognition, or a single"
    " fold, only for want of another); of several settings those with most"
    " seeds, then the best: a choice by the very number shown, which flatters"
    " it. Only lines of the same tracks compare."
  ),
  "leak": "This protocol leaks: do not quote these numbers as results.",
  "synthetic_title": "Synthetic corpus: not GTZAN",
  "synthetic_note": (
    "Tracks made by ten generators that ship with this project: these numbers"
    " show that everything works, not how well music is classified."
  ),
}


def render(
  template: str,
  tables: Sequence[Mapping],
  unscored: Iterable[str],
  gans: int = 0,
) -> str:
  """The tables as text: a whole page of HTML, Markdown without a title.

  Args:
    template: "md" or "html".
    tables: from `leaderboard.build`.
    unscored: in words, the runs that have no numbers.
    gans: how many runs were left out, as they classify nothing.
  """
  environment = jinja2.Environment(
    loader=jinja2.FileSystemLoader(
      pathlib.Path(__file__).with_name("templates")
    ),
    autoescape=True,
    finalize=page.shown if template == "html" else _escaped,
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
  )
  return environment.get_template(f"leaderboard.{template}.jinja").render(
    lines=overview(tables),
    music=[table for table in tables if not table["synthetic"]],
    synthetic=[table for table in tables if table["synthetic"]],
    unscored=list(unscored),
    gans=gans,
    texts=TEXTS,
  )


def _escaped(value: object) -> object:
  """A value of a report in Markdown: text that is not ours is escaped."""
  if isinstance(value, Markup) or not isinstance(value, str):
    return value
  return Markup(markdown.text(value))


def put(drawn: str, page: str) -> str:
  """A page with `drawn` in place of what stood between its marks.

  Raises:
    ValueError: there is not one pair of marks.
  """
  text, number = _MARKS.subn(
    lambda marks: f"{marks[1]}\n{drawn}\n{marks[2]}", page
  )
  if number != 1:
    raise ValueError(
      "has no place for the leaderboard: it is drawn between the marks"
      f" `{_BEGIN}... -->` and `{_END}`"
    )
  return text


def has_marks(page: str) -> bool:
  """Whether tables are drawn into a page, be one of its marks lost."""
  return _BEGIN in page or _END in page
