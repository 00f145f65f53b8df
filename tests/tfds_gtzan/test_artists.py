"""Whose a track is: names against the groups that the folds keep together."""

from gtzan_jax.scores import metrics
from gtzan_jax.scores.predictions import Predictions
from tfds_gtzan.corpora.types import Row
from tfds_gtzan.facts import artist_clusters as artists
from tfds_gtzan.facts import track_lists
from tfds_gtzan.protocols import splitters


def table(names) -> Predictions:
  """Of one segment of each track, in whatever genres."""
  return Predictions(
    [*names],
    [0] * len(names),
    [0] * len(names),
    [[1, 0]] * len(names),
    ("g", "h"),
    [*names.values()],
  )


def rows(**artists) -> list[Row]:
  return [Row(name, "g", artist, "", 1) for name, artist in artists.items()]


def test_names_are_of_artists_however_they_are_written():
  given = rows(a="The Beatles", b="beatles", c="", d="", e="Björk", f="BJORK!")
  assert artists.clusters(given) == {
    **{"a": "beatles", "b": "beatles", "c": "", "d": ""},
    **{"e": "bjork", "f": "bjork"},
  }


def test_a_joint_credit_is_of_all_whom_it_names():
  given = rows(a="Hill; Marley & Co.", b="MARLEY AND CO;Hill", c="The Hill")
  assert artists.clusters(given) == {
    **dict.fromkeys("ab", "hill; marley and co"),
    "c": "hill",
  }


def test_gtzans_names_make_the_groups_of_its_artist_folds():
  every = [
    Row(track, track.split(".")[0], artist, "", 1)
    for track, artist in track_lists.artists().items()
  ]
  names = artists.clusters(every)
  groups = splitters.artist_groups(every)
  found = table({row.id: names[row.id] for row in every}).clusters.tolist()
  pairs = set(zip(found, groups, strict=True))
  assert len(pairs) == len(set(found)) == len(set(groups)) == 278
  tables = {
    part: table({track: names[track] for track in ids})
    for part, ids in track_lists.splits("filtered").items()
  }
  assert [
    metrics.known_artists(tables[part], tables["train"])
    for part in ("validation", "test")
  ] == [{"tracks": 12, "of": 195}, {"tracks": 15, "of": 285}]
  assert sum(not name for name in names.values()) == 17
  # Of fewer tracks the same is said.
  some = artists.clusters(every[::7])
  assert some == {row.id: names[row.id] for row in every[::7]}


def test_copies_of_a_recording_are_one_whoever_is_named(monkeypatch):
  pairs = (("a", "b"), ("c", "d"))
  monkeypatch.setattr(track_lists, "duplicates", lambda: pairs)
  given = rows(a="Zappa", b="Abba", c="", d="", e="zappa", f="")
  assert artists.clusters(given) == {
    **dict.fromkeys("ab", "abba; zappa"),
    **{"c": "=c", "d": "=c", "e": "zappa", "f": ""},
  }


def test_copies_by_nobody_known_are_one_cluster_and_no_artist():
  one = table({"c": "=c", "d": "=c", "e": ""})
  assert one.n_clusters == 2
  nobody = {"tracks": 0, "of": 0}
  assert metrics.known_artists(one, table({"x": "=c"})) == nobody
