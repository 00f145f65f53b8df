"""report.json against its schema, and what is written beside it."""

import contextlib
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


def test_the_report_has_every_promised_key_as_plain_json():
  got, _ = built(tracks={"train": 443}, missing={"exam": 290})
  assert set(got) == {*RUN, *report_schema.COMPUTED, "history"}
  assert not list(report_schema.violations(got))
  assert got["genres"] == list(GENRES)
  assert got["config"]["model"]["sizes"] == [16, 32]
  assert got["history"][0]["validation/track_accuracy"] is None
  assert not any(key.startswith("time/") for key in got["history"][0])
  assert json.loads(json.dumps(got, allow_nan=False)) == got
  scores = {
    *("n", "accuracy", "ci95", "top3", "loss", "ece"),
    *("per_genre", "confusion"),
    *("macro_precision", "macro_recall", "macro_f1", "weighted_f1"),
  }
  assert list(got["splits"]) == ["train", "validation", "test", "exam"]
  wanted = {"train": (443, 0, 0), "test": (40, 0, 40), "exam": (0, 290, 0)}
  for name, counts in wanted.items():
    split = got["splits"][name]
    assert (split["n"], split["missing"], split["clusters"]) == counts
    for level in ("segment", "track", "track_majority"):
      assert set(split[level]) == (scores if name == "test" else {"n"})
  assert got["splits"]["train"]["track"] == {"n": 0}
  assert got["splits"]["test"]["segment"]["n"] == 120


def test_the_headline_is_of_test_else_of_validation():
  assert built(splits=("validation", "test"))[0]["headline"] == "test"
  assert built(splits=("validation",))[0]["headline"] == "validation"
  none = Predictions([], [], [], np.zeros((0, 10)), GENRES)
  got, absent = (
    report.build(RUN, tables, [], {"test": 290}, {})
    for tables in ({"test": none}, {})
  )
  assert got["splits"] == absent["splits"]
  assert got["headline"] is None


def test_known_artists_are_counted_or_given():
  """Counted where the train predictions are at hand; never of train itself."""
  by = {f"{genre}.{i:05d}": f"by {i % 3}" for i, genre in enumerate(GENRES)}
  table = built()[1]["test"].with_artists(by)
  given = {"test": {"tracks": 1, "of": 4}}
  alone, both = (
    report.build(RUN, tables, [], {}, {}, known_artists=given)["splits"]
    for tables in ({"test": table}, {"train": table, "test": table})
  )
  assert alone["test"]["known_artists"] == given["test"]
  assert both["test"]["known_artists"] == {"tracks": 10, "of": 10}
  assert both["train"]["known_artists"] is None


@pytest.mark.parametrize(
  ("keys", "value", "message"),
  [
    ("recipe", 3, "recipe: int, str wanted"),
    ("seed", 1.5, "seed: float, int wanted"),
    ("seed", True, "seed: bool, int wanted"),
    ("leak", False, "leak: bool, str wanted"),
    ("skipped 0", "jazz.00054", r"skipped\[0\]: str, dict wanted"),
    ("skipped", {}, "skipped: dict, list wanted"),
    ("splits test n", "40", "splits.test.n: str, int wanted"),
    ("splits test extra", 1, "splits.test.extra: unknown"),
    ("splits ../test", {}, "splits.../test: unknown, the name of a file"),
    ("splits test track accuracy", None, "accuracy: NoneType, float wanted"),
    (
      "splits test track per_genre rock support",
      None,
      "per_genre.rock.support: NoneType, int wanted",
    ),
    ("history 0 epoch", None, r"history\[0\].epoch: NoneType"),
  ],
)
def test_the_schema_notices(keys, value, message):
  inner = got = built(resamples=2)[0]
  *path, last = (int(key) if key == "0" else key for key in keys.split())
  for key in path:
    inner = inner[key]
  inner[last] = value
  (problem,) = report_schema.violations(got)
  assert re.search(message, problem)


@pytest.mark.parametrize(
  "key", [k for k in report_schema.SCHEMA if k is not ... and k in RUN]
)
def test_a_run_without_a_key_is_no_report(key):
  run = {name: value for name, value in RUN.items() if name != key}
  with pytest.raises(ValueError, match=f"{key}: absent"):
    report.build(run, {}, [], {}, {})


def test_what_json_cannot_hold_is_refused():
  with pytest.raises(ValueError, match="no JSON value"):
    report.build({**RUN, "config": {"fn": print}}, {}, [], {}, {})


@pytest.mark.slow
def test_written_twice_the_bytes_are_the_same(tmp_path):
  """And a split now empty leaves nothing of the old one."""
  contents = []
  for name in ("a", "b"):
    got, tables = built(splits=("test",), tracks={"train": 443})
    report.write(tmp_path / name, got, tables)
    contents.append(
      {
        path.relative_to(tmp_path / name).as_posix(): path.read_bytes()
        for path in (tmp_path / name).rglob("*")
        if path.is_file()
      }
    )
  assert contents[0] == contents[1]
  assert sorted(contents[0]) == [
    *("confusion_test.png", "learning_curves.png", "per_genre_test.png"),
    *("predictions/test.npz", "report.html", "report.json"),
  ]
  assert json.loads(contents[0]["report.json"]) == got
  np.testing.assert_array_equal(
    load(tmp_path / "a/predictions/test.npz").probabilities,
    tables["test"].probabilities,
  )
  report.write(tmp_path / "a", *built(splits=("validation",)))
  assert not list((tmp_path / "a").rglob("*test*"))
  assert (tmp_path / "a" / "confusion_validation.png").exists()


@pytest.mark.slow
def test_pictures_drawn_before_the_report_is_whole_are_the_same(tmp_path):
  got, tables = built(splits=("validation", "test"))
  report.write(tmp_path / "a", got, tables)
  pictures = report.Pictures()
  part = {name: got[name] for name in ("history", "best_epoch", "genres")}
  for splits in (
    {},
    {"validation": {"track": got["splits"]["validation"]["track"]}},
  ):
    pictures.draw(part | {"splits": splits})
  before = dict(pictures.drawn)
  report.write(tmp_path / "b", got, tables, pictures=pictures)
  assert len(before) == 3
  assert before.items() <= pictures.drawn.items()
  for path in (tmp_path / "a").iterdir():
    if path.is_file():
      assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()


def test_report_json_is_written_last(tmp_path, monkeypatch):
  monkeypatch.setattr(page, "pictures", lambda *_: ())
  monkeypatch.setattr(page, "render", None)
  with pytest.raises(TypeError, match="not callable"):
    report.write(tmp_path, *built(splits=("test",)))
  assert (tmp_path / "predictions" / "test.npz").exists()
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
  refused = pytest.raises(InputError, match=f"^--out={out} contains {message}")
  with refused if message else contextlib.nullcontext():
    report.check_out(out, RUN)
  with pytest.raises(InputError, match="is a file: give a folder"):
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
    with pytest.raises(InputError, match="of other runs or of"):
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
  result = {"best_epoch": 2, "items": [item]}
  (folder / "explain.json").write_text(json.dumps(result))
  with pytest.raises(InputError, match=r"explain\.json.*\.png"):
    report.redraw(path)
  assert not (path / "report.html").exists()


def test_without_any_numbers_the_page_still_stands(tmp_path):
  run = RUN | {"best_epoch": None, "epochs_run": 0, "skipped": []}
  run["monitor"] = {"name": "validation/loss", "value": float("inf")}
  got = report.build(run, {}, [], {"test": 290}, {})
  report.write(tmp_path, got, {})
  assert "No split was scored" in (tmp_path / "report.html").read_text()
