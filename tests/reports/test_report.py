"""report.json against its schema, and what is written beside it."""

import copy
import json
import re
import types

import numpy as np
import pytest
import stored
from pages import GENRES, RUN, built

from gtzan_jax.errors import InputError
from gtzan_jax.reports import page, report
from gtzan_jax.reports import schema as report_schema
from gtzan_jax.scores.predictions import Predictions, load
from gtzan_jax.training import evaluate


def test_the_report_has_every_promised_key():
  got, _ = built(tracks={"train": 443})
  promised = {*RUN, *report_schema.COMPUTED, "history"}
  assert promised == set(got)
  for level in ("segment", "track", "track_majority"):
    assert set(got["splits"]["test"][level]) == {
      *("n", "accuracy", "ci95", "top3", "loss", "ece"),
      *("per_genre", "confusion"),
      *("macro_precision", "macro_recall", "macro_f1", "weighted_f1"),
    }
  assert list(got["splits"]) == ["train", "validation", "test"]
  assert got["splits"]["train"]["n"] == 443
  assert got["splits"]["train"]["track"] == {"n": 0}
  assert got["splits"]["test"]["n"] == 40
  assert got["splits"]["test"]["segment"]["n"] == 120
  assert got["splits"]["test"]["clusters"] == 40
  assert got["splits"]["train"]["clusters"] == 0
  assert got["genres"] == list(GENRES)
  assert not list(report_schema.violations(got))


def test_the_report_is_plain_json():
  got, _ = built()
  assert json.loads(json.dumps(got, allow_nan=False)) == got
  assert got["config"]["model"]["sizes"] == [16, 32]
  assert got["history"][0]["validation/track_accuracy"] is None
  assert not any(key.startswith("time/") for key in got["history"][0])


def test_an_absent_part_says_what_is_missing():
  got, _ = built(splits=("validation",), missing={"test": 290})
  test = got["splits"]["test"]
  assert (test["n"], test["missing"]) == (0, 290)
  for level in ("segment", "track", "track_majority"):
    assert test[level] == {"n": 0}
  assert got["headline"] == "validation"


def test_no_rows_are_the_same_as_no_predictions():
  none = Predictions([], [], [], np.zeros((0, 10)), GENRES)
  got = report.build(RUN, {"test": none}, [], {"test": 290}, {})
  absent = report.build(RUN, {}, [], {"test": 290}, {})
  assert got["splits"] == absent["splits"]
  assert got["headline"] is None


@pytest.mark.parametrize(
  ("path", "value", "message"),
  [
    (("recipe",), 3, "recipe: int, str wanted"),
    (("seed",), 1.5, "seed: float, int wanted"),
    (("seed",), True, "seed: bool, int wanted"),
    (("leak",), False, "leak: bool, str wanted"),
    (("skipped", 0), "jazz.00054", r"skipped\[0\]: str, dict wanted"),
    (("skipped",), {}, "skipped: dict, list wanted"),
    (("splits", "test", "n"), "40", "splits.test.n: str, int wanted"),
    (("splits", "test", "extra"), 1, "splits.test.extra: unknown"),
    (("splits", "../test"), {}, "splits.../test: unknown, the name of a file"),
    (
      ("splits", "test", "track", "accuracy"),
      None,
      "splits.test.track.accuracy: NoneType, float wanted",
    ),
    (
      ("splits", "test", "track", "per_genre", "rock", "support"),
      None,
      "per_genre.rock.support: NoneType, int wanted",
    ),
    (("history", 0, "epoch"), None, r"history\[0\].epoch: NoneType"),
  ],
)
def test_the_schema_notices(path, value, message):
  got, _ = built()
  inner = got
  for key in path[:-1]:
    inner = inner[key]
  inner[path[-1]] = value
  (problem,) = report_schema.violations(got)
  assert re.search(message, problem)


@pytest.mark.parametrize(
  "key", [k for k in report_schema.SCHEMA if k is not ... and k in RUN]
)
def test_a_run_without_a_key_is_no_report(key):
  run = copy.deepcopy(RUN)
  del run[key]
  with pytest.raises(ValueError, match=f"{key}: absent"):
    report.build(run, {}, [], {}, {})


def test_what_json_cannot_hold_is_refused():
  with pytest.raises(ValueError, match="no JSON value"):
    report.build({**RUN, "config": {"fn": print}}, {}, [], {}, {})


@pytest.mark.slow
def test_written_twice_the_bytes_are_the_same(tmp_path):
  contents = []
  for name in ("a", "b"):
    got, tables = built(splits=("validation", "test"), tracks={"train": 443})
    report.write(tmp_path / name, got, tables)
    contents.append(
      {
        path.relative_to(tmp_path / name).as_posix(): path.read_bytes()
        for path in (tmp_path / name).rglob("*")
        if path.is_file()
      }
    )
  assert sorted(contents[0]) == [
    "confusion_test.png",
    "confusion_validation.png",
    "learning_curves.png",
    "per_genre_test.png",
    "per_genre_validation.png",
    "predictions/test.npz",
    "predictions/validation.npz",
    "report.html",
    "report.json",
  ]
  assert contents[0] == contents[1]
  assert got["headline"] == "test"
  assert json.loads(contents[0]["report.json"]) == got
  np.testing.assert_array_equal(
    load(tmp_path / "a/predictions/test.npz").probabilities,
    tables["test"].probabilities,
  )


@pytest.mark.slow
def test_a_split_now_empty_leaves_nothing_of_the_old_one(tmp_path):
  (tmp_path / "predictions").mkdir()
  for name in ("predictions/test.npz", "confusion_test.png"):
    (tmp_path / name).write_bytes(b"old")
  report.write(tmp_path, *built(splits=("validation",)))
  assert not list(tmp_path.rglob("*test*"))
  assert (tmp_path / "confusion_validation.png").exists()


def test_report_json_is_written_last(tmp_path, monkeypatch):
  def broken(*_):
    raise RuntimeError("no page")

  monkeypatch.setattr(page, "render", broken)
  with pytest.raises(RuntimeError, match="no page"):
    report.write(tmp_path, *built(splits=("test",)))
  assert not (tmp_path / "report.json").exists()


def test_a_report_has_the_warnings_of_its_data(tmp_path):
  one = {"check": "imbalance", "title": "a", "text": "b"}
  dataset = types.SimpleNamespace(
    metadata={
      **{"fingerprint": "0" * 64, "corpus": "audio", "source": "audio"},
      **{"rows": [], "skipped": []},
    },
    **{"protocol": "filtered", "leak": None, "warnings": (one,)},
    parts={"train": (), "validation": ()},
  )
  run = stored.run_json()
  assert evaluate.facts_of_data(tmp_path, run, dataset)["warnings"] == [one]


EXTERNAL = {
  **{"workdir": "run", "trained_on": "77aa", "kind": "audio", "path": None},
  **{"tracks": 40, "genres": {"Blues": "blues"}, "unmatched": {"ska": 2}},
  **{"absent": [], "learnt": 0, "namesakes": 0},
}


def test_an_external_test_is_checked_as_well():
  for wrong in ({"learnt": "0"}, {"path": 3}, {"more": 1}):
    with pytest.raises(ValueError, match=f"external.{next(iter(wrong))}:"):
      built({"external": EXTERNAL | wrong})
  got, _ = built({"external": EXTERNAL})
  assert report.trained_on(got) == "77aa"
  assert report.trained_on(built()[0]) == RUN["data_fingerprint"]


@pytest.mark.parametrize(
  ("files", "message"),
  [
    ({"other.txt": ""}, "other files, such as other.txt: give"),
    ({"report.json": "{"}, "the report of other runs or of other music: give"),
    # what a killed process leaves
    ({".lock": "", "report.html": "", "confusion_test.png": ""}, None),
  ],
  ids=str,
)
def test_a_report_is_written_over_nothing_else(tmp_path, files, message):
  out = tmp_path / "out"
  report.check_out(out, RUN)
  out.mkdir()
  report.check_out(out, RUN)
  for name, text in files.items():
    (out / name).write_text(text)
  if message is None:
    report.check_out(out, RUN)
  else:
    with pytest.raises(report.errors.InputError, match=message) as caught:
      report.check_out(out, RUN)
    assert str(caught.value).startswith(f"--out={out} contains ")
  with pytest.raises(
    report.errors.InputError, match="is a file: give a folder"
  ):
    report.check_out(out / next(iter(files)), RUN)


def test_a_report_is_written_over_that_of_the_same_runs(tmp_path):
  run = RUN | {"external": EXTERNAL}
  got, _ = built(run, resamples=2)
  (tmp_path / "report.json").write_text(json.dumps(got))
  report.check_out(tmp_path, run | {"seconds": 1.0})
  for other in (
    {"config": {"seed": 9}},
    {"data_fingerprint": "b"},
    {"external": EXTERNAL | {"workdir": "another"}},
  ):
    with pytest.raises(report.errors.InputError, match="of other runs or of"):
      report.check_out(tmp_path, run | other)


@pytest.mark.parametrize("name", ["../secret.png", "/secret.png", "link.png"])
def test_a_picture_of_another_folder_is_not_put_into_the_page(tmp_path, name):
  """explain.json may be a stranger's: what it names lies beside it."""
  path = stored.run(tmp_path / "run", stored.parts(0))
  (tmp_path / "run" / "secret.png").write_bytes(b"secret")
  folder = path / report.EXPLAINED
  folder.mkdir()
  (folder / "link.png").symlink_to(path / "secret.png")
  item = dict.fromkeys(("name", "where", "predicted"), "x") | {"picture": name}
  found = {"best_epoch": 2, "items": [item]}
  (folder / "explain.json").write_text(json.dumps(found))
  with pytest.raises(InputError, match=r"explain\.json.*\.png"):
    report.redraw(path)
  assert not (path / "report.html").exists()


def test_without_any_numbers_the_page_still_stands(tmp_path):
  run = {
    **RUN,
    "best_epoch": None,
    "epochs_run": 0,
    "skipped": [],
    "monitor": {"name": "validation/loss", "value": float("inf")},
  }
  got = report.build(run, {}, [], {"test": 290}, {})
  report.write(tmp_path, got, {})
  assert "No split was scored" in (tmp_path / "report.html").read_text()
