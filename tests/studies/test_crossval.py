"""Cross-validation: what is pooled, how folds differ, what is refused."""

import collections
import dataclasses
import json
import re
import shutil
import types

import numpy as np
import pytest
import sklearn.metrics
import stored

from gtzan_jax.errors import InputError
from gtzan_jax.reports import report
from gtzan_jax.scores import predictions
from gtzan_jax.studies.crossval import measure as crossval
from gtzan_jax.studies.crossval import page as crossval_page
from gtzan_jax.studies.crossval import run as crossval_runs
from gtzan_jax.studies.verify import run as verify
from tfds_gtzan.corpora.types import Row
from tfds_gtzan.protocols.protocol_table import apply

SIZES = (9, 6, 9)


def folds_of(folder, seeds=(0, 1), **changed):
  """W with finished runs of three folds; its plan, its tables by seed."""
  plan = {"seeds": list(seeds), "tracks": sum(SIZES), "folds": []}
  tables = {seed: [] for seed in seeds}
  for fold, size in enumerate(SIZES):
    for seed in seeds:
      table = stored.made(size, 2, 10 * fold + seed, 10 * fold, artists=4)
      tables[seed].append(table)
      stored.run(
        folder / "runs" / crossval.run_name(fold, seed),
        {"test": table},
        **{"seed": seed, "protocol": "kfold10"},
        config={"data": {"fold": fold}, "eval": {"bootstrap": 10}},
        **changed,
      )
    part = {"tracks": size, "segments": 2 * size}
    plan["folds"].append(
      {
        **dict.fromkeys(report.SPLITS, part),
        "sha256": predictions.digest(table.track.tolist()),
      }
    )
  (folder / "folds.json").write_text(json.dumps(plan))
  return plan, tables


# The numbers.


def test_pooled_numbers_are_scikit_learns_on_all_tracks(tmp_path):
  plan, tables = folds_of(tmp_path)
  found = crossval.measure(crossval.collect(tmp_path, plan))
  assert found["seeds"] == [one["seed"] for one in found["pooled"]] == [0, 1]
  right = []
  for seed, one in zip((0, 1), found["pooled"], strict=True):
    of_tracks = [table.by_track() for table in tables[seed]]
    true, predicted = (
      np.concatenate([getattr(x, name) for x in of_tracks])
      for name in ("label", "predicted")
    )
    right.append(predicted == true)
    track = one["track"]
    assert track["n"] == len(true) == 24
    assert track["accuracy"] == right[-1].mean()
    f1 = sklearn.metrics.f1_score(true, predicted, average="macro")
    assert track["macro_f1"] == pytest.approx(f1)
    rows = np.concatenate([x.correct for x in tables[seed]])
    assert one["segment"]["accuracy"] == rows.mean()
    # Four artists, who stand in every fold, are drawn as a whole.
    assert (one["n"], one["clusters"]) == (24, 4)
  accuracy = found["accuracy"]["track"]
  assert accuracy["accuracy"] == pytest.approx(np.mean(right))
  deviation = np.std(np.mean(right, 1), ddof=1)
  assert accuracy["deviation"] == pytest.approx(deviation)
  parts = np.split(np.mean(right, 0), np.cumsum(SIZES)[:-1])
  of_fold = [x.mean() for x in parts]
  folds = found["folds"]
  assert [x["track"]["accuracy"] for x in folds] == pytest.approx(of_fold)
  assert found["spread"]["track"] == pytest.approx(
    {
      **{"mean": np.mean(of_fold), "deviation": np.std(of_fold, ddof=1)},
      **{"lowest": min(of_fold), "highest": max(of_fold)},
    }
  )
  assert [one["artists"] for one in folds] == [4, 4, 4]
  assert [one["genres"]["jazz"] for one in folds] == [3, 2, 3]


def test_balance_says_where_folds_are_unlike_each_other():
  folds = [
    {"t0": (0, "a"), "t1": (1, "b; f"), "t2": (2, "")},
    {
      **{"t3": (0, "c"), "t4": (1, "a; e"), "t5": (2, "")},
      **{"t6": (2, "d"), "t7": (2, "e; f")},
    },
  ]
  tables = []
  for fold in folds:
    labels, artists = zip(*fold.values(), strict=True)
    rows = list(fold), [0] * len(fold), labels, np.eye(3)[[*labels]]
    tables.append(predictions.Predictions(*rows, stored.GENRES, artists))
  found = crossval.balance(tables)
  assert found == {
    **{"smallest": 3 / 8, "largest": 5 / 8},
    "genre": {"fold": 0, "genre": "rock", "share": 1 / 3, "corpus": 0.5},
    "crossing": {"artists": 2, "tracks": 4, "unknown": 2},
  }


def put(w, fold, table):
  table.save(w / "runs" / f"fold{fold}" / "predictions" / "test.npz")


def replan(w, plan, **changes):
  (w / "folds.json").write_text(json.dumps(plan | changes))


def other_fold(w, plan, tables):
  shutil.copytree(w / "runs/fold2", w / "runs/fold1", dirs_exist_ok=True)


def other_corpus(w, plan, tables):
  path = w / "runs" / "fold2" / "report.json"
  path.write_text(path.read_text().replace("4e1fa8c2", "other"))


def other_genres(w, plan, tables):
  put(w, 1, dataclasses.replace(tables[1], genres=tuple("abc")))


def twice(w, plan, tables):
  put(w, 2, tables[0])
  replan(w, plan, folds=[*plan["folds"][:2], plan["folds"][0]], tracks=15)


OF_OTHERS = "fold{0}: its predictions are not of the tracks that fold {0}"
NO_PART = r"damaged: folds\[0\].train: absent; the same launch"


@pytest.mark.parametrize(
  ("damage", "words"),
  [
    (other_fold, r"fold1: fold 2, seed 0 received; fold 1, seed 0 is"),
    (other_corpus, "fold2: data_fingerprint 'other' received, '4e1fa8c2' as"),
    (other_genres, OF_OTHERS.format(1)),
    (lambda w, _, tables: put(w, 2, tables[0]), OF_OTHERS.format(2)),
    (lambda w, _, tables: put(w, 1, tables[1].by_track()), OF_OTHERS.format(1)),
    (twice, "15 of 15 tracks are tested, blues.00000 2 times; every track"),
    (
      lambda w, plan, _: replan(w, plan, tracks=25),
      "24 of 25 tracks are tested, .* 1 times",
    ),
    (
      lambda w, *_: (w / "runs" / "fold0" / "report.json").unlink(),
      "fold0 holds no report.json",
    ),
    (lambda w, plan, _: replan(w, plan, folds=[{}]), NO_PART),
    (lambda w, plan, _: replan(w, plan, seeds=3), "seeds: int, list wanted"),
    (lambda w, plan, _: replan(w, plan, folds=[]), "no seed or no fold"),
    (lambda w, *_: (w / "folds.json").unlink(), "json cannot be read: No such"),
  ],
)
def test_runs_that_are_not_these_folds_are_refused(tmp_path, damage, words):
  plan, tables = folds_of(tmp_path, seeds=(0,))
  damage(tmp_path, plan, tables[0])
  with pytest.raises(InputError, match=words) as caught:
    crossval.again(tmp_path)
  assert "\n" not in str(caught.value)


# The verb, on the synthetic corpus.


@pytest.fixture
def validate(study):
  def call(out, *others, protocol="artist_kfold") -> int:
    data = {"protocol": protocol} if protocol else {}
    return study("crossval", "logreg_stats", out, *others, **data)

  return call


@pytest.mark.slow
def test_all_folds_in_one_command_that_goes_on_after_a_failure(
  validate, tmp_path, started, capsys
):
  out, file = tmp_path / "w", tmp_path / "w" / "crossval.json"
  started.fail, started.stop = {"fold1"}, {"fold2"}
  assert validate(out) == 143
  assert started.ran == ["fold0", "fold1", "fold2"]
  started.stop = set()
  assert validate(out) == 1
  assert started.ran[3:] == ["fold2"]
  assert "fold1: no luck" in capsys.readouterr().err
  assert not file.exists()
  started.fail = set()
  assert validate(out, "--retry") == 0
  assert started.ran[4:] == ["fold1"]
  found = json.loads(file.read_text())
  for fold, one in enumerate(found["folds"]):
    splits = report.read(out / "runs" / f"fold{fold}" / "report.json")["splits"]
    for level in ("track", "segment"):
      accuracy = splits["test"][level]["accuracy"]
      assert one[level]["accuracy"] == accuracy
    for part, split in splits.items():
      assert one[part]["tracks"] == split["n"]
    assert min(one["genres"].values()) > 0
  table = predictions.load(out / "predictions" / "pooled.npz")
  assert len(set(table.track)) == found["pooled"][0]["n"] == 40
  assert set(found["balance"]["crossing"].values()) == {0}
  assert (out / "crossval.md").read_text() in capsys.readouterr().out
  assert not verify.verify([out]).wrong
  # More seeds are added, and none of it is left where fewer are asked for.
  started.fail = {"fold0-seed1", "fold1-seed1", "fold2-seed1"}
  assert validate(out, "--seeds=2") == 1
  assert started.ran[5:] == ["fold0-seed1", "fold1-seed1", "fold2-seed1"]
  (out / "predictions" / "pooled-seed1.npz").touch()
  text = file.read_text()
  assert validate(out) == 0
  assert file.read_text() == text
  assert not (out / "predictions" / "pooled-seed1.npz").exists()
  # What the folds said is what is pooled.
  pooled = out / "predictions" / "pooled.npz"
  table = predictions.load(pooled)
  flat = np.full_like(table.probabilities, 0.1)
  dataclasses.replace(table, probabilities=flat).save(pooled)
  (wrong, _) = verify.verify([out]).wrong
  assert "pooled.npz: another probabilities than the folds'" in wrong


@pytest.mark.parametrize(
  ("others", "protocol", "words"),
  [
    ([], "", "protocol 'tracks_70_10_20' has no folds: give --config.data.pr"),
    ([], "kfold", "'kfold' has no folds: give .*=kfold10 or artist_kfold"),
    ([], "kfold10", "0 of protocol 'kfold10' has no .* in its .* split: l"),
    (["--config.data.fold=0"], "kfold10", "fold=0: leave it out; every fold"),
    (["--config.seed=3"], "kfold10", "seed=3: leave it out; .* number --seeds"),
    (["--config.data.leak=clean"], "kfold10", "leak=clean: leave it out; arms"),
    (["--seeds=0"], "kfold10", "--seeds=0: give a whole number from 1"),
  ],
)
def test_mistakes_are_one_line_and_start_nothing(
  validate, tmp_path, started, capsys, others, protocol, words
):
  assert validate(tmp_path / "w", *others, protocol=protocol) == 2
  line = capsys.readouterr().err
  assert re.search(words, line)
  assert line.count("\n") == 1
  assert not started.ran
  assert not (tmp_path / "w").exists()


# The plan.

ROWS = [
  Row(f"{genre}.{i}", genre, f"{genre} {i % 6}", "unlisted", 2)
  for genre in stored.GENRES
  for i in range(12)
]


@pytest.mark.parametrize("part", report.SPLITS)
def test_a_genre_that_a_fold_lacks_is_named_with_the_fold(part):
  data = types.SimpleNamespace(protocol="artist_kfold", genres=())

  def cut(fold):
    whole = apply("artist_kfold", ROWS, fold=fold)
    without = [one for one in whole.parts[part] if not one[0].startswith("jaz")]
    parts = {**whole.parts, part: without} if fold == 2 else whole.parts
    return dataclasses.replace(whole, parts=parts)

  with pytest.raises(InputError) as caught:
    crossval_runs.plan(data, cut, ROWS, 3)
  assert str(caught.value).startswith(
    f"fold 2 of protocol 'artist_kfold' has no jazz in its {part} split: leave"
    " the genre out (--config.data.genres), or take another protocol"
  )
  data.genres = ("blues", "rock")
  found = crossval_runs.plan(data, cut, ROWS, 3)
  assert found["tracks"] == 24


def test_a_plan_counts_what_each_fold_has():
  data = types.SimpleNamespace(protocol="artist_kfold", genres=())
  cuts = [apply("artist_kfold", ROWS, fold=fold) for fold in range(3)]
  found = crossval_runs.plan(data, lambda fold: cuts[fold], ROWS, 3)
  assert found["tracks"] == 36
  tested = collections.Counter()
  for one, cut in zip(found["folds"], cuts, strict=True):
    assert one["validation"]["segments"] == len(cut.parts["validation"])
    assert one["train"] == {"tracks": 12, "segments": 24}
    assert one["sha256"] == predictions.digest(t for t, _ in cut.parts["test"])
    tested.update({track for track, _ in cut.parts["test"]})
  assert set(tested.values()) == {1}


# The page.


def test_the_page_and_the_picture_say_it_fold_by_fold(tmp_path):
  plan, _ = folds_of(tmp_path, seeds=(0,), leak="It leaks.")
  found = crossval.measure(crossval.collect(tmp_path, plan))
  text = crossval_page.document(found).markdown()
  level = found["folds"][1]["track"]
  assert f"| {100 * level['accuracy']:.1f} (n=1) [" in text
  assert "**Leaks**: It leaks." in text
  assert "4 artists, who have 24 tracks, are in several folds" in text
  assert "A fold tests 25.0 to 37.5 % of the tracks." in text
  assert "| 1    | 2     | 2    | 2    |" in text
  left, right = crossval_page.picture(found).axes
  named = [label.get_text() for label in left.get_yticklabels()]
  assert named == ["fold 0", "fold 1", "fold 2", "pooled"]
  assert [one.get_text() for one in right.texts] == list("333222333")
