"""Where runs fail alike: counted by others, and what is published of tracks."""

import collections
import dataclasses
import json
import math
import shutil
import types

import numpy as np
import pytest
import scipy.stats
import stored
from sklearn import metrics as sk

from gtzan_jax.cli import verbs
from gtzan_jax.errors import InputError
from gtzan_jax.scores.predictions import Predictions
from gtzan_jax.studies.failures import measure as failures
from gtzan_jax.studies.failures import page as failures_page
from gtzan_jax.studies.failures import run
from gtzan_jax.studies.verify import run as verify
from tfds_gtzan.facts import faults, track_lists

TRACKS, SEGMENTS = 60, 4
FAULTY = "wrongly labelled"


def table(seed=0, shift=0, tracks=TRACKS, segments=SEGMENTS) -> Predictions:
  """Answers of which many are wrong, those of tracks 0 to 9 always."""
  rng = np.random.default_rng(seed)
  label = np.repeat(np.arange(tracks) % 3, segments)
  p = rng.dirichlet(np.ones(3), len(label)) + 0.2 * np.eye(3)[label]
  p_true = np.linspace(0.3, 0.1, 10 * segments)[:, None]
  lost = slice(10 * segments)
  p[lost] = p_true * np.eye(3)[label[lost]]
  p[lost] += (1 - p_true) * np.eye(3)[(label[lost] + 1) % 3]
  return Predictions(
    np.repeat([f"t{i + shift:02d}" for i in range(tracks)], segments),
    np.tile(np.arange(segments), tracks),
    label,
    p / p.sum(axis=1, keepdims=True),
    stored.GENRES,
    np.repeat([f"artist {i // 3}" for i in range(tracks)], segments),
  )


def about(track):
  """Most of the always wrong are faulty, a third of the others."""
  number = int(track[1:])
  faulty = {FAULTY: "as X says"} if number < 7 or number % 3 == 0 else {}
  return f"Artist of {track}", "A | song", faulty


def write(folder, answers, seed=0):
  """An evaluated run with these answers."""
  return stored.run(folder, {"test": answers}, seed=seed)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
  folder = tmp_path_factory.mktemp("runs")
  return [write(folder / f"s{i}", table(i), i) for i in range(3)]


@pytest.fixture(scope="module", autouse=True)
def published():
  """What is said of these tracks, in place of GTZAN's."""
  known = faults.about
  with pytest.MonkeyPatch.context() as patch:
    patch.setattr(
      faults, "about", lambda t: about(t) if t[0] == "t" else known(t)
    )
    yield


@pytest.fixture(scope="module")
def result(runs):
  return failures.compute(runs, runs[0].parent)


def test_counts_are_those_of_scikit_learn_and_of_sets(result):
  wrong, confusion = collections.Counter(), np.zeros((3, 3), int)
  for seed in range(3):
    tracks = table(seed).by_track()
    wrong.update(tracks.track[tracks.predicted != tracks.label].tolist())
    confusion += sk.confusion_matrix(
      tracks.label, tracks.predicted, labels=range(3)
    )
  np.fill_diagonal(confusion, 0)
  assert {
    (row["genre"], row["predicted"]): row["n"] for row in result["confused"]
  } == {
    (stored.GENRES[i], stored.GENRES[j]): confusion[i, j]
    for i, j in zip(*np.nonzero(confusion), strict=True)
  }
  assert result["confused"][0]["n"] == confusion.max()
  always = {track for track, times in wrong.items() if times == 3}
  assert {f"t{i:02d}" for i in range(10)} <= always
  assert {row["track"] for row in result["always_wrong"]} == always
  times = collections.Counter(wrong.values())
  assert result["wrong_in"] == [60 - len(wrong), *(times[i] for i in (1, 2, 3))]
  errors = [1 - run["accuracy"] for run in result["runs"]]
  assert result["by_chance"] == pytest.approx(60 * math.prod(errors))
  assert result["by_chance"] < len(always) / 2  # what this is about
  assert (result["n"], result["clusters"]) == (60, 20)


def test_the_always_wrong_are_named_least_probable_first(result):
  rows = {row["track"]: row for row in result["always_wrong"]}
  p_true = [row["true_probability"] for row in rows.values()]
  assert p_true == sorted(p_true)
  assert list(rows)[:10] == [f"t{i:02d}" for i in range(9, -1, -1)]
  row = rows["t04"]
  assert (row["genre"], row["heard"]) == ("jazz", {"rock": 3})
  assert (row["artist"], row["title"]) == ("Artist of t04", "A | song")
  assert result["notes"]["t04"] == {FAULTY: "as X says"}
  assert "t07" not in result["notes"]


def test_faults_are_tested_as_the_hypergeometric_distribution_says(result):
  """Fisher's p: all tables with these margins that are no likelier."""
  test = result["faults"][FAULTY]
  (a, b), (c, d) = test["always_wrong"], test["others"]
  always = {row["track"] for row in result["always_wrong"]}
  faulty = {t for t in (f"t{i:02d}" for i in range(60)) if about(t)[2]}
  assert (a, b) == (len(always & faulty), len(always - faulty))
  assert (a + c, a + b + c + d) == (len(faulty), 60)
  ways = scipy.stats.hypergeom(60, a + c, a + b).pmf(np.arange(a + b + 1))
  p = ways[ways <= ways[a] * (1 + 1e-9)].sum()
  assert test["p"] == pytest.approx(p)
  assert p < 0.1
  assert test["odds_ratio"] == pytest.approx(a * d / (b * c))


def by_artist(seed) -> Predictions:
  """Answers of which an artist's, at a position, are all right or all wrong."""
  given = table(seed)
  right = np.random.default_rng(seed).random((TRACKS // 3, SEGMENTS)) < 0.6
  shift = np.repeat(~right, 3, axis=0).reshape(-1)
  p = 0.1 + 0.7 * np.eye(3)[(given.label + shift) % 3]
  return dataclasses.replace(given, probabilities=p)


def test_position_is_scored_by_resampling_artists(tmp_path):
  tables = [by_artist(seed) for seed in range(3)]
  paths = [write(tmp_path / f"s{i}", x, i) for i, x in enumerate(tables)]
  result = failures.compute(paths, tmp_path)
  right = np.mean([x.predicted == x.label for x in tables], axis=0)
  right = right.reshape(TRACKS, SEGMENTS)
  rng = np.random.default_rng(5)
  artists = right.reshape(20, 3, SEGMENTS)
  drawn = artists[rng.integers(20, size=(4000, 20))].mean(axis=(1, 2))
  low, high = np.percentile(drawn, [2.5, 97.5], axis=0)
  for i, row in enumerate(result["position"]):
    assert (row["segment"], row["n"]) == (i, 60)
    assert row["accuracy"] == pytest.approx(right[:, i].mean())
    assert row["ci95"] == pytest.approx([low[i], high[i]], abs=0.03)


def test_neither_order_nor_cut_matters_to_tracks(runs, result, tmp_path):
  shuffled = np.random.default_rng(0).permutation(TRACKS * SEGMENTS)
  write(tmp_path / "b", table(1).select(shuffled), 1)
  same = failures.compute([runs[0], tmp_path / "b", runs[2]])
  assert {**same, "runs": None} == {**result, "runs": None}
  write(tmp_path / "c", table(2).by_track(), 2)
  same = failures.compute([*runs[:2], tmp_path / "c"])
  assert same["position"] is None
  assert same["wrong_in"] == result["wrong_in"]


def test_what_the_verb_writes_can_be_verified(runs, result, tmp_path, capsys):
  moved = tmp_path / "moved"
  shutil.copytree(runs[0].parent, moved)
  files = [str(moved / run.name) for run in runs]
  flags = types.SimpleNamespace(out=str(moved))
  assert verbs.failures(types.SimpleNamespace(files=files, flags=flags)) == 0
  out = capsys.readouterr().out
  assert "of 60 test tracks all 3 runs get" in out
  noted, without = result["faults"][FAULTY]["always_wrong"]
  always = f"{noted} of {noted + without} always wrong"
  assert f"faults: {FAULTY}: {always}, " in out
  assert out.endswith(f"failures: {moved / 'failures.json'}\n")
  assert json.loads((moved / "failures.json").read_text()) == result
  assert not list(verify.differences(result, failures.again(moved)))
  page = moved / "failures.md"
  text = page.read_text()
  assert "A &#124; song" in text  # no cell of its own
  assert f"| {FAULTY} |" in text
  assert (moved / "failures.png").stat().st_size > 10_000
  page.write_text(text.replace(" 60 ", " 61 ", 1))
  (line,) = verify.verify([moved]).wrong
  assert line.startswith(f"{page}: line 9: ")
  table(7).save(moved / "s1" / "predictions" / "test.npz")
  with pytest.raises(InputError, match=r"in report.json: evaluate it again"):
    failures.again(moved)
  (moved / "failures.json").write_text(json.dumps({**result, "runs": 3}))
  with pytest.raises(InputError, match="is damaged: runs: int, list wanted"):
    failures.again(moved)


def test_a_run_that_tells_nothing_new_is_named(runs, tmp_path):
  write(tmp_path / "copy", table(0), 8)
  paths = [runs[0], tmp_path / "copy", runs[1]]
  again = failures.compute(paths, tmp_path)
  assert [bool(run["copy_of"]) for run in again["runs"]] == [False, True, False]
  warning = "warning: copy has the predictions of"
  assert any(line.startswith(warning) for line in failures_page.lines(again))
  # what is expected by chance is of the two that tell something
  two = failures.compute([runs[0], runs[1]])
  assert again["by_chance"] == two["by_chance"] > 0
  alone = failures.compute(paths[:2])
  assert alone["by_chance"] is None
  assert "independent" not in failures_page.document(alone).markdown()


def test_mistakes_get_one_line(runs, tmp_path):
  other = write(tmp_path / "other", table(0, shift=1))
  none = stored.run(tmp_path / "none", {})
  for paths, message in (
    ([], "^failures of no run: give two evaluated runs or more$"),
    (
      [runs[0], none],
      f"^{none} was not tested on what {runs[0]} was: its headline is the None",
    ),
    ([none, runs[0]], f"^{none} has no scored split$"),
    ([runs[0], other], "2 tracks are in one of them only"),
  ):
    with pytest.raises(InputError, match=message):
      failures.compute(paths)
  with pytest.raises(InputError, match="--out is needed"):
    run.run(runs, None)


# What is published.


def test_notes_are_those_of_the_published_lists():
  known = {track: faults.about(track) for track in track_lists.artists()}
  counts = collections.Counter(
    kind for one in known.values() for kind in one.notes
  )
  assert counts == {faults.STRUCK: 70, faults.REPEATS: 127, faults.DISTORTED: 1}
  assert {t: one.artist for t, one in known.items()} == track_lists.artists()
  queen = known["metal.00058"]
  assert (queen.artist, queen.title) == ("Queen", "Tie Your Mother Down")
  assert queen.notes[faults.REPEATS] == "the same sound as rock.00016"
  assert "distorted but for 5 s" in known["reggae.00086"].notes["distorted"]
  assert known["blues.00000"].notes == {}
  assert known["classical.00042"].notes[faults.REPEATS] == (
    "the same song as classical.00053"
  )


def test_nothing_is_published_of_other_tracks():
  assert faults.about("jazz.s00001") == ("", "", {})
