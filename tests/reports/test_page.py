"""report.html: what a reader sees of a classifier's report."""

import re

import numpy as np
import pytest
from pages import GENRES, RUN, Page, built, history, made

from gtzan_jax.cli import print_scores
from gtzan_jax.reports import figures, page, plot_style, report
from gtzan_jax.scores.predictions import Predictions

LEAK = "Segments of one track stand in train and test."
SYNTHETIC = "Numbers on the synthetic corpus are not GTZAN numbers."


def shown(got) -> str:
  return Page(page.render(got)).text


def test_the_page_is_self_contained_and_well_formed():
  text = page.render(built(splits=("validation", "test"))[0])
  assert all(link.startswith("#") for link in Page(text).links)
  assert "http:" not in text
  assert "https:" not in text
  # Every colour of the drawings is a variable that both themes define.
  for name, value in plot_style.PALETTE.items():
    assert f"var(--plot-{name})" in text, name
    assert text.count(f"--plot-{name}:") == 2, name
    assert value not in re.sub(r"<style>.*?</style>", "", text, flags=re.S)


def test_the_reliability_is_drawn_before_and_after():
  got, _ = built(splits=("validation", "test"))
  before = got["splits"]["test"]["reliability"]
  after = got["calibration"]["track"]["reliability"]
  for rows in ((before,), (before, after)):
    (axes,) = figures.reliability(rows[0], "x", *rows[1:]).axes
    assert [line.get_xydata().tolist() for line in axes.lines[1:]] == [
      [[row["confidence"], row["accuracy"]] for row in bins] for bins in rows
    ]


WARNING = {
  **{"check": "identical_genres", "title": "1 group"},
  "text": "a/1 <b> = b/1. One recording stands under two labels.",
}
MEMBER = {
  **{"recipe": "mel_cnn", "seed": 7, "data_fingerprint": "f" * 64},
  "config": "c" * 64,
}


@pytest.mark.usefixtures("text_only")
@pytest.mark.parametrize(
  ("run", "given", "words", "others"),
  [
    (
      {},
      {"missing": {"test": 7}, "tracks": {"train": 443}},
      (
        *("7 of its tracks are missing from this corpus", "391,114"),
        *("jazz.00054 not <audio>", "data.protocol filtered"),
        *("train 443 0 not scored", "Intervals resample whole tracks."),
      ),
      (LEAK, SYNTHETIC, "Temperature", "Warnings about this corpus"),
    ),
    (
      {},
      {"splits": ("validation",), "missing": {"test": 290}},
      (
        *("No test tracks at hand; 290 missing.", "so that none chose its own"),
        *("also chose the checkpoint", "test 0 290 no tracks at hand"),
      ),
      (),
    ),
    (
      {"corpus": "synthetic", "source": "x", "leak": LEAK},
      {},
      (SYNTHETIC, f"do not quote these numbers as results. {LEAK}"),
      ("had no part in training",),
    ),
    (
      {"warnings": [WARNING], "recipe": "<script>alert(1)</script>"},
      {},
      (
        *("Warnings about this corpus", "1 groupa/1 <b> = b/1. One"),
        "<script>alert(1)</script>",  # as text: `Page` refuses the element
      ),
      (),
    ),
    ({"warnings": []}, {}, (), ("Warnings about this corpus",)),
    (
      {"config": {"members": {"runs/a": MEMBER, "b": MEMBER | {"seed": 8}}}},
      {},
      ("Members", "runs/a mel_cnn 7 ffffffffffff b mel_cnn 8 ffffffffffff"),
      ("Training",),
    ),
  ],
  ids=["test", "validation", "banners", "warnings", "none", "members"],
)
def test_the_page_says_what_it_shows(run, given, words, others):
  got, _ = built(run, **given)
  text = shown(got)
  accuracy = got["splits"][got["headline"]]["track"]["accuracy"]
  shown_as = f"Track accuracy, {got['headline']} {100 * accuracy:.1f}"
  for part in (shown_as, *words):
    assert part in text, part
  for part in others:
    assert part not in text, part


@pytest.mark.usefixtures("text_only")
def test_the_page_says_how_sure_one_may_be():
  got, tables = built(splits=("validation", "test"))
  level = got["calibration"]["track"]
  ece, after = (f"{100 * level[key]:.1f}" for key in ("ece", "ece_after"))
  text = shown(got)
  assert f"Tracks {level['temperature']:.2f} {ece} {after}" in text
  assert "The temperature was fitted on the validation split." in text
  artists = {track: f"by {track[-1]}" for track in tables["test"].track}
  known = {name: table.with_artists(artists) for name, table in tables.items()}
  text = shown(report.build(RUN, known, [], {}, {}))
  assert "Intervals resample whole artists, 10 of them" in text


def test_an_absent_genre_and_a_perfect_model_can_be_drawn():
  table = made(tracks=9)  # the tenth genre has no track
  sure = np.eye(10, dtype=np.float32)[table.label]
  perfect = Predictions(table.track, table.segment, table.label, sure, GENRES)
  text = shown(report.build(RUN, {"test": perfect}, history(1), {}, {}))
  assert "rock – – – absent" in text
  assert "No track of the 9 was predicted as another genre." in text


@pytest.mark.usefixtures("text_only")
@pytest.mark.parametrize(
  ("known", "note"),
  [
    ((20, 20), "20 of 20 test tracks are by artists of the train split: most"),
    (
      (10, 14),
      "10 of the 14 test tracks whose artist is known are by artists of the"
      " train split: mostly artist recognition.",
    ),
    (
      (9, 19),
      "9 of the 19 test tracks whose artist is known are by artists of the"
      " train split. ",
    ),
    ((0, 10), ""),
    ((0, 0), ""),
    (None, ""),
  ],
)
def test_tracks_by_artists_of_the_train_split_are_noted(
  known, note, tmp_path, capsys
):
  got, _ = built(splits=("test",), tracks={"train": 443})
  assert got["splits"]["test"]["known_artists"] is None
  counts = known and dict(zip(("tracks", "of"), known, strict=True))
  got["splits"]["test"] |= {"known_artists": counts}
  got["splits"]["test"]["track"]["n"] = 20
  text = shown(got)
  assert note in text
  assert ("by artists of the train split" in text) == bool(note)
  report.save(tmp_path / "report.json", got)
  print_scores.result(tmp_path)
  printed = capsys.readouterr().out
  assert note.strip() in printed
  assert ("warning: " in printed) == ("mostly artist" in printed)
