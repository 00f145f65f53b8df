"""The leakage meter: what its arms share and add, and that it measures it."""

import collections
import dataclasses
import functools
import json
import pathlib
import random
import re
import shutil

import numpy as np
import pytest
import stored
from corpora import gtzan_rows, own_rows, synthetic_rows
from sklearn.neighbors import KNeighborsClassifier

from gtzan_jax.errors import InputError
from gtzan_jax.reports import plot_style, report
from gtzan_jax.scores import paired_tests
from gtzan_jax.scores.predictions import Predictions
from gtzan_jax.studies.leak import holdout_steps
from gtzan_jax.studies.leak import measure as leak
from gtzan_jax.studies.leak import page as leak_page
from gtzan_jax.studies.leak import run as leak_runs
from gtzan_jax.studies.verify import run as verify
from gtzan_jax.training import find_recipe, workdir
from tfds_gtzan.corpora.types import GENRES, Row
from tfds_gtzan.facts import track_lists
from tfds_gtzan.protocols import leak_arms, splitters
from tfds_gtzan.protocols.protocol_table import PROTOCOLS, apply

ARMS = ("clean", "tracks", "artists")
GTZAN, SYNTHETIC = gtzan_rows(), synthetic_rows()


def tracks(segments):
  return {track for track, _ in segments}


def by_genre(segments):
  return collections.Counter(track.split(".")[0] for track, _ in segments)


def groups(rows):
  """{id: number of its artists and recordings}."""
  return dict(
    zip((row.id for row in rows), splitters.artist_groups(rows), strict=True)
  )


def cuts(base, rows, *arms, **options):
  return [apply(base, rows, leak=arm, **options) for arm in arms]


# The arms.

TABLES = {
  "the archive at hand": (
    *([row for row in GTZAN if row.partition != "test"], "filtered", 0),
  ),
  "all of GTZAN": (GTZAN, "filtered", 0),
  "artist folds": (GTZAN, "artist_kfold", 2),
  "synthetic": (SYNTHETIC, "filtered", 0),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", TABLES)
def test_arms_differ_in_nothing_but_whose_segments_fill_the_slots(name):
  rows, base, fold = TABLES[name]
  whole = apply(base, rows, fold=fold)
  reported = "test" if whole.parts["test"] else "validation"
  arms = dict(zip(ARMS, cuts(base, rows, *ARMS, fold=fold), strict=True))
  clean, train = arms["clean"], {a: {*arms[a].parts["train"]} for a in ARMS}
  tested = set(clean.parts[reported])
  assert tested < set(whole.parts[reported])
  assert train["clean"] < set(whole.parts["train"])
  # Half of each tested track's segments, and none of them ever in train.
  long = {row.id: row.segments for row in rows}
  for track, number in collections.Counter(t for t, _ in tested).items():
    assert number == long[track] - max(1, round(long[track] / 2))
  for name, arm in arms.items():
    for part in ("validation", "test"):
      assert arm.parts[part] == clean.parts[part]
    assert len(train[name]) == len(arm.parts["train"])
    assert by_genre(train[name]) == by_genre(train["clean"])
    assert not train[name] & tested
  added = {arm: tracks(train[arm] - train["clean"]) for arm in ARMS}
  assert added["tracks"] == tracks(tested) == set(arms["tracks"].touched)
  assert len(tracks(train["tracks"])) == len(tracks(train["clean"]))
  group = groups(rows)
  held = {group[track] for track in tracks(tested)}
  assert not {group[track] for track in tracks(train["clean"])} & held
  if reported == "test":
    assert not {group[t] for t in tracks(clean.parts["validation"])} & held
  assert not added["artists"] & tracks(tested)
  touched = arms["artists"].touched
  assert len(touched) > 0.5 * len(tracks(tested))
  assert {group[t] for t in added["artists"]} == {group[t] for t in touched}
  # Songs of which another recording, or part, is tested are another leak.
  songs, learnt = (
    {(group[t], track_lists.index().get(t, ("", ""))[1]) for t in some}
    for some in (tracks(tested), added["artists"])
  )
  assert not {song for song in songs if song[1]} & learnt


def test_who_has_most_of_a_genre_to_learn_from_is_not_tested():
  """A joint credit links two tracks of Lauryn Hill's to Bob Marley's 27."""
  clean = apply("filtered", GTZAN, leak="clean")
  marley = {"reggae.00087", "hiphop.00040", "hiphop.00045"}
  assert marley < track_lists.splits("filtered")["test"]
  assert not marley & tracks(clean.parts["test"])
  learnt = [
    track_lists.artists()[track]
    for track in tracks(clean.parts["train"])
    if track.startswith("reggae")
  ]
  assert learnt.count("Bob Marley") > 15
  assert "Burning Spear" not in learnt


def test_names_say_which_arms_leak():
  assert (leak.CLEAN, *leak.LEAKING) == tuple(leak_arms.ARMS) == ARMS
  for arm, cut in zip(ARMS, cuts("filtered", GTZAN, *ARMS), strict=True):
    assert cut.protocol.endswith(f"meter_{arm} of filtered")
    assert (cut.leak is not None) == cut.protocol.startswith("leaky_")
    assert (cut.leak is None) == (arm == "clean") == (not cut.touched)
  assert apply("filtered", GTZAN).protocol == "filtered"


@pytest.mark.parametrize("arm", ARMS)
def test_an_arm_follows_from_rows_and_split_seed_alone(arm):
  (first,) = cuts("filtered", SYNTHETIC, arm)
  shuffled = random.Random(1).sample(SYNTHETIC, len(SYNTHETIC))
  assert cuts("filtered", shuffled, arm) == [first]
  (other,) = cuts("filtered", shuffled, arm, split_seed=43)
  assert other.parts != first.parts


def test_where_artists_are_few_they_cross_in_all_arms_alike():
  whole, clean, leaky = cuts("tracks_80_20", GTZAN, "", "clean", "tracks")
  assert tracks(clean.parts["train"]) == tracks(whole.parts["train"])
  # 201 tracks are tested, of copies one.
  tested = tracks(whole.parts["test"])
  copies = [{*pair} <= tested for pair in track_lists.duplicates()]
  assert len(leaky.touched) == len(tested) - sum(copies) == 201 - sum(copies)


@pytest.mark.parametrize(("others", "apart"), [(2, True), (1, False)])
def test_artists_are_held_apart_if_no_genre_loses_more_than_half(others, apart):
  """Of train, the held-out artist's two tracks and those by others."""
  number = {"held": 4, "other": others, "last": 1}
  rows = [
    Row(f"{genre}.{artist}{i}", genre, f"{genre} {artist}", "", 4)
    for genre in ("blues", "rock")
    for artist in number
    for i in range(number[artist])
  ]
  parts = {"train": [], "validation": [], "test": []}
  for row in rows:
    held = re.search(r"held[01]", row.id)
    part = "validation" if "last" in row.id else "test" if held else "train"
    parts[part] += [(row.id, s) for s in range(row.segments)]
  made, _ = leak_arms.cut(parts, rows, "clean", 0.5, seed=0)
  learnt = {track.split(".")[1] for track, _ in made["train"]}
  assert ("held2" not in learnt) == apart


def test_a_track_of_one_segment_cannot_leak_but_its_artist_can():
  rows = gtzan_rows(segments=1)
  clean, artists = cuts("filtered", rows, "clean", "artists")
  assert artists.parts["test"] == clean.parts["test"]
  swapped = set(artists.parts["train"]) - set(clean.parts["train"])
  assert len(artists.touched) >= len(swapped) > 100
  group = groups(rows)
  learnt = {group[track] for track in tracks(swapped)}
  tested = tracks(artists.parts["test"])
  assert {t for t in tested if group[t] in learnt} == set(artists.touched)


def test_an_artist_of_two_genres_is_held_apart_in_both():
  rows = own_rows(24, segments=4)
  whole = apply("tracks_80_20", rows)
  blues = next(t for t, _ in whole.parts["test"] if t.startswith("blues"))
  rock = [t for t in tracks(whole.parts["train"]) if t.startswith("rock")][:4]
  both = [
    dataclasses.replace(row, artist="both" * (row.id in {blues, *rock}))
    for row in rows
  ]
  for cut in cuts("tracks_80_20", both, "clean", "tracks"):
    assert blues in tracks(cut.parts["test"])
    assert not tracks(cut.parts["train"]) & set(rock)


def test_the_share_is_how_much_is_swapped():
  (cut,) = cuts("filtered", GTZAN, "tracks", leak_share=0.2)
  assert len(cut.parts["test"]) == 8 * len(cut.touched)
  own = [one for one in cut.parts["train"] if one[0] in cut.touched]
  assert len(own) == 2 * len(cut.touched)


def test_every_honest_protocol_may_be_the_base():
  for name, protocol in PROTOCOLS.items():
    if protocol.leak is None:
      whole, clean = cuts(name, GTZAN, "", "clean")
      train = clean.parts["train"]
      assert by_genre(train).keys() == by_genre(whole.parts["train"]).keys()
      tested = clean.parts["test"] or clean.parts["validation"]
      assert not tracks(train) & tracks(tested), name


OWN = own_rows(9, segments=4)
FEW_OF_BLUES = OWN[9:] + own_rows(3, segments=4)[:3]


@pytest.mark.parametrize(
  ("base", "rows", "options", "words"),
  [
    ("leaky_segments_80_20", OWN, {}, "leaks by itself: the leakage meter"),
    ("filtered", GTZAN, {"leak": "both"}, "'both' .* clean, tracks, art"),
    ("filtered", GTZAN, {"leak_share": 1.0}, "leak_share 1.0: give one"),
    ("tracks_80_20", OWN[:3] + OWN[9:12], {}, "to test: no genre has a test"),
    (
      *("tracks_80_20", FEW_OF_BLUES, {}),
      "one genre to test; give a corpus with two or more",
    ),
    (
      *("tracks_80_20", OWN, {"leak": "artists"}),
      "no held-out artist has another track",
    ),
    (
      *("tracks_80_20", GTZAN, {"leak": "artists"}),
      "has no arm 'artists': artists are on both",
    ),
    (
      *("filtered", gtzan_rows(segments=1), {"leak": "tracks"}),
      "'tracks': its held-out .* one seg",
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
  return leak_runs.plan(config.data, cut, list(chosen))


def test_where_no_arm_can_leak_the_protocols_are_left():
  """As with one example a track, and no artists known."""
  rows = own_rows(9, segments=1)
  facts, values = plan_of(rows)
  assert facts["arms"] == {"clean": []}
  left_out = {"tracks", "artists", "filtered", "stratified"}
  assert left_out <= facts["left_out"].keys()
  assert "leaky_segments_80_20" in facts["protocols"]
  assert list(values) == ["clean", *facts["protocols"]]
  sizes = {values[name]["data.train_segments"] for name in facts["protocols"]}
  assert len(sizes) == 1
  with pytest.raises(InputError, match=r"^nothing to compare: .*one segment"):
    plan_of(rows, "none")
  # nor where what is left of the protocols cannot be trained on
  with pytest.raises(InputError, match=r"^nothing to compare"):
    plan_of(rows, "tracks_80_20", empty="validation")
  facts, values = plan_of(OWN, "none")
  assert facts["protocols"] == []
  assert list(values) == ["clean", "tracks"]


def test_a_split_of_ones_own_makes_the_arms_and_no_protocol():
  _, values = plan_of(OWN, "kfold10", splits="a.csv")
  assert values["clean"]["data.splits"] == "a.csv"
  assert values["kfold10"]["data.splits"] == ""
  _, values = plan_of(OWN, "kfold10")
  assert not any("data.splits" in one for one in values.values())


# Train parts of one size.


@pytest.mark.parametrize(
  "base", ["filtered", "tracks_80_20", "leaky_segments_80_20"]
)
def test_train_segments_are_exact_nested_and_in_proportion(base):
  whole, before = apply(base, SYNTHETIC), set()
  share = by_genre(whole.parts["train"])
  for number in (57, 300, len(whole.parts["train"])):
    some = apply(base, SYNTHETIC, train_segments=number)
    train = set(some.parts["train"])
    assert len(train) == number
    assert before <= train <= set(whole.parts["train"])
    for genre, count in by_genre(train).items():
      wanted = number * share[genre] / share.total()
      assert abs(count - wanted) <= 1
    assert some.parts["test"] == whole.parts["test"]
    before = train


# Statistics.


def finished(folder, correct, touched):
  """W with finished runs of each arm, 30 tracks of the first genre; its plan.
  `correct`: {arm: of each seed, [60] which segments are predicted correctly}.
  """
  for arm, seeds in correct.items():
    for seed, right in enumerate(seeds):
      table = Predictions(
        track=np.repeat([f"t{i:02d}" for i in range(30)], 2),
        segment=np.arange(60) % 2,
        label=np.zeros(60, int),
        probabilities=np.where(right[:, None] > 0, [[0.9, 0.1]], [[0.2, 0.8]]),
        genres=("a", "b"),
        artist=np.repeat([f"by {i}" for i in range(30)], 2),
      )
      stored.run(
        folder / "runs" / f"{arm}-seed{seed}",
        {"train": table.select(slice(8)), "test": table},
        **{"seed": seed, "commit": "abc" * 9 + "+"},
        config={"data": {"leak": arm}, "eval": {"bootstrap": 10}},
      )
  plan = {"arms": {"clean": [], **touched}, "protocols": []}
  return replan(folder, {**plan, "left_out": {}, "same": {}})


def replan(folder, plan):
  (folder / "plan.json").write_text(json.dumps(plan))
  return plan


def test_a_difference_is_of_the_tracks_that_the_arm_leaks_alone(tmp_path):
  """Six of ten tracks are leaked; the others differ the other way."""
  touched = np.arange(60) < 36
  rng = np.random.default_rng(0)
  correct = {
    "clean": [np.where(touched, rng.random(60) < 0.3, 1) for _ in range(2)],
    "tracks": [np.where(touched, 1, 0) for _ in range(2)],
    "artists": [np.zeros(60, int) for _ in range(2)],
  }
  every = [f"t{i:02d}" for i in range(30)]
  plan = finished(
    tmp_path, correct, {"tracks": every[:18], "artists": every[8:]}
  )
  scores = leak.measure(tmp_path)
  assert (scores["clusters"], scores["untested"]) == (30, ["b"])
  clean = scores["arms"]["clean"]
  assert clean["known_artists"] == {"tracks": 4, "of": 30}
  assert (clean["commits"], clean["n_train"]) == (["abcabcab+"], 8)
  found = scores["differences"]["tracks"]
  right = np.mean([one[touched].mean() for one in correct["clean"]])
  assert found["segment"]["n"] == touched.sum()
  assert found["segment"]["difference"] == pytest.approx(1 - right)
  assert found["track"]["n"] == 18
  rest = found["untouched"]
  assert (rest["track"]["n"], rest["segment"]["difference"]) == (12, -1)
  both = scores["tracks_over_artists"]["track"]
  assert (both["n"], both["difference"]) == (10, 1)
  plan["arms"] |= {"tracks": every[:18], "artists": every[18:]}
  replan(tmp_path, plan)
  assert leak.measure(tmp_path)["tracks_over_artists"] is None
  plan["arms"]["tracks"] = every
  replan(tmp_path, plan)
  found = leak.measure(tmp_path)["differences"]["tracks"]
  assert found["untouched"] is None


def test_what_is_gone_or_of_another_meter_is_refused(tmp_path):
  right = np.ones(60, int)
  plan = finished(
    tmp_path, {"clean": [right] * 2, "tracks": [right] * 2}, {"tracks": ["t00"]}
  )
  assert leak.measure(tmp_path)["alike"]

  def refused(words):
    with pytest.raises(InputError, match=words):
      leak.measure(tmp_path)

  file = tmp_path / "runs" / "tracks-seed1" / "report.json"
  own = json.loads(file.read_text())
  file.write_text(json.dumps({**own, "data_fingerprint": "another"}))
  refused("data_fingerprint 'another' received")
  file.write_text(json.dumps({**own, "config": {"recipe": "ensemble"}}))
  refused("is not a run of a leakage meter")
  shutil.rmtree(file.parent)
  refused(r"seeds 0 are finished in every arm \(clean")
  for damage in (
    {"arms": ["clean"]},
    {"arms": plan["arms"] | {"tracks": 3}},
    {"arms": plan["arms"] | {"tracks": []}},
    {"arms": {"tracks": []}},
    {"left_out": None},
    {"protocols": 3},
  ):
    replan(tmp_path, plan | damage)
    refused(r"plan.json is damaged: ")
  alone = {"arms": {"clean": []}, "protocols": ["stratified"]}
  replan(tmp_path, plan | alone)
  refused("there is nothing to compare")
  (tmp_path / "plan.json").unlink()
  refused(r"plan.json cannot be read: No such")


def heard_again(cut, voice, seed) -> Predictions:
  """Of the nearest neighbour, where tracks and artists have a voice."""
  row_of = {row.id: row for row in SYNTHETIC}

  @functools.cache
  def draw(*name):
    key = list(f"{name} {seed}".encode())
    return np.random.default_rng(key).normal(size=24)

  def heard(split):
    """The features and genres of a split's segments."""
    rows = [(row_of[track], segment) for track, segment in cut.parts[split]]
    features = [
      0.6 * draw(row.genre)
      + voice * (draw(row.artist) + draw(row.id))
      + draw(row.id, segment)
      for row, segment in rows
    ]
    return np.array(features), [GENRES.index(row.genre) for row, _ in rows]

  features, labels = heard("test")
  nearest = KNeighborsClassifier(1).fit(*heard("train")).predict(features)
  track, segment = zip(*cut.parts["test"], strict=True)
  artist = [row_of[name].artist for name in track]
  predicted = np.eye(len(GENRES))[nearest]
  return Predictions(track, segment, labels, predicted, GENRES, artist)


@pytest.mark.slow
@pytest.mark.parametrize(("voice", "leaks"), [(0.0, False), (1.0, True)])
def test_a_leak_is_found_where_tracks_have_a_voice_and_only_there(voice, leaks):
  """More tracks or segments of a genre alone would make no difference."""
  clean, *others = (
    [heard_again(cut, voice, seed) for seed in range(3)]
    for cut in cuts("filtered", SYNTHETIC, *ARMS)
  )
  for arm in others:
    low, high = paired_tests.compare_many(arm, clean)["ci95"]
    assert (low > 0) == leaks
    assert leaks or high > 0
  nothing = paired_tests.compare_many(clean, clean)
  assert (nothing["difference"], nothing["ci95"]) == (0, [0, 0])


# The verb, on the synthetic corpus.


@pytest.mark.slow
def test_the_meter_finds_the_leak_of_the_synthetic_corpus(
  study, tmp_path, started, capsys
):
  out = tmp_path / "meter"
  beside = ("tracks_80_20", "leaky_segments_80_20", "tracks_70_10_20")
  asked = ("--seeds=2", *(f"--protocol={name}" for name in beside))
  assert study("leak", "svm_stats", out, *asked, protocol="filtered") == 0
  assert started.ran == [
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
  (out / "leak.json").unlink()
  with workdir.locked(out / "runs"):
    assert study("leak", "svm_stats", out, *asked, protocol="filtered") == 2
  assert f": --workdir={out} is in use by" in capsys.readouterr().err
  # The same command again goes on where it was.
  (out / "runs" / "tracks-seed1" / "report.json").unlink()
  del started.ran[:]
  assert study("leak", "svm_stats", out, *asked, protocol="filtered") == 0
  assert started.ran == ["tracks-seed1"]
  assert (out / "leak.json").read_text() == text


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
    (
      ["--protocol=kfold"],
      "--protocol=kfold: give some of tracks_70_10_20,.* artist_kfold, leaky_",
    ),
    (
      ["--protocol=none", "--protocol=filtered"],
      "--protocol=none --protocol=filtered: give none alone",
    ),
    (["--protocol=stratified"], "published lists of GTZAN"),
  ],
)
def test_mistakes_are_one_line_and_start_nothing(
  study, tmp_path, started, capsys, others, words
):
  out = tmp_path / "meter"
  assert study("leak", "svm_stats", out, *others, protocol="filtered") == 2
  line = capsys.readouterr().err
  assert line.count("\n") == 1
  assert re.search(words, line)
  assert not started.ran
  assert not out.exists()


# The page.

STORED = pathlib.Path(__file__).parents[2] / "results" / "leak"
NAMES = [path.parent.name for path in sorted(STORED.glob("*/leak.json"))]


def measured(name) -> dict:
  return json.loads((STORED / name / "leak.json").read_text("utf-8"))


@pytest.mark.parametrize("name", NAMES)
def test_a_stored_page_is_what_its_numbers_say(name):
  page = leak_page.document(measured(name)).markdown()
  assert page == (STORED / name / "leak.md").read_text("utf-8")


def test_few_artists_and_one_fit_are_said():
  found = measured("resnet-archive")
  one = {"n": 1, "difference": 0.0, "ci95": [-1e-4, 0.0], "clusters": 1}
  change = {"track": one, "segment": one, "untouched": None}
  found |= {"differences": {"tracks": change}, "tracks_over_artists": change}
  found |= {"alike": True, "clusters": 4}
  found["protocols"][0]["track"] |= {"deviation": None, "ci95": [0.4, 0.6]}
  page = " ".join(leak_page.document(found).markdown().split())
  for words in (
    *("| +0.0 (artists: 1) | +0.0 (artists: 1) |", " (n=1) [40.0, 60.0] |"),
    "On the 1 track that both leak, `tracks` has +0.0 (art",
    "Warning: 4 artists are too few for an interval.",
    "All seeds gave the same predictions, so that ± 0.0 is of one fit",
  ):
    assert words in page, words
  differences = leak_page.picture(found).axes[1]
  assert [len(line.get_xdata()) for line in differences.lines] == [2, 0, 1]
  one["clusters"] = 5
  assert "+0.0 [+0.0, +0.0]" in leak_page.document(found).markdown()


MOSTLY = "mostly artist recognition"


@pytest.mark.parametrize(
  ("name", "changes", "titles"),
  [
    (
      *("resnet-archive", {}),
      [
        "resnet\nThe same 126 tracks",
        "What the leak is worth",
        f"Protocols, 2,340 train segments\n(pale: {MOSTLY})",
      ],
    ),
    (
      *("lstm-clips", {"protocols": []}),
      [f"lstm\nThe same 20 tracks\n({MOSTLY})", "What the leak is worth"],
    ),
    (
      *("fusion_cnn-clips", {}),
      [f"Protocols, 66 train segments\n(pale: {MOSTLY})"],
    ),
  ],
)
def test_the_picture_has_a_panel_for_each_question(name, changes, titles):
  axes = leak_page.picture(measured(name) | changes).axes
  assert [x.get_title(loc="left") for x in axes] == titles


def test_the_picture_names_what_is_swapped_in_and_colours_what_leaks():
  _, differences, protocols = leak_page.picture(measured("resnet-archive")).axes
  labels = [label.get_text() for label in differences.get_yticklabels()]
  assert [" ".join(label.splitlines()[1:]) for label in labels] == [
    "other segments (126 tracks)",
    "other tracks (85 tracks)",
  ]
  colours = [line.get_color() for line in protocols.lines[1::2]]
  kinds = ["accent"] * 2 + ["middle"] * 4 + ["warm"] * 3
  assert colours == [plot_style.PALETTE[kind] for kind in kinds]


def test_evaluation_md_says_what_the_meters_measured(pytestconfig):
  page = pytestconfig.rootpath / "docs" / "evaluation.md"
  rows = set()
  for line in page.read_text("utf-8").splitlines():
    names = re.findall(r"\(\S*leak/([\w-]+)/leak\.md\)", line)[:1]
    for name in names if line.startswith("| ") else []:
      found = measured(name)
      means = {
        paired_tests.as_text(arm["track"]).split(" [")[0]
        for arm in found["arms"].values()
      }
      changes = {
        leak_page._points(one["track"]) for one in found["differences"].values()
      }
      assert set(re.findall(r"\d+\.\d ± \d+\.\d", line)) == means, name
      quoted = re.findall(r"([+-]\S+?)\** \((\S+) to (\S+)\)", line)
      assert {f"{x} [{low}, {high}]" for x, low, high in quoted} == changes
      rows.add(name)
  # one learns nothing, of the other nothing can leak: both are told in words
  assert set(NAMES) - rows == {"lstm-cuts", "fusion_cnn-clips"}


# Steps.


def write_meter(folder, **changes):
  """Another meter like that of resnet."""
  folder.mkdir()
  found = measured("resnet-archive") | changes
  (folder / "leak.json").write_text(json.dumps(found))
  return found


def test_stored_steps_are_those_of_the_meters_that_have_all_three():
  assert holdout_steps.again(STORED) == (STORED / "steps.md").read_text("utf-8")
  meters = holdout_steps.read(STORED)
  assert len(meters) == 3 < len(NAMES)
  (axes,) = holdout_steps.picture(meters).axes
  dots = [p.get_xydata()[0] for p in axes.lines if len(p.get_xdata()) == 1]
  assert [(float(x), int(y)) for x, y in dots] == [
    (step["segment"]["accuracy"], y)
    for y, one in enumerate(meters)
    for step in one.steps
  ]
  words = {text.get_text() for text in axes.texts}
  assert f"{100 * dots[0][0]:.1f}" in words
  assert "● tracks held out (test)" in words
  assert "● artists held out (validation)" in words


def test_steps_are_written_and_verified(tmp_path):
  write_meter(tmp_path / "one")
  assert holdout_steps.write(tmp_path) == (tmp_path / "steps.md").read_text(
    "utf-8"
  )
  assert (tmp_path / "steps.png").exists()
  (tmp_path / "steps.md").write_text("62.0 turned into 63.0")
  alone = tmp_path / "two" / "leak.md"
  alone.parent.mkdir()
  alone.touch()
  wrong = verify.verify([tmp_path]).wrong
  assert f"{alone}: no leak.json beside it" in wrong
  assert f"{tmp_path / 'steps.md'}: line 1" in " ".join(wrong)


def test_steps_of_other_sizes_or_none_are_one_line(tmp_path):
  def refused(words):
    with pytest.raises(InputError, match=words):
      holdout_steps.read(tmp_path)

  write_meter(tmp_path / "none", protocols=[])
  refused(r"holds no leak\.json with the protocols")
  protocols = write_meter(tmp_path / "other")["protocols"]
  protocols[-2]["n_train"] = 5598
  write_meter(tmp_path / "sizes", protocols=protocols)
  refused("filtered differ in train segments")
  del protocols[0]["segment"]
  write_meter(tmp_path / "damaged", protocols=protocols)
  refused(r"leak.json is damaged: protocols")


def test_what_is_quoted_of_the_steps_is_stored(pytestconfig):
  root = pytestconfig.rootpath
  readme, evaluation, data = (
    " ".join((root / name).read_text("utf-8").split())
    for name in ("README.md", "docs/evaluation.md", "docs/data.md")
  )
  meters = {
    one.recipe.split("_10_")[0]: [
      100 * step["segment"]["accuracy"] for step in one.steps
    ]
    for one in holdout_steps.read(STORED)
  }
  segments, tracks, artists = meters["resnet"]
  quoted = re.findall(r"(\d+\.\d) %", readme.split("steps.png)")[1])[:3]
  assert quoted == [f"{x:.1f}" for x in (segments, tracks, artists)]
  for step in range(3):
    order = (meters[x][step] for x in ("resnet", "cnn_gru", "cnn_bilstm"))
    assert " / ".join(f"{x:.1f}" for x in order) in evaluation
  for text in (evaluation, data):
    assert re.search(
      rf"\b{segments - tracks:.1f} (points )?(of|to) `resnet`", text
    )
    assert re.search(rf"\b{tracks - artists:.1f} (points )?more", text)
