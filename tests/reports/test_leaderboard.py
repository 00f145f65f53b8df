"""The leaderboard: what is one row, what stands apart, what is refused."""

import copy
import itertools
import json
import re

import pytest
import stored
from pages import Page
from report_maker import level, made, split

from gtzan_jax import errors
from gtzan_jax.cli.main import main
from gtzan_jax.reports import leaderboard, leaderboard_page, stored_runs
from gtzan_jax.reports import schema as report_schema
from gtzan_jax.reports.published import PUBLISHED

LEAK = "Segments of one track stand in train and test."
EMPTY = {"n": 0}


def external(trained_on="e1" * 32, path="/data/jazz club", **changes) -> dict:
  """The report of an external test."""
  test = {
    **{"workdir": "run", "trained_on": trained_on, "kind": "audio"},
    **{"path": path, "tracks": 40, "genres": {"Blues": "blues"}},
    **{"unmatched": {}, "absent": [], "learnt": 0, "namesakes": 0},
  }
  return made(protocol="external", external=test, **changes)


def test_an_external_test_says_what_was_trained_on():
  """And stands beside no published figure: that is of another test."""
  music, synthetic = (
    external(config={"data.path": path}) for path in ("/data/gtzan.npz", None)
  )
  rows = only_table(music, synthetic)["rows"]
  assert {row["recipe"] for row in rows} == {
    "resnet trained on gtzan.npz, filtered",
    "resnet trained on synthetic, filtered",
  }
  assert [row["published"] for row in rows] == [None, None]


def test_seeds_of_an_external_test_have_learnt_from_the_same_music():
  """Not from other music that only lay in a folder of the same name."""
  reports = [
    *(external(seed=s, accuracy=a) for s, a in ((0, 0.4), (1, 0.6))),
    external("77" * 32, seed=2, accuracy=0.9),
  ]
  other, same = only_table(*reports)["rows"]
  assert (other["seeds"], same["seeds"]) == ([2], [0, 1])
  assert same["track"].mean == pytest.approx(0.5)
  assert other["settings"] == {"data": "77777777"}
  assert same["settings"] == {"data": "e1e1e1e1"}


def test_every_collection_that_was_tested_on_is_named():
  """Tracks of one name are not the same tracks in each."""
  first, copy, second, none = (
    external(path=path, data_fingerprint=print_ * 8)
    for path, print_ in (
      *(("/a/jazz club", "1f"), ("/b/Jazz", "1f")),
      *(("/c/jazz club", "2e"), (None, "3d")),
    )
  )
  tables = leaderboard.build([second, none, copy | {"seed": 1}, first])
  assert [table["collection"] for table in tables] == [
    "Jazz or jazz club (1f1f1f1f)",
    "jazz club (2e2e2e2e)",
    "synthetic (3d3d3d3d)",
  ]
  assert [table["rows"][0]["seeds"] for table in tables] == [[0, 1], [0], [0]]
  for text in both(tables):
    assert "protocol external on jazz club (2e2e2e2e): test split, 40" in text
  assert only_table(made())["collection"] is None


def both(tables) -> tuple[str, str]:
  """The page's Markdown and its HTML."""
  page = leaderboard_page.document(tables)
  return page.markdown(), page.html()


def only_table(*reports: dict) -> dict:
  (table,) = leaderboard.build(reports)
  return table


def save(folder, value) -> None:
  folder.mkdir(parents=True)
  (folder / "report.json").write_text(
    value if isinstance(value, str) else json.dumps(value)
  )


# Rows: runs that differ in nothing but the seed.


def test_seeds_are_one_row_with_mean_and_standard_deviation():
  reports = [
    made(seed=s, accuracy=a) for s, a in ((2, 0.6), (0, 0.4), (1, 0.8))
  ]
  (row,) = only_table(*reports)["rows"]
  assert row["seeds"] == [0, 1, 2]
  assert row["track"] == pytest.approx((0.6, 0.2))  # n - 1 in the divisor
  assert row["macro_f1"] == pytest.approx((0.3, 0.1))
  assert row["segment"] == pytest.approx((0.25, 0.0))
  assert not row["settings"]


def ensemble(*recipes: str, folder="", like=made, **facts) -> dict:
  members = {
    f"{folder}/{name}": {
      **{"recipe": name, "seed": 3, "data_fingerprint": "f" * 64},
      **{"config": "c" * 64, **facts},
    }
    for name in recipes
  }
  return like() | {"recipe": "ensemble", "config": {"members": members}}


def test_ensembles_are_told_apart_by_their_members():
  rows = only_table(ensemble("lstm", "cnn"), ensemble("gru", "cnn"))["rows"]
  assert sorted(row["settings"]["members"] for row in rows) == [
    "cnn (seed 3) + gru (seed 3)",
    "cnn (seed 3) + lstm (seed 3)",
  ]


@pytest.mark.parametrize("like", [made, external])
def test_ensembles_of_other_data_or_settings_are_other_rows(like):
  one, moved, data, config = (
    ensemble(*recipes, like=like, **changed)
    for recipes, changed in (
      (("lstm", "cnn"), {}),
      (("cnn", "lstm"), {"folder": "elsewhere"}),
      (("lstm", "cnn"), {"data_fingerprint": "d" * 64}),
      (("lstm", "cnn"), {"config": "b" * 64}),
    )
  )
  assert len(only_table(one, moved)["rows"]) == 1
  for other, key in ((data, "data"), (config, "config")):
    rows = only_table(one, other)["rows"]
    assert [list(row["settings"]) for row in rows] == [[key], [key]]


def test_one_run_has_no_deviation_and_says_so():
  table = only_table(made(accuracy=0.503))
  assert table["rows"][0]["track"] == (0.503, None)
  assert all("n=1" in text for text in both([table]))


@pytest.mark.parametrize(
  "config",
  [
    {"data.path": "/mnt/music"},  # the fingerprint says what lies there
    {"log.every_steps": 5},
  ],
  ids=str,
)
def test_what_makes_no_other_experiment_stays_in_the_row(config):
  rows = only_table(made(), made(seed=1, config=config))["rows"]
  assert [row["seeds"] for row in rows] == [[0, 1]]


@pytest.mark.parametrize(
  ("changes", "shown"),
  [
    (
      {"config": {"optim.learning_rate": 0.01}},
      [{"optim.learning_rate": 0.001}, {"optim.learning_rate": 0.01}],
    ),
    # A run may go on with more epochs, but it is another result then.
    (
      {"config": {"train.epochs": 100}},
      [{"train.epochs": 100}, {"train.epochs": 50}],
    ),
    (
      {"config": {"train.patience": 7}},
      [{"train.patience": "–"}, {"train.patience": 7}],
    ),
    ({"data_fingerprint": "b" * 64}, [{"data": "4e1fa8c2"}, {"data": "b" * 8}]),
    ({"recipe": "lstm"}, [{}, {}]),
  ],
  ids=str,
)
def test_another_setting_is_another_row_and_names_it(changes, shown):
  rows = only_table(made(), made(seed=1, **changes))["rows"]
  assert sorted((row["settings"] for row in rows), key=str) == shown


def test_a_copy_of_a_run_counts_once():
  again = made(accuracy=0.7)
  (row,) = only_table(made(), made(seconds=99.0), again)["rows"]
  assert row["seeds"] == [0, 0]  # the same seed came out otherwise: both count
  assert row["track"].mean == pytest.approx(0.6)


# Tables: what may be compared.


@pytest.mark.parametrize(
  "changes",
  [
    {"corpus": "archive", "source": "archive"},
    {"protocol": "tracks_70_10_20"},
    {"leak": LEAK},
    {"part": "validation"},
    {"splits": {"test": split(level(0.9), level(0.9), "b" * 64)}},
  ],
  ids=str,
)
def test_other_tracks_or_protocols_are_another_table(changes):
  assert len(leaderboard.build([made(), made(seed=1, **changes)])) == 2


def test_the_best_row_comes_first():
  values = {"resnet": 0.4, "lstm": 0.8, "fcn": 0.6}
  rows = only_table(*(made(k, accuracy=v) for k, v in values.items()))["rows"]
  assert [row["recipe"] for row in rows] == ["lstm", "fcn", "resnet"]


def test_honest_tables_then_leaking_then_synthetic_ones():
  tables = leaderboard.build(
    [
      made(corpus="synthetic", source="synthetic"),
      made(leak=LEAK, protocol="a_leak"),
      made(),
    ]
  )
  assert [(t["synthetic"], t["leak"]) for t in tables] == [
    (False, None),
    (False, LEAK),
    (True, None),
  ]


def test_a_validation_table_says_that_it_is_one():
  table = only_table(made(part="validation"))
  assert "chose the checkpoints" in " ".join(table["notes"])
  assert not only_table(made())["notes"]


def scored(n, met=None, **changes) -> dict:
  """A report on n tracks, of which some are by artists that it learnt from."""
  value = made(**changes)
  known = None if met is None else {"tracks": met, "of": n}
  for one in value["splits"].values():
    one |= {"known_artists": known, "sha256": f"{n:064}"}
    one["track"]["n"] = n
  return value


@pytest.mark.parametrize(
  ("met", "words"),
  [
    ((14,), "14 of 20 test tracks are by artists of the train split: most"),
    (
      (9, 10, None),
      "10 of 20 test tracks are by artists of the train split: most",
    ),
    ((9,), "9 of 20 test tracks are by artists of the train split."),
    ((0,), ""),
    ((None,), ""),
  ],
)
def test_a_table_says_how_much_of_it_is_by_artists_learnt_from(met, words):
  table = only_table(*(scored(20, m, seed=i) for i, m in enumerate(met)))
  assert " ".join(table["notes"]).startswith(words)
  assert bool(table["notes"]) == bool(words)
  assert table["artists_decide"] == (max(m or 0 for m in met) >= 10)


# The overview: a line a recipe.

OWN = {"protocol": "leaky_segments_80_20", "leak": LEAK}  # resnet's source


def lines(*reports: dict) -> dict[str, dict]:
  found = leaderboard_page.overview(leaderboard.build(reports))
  return {line["recipe"]: line for line in found}


def test_the_overview_holds_ours_beside_the_source_s_own_protocol():
  found = lines(
    scored(150, accuracy=0.9, **OWN),
    scored(600, accuracy=0.4, protocol="leaky_selection_80_20", leak=LEAK),
    scored(60, accuracy=0.6),
    scored(60, recipe="lstm", accuracy=0.65),
    scored(150, recipe="mine", accuracy=0.8, **OWN),
    scored(60, recipe="fcn", accuracy=0.7, protocol="tracks_70_20_10"),
    made(recipe="toy", corpus="synthetic", source="synthetic"),
    external(recipe="guest"),
  )
  # Of one table together, the best first; then what only a leak measured.
  assert list(found) == ["lstm", "resnet", "fcn", "mine"]
  resnet, fcn, mine = found["resnet"], found["fcn"], found["mine"]
  assert resnet["same"]["track"].mean == 0.9
  assert resnet["same"]["table"]["leak"] == LEAK
  assert resnet["honest"]["track"].mean == 0.6
  assert fcn["same"] == fcn["honest"]  # its source does not leak
  assert mine["published"] is mine["same"] is mine["honest"] is None


@pytest.mark.parametrize(
  ("better", "worse"),
  [
    (scored(60, 0, accuracy=0.3), scored(50, 0, accuracy=0.9)),
    (scored(60, 29, accuracy=0.3), scored(500, 250, accuracy=0.9)),
    (
      [scored(60, seed=seed, accuracy=0.3) for seed in (0, 1)],
      scored(60, accuracy=0.9, config={"train.epochs": 9}),
    ),
    (scored(20, 20, accuracy=0.3), scored(500, accuracy=0.9, **OWN)),
  ],
  ids=["tracks", "artists", "seeds", "leak"],
)
def test_what_is_measured_best_stands_for_a_recipe(better, worse):
  better = better if isinstance(better, list) else [better]
  for reports in ([*better, worse], [worse, *better]):
    found = lines(*reports)["resnet"]["honest"]
    assert found["track"].mean == pytest.approx(0.3)


def test_the_overview_names_protocol_commit_and_data_of_each_number(board):
  reports = [
    scored(150, 150, accuracy=0.9, data_fingerprint="b" * 64, **OWN),
    scored(20, 14, accuracy=0.6, commit="c" * 40),
    made("parallel_cnn"),
  ]
  text, page = board(reports)
  (line,) = (
    x for x in text.splitlines() if x.startswith("| `resnet` | ResNet |")
  )
  cells = [cell.strip() for cell in line.strip("|").split("|")]
  assert cells == [
    *("`resnet`", "ResNet"),
    f"**{PUBLISHED['resnet'].percent}**: {PUBLISHED['resnet'].measured}",
    "⚠ 25.0 (n=1) of segments: audio, `leaky_segments_80_20`, test, 150"
    " tracks; 9f2c1ab7, data bbbbbbbb",
    "60.0 (n=1)",
    "audio, `filtered`, test, 20 tracks, mostly artist recognition",
    *("216,778", "12", "cccccccc", "4e1fa8c2"),
  ]
  assert "| `parallel_cnn` | BiLSTM |" in text
  assert "| split unknown | 50.0 (n=1) |" in text
  words = Page(page).text
  for part in (
    "⚠ 25.0 (n=1) of segments: audio, leaky_segments_80_20, test, 150 tracks;"
    " 9f2c1ab7, data bbbbbbbb",
    "60.0 (n=1) audio, filtered, test, 20 tracks, mostly artist recognition",
    "216,778 12 cccccccc 4e1fa8c2",
  ):
    assert part in words, part


# Pages.


def test_a_page_of_one_s_own_keeps_what_stands_around_the_tables(tmp_path):
  save(tmp_path / "runs" / "one", made())
  page = tmp_path / "runs.md"
  page.write_text(
    "# Mine\n<!-- drawn by me -->\nlast week\n"
    "<!-- end of the leaderboard -->\nand on\n"
  )
  found = leaderboard_page.write([tmp_path / "runs"], page)
  assert found == tmp_path / "runs.html"
  assert "<h1>Leaderboard</h1>" in found.read_text()
  drawn = page.read_text()
  assert drawn.startswith("# Mine\n<!-- drawn by me -->\n\nAccuracies and F1")
  assert drawn.endswith("|\n\n<!-- end of the leaderboard -->\nand on\n")
  assert "| `resnet` |" in drawn
  assert "last week" not in drawn
  leaderboard_page.write([tmp_path / "runs"], page)
  assert page.read_text() == drawn
  page.write_text("# Mine\n")
  for out, words in (
    (page, "has no place for the leaderboard"),
    (tmp_path / "no.md", "no.md: no such page; give a folder, or"),
  ):
    with pytest.raises(errors.InputError, match=words):
      leaderboard_page.write([tmp_path / "runs"], out)
  assert page.read_text() == "# Mine\n"


def all_kinds() -> list[dict]:
  return [
    *(made(seed=seed, accuracy=0.5 + seed / 10) for seed in range(3)),
    made("mel_cnn", config={"optim.learning_rate": "<b>|"}),
    made("mel_cnn"),
    made("mel_cnn", part="validation", source="archive", corpus="archive"),
    made("mine", leak=LEAK, protocol="leaky_segments_80_20"),
    made("quickstart", corpus="synthetic", source="synthetic", commit=None),
    made("mel_cnn", headline=None, seed=9),
    made("mel_cnn", seconds=99.0),
  ]


@pytest.fixture
def board(tmp_path):
  """-> (Markdown, HTML) of a set of reports, each in a folder of its own."""
  numbers = itertools.count()

  def write(reports) -> tuple[str, str]:
    root = tmp_path / f"runs{next(numbers)}"
    for i, value in enumerate(reports):
      save(root / "deep" / f"run{i}", value)
    page = leaderboard_page.write([root], root / "out")
    return page.with_suffix(".md").read_text("utf-8"), page.read_text("utf-8")

  return write


def test_the_same_reports_in_any_order_give_the_same_bytes(board):
  assert board(all_kinds()) == board(all_kinds()[::-1])


def test_the_page_is_whole_and_self_contained(board):
  _, page = board(all_kinds())
  assert not Page(page).links
  assert "optim.learning_rate=<b>|" in Page(page).text


def test_both_pages_say_what_a_reader_must_know(board):
  markdown, page = board(all_kinds())
  for plain in (markdown, Page(page).text):
    for words in (
      *(LEAK, "do not quote", "60.0", "± 10.0", "216,778", "9f2c1ab7"),
      *(PUBLISHED["resnet"].percent, PUBLISHED["resnet"].measured),
      "Synthetic corpus: not GTZAN",
      "archive, protocol filtered: validation split, 40 tracks",
      "Without a scored split: mel_cnn (seed 9, audio, filtered)",
    ):
      assert words in plain, words
    music, synthetic = plain.split("Synthetic corpus: not GTZAN")
    assert "quickstart" in synthetic
    assert "quickstart" not in music
    assert "Published" not in synthetic
    assert "published" not in synthetic


def test_gans_stand_in_no_table_and_are_counted(board):
  measures = dict.fromkeys(report_schema.GAN_MEASURES, 0.5)
  gan = made(recipe="gan_mel_conv", part="generated") | {
    "headline": None,
    "gan": {
      **{"domain": "features", "generated": 500, "chance": 0.1},
      **{"collapsed": False, "memorised": False, "genre_share": {}},
      "judge": {"recipe": "mel_cnn", "path": "judge", "accuracy": 0.7},
      "measures": {"validation": measures},
    },
  }
  others = [gan, {**gan, "seconds": 1.0}, {**gan, "seed": 7}]  # one a copy
  for reports, words in (
    (others[:1], "1 run is of a GAN,"),
    (others, "2 runs are of GANs"),
  ):
    for text in board([made(), *reports]):
      assert words in text
      assert "gan_mel_conv" not in text
      assert "Without a scored split" not in text
  assert "of GANs" not in "".join(board(all_kinds()))


def test_every_row_of_the_markdown_has_the_cells_of_its_head(board):
  text, _ = board(all_kinds())
  blocks = re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE)
  assert len(blocks) == 5
  for block in blocks:
    lines = block.replace("\\|", "").splitlines()
    assert len(lines) > 2
    assert len({line.count("|") for line in lines}) == 1, block


# Refusals.


def without(key):
  value = made()
  del value[key]
  return value


def unscored():
  value = copy.deepcopy(made())
  value["splits"]["test"]["track"] = EMPTY
  return value


@pytest.mark.parametrize(
  ("value", "words"),
  [
    ("", "damaged"),
    (json.dumps(made())[:-9], "damaged"),
    (json.dumps(made()).replace("12.5", "NaN"), "NaN"),
    ("[]", "list, dict wanted"),
    (without("splits"), "splits: absent"),
    (made() | {"seed": "0"}, "seed: str, int wanted"),
    (made() | {"headline": "exam"}, "'exam' was not scored"),
    (unscored(), "'test' was not scored"),
  ],
  ids=lambda value: str(value)[-20:],
)
def test_a_report_that_is_none_is_named(tmp_path, value, words):
  save(tmp_path / "good", made())
  save(tmp_path / "bad", value)
  with pytest.raises(errors.InputError) as caught:
    leaderboard_page.write([tmp_path], tmp_path / "out")
  assert words in str(caught.value)
  assert str(tmp_path / "bad" / "report.json") in str(caught.value)
  assert "\n" not in str(caught.value)
  assert not (tmp_path / "out").exists()


def test_folders_without_reports(tmp_path):
  save(tmp_path / "run", made())
  (tmp_path / "empty").mkdir()
  for paths, words in (
    ([], "no run given"),
    ([tmp_path / "run", tmp_path / "empty"], "empty holds no report.json"),
    ([tmp_path / "nowhere"], "nowhere does not exist"),
  ):
    with pytest.raises(errors.InputError, match=words):
      stored_runs.find(paths)
  assert len(stored_runs.find([tmp_path, tmp_path / "run"])) == 1


def test_a_strangers_names_are_text_on_terminal_and_page(tmp_path, capsys):
  """A recipe and a folder may be called anything."""
  name = "\x1b[2J<script>`x`|[a](http://b)\n# h"
  stored.run(tmp_path / "a", stored.parts(0), recipe=name)
  out = tmp_path / "\x1b[31m\u202e"
  words = ["launch.py", "leaderboard", str(tmp_path / "a"), f"--out={out}"]
  assert main(words) == 0
  assert rf"leaderboard: {tmp_path}/\x1b[31m\u202e" in capsys.readouterr().out
  for page in out.iterdir():
    text = page.read_bytes().decode("utf-8", "replace")
    assert not {"\x1b", "\u202e"} & set(text), page
    assert "<script>" not in text, page
  text = (out / "leaderboard.md").read_text()
  assert text.count("\n# h") == 0
  heads = [line for line in text.splitlines() if line.startswith("| recipe")]
  rows = [line for line in text.splitlines() if "[2J" in line]
  assert len(rows) == len(heads) == 2
  for head, row in zip(heads, rows, strict=True):
    assert row.count("|") == head.count("|")
    assert not re.search(r"(?<!\\)\]\(", row)
  assert main(["launch.py", "predict", f"--workdir={out}/no"]) == 2
  said = capsys.readouterr().err
  assert said.isascii()
  assert r"\x1b[31m\u202e/no" in said


@pytest.mark.parametrize(
  ("config", "said"),
  [
    ({"members": 3}, "config.members: int, dict wanted"),
    ({"members": {"a": {"recipe": "x"}}}, "config.members.a.*: absent"),
    ({"data": [1]}, "config.data: list, dict wanted"),
    ({"data": {"fold": "1"}}, "config.data.fold: str, int wanted"),
    ({"data": {"path": 3}}, "config.data.path: int, str wanted"),
  ],
)
def test_a_strangers_report_is_refused_by_name(tmp_path, config, said):
  stored.run(tmp_path / "a", stored.parts(0))
  file = tmp_path / "a" / "report.json"
  found = json.loads(file.read_text()) | {"config": config}
  file.write_text(json.dumps(found))
  with pytest.raises(errors.InputError, match=said):
    leaderboard_page.write([tmp_path / "a"], tmp_path / "out")
