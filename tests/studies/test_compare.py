"""Paired comparisons by hand, by enumeration and by scipy; of runs on disk."""

import dataclasses
import itertools
import json
import math

import numpy as np
import pytest
import scipy.stats
from stored import made, parts, run

from gtzan_jax.cli.main import main
from gtzan_jax.errors import InputError
from gtzan_jax.scores import paired_tests
from gtzan_jax.scores.predictions import Predictions
from gtzan_jax.studies.compare import run as compare_runs


def answers(right, artist=None) -> Predictions:
  """A track each, predicted rightly or not."""
  right = np.asarray(right, int)
  label = np.arange(len(right)) % 2
  tracks = [f"t{i:03d}" for i in range(len(right))]
  probabilities = np.eye(2)[np.where(right, label, 1 - label)]
  genres = ("blues", "jazz")
  return Predictions(
    tracks, [-1] * len(right), label, probabilities, genres, artist
  )


def resampled(groups) -> np.ndarray:
  """The interval of a mean by all resamples of groups of values."""
  drawn = itertools.product(groups, repeat=len(groups))
  means = [np.concatenate(one).mean() for one in drawn]
  return np.percentile(means, [2.5, 97.5])


@pytest.mark.parametrize(
  ("only_a", "only_b"), [(0, 0), (1, 0), (3, 3), (9, 2), (2, 9), (30, 12)]
)
def test_mcnemars_test_by_hand(only_a, only_b):
  """Twice the tail of so many fair coins, of two models that differ so often,
  are both right 5 times and both wrong 4 times."""
  a = answers([1] * only_a + [0] * only_b + [1] * 5 + [0] * 4)
  b = answers([0] * only_a + [1] * only_b + [1] * 5 + [0] * 4)
  got = paired_tests.compare(a, b, resamples=2)
  n, least = only_a + only_b, min(only_a, only_b)
  tail = sum(math.comb(n, k) for k in range(least + 1)) / 2**n
  p = pytest.approx(min(1, 2 * tail))
  assert got["mcnemar"] == {"only_a": only_a, "only_b": only_b, "p": p}
  assert got["difference"] == pytest.approx((only_a - only_b) / (n + 9))
  assert got["accuracy_a"] == pytest.approx((only_a + 5) / (n + 9))
  assert got["accuracy_b"] == pytest.approx((only_b + 5) / (n + 9))


def test_the_interval_of_artists_by_enumeration():
  """All resamples of five artists, and each takes both models' answers."""
  artist = np.repeat(["v", "w", "x", "y", "z"], [1, 2, 3, 4, 5])
  a = np.array([1, 1, 1, 0, 0, 0, 1, 1, 1, 1, 0, 0, 0, 1, 0])
  b = np.array([0, 1, 1, 0, 0, 1, 1, 1, 1, 0, 1, 1, 1, 1, 0])
  tables = answers(a, artist), answers(b, artist)
  got = paired_tests.compare(*tables, resamples=50_000)
  wanted = resampled([(a - b)[artist == one] for one in "vwxyz"])
  np.testing.assert_allclose(got["ci95"], wanted, atol=0.02)
  assert got["clusters"] == 5
  many = ([table] * 2 for table in tables)  # nothing is learnt from a copy
  assert (
    paired_tests.compare_many(*many, resamples=50_000)["ci95"] == got["ci95"]
  )


def test_neither_the_order_of_rows_nor_of_models_matters():
  a, b = made(12, seed=1), made(12, seed=2)
  got = paired_tests.compare(a, b)
  assert paired_tests.compare(a, b.select(np.arange(len(b))[::-1])) == got
  assert paired_tests.compare(b, a)["difference"] == -got["difference"] != 0
  # Segments of a track are no trials of McNemar's test.
  assert got["mcnemar"] is None
  assert (got["n"], got["clusters"]) == (24, 12)
  assert paired_tests.compare_many([a] * 2, [b] * 2)["mcnemar"] is None
  tracks = a.by_track()
  same = paired_tests.compare(tracks, tracks)
  assert (same["difference"], same["ci95"]) == (0, [0, 0])
  assert same["mcnemar"] == {"only_a": 0, "only_b": 0, "p": 1}


def test_seeds_by_hand():
  a = [answers([1, 1, 1, 0]), answers([1, 1, 0, 0])]
  b = [answers([1, 0, 0, 0]), answers([0, 0, 0, 0]), answers([0, 1, 0, 1])]
  got = paired_tests.compare_many(a, b, resamples=20_000)
  assert got["accuracy_a"] == pytest.approx(5 / 8)
  assert got["accuracy_b"] == pytest.approx(3 / 12)
  assert got["difference"] == pytest.approx(3 / 8)
  assert got["deviation_a"] == pytest.approx(np.std([3, 2], ddof=1) / 4)
  assert got["deviation_b"] == pytest.approx(np.std([1, 0, 2], ddof=1) / 4)
  tests = [(test["only_a"], test["only_b"]) for test in got["mcnemar"]]
  assert tests == [(2, 0), (2, 0)]
  # A resample takes whole tracks: of these gains, four with replacement.
  wanted = resampled([[1 - 1 / 3], [1 - 1 / 3], [1 / 2], [-1 / 3]])
  np.testing.assert_allclose(got["ci95"], wanted, atol=0.02)


def segments_of(right) -> Predictions:
  """Two segments a track, all of genre 0, each right or not."""
  number = np.arange(len(right))
  return Predictions(
    [f"t{i // 2}" for i in number],
    number % 2,
    0 * number,
    np.where(np.asarray(right)[:, None], [[0.9, 0.1]], [[0.2, 0.8]]),
    ("a", "b"),
  )


def test_an_accuracy_is_a_mean_over_seeds_and_its_interval_scipys():
  rng = np.random.default_rng(1)
  right = rng.random((2, 60)) < np.array([[0.8], [0.7]])
  tables = [segments_of(one) for one in right]
  got = paired_tests.mean_accuracy(tables)
  assert got["accuracy"] == pytest.approx(right.mean())
  assert got["deviation"] == pytest.approx(right.mean(1).std(ddof=1))
  wanted = scipy.stats.bootstrap(
    (right.mean(0).reshape(30, 2).mean(1),),
    np.mean,
    n_resamples=5_000,
    method="percentile",
    rng=0,
  ).confidence_interval
  assert got["ci95"] == pytest.approx(wanted, abs=0.015)
  shuffled = tables[1].select(rng.permutation(60))
  assert paired_tests.mean_accuracy([tables[0], shuffled]) == got
  assert paired_tests.mean_accuracy(tables[:1])["deviation"] is None
  with pytest.raises(InputError, match="have other segments"):
    paired_tests.mean_accuracy([made(segments=2), made(segments=3)])


@pytest.mark.parametrize(
  ("a", "b", "words"),
  [
    (
      [made()] * 2,
      [made(), made(genres=("blues", "jazz", "pop"))],
      "genres blues, jazz, pop",
    ),
    (
      [made()] * 2,
      [made(), made(8)],
      "1 track is in one of them only, such as rock.00008",
    ),
    (
      [made()] * 2,
      [made(), dataclasses.replace(made(), label=(made().label + 1) % 3)],
      "track blues.00000 is blues in the first, jazz in the second",
    ),
    (
      [made()] * 2,
      [made(), made(segments=3)],
      "other segments; compare them by track",
    ),
    ([made()], [made()] * 2, "1 seed of the first received"),
    ([made()] * 2, [made()], "1 seed of the second received"),
    ([], [made()] * 2, "0 seed of the first"),
    ([made(0)] * 2, [made(0)] * 2, "0 rows"),
  ],
)
def test_what_cannot_be_compared_is_refused(a, b, words):
  calls = [lambda: paired_tests.compare_many(a, b)]
  if len(a) == len(b):
    calls.append(lambda: paired_tests.compare(a[0], b[1]))
  for call in calls:
    with pytest.raises(InputError, match=words) as caught:
      call()
    assert "\n" not in str(caught.value)


# Runs.


NOBODY = {"tracks": 0, "of": 0}  # is known


def test_two_runs_are_compared_by_one_command(tmp_path, capsys):
  a = run(tmp_path / "runs" / "a", parts(1))
  b = run(tmp_path / "runs" / "b", parts(2), recipe="fcn", leak="It leaks.")
  argv = ["launch.py", "compare", f"--workdir={a}", f"--workdir={b}"]
  (tmp_path / "disk" / "deep").mkdir(parents=True)
  (tmp_path / "link").symlink_to(tmp_path / "disk" / "deep")
  assert main([*argv, f"--out={tmp_path / 'out'}"]) == 0
  printed = capsys.readouterr().out
  got = json.loads((tmp_path / "out" / "compare.json").read_text())
  one, other = parts(1)["validation"], parts(2)["validation"]
  side = {"protocol": "filtered", "seeds": [1], "known_artists": NOBODY}
  named = {"recipe": "mel_cnn", "leak": None, "workdirs": ["../runs/a"]}
  leaky = {"recipe": "fcn", "leak": "It leaks.", "workdirs": ["../runs/b"]}
  assert got == {
    **{"split": "validation", "a": side | named, "b": side | leaky},
    "track": paired_tests.compare(one.by_track(), other.by_track()),
    "segment": paired_tests.compare(one, other),
  }
  assert compare_runs.again(tmp_path / "out") == got
  track = got["track"]
  low, high = track["ci95"]
  for line in (
    "b: fcn, seed 1 (filtered); LEAKS: It leaks.",
    "no test tracks present: the validation split also chose the checkpoints",
    f"track     {track['accuracy_a']:7.3f}{track['accuracy_b']:7.3f}"
    f"{track['difference']:+9.3f}   {low:+.3f} to {high:+.3f}",
    f"p = {track['mcnemar']['p']:.3g}",
  ):
    assert line in printed
  assert not list(tmp_path.glob("compare.json"))
  assert main(argv) == 0
  out = tmp_path / "link" / "out"  # runs are found from behind a link
  assert main([*argv, f"--out={out}"]) == 0
  assert compare_runs.again(out)["track"] == track


def test_artists_of_the_train_split_are_reported(tmp_path):
  known = {"train": made(9, artists=3, first=100), "test": made(9, artists=3)}
  a = run(tmp_path / "a", known)
  b = run(tmp_path / "b", {"test": made(9, artists=3, seed=2)})
  lines = compare_runs.lines(compare_runs.compare_runs([a, b]))
  note = "a: 9 of 9 test tracks are by artists of the train split: mostly"
  assert [line for line in lines if "artists of the" in line] == [
    f"{note} artist recognition."
  ]
  assert not any("checkpoints" in line for line in lines)


def seeded(folder, recipe, seed, **config):
  config = {"recipe": recipe, "seed": seed, **config}
  shift = 0 if recipe == "fcn" else 50
  return run(
    folder / f"{recipe}{seed}",
    parts(seed + shift),
    recipe=recipe,
    seed=seed,
    config=config,
  )


def test_several_seeds_are_told_apart_from_two_recipes(tmp_path):
  """In whatever order; equal seeds are tested against each other."""
  named = ["fcn3", "cnn1", "fcn2", "cnn3", "fcn0", "cnn2"]
  paths = [seeded(tmp_path, name[:3], int(name[3])) for name in named]
  got = compare_runs.compare_runs(paths, tmp_path)
  text = "\n".join(compare_runs.lines(got))
  assert "a: fcn, seed 2, 3, 0" in text
  assert "exact test of seed 3: " in text
  assert got["a"]["seeds"] == [2, 3, 0]
  assert got["b"]["seeds"] == [2, 3, 1]
  assert got["b"]["workdirs"] == ["cnn2", "cnn3", "cnn1"]
  wanted = paired_tests.compare_many(
    *(
      [parts(seed + shift)["validation"].by_track() for seed in seeds]
      for seeds, shift in (([2, 3, 0], 0), ([2, 3, 1], 50))
    )
  )
  tests = zip((2, 3), wanted["mcnemar"], strict=False)
  wanted["mcnemar"] = [{"seed": seed, **test} for seed, test in tests]
  assert got["track"] == wanted


def test_what_makes_no_other_experiment_tells_no_runs_apart(tmp_path):
  """As where data are cached and how often is resampled: the leaderboard's."""
  paths = [
    seeded(tmp_path, "fcn", 0, data={"dir": "a", "fold": 0}),
    seeded(tmp_path, "fcn", 1, data={"dir": "b", "fold": 0}, log={"every": 5}),
    seeded(tmp_path, "cnn", 0),
    seeded(tmp_path, "cnn", 1, eval={"bootstrap": 7}),
  ]
  assert compare_runs.compare_runs(paths)["a"]["seeds"] == [0, 1]
  other = seeded(tmp_path / "other", "fcn", 2, data={"dir": "a", "fold": 1})
  with pytest.raises(InputError, match="5 --workdir of 3 experiments"):
    compare_runs.compare_runs([*paths, other])


def test_where_segments_differ_tracks_are_compared(tmp_path):
  a, b = (run(tmp_path / f"r{n}", parts(1, segments=n)) for n in (2, 3))
  got = compare_runs.compare_runs([a, b])
  assert got["segment"] is None
  assert got["track"]["n"] == 9
  assert not any("segment" in line for line in compare_runs.lines(got))


@pytest.fixture
def runs(tmp_path):
  gone = made()
  gone.probabilities[3] = np.nan
  nan = run(tmp_path / "nan", parts(3))
  gone.save(nan / "predictions" / "validation.npz")
  return {
    "nan": nan,
    "plain": run(tmp_path / "plain", parts(1)),
    "tested": run(tmp_path / "tested", parts(1) | {"test": made()}),
    "short": run(tmp_path / "short", {"validation": made(8)}),
    "none": run(tmp_path / "none", {}),
    "long": seeded(tmp_path / "long", "fcn", 2, epochs=100),
    "again": seeded(tmp_path / "again", "fcn", 1),
    **{
      f"{recipe}{seed}": seeded(tmp_path, recipe, seed)
      for recipe, seed in itertools.product(("fcn", "cnn"), (0, 1))
    },
  }


def test_runs_that_cannot_be_compared_are_one_clear_line(runs, capsys):
  for names, words in (
    ("", "a comparison of no run: give two evaluated runs or more, each as --"),
    ("plain tested", "its headline is the test split, not validation"),
    ("plain none", "its headline is the None split"),
    ("none plain", "has no scored split"),
    ("plain short", "as rock.00008 in the first"),
    ("fcn0 fcn1 cnn0", "cnn0 is the only seed of cnn: give two seeds or more"),
    (
      "fcn0 fcn1 cnn0 cnn1 plain",
      "5 --workdir of 3 experiments (cnn, fcn, mel",
    ),
    ("fcn0 fcn1 long", "long/fcn2 is the only seed of fcn"),
    ("fcn0 fcn1 again cnn0 cnn1", "again/fcn1 has seed 1, like"),
    ("fcn0 fcn1 fcn0", "fcn0 was given twice"),
    ("plain nan", "validation.npz: NaN at track"),
  ):
    given = [f"--workdir={runs[name]}" for name in names.split()]
    assert main(["launch.py", "compare", *given]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert words in line
