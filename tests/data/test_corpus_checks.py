"""The checks of a corpus: what each finds, and what none of them finds."""

import itertools
import re
import types

import corpora
import numpy as np
import pytest
import soundfile

import tfds_gtzan
from gtzan_jax.data import corpus_checks
from gtzan_jax.errors import InputError

CLEAN = [f"{genre}.{i}" for genre in ("jazz", "rock") for i in range(4)]


def collection(names=CLEAN, artists=(), **more):
  """Facts of a corpus of those ids, of 30 s and artists of their own.

  Genres are what stands before the first slash or dot.
  """
  artists = dict(artists)
  rows = [
    {
      "id": name,
      "genre": re.split("[/.]", name)[0],
      "artist": artists.get(name, name),
      "partition": "unlisted",
      "values": {"seconds": 30.0},
    }
    for name in names
  ]
  return {"tracks": rows} | more


def tree(folders, **more):
  """Three tracks in each folder: names of a level, a slash, the next level."""
  levels = [level.split(", ") for level in folders.split(" / ")]
  return collection(map("/".join, itertools.product(*levels, "abc")), **more)


def measured(key, **values):
  """Facts of tracks of these values, a list for each genre."""
  names = [
    f"{genre}/{i}" for genre in values for i in range(len(values[genre]))
  ]
  measures = itertools.chain(*values.values())
  return collection(names, **{key: dict(zip(names, measures, strict=True))})


def lines(facts):
  return [f"{x.check}: {x.line()}" for x in corpus_checks.find(facts)]


# Folders, what is found, and the remedy.
REFUSED = """
train, validation, test / rock, jazz
  split_names: 3 of 3 genres are named like splits: train; validation; test
  folders are the genres (jazz, rock)
TrainSet, dev_data, Eval-01
  split_names: 3 of 3 genres are named like splits: TrainSet; dev_data; Eval-01
  Give a table of the tracks and their genres as config.data.labels, or
000, 001, 155
  numbers: 3 of 3 genres are numbers: 000; 001; 155
  config.data.labels=music/tracks.csv
Fold 1, fold-02, part3, disc4
  numbers: 4 of 4 genres are numbers: Fold 1; fold-02; part3 and 1 more
  config.data.labels=music/tracks.csv
mine, yours / rock, jazz
  same_folders: every genre has the same 2 folders: jazz; rock
  mine, yours would become classes
Hip-Hop, hip hop, rock, Rock, jazz
  spellings: 2 genres in two spellings or more: Hip-Hop = hip hop; rock = Rock
  one name
Drum & Bass, drum'n'bass, Música, musica
  spellings: 2 genres in two spellings or more: Drum & Bass = drum'n'bass;\
 Música = musica
  one name
""".strip().split("\n")


@pytest.mark.parametrize(
  ("folders", "line", "why"),
  [REFUSED[i : i + 3] for i in range(0, len(REFUSED), 3)],
)
def test_what_makes_numbers_worthless_is_refused(folders, line, why):
  facts = tree(folders, tables=["music/tracks.csv"])
  findings = corpus_checks.find(facts)
  check, _, text = line.strip().partition(": ")
  assert lines(facts)[0] == f"{check}: {text}"
  assert why.strip() in findings[0].why
  with pytest.raises(InputError) as error:
    corpus_checks.refuse(findings, ())
  assert text in str(error.value)
  assert str(error.value).endswith(f"; --config.data.allow={check} permits it")
  corpus_checks.refuse(findings, corpus_checks.allowed([check]))


def test_all_that_is_refused_is_named_at_once():
  facts = tree("001, 1, Rock, rock, 002, 003")
  findings = corpus_checks.find(facts)
  assert "=FILE.csv." in findings[0].why
  with pytest.raises(InputError, match=r"=spellings,numbers permits it"):
    corpus_checks.refuse(findings, ("spellings",))


@pytest.mark.parametrize(
  ("facts", "line"),
  [
    # A genre that is called as a split is; what is below is only pointed to.
    (
      tree("rock, jazz, Test set"),
      "split_names: 1 of 3 genres is named like a split: Test set",
    ),
    (
      tree("rock, jazz / train, test"),
      "same_folders: every genre has the same 2 folders: test; train",
    ),
    (
      tree("rock, jazz / 1980, 1990"),
      "same_folders: every genre has the same 2 folders: 1980; 1990",
    ),
    (
      collection([*CLEAN, "rock.4", "rock.5"]),
      "imbalance: rock has 1.5 times the tracks of jazz",
    ),
    (
      collection(artists={"rock.0": "Bob", "rock.1": "Bob"}),
      "one_artist: One artist has half or more of 1 genre: rock: Bob, 2 of 4",
    ),
    (
      collection(artists={"rock.0": ""}),
      "unknown_artists: Unknown artist: 1 track of 8",
    ),
    (
      collection(artists=dict.fromkeys(CLEAN, "")),
      "unknown_artists: Unknown artist: all tracks",
    ),
    (
      collection(["jazz.0", "jazz.1", "rock.0", "rock.1"]),
      "small: 2 genres of fewer than three tracks: jazz (2); rock (2)",
    ),
    (
      collection(faults=[{"track": "rock.0", "fault": "odd"}]),
      "faults: 1 track with faults: rock.0: odd",
    ),
    (
      collection(duplicates={"groups": [["rock.0", "rock.1"]]}),
      "replicas: 1 of 8 tracks is a replica: rock.0 = rock.1",
    ),
    (
      measured("rates", rock=[44_100] * 5, jazz=[8_000] * 4 + [44_100]),
      "sample_rate: Sample rates separate genres: jazz up to 8,000 Hz;"
      " rock above",
    ),
    (
      measured(
        *("rates",),
        **{"a": [48_000] * 3, "b": [22_050] * 3, "c": [44_100] * 3},
        **{"d": [22_050, 48_000, 44_100]},
      ),
      "sample_rate: Sample rates separate genres: b up to 22,050 Hz;"
      " a, c above",
    ),
    (
      measured("bandwidths", rock=[11_025.0] * 5, jazz=[9_800.0] * 5),
      "bandwidth: Bandwidths separate genres: jazz up to 9,800 Hz; rock above",
    ),
  ],
)
def test_a_warning_for_each_thing(facts, line):
  assert lines(facts) == [line]
  (finding,) = corpus_checks.find(facts)
  corpus_checks.refuse([finding], ())
  assert finding.plain().keys() == {"check", "title", "text"}


@pytest.mark.parametrize(
  "facts",
  [
    collection(),
    tree("rock, jazz, testament"),
    tree("80s, 90s, 2-step"),
    tree("7, rock, jazz"),  # one odd folder
    tree("7, 8, rock, jazz, pop"),
    tree("rock, jazz / album"),
    tree("R&B, Rock, Rap, House"),
    tree("\u30cf\u3099\u30e9, \u30cf\u30e9"),  # two words of Japanese
    {
      "tracks": tree("rock / a, b, c")["tracks"]
      + tree("jazz / c, d, e")["tracks"]
    },
    # Labels of a table: numbers are meant, whatever the folders are called.
    tree("0, 1, 2", labels={"file": "", "unlisted": (), "unused": ()}),
    {
      "tracks": [
        {**row, "genre": ("rock", "jazz")[n % 2]}
        for n, row in enumerate(tree("000, 001")["tracks"])
      ]
    },
    # No genre lies apart; too near; too few tracks; nothing is known.
    measured("rates", rock=[44_100, 8_000] * 5, jazz=[8_000] * 9),
    measured("rates", rock=[44_100] * 9, jazz=[44_100] * 9),
    measured("rates", rock=[44_100] * 9, jazz=[8_000] * 2),
    measured("bandwidths", rock=[11_025.0] * 5, jazz=[10_500.0] * 5),
    measured("bandwidths", rock=[None] * 5, jazz=[None] * 5),
  ],
)
def test_what_is_in_order_is_no_finding(facts):
  sizes = ("small", "imbalance")
  assert not [x for x in corpus_checks.find(facts) if x.check not in sizes]


def test_sample_rates_are_those_of_headers(tmp_path):
  """Of a folder as of an archive; a file without one is left to its reading."""
  wanted = {
    f"{genre}/{i}": rate
    for genre, rate in (("rock", 44_100), ("jazz", 8_000))
    for i in range(3)
  }
  for name, rate in wanted.items():
    path = tmp_path / "music" / f"{name}.flac"
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, np.zeros(99), rate)
  (tmp_path / "music" / "rock" / "bad.wav").write_bytes(b"no sound at all")
  packed = corpora.pack(tmp_path / "music", tmp_path / "music.zip")
  for place in (tmp_path / "music", packed):
    corpus = tfds_gtzan.open_corpus(str(place))
    assert corpus_checks.facts_of(corpus)["rates"] == wanted


def test_of_many_headers_some_are_read():
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
    tfds_gtzan.Row(
      *(f"{genre}/{i}", genre, f"{genre}{i}", partition, 1, content),
      bandwidth=11_025.0 if genre == "rock" else 4_000.0,
    )
    for genre, contents in (("rock", "abc"), ("jazz", ["d", "e", "a", "", ""]))
    for i, (content, partition) in enumerate(
      zip(contents, ("train", "test", "unlisted", "test", "test"), strict=False)
    )
  ]
  facts = corpus_checks.facts_of_rows(("jazz", "rock"), rows)
  assert lines(facts) == [
    "bandwidth: Bandwidths separate genres: jazz up to 4,000 Hz; rock above",
    "identical_genres: 1 group of identical tracks across genres:"
    " jazz/2 = rock/0",
    "replicas: 1 of 8 tracks is a replica: jazz/2 = rock/0",
    "imbalance: jazz has 1.7 times the tracks of rock",
  ]


def test_allowed_names_are_those_of_checks_that_refuse():
  assert corpus_checks.allowed(["numbers, spellings", "numbers"]) == (
    "numbers",
    "spellings",
  )
  with pytest.raises(InputError, match=r"allow=replicas: .* split_names, "):
    corpus_checks.allowed(["numbers,replicas"])
  assert set(corpus_checks.REFUSING) <= set(corpus_checks.CHECKS)


def test_warnings_of_lengths_and_of_replicas_in_two_parts():
  groups = [["jazz.0", "jazz.1"], ["jazz.2", "jazz.3"]]
  facts = collection(duplicates={"groups": groups})
  for row, partition in zip(
    facts["tracks"],
    ("train", "test", "train"),  # whose replica is unlisted
    strict=False,
  ):
    row["partition"] = partition
  facts["tracks"][7]["values"]["seconds"] = 2.9
  assert [x.title for x in corpus_checks.find(facts)] == [
    "1 group of identical tracks across splits of the published partition",
    "2 of 8 tracks are replicas",
    "1 track shorter than one segment",
    "Lengths differ: 2.9 to 30.0 s",
  ]
