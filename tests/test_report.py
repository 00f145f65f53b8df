"""report.json against its schema; the files drawn from it, byte for byte."""

import copy
import html.parser
import json
import re

import numpy as np
import pytest

from gtzan_jax import page, plots, report
from gtzan_jax.predictions import Predictions, load

GENRES = (
  *("blues", "classical", "country", "disco", "hiphop"),
  *("jazz", "metal", "pop", "reggae", "rock"),
)
RUN = {
  "recipe": "mel_cnn",
  "corpus": "audio",
  "source": "audio",
  "protocol": "filtered",
  "leak": None,
  "seed": 1,
  "num_params": 391_114,
  "commit": "9f2c1ab7e01d4b58f6a7",
  "versions": {"python": "3.13.0", "jax": "0.12.0"},
  "device": "cpu",
  "config": {"data": {"protocol": "filtered"}, "model": {"sizes": (16, 32)}},
  "data_fingerprint": "4e1fa8c2",
  "tracks": 929,
  "skipped": [{"track": "jazz.00054", "reason": "not <audio>"}],
  "best_epoch": 2,
  "epochs_run": 3,
  "seconds": 12.5,
  "monitor": {"name": "validation/track_accuracy", "value": 0.61},
}
LEAK = "Segments of one track stand in train and test."
SYNTHETIC = "Numbers on the synthetic corpus are not GTZAN numbers."


def made(tracks=40, segments=3, seed=0) -> Predictions:
  rng = np.random.default_rng(seed)
  label = np.repeat(np.arange(tracks) % 10, segments)
  probabilities = rng.dirichlet(np.ones(10), tracks * segments)
  probabilities[np.arange(len(label)), label] += 0.3
  return Predictions(
    np.repeat([f"{GENRES[i % 10]}.{i:05d}" for i in range(tracks)], segments),
    np.tile(np.arange(segments), tracks),
    label,
    probabilities / probabilities.sum(axis=1, keepdims=True),
    GENRES,
  )


def history(epochs=3) -> list[dict]:
  return [
    {
      "epoch": e,
      "step": 10 * e,
      "train/loss": 2.3 / e,
      "train/accuracy": 0.2 * e,
      "validation/loss": np.float32(2.3 / e),
      "validation/accuracy": 0.15 * e,
      "validation/track_accuracy": float("nan") if e == 1 else 0.2 * e,
      "learning_rate": 1e-3,
      "time/epoch": np.random.default_rng().random(),
    }
    for e in range(1, epochs + 1)
  ]


def built(run=None, splits=("test",), missing=None, **kwargs):
  tables = {name: made(seed=i) for i, name in enumerate(splits)}
  shas = {name: f"{name:0<64}" for name in ("train", "validation", "test")}
  result = report.build(
    {**RUN, **(run or {})}, tables, history(), missing or {}, shas, **kwargs
  )
  return result, tables


def test_the_report_has_every_promised_key():
  got, _ = built(tracks={"train": 443})
  promised = {*RUN, "splits", "history", "genres", "headline"}
  assert promised == set(got)
  for level in ("segment", "track", "track_majority"):
    assert set(got["splits"]["test"][level]) == {
      *("n", "accuracy", "ci95", "loss", "per_genre", "confusion"),
      *("macro_precision", "macro_recall", "macro_f1", "weighted_f1"),
    }
  assert list(got["splits"]) == ["train", "validation", "test"]
  assert got["splits"]["train"]["n"] == 443
  assert got["splits"]["train"]["track"] == {"n": 0}
  assert got["splits"]["test"]["n"] == 40
  assert got["splits"]["test"]["segment"]["n"] == 120
  assert got["genres"] == list(GENRES)
  assert not list(report.violations(got))


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
  (problem,) = report.violations(got)
  assert re.search(message, problem)


@pytest.mark.parametrize(
  "key", [k for k in report.SCHEMA if k is not ... and k in RUN]
)
def test_a_run_without_a_key_is_no_report(key):
  run = copy.deepcopy(RUN)
  del run[key]
  with pytest.raises(ValueError, match=f"{key}: absent"):
    report.build(run, {}, [], {}, {})


def test_what_json_cannot_hold_is_refused():
  with pytest.raises(ValueError, match="no JSON value"):
    report.build({**RUN, "config": {"fn": print}}, {}, [], {}, {})


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


def test_a_split_now_empty_leaves_nothing_of_the_old_one(tmp_path):
  (tmp_path / "predictions").mkdir()
  for name in ("predictions/test.npz", "confusion_test.png"):
    (tmp_path / name).write_bytes(b"old")
  report.write(tmp_path, *built(splits=("validation",)))
  assert not list(tmp_path.rglob("*test*"))
  assert (tmp_path / "confusion_validation.png").exists()


def test_report_json_is_written_last(tmp_path, monkeypatch):
  def broken(_):
    raise RuntimeError("no page")

  monkeypatch.setattr(page, "render", broken)
  with pytest.raises(RuntimeError, match="no page"):
    report.write(tmp_path, *built(splits=("test",)))
  assert not (tmp_path / "report.json").exists()


class _Page(html.parser.HTMLParser):
  """Collects the text and what the page would fetch; checks the nesting."""

  VOID = ("meta", "link", "br", "img", "input", "hr")

  def __init__(self, text: str):
    super().__init__()
    self.open, self.links, self.ids, self.words = [], [], [], []
    self.feed(text)
    assert self.open == []

  def handle_starttag(self, tag, attrs):
    attrs = dict(attrs)
    self.links += [
      attrs[k] for k in ("src", "href", "xlink:href", "srcset") if k in attrs
    ]
    self.ids += [attrs["id"]] if "id" in attrs else []
    assert tag not in ("script", "link", "iframe")
    if tag not in self.VOID:
      self.open.append(tag)

  def handle_startendtag(self, tag, attrs):
    self.handle_starttag(tag, attrs)
    if tag not in self.VOID:
      self.open.pop()

  def handle_endtag(self, tag):
    assert self.open.pop() == tag

  def handle_data(self, data):
    if not self.open or self.open[-1] != "style":
      self.words += data.split()

  @property
  def text(self) -> str:
    return " ".join(self.words)


def test_the_page_is_self_contained_and_well_formed():
  got, _ = built(splits=("validation", "test"))
  text = page.render(got)
  parsed = _Page(text)
  assert all(link.startswith("#") for link in parsed.links)
  assert "http:" not in text
  assert "https:" not in text
  assert "@import" not in text
  assert len(parsed.ids) == len(set(parsed.ids))
  assert {link[1:] for link in parsed.links} <= set(parsed.ids)
  # Every colour of the drawings is a variable that both themes define.
  for name, value in plots.PALETTE.items():
    assert f"var(--plot-{name})" in text, name
    assert text.count(f"--plot-{name}:") == 2, name
    assert value not in re.sub(r"<style>.*?</style>", "", text, flags=re.S)


def test_the_page_says_what_it_shows():
  got, _ = built(missing={"test": 7}, tracks={"train": 443})
  parsed = _Page(page.render(got))
  accuracy = f"{100 * got['splits']['test']['track']['accuracy']:.1f}"
  assert f"Track accuracy, test {accuracy}" in parsed.text
  assert "7 of its tracks are missing from this corpus" in parsed.text
  assert "391,114" in parsed.text
  assert "jazz.00054 not <audio>" in parsed.text
  assert "data.protocol filtered" in parsed.text
  assert "train 443 0 not scored" in parsed.text
  assert LEAK not in parsed.text
  assert SYNTHETIC not in parsed.text


def test_the_page_carries_its_banners():
  parsed = _Page(
    page.render(built({"corpus": "synthetic", "source": "x", "leak": LEAK})[0])
  )
  assert SYNTHETIC in parsed.text
  assert f"do not quote these numbers as results. {LEAK}" in parsed.text
  assert "had no part in training" not in parsed.text


def test_without_a_test_split_the_page_says_so():
  got, _ = built(splits=("validation",), missing={"test": 290})
  text = _Page(page.render(got)).text
  assert "No test tracks at hand; 290 missing." in text
  assert "also chose the checkpoint" in text
  assert "test 0 290 no tracks at hand" in text


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
  text = _Page((tmp_path / "report.html").read_text("utf-8")).text
  assert "No split was scored" in text


def test_what_a_user_names_cannot_become_markup():
  got, _ = built({"recipe": "<script>alert(1)</script>"})
  assert "<script>" not in page.render(got)


def test_an_absent_genre_and_a_perfect_model_can_be_drawn():
  table = made(tracks=9)  # the tenth genre has no track
  sure = np.eye(10, dtype=np.float32)[table.label]
  perfect = Predictions(table.track, table.segment, table.label, sure, GENRES)
  got = report.build(RUN, {"test": perfect}, history(1), {}, {})
  text = _Page(page.render(got)).text
  assert "rock – – – absent" in text
  assert "No track of the 9 went to another genre." in text
