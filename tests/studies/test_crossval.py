"""Cross-validation: what is pooled, how folds differ, what is refused."""

import collections
import dataclasses
import json
import os
import re
import shutil
import signal
import types

import numpy as np
import pytest
import stored
from sklearn import metrics as theirs

from gtzan_jax.cli.main import main
from gtzan_jax.errors import InputError
from gtzan_jax.reports import report
from gtzan_jax.scores import predictions
from gtzan_jax.studies.crossval import measure as crossval
from gtzan_jax.studies.crossval import page as crossval_page
from gtzan_jax.studies.crossval import run as crossval_runs
from gtzan_jax.studies.sweep import process
from gtzan_jax.studies.verify import run as verify
from gtzan_jax.training import find_recipe
from tfds_gtzan.corpora.types import Row
from tfds_gtzan.protocols.table import apply

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
    true = np.concatenate([x.by_track().label for x in tables[seed]])
    said = np.concatenate([x.by_track().probabilities for x in tables[seed]])
    track, guess = one["track"], said.argmax(1)
    right.append(guess == true)
    assert track["n"] == len(true) == 24
    assert track["accuracy"] == theirs.accuracy_score(true, guess)
    assert track["macro_f1"] == pytest.approx(
      theirs.f1_score(true, guess, average="macro")
    )
    assert track["confusion"] == theirs.confusion_matrix(true, guess).tolist()
    assert track["loss"] == pytest.approx(
      theirs.log_loss(true, said / said.sum(1, keepdims=True)), abs=1e-6
    )
    rows = np.concatenate([x.predicted == x.label for x in tables[seed]])
    assert one["segment"]["accuracy"] == rows.mean()
    # Four artists, who stand in every fold, are drawn as a whole.
    assert (one["n"], one["clusters"]) == (24, 4)
  accuracy = found["accuracy"]["track"]
  assert accuracy["accuracy"] == pytest.approx(np.mean(right))
  assert accuracy["deviation"] == pytest.approx(
    np.std(np.mean(right, 1), ddof=1)
  )
  ends = np.cumsum(SIZES)[:-1]
  of_fold = [x.mean() for x in np.split(np.mean(right, 0), ends)]
  assert [x["track"]["accuracy"] for x in found["folds"]] == pytest.approx(
    of_fold
  )
  assert found["spread"]["track"] == pytest.approx(
    {
      **{"mean": np.mean(of_fold), "deviation": np.std(of_fold, ddof=1)},
      **{"lowest": min(of_fold), "highest": max(of_fold)},
    }
  )
  assert [one["artists"] for one in found["folds"]] == [4, 4, 4]
  assert [one["genres"]["jazz"] for one in found["folds"]] == [3, 2, 3]


def test_balance_says_where_folds_are_unlike_each_other():
  def table(labels, artists, first):
    names = [f"t{first + i}" for i in range(len(labels))]
    said = np.eye(3)[labels]
    segments = [0] * len(names)
    return predictions.Predictions(
      names, segments, labels, said, stored.GENRES, artists
    )

  found = crossval.balance(
    [
      table([0, 1, 2], ["a", "b; f", ""], 0),
      table([0, 1, 2, 2, 2], ["c", "a; e", "", "d", "e; f"], 3),
    ]
  )
  assert found == {
    **{"smallest": 3 / 8, "largest": 5 / 8},
    "genre": {"fold": 0, "genre": "rock", "share": 1 / 3, "corpus": 0.5},
    "crossing": {"artists": 2, "tracks": 4, "unknown": 2},
  }


@pytest.mark.parametrize(
  ("damage", "words"),
  [
    ("fold", r"fold1: fold 2, seed 0 received; fold 1, seed 0 is"),
    ("corpus", "fold2: data_fingerprint 'other' received, '4e1fa8c2' as in"),
    ("tracks", r"fold2: its predictions are not of the tracks that fold 2"),
    ("segments", r"fold1: its predictions are not of the tracks that fold 1"),
    ("genres", r"fold1: its predictions are not of the tracks that fold 1"),
    ("twice", r"15 of 15 tracks are tested, blues.00000 2 times; every track"),
    ("one fewer", "24 of 25 tracks are tested, .* 1 times"),
    ("no report", r"fold0 holds no report.json"),
    (
      "plan",
      r"folds.json is damaged: folds\[0\].train: absent; the same launch",
    ),
    ("seeds", r"folds.json is damaged: seeds: int, list wanted"),
    ("no folds", r"folds.json is damaged: no seed or no fold"),
    ("no plan", r"folds.json cannot be read: No such file"),
  ],
)
def test_runs_that_are_not_these_folds_are_refused(tmp_path, damage, words):
  plan, tables = folds_of(tmp_path, seeds=(0,))
  file = tmp_path / "folds.json"
  fold = [tmp_path / "runs" / f"fold{i}" for i in range(3)]
  if damage == "fold":
    shutil.rmtree(fold[1])
    shutil.copytree(fold[2], fold[1])
  elif damage == "corpus":
    path = fold[2] / "report.json"
    path.write_text(path.read_text().replace("4e1fa8c2", "other"))
  elif damage == "tracks":
    tables[0][0].save(fold[2] / "predictions" / "test.npz")
  elif damage == "segments":
    halved = tables[0][1].by_track()
    halved.save(fold[1] / "predictions" / "test.npz")
  elif damage == "genres":
    other = dataclasses.replace(tables[0][1], genres=("a", "b", "c"))
    other.save(fold[1] / "predictions" / "test.npz")
  elif damage == "twice":
    tables[0][0].save(fold[2] / "predictions" / "test.npz")
    plan["folds"][2] = plan["folds"][0]
    file.write_text(json.dumps(plan | {"tracks": 15}))
  elif damage == "one fewer":
    file.write_text(json.dumps(plan | {"tracks": 25}))
  elif damage == "no report":
    (fold[0] / "report.json").unlink()
  elif damage == "plan":
    file.write_text(json.dumps(plan | {"folds": [{}]}))
  elif damage == "seeds":
    file.write_text(json.dumps(plan | {"seeds": 3}))
  elif damage == "no folds":
    file.write_text(json.dumps(plan | {"folds": []}))
  else:
    file.unlink()
  with pytest.raises(InputError, match=words) as caught:
    crossval.again(tmp_path)
  assert "\n" not in str(caught.value)


# The verb, on the synthetic corpus.


@pytest.fixture
def started(monkeypatch, undrawn):
  """Runs in this process, without their pictures: the names of their folders.

  A fold named in `fail` ends with status 1 in place of running, and before one
  named in `stop` comes a SIGTERM.
  """
  names = types.SimpleNamespace(ran=[], fail=set(), stop=set())

  def run(command, log, stop, keep_open):
    name = command[-1].rsplit("/", 1)[1]
    names.ran.append(name)
    log.touch()
    if name in names.stop:
      # not SIGINT, which is ignored in the background of a script
      os.kill(os.getpid(), signal.SIGTERM)
      return 128 + signal.SIGTERM, ""
    if name in names.fail:
      return 1, "error: no luck\n"
    return main(command[1:]), ""

  monkeypatch.setattr(process, "run", run)
  return names


def validate(data_dir, out, *others, protocol="artist_kfold") -> int:
  keys = {"dir": data_dir, "features": "mfcc_slices", "tracks_per_genre": 4}
  keys |= {"protocol": protocol} if protocol else {}
  return main(
    [
      *("launch.py", "crossval"),
      f"--config={find_recipe.HOME}/logreg_stats.py",
      *(f"--config.data.{key}={value}" for key, value in keys.items()),
      *("--config.eval.bootstrap=10", "--config.log.tensorboard=False"),
      *(f"--workdir={out}", *others),
    ]
  )


@pytest.mark.slow
def test_all_folds_in_one_command_that_goes_on_after_a_failure(
  data_dir, tmp_path, started, capsys
):
  out, file = tmp_path / "w", tmp_path / "w" / "crossval.json"
  started.fail, started.stop = {"fold1"}, {"fold2"}
  assert validate(data_dir, out) == 143
  assert started.ran == ["fold0", "fold1", "fold2"]
  started.stop = set()
  assert validate(data_dir, out) == 1
  assert started.ran[3:] == ["fold2"]
  assert "fold1: no luck" in capsys.readouterr().err
  assert not file.exists()
  started.fail = set()
  assert validate(data_dir, out, "--retry") == 0
  assert started.ran[4:] == ["fold1"]
  _check_folds(out, json.loads(file.read_text()))
  assert (out / "crossval.md").read_text() in capsys.readouterr().out
  assert not verify.verify([out]).wrong
  # More seeds are added, and none of it is left where fewer are asked for.
  started.fail = {"fold0-seed1", "fold1-seed1", "fold2-seed1"}
  assert validate(data_dir, out, "--seeds=2") == 1
  assert started.ran[5:] == ["fold0-seed1", "fold1-seed1", "fold2-seed1"]
  (out / "predictions" / "pooled-seed1.npz").touch()
  text = file.read_text()
  assert validate(data_dir, out) == 0
  assert file.read_text() == text
  assert not (out / "predictions" / "pooled-seed1.npz").exists()
  # What the folds said is what is pooled.
  pooled = out / "predictions" / "pooled.npz"
  table = predictions.load(pooled)
  flat = np.full_like(table.probabilities, 0.1)
  dataclasses.replace(table, probabilities=flat).save(pooled)
  (wrong, _) = verify.verify([out]).wrong
  assert "pooled.npz: another probabilities than the folds'" in wrong


def _check_folds(out, found):
  """Every number is of the runs' own reports, every track is there once."""
  right = 0
  for fold, one in enumerate(found["folds"]):
    split = report.read(out / "runs" / f"fold{fold}" / "report.json")["splits"]
    assert one["track"]["accuracy"] == split["test"]["track"]["accuracy"]
    assert one["segment"]["accuracy"] == split["test"]["segment"]["accuracy"]
    assert {part: one[part]["tracks"] for part in split} == {
      part: split[part]["n"] for part in split
    }
    right += round(one["track"]["accuracy"] * one["test"]["tracks"])
    assert sum(one["genres"].values()) == one["test"]["tracks"]
    assert min(one["genres"].values()) > 0
  table = predictions.load(out / "predictions" / "pooled.npz")
  assert len(set(table.track)) == found["pooled"][0]["n"] == 40
  assert found["accuracy"]["track"]["accuracy"] == pytest.approx(right / 40)
  assert found["balance"]["crossing"] == dict.fromkeys(
    ("artists", "tracks", "unknown"), 0
  )


@pytest.mark.parametrize(
  ("others", "protocol", "words"),
  [
    ([], "", "protocol 'tracks_70_10_20' has no folds: give --config.data.pr"),
    ([], "kfold", "'kfold' has no folds: give .*=kfold10 or artist_kfold"),
    (
      [],
      "kfold10",
      "fold 0 of protocol 'kfold10' has no .* in its .* split: l",
    ),
    (["--config.data.fold=0"], "kfold10", "fold=0: leave it out; every fold"),
    (["--config.seed=3"], "kfold10", "seed=3: leave it out; .* number --seeds"),
    (["--config.data.leak=clean"], "kfold10", "leak=clean: leave it out; arms"),
    (
      ["--config.task=gan", "--config.train.monitor=validation/coverage"],
      "kfold10",
      "which does not classify",
    ),
    (["--seeds=0"], "kfold10", "--seeds=0: give a whole number from 1"),
  ],
)
def test_mistakes_are_one_line_and_start_nothing(
  data_dir, tmp_path, started, capsys, others, protocol, words
):
  assert validate(data_dir, tmp_path / "w", *others, protocol=protocol) == 2
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
