"""The report of a GAN: its page, its files, and its lines on the console."""

import json
import types

import pytest
from pages import GENRES, RUN, Page, made

from gtzan_jax.cli import print_scores
from gtzan_jax.gan import fidelity
from gtzan_jax.gan import page as gan_page
from gtzan_jax.reports import page, report


def render(got, gallery=None) -> str:
  return page.render(got, gan_page.content(got, gallery))


GAN = {
  **{"domain": "features", "generated": 40, "chance": 0.1},
  **{"collapsed": False, "memorised": False},
  "judge": {"recipe": "mel_cnn", "path": "judge", "accuracy": 0.71},
  "measures": {
    "validation": dict.fromkeys(fidelity.MEASURES, 0.61)
    | {"genre_share": 0.43, "frechet_distance": 9312.4, "density": None}
  },
  "genre_share": dict.fromkeys(GENRES, 0.43),
}


def of_gan(**changes):
  """The report of a GAN, the judge's predictions, and a gallery."""
  tables = {"generated": made(segments=1), "real": made(50, 1, seed=1)}
  rows = [
    {"epoch": e, "step": e, "train/generator_loss": 0.7 * e}
    | {"train/discriminator_loss": 1.4 / e, "validation/frechet_ratio": 9 / e}
    for e in (1, 2)
  ]
  monitor = {"name": "validation/frechet_ratio", "value": 4.5}
  run = {**RUN, "monitor": monitor, "gan": {**GAN, **changes}}
  built = report.build(run, tables, rows, {}, {}, {"train": 443, "test": 290})
  sounds = {"jazz": [b"a", b"b"]}
  return built, tables, types.SimpleNamespace(picture=b"png", sounds=sounds)


DIVERGED = {
  "collapsed": True,
  "memorised": True,
  "measures": {"validation": dict.fromkeys(fidelity.MEASURES)},
}


@pytest.mark.usefixtures("text_only")
def test_a_gans_page_says_first_how_good_it_is():
  got, _, gallery = of_gan()
  assert got["headline"] is None
  parsed = Page(render(got, gallery))
  for words in (
    "The generator has not collapsed. Of 40 generated examples the judge"
    " assigns 43.0 % to the requested genre. By chance that would be at most"
    " 10.0 %; of real held-out music it classifies 71.0 % correctly.",
    "Fréchet distance 9,312 From generated",
    "Density – In how many",
    "by Griffin-Lim",
    "sha256 train 443 0 – test 290 0 – Skipped",
  ):
    assert words in parsed.text
  # What is said of classifiers would mislead.
  for words in ("Track accuracy", "No split was scored", "true"):
    assert words not in parsed.text
  others = [link for link in parsed.links if not link.startswith("#")]
  assert [link[: link.index(",")] for link in others] == [
    "data:image/png;base64",
    *2 * ["data:audio/wav;base64"],
  ]
  assert "not chosen" not in Page(render(got)).text
  archive = Page(render(got | {"source": "archive"}, gallery)).text
  assert "An archive keeps only some columns" in archive
  waveforms = Page(render(of_gan(domain="audio")[0], gallery)).text
  assert "Log-mels of generated waveforms beside real ones" in waveforms
  assert "Waveforms as they were generated. The first" in waveforms
  gallery.sounds.clear()
  assert "There is no sound" in Page(render(got, gallery)).text


@pytest.mark.usefixtures("text_only")
@pytest.mark.parametrize(
  ("changes", "banner"),
  [
    ({"collapsed": True}, "The generator has collapsed."),
    ({"memorised": True}, "The generator may reproduce training"),
    (DIVERGED, "The generator has diverged."),
  ],
  ids=["collapsed", "memorised", "diverged"],
)
def test_a_gan_that_went_wrong_has_a_banner(changes, banner):
  text = Page(render(of_gan(**changes)[0])).text
  for words in (
    "The generator has collapsed.",
    "The generator may reproduce training",
    "The generator has diverged.",
  ):
    assert (words in text) == (words == banner)
  assert ("has not collapsed" in text) == ("collapsed" not in changes)


@pytest.mark.slow
def test_what_a_gan_makes_stands_beside_its_page(tmp_path):
  got, tables, gallery = of_gan()
  (tmp_path / "samples").mkdir()
  for old in ("jazz_2.wav", "pop_0.wav", "mine.wav", "jazz_00017.wav"):
    (tmp_path / "samples" / old).write_bytes(b"old")
  page = report.write(tmp_path, got, tables, gan_page.content(got, gallery))
  assert Page(page.read_text()).text.count("predicted by the judge") == 3
  assert (tmp_path / "samples.png").read_bytes() == b"png"
  files = {p.name: p.read_bytes() for p in (tmp_path / "samples").iterdir()}
  assert files == {
    **{"jazz_0.wav": b"a", "jazz_1.wav": b"b"},
    **{"mine.wav": b"old", "jazz_00017.wav": b"old"},
  }
  assert report.read(tmp_path / "report.json") == got
  assert (tmp_path / "confusion_generated.png").exists()


def test_a_gans_curves_are_its_own():
  figure = gan_page.curves(of_gan()[0]["history"], 2)
  drawn = {axes.get_title("left"): axes for axes in figure.axes}
  lines = drawn["Losses"].get_legend_handles_labels()[1]
  assert lines == ["discriminator", "generator"]
  assert drawn["Fréchet distance over real"].get_yscale() == "log"
  words = [text.get_text() for text in drawn["Diversity, nearest"].texts]
  assert words == ["nothing recorded"]


@pytest.mark.parametrize(
  ("changes", "problem"),
  [
    ({"measures": {}}, "gan.measures.validation: absent"),
    ({"collapsed": 0}, "gan.collapsed: int, bool wanted"),
    ({"judge": {}}, "gan.judge.recipe: absent"),
  ],
)
def test_what_is_said_of_a_gan_is_checked(changes, problem):
  with pytest.raises(ValueError, match=problem):
    of_gan(**changes)


@pytest.mark.parametrize("changes", [{}, DIVERGED], ids=["well", "diverged"])
def test_the_command_line_says_how_good_a_gan_is(tmp_path, capsys, changes):
  (tmp_path / "report.json").write_text(json.dumps(of_gan(**changes)[0]))
  print_scores.result(tmp_path)
  out = capsys.readouterr().out
  assert ("COLLAPSED: " in out) == bool(changes)
  for words in (
    "judge assigns 0.430 to the requested genre (chance at most 0.100",
    "validation: frechet_ratio 0.610, coverage 0.610, div",
  ):
    assert changes or words in out
  assert "tracks" not in out
  assert f"report: {tmp_path / 'report.html'}" in out
