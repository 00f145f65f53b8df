"""Stored numbers once more: what is noticed, counted and refused."""

import json
import shutil

import numpy as np
import pytest
from stored import made, parts, run

from gtzan_jax.cli.main import main
from gtzan_jax.errors import InputError
from gtzan_jax.gan import fidelity
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
  found = compare_runs.compare_runs([root / "one", root / "deep" / "two"], root)
  compare_runs.write(found, root)
  leaderboard_page.write([root], root)
  return root


@pytest.fixture
def copy(results, tmp_path):
  return shutil.copytree(results, tmp_path / "results")


def change(file, path, value):
  """Sets one value of a JSON file; a function is given the old one."""
  whole = inner = json.loads(file.read_text())
  for key in path[:-1]:
    inner = inner[key]
  old = inner[path[-1]]
  inner[path[-1]] = value(old) if callable(value) else value
  file.write_text(json.dumps(whole))


def test_what_is_right_is_counted(results, capsys):
  assert main(["launch.py", "verify", str(results)]) == 0
  assert capsys.readouterr().out == (
    "verified: 2 report.json, 1 compare.json, 1 leaderboard.md; none of them"
    " wrong\n"
  )


TRACK = ("splits", "test", "track")


@pytest.mark.slow
@pytest.mark.parametrize(
  ("path", "value", "words"),
  [
    ((*TRACK, "accuracy"), 0.99, "splits.test.track.accuracy: 0.99 stored, 0."),
    ((*TRACK, "accuracy"), lambda x: x + 1e-8, "splits.test.track.accuracy: "),
    ((*TRACK, "ci95", 0), lambda x: x - 0.1, "splits.test.track.ci95[0]: "),
    ((*TRACK, "confusion", 2, 1), 9, "track.confusion[2][1]: 9 stored, "),
    ((*TRACK, "per_genre", "jazz", "support"), 2, "per_genre.jazz.support: 2"),
    (("splits", "train", "segment", "loss"), 0.1, "splits.train.segment.loss"),
    (("splits", "test", "sha256"), "ab", 'splits.test.sha256: "ab" stored, "'),
    (("splits", "test", "n"), 290, "splits.test.n: 290 stored, 9 recomputed"),
    (
      ("splits", "test", "clusters"),
      9,
      "splits.test.clusters: 9 stored, 4 rec",
    ),
    (("splits", "test", "hardest", 0, "track"), "x", "hardest[0].track: "),
    (("splits", "test", "reliability"), [], "reliability: 0 items stored, "),
    (("calibration", "track", "temperature"), 1.0, "calibration.track.temper"),
    (("calibration",), None, 'calibration: null stored, {"fitted_on": '),
    (("headline",), "validation", 'headline: "validation" stored, "test" rec'),
    (("genres", 0), "ska", 'genres[0]: "ska" stored, "blues" recomputed'),
  ],
  ids=lambda value: "changed" if callable(value) else str(value),
)
def test_every_number_is_looked_at(copy, path, value, words, capsys):
  (copy / "leaderboard.md").unlink()  # which would show it too
  (copy / "compare.json").unlink()
  change(copy / "one" / "report.json", path, value)
  assert main(["launch.py", "verify", str(copy)]) == 1
  line, summary = capsys.readouterr().out.splitlines()
  assert line.startswith(f"{copy / 'one' / 'report.json'}: ")
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
      lambda table: {"probabilities": table.probabilities[:, [1, 0, 2]]},
      r"/test.npz: accuracy 0.666667 of 9 tracks, but 0.444444 of 9 in report",
    ),
    (
      lambda table: {"artist": np.full(len(table), "x")},
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
  table = made(artists=4, seed=7)
  np.savez(file, **{**columns, **changed(table)})
  wrong = verify.verify([copy]).wrong
  assert f"{copy / 'one'}/report.json: splits.test." in wrong[0]
  assert " more)" in wrong[0]
  assert why in wrong[1]
  # The leaderboard is drawn from reports, of which none has changed.
  assert len(wrong) == 2


def test_a_leaderboard_of_other_reports_is_noticed(copy):
  text = (copy / "leaderboard.md").read_text()
  (copy / "leaderboard.md").write_text(text.replace("| 1: 3 ", "| 1: 4 "))
  (line,) = verify.verify([copy]).wrong
  assert line.startswith(f"{copy / 'leaderboard.md'}: line ")
  assert "| 1: 4 " in line
  shutil.rmtree(copy / "deep")
  wrong = verify.verify([copy]).wrong
  assert len(wrong) == 2  # and a comparison with what is gone
  assert "deep/two: no such folder" in wrong[0]


def test_the_page_beside_a_folder_is_its_leaderboard(copy, capsys):
  page = copy.with_suffix(".md")
  page.write_text(
    "Ours\n<!-- drawn by us -->\n<!-- end of the leaderboard -->\nand more\n"
  )
  (copy / "deep" / "two.md").write_text("about the second run")
  leaderboard_page.write([copy], page)
  for given in (copy, copy.parent):
    assert main(["launch.py", "verify", str(given)]) == 0
    assert "1 leaderboard.md, 1 results.md; none" in capsys.readouterr().out
  page.write_text(page.read_text().replace("| 1: 3 ", "| 1: 4 "))
  (line,) = verify.verify([copy]).wrong
  assert line.startswith(f"{page}: line ")
  assert "| 1: 4 " in line


@pytest.mark.parametrize("mark", ["<!-- drawn by us -->", "<!-- end of the"])
def test_a_page_that_has_lost_a_mark_is_wrong(copy, mark):
  page = copy.with_suffix(".md")
  page.write_text("<!-- drawn by us -->\n<!-- end of the leaderboard -->\n")
  leaderboard_page.write([copy], page)
  page.write_text(page.read_text().replace(mark, ""))
  (line,) = verify.verify([copy]).wrong
  assert "has no place for the leaderboard" in line


def test_where_two_long_lines_part_is_shown():
  one, other = (f"{'the same words ' * 9}{x} and more" for x in "ab")
  (found,) = verify.differences(f"a\n{one}", f"a\n{other}")
  assert found == (
    'line 2: "...the same words the same words a and more" stored, "...the same'
    ' words the same words b and more" recomputed'
  )
  found = verify.differences("a", "a\nb")
  assert [*found] == ['line 2: nothing stored, "b" recomputed']


@pytest.mark.parametrize(
  "settings",
  [
    *({"bootstrap": value} for value in ("many", 0, True, 10**12)),
    [],
  ],
)
def test_a_report_of_no_number_of_resamples_is_one_line(copy, settings):
  change(copy / "one" / "report.json", ("config", "eval"), settings)
  (line,) = verify.verify([copy / "one"]).wrong
  assert "config.eval.bootstrap is to be a whole number from 1 to" in line


def test_a_comparison_of_no_folders_is_one_line(copy):
  change(copy / "compare.json", ("a", "workdirs"), 5)
  (line,) = verify.verify([copy]).wrong
  assert line.endswith(
    "compare.json is damaged: a.workdirs: int, list wanted; the same launch.py"
    " compare writes it anew"
  )


def test_artists_of_a_train_part_left_out_are_taken_as_they_stand(copy):
  """And looked at where it is stored."""
  file = copy / "one" / "report.json"
  tracks = json.loads(file.read_text())["splits"]["test"]["known_artists"]
  assert tracks == {"tracks": 0, "of": 9}
  change(file, ("splits", "test", "known_artists", "tracks"), 5)
  for other in ("compare.json", "leaderboard.md"):
    (copy / other).unlink()
  (line,) = verify.verify([copy]).wrong
  assert "splits.test.known_artists.tracks: 5 stored, 0 recomputed" in line
  (copy / "one" / "predictions" / "train.npz").unlink()
  assert not verify.verify([copy]).wrong


def test_the_train_part_alone_may_have_been_left_out(copy):
  (copy / "one" / "predictions" / "train.npz").unlink()
  found = verify.verify([copy])
  assert not found.wrong
  assert found.summary.endswith("none of them wrong; 1 train splits not stored")
  (copy / "one" / "predictions" / "validation.npz").unlink()
  for file in ("compare.json", "leaderboard.md"):
    (copy / file).unlink()
  (line,) = verify.verify([copy]).wrong
  assert "one/predictions/validation.npz: No such file" in line


def test_predictions_that_the_report_hides_are_noticed(copy):
  file = copy / "one" / "report.json"
  change(file, ("splits", "test", "track"), {"n": 0})
  (line,) = verify.verify([copy / "one"]).wrong
  assert "splits.test.track.n: 0 stored, 9 recomputed (and " in line
  made().save(copy / "deep" / "two" / "predictions" / "exam.npz")
  (line,) = verify.verify([copy / "deep"]).wrong
  assert "splits.exam: nothing stored, {" in line


def test_a_report_of_an_older_version_is_brought_to_this_one(copy):
  file = copy / "one" / "report.json"
  now = json.loads(file.read_text())
  old = json.loads(file.read_text())
  del old["calibration"]
  for split in old["splits"].values():
    del split["clusters"], split["known_artists"]
    for level in ("segment", "track", "track_majority"):
      del split[level]["top3"], split[level]["ece"]
  file.write_text(json.dumps({**old, "note": "kept"}))
  assert rebuild.rebuild(copy / "one") == {**now, "note": "kept"}
  (line,) = verify.verify([copy / "one"]).wrong
  assert "clusters: nothing stored, " in line
  assert " more)" in line  # calibration is among them


def test_of_a_gan_what_the_judge_heard_is_recomputed(tmp_path):
  measures = dict.fromkeys(fidelity.MEASURES, 0.5)
  gan = {
    **{"domain": "features", "generated": 9, "chance": 1 / 3},
    **{"collapsed": False, "memorised": False, "genre_share": {}},
    "judge": {"recipe": "mel_cnn", "path": "judge", "accuracy": 0.7},
    "measures": {"validation": measures},
  }
  heard = {"generated": made(segments=1), "real": made(12, segments=1)}
  path = run(tmp_path / "gan", heard, gan=gan)
  found = verify.verify([tmp_path])
  assert not found.wrong
  assert found.summary.endswith(f"measures of 1 GANs not recomputed: {path}")
  change(path / "report.json", ("splits", "real", "n"), 3)
  (line,) = verify.verify([tmp_path]).wrong
  assert "splits.real.n: 3 stored, 12 recomputed" in line


@pytest.mark.parametrize(
  ("text", "words"),
  [
    ("{", "cannot be read"),
    ("[]", "holds no report: all of it: list, dict wanted"),
    ("{}", "holds no report: config: absent"),
    ('{"config": {}, "history": [], "splits": {}}', "recipe: absent"),
  ],
)
def test_what_is_no_report_is_one_line(copy, text, words):
  (copy / "one" / "report.json").write_text(text)
  (line,) = verify.verify([copy / "one"]).wrong
  assert words in line
  assert "\n" not in line


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
  found = verify.verify([results, results / "deep" / ".." / "one"])
  assert found.summary.startswith("verified: 2 report.json")
  (tmp_path / "empty" / "report.json").write_text("[]")
  with pytest.raises(InputError, match="holds no report"):
    rebuild.rebuild(tmp_path / "empty")
