"""Whose a track is: names against the groups that the folds keep together."""

from tfds_gtzan import clusters, cuts, track_lists
from tfds_gtzan.track import Row


def rows(**artists) -> list[Row]:
  return [Row(name, "g", artist, "", 1) for name, artist in artists.items()]


def test_names_are_of_artists_however_they_are_written():
  given = rows(a="The Beatles", b="beatles", c="", d="", e="Björk", f="BJORK!")
  assert clusters.names(given) == {
    **{"a": "beatles", "b": "beatles", "c": "", "d": ""},
    **{"e": "bjork", "f": "bjork"},
  }


def test_gtzans_names_make_the_groups_of_its_artist_folds():
  every = [
    Row(track, track.split(".")[0], artist, "", 1)
    for track, artist in track_lists.artists().items()
  ]
  names = clusters.names(every)
  groups = cuts.artist_groups(every)
  named = [names[row.id] or row.id for row in every]
  pairs = set(zip(named, groups, strict=True))
  assert len(pairs) == len(set(named)) == len(set(groups)) == 288
  assert sum(not name for name in names.values()) == 17
  # Of fewer tracks the same is said.
  some = clusters.names(every[::7])
  assert some == {row.id: names[row.id] for row in every[::7]}


def test_copies_of_a_recording_are_one_whoever_is_named(monkeypatch):
  pairs = (("a", "b"), ("c", "d"))
  monkeypatch.setattr(track_lists, "duplicates", lambda: pairs)
  given = rows(a="Zappa", b="Abba", c="", d="", e="zappa", f="")
  assert clusters.names(given) == {
    **dict.fromkeys("abe", "abba"),
    **{"c": "c", "d": "c", "f": ""},
  }
