"""Tables of Markdown: what a reader and what a renderer sees."""

from gtzan_jax import markdown


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
