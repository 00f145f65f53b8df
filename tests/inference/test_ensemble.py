"""Ensembles: means by hand, the report of one, and what cannot be combined."""

import hashlib
import json

import numpy as np
import pytest
from stored import FACTS, GENRES, made, parts, run, table

from gtzan_jax.errors import InputError
from gtzan_jax.inference import ensemble
from gtzan_jax.reports import schema as report_schema
from gtzan_jax.scores.predictions import load


def report_of(members, out):
  """The report of an ensemble."""
  assert ensemble.evaluate(members, out) == out / "report.html"
  return json.loads((out / "report.json").read_text())


def test_the_mean_of_rows_by_hand_whatever_their_order():
  one = table([("z", 1, 2, [0.1, 0.2, 0.7]), ("a", 0, 0, [0.6, 0.4, 0.0])])
  two = table([("a", 0, 0, [0.2, 0.0, 0.8]), ("z", 1, 2, [0.3, 0.6, 0.1])])
  mean = ensemble.combine([one, two, two])
  assert mean.track.tolist() == ["z", "a"]
  assert mean.segment.tolist() == [1, 0]
  assert mean.label.tolist() == [2, 0]
  # every member has the same say
  wanted = np.array([[0.7, 1.4, 0.9], [1.0, 0.4, 1.6]]) / 3
  np.testing.assert_allclose(mean.probabilities, wanted, atol=1e-12)
  alone = ensemble.combine([one])
  np.testing.assert_array_equal(alone.probabilities, one.probabilities)


def test_tracks_are_averaged_where_segments_differ():
  """A track cut into three has no more say than one taken whole."""
  cut = table([("a", s, 0, [0.0, 0.9, 0.1]) for s in range(3)])
  whole = table([("a", 0, 0, [0.8, 0.1, 0.1])])
  for members in ([cut, whole], [whole, cut]):
    mean = ensemble.combine(members)
    assert mean.segment.tolist() == [-1]
    wanted = [[0.4, 0.5, 0.1]]
    np.testing.assert_allclose(mean.probabilities, wanted, atol=1e-12)


def test_whose_a_track_is_stays_known():
  members = [made(segments=segments, artists=4) for segments in (2, 3)]
  mean = ensemble.combine(members)
  np.testing.assert_array_equal(mean.artist, members[0].by_track().artist)


def test_a_member_that_diverged_is_not_hidden():
  lost = table([("a", 0, 0, [np.nan] * 3)])
  fine = table([("a", 0, 0, [0.8, 0.1, 0.1])])
  assert ensemble.combine([fine, lost]).predicted.tolist() == [-1]


@pytest.mark.parametrize(
  ("other", "message"),
  [
    (made(genres=("blues", "jazz", "pop")), "genres blues, jazz, pop received"),
    (made(genres=("jazz", "blues", "rock")), "genres jazz, blues, rock rec"),
    (made(8), "1 track is in one of them only, such as rock.00008 in the fir"),
    (made(12), "3 tracks are .* as blues.00009 in the second"),
    (
      table([(f"{GENRES[i % 3]}.{i:05d}", 0, 1, [0, 1, 0]) for i in range(9)]),
      "track blues.00000 is blues in the first, jazz in the second",
    ),
  ],
)
def test_tables_of_other_things_are_refused(other, message):
  with pytest.raises(InputError, match=message) as caught:
    ensemble.combine([made(), made(), other])
  assert str(caught.value).startswith("predictions 1 and 3 differ: ")
  assert "\n" not in str(caught.value)


def test_no_table_is_refused():
  with pytest.raises(InputError, match="0 predictions"):
    ensemble.combine([])


# Workdirs.


@pytest.mark.slow
def test_the_report_of_an_ensemble(tmp_path):
  one = run(tmp_path / "a" / "run", parts(1))
  two = run(
    tmp_path / "b" / "other",
    parts(2, segments=3),
    recipe="mlp",
    seed=2,
    num_params=30,
    corpus="table",
    source="table",
    data_fingerprint="77aa",
    seconds=2.0,
    skipped=[{"track": "jazz.00054", "reason": "no sound"}],
    warnings=[{"check": "imbalance", "title": "a", "text": ""}],
    tracks=19,
  )
  out = tmp_path / "out"
  found = report_of([one, str(two)], out)
  assert not list(report_schema.violations(found))
  assert found["recipe"] == found["config"]["recipe"] == "ensemble"
  text = json.dumps(FACTS["config"], sort_keys=True).encode()
  digest = hashlib.sha256(text).hexdigest()
  values = "mel_cnn", 1, "4e1fa8c2", digest
  others = "mlp", 2, "77aa", digest
  keys = "recipe", "seed", "data_fingerprint", "config"
  assert found["config"]["members"] == {
    "run": dict(zip(keys, values, strict=True)),
    "other": dict(zip(keys, others, strict=True)),
  }
  wanted = {
    "num_params": 1030,
    "seconds": 14.5,
    "seed": 0,
    "history": [],
    "best_epoch": None,
    "epochs_run": 0,
    "protocol": "filtered",
    "corpus": "archive + table",
    "data_fingerprint": "4e1fa8c2 + 77aa",
    "tracks": 19,
    "skipped": [{"track": "jazz.00054", "reason": "no sound"}],
    "warnings": [{"check": "imbalance", "title": "a", "text": ""}],
  }
  assert {key: found[key] for key in wanted} == wanted
  assert found["headline"] == "validation"
  splits = found["splits"]
  sha256 = json.loads((one / "report.json").read_text())["splits"]
  assert splits["validation"]["sha256"] == sha256["validation"]["sha256"]
  assert splits["test"]["missing"] == 290
  assert [splits[s]["track"]["n"] for s in splits] == [12, 9, 0]
  stored = load(out / "predictions" / "validation.npz")
  mean = ensemble.combine([parts(1)["validation"], parts(2, 3)["validation"]])
  np.testing.assert_array_equal(stored.probabilities, mean.probabilities)
  text = (out / "report.html").read_text()
  for word in ("members.run.recipe", "members.other.seed", "77aa", "mlp"):
    assert word in text


def test_again_is_the_same_and_another_needs_another_folder(tmp_path, undrawn):
  one, two, three = (run(tmp_path / f"r{s}", parts(s)) for s in (1, 2, 3))
  out = tmp_path / "out"
  (out / ".lock").mkdir(parents=True)
  ensemble.evaluate([one, two], out)
  before = (out / "report.json").read_bytes()
  assert json.loads(before)["seed"] == 1  # what all members have
  ensemble.evaluate([one, two], out)
  assert (out / "report.json").read_bytes() == before
  with pytest.raises(InputError, match="contains the report of other runs"):
    ensemble.evaluate([one, three], out)
  assert (out / "report.json").read_bytes() == before
  # An ensemble is a member as good as any.
  assert report_of([out, three], tmp_path / "more")["num_params"] == 3000


def test_members_of_one_name_are_listed_by_their_paths(tmp_path, undrawn):
  members = [run(tmp_path / name / "run", parts(1)) for name in "ab"]
  found = report_of(members, tmp_path / "out")
  assert list(found["config"]["members"]) == [str(path) for path in members]


def test_train_parts_may_differ_and_are_then_not_scored(tmp_path, undrawn):
  """One corpus lacks jazz.00054, another does not."""
  one = run(tmp_path / "a", parts(1))
  two = run(tmp_path / "b", parts(2, train=11))
  found = report_of([one, two], tmp_path / "out")["splits"]
  assert found["train"]["n"] == 11
  assert found["train"]["track"] == {"n": 0}
  assert found["train"]["sha256"] is None
  assert found["validation"]["track"]["n"] == 9


def test_train_parts_may_have_been_left_out(tmp_path, undrawn):
  """They are not quoted, and take the most room; shared artists stay known."""
  one, two = (
    run(
      tmp_path / f"r{seed}",
      {
        "train": made(10, artists=4, seed=seed),
        "validation": made(9, artists=4, seed=seed),
      },
    )
    for seed in (1, 2)
  )
  whole = report_of([one, two], tmp_path / "whole")["splits"]
  (two / "predictions" / "train.npz").unlink()
  found = report_of([one, two], tmp_path / "out")["splits"]
  assert found["train"]["track"] == {"n": 0}
  assert found["validation"] == whole["validation"]
  assert found["validation"]["known_artists"]["tracks"] > 0


def external(**changed) -> dict:
  """What the report of an external test says more."""
  test = {
    **{"workdir": "r", "trained_on": "4e1fa8c2", "kind": "audio"},
    **{"path": "/music", "tracks": 40, "genres": {"Blues": "blues"}},
    **{"unmatched": {"ska": 3}, "absent": ["rock"]},
    **{"learnt": 2, "namesakes": 0},
  }
  return {
    "protocol": "external",
    "data_fingerprint": "0a" * 32,
    "external": test | changed,
  }


def test_an_ensemble_of_external_tests_is_one(tmp_path, undrawn):
  """Of the same music, whatever each of its members has learnt from."""
  more = {"workdir": "s", "trained_on": "77aa", "kind": "logmel"}
  one = run(tmp_path / "a", {"test": made()}, **external())
  two = run(tmp_path / "b", {"test": made(seed=2)}, **external(**more))
  found = report_of([one, two], tmp_path / "out")
  joined = {"workdir": "r + s", "trained_on": "4e1fa8c2 + 77aa"}
  joined["kind"] = "audio + logmel"
  assert found["external"] == external(**joined)["external"]
  assert found["data_fingerprint"] == "0a" * 32
  members = found["config"]["members"].values()
  assert [m["data_fingerprint"] for m in members] == ["4e1fa8c2", "77aa"]


LEAK = {"leak": "Segments of one track stand in two parts."}
OTHER_GENRES = {"validation": made(genres=("blues", "jazz", "pop"))}
EIGHT, TESTED = {"validation": made(8)}, parts(1) | {"test": made()}
OTHER_SEGMENTS = {**LEAK, "tables": parts(1, segments=3)}


@pytest.mark.slow
@pytest.mark.parametrize(
  ("first", "second", "message"),
  [
    ({}, {"protocol": "tracks_70_10_20"}, "protocol 'tracks_70_10_20' rec"),
    ({}, {"tables": OTHER_GENRES}, r"genres \['blues', 'jazz', 'pop'\] rec"),
    ({}, {"corpus": "synthetic"}, "share only their ids"),
    (external(), {}, "protocol 'filtered' received, 'external' is accepted"),
    (
      external(),
      external() | {"data_fingerprint": "0b"},
      "external test with data_fingerprint '0b' received, '0a0a",
    ),
    (external(), external(learnt=0), "with learnt 0 received, 2 is accepted"),
    (external(), external(genres={}), "with genres {} received, {'Blues'"),
    ({}, {"tables": EIGHT}, "validation split 1 track is .* as rock.00008 in"),
    ({}, {"tables": TESTED}, "only one of them has predictions of the test sp"),
    (LEAK, OTHER_SEGMENTS, "their leaking protocol has other segments"),
  ],
)
def test_runs_of_other_things_are_refused(tmp_path, first, second, message):
  one = run(tmp_path / "one", parts(1), **first)
  second = dict(second)
  two = run(tmp_path / "two", second.pop("tables", parts(2)), **second)
  with pytest.raises(InputError, match=message) as caught:
    ensemble.evaluate([one, two], tmp_path / "out")
  assert str(caught.value).startswith(
    f"--workdir={two} cannot join --workdir={one}: "
  )
  assert "\n" not in str(caught.value)
  assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
  ("file", "content", "message"),
  [
    ("report.json", None, "two holds no report.json: evaluate it first"),
    (
      "predictions/validation.npz",
      None,
      "two/predictions/validation.npz: No such file",
    ),
    ("report.json", '{"recipe": ', "two/report.json is damaged"),
    (
      "report.json",
      '{"recipe": 3}',
      "two/report.json is no report of this version: .* absent",
    ),
  ],
)
def test_a_workdir_without_results_is_refused(tmp_path, file, content, message):
  one, two = (run(tmp_path / name, parts(1)) for name in ("one", "two"))
  if content is None:
    (two / file).unlink()
  else:
    (two / file).write_text(content)
  with pytest.raises(InputError, match=message) as caught:
    ensemble.evaluate([one, two], tmp_path / "out")
  assert "\n" not in str(caught.value)


def test_one_vote_a_member_and_two_members_at_least(tmp_path):
  one = run(tmp_path / "one", parts(1))
  for given, message in (
    ([], "an ensemble of no run: give two evaluated runs or more"),
    ([one], "an ensemble of .*one: give two evaluated runs or more, each as"),
    ([one, tmp_path / "." / "two" / ".." / "one"], "was given twice"),
    ([one, tmp_path / "gone"], "gone: no such folder"),
  ):
    with pytest.raises(InputError, match=message):
      ensemble.evaluate(given, tmp_path / "out")
