"""The checks of a corpus: what each finds, and what none of them finds."""

import dataclasses
import itertools
import types

import corpora
import numpy as np
import pytest
import soundfile

import tfds_gtzan
from gtzan_jax.data import corpus_checks
from gtzan_jax.errors import InputError


def clean(**changes):
  """Facts of a corpus of which there is nothing to say, but for changes."""
  tracks = [
    {
      "id": f"{genre}.{i}",
      "genre": genre,
      "artist": f"{genre}{i}",
      "partition": "unlisted",
      "values": {"seconds": 30.0},
    }
    for genre in ("jazz", "rock")
    for i in range(4)
  ]
  return {"tracks": tracks} | changes


def collection(names, **changes):
  """Facts of a collection of those ids; genres are its top folders."""
  return {
    "tracks": [
      {"id": name, "genre": name.split("/")[0], "artist": name}
      | {"partition": "unlisted"}
      for name in names
    ]
  } | changes


def tree(*levels):
  """Every path that takes one name of each level."""
  paths = [""]
  for names in (*levels, "abc"):
    paths = [f"{path}/{name}" for path in paths for name in names]
  return collection([path[1:] for path in paths])


def changed(**rows):
  """Clean facts in which the first tracks of genres are by one artist."""
  facts = clean()
  for genre, artists in rows.items():
    own = [row for row in facts["tracks"] if row["genre"] == genre]
    for row, artist in zip(own, artists, strict=False):
      row["artist"] = artist
  return facts


def titles(facts):
  return [one.title for one in corpus_checks.find(facts)]


def test_a_clean_corpus_has_no_warnings():
  assert corpus_checks.find(clean()) == []


@pytest.mark.parametrize(
  ("facts", "check", "title"),
  [
    (
      clean(
        tracks=clean()["tracks"]
        + [{**clean()["tracks"][-1], "artist": name} for name in "xy"]
      ),
      "imbalance",
      "rock has 1.5 times the tracks of jazz",
    ),
    (
      changed(rock=("Bob", "Bob")),
      "one_artist",
      "One artist has half or more of 1 genre",
    ),
    (
      changed(rock=("",)),
      "unknown_artists",
      "Unknown artist: 1 track of 8",
    ),
    (
      changed(rock=[""] * 4, jazz=[""] * 4),
      "unknown_artists",
      "Unknown artist: all tracks",
    ),
    (
      clean(tracks=[row for row in clean()["tracks"] if row["id"][-1] in "01"]),
      "small",
      "2 genres of fewer than three tracks",
    ),
    (
      clean(faults=[{"track": "rock.0", "fault": "odd"}]),
      "faults",
      "1 track with faults",
    ),
    (
      clean(duplicates={"groups": [["rock.0", "rock.1"]]}),
      "replicas",
      "1 of 8 tracks is a replica",
    ),
    # A genre that is called as a split is.
    (
      tree(("rock", "jazz", "Test set")),
      "split_names",
      "1 of 3 genres is named like a split",
    ),
    # What is below genres is only pointed to.
    (
      tree(("rock", "jazz"), ("train", "test")),
      "same_folders",
      "every genre has the same 2 folders",
    ),
    (
      tree(("rock", "jazz"), ("1980", "1990")),
      "same_folders",
      "every genre has the same 2 folders",
    ),
  ],
)
def test_a_warning_for_each_thing(facts, check, title):
  (found,) = corpus_checks.find(facts)
  assert found.check == check
  assert found.title.startswith(title)
  corpus_checks.refuse([found], ())
  assert found.plain().keys() == {"check", "title", "text"}


@pytest.mark.parametrize(
  ("facts", "check", "line", "why"),
  [
    (
      tree(("train", "validation", "test"), ("rock", "jazz")),
      "split_names",
      "3 of 3 genres are named like splits: train; validation; test",
      "folders are the genres (jazz, rock)",
    ),
    (
      tree(("TrainSet", "dev_data", "Eval-01")),
      "split_names",
      "3 of 3 genres are named like splits: TrainSet; dev_data; Eval-01",
      "Give a table of the tracks and their genres as config.data.labels, or",
    ),
    (
      tree(("000", "001", "155")) | {"tables": ["music/tracks.csv"]},
      "numbers",
      "3 of 3 genres are numbers: 000; 001; 155",
      "config.data.labels=music/tracks.csv",
    ),
    (
      tree(("Fold 1", "fold-02", "part3", "disc4")),
      "numbers",
      "4 of 4 genres are numbers: Fold 1; fold-02; part3 and 1 more",
      "config.data.labels=FILE.csv",
    ),
    (
      tree(("mine", "yours"), ("rock", "jazz")),
      "same_folders",
      "every genre has the same 2 folders: jazz; rock",
      "mine, yours would become classes",
    ),
    (
      tree(("Hip-Hop", "hip hop", "rock", "Rock", "jazz")),
      "spellings",
      "2 genres in two spellings or more: Hip-Hop = hip hop; rock = Rock",
      "one name",
    ),
    (
      tree(("Drum & Bass", "drum'n'bass", "Música", "musica")),
      "spellings",
      "2 genres in two spellings or more: Drum & Bass = drum'n'bass;"
      " Música = musica",
      "one name",
    ),
  ],
)
def test_what_makes_numbers_worthless_is_refused(facts, check, line, why):
  found = corpus_checks.find(facts)
  assert found[0].check == check
  assert found[0].line() == line
  assert why in found[0].why
  with pytest.raises(InputError) as error:
    corpus_checks.refuse(found, ())
  assert line in str(error.value)
  assert str(error.value).endswith(f"; --config.data.allow={check} permits it")
  corpus_checks.refuse(found, corpus_checks.allowed([check]))


@pytest.mark.parametrize(
  "facts",
  [
    tree(("rock", "jazz", "testament")),
    tree(("80s", "90s", "2-step")),
    tree(("7", "rock", "jazz")),  # one odd folder
    tree(("7", "8", "rock", "jazz", "pop")),
    tree(("rock", "jazz"), ("album",)),
    tree(("R&B", "Rock", "Rap", "House")),
    tree(("\u30cf\u3099\u30e9", "\u30cf\u30e9")),  # two words of Japanese
    collection(
      f"{genre}/{artist}/{i}"
      for genre, artists in (("rock", "abc"), ("jazz", "cde"))
      for artist in artists
      for i in range(2)
    ),
    # Labels of a table: what the folders are called plays no part.
    {
      "tracks": [
        {"id": f"{n % 3:03d}/{n:06d}", "genre": genre, "artist": f"{n}"}
        | {"partition": "unlisted"}
        for n, genre in enumerate(["rock", "jazz"] * 6)
      ]
    },
  ],
)
def test_honest_names_are_no_finding(facts):
  assert titles(facts) == []


def measured(key, **values):
  """Facts of tracks of these values, a list for each genre."""
  facts = collection(
    f"{genre}/{artist}"
    for genre, own in values.items()
    for artist in range(len(own))
  )
  ids = [row["id"] for row in facts["tracks"]]
  return facts | {
    key: dict(zip(ids, itertools.chain(*values.values()), strict=True))
  }


@pytest.mark.parametrize(
  ("facts", "line"),
  [
    (
      measured("rates", rock=[44_100] * 5, jazz=[8_000] * 4 + [44_100]),
      "Sample rates separate genres: jazz up to 8,000 Hz; rock above",
    ),
    (
      measured(
        "rates",
        **{"a": [48_000] * 3, "b": [22_050] * 3},
        **{"c": [44_100] * 3, "d": [22_050, 48_000, 44_100]},
      ),
      "Sample rates separate genres: b up to 22,050 Hz; a, c above",
    ),
    (
      measured("bandwidths", rock=[11_025.0] * 5, jazz=[9_800.0] * 5),
      "Bandwidths separate genres: jazz up to 9,800 Hz; rock above",
    ),
    # No genre lies apart; too near; too few tracks; nothing is known.
    (measured("rates", rock=[44_100, 8_000] * 5, jazz=[8_000] * 9), None),
    (measured("rates", rock=[44_100] * 9, jazz=[44_100] * 3), None),
    (measured("rates", rock=[44_100] * 9, jazz=[8_000] * 2), None),
    (measured("bandwidths", rock=[11_025.0] * 5, jazz=[10_500.0] * 5), None),
    (measured("bandwidths", rock=[None] * 5, jazz=[None] * 5), None),
  ],
)
def test_what_gives_genres_away(facts, line):
  found = [
    one.line()
    for one in corpus_checks.find(facts)
    if one.check in ("sample_rate", "bandwidth")
  ]
  assert found == [line] * bool(line)


def test_sample_rates_are_those_of_headers(tmp_path):
  """Of a folder as of an archive; a file without one is left to its reading."""
  for genre, rate in (("rock", 44_100), ("jazz", 8_000)):
    for i in range(3):
      path = tmp_path / "music" / genre / f"{i}.flac"
      path.parent.mkdir(parents=True, exist_ok=True)
      soundfile.write(path, np.zeros(99), rate)
  (tmp_path / "music" / "rock" / "bad.wav").write_bytes(b"no sound at all")
  packed = corpora.pack(tmp_path / "music", tmp_path / "music.zip")
  for place in (tmp_path / "music", packed):
    corpus = tfds_gtzan.open_corpus(str(place))
    rates = corpus_checks.facts_of(corpus)["rates"]
    assert rates == {
      f"{genre}/{i}": rate
      for genre, rate in (("rock", 44_100), ("jazz", 8_000))
      for i in range(3)
    }


def test_of_many_headers_some_are_read(monkeypatch):
  read = []
  tracks = [
    types.SimpleNamespace(
      **{"id": str(i), "genre": "rock", "artist": "", "partition": "test"},
      rate=lambda i=i: read.append(i) or 8_000,
    )
    for i in range(95)
  ]
  corpus = types.SimpleNamespace(
    genres=("rock",), tracks=tracks, tables=(), labels={}
  )
  rates = corpus_checks.facts_of(corpus)["rates"]
  assert read == list(range(0, 95, 4))
  assert len(rates) == 24


def test_a_prepared_corpus_is_known_by_its_rows():
  """Copies by their content; whose partition is published plays no part."""
  rows = [
    tfds_gtzan.Row(f"{genre}/{i}", genre, f"{genre}{i}", part, 1, content)
    for genre, contents in (("rock", "abc"), ("jazz", "dea"))
    for i, (content, part) in enumerate(
      zip(contents, ("train", "test", "unlisted"), strict=True)
    )
  ]
  rows += [
    tfds_gtzan.Row(f"jazz/x{i}", "jazz", f"x{i}", "test", 1) for i in "ab"
  ]
  bandwidths = [11_025.0] * 3 + [4_000.0] * 5
  rows = [
    dataclasses.replace(row, bandwidth=hz)
    for row, hz in zip(rows, bandwidths, strict=True)
  ]
  found = corpus_checks.find(
    corpus_checks.facts_of_rows(("jazz", "rock"), rows)
  )
  assert [one.line() for one in found] == [
    "Bandwidths separate genres: jazz up to 4,000 Hz; rock above",
    "1 group of identical tracks across genres: jazz/2 = rock/0",
    "1 of 8 tracks is a replica: jazz/2 = rock/0",
    "jazz has 1.7 times the tracks of rock",
  ]


def test_numbers_that_a_table_gives_are_meant():
  facts = tree(("0", "1", "2"))
  assert [one.check for one in corpus_checks.find(facts)] == ["numbers"]
  given = {"file": "t.csv", "unlisted": (), "unused": ()}
  assert corpus_checks.find(facts | {"labels": given}) == []


def test_allowed_names_are_those_of_checks_that_refuse():
  assert corpus_checks.allowed(["numbers, spellings", "numbers"]) == (
    "numbers",
    "spellings",
  )
  with pytest.raises(InputError, match=r"allow=replicas: .* split_names, "):
    corpus_checks.allowed(["numbers,replicas"])
  assert set(corpus_checks.REFUSING) <= set(corpus_checks.CHECKS)


def test_all_that_is_refused_is_named_at_once():
  found = corpus_checks.find(tree(("001", "1", "Rock", "rock", "002", "003")))
  with pytest.raises(InputError, match=r"=spellings,numbers permits it"):
    corpus_checks.refuse(found, ("spellings",))


def test_warnings_of_lengths_and_of_replicas_in_two_parts():
  groups = [["jazz.0", "jazz.1"], ["jazz.2", "jazz.3"]]
  facts = clean(duplicates={"groups": groups})
  facts["tracks"][0]["partition"] = "train"
  facts["tracks"][1]["partition"] = "test"
  facts["tracks"][2]["partition"] = "train"  # its replica is unlisted
  facts["tracks"][7]["values"]["seconds"] = 2.9
  assert titles(facts) == [
    "1 group of identical tracks across splits of the published partition",
    "2 of 8 tracks are replicas",
    "1 track shorter than one segment",
    "Lengths differ: 2.9 to 30.0 s",
  ]
