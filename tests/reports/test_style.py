"""Drawings: letters that a font lacks, and colours that a page sets."""

import pytest

from gtzan_jax.reports import plot_style


def labelled(text):
  with plot_style.style():
    figure = plot_style.new_figure(3, 1)
    plot_style.name_rows(figure.subplots(), [text])
  return figure


@pytest.fixture
def fallbacks(monkeypatch):
  """Sets the fonts of other scripts."""

  def forget():
    plot_style._has.cache_clear()
    plot_style.drawable.cache_clear()

  def use(*fonts):
    monkeypatch.setattr(plot_style, "FALLBACKS", fonts)
    forget()

  yield use
  forget()


@pytest.mark.parametrize(
  ("text", "drawn"),
  [
    ("été Ж عربي 😀", "été Ж عربي 😀"),
    ("K-Pop 케이팝", r"K-Pop \ucf00\uc774\ud31d"),
    ("\x1b[31mred\u202e", r"\x1b[31mred\u202e"),
    ("caf\udce9 \x7f\0", r"caf\udce9 \x7f\x00"),
    ("\U00020000", r"\U00020000"),
  ],
)
def test_text_that_no_font_has_is_drawn_as_its_escape(fallbacks, text, drawn):
  """Warnings are errors here: matplotlib would warn of each letter."""
  fallbacks()
  assert plot_style.drawable(text) == (drawn, (plot_style.FONT,))
  if "\udce9" not in text:
    assert plot_style.png(labelled(text)) == plot_style.png(labelled(drawn))
    assert plot_style.png(labelled(text)) != plot_style.png(labelled("?"))


def test_a_browser_finds_the_font_of_a_letter():
  assert "케이팝" in plot_style.inline_svg(labelled("케이팝"), "a", "a plot")


def test_a_font_at_hand_is_used_where_ours_lacks_a_letter(fallbacks):
  fonts = (plot_style.FONT, "Last Resort High-Efficiency")
  fallbacks(fonts[1])
  assert plot_style.drawable("a케") == ("a케", fonts)
  assert plot_style.drawable("a") == ("a", fonts[:1])
  assert len(plot_style.png(labelled("a케"))) > 100
