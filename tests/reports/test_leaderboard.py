"""The leaderboard: what is one row, what stands apart, what is refused."""

import json
import re

import pytest
import stored
from pages import Page
from report_maker import level, made, split

from gtzan_jax import errors
from gtzan_jax.cli.main import main
from gtzan_jax.reports import leaderboard, leaderboard_page, stored_runs
from gtzan_jax.reports.published_scores import PUBLISHED

LEAK = "Segments of one track stand in train and test."


def external(trained_on="e1" * 32, path="/data/jazz club", **changes) -> dict:
  """The report of an external test."""
  test = {
    **{"workdir": "run", "trained_on": trained_on, "kind": "audio"},
    **{"path": path, "tracks": 40, "genres": {"Blues": "blues"}},
    **{"unmatched": {}, "absent": [], "learnt": 0, "namesakes": 0},
  }
  return made(protocol="external", external=test, **changes)


def ensemble(*recipes: str, folder="", like=made, **facts) -> dict:
  members = {
    f"{folder}/{name}": {
      **{"recipe": name, "seed": 3, "data_fingerprint": "f" * 64},
      **{"config": "c" * 64, **facts},
    }
    for name in recipes
  }
  return like() | {"recipe": "ensemble", "config": {"members": members}}


def scored(n, met=None, **changes) -> dict:
  """A report on n tracks, of which some are by artists that it learnt from."""
  value = made(**changes)
  known = None if met is None else {"tracks": met, "of": n}
  for one in value["splits"].values():
    one |= {"known_artists": known, "sha256": f"{n:064}"}
    one["track"]["n"] = n
  return value


def rows_of(*reports: dict) -> list[dict]:
  (table,) = leaderboard.build(reports)
  return table["rows"]


def both(*reports: dict) -> tuple[str, str]:
  """The page's Markdown, and the words of its HTML."""
  page = leaderboard_page.document(leaderboard.build(reports))
  return page.markdown(), Page(page.html()).text


def save(folder, value) -> None:
  folder.mkdir(parents=True)
  text = value if isinstance(value, str) else json.dumps(value)
  (folder / "report.json").write_text(text)


def board(root, reports) -> tuple[str, str]:
  """Markdown and HTML of reports, each in a folder of its own."""
  for i, value in enumerate(reports):
    save(root / "deep" / f"run{i}", value)
  page = leaderboard_page.write([root], root / "out")
  return page.with_suffix(".md").read_text("utf-8"), page.read_text("utf-8")


# Rows: runs that differ in nothing but the seed.


def test_seeds_are_one_row_with_mean_and_standard_deviation():
  values = ((2, 0.6), (0, 0.4), (1, 0.8))
  (row,) = rows_of(*(made(seed=s, accuracy=a) for s, a in values))
  assert row["seeds"] == [0, 1, 2]
  assert row["track"] == pytest.approx((0.6, 0.2))  # n - 1 in the divisor
  assert row["macro_f1"] == pytest.approx((0.3, 0.1))
  assert row["segment"] == pytest.approx((0.25, 0.0))
  assert not row["settings"]


def test_one_run_has_no_deviation_and_says_so():
  assert rows_of(made(accuracy=0.503))[0]["track"] == (0.503, None)
  assert all("n=1" in text for text in both(made()))


@pytest.mark.parametrize(
  ("changes", "shown"),
  [
    # The fingerprint says what lies there.
    ({"config": {"data.path": "/mnt/music"}}, [{}]),
    ({"config": {"log.every_steps": 5}}, [{}]),
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
  rows = rows_of(made(), made(seed=1, **changes))
  assert sorted((row["settings"] for row in rows), key=str) == shown
  assert {seed for row in rows for seed in row["seeds"]} == {0, 1}


@pytest.mark.parametrize("like", [made, external])
def test_ensembles_are_told_apart_by_members_data_and_settings(like):
  one = ensemble("lstm", "cnn", like=like)
  others = {
    "members": ensemble("gru", "cnn", like=like),
    "data": ensemble("lstm", "cnn", like=like, data_fingerprint="d" * 64),
    "config": ensemble("lstm", "cnn", like=like, config="b" * 64),
  }
  moved = ensemble("cnn", "lstm", like=like, folder="elsewhere")
  assert len(rows_of(one, moved)) == 1
  for key, other in others.items():
    rows = rows_of(one, other)
    assert [list(row["settings"]) for row in rows] == [[key], [key]]
  rows = rows_of(one, others["members"])
  assert sorted(row["settings"]["members"] for row in rows) == [
    *("cnn (seed 3) + gru (seed 3)", "cnn (seed 3) + lstm (seed 3)")
  ]


def test_a_copy_of_a_run_counts_once():
  (row,) = rows_of(made(), made(seconds=99.0), made(accuracy=0.7))
  assert row["seeds"] == [0, 0]  # the same seed came out otherwise: both count
  assert row["track"].mean == pytest.approx(0.6)


def test_the_best_row_comes_first():
  values = {"resnet": 0.4, "lstm": 0.8, "fcn": 0.6}
  rows = rows_of(*(made(k, accuracy=v) for k, v in values.items()))
  assert [row["recipe"] for row in rows] == ["lstm", "fcn", "resnet"]


def test_an_external_test_says_what_was_trained_on():
  """And stands beside no published figure: that is of another test."""
  paths = ("/data/gtzan.npz", None)
  rows = rows_of(*(external(config={"data.path": path}) for path in paths))
  assert {row["recipe"]: row["published"] for row in rows} == {
    "resnet trained on gtzan.npz, filtered": None,
    "resnet trained on synthetic, filtered": None,
  }
  # Not the same row for other music in a folder of the same name.
  seeds = (external(seed=s, accuracy=a) for s, a in ((0, 0.4), (1, 0.6)))
  other, same = rows_of(*seeds, external("77" * 32, seed=2, accuracy=0.9))
  assert (other["seeds"], same["seeds"]) == ([2], [0, 1])
  assert same["track"].mean == pytest.approx(0.5)
  assert other["settings"] == {"data": "77777777"}
  assert same["settings"] == {"data": "e1e1e1e1"}


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


def test_every_collection_that_was_tested_on_is_named():
  """Tracks of one name are not the same tracks in each."""
  first, copy, second, none = (
    external(path=path, data_fingerprint=print_ * 8)
    for path, print_ in (
      *(("/a/jazz club", "1f"), ("/b/Jazz", "1f")),
      *(("/c/jazz club", "2e"), (None, "3d")),
    )
  )
  reports = [second, none, copy | {"seed": 1}, first]
  tables = leaderboard.build([*reports, made()])
  assert [(x["collection"], x["rows"][0]["seeds"]) for x in tables] == [
    ("Jazz or jazz club (1f1f1f1f)", [0, 1]),
    ("jazz club (2e2e2e2e)", [0]),
    ("synthetic (3d3d3d3d)", [0]),
    (None, [0]),
  ]
  for text in both(*reports):
    assert "protocol external on jazz club (2e2e2e2e): test split, 40" in text


def test_honest_tables_then_leaking_then_synthetic_ones():
  tables = leaderboard.build(
    [
      made(corpus="synthetic", source="synthetic"),
      made(leak=LEAK, protocol="a_leak"),
      made(),
    ]
  )
  assert [(t["synthetic"], t["leak"]) for t in tables] == [
    *((False, None), (False, LEAK), (True, None))
  ]


@pytest.mark.parametrize(
  ("met", "changes", "words"),
  [
    (
      (9, 10, None),
      {},
      "10 of 20 test tracks are by artists of the train split: most",
    ),
    ((9,), {}, "9 of 20 test tracks are by artists of the train split."),
    ((None,), {}, ""),
    (
      (None,),
      {"part": "validation"},
      "No test tracks at hand: the validation split also chose the checkpoints",
    ),
  ],
)
def test_a_table_says_what_its_numbers_are_worth(met, changes, words):
  reports = [scored(20, m, seed=i, **changes) for i, m in enumerate(met)]
  (table,) = leaderboard.build(reports)
  assert " ".join(table["notes"]).startswith(words)
  assert bool(table["notes"]) == bool(words)
  assert table["artists_decide"] == (max(m or 0 for m in met) >= 10)


# The overview: a line a recipe.

OWN = {"protocol": "leaky_segments_80_20", "leak": LEAK}  # resnet's source


def lines(*reports: dict) -> dict[str, dict]:
  overview = leaderboard_page.overview(leaderboard.build(reports))
  return {line["recipe"]: line for line in overview}


def test_the_overview_holds_ours_beside_the_source_s_own_protocol():
  by_recipe = lines(
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
  assert list(by_recipe) == ["lstm", "resnet", "fcn", "mine"]
  resnet, fcn, mine = (by_recipe[name] for name in ("resnet", "fcn", "mine"))
  assert resnet["same"]["track"].mean == 0.9
  assert resnet["same"]["table"]["leak"] == LEAK
  assert resnet["honest"]["track"].mean == 0.6
  assert fcn["same"] == fcn["honest"]  # its source does not leak
  assert mine["published"] is mine["same"] is mine["honest"] is None


@pytest.mark.parametrize(
  ("better", "worse"),
  [
    ([scored(60, 0, accuracy=0.3)], scored(50, 0, accuracy=0.9)),
    ([scored(60, 29, accuracy=0.3)], scored(500, 250, accuracy=0.9)),
    (
      [scored(60, seed=seed, accuracy=0.3) for seed in (0, 1)],
      scored(60, accuracy=0.9, config={"train.epochs": 9}),
    ),
    ([scored(20, 20, accuracy=0.3)], scored(500, accuracy=0.9, **OWN)),
  ],
  ids=["tracks", "artists", "seeds", "leak"],
)
def test_what_is_measured_best_stands_for_a_recipe(better, worse):
  for reports in ([*better, worse], [worse, *better]):
    honest = lines(*reports)["resnet"]["honest"]
    assert honest["track"].mean == pytest.approx(0.3)


def test_the_overview_names_protocol_commit_and_data_of_each_number():
  text, words = both(
    scored(150, 150, accuracy=0.9, data_fingerprint="b" * 64, **OWN),
    scored(20, 14, accuracy=0.6, commit="c" * 40),
    made("parallel_cnn"),
  )
  (line,) = re.findall(r"^\| `resnet` \| ResNet \|.*", text, re.MULTILINE)
  same = "⚠ 25.0 (n=1) of segments: audio, {}, test, 150 tracks; 9f2c1ab7"
  assert [cell.strip() for cell in line.strip("|").split("|")] == [
    *("`resnet`", "ResNet"),
    f"**{PUBLISHED['resnet'].percent}**: {PUBLISHED['resnet'].measured}",
    f"{same.format('`leaky_segments_80_20`')}, data bbbbbbbb",
    "60.0 (n=1)",
    "audio, `filtered`, test, 20 tracks, mostly artist recognition",
    *("216,778", "12", "cccccccc", "4e1fa8c2"),
  ]
  assert "| `parallel_cnn` | BiLSTM |" in text
  assert "| split unknown | 50.0 (n=1) |" in text
  assert f"{same.format('leaky_segments_80_20')}, data bbbbbbbb" in words
  assert (
    "60.0 (n=1) audio, filtered, test, 20 tracks, mostly artist recognition"
    " 216,778 12 cccccccc 4e1fa8c2"
  ) in words


# Pages.


def test_a_page_of_one_s_own_keeps_what_stands_around_the_tables(tmp_path):
  save(tmp_path / "runs" / "one", made())
  page = tmp_path / "runs.md"
  page.write_text(
    "# Mine\n<!-- drawn by me -->\nlast week\n"
    "<!-- end of the leaderboard -->\nand on\n"
  )
  written = leaderboard_page.write([tmp_path / "runs"], page)
  assert written == tmp_path / "runs.html"
  assert "<h1>Leaderboard</h1>" in written.read_text()
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


ALL_KINDS = [
  *(made(seed=seed, accuracy=0.5 + seed / 10) for seed in range(3)),
  made("mel_cnn", config={"optim.learning_rate": "<b>|"}),
  made("mel_cnn"),
  made("mel_cnn", part="validation", source="archive", corpus="archive"),
  made("mine", leak=LEAK, protocol="leaky_segments_80_20"),
  made("quickstart", corpus="synthetic", source="synthetic", commit=None),
  made("mel_cnn", headline=None, seed=9),
  made("mel_cnn", seconds=99.0),
]


def test_both_pages_say_what_a_reader_must_know(tmp_path):
  markdown, page = board(tmp_path / "a", ALL_KINDS)
  assert board(tmp_path / "b", ALL_KINDS[::-1]) == (markdown, page)
  assert not Page(page).links
  assert "optim.learning_rate=<b>|" in Page(page).text
  assert "of GANs" not in markdown + page
  for plain in (markdown, Page(page).text):
    for words in (
      *(LEAK, "do not quote", "60.0", "± 10.0", "216,778", "9f2c1ab7"),
      *(PUBLISHED["resnet"].percent, PUBLISHED["resnet"].measured),
      "archive, protocol filtered: validation split, 40 tracks",
      "Without a scored split: mel_cnn (seed 9, audio, filtered)",
    ):
      assert words in plain, words
    music, synthetic = plain.split("Synthetic corpus: not GTZAN")
    assert "quickstart" in synthetic
    assert "quickstart" not in music
    assert "published" not in synthetic.lower()
  blocks = re.findall(r"(?:^\|.*\n)+", markdown, re.MULTILINE)
  assert len(blocks) == 5
  for block in blocks:  # every row has the cells of its head
    head, _, *rows = block.replace("\\|", "").splitlines()
    assert {row.count("|") for row in rows} == {head.count("|")}, block


def test_gans_stand_in_no_table_and_are_counted(tmp_path):
  facts = {"headline": None, "gan": stored.GAN}
  gan = made(recipe="gan_mel_conv", part="generated") | facts
  others = [gan, {**gan, "seconds": 1.0}, {**gan, "seed": 7}]  # one a copy
  for number, words in ((1, "1 run is of a GAN,"), (3, "2 runs are of GANs")):
    for text in board(tmp_path / str(number), [made(), *others[:number]]):
      assert words in text
      assert "gan_mel_conv" not in text
      assert "Without a scored split" not in text


# Refusals.

UNSCORED = {"test": made()["splits"]["test"] | {"track": {"n": 0}}}


@pytest.mark.parametrize(
  ("value", "words"),
  [
    ("", "damaged"),
    (json.dumps(made())[:-9], "damaged"),
    (json.dumps(made()).replace("12.5", "NaN"), "NaN"),
    ("[]", "list, dict wanted"),
    ({k: v for k, v in made().items() if k != "splits"}, "splits: absent"),
    (made() | {"seed": "0"}, "seed: str, int wanted"),
    (made() | {"headline": "exam"}, "'exam' was not scored"),
    (made() | {"splits": UNSCORED}, "'test' was not scored"),
    *(
      (made() | {"config": config}, words)
      for config, words in (
        ({"members": 3}, "config.members: int, dict wanted"),
        (
          {"members": {"a": {"recipe": "x"}}},
          "config.members.a.data_fingerprint: absent",
        ),
        ({"data": [1]}, "config.data: list, dict wanted"),
        ({"data": {"fold": "1"}}, "config.data.fold: str, int wanted"),
        ({"data": {"path": 3}}, "config.data.path: int, str wanted"),
      )
    ),
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
  printed = capsys.readouterr().err
  assert printed.isascii()
  assert r"\x1b[31m\u202e/no" in printed
