"""All folds of a cross-validation as one line of a leaderboard."""

import pytest
from stored import FACTS, made, run

from gtzan_jax.reports import leaderboard, leaderboard_page, stored_runs
from gtzan_jax.scores import metrics
from gtzan_jax.studies.crossval import measure as crossval
from tfds_gtzan.protocols.protocol_table import PROTOCOLS

SIZES = (9, 6, 12)  # tracks of each fold


def predicted(fold, seed=0):
  return made(SIZES[fold], seed=10 * seed + fold, first=100 * fold, artists=2)


def crossvalidated(folder, seed=0, **changes):
  """The run folders of three folds of one recipe."""
  data = {"fold": 0, "path": "/music", "protocol": "artist_kfold"}
  return [
    run(
      folder / f"fold{i}-seed{seed}",
      {"test": predicted(i, seed)},
      **{
        **{"protocol": "artist_kfold", "tracks": sum(SIZES), "seed": seed},
        "config": FACTS["config"] | {"data": data | {"fold": i}, "seed": seed},
        "seconds": 10.0 * (i + 1),
        "commit": "abc"[i] * 40,
        **changes,
      },
    )
    for i in range(3)
  ]


def tables(*runs):
  return leaderboard.build(map(stored_runs.read, runs))


def test_pooled_numbers_are_those_of_the_pooled_predictions(tmp_path):
  folds = crossvalidated(tmp_path)
  (table,) = tables(*folds)
  (row,) = table["rows"]
  wanted = metrics.evaluate(crossval.pool([predicted(i) for i in range(3)]))
  assert (table["fold"], table["n"]) == ("all folds", sum(SIZES))
  assert row["track"].mean == pytest.approx(wanted["track"]["accuracy"])
  assert row["macro_f1"].mean == pytest.approx(wanted["track"]["macro_f1"])
  assert row["segment"].mean == pytest.approx(wanted["segment"]["accuracy"])
  assert (row["seconds"], row["seeds"]) == (60.0, [0])
  assert row["commits"] == ["a" * 8, "b" * 8, "c" * 8]
  (table,) = tables(*folds, *crossvalidated(tmp_path, seed=1))
  (row,) = table["rows"]
  assert row["seeds"] == [0, 1]
  assert row["track"].deviation is not None


def test_what_is_left_of_a_cross_validation_is_called_a_fold(tmp_path):
  first, *some = crossvalidated(tmp_path / "one")
  assert [table["fold"] for table in tables(*some)] == ["fold 1", "fold 2"]
  other = run(tmp_path / "filtered", {"test": made(3)})
  board = leaderboard_page.write([*some, other], tmp_path / "out")
  text = board.with_suffix(".md").read_text()
  assert "protocol artist_kfold, fold 1: test split, 6 tracks" in text
  # a single fold has more tracks, and yet does not stand for the recipe
  assert "`filtered`, test, 3 tracks" in text
  (line,) = leaderboard_page.overview(tables(*some, other))
  assert line["honest"]["table"]["protocol"] == "filtered"
  alone = leaderboard_page.overview(tables(*some))
  assert alone[0]["honest"]["table"]["fold"] == "fold 2"
  # Folds of other experiments are not pooled.
  others = crossvalidated(tmp_path / "other", data_fingerprint="other")
  folds = [table["fold"] for table in tables(first, some[0], others[2])]
  assert sorted(folds) == ["fold 0", "fold 1", "fold 2"]


def test_protocols_with_folds_are_known_by_their_names():
  for name, protocol in PROTOCOLS.items():
    assert ("kfold" in name) == (protocol.folds > 1), name
