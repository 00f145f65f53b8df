"""Stored numbers once more: what is noticed, counted and refused."""

import json
import shutil

import numpy as np
import pytest
from stored import GAN, made, parts, run

from gtzan_jax.cli.main import main
from gtzan_jax.reports import leaderboard_page, rebuild
from gtzan_jax.studies.compare import run as compare_runs
from gtzan_jax.studies.verify import run as verify


@pytest.fixture(scope="module")
def results(tmp_path_factory):
  """Two runs, their comparison and their leaderboard."""
  root = tmp_path_factory.mktemp("results")
  tables = parts(1) | {"test": made(artists=4, seed=7)}
  run(root / "one", tables, recipe="fcn", seed=3)
  run(root / "deep" / "two", tables | {"test": made(seed=8)})
  pair = [root / "one", root / "deep" / "two"]
  compare_runs.write(compare_runs.compare_runs(pair, root), root)
  leaderboard_page.write([root], root)
  return root


@pytest.fixture
def copy(results, tmp_path):
  return shutil.copytree(results, tmp_path / "results")


@pytest.fixture
def alone(copy):
  """The folder of runs, without what is computed from their reports."""
  for file in ("compare.json", "leaderboard.md"):
    (copy / file).unlink()
  return copy


def change(file, path, value):
  """Sets one value of a JSON file; a function is given the old one."""
  whole = inner = json.loads(file.read_text())
  for key in path[:-1]:
    inner = inner[key]
  old = inner[path[-1]]
  inner[path[-1]] = value(old) if callable(value) else value
  file.write_text(json.dumps(whole))


def wrong_line(folder) -> str:
  (line,) = verify.verify([folder]).wrong
  assert "\n" not in line
  return line


def test_what_is_right_is_counted(results, capsys):
  assert main(["launch.py", "verify", str(results)]) == 0
  assert capsys.readouterr().out == (
    "verified: 2 report.json, 1 compare.json, 1 leaderboard.md; none of them"
    " wrong\n"
  )


TRACK = ("splits", "test", "track")


def other(value):
  """A value whose every number and text is another."""
  if isinstance(value, dict):
    return {key: other(one) for key, one in value.items()}
  if isinstance(value, list):
    return [other(one) for one in value]
  if value is None:
    return None
  return value + ("x" if isinstance(value, str) else 1)


def test_every_number_is_recomputed(alone):
  """All that the predictions give, but nothing beside them."""
  file = alone / "one" / "report.json"
  now = json.loads(file.read_text())
  computed = ("splits", "calibration", "headline", "genres")
  changed = now | {key: other(now[key]) for key in computed}
  file.write_text(json.dumps(changed))
  all_changed, noticed = (
    {line.partition(":")[0] for line in verify.differences(changed, value)}
    for value in (now, rebuild.rebuild(alone / "one"))
  )
  assert len(all_changed) > 500
  taken = {f"splits.{name}.missing" for name in now["splits"]}
  assert all_changed - noticed == taken


@pytest.mark.parametrize(
  ("path", "value", "words"),
  [
    ((*TRACK, "accuracy"), 0.99, "splits.test.track.accuracy: 0.99 stored, 0."),
    ((*TRACK, "accuracy"), lambda x: x + 1e-8, "splits.test.track.accuracy: "),
    (("splits", "test", "reliability"), [], "reliability: 0 items stored, "),
    (("calibration",), None, 'calibration: null stored, {"fitted_on": '),
  ],
  ids=["number", "a little", "list", "null"],
)
def test_what_differs_is_named(alone, path, value, words, capsys):
  change(alone / "one" / "report.json", path, value)
  assert main(["launch.py", "verify", str(alone)]) == 1
  line, summary = capsys.readouterr().out.splitlines()
  assert line.startswith(f"{alone / 'one' / 'report.json'}: ")
  assert words in line
  assert summary == "verified: 2 report.json; 1 of them wrong"


def test_other_machines_may_round_otherwise(copy):
  path = (*TRACK, "loss")
  change(copy / "one" / "report.json", path, lambda x: x * (1 + 1e-12))
  assert not verify.verify([copy]).wrong


@pytest.mark.parametrize(
  ("changed", "why"),
  [
    (
      {"probabilities": made(artists=4, seed=7).probabilities[:, [1, 0, 2]]},
      r"/test.npz: accuracy 0.666667 of 9 tracks, but 0.444444 of 9 in report",
    ),
    (
      {"artist": np.full(len(made()), "x")},
      r"compare.json: track.clusters: 4 stored, 1 recomputed",
    ),
  ],
  ids=["probabilities", "artist"],
)
def test_other_predictions_are_noticed(copy, changed, why):
  """In all that was computed from them; how many numbers differ is said."""
  file = copy / "one" / "predictions" / "test.npz"
  with np.load(file) as old:
    columns = dict(old)
  np.savez(file, **{**columns, **changed})
  # The leaderboard is drawn from reports, of which none has changed.
  report, comparison = verify.verify([copy]).wrong
  assert f"{copy / 'one'}/report.json: splits.test." in report
  assert " more)" in report
  assert why in comparison


def test_a_leaderboard_of_other_reports_is_noticed(copy):
  text = (copy / "leaderboard.md").read_text()
  (copy / "leaderboard.md").write_text(text.replace("| 1: 3 ", "| 1: 4 "))
  line = wrong_line(copy)
  assert line.startswith(f"{copy / 'leaderboard.md'}: line ")
  assert "| 1: 4 " in line
  shutil.rmtree(copy / "deep")
  wrong = verify.verify([copy]).wrong
  assert len(wrong) == 2  # and a comparison with what is gone
  assert "deep/two: no such folder" in wrong[0]


@pytest.mark.slow
def test_the_page_beside_a_folder_is_its_leaderboard(copy, capsys):
  page = copy.with_suffix(".md")
  marks = "<!-- drawn by us -->", "<!-- end of the leaderboard -->"
  page.write_text("Ours\n{}\n{}\nand more\n".format(*marks))
  (copy / "deep" / "two.md").write_text("about the second run")
  leaderboard_page.write([copy], page)
  for given in (copy, copy.parent):
    assert main(["launch.py", "verify", str(given)]) == 0
    assert "1 leaderboard.md, 1 results.md; none" in capsys.readouterr().out
  text = page.read_text()
  page.write_text(text.replace("| 1: 3 ", "| 1: 4 "))
  line = wrong_line(copy)
  assert line.startswith(f"{page}: line ")
  assert "| 1: 4 " in line
  for mark in marks:
    page.write_text(text.replace(mark, ""))
    assert "has no place for the leaderboard" in wrong_line(copy)


def test_where_two_long_lines_part_is_shown():
  one, other = (f"{'the same words ' * 9}{x} and more" for x in "ab")
  assert list(verify.differences(f"a\n{one}", f"a\n{other}")) == [
    'line 2: "...the same words the same words a and more" stored, "...the same'
    ' words the same words b and more" recomputed'
  ]
  assert list(verify.differences("a", "a\nb")) == [
    'line 2: nothing stored, "b" recomputed'
  ]


@pytest.mark.parametrize(
  "settings",
  [*({"bootstrap": value} for value in ("many", 0, True, 10**12)), []],
)
def test_a_report_of_no_number_of_resamples_is_one_line(copy, settings):
  change(copy / "one" / "report.json", ("config", "eval"), settings)
  line = wrong_line(copy / "one")
  assert "is damaged: config.eval" in line
  assert settings == [] or ": give a whole number from 1 to" in line


@pytest.mark.parametrize(
  ("text", "words"),
  [
    ("{", "cannot be read"),
    ("[]", "is damaged: all of it: list, dict wanted; the same launch.py"),
    ("{}", "is damaged: config: absent; the same launch.py evaluate writes"),
    ('{"config": {}, "history": [], "splits": {}}', "recipe: absent"),
  ],
)
def test_what_is_no_report_is_one_line(copy, text, words):
  (copy / "one" / "report.json").write_text(text)
  assert words in wrong_line(copy / "one")


def test_a_comparison_of_no_folders_is_one_line(copy):
  change(copy / "compare.json", ("a", "workdirs"), 5)
  assert wrong_line(copy).endswith(
    "compare.json is damaged: a.workdirs: int, list wanted; the same launch.py"
    " compare writes it anew"
  )


def test_what_a_train_split_left_out_gave_is_taken_as_it_stands(alone):
  """And looked at where its predictions are stored."""
  file = alone / "one" / "report.json"
  tracks = json.loads(file.read_text())["splits"]["test"]["known_artists"]
  assert tracks == {"tracks": 0, "of": 9}
  change(file, ("splits", "test", "known_artists", "tracks"), 5)
  line = wrong_line(alone)
  assert "splits.test.known_artists.tracks: 5 stored, 0 recomputed" in line
  (alone / "one" / "predictions" / "train.npz").unlink()
  verified = verify.verify([alone])
  assert not verified.wrong
  assert verified.summary.endswith(
    "none of them wrong; 1 train splits not stored"
  )
  (alone / "one" / "predictions" / "validation.npz").unlink()
  assert "one/predictions/validation.npz: No such file" in wrong_line(alone)


def test_predictions_that_the_report_hides_are_noticed(copy):
  file = copy / "one" / "report.json"
  change(file, ("splits", "test", "track"), {"n": 0})
  line = wrong_line(copy / "one")
  assert "splits.test.track.n: 0 stored, 9 recomputed (and " in line
  made().save(copy / "deep" / "two" / "predictions" / "exam.npz")
  assert "splits.exam: nothing stored, {" in wrong_line(copy / "deep")


def test_a_report_of_an_older_version_is_brought_to_this_one(copy):
  file = copy / "one" / "report.json"
  now, old = (json.loads(file.read_text()) for _ in range(2))
  del old["calibration"]
  for split in old["splits"].values():
    del split["clusters"], split["known_artists"]
    for level in ("segment", "track", "track_majority"):
      del split[level]["top3"], split[level]["ece"]
  file.write_text(json.dumps({**old, "note": "kept"}))
  assert rebuild.rebuild(copy / "one") == {**now, "note": "kept"}
  line = wrong_line(copy / "one")
  assert "clusters: nothing stored, " in line
  assert " more)" in line  # calibration is among them


def test_of_a_gan_what_the_judge_predicted_is_recomputed(tmp_path):
  tables = {"generated": made(segments=1), "real": made(12, segments=1)}
  path = run(tmp_path / "gan", tables, gan=GAN)
  verified = verify.verify([tmp_path])
  assert not verified.wrong
  assert verified.summary.endswith(f"measures of 1 GANs not recomputed: {path}")
  change(path / "report.json", ("splits", "real", "n"), 3)
  assert "splits.real.n: 3 stored, 12 recomputed" in wrong_line(tmp_path)


def test_nothing_to_verify_is_an_error(results, tmp_path, capsys):
  (tmp_path / "empty").mkdir()
  for given, words in (
    ([], "nothing to verify: give folders, as results"),
    ([tmp_path / "empty"], "nothing to verify in "),
    (
      [results, tmp_path / "empty"],
      "empty: no report.json, runs.json, compare.json, ",
    ),
    ([tmp_path / "gone"], "gone: no such folder"),
    ([results / "one" / "report.json"], "no such folder"),
  ):
    assert main(["launch.py", "verify", *map(str, given)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert words in line
  # Named twice it is verified once.
  verified = verify.verify([results, results / "deep" / ".." / "one"])
  assert verified.summary.startswith("verified: 2 report.json")
