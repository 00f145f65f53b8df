"""report.json against its schema; the files drawn from it, byte for byte."""

import copy
import html.parser
import json
import re
import types

import numpy as np
import pytest
import stored

from gtzan_jax.cli import console
from gtzan_jax.errors import InputError
from gtzan_jax.gan import fidelity
from gtzan_jax.reports import figures as report_figures
from gtzan_jax.reports import page, report
from gtzan_jax.reports import schema as report_schema
from gtzan_jax.reports import style as plots
from gtzan_jax.scores.predictions import Predictions, load
from gtzan_jax.training import evaluate

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
      " train part: mostly artist recognition.",
    ),
    (
      lambda i: "" if i == 10 else f"by {i}",
      (9, 19),
      "9 of the 19 test tracks whose artist is known are by artists of the"
      " train part. ",
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
  text = _Page(page.render(got)).text
  assert note in text
  assert ("by artists of the train part" in text) == bool(note)
  report.save(tmp_path / "report.json", got)
  console.result(tmp_path)
  said = capsys.readouterr().out
  assert note.strip() in said
  assert ("warning: " in said) == ("mostly artist" in said)
  alone = report.build(RUN, {"test": tables["test"]}, [], {}, {})
  assert alone["splits"]["test"]["known_artists"] is None
  assert "by artists of the train part" not in _Page(page.render(alone)).text


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
  def broken(*_):
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


def test_the_page_says_how_sure_one_may_be():
  got, tables = built(splits=("validation", "test"))
  level = got["calibration"]["track"]
  temperature, after = level["temperature"], 100 * level["ece_after"]
  text = _Page(page.render(got)).text
  assert (
    f"Tracks {temperature:.2f} {100 * level['ece']:.1f} {after:.1f}" in text
  )
  assert "The temperature was fitted on the validation part." in text
  assert "Intervals resample whole tracks." in text
  artists = {track: f"by {track[-1]}" for track in tables["test"].track}
  known = {name: table.with_artists(artists) for name, table in tables.items()}
  text = _Page(page.render(report.build(RUN, known, [], {}, {}))).text
  assert "Intervals resample whole artists, 10 of them" in text
  alone = {"validation": known["validation"]}
  text = _Page(page.render(report.build(RUN, alone, [], {}, {}))).text
  assert "so that none chose its own" in text
  assert "Temperature" not in _Page(page.render(built()[0])).text


def test_the_reliability_is_drawn_before_and_after():
  got, _ = built(splits=("validation", "test"))
  before = got["splits"]["test"]["reliability"]
  after = got["calibration"]["track"]["reliability"]
  (axes,) = report_figures.reliability(before, "x", after).axes
  drawn = [line.get_xydata().tolist() for line in axes.lines[1:]]
  assert drawn == [
    [[row["confidence"], row["accuracy"]] for row in rows]
    for rows in (before, after)
  ]
  assert len(report_figures.reliability(before, "x").axes[0].lines) == 2


def test_the_page_carries_its_banners():
  parsed = _Page(
    page.render(built({"corpus": "synthetic", "source": "x", "leak": LEAK})[0])
  )
  assert SYNTHETIC in parsed.text
  assert f"do not quote these numbers as results. {LEAK}" in parsed.text
  assert "had no part in training" not in parsed.text


def test_warnings_about_the_corpus_stand_in_a_box():
  text = "a/1 <b> = b/1. One recording stands under two labels."
  one = {"check": "identical_genres", "title": "1 group", "text": text}
  shown = page.render(built({"warnings": [one]})[0])
  assert "Warnings about this corpus" in shown
  assert "<b>1 group</b>a/1 &lt;b&gt; = b/1." in shown
  for none in ({}, {"warnings": []}):
    assert "Warnings about this corpus" not in page.render(built(none)[0])


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


def test_without_a_test_split_the_page_says_so():
  got, _ = built(splits=("validation",), missing={"test": 290})
  text = _Page(page.render(got)).text
  assert "No test tracks at hand; 290 missing." in text
  assert "also chose the checkpoint" in text
  assert "test 0 290 no tracks at hand" in text


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
    ({"other.txt": ""}, "something else than a report, as other.txt: give"),
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
    assert str(caught.value).startswith(f"--out={out} holds ")
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


GAN = {
  **{"domain": "features", "generated": 40, "chance": 0.1},
  **{"collapsed": False, "memorised": False},
  "judge": {"recipe": "mel_cnn", "path": "judge", "accuracy": 0.71},
  "measures": {
    "validation": dict.fromkeys(fidelity.MEASURES, 0.61)
    | {"genre_share": 0.43, "frechet_distance": 9312.4, "density": None}
  },
  "genre_share": dict.fromkeys(GENRES, 0.43),
}


def of_gan(**changes):
  """The report of a GAN, the judge's predictions, and what can be heard."""
  tables = {"generated": made(segments=1), "real": made(50, 1, seed=1)}
  rows = [
    {"epoch": e, "step": e, "train/generator_loss": 0.7 * e}
    | {"train/discriminator_loss": 1.4 / e, "validation/frechet_ratio": 9 / e}
    for e in (1, 2)
  ]
  monitor = {"name": "validation/frechet_ratio", "value": 4.5}
  run = {**RUN, "monitor": monitor, "gan": {**GAN, **changes}}
  built = report.build(run, tables, rows, {}, {}, {"train": 443, "test": 290})
  heard = types.SimpleNamespace(picture=b"png", sounds={"jazz": [b"a", b"b"]})
  return built, tables, heard


def diverged() -> dict:
  none = dict.fromkeys(fidelity.MEASURES)
  return {
    "collapsed": True,
    "memorised": True,
    "measures": {"validation": none},
  }


def test_a_gans_page_says_first_how_good_it_is():
  got, _, heard = of_gan()
  assert got["headline"] is None
  text = page.render(got, heard)
  parsed = _Page(text)
  assert (
    "The generator has not collapsed. Of 40 generated examples the judge hears"
    " the genre asked for in 43.0 %. By chance that would be at most 10.0 %; of"
    " real held-out music it tells the genre in 71.0 %."
  ) in parsed.text
  assert "Fréchet distance 9,312 From generated" in parsed.text
  assert "Density – In how many" in parsed.text
  assert "by Griffin-Lim" in parsed.text
  assert "sha256 train 443 0 – test 290 0 – Skipped" in parsed.text
  # What is said of classifiers would mislead.
  assert "ccuracy" not in parsed.text
  assert "No split was scored" not in parsed.text
  assert "true" not in parsed.text
  assert parsed.text.count("heard by the judge") == 2
  others = [link for link in parsed.links if not link.startswith("#")]
  assert [link[: link.index(",")] for link in others] == [
    "data:image/png;base64",
    *2 * ["data:audio/wav;base64"],
  ]
  assert len(parsed.ids) == len(set(parsed.ids))
  silent = types.SimpleNamespace(picture=b"png", sounds={})
  assert "There is no sound" in _Page(page.render(got, silent)).text
  assert "To look at" not in _Page(page.render(got)).text


@pytest.mark.parametrize(
  ("changes", "banners"),
  [
    ({"collapsed": True}, ["The generator has collapsed."]),
    ({"memorised": True}, ["The generator may give back what it was"]),
    (diverged(), ["The generator has diverged."]),
  ],
  ids=["collapsed", "memorised", "diverged"],
)
def test_a_gan_that_went_wrong_has_a_banner(changes, banners):
  text = _Page(page.render(of_gan(**changes)[0])).text
  for words in (
    "The generator has collapsed.",
    "The generator may give back what it was",
    "The generator has diverged.",
  ):
    assert (words in text) == (words in banners)
  assert ("has not collapsed" in text) == ("collapsed" not in changes)


def test_what_a_gan_makes_stands_beside_its_page(tmp_path):
  got, tables, heard = of_gan()
  (tmp_path / "samples").mkdir()
  for old in ("jazz_2.wav", "pop_0.wav", "mine.wav", "jazz_00017.wav"):
    (tmp_path / "samples" / old).write_bytes(b"old")
  report.write(tmp_path, got, tables, heard)
  assert (tmp_path / "samples.png").read_bytes() == b"png"
  files = {p.name: p.read_bytes() for p in (tmp_path / "samples").iterdir()}
  assert files == {
    **{"jazz_0.wav": b"a", "jazz_1.wav": b"b"},
    **{"mine.wav": b"old", "jazz_00017.wav": b"old"},
  }
  assert report.read(tmp_path / "report.json") == got
  assert (tmp_path / "confusion_generated.png").exists()


def test_a_gans_curves_are_its_own():
  figure = report_figures.gan_curves(of_gan()[0]["history"], 2)
  drawn = {axes.get_title("left"): axes for axes in figure.axes}
  lines = drawn["Losses"].get_legend_handles_labels()[1]
  assert lines == ["discriminator", "generator"]
  assert drawn["Fréchet distance over real"].get_yscale() == "log"
  words = [text.get_text() for text in drawn["Diversity, nearest"].texts]
  assert words == ["nothing recorded"]


@pytest.mark.parametrize(
  ("changes", "problem"),
  [
    ({"measures": {}}, "gan.measures.validation: absent"),
    ({"collapsed": 0}, "gan.collapsed: int, bool wanted"),
    ({"judge": {}}, "gan.judge.recipe: absent"),
  ],
)
def test_what_is_said_of_a_gan_is_checked(changes, problem):
  with pytest.raises(ValueError, match=problem):
    of_gan(**changes)


@pytest.mark.parametrize("changes", [{}, diverged()], ids=["well", "diverged"])
def test_the_command_line_says_how_good_a_gan_is(tmp_path, capsys, changes):
  (tmp_path / "report.json").write_text(json.dumps(of_gan(**changes)[0]))
  console.result(tmp_path)
  said = capsys.readouterr().out
  assert ("COLLAPSED: " in said) == bool(changes)
  if not changes:
    assert (
      "judge assigns 0.430 to the requested genre (chance at most 0.100" in said
    )
    assert "validation: frechet_ratio 0.610, coverage 0.610, div" in said
  assert "tracks" not in said
  assert f"report: {tmp_path / 'report.html'}" in said


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


def labelled(text):
  with plots.style():
    figure = plots.new_figure(3, 1)
    plots.name_rows(figure.subplots(), [text])
  return figure


@pytest.mark.parametrize(
  ("text", "drawn"),
  [
    ("été Ж عربي 😀", "été Ж عربي 😀"),
    ("K-Pop 케이팝", r"K-Pop \ucf00\uc774\ud31d"),
    ("\x1b[31mred\u202e", r"\x1b[31mred\u202e"),
    ("caf\udce9 \x7f\0", r"caf\udce9 \x7f\x00"),
    ("\U00020000", r"\U00020000"),
  ],
)
def test_text_that_no_font_has_is_drawn_as_its_escape(monkeypatch, text, drawn):
  """Warnings are errors here: matplotlib would warn of each letter."""
  monkeypatch.setattr(plots, "FALLBACKS", ())
  plots._has.cache_clear()
  plots.drawable.cache_clear()
  assert plots.drawable(text) == (drawn, (plots.FONT,))
  if "\udce9" not in text:
    assert plots.png(labelled(text)) == plots.png(labelled(drawn))
    assert plots.png(labelled(text)) != plots.png(labelled("?"))


def test_a_browser_finds_the_font_of_a_letter():
  assert "케이팝" in plots.inline_svg(labelled("케이팝"), "a", "a plot")


def test_a_font_at_hand_is_used_where_ours_lacks_a_letter(monkeypatch):
  monkeypatch.setattr(plots, "FALLBACKS", ("Last Resort High-Efficiency",))
  plots._has.cache_clear()
  plots.drawable.cache_clear()
  try:
    fonts = (plots.FONT, "Last Resort High-Efficiency")
    assert plots.drawable("a케") == ("a케", fonts)
    assert plots.drawable("a") == ("a", fonts[:1])
    assert len(plots.png(labelled("a케"))) > 100
  finally:
    plots._has.cache_clear()
    plots.drawable.cache_clear()
