"""report.html: what a reader sees of a classifier's report."""

import re

import numpy as np
import pytest
from pages import GENRES, RUN, Page, built, history, made

from gtzan_jax.cli import console
from gtzan_jax.reports import figures, page, plot_style, report
from gtzan_jax.scores.predictions import Predictions

LEAK = "Segments of one track stand in train and test."
SYNTHETIC = "Numbers on the synthetic corpus are not GTZAN numbers."


def shown(got) -> str:
  return Page(page.render(got)).text


def test_the_page_is_self_contained_and_well_formed():
  got, _ = built(splits=("validation", "test"))
  text = page.render(got)
  parsed = Page(text)
  assert all(link.startswith("#") for link in parsed.links)
  assert "http:" not in text
  assert "https:" not in text
  assert "@import" not in text
  assert len(parsed.ids) == len(set(parsed.ids))
  assert {link[1:] for link in parsed.links} <= set(parsed.ids)
  # Every colour of the drawings is a variable that both themes define.
  for name, value in plot_style.PALETTE.items():
    assert f"var(--plot-{name})" in text, name
    assert text.count(f"--plot-{name}:") == 2, name
    assert value not in re.sub(r"<style>.*?</style>", "", text, flags=re.S)


@pytest.mark.usefixtures("text_only")
def test_the_page_says_what_it_shows():
  got, _ = built(missing={"test": 7}, tracks={"train": 443})
  parsed = Page(page.render(got))
  accuracy = f"{100 * got['splits']['test']['track']['accuracy']:.1f}"
  assert f"Track accuracy, test {accuracy}" in parsed.text
  assert "7 of its tracks are missing from this corpus" in parsed.text
  assert "391,114" in parsed.text
  assert "jazz.00054 not <audio>" in parsed.text
  assert "data.protocol filtered" in parsed.text
  assert "train 443 0 not scored" in parsed.text
  assert LEAK not in parsed.text
  assert SYNTHETIC not in parsed.text


@pytest.mark.usefixtures("text_only")
def test_the_page_says_how_sure_one_may_be():
  got, tables = built(splits=("validation", "test"))
  level = got["calibration"]["track"]
  temperature, after = level["temperature"], 100 * level["ece_after"]
  text = shown(got)
  assert (
    f"Tracks {temperature:.2f} {100 * level['ece']:.1f} {after:.1f}" in text
  )
  assert "The temperature was fitted on the validation split." in text
  assert "Intervals resample whole tracks." in text
  artists = {track: f"by {track[-1]}" for track in tables["test"].track}
  known = {name: table.with_artists(artists) for name, table in tables.items()}
  text = Page(page.render(report.build(RUN, known, [], {}, {}))).text
  assert "Intervals resample whole artists, 10 of them" in text
  alone = {"validation": known["validation"]}
  text = Page(page.render(report.build(RUN, alone, [], {}, {}))).text
  assert "so that none chose its own" in text
  assert "Temperature" not in Page(page.render(built()[0])).text


def test_the_reliability_is_drawn_before_and_after():
  got, _ = built(splits=("validation", "test"))
  before = got["splits"]["test"]["reliability"]
  after = got["calibration"]["track"]["reliability"]
  (axes,) = figures.reliability(before, "x", after).axes
  drawn = [line.get_xydata().tolist() for line in axes.lines[1:]]
  assert drawn == [
    [[row["confidence"], row["accuracy"]] for row in rows]
    for rows in (before, after)
  ]
  assert len(figures.reliability(before, "x").axes[0].lines) == 2


@pytest.mark.usefixtures("text_only")
def test_the_page_carries_its_banners():
  parsed = Page(
    page.render(built({"corpus": "synthetic", "source": "x", "leak": LEAK})[0])
  )
  assert SYNTHETIC in parsed.text
  assert f"do not quote these numbers as results. {LEAK}" in parsed.text
  assert "had no part in training" not in parsed.text


@pytest.mark.usefixtures("text_only")
def test_warnings_about_the_corpus_stand_in_a_box():
  text = "a/1 <b> = b/1. One recording stands under two labels."
  one = {"check": "identical_genres", "title": "1 group", "text": text}
  shown = page.render(built({"warnings": [one]})[0])
  assert "Warnings about this corpus" in shown
  assert "<b>1 group</b>a/1 &lt;b&gt; = b/1." in shown
  for none in ({}, {"warnings": []}):
    assert "Warnings about this corpus" not in page.render(built(none)[0])


@pytest.mark.usefixtures("text_only")
def test_without_a_test_split_the_page_says_so():
  got, _ = built(splits=("validation",), missing={"test": 290})
  text = shown(got)
  assert "No test tracks at hand; 290 missing." in text
  assert "also chose the checkpoint" in text
  assert "test 0 290 no tracks at hand" in text


@pytest.mark.usefixtures("text_only")
def test_what_a_user_names_cannot_become_markup():
  got, _ = built({"recipe": "<script>alert(1)</script>"})
  assert "<script>" not in page.render(got)


def test_an_absent_genre_and_a_perfect_model_can_be_drawn():
  table = made(tracks=9)  # the tenth genre has no track
  sure = np.eye(10, dtype=np.float32)[table.label]
  perfect = Predictions(table.track, table.segment, table.label, sure, GENRES)
  got = report.build(RUN, {"test": perfect}, history(1), {}, {})
  text = shown(got)
  assert "rock – – – absent" in text
  assert "No track of the 9 was predicted as another genre." in text


def with_artists(artists: dict[str, str]) -> dict[str, Predictions]:
  """20 train tracks, 0 to 19, and 20 test tracks, 10 to 29."""
  every = made(tracks=30, segments=2)
  parts = {"train": slice(0, 40), "test": slice(20, 60)}
  return {
    part: Predictions(
      *(column[rows] for column in (every.track, every.segment, every.label)),
      *(every.probabilities[rows], GENRES),
    ).with_artists(artists)
    for part, rows in parts.items()
  }


@pytest.mark.usefixtures("text_only")
@pytest.mark.parametrize(
  ("artist", "known", "note"),
  [
    (
      lambda i: f"by {i % 15}",
      (20, 20),
      "20 of 20 test tracks are by artists of",
    ),
    (
      lambda i: "" if i >= 24 else f"by {i}",
      (10, 14),
      "10 of the 14 test tracks whose artist is known are by artists of the"
      " train split: mostly artist recognition.",
    ),
    (
      lambda i: "" if i == 10 else f"by {i}",
      (9, 19),
      "9 of the 19 test tracks whose artist is known are by artists of the"
      " train split. ",
    ),
    (lambda i: "" if i < 20 else f"by {i}", (0, 10), ""),
    (lambda i: "", (0, 0), ""),
  ],
  ids=["all", "half unknown", "some", "none", "unknown"],
)
def test_tracks_by_artists_of_the_train_part_are_counted(
  artist, known, note, tmp_path, capsys
):
  every = made(tracks=30, segments=2).track[::2]
  tables = with_artists({t: artist(i) for i, t in enumerate(every.tolist())})
  got = report.build(RUN, tables, [], {}, {})
  assert got["splits"]["train"]["known_artists"] is None
  assert tuple(got["splits"]["test"]["known_artists"].values()) == known
  text = shown(got)
  assert note in text
  assert ("by artists of the train split" in text) == bool(note)
  report.save(tmp_path / "report.json", got)
  console.result(tmp_path)
  said = capsys.readouterr().out
  assert note.strip() in said
  assert ("warning: " in said) == ("mostly artist" in said)
  alone = report.build(RUN, {"test": tables["test"]}, [], {}, {})
  assert alone["splits"]["test"]["known_artists"] is None
  assert "by artists of the train split" not in Page(page.render(alone)).text
