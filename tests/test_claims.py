"""The tables of docs/claims.md are those of the runs that are stored."""

import re
import sys

import numpy as np
import pytest

from benchmarks import claims
from gtzan_jax.predictions import Predictions

GENRES = ("blues", "rock")


def test_the_page_has_the_tables_of_its_runs(monkeypatch, capsys, pytestconfig):
  docs = pytestconfig.rootpath / "docs"
  monkeypatch.setattr(sys, "argv", ["claims", str(docs / "claims")])
  claims.main()
  page = (docs / "claims.md").read_text("utf-8")
  assert page.endswith(capsys.readouterr().out)
  rows = {line.split(" | ")[0] for line in page.splitlines() if "|" in line}
  assert {f"| {row}" for row, *_ in claims.PAIRS} <= rows


DIFFERENCE = re.compile(r"([+-][\d.]+) \(([+-][\d.]+) to ([+-][\d.]+)\)")
OF_GANS = ("0.33", "0.34")


def test_what_a_verdict_says_stands_in_the_tables(pytestconfig):
  docs = pytestconfig.rootpath / "docs"
  rows = [
    line[2:].split(" | ")
    for line in (docs / "claims.md").read_text("utf-8").splitlines()
    if re.match(r"\| \d\.\d\d ", line)
  ]
  verdicts = [row for row in rows if len(row) < 7]
  pairs = [row for row in rows if len(row) > 7]
  measured = {(row[5], *row[6].split(" to ")) for row in pairs}
  about_gans = (docs / "gan.md").read_text("utf-8")
  assert len(verdicts) == len({row[0] for row in verdicts}) == 17
  for number, _, verdict, *by in verdicts:
    for found in DIFFERENCE.finditer(" | ".join(by)):
      if number in OF_GANS:
        bounds = f"{found[2]} to {found[3]}"
        assert bounds in about_gans, (number, found[0])
      else:
        assert found.groups() in measured, (number, found[0])
    said = {row[8].rstrip(" |") for row in pairs if row[0] == number}
    for word in ("holds", "the opposite"):
      assert word in said or f"**{word}" not in verdict, (number, word)


@pytest.mark.parametrize(
  ("interval", "said"),
  [
    ([0.01, 0.2], "holds"),
    ([0.009, 0.2], "cannot tell"),
    ([-0.2, 0.2], "cannot tell"),
    ([-0.2, -0.009], "cannot tell"),
    ([-0.2, -0.01], "the opposite"),
  ],
)
def test_a_verdict_leaves_a_margin(interval, said):
  assert claims.verdict(interval) == said


def fold(number, right, tracks=6):
  """One fold's answers, of which the first `right` are."""
  label = np.arange(tracks, dtype=np.int32) % 2
  answer = np.where(np.arange(tracks) < right, label, 1 - label)
  return Predictions(
    track=np.array(
      [f"{GENRES[x]}.{number}{i:04d}" for i, x in enumerate(label)]
    ),
    segment=np.full(tracks, -1, np.int32),
    label=label,
    probabilities=np.eye(2, dtype=np.float32)[answer],
    genres=GENRES,
  )


def test_folds_are_compared_together_and_seeds_on_the_same_tracks():
  better = [fold(0, 6), fold(1, 3)]
  worse = [fold(0, 3), fold(1, 3)]
  found = claims.paired(better, worse)
  assert (found["n"], found["difference"]) == (12, 0.25)
  seeds = claims.paired([fold(0, 6), fold(0, 3)], [fold(0, 3), fold(0, 3)])
  assert (seeds["n"], seeds["difference"]) == (6, 0.25)
  # of other lists of tracks what they have in common
  fewer = [better[0].at(np.arange(6) > 0), better[1]]
  found = claims.paired(fewer, worse)
  assert (found["n"], found["difference"]) == (11, pytest.approx(3 / 11))


def test_no_run_is_one_line(monkeypatch, tmp_path, capsys):
  monkeypatch.setattr(sys, "argv", ["claims", str(tmp_path)])
  with pytest.raises(SystemExit) as stopped:
    claims.main()
  assert stopped.value.code == 2
  assert "holds no run that has ended" in capsys.readouterr().err
