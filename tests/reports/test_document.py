"""Blocks as HTML and as Markdown: what a reader and what a renderer sees."""

import pytest
from pages import Page

from gtzan_jax.reports import document as doc
from gtzan_jax.reports import plot_style

STRANGE = "\x1b[2J<img src=x>|`a`*b* [c](http://d) R&B &lt; _e_\n# f\u202e"


@pytest.mark.parametrize(
  ("text", "wanted"),
  [
    (doc.percent(0.1234), "12.3"),
    (doc.percent(None), "–"),
    (doc.interval([0.1, 0.25]), "10.0 – 25.0"),
    (doc.number(12345), "12,345"),
    (doc.number(12345.6), "12,346"),
    (doc.number(-0.123456), "−0.1235"),
    (doc.number(9312.4, 3), "9,312"),
    (doc.number(0.00001), "1e−5"),
    (doc.number(None), "–"),
    (doc.duration(12.34), "12.3 s"),
    (doc.duration(125), "2 min 5 s"),
    (doc.duration(6000), "1 h 40 min"),
  ],
)
def test_numbers(text, wanted):
  assert text == wanted


@pytest.mark.parametrize(
  ("head", "rows", "align", "lines"),
  [
    (
      ("genre", "n"),
      [("blues", 3), ("R|B", 1000)],
      "lr",
      [
        "| genre    |    n |",
        "| -------- | ---: |",
        "| blues    |    3 |",
        "| R&#124;B | 1000 |",
      ],
    ),
    (("a", "b"), [], "l", ["| a   | b   |", "| --- | --- |"]),
    (("a",), [("x" * 400,)], "l", ["| a   |", "| --- |", f"| {'x' * 400} |"]),
  ],
)
def test_columns_of_markdown_are_even_but_for_long_cells(
  head, rows, align, lines
):
  assert doc.table(head, rows, align).markdown(2).splitlines() == lines


def test_a_strangers_text_is_text_and_nothing_else():
  assert doc.markdown(STRANGE) == (
    r"\x1b[2J&lt;img src=x>&#124;\`a\`\*b\* [c\](http://d) R&B &amp;lt; _e_"
    r"\n# f\u202e"
  )
  page = doc.Document(
    STRANGE,
    [
      STRANGE,
      doc.table((STRANGE,), [(doc.code(STRANGE, STRANGE),)]),
      doc.warning(STRANGE, STRANGE, items=[(STRANGE, STRANGE)]),
      doc.facts([(STRANGE, STRANGE)]),
      doc.cards(doc.Card(STRANGE, STRANGE, STRANGE)),
      doc.part(STRANGE, doc.media(b"", "image/png", STRANGE)),
      doc.details(STRANGE, doc.items(STRANGE)),
    ],
    chips=[(STRANGE, STRANGE)],
  )
  parsed = Page(page.html())
  assert parsed.links == ["data:image/png;base64,"]
  assert "\x1b" not in page.html()
  assert parsed.text.count(r"\x1b[2J<img src=x>|`a`*b*") == 19


def test_one_document_is_both(tmp_path):
  page = doc.Document(
    "Title",
    [
      None,
      ("About ", doc.code("x"), ": ", doc.bold("bold"), doc.muted(" pale")),
      doc.warning("Careful.", "It leaks.", stop=True),
      doc.figure("shape", "a shape", plot_style.new_figure, 1, 1),
      doc.part("Head", "text", doc.part("Inner", doc.items("a", "b"))),
      doc.records(
        [{"name": "a", "share": 0.5, "ends": (0, 1)}],
        {
          "name": ("name", lambda name: doc.link(name, "a.md")),
          "share": ("share", doc.Bar),
          "ends": ("ends", doc.interval),
        },
      ),
    ],
  )
  text = page.write(tmp_path, "page.md")
  assert text == (tmp_path / "page.md").read_text() == page.markdown()
  assert text.split("\n\n") == [
    "# Title",
    "About `x`: **bold** pale",
    "> **Careful.** It leaks.",
    "![a shape](shape.png)",
    "## Head",
    "text",
    "### Inner",
    "- a\n- b",
    "| name      | share |        ends |\n"
    "| --------- | ----- | ----------: |\n"
    "| [a](a.md) | 50.0  | 0.0 – 100.0 |\n",
  ]
  assert (tmp_path / "shape.png").read_bytes()[1:4] == b"PNG"
  shown = page.html()
  assert "<h2>Head</h2>" in shown
  assert "<h3>Inner</h3>" in shown
  assert 'class="banner stop" role="alert"' in shown
  assert '<svg role="img" aria-label="a shape"' in shown
