"""The leakage meter: what its arms share and add, and that it measures it."""

import collections
import dataclasses
import functools
import json
import random
import re
import shutil

import numpy as np
import pytest

from gtzan_jax.cli.main import main
from gtzan_jax.errors import InputError
from gtzan_jax.reports import plot_style, report
from gtzan_jax.scores import compare
from gtzan_jax.scores.predictions import Predictions
from gtzan_jax.studies.leak import measure as leak
from gtzan_jax.studies.leak import page as leak_page
from gtzan_jax.studies.leak import run as leak_runs
from gtzan_jax.studies.leak import steps
from gtzan_jax.studies.sweep import process
from gtzan_jax.studies.verify import run as verify
from gtzan_jax.training import find_recipe, workdir
from tfds_gtzan import synthetic
from tfds_gtzan.corpora.types import Row
from tfds_gtzan.facts import track_lists
from tfds_gtzan.protocols import leak_arms, splitters
from tfds_gtzan.protocols.table import PROTOCOLS, apply

ARMS = ("clean", "tracks", "artists")


def gtzan_rows(segments=10, without=()):
  return [
    Row(name, name.split(".")[0], artist, track_lists.partition(name), segments)
    for name, artist in track_lists.artists().items()
    if track_lists.partition(name) not in without
  ]


def synthetic_rows(tracks_per_genre=20):
  """Tracks of three to eight segments."""
  return [
    Row(t.id, t.genre, t.artist, t.partition, 3 + i % 6)
    for i, t in enumerate(synthetic.tracks(tracks_per_genre))
  ]


def own_rows(tracks, segments=4):
  """Somebody's folder: no artists, no partition."""
  return [
    Row(f"{genre}.x{i}", genre, "", "unlisted", segments)
    for genre in ("blues", "rock")
    for i in range(tracks)
  ]


def tracks(segments):
  return {track for track, _ in segments}


def by_genre(segments):
  return collections.Counter(track.split(".")[0] for track, _ in segments)


# The arms.

TABLES = {
  "the archive at hand": (gtzan_rows(without=("test",)), "filtered", 0),
  "all of GTZAN": (gtzan_rows(), "filtered", 0),
  "artist folds": (gtzan_rows(), "artist_kfold", 2),
  "synthetic": (synthetic_rows(), "filtered", 0),
}


@pytest.mark.parametrize("name", TABLES)
def test_arms_differ_in_nothing_but_whose_segments_fill_the_slots(name):
  rows, base, fold = TABLES[name]
  whole = apply(base, rows, fold=fold)
  reported = "test" if whole.parts["test"] else "validation"
  arms = {arm: apply(base, rows, fold=fold, leak=arm) for arm in ARMS}
  clean = arms["clean"]
  tested = set(clean.parts[reported])
  assert tested < set(whole.parts[reported])
  assert set(clean.parts["train"]) < set(whole.parts["train"])
  # Half of each tested track's segments, and none of them ever in train.
  long = {row.id: row.segments for row in rows}
  for track, number in collections.Counter(t for t, _ in tested).items():
    assert number == long[track] - max(1, round(long[track] / 2))
  for arm in arms.values():
    for part in ("validation", "test"):
      assert arm.parts[part] == clean.parts[part]
    train = set(arm.parts["train"])
    assert len(train) == len(arm.parts["train"])
    assert by_genre(train) == by_genre(clean.parts["train"])
    assert not train & tested
  added = {
    arm: tracks(set(cut.parts["train"]) - set(clean.parts["train"]))
    for arm, cut in arms.items()
  }
  assert added["tracks"] == tracks(tested) == set(arms["tracks"].touched)
  assert len(tracks(arms["tracks"].parts["train"])) == len(
    tracks(clean.parts["train"])
  )
  group = dict(
    zip((row.id for row in rows), splitters.artist_groups(rows), strict=True)
  )
  groups = {
    arm: {group[track] for track in tracks(cut.parts["train"])}
    for arm, cut in arms.items()
  }
  held = {group[track] for track in tracks(tested)}
  assert not groups["clean"] & held
  if reported == "test":
    assert not {group[t] for t in tracks(clean.parts["validation"])} & held
  assert not added["artists"] & tracks(tested)
  touched = arms["artists"].touched
  assert len(touched) > 0.5 * len(tracks(tested))
  assert {group[t] for t in added["artists"]} == {group[t] for t in touched}
  # Songs of which another recording, or part, is tested are another leak.
  songs = {
    (group[t], track_lists.index()[t][1])
    for t in tracks(tested)
    if track_lists.index().get(t, ("", ""))[1]
  }
  for track in added["artists"]:
    assert (
      group[track],
      track_lists.index().get(track, ("", ""))[1],
    ) not in songs


def test_who_has_most_of_a_genre_to_learn_from_is_not_tested():
  """A joint credit links two tracks of Lauryn Hill's to Bob Marley's 27."""
  clean = apply("filtered", gtzan_rows(), leak="clean")
  marley = {"reggae.00087", "hiphop.00040", "hiphop.00045"}
  assert marley < track_lists.splits("filtered")["test"]
  assert not marley & tracks(clean.parts["test"])
  learnt = {i for i in tracks(clean.parts["train"]) if i.startswith("reggae")}
  artist = track_lists.artists()
  assert sum(artist[track] == "Bob Marley" for track in learnt) > 15
  assert not any(artist[track] == "Burning Spear" for track in learnt)


def test_names_say_which_arms_leak():
  assert (leak.CLEAN, *leak.LEAKING) == tuple(leak_arms.ARMS) == ARMS
  for arm in ARMS:
    cut = apply("filtered", gtzan_rows(), leak=arm)
    assert cut.protocol.endswith(f"meter_{arm} of filtered")
    assert (cut.leak is not None) == cut.protocol.startswith("leaky_")
    assert (cut.leak is None) == (arm == "clean") == (not cut.touched)
  assert apply("filtered", gtzan_rows()).protocol == "filtered"


@pytest.mark.parametrize("arm", ARMS)
def test_an_arm_follows_from_rows_and_split_seed_alone(arm):
  rows = synthetic_rows()
  first = apply("filtered", rows, leak=arm)
  random.Random(1).shuffle(rows)
  assert apply("filtered", rows, leak=arm) == first
  assert apply("filtered", rows, leak=arm, split_seed=43).parts != first.parts


def test_where_artists_are_few_they_cross_in_all_arms_alike():
  with pytest.raises(
    InputError, match="has no arm 'artists': artists are on both"
  ):
    apply("tracks_80_20", gtzan_rows(), leak="artists")
  whole, clean, leaky = (
    apply("tracks_80_20", gtzan_rows(), leak=arm)
    for arm in ("", "clean", "tracks")
  )
  assert tracks(clean.parts["train"]) == tracks(whole.parts["train"])
  # 201 tracks are tested, of copies one.
  tested = tracks(whole.parts["test"])
  copies = [{*pair} <= tested for pair in track_lists.duplicates()]
  assert len(leaky.touched) == len(tested) - sum(copies) == 201 - sum(copies)


@pytest.mark.parametrize(("others", "apart"), [(2, True), (1, False)])
def test_artists_are_held_apart_if_no_genre_loses_more_than_half(others, apart):
  """Of train, the held-out artist's two tracks and those by others."""
  rows = [
    Row(f"{genre}.{artist}{i}", genre, f"{genre} {artist}", "", 4)
    for genre in ("blues", "rock")
    for artist, number in (("held", 4), ("other", others), ("last", 1))
    for i in range(number)
  ]
  parts = {"train": [], "validation": [], "test": []}
  for row in rows:
    held = row.artist.endswith("held") and row.id[-1] in "01"
    part = "test" if held else "train"
    if row.artist.endswith("last"):
      part = "validation"
    parts[part] += [(row.id, s) for s in range(row.segments)]
  made, _ = leak_arms.cut(parts, rows, "clean", 0.5, seed=0)
  learnt = {track.split(".")[1] for track, _ in made["train"]}
  assert ("held2" not in learnt) == apart


def test_a_track_of_one_segment_cannot_leak_but_its_artist_can():
  rows = gtzan_rows(segments=1)
  with pytest.raises(InputError, match=r"'tracks': its held-out .* one seg"):
    apply("filtered", rows, leak="tracks")
  clean, artists = (
    apply("filtered", rows, leak=arm) for arm in ("clean", "artists")
  )
  assert artists.parts["test"] == clean.parts["test"]
  swapped = set(artists.parts["train"]) - set(clean.parts["train"])
  assert len(artists.touched) >= len(swapped) > 100
  group = dict(
    zip([row.id for row in rows], splitters.artist_groups(rows), strict=True)
  )
  learnt = {group[track] for track in tracks(swapped)}
  tested = tracks(artists.parts["test"])
  leaked = {track for track in tested if group[track] in learnt}
  assert leaked == set(artists.touched)


def test_an_artist_of_two_genres_is_held_apart_in_both():
  rows = own_rows(24)
  whole = apply("tracks_80_20", rows)
  blues = next(t for t, _ in whole.parts["test"] if t.startswith("blues"))
  rock = [t for t in tracks(whole.parts["train"]) if t.startswith("rock")][:4]
  both = [
    dataclasses.replace(row, artist="both" * (row.id in {blues, *rock}))
    for row in rows
  ]
  for arm in ("clean", "tracks"):
    cut = apply("tracks_80_20", both, leak=arm)
    assert blues in tracks(cut.parts["test"])
    assert not tracks(cut.parts["train"]) & set(rock)


def test_the_share_is_how_much_is_swapped():
  cut = apply("filtered", gtzan_rows(), leak="tracks", leak_share=0.2)
  assert len(cut.parts["test"]) == 8 * len(cut.touched)
  own = [one for one in cut.parts["train"] if one[0] in cut.touched]
  assert len(own) == 2 * len(cut.touched)


@pytest.mark.parametrize(
  ("base", "rows", "options", "words"),
  [
    (
      "leaky_segments_80_20",
      own_rows(9),
      {},
      "leaks by itself: the leakage meter",
    ),
    (
      "filtered",
      gtzan_rows(),
      {"leak": "both"},
      "'both' .* clean, tracks, art",
    ),
    (
      "filtered",
      gtzan_rows(),
      {"leak_share": 1.0},
      "leak_share 1.0: give one",
    ),
    ("tracks_80_20", own_rows(3), {}, "nothing to test: no genre has a test"),
    (
      "tracks_80_20",
      [row for row in own_rows(9) if row.genre == "rock"] + own_rows(3)[:3],
      {},
      "one genre to test; give a corpus with two or more",
    ),
    (
      *("tracks_80_20", own_rows(9), {"leak": "artists"}),
      "no held-out artist has another track",
    ),
  ],
)
def test_what_cannot_be_cut_into_arms_is_one_line(base, rows, options, words):
  with pytest.raises(InputError, match=words) as caught:
    apply(base, rows, **{"leak": "clean", **options})
  assert "\n" not in str(caught.value)


def plan_of(rows, *chosen, empty="", splits=""):
  def cut(**changed):
    made = apply(rows=rows, **{"name": "tracks_80_20", **changed})
    if empty and not changed["leak"]:
      return dataclasses.replace(made, parts=made.parts | {empty: []})
    return made

  config = find_recipe.load(find_recipe.HOME / "svm_stats.py")
  config.data.splits = splits
  return leak_runs.plan(config.data, cut, list(chosen), list(PROTOCOLS))


def test_where_no_arm_can_leak_the_protocols_are_left():
  """As with one example a track, and no artists known."""
  rows = own_rows(9, segments=1)
  facts, values = plan_of(rows)
  assert facts["arms"] == {"clean": []}
  assert {"tracks", "artists", "filtered", "stratified"} <= set(
    facts["left_out"]
  )
  assert "leaky_segments_80_20" in facts["protocols"]
  assert list(values) == ["clean", *facts["protocols"]]
  sizes = {values[name]["data.train_segments"] for name in facts["protocols"]}
  assert len(sizes) == 1
  with pytest.raises(InputError, match=r"^nothing to compare: .*one segment"):
    plan_of(rows, "none")
  # nor where what is left of the protocols cannot be trained on
  with pytest.raises(InputError, match=r"^nothing to compare"):
    plan_of(rows, "tracks_80_20", empty="validation")
  facts, values = plan_of(own_rows(9), "none")
  assert facts["protocols"] == []
  assert list(values) == ["clean", "tracks"]


def test_a_split_of_ones_own_makes_the_arms_and_no_protocol():
  _, values = plan_of(own_rows(9), "kfold10", splits="a.csv")
  assert values["clean"]["data.splits"] == "a.csv"
  assert values["kfold10"]["data.splits"] == ""
  _, values = plan_of(own_rows(9), "kfold10")
  assert not any("data.splits" in one for one in values.values())


# Train parts of one size.


@pytest.mark.parametrize(
  "base", ["filtered", "tracks_80_20", "leaky_segments_80_20"]
)
def test_train_segments_are_exact_nested_and_in_proportion(base):
  rows = synthetic_rows()
  whole, before = apply(base, rows), set()
  share = by_genre(whole.parts["train"])
  for number in (57, 300, len(whole.parts["train"])):
    some = apply(base, rows, train_segments=number)
    train = set(some.parts["train"])
    assert len(train) == number
    assert before <= train <= set(whole.parts["train"])
    for genre, count in by_genre(train).items():
      wanted = number * share[genre] / share.total()
      assert abs(count - wanted) <= 1
    assert some.parts["test"] == whole.parts["test"]
    before = train
  with pytest.raises(
    InputError, match=r"train_segments 9999: the train split h"
  ):
    apply(base, rows, train_segments=9999)
  with pytest.raises(InputError, match="train_segments -1: give a number"):
    apply(base, rows, train_segments=-1)


# Statistics.


def table(right, per_track=2, genres=("a", "b")) -> Predictions:
  """Tracks t0, t1, ... of genre 0 whose segments are right or not."""
  right = np.asarray(right)
  return Predictions(
    track=np.array([f"t{i // per_track}" for i in range(len(right))]),
    segment=np.arange(len(right)) % per_track,
    label=np.zeros(len(right), int),
    probabilities=np.where(right[:, None], [[0.9, 0.1]], [[0.2, 0.8]]),
    genres=genres,
  )


def test_a_difference_is_of_the_tracks_that_the_arm_leaks_alone(
  monkeypatch, tmp_path
):
  """Six of ten tracks are leaked; the others differ the other way."""
  segments = 2
  touched = np.repeat(np.arange(30) < 18, segments)
  rng = np.random.default_rng(0)
  said = {
    "clean": [np.where(touched, rng.random(60) < 0.3, 1) for _ in range(2)],
    "tracks": [np.where(touched, 1, 0) for _ in range(2)],
    "artists": [np.zeros(60, int) for _ in range(2)],
  }
  tables = {arm: [table(one) for one in said[arm]] for arm in said}
  first = tables["clean"][0]
  facts = dict.fromkeys(leak._FACTS, "same")
  facts |= {"headline": "test", "protocol": "filtered", "leak": None}
  facts["commit"] = "abc" * 9 + "+"
  met = {"tracks": 0, "of": 30}
  facts["splits"] = {
    "train": {"segment": {"n": 100}},
    "test": {"known_artists": met},
  }
  runs = {
    arm: {k: leak._Finished(facts, one) for k, one in enumerate(tables[arm])}
    for arm in said
  }
  monkeypatch.setattr(leak, "_finished", lambda *_: runs)
  names = sorted(set(first.track[touched].tolist()))
  every = sorted(set(first.track.tolist()))
  arms = {"clean": [], "tracks": names, "artists": every[8:]}
  plan = {"arms": arms, "protocols": []}
  plan |= {"left_out": {}, "same": {}}
  (tmp_path / "plan.json").write_text(json.dumps(plan))
  measured = leak.measure(tmp_path)
  assert (measured["clusters"], measured["untested"]) == (30, ["b"])
  assert measured["arms"]["clean"]["known_artists"] == met
  assert measured["arms"]["clean"]["commits"] == ["abcabcab+"]
  found = measured["differences"]["tracks"]
  clean = np.mean([one[touched].mean() for one in said["clean"]])
  assert found["segment"]["n"] == touched.sum()
  assert found["segment"]["difference"] == pytest.approx(1 - clean)
  assert found["track"]["n"] == 18
  rest = found["untouched"]
  assert (rest["track"]["n"], rest["segment"]["difference"]) == (12, -1)
  both = measured["tracks_over_artists"]
  assert both["track"]["n"] == len({*names} & {*every[8:]}) < 18
  assert both["track"]["difference"] == 1
  arms["artists"] = [name for name in every if name not in names]
  (tmp_path / "plan.json").write_text(json.dumps(plan))
  assert leak.measure(tmp_path)["tracks_over_artists"] is None
  arms["tracks"] = every
  (tmp_path / "plan.json").write_text(json.dumps(plan))
  found = leak.measure(tmp_path)["differences"]["tracks"]
  assert found["untouched"] is None


def heard_again(rows, partition, voice, seed) -> Predictions:
  """What the nearest neighbour says, where tracks and artists have a voice."""
  genres = sorted({row.genre for row in rows})
  row_of = {row.id: row for row in rows}

  @functools.cache
  def draw(*name):
    key = list(f"{name} {seed}".encode())
    return np.random.default_rng(key).normal(size=24)

  def features(ids):
    return np.array(
      [
        0.6 * draw(row_of[track].genre)
        + voice * draw(row_of[track].artist)
        + voice * draw(track)
        + draw(track, segment)
        for track, segment in ids
      ]
    )

  def labels(ids):
    return np.array([genres.index(row_of[track].genre) for track, _ in ids])

  train, tested = partition.parts["train"], partition.parts["test"]
  distance = -2 * features(tested) @ features(train).T
  distance += (features(train) ** 2).sum(1)
  said = labels(train)[distance.argmin(1)]
  return Predictions(
    track=np.array([track for track, _ in tested]),
    segment=np.array([segment for _, segment in tested]),
    label=labels(tested),
    probabilities=np.eye(len(genres))[said],
    genres=tuple(genres),
    artist=np.array([row_of[track].artist for track, _ in tested]),
  )


@pytest.mark.slow
@pytest.mark.parametrize(("voice", "leaks"), [(0.0, False), (1.0, True)])
def test_a_leak_is_found_where_tracks_have_a_voice_and_only_there(voice, leaks):
  """More tracks or segments of a genre alone would make no difference."""
  rows = synthetic_rows()
  said = {}
  for arm in ARMS:
    cut = apply("filtered", rows, leak=arm)
    said[arm] = [heard_again(rows, cut, voice, seed) for seed in range(3)]
  for arm in ("tracks", "artists"):
    low, high = compare.compare_many(said[arm], said["clean"])["ci95"]
    assert (low > 0) == leaks, arm
    assert leaks or high > 0, arm
  nothing = compare.compare_many(said["clean"], said["clean"])
  assert (nothing["difference"], nothing["ci95"]) == (0, [0, 0])


# The verb, on the synthetic corpus.


@pytest.fixture
def started(monkeypatch, undrawn):
  """Runs in this process, without their pictures; their folders' names."""
  names = []

  def run(command, log, stop, keep_open):
    names.append(command[-1].rsplit("/", 1)[1])
    log.touch()
    return main(command[1:]), ""

  monkeypatch.setattr(process, "run", run)
  return names


def meter(data_dir, out, *others) -> int:
  keys = {"dir": data_dir, "features": "mfcc_slices", "tracks_per_genre": 4}
  return main(
    [
      *("launch.py", "leak", f"--config={find_recipe.HOME}/svm_stats.py"),
      *(f"--config.data.{key}={value}" for key, value in keys.items()),
      *("--config.data.protocol=filtered", "--config.log.tensorboard=False"),
      *("--config.eval.bootstrap=10", f"--workdir={out}", *others),
    ]
  )


@pytest.mark.slow
def test_the_meter_finds_the_leak_of_the_synthetic_corpus(
  data_dir, tmp_path, started, capsys
):
  out = tmp_path / "meter"
  beside = ("tracks_80_20", "leaky_segments_80_20", "tracks_70_10_20")
  asked = ("--seeds=2", *(f"--protocol={name}" for name in beside))
  assert meter(data_dir, out, *asked) == 0
  assert started == [
    *("clean-seed0", "tracks-seed0", "clean-seed1", "tracks-seed1"),
    *("tracks_80_20-seed0", "leaky_segments_80_20-seed0"),
    *("tracks_80_20-seed1", "leaky_segments_80_20-seed1"),
  ]
  text = (out / "leak.json").read_text()
  found = json.loads(text)
  change = found["differences"]["tracks"]
  for level in ("track", "segment"):
    low, high = change[level]["ci95"]
    assert 0 < low < change[level]["difference"] < high, level
  assert found["tracks"] == change["track"]["n"] == 10
  assert len({arm["n_train"] for arm in found["arms"].values()}) == 1
  assert found["arms"]["clean"]["leak"] is None
  assert found["arms"]["tracks"]["protocol"] == "leaky_meter_tracks of filtered"
  assert [one["protocol"] for one in found["protocols"]] == [*beside[:2]]
  assert len({one["n_train"] for one in found["protocols"]}) == 1
  assert found["same"] == {"tracks_70_10_20": "tracks_80_20"}
  assert "no held-out artist has another track" in found["left_out"]["artists"]
  # Every number is that of the runs' own reports.
  for name, arm in found["arms"].items():
    own = report.read(out / "runs" / f"{name}-seed1" / "report.json")
    split = own["splits"]["test"]
    for level in ("track", "segment"):
      assert arm[level]["accuracy"] == split[level]["accuracy"]
  assert found["alike"]  # an SVM has no chance in it
  printed = capsys.readouterr().out
  page = (out / "leak.md").read_text()
  assert page in printed
  assert "no numbers of GTZAN" in page
  assert leak_page._points(change["track"]) in page
  assert not verify.verify([out]).wrong
  (out / "leak.json").rename(out / "elsewhere.json")
  (line,) = verify.verify([out]).wrong
  assert line == f"{out / 'leak.md'}: no leak.json beside it"
  (out / "elsewhere.json").rename(out / "leak.json")
  with workdir.locked(out / "runs"):
    assert meter(data_dir, out, *asked) == 2
  assert f": --workdir={out} is in use by" in capsys.readouterr().err
  # The same command again goes on where it was.
  (out / "runs" / "tracks-seed1" / "report.json").unlink()
  (out / "leak.json").unlink()
  del started[:]
  assert meter(data_dir, out, *asked) == 0
  assert started == ["tracks-seed1"]
  assert (out / "leak.json").read_text() == text
  _check_damage(out, text)


def _check_damage(out, text):
  """What is left when something of a meter is gone or is of another one."""
  assert leak.measure(out) == json.loads(text)
  file = out / "runs" / "tracks-seed1" / "report.json"
  own = json.loads(file.read_text())
  file.write_text(json.dumps({**own, "data_fingerprint": "another"}))
  with pytest.raises(InputError, match="data_fingerprint 'another' received"):
    leak.measure(out)
  file.write_text(json.dumps({**own, "config": {"recipe": "ensemble"}}))
  with pytest.raises(InputError, match="is not a run of a leakage meter"):
    leak.measure(out)
  shutil.rmtree(file.parent)
  with pytest.raises(
    InputError, match=r"seeds 0 are finished in every arm \(clean"
  ):
    leak.measure(out)
  plan = json.loads((out / "plan.json").read_text())
  for damage in (
    {"arms": ["clean"]},
    {"arms": plan["arms"] | {"tracks": 3}},
    {"arms": plan["arms"] | {"tracks": []}},
    {"arms": {"tracks": []}},
    {"left_out": None},
    {"protocols": 3},
  ):
    (out / "plan.json").write_text(json.dumps(plan | damage))
    with pytest.raises(InputError, match=r"plan.json is damaged: "):
      leak.measure(out)
  alone = plan | {"arms": {"clean": []}, "protocols": ["stratified"]}
  (out / "plan.json").write_text(json.dumps(alone))
  with pytest.raises(InputError, match="there is nothing to compare"):
    leak.measure(out)
  (out / "plan.json").unlink()
  with pytest.raises(InputError, match=r"plan.json cannot be read: No such"):
    leak.measure(out)


@pytest.mark.parametrize(
  ("others", "words"),
  [
    (["--seeds=1"], "--seeds=1: give 2 or more"),
    (["--config.seed=3"], "seed=3: leave it out; leak sets it itself"),
    (["--config.data.leak=tracks"], "data.leak=tracks: leave it out; leak"),
    (
      ["--config.task=gan", "--config.train.monitor=validation/coverage"],
      "which does not classify",
    ),
    (["--config.data.protocol=leaky_segments_80_20"], "leaks by itself"),
    (["--protocol=kfold"], "--protocol=kfold: give some of tracks_70_10_20,"),
    (["--protocol=kfold"], "artist_kfold, leaky_"),
    (
      ["--protocol=none", "--protocol=filtered"],
      "--protocol=none --protocol=filtered: give none alone",
    ),
    (["--protocol=stratified"], "published lists of GTZAN"),
  ],
)
def test_mistakes_are_one_line_and_start_nothing(
  data_dir, tmp_path, started, capsys, others, words
):
  assert meter(data_dir, tmp_path / "meter", *others) == 2
  line = capsys.readouterr().err
  assert line.count("\n") == 1
  assert words in line
  assert not started
  assert not (tmp_path / "meter").exists()


# The page.


def measured(**changes) -> dict:
  level = {"accuracy": 0.5, "deviation": 0.01, "ci95": [0.4, 0.6]}
  levels = {"track": level, "segment": level}
  change = {"n": 84, "difference": 0.2, "ci95": [0.1, 0.3], "clusters": 30}
  other = {
    **{"n": 42, "difference": 0.06, "ci95": [-0.02, 0.12]},
    "clusters": 9,
  }
  arm = {"protocol": "p", "leak": None, "n_train": 3690, "touched": 0}
  arm |= {"known_artists": {"tracks": 3, "of": 124}, "commits": ["abc12345"]}
  return {
    **{"recipe": "r", "corpus": "archive", "source": "archive"},
    "data_fingerprint": "0123456789",
    **{"split": "validation", "tracks": 126, "segments": 630, "seeds": [0, 1]},
    **{"alike": False, "clusters": 69, "untested": []},
    "arms": dict.fromkeys(ARMS, arm | levels),
    "differences": {
      "tracks": {"track": change, "segment": change, "untouched": None},
      "artists": {
        **{"track": change, "segment": change},
        "untouched": {"track": other, "segment": other},
      },
    },
    "tracks_over_artists": {"track": change, "segment": change},
    "protocols": [
      {
        **{"protocol": "filtered", "leak": None, "seeds": [0], "tracks": 197},
        **{"split": "validation", "n_train": 2340, **levels},
        "known_artists": {"tracks": 7, "of": 195},
        "commits": ["abc12345", "dea12345+"],
        "track": level | {"deviation": None},
      }
    ],
    **{"left_out": {}, "same": {}},
    **changes,
  }


CLEAN = {"arms": {"clean": measured()["arms"]["clean"]}, "differences": {}}
CLEAN["tracks_over_artists"] = None
MET = {"known_artists": {"tracks": 62, "of": 124}}
MOST_MET = {
  "arms": {name: arm | MET for name, arm in measured()["arms"].items()},
  "protocols": [
    measured()["protocols"][0],
    measured()["protocols"][0] | MET,
  ],
}


def few(clusters: int) -> dict:
  """A difference that one track makes."""
  one = {"n": 1, "difference": 0.0, "ci95": [-1e-4, 0.0], "clusters": clusters}
  change = {"track": one, "segment": one, "untouched": None}
  return {
    **{"clusters": 4, "differences": {"tracks": change}},
    "tracks_over_artists": change,
  }


@pytest.mark.parametrize(
  ("changes", "present", "absent"),
  [
    (
      {},
      (
        *("| +20.0 [+10.0, +30.0] |", "50.0 (n=1) [40.0, 60.0]"),
        "the code of abc12345, dea12345+ on data 01234567.",
        "also chose the checkpoints, in all arms alike",
        *("| +6.0 [-2.0, +12.0]", "| 3 of 124 |"),
        "On the 84 tracks that both leak, `tracks` has +20.0 [",
      ),
      ("All seeds gave", "No arm can leak", "artist recognition"),
    ),
    ({"split": "test"}, ("(test split)",), ("also chose",)),
    (CLEAN, ("No arm can leak here",), ("A difference is",)),
    (
      {"alike": True, "untested": ["pop", "rock"]},
      (
        "No track of pop, rock is tested.",
        "All seeds gave the same predictions, so that ± 0.0 is of one fit",
      ),
      (),
    ),
    (
      MOST_MET,
      (
        "**Mostly artist recognition**: 62 of 124 tested tracks are by",
        "tracks or more are by artists met, that is mostly artist rec",
        *("| `filtered` | no |", "| `filtered` | artists |"),
      ),
      (),
    ),
    (
      few(1),
      (
        "| +0.0 (artists: 1) | +0.0 (artists: 1) |",
        "On the 1 track that both leak, `tracks` has +0.0 (art",
        "Warning: 4 artists are too few for an interval.",
      ),
      (),
    ),
    (few(5), ("+0.0 [+0.0, +0.0]",), ()),
  ],
  ids=["all", "test", "clean", "alike", "artists met", "few", "enough"],
)
def test_the_page_says_what_was_measured(changes, present, absent):
  page = leak_page.document(measured(**changes)).markdown()
  text = " ".join(page.split())
  for words in present:
    assert words in text, words
  for words in absent:
    assert words not in text, words
  rows = [line for line in page.splitlines() if line.startswith("|")]
  assert len({line.count("|") for line in rows[:3]}) == 1


def test_the_picture_shows_what_is_mostly_artist_recognition():
  first, *_, last = leak_page.picture(measured(**MOST_MET)).axes
  assert "(mostly artist recognition)" in first.get_title(loc="left")
  colours = [line.get_color() for line in last.lines[1::2]]
  assert colours == [plot_style.PALETTE["accent"], plot_style.PALETTE["middle"]]
  title = last.get_title(loc="left")
  assert title.endswith("(pale: mostly artist recognition)")


def test_of_few_artists_no_interval_is_drawn():
  differences = leak_page.picture(measured(**few(1))).axes[1]
  assert [len(line.get_xdata()) for line in differences.lines] == [2, 0, 1]


def test_evaluation_md_says_what_the_meters_measured(pytestconfig):
  root = pytestconfig.rootpath
  folder = root / "results" / "leak"
  page, rows = (root / "docs" / "evaluation.md").read_text("utf-8"), set()
  for line in page.splitlines():
    if not (line.startswith("| ") and "/leak.md)" in line):
      continue
    for name in re.findall(r"\(\S*leak/([\w-]+)/leak\.md\)", line)[:1]:
      found = json.loads((folder / name / "leak.json").read_text())
      means = {
        compare.as_text(arm["track"]).split(" [")[0]
        for arm in found["arms"].values()
      }
      changes = {
        leak_page._points(one["track"]) for one in found["differences"].values()
      }
      assert set(re.findall(r"\d+\.\d ± \d+\.\d", line)) == means, name
      said = re.findall(r"([+-]\S+?)\** \((\S+) to (\S+)\)", line)
      assert {f"{x} [{low}, {high}]" for x, low, high in said} == changes, name
      rows.add(name)
  stored = {path.parent.name for path in folder.glob("*/leak.json")}
  # one learns nothing, of the other nothing can leak: both are told in words
  assert stored - rows == {"lstm-cuts", "fusion_cnn-clips"}


def test_the_picture_has_a_panel_for_each_question():
  titles = [
    axes.get_title(loc="left") for axes in leak_page.picture(measured()).axes
  ]
  assert titles == [
    "r\nThe same 126 tracks",
    "What the leak is worth",
    "Protocols, 2,340 train segments",
  ]
  assert len(leak_page.picture(measured(differences={})).axes) == 1
  figure = leak_page.picture(measured(protocols=[]))
  assert len(figure.axes) == 2
  names = [label.get_text() for label in figure.axes[1].get_yticklabels()]
  assert [" ".join(name.splitlines()[1:]) for name in names] == [
    "other segments (84 tracks)",
    "other tracks (84 tracks)",
  ]


def write_meter(folder, recipe, accuracies, size=2340, **changes):
  """A leak.json of STEPS, with `tracks_80_20` under its other name."""
  beside = [
    {
      **{"protocol": name, "split": split, "tracks": 143, "n_train": size},
      **{"leak": None, "seeds": [0, 1]},
      "segment": {"accuracy": right, "deviation": 0.01, "ci95": [0.1, 0.9]},
    }
    for (name, split), right in zip(
      (
        ("leaky_segments_80_20", "test"),
        ("tracks_70_10_20", "test"),
        ("filtered", "validation"),
      ),
      accuracies,
      strict=False,
    )
  ]
  found = measured(
    recipe=recipe,
    protocols=beside,
    same={"tracks_80_20": "tracks_70_10_20"},
    **changes,
  )
  folder.mkdir(parents=True)
  (folder / "leak.json").write_text(json.dumps(found))


def test_meters_with_all_three_steps_stand_side_by_side(tmp_path):
  write_meter(tmp_path / "low", "resnet", (0.7, 0.6, 0.4))
  write_meter(tmp_path / "high", "cnn_gru", (0.81, 0.62, 0.43), size=3510)
  write_meter(tmp_path / "two steps", "fcn", (0.9, 0.8))
  assert steps.write(tmp_path) == (tmp_path / "steps.md").read_text()
  lines = (tmp_path / "steps.md").read_text().splitlines()
  rows = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in lines
    if line.startswith("| [")
  ]
  assert [row[0] for row in rows] == [
    *["[`cnn_gru`](high/leak.md)"] * 3,
    *["[`resnet`](low/leak.md)"] * 3,
  ]
  assert rows[1] == [
    *("[`cnn_gru`](high/leak.md)", "tracks", "`tracks_70_10_20`"),
    *("test, 143 tracks", "3,510", "2", "62.0 ± 1.0 [10.0, 90.0]"),
  ]
  assert rows[5][1:4] == ["artists", "`filtered`", "validation, 143 tracks"]
  (axes,) = steps.picture(steps.read(tmp_path)).axes
  dots = [
    (float(x), int(y))
    for x, y in (
      p.get_xydata()[0] for p in axes.lines if len(p.get_xdata()) == 1
    )
  ]
  assert dots == [
    *((0.81, 0), (0.62, 0), (0.43, 0), (0.7, 1), (0.6, 1), (0.4, 1)),
  ]
  words = {text.get_text() for text in axes.texts}
  assert words >= {"81.0", "● tracks held out (test)", "40.0"}
  assert "● artists held out (validation)" in words
  # verify draws the page anew
  (tmp_path / "steps.md").write_text("62.0 turned into 63.0")
  assert f"{tmp_path / 'steps.md'}: line 1" in " ".join(
    verify.verify([tmp_path]).wrong
  )


def test_steps_of_other_sizes_or_none_are_one_line(tmp_path):
  with pytest.raises(
    InputError, match=r"holds no leak\.json with the protocols"
  ):
    steps.read(tmp_path)
  write_meter(tmp_path / "one", "resnet", (0.7, 0.6, 0.4))
  file = tmp_path / "one" / "leak.json"
  found = json.loads(file.read_text())
  found["protocols"][0]["n_train"] = 5598
  file.write_text(json.dumps(found))
  with pytest.raises(InputError, match="filtered differ in train segments"):
    steps.read(tmp_path)
  del found["protocols"][0]["segment"]
  file.write_text(json.dumps(found))
  with pytest.raises(InputError, match=r"leak.json is damaged: protocols"):
    steps.read(tmp_path)


def test_what_is_quoted_of_the_steps_is_stored(pytestconfig):
  root = pytestconfig.rootpath
  meters = {
    one.recipe.split("_10_")[0]: [
      100 * step["segment"]["accuracy"] for step in one.steps
    ]
    for one in steps.read(root / "results" / "leak")
  }
  segments, tracks, artists = meters["resnet"]
  text = " ".join((root / "README.md").read_text("utf-8").split())
  said = re.findall(r"(\d+\.\d) %", text.split("steps.png)")[1])[:3]
  assert said == [f"{x:.1f}" for x in (segments, tracks, artists)]
  page = (root / "docs" / "evaluation.md").read_text("utf-8")
  for step in range(3):
    order = (meters[x][step] for x in ("resnet", "cnn_gru", "cnn_bilstm"))
    assert " / ".join(f"{x:.1f}" for x in order) in page
  for file in ("evaluation.md", "data.md"):
    text = (root / "docs" / file).read_text("utf-8")
    assert re.search(rf"\b{segments - tracks:.1f} (points )?of `resnet`", text)
    assert re.search(rf"\b{tracks - artists:.1f} (points )?more", text)


def test_every_honest_protocol_may_be_the_base():
  rows = gtzan_rows()
  for name, protocol in PROTOCOLS.items():
    if protocol.leak is None:
      partition = apply(name, rows, leak="clean")
      wanted = by_genre(apply(name, rows).parts["train"])
      assert by_genre(partition.parts["train"]).keys() == wanted.keys(), name
      tested = partition.parts["test"] or partition.parts["validation"]
      assert not tracks(partition.parts["train"]) & tracks(tested), name
