"""Tables of Markdown: what a reader and what a renderer sees."""

from gtzan_jax.reports import markdown


def test_columns_are_of_equal_width_and_numbers_stand_on_the_right():
  table = markdown.table(
    ("genre", "n"), [("blues", 3), ("jazz", 1000)], numbers=1
  )
  assert table.splitlines() == [
    "| genre |    n |",
    "| ----- | ---: |",
    "| blues |    3 |",
    "| jazz  | 1000 |",
  ]
  left = markdown.table(("a", "b"), [])
  assert left.splitlines() == ["| a   | b   |", "| --- | --- |"]


def test_a_name_ends_no_cell():
  (*_, row) = markdown.table(("name", "n"), [("R|B", 1)]).splitlines()
  assert row == "| R&#124;B | 1   |"


def test_a_strangers_name_is_text_and_nothing_else():
  name = "\x1b[2J<img src=x>|`a`*b* [c](http://d) R&B &lt; _e_\n# f\u202e"
  assert markdown.text(name) == (
    r"\x1b[2J&lt;img src=x>&#124;\`a\`\*b\* [c\](http://d) R&B &amp;lt; _e_"
    r"\n# f\u202e"
  )
  (*_, row) = markdown.table(("a", "b"), [("<b>\n|", "\x07")]).splitlines()
  assert row == r"| &lt;b>\n&#124; | \x07 |"
