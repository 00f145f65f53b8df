"""The tables of claims.md are those of the runs that are stored."""

import re
import sys

import numpy as np
import pytest
import scipy.stats
import sklearn.metrics

from benchmarks import claims
from gtzan_jax.scores.predictions import Predictions
from gtzan_jax.studies.crossval import measure as crossval

GENRES = ("blues", "rock")


@pytest.mark.slow
def test_the_page_has_the_tables_of_its_runs(monkeypatch, capsys, pytestconfig):
  folder = pytestconfig.rootpath / "results" / "claims"
  monkeypatch.setattr(sys, "argv", ["claims", str(folder)])
  claims.main()
  page = (folder / "claims.md").read_text("utf-8")
  assert page == capsys.readouterr().out
  rows = {line.split(" | ")[0] for line in page.splitlines() if "|" in line}
  assert {f"| {row}" for row, *_ in claims.PAIRS} <= rows


DIFFERENCE = re.compile(r"([+-][\d.]+) \(([+-][\d.]+) to ([+-][\d.]+)\)")
OF_GANS = ("waveform GAN hurts", "feature GAN helps")


def test_what_a_verdict_says_stands_in_the_tables(pytestconfig):
  root = pytestconfig.rootpath
  rows = [
    line[2:-2].split(" | ")
    for folder in ("docs", "results/claims")
    for line in (root / folder / "claims.md").read_text("utf-8").splitlines()
    if line.startswith("| ")
  ]
  verdicts = [row for row in rows if row[0].startswith("**")]
  claimed = {claim for claim, *_ in claims.PAIRS}
  pairs = [row for row in rows if row[0] in claimed]
  measured = {(row[5], *row[6].split(" to ")) for row in pairs}
  about_gans = (root / "docs" / "gan.md").read_text("utf-8")
  assert len(verdicts) == 17
  for claim, verdict, _, differences in verdicts:
    name = claim.split("**")[1]
    for found in DIFFERENCE.finditer(differences):
      if name in OF_GANS:
        assert f"{found[2]} to {found[3]}" in about_gans, (name, found[0])
      else:
        assert found.groups() in measured, (name, found[0])
    stored = {row[8] for row in pairs if row[0] == name}
    for word in ("supported", "contradicted"):
      assert word in stored or f"**{word}" not in verdict, (name, word)
      assert stored != {word} or f"**{word}" in verdict, (name, word)


def fold(number, right, tracks=6):
  """One fold's predictions; `right`: [tracks] which, or the first so many."""
  label = np.arange(tracks) % 2
  right = np.arange(tracks) < right if np.isscalar(right) else right
  return Predictions(
    track=[f"{GENRES[x]}.{number}{i:04d}" for i, x in enumerate(label)],
    segment=[-1] * tracks,
    label=label,
    probabilities=np.eye(2)[np.where(right, label, 1 - label)],
    genres=GENRES,
  )


def test_recall_by_genre_is_scikit_learns(monkeypatch):
  """Of two networks; where each track is an artist the interval is scipy's."""
  monkeypatch.setattr(claims, "NETWORKS", ("one", "other", "not run"))
  rng = np.random.default_rng(0)
  tables = {
    name: [fold(i, rng.random(90) < share, 90) for i in range(3)]
    for name, share in (("one", 0.9), ("other", 0.6))
  }
  rows = [line[2:-2].split(" | ") for line in claims.genre_table(tables)[2:]]
  assert {row[0] for row in rows} == {*GENRES}
  pooled = list(map(crossval.pool, tables.values()))
  recalls = [
    100 * sklearn.metrics.recall_score(x.label, x.predicted, average=None)
    for x in pooled
  ]
  for genre, artists, mean, interval, lowest, highest in rows:
    g = GENRES.index(genre)
    of = pooled[0].label == g
    assert int(artists) == of.sum()
    recall = [of_network[g] for of_network in recalls]
    shown = [float(x) for x in (mean, lowest, highest)]
    wanted = [np.mean(recall), min(recall), max(recall)]
    assert shown == pytest.approx(wanted, abs=0.051)
    right = np.mean([x.correct[of] for x in pooled], axis=0)
    wanted = scipy.stats.bootstrap(
      (right,), np.mean, n_resamples=20_000, method="percentile", rng=0
    ).confidence_interval
    bounds = [float(x) / 100 for x in interval.split(" to ")]
    assert bounds == pytest.approx(wanted, abs=0.01)


def test_a_spread_is_that_of_numpy():
  values = [0.5, 0.61, 0.672]
  mean, deviation = np.mean(values), np.std(values, ddof=1)
  assert claims.spread(values) == f"{100 * mean:.1f} ± {100 * deviation:.1f}"
  assert claims.spread(iter(values), ".2f") == f"{mean:.2f} ± {deviation:.2f}"
  assert claims.spread([0.5]) == "50.0 (n=1)"


@pytest.mark.parametrize(
  ("low", "high", "verdict"),
  [
    (0.01, 0.2, "supported"),
    (0.009, 0.2, "inconclusive"),
    (-0.2, 0.2, "inconclusive"),
    (-0.2, -0.009, "inconclusive"),
    (-0.2, -0.01, "contradicted"),
  ],
)
def test_a_verdict_leaves_a_margin(low, high, verdict):
  assert claims.verdict([low, high]) == verdict


def test_folds_are_compared_together_and_seeds_on_the_same_tracks():
  better, worse = [fold(0, 6), fold(1, 3)], [fold(0, 3), fold(1, 3)]
  # of other lists of tracks what they have in common
  fewer = [better[0].select(np.arange(6) > 0), better[1]]
  for a, b, n, difference in (
    (better, worse, 12, 0.25),
    ([fold(0, 6), fold(0, 3)], [fold(0, 3), fold(0, 3)], 6, 0.25),
    (fewer, worse, 11, 3 / 11),
    (worse[:1], worse[:1], 6, 0),  # one run each
  ):
    found = claims.paired(a, b)
    assert (found["n"], found["difference"]) == (n, pytest.approx(difference))


def test_each_slice_is_compared_with_the_answer_to_its_track():
  """Five right slices of six, against one right track of three."""
  whole = fold(0, 1, tracks=3)
  twice = np.repeat(np.arange(3), 2)
  right = np.array([1, 0, 1, 1, 1, 1], bool)
  label = whole.label[twice]
  answers = np.eye(2)[np.where(right, label, 1 - label)]
  slices = Predictions(
    whole.track[twice], np.tile(np.arange(2), 3), label, answers, GENRES
  )
  for step in (1, -1):
    found = claims.paired(
      [slices.select(np.arange(6)[::step])],
      [whole.select(np.arange(3)[::step])],
    )
    assert found["n"] == 3
    assert found["difference"] == pytest.approx(5 / 6 - 1 / 3)


def test_no_run_is_one_line(monkeypatch, tmp_path, capsys):
  monkeypatch.setattr(sys, "argv", ["claims", str(tmp_path)])
  with pytest.raises(SystemExit) as stopped:
    claims.main()
  assert stopped.value.code == 2
  assert "holds no run that has ended" in capsys.readouterr().err
