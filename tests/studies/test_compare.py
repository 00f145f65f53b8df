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
from gtzan_jax.scores import compare
from gtzan_jax.scores.predictions import Predictions
from gtzan_jax.studies.compare import run as compare_runs


def answers(right, artist=None) -> Predictions:
  """A track each, answered rightly or not."""
  right = np.asarray(right, int)
  label = np.arange(len(right)) % 2
  return Predictions(
    [f"t{i:03d}" for i in range(len(right))],
    [-1] * len(right),
    label,
    np.eye(2)[np.where(right, label, 1 - label)],
    ("blues", "jazz"),
    artist,
  )


def table_of(only_a, only_b, both=5, neither=4) -> tuple:
  """Two models that differ on so many tracks."""
  a = [1] * only_a + [0] * only_b + [1] * both + [0] * neither
  b = [0] * only_a + [1] * only_b + [1] * both + [0] * neither
  return answers(a), answers(b)


@pytest.mark.parametrize(
  ("only_a", "only_b"), [(0, 0), (1, 0), (3, 3), (9, 2), (2, 9), (30, 12)]
)
def test_mcnemars_test_by_hand(only_a, only_b):
  """Twice the tail of so many fair coins."""
  found = compare.compare(*table_of(only_a, only_b), resamples=2)
  n, least = only_a + only_b, min(only_a, only_b)
  tail = sum(math.comb(n, k) for k in range(least + 1)) / 2**n
  assert found["mcnemar"] == {
    "only_a": only_a,
    "only_b": only_b,
    "p": pytest.approx(min(1, 2 * tail)),
  }
  assert found["difference"] == pytest.approx((only_a - only_b) / (n + 9))
  assert found["accuracy_a"] == pytest.approx((only_a + 5) / (n + 9))
  assert found["accuracy_b"] == pytest.approx((only_b + 5) / (n + 9))


def test_the_interval_of_independent_tracks_is_scipys():
  rng = np.random.default_rng(0)
  right = rng.random((2, 150)) < [[0.7], [0.6]]
  found = compare.compare(*map(answers, right), resamples=20_000)
  theirs = scipy.stats.bootstrap(
    list(right.astype(float)),
    lambda a, b, axis: a.mean(axis) - b.mean(axis),
    paired=True,
    n_resamples=20_000,
    method="percentile",
    rng=np.random.default_rng(1),
  ).confidence_interval
  np.testing.assert_allclose(found["ci95"], theirs, atol=0.01)
  assert found["n"] == found["clusters"] == 150


def test_the_interval_of_artists_by_enumeration():
  """All resamples of five artists, and each takes both models' answers."""
  artist = np.repeat(["v", "w", "x", "y", "z"], [1, 2, 3, 4, 5])
  a = np.array([1, 1, 1, 0, 0, 0, 1, 1, 1, 1, 0, 0, 0, 1, 0])
  b = np.array([0, 1, 1, 0, 0, 1, 1, 1, 1, 0, 1, 1, 1, 1, 0])
  gain = a - b
  means = [
    np.concatenate([gain[artist == one] for one in drawn]).mean()
    for drawn in itertools.product("vwxyz", repeat=5)
  ]
  found = compare.compare(
    answers(a, artist), answers(b, artist), resamples=50_000
  )
  wanted = np.percentile(means, [2.5, 97.5])
  np.testing.assert_allclose(found["ci95"], wanted, atol=0.02)
  assert found["clusters"] == 5
  many = compare.compare_many(
    [answers(a, artist)] * 2, [answers(b, artist)] * 2, resamples=50_000
  )
  assert many["ci95"] == found["ci95"]  # nothing is learnt from a copy


def test_the_order_of_rows_says_nothing():
  a, b = made(12, seed=1), made(12, seed=2)
  turned = Predictions(
    *(getattr(b, f.name)[::-1] for f in dataclasses.fields(b)[:4]), b.genres
  )
  assert compare.compare(a, turned) == compare.compare(a, b)
  mirrored = compare.compare(b, a)
  assert mirrored["difference"] == -compare.compare(a, b)["difference"] != 0


def test_a_model_is_as_good_as_itself():
  table = made(30).by_track()
  found = compare.compare(table, table)
  assert found["difference"] == 0
  assert found["ci95"] == [0, 0]
  assert found["mcnemar"] == {"only_a": 0, "only_b": 0, "p": 1}


def test_segments_are_no_trials():
  found = compare.compare(made(seed=1), made(seed=2))
  assert found["mcnemar"] is None
  assert (found["n"], found["clusters"]) == (18, 9)
  many = compare.compare_many([made(seed=1)] * 2, [made(seed=2)] * 2)
  assert many["mcnemar"] is None


def test_seeds_by_hand():
  a = [answers([1, 1, 1, 0]), answers([1, 1, 0, 0])]
  b = [answers([1, 0, 0, 0]), answers([0, 0, 0, 0]), answers([0, 1, 0, 1])]
  found = compare.compare_many(a, b, resamples=20_000)
  assert found["accuracy_a"] == pytest.approx(5 / 8)
  assert found["accuracy_b"] == pytest.approx(3 / 12)
  assert found["difference"] == pytest.approx(3 / 8)
  assert found["deviation_a"] == pytest.approx(np.std([3, 2], ddof=1) / 4)
  assert found["deviation_b"] == pytest.approx(np.std([1, 0, 2], ddof=1) / 4)
  assert [(test["only_a"], test["only_b"]) for test in found["mcnemar"]] == [
    (2, 0),
    (2, 0),
  ]
  # A resample takes whole tracks: of these gains, four with replacement.
  gain = np.array([1 - 1 / 3, 1 - 1 / 3, 1 / 2, -1 / 3])
  means = [np.mean(drawn) for drawn in itertools.product(gain, repeat=4)]
  wanted = np.percentile(means, [2.5, 97.5])
  np.testing.assert_allclose(found["ci95"], wanted, atol=0.02)


def segments_of(right) -> Predictions:
  """Two segments a track, all of genre 0, each right or not."""
  number = np.arange(len(right))
  return Predictions(
    np.array([f"t{i // 2}" for i in number]),
    number % 2,
    0 * number,
    np.where(np.asarray(right)[:, None], [[0.9, 0.1]], [[0.2, 0.8]]),
    ("a", "b"),
  )


def test_an_accuracy_is_a_mean_over_seeds_and_its_interval_scipys():
  rng = np.random.default_rng(1)
  right = rng.random((2, 60)) < np.array([[0.8], [0.7]])
  tables = [segments_of(one) for one in right]
  found = compare.mean_accuracy(tables)
  assert found["accuracy"] == pytest.approx(right.mean())
  assert found["deviation"] == pytest.approx(right.mean(1).std(ddof=1))
  wanted = scipy.stats.bootstrap(
    (right.mean(0).reshape(30, 2).mean(1),),
    np.mean,
    n_resamples=5_000,
    method="percentile",
    rng=0,
  ).confidence_interval
  assert found["ci95"] == pytest.approx(wanted, abs=0.015)
  order = rng.permutation(60)
  columns = ("track", "segment", "label", "probabilities", "artist")
  shuffled = dataclasses.replace(
    tables[1], **{key: getattr(tables[1], key)[order] for key in columns}
  )
  assert compare.mean_accuracy([tables[0], shuffled]) == found
  assert compare.mean_accuracy(tables[:1])["deviation"] is None
  with pytest.raises(InputError, match="have other segments"):
    compare.mean_accuracy([made(segments=2), made(segments=3)])


OTHERS = {
  "genres": (made(genres=("blues", "jazz", "pop")), "genres blues, jazz, pop"),
  "tracks": (made(8), "1 track is in one of them only, such as rock.00008"),
  "labels": (
    Predictions(
      *(lambda t: (t.track, t.segment, (t.label + 1) % 3))(made()),
      made().probabilities,
      made().genres,
    ),
    "track blues.00000 is blues in the first, jazz in the second",
  ),
  "segments": (made(segments=3), "other segments; compare them by track"),
}


@pytest.mark.parametrize("name", OTHERS)
def test_tables_of_other_things_are_refused(name):
  other, words = OTHERS[name]
  for call in (
    lambda: compare.compare(made(), other),
    lambda: compare.compare_many([made()] * 2, [made(), other]),
  ):
    with pytest.raises(InputError, match=words) as caught:
      call()
    assert "\n" not in str(caught.value)


def test_one_seed_and_no_rows_are_refused():
  for a, b, words in (
    (1, 2, "1 seed of the first received"),
    (2, 1, "1 seed of the second received"),
    (0, 2, "0 seed of the first"),
  ):
    with pytest.raises(InputError, match=words):
      compare.compare_many([made()] * a, [made()] * b)
  with pytest.raises(InputError, match="0 rows"):
    compare.compare(made(0), made(0))


# Runs.


def test_two_runs_are_compared_by_one_command(tmp_path, capsys):
  a = run(tmp_path / "runs" / "a", parts(1))
  b = run(tmp_path / "runs" / "b", parts(2), recipe="fcn", leak="It leaks.")
  argv = ["launch.py", "compare", f"--workdir={a}", f"--workdir={b}"]
  out = tmp_path / "out"
  assert main([*argv, f"--out={out}"]) == 0
  said = capsys.readouterr().out
  found = json.loads((out / "compare.json").read_text())
  one, other = parts(1)["validation"], parts(2)["validation"]
  assert found == {
    "split": "validation",
    "a": {
      **{"recipe": "mel_cnn", "protocol": "filtered", "leak": None},
      **{"seeds": [1], "workdirs": ["../runs/a"], "known_artists": NOBODY},
    },
    "b": {
      **{"recipe": "fcn", "protocol": "filtered", "leak": "It leaks."},
      **{"seeds": [1], "workdirs": ["../runs/b"], "known_artists": NOBODY},
    },
    "track": compare.compare(one.by_track(), other.by_track()),
    "segment": compare.compare(one, other),
  }
  assert compare_runs.again(out) == found
  track = found["track"]
  low, high = track["ci95"]
  assert "b: fcn, seed 1 (filtered); LEAKS: It leaks." in said
  assert (
    f"track     {track['accuracy_a']:7.3f}{track['accuracy_b']:7.3f}"
    f"{track['difference']:+9.3f}   {low:+.3f} to {high:+.3f}"
  ) in said
  assert f"p = {track['mcnemar']['p']:.3g}" in said
  assert not list(tmp_path.glob("compare.json"))
  assert main(argv) == 0


NOBODY = {"tracks": 0, "of": 0}  # is known


def test_what_a_reader_has_to_know_is_said(tmp_path):
  """Checkpoints chosen by what is compared, and artists of the train part."""
  known = {name: made(9, artists=3, seed=1) for name in ("train", "test")}
  known["train"] = made(9, artists=3, first=100)
  a = run(tmp_path / "a", known)
  b = run(tmp_path / "b", {"test": made(9, artists=3, seed=2)})
  said = compare_runs.lines(compare_runs.compare_runs([a, b]))
  note = "a: 9 of 9 test tracks are by artists of the train split: mostly"
  assert [line for line in said if "artists of the" in line] == [
    f"{note} artist recognition."
  ]
  assert not any("checkpoints" in line for line in said)
  sides = [run(tmp_path / f"v{i}", parts(i)) for i in range(2)]
  said = compare_runs.lines(compare_runs.compare_runs(sides))
  assert (
    "no test tracks present: the validation split also chose the checkpoints"
    in said
  )


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
  found = compare_runs.compare_runs(paths, tmp_path)
  assert found["a"]["seeds"] == [2, 3, 0]
  assert found["b"]["seeds"] == [2, 3, 1]
  assert found["b"]["workdirs"] == ["cnn2", "cnn3", "cnn1"]
  sides = [
    [parts(seed + shift)["validation"].by_track() for seed in seeds]
    for seeds, shift in (([2, 3, 0], 0), ([2, 3, 1], 50))
  ]
  wanted = compare.compare_many(*sides)
  tests = wanted.pop("mcnemar")
  assert found["track"].pop("mcnemar") == [
    {"seed": seed, **test} for seed, test in zip((2, 3), tests, strict=False)
  ]
  assert found["track"] == wanted
  said = "\n".join(compare_runs.lines(compare_runs.compare_runs(paths)))
  assert "a: fcn, seed 2, 3, 0" in said
  assert "exact test of seed 3: " in said


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


def test_runs_are_found_from_behind_a_link(tmp_path):
  a, b = (run(tmp_path / "runs" / str(i), parts(i)) for i in (1, 2))
  (tmp_path / "disk" / "deep").mkdir(parents=True)
  (tmp_path / "link").symlink_to(tmp_path / "disk" / "deep")
  out = tmp_path / "link" / "out"
  found = compare_runs.compare_runs([a, b], out)
  compare_runs.write(found, out)
  assert compare_runs.again(out) == found


def test_where_segments_differ_tracks_are_compared(tmp_path):
  a, b = (run(tmp_path / f"r{n}", parts(1, segments=n)) for n in (2, 3))
  found = compare_runs.compare_runs([a, b])
  assert found["segment"] is None
  assert found["track"]["n"] == 9
  assert not any("segment" in line for line in compare_runs.lines(found))


def _runs(tmp_path):
  tested = parts(1) | {"test": made()}
  broken = {name: run(tmp_path / name, parts(3)) for name in ("nan", "others")}
  tables = {"nan": made(), "others": made(seed=9)}
  tables["nan"].probabilities[3] = np.nan
  for name, path in broken.items():
    tables[name].save(path / "predictions" / "validation.npz")
  return broken | {
    "plain": run(tmp_path / "plain", parts(1)),
    "other": run(tmp_path / "other", parts(2)),
    "tested": run(tmp_path / "tested", tested),
    "short": run(tmp_path / "short", {"validation": made(8)}),
    "none": run(tmp_path / "none", {}),
    **{f"fcn{seed}": seeded(tmp_path, "fcn", seed) for seed in (0, 1)},
    "long": seeded(tmp_path / "long", "fcn", 2, epochs=100),
    "again": seeded(tmp_path / "again", "fcn", 1),
    **{f"cnn{seed}": seeded(tmp_path, "cnn", seed) for seed in (0, 1)},
  }


def test_what_cannot_be_compared_is_one_clear_line(tmp_path, capsys):
  runs = _runs(tmp_path)
  for names, words in (
    ("", "a comparison of no run: give two evaluated runs or more, each as --"),
    ("plain", "plain: give two evaluated runs or more, each as --workdir="),
    ("plain plain", "plain was given twice"),
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
    ("plain others", "of 9 tracks, but 0."),
  ):
    given = [f"--workdir={runs[name]}" for name in names.split()]
    assert main(["launch.py", "compare", *given]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert words in line
