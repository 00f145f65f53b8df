"""check-splits: what files say, which tracks names mean, what crosses."""

import json
import types

import corpora
import numpy as np
import pytest
import soundfile

import tfds_gtzan
from gtzan_jax import config_ranges
from gtzan_jax.cli import verbs
from gtzan_jax.data import corpus_checks
from gtzan_jax.errors import InputError
from gtzan_jax.recipes import default
from tfds_gtzan.corpora.track_names import Named, Names
from tfds_gtzan.facts import track_lists
from tfds_gtzan.split_audit import crossings, split_files

PARTS = {
  "train": ["blues.00000", "rock.00001"],
  "validation": ["blues.00002"],
  "test": ["rock.00003", "blues.00004"],
}


def write(folder, files: dict[str, str]) -> list[str]:
  for name, text in files.items():
    (folder / name).write_text(text)
  return [str(folder / name) for name in files]


def survey(folder, files: dict[str, str], corpus=None) -> dict:
  return crossings.survey(write(folder, files), corpus)


def lists(parts) -> dict[str, str]:
  return {f"{part}.txt": "\n".join(ids) for part, ids in parts.items()}


def groups(facts) -> dict[str, list]:
  """{kind: the groups that cross}, of the kinds that were compared."""
  return {kind: of["groups"] for kind, of in facts["crossings"].items() if of}


# What files say.

NAMES = Names(track_lists.artists())
FORMS = {
  "lists": {
    "train_filtered.txt": "blues/blues.00000.wav\nrock/rock.00001.wav\n",
    "gtzan-valid.txt": "# a list\n\n  blues/blues.00002.wav\r\n",
    "my_TEST.txt": "rock\\rock.00003.au 9\nblues.00004.mp3,blues\n",
  },
  "table": {
    "split.csv": "Filename,label,Set\nblues.00000.wav,blues,Train\n"
    "rock.00001.wav,rock,training\nblues.00002.wav,blues,val\n"
    "rock.00003.wav,rock,test\nblues.00004.wav,blues,test\n"
    "blues.00009.wav,blues,\n",
  },
  "table of a spreadsheet": {
    "split.csv": "sep=|\rname|set\rblues.00000|train\rrock.00001|train\r"
    "blues.00002|val\rrock.00003|test\rblues.00004|test\r"
  },
  "tables, a part each": {
    "train.tsv": "track\tgenre\nblues.00000\tblues\nrock.00001\trock\n",
    "val.csv": "id;genre\nblues.00002;blues\n",
    "test.csv": '\ufeffpath,x\n"/rock/rock.00003.au",1\nblues00004.png,2\n',
  },
  "json of parts": {"a.json": json.dumps(PARTS)},
  "json of names": {
    "a.json": json.dumps({i: part for part in PARTS for i in PARTS[part]})
  },
  "json, a part each": {
    "train.json": json.dumps(PARTS["train"]),
    "dev.json": json.dumps([{"file": i} for i in PARTS["validation"]]),
    "test.json": json.dumps({i: ["label"] for i in PARTS["test"]}),
  },
}


@pytest.mark.parametrize("form", FORMS)
def test_the_same_split_in_every_form(form, tmp_path):
  parts = dict.fromkeys(PARTS, ())
  for line in split_files.read(write(tmp_path, FORMS[form])):
    parts[line.split] += (NAMES.find(line.name),)
  assert parts == {p: tuple(map(Named, ids)) for p, ids in PARTS.items()}
  facts = survey(tmp_path, FORMS[form])
  assert list(facts["parts"]) == list(PARTS)
  assert facts["unknown"] == []


FOLDS = {k: f"blues.{k:05d}" for k in (10, 2, 0, 1)}  # one artist's all


@pytest.mark.parametrize(
  "files",
  [
    {f"cv_{k:02d}.txt": name for k, name in FOLDS.items()},
    {"a.csv": "\n".join(["fold,id", *(f"{k}.0,{FOLDS[k]}" for k in FOLDS)])},
    {"a.json": json.dumps([{"id": FOLDS[k], "fold": k} for k in FOLDS])},
    {"a.json": json.dumps({f"Fold_{k}": [FOLDS[k]] for k in FOLDS})},
  ],
)
def test_folds_are_held_against_all_others(files, tmp_path):
  facts = survey(tmp_path, files)
  parts = ["fold0", "fold1", "fold2", "fold10"]
  assert list(facts["parts"]) == parts
  assert facts["crossings"]["artists"]["between"] == [
    {
      **{"part": part, "others": [one for one in parts if one != part]},
      **{"groups": 1, "tracks": 1},
    }
    for part in parts
  ]


@pytest.mark.parametrize(
  ("name", "wanted"),
  [
    ("blues.00012", Named("blues.00012")),
    ("Data/genres_original/Blues/BLUES.00012.WAV", Named("blues.00012")),
    ("./blues/blues00012.png", Named("blues.00012")),
    ("blues_00012.npy", Named("blues.00012")),
    ("blues.00012.3.wav", Named("blues.00012", "3")),
    ("blues/blues.00012_seg07.wav", Named("blues.00012", "seg07")),
    ("blues.00012-pitch+2.wav", Named("blues.00012", "pitch+2")),
    ("blues.000123.wav", Named("blues.000123", known=False)),
    ("polka.00012.wav", Named("polka.00012", known=False)),
    ("metal/live/One.mp3", Named("Metal/live/One")),
    ("/music/metal/live/one.flac", Named("Metal/live/One")),
    ("one.mp3", Named("Metal/live/One")),
    ("one_3.mp3", Named("Metal/live/One", "3")),
    ("two.mp3", Named("two", known=False)),  # there are two of them
    ("pop/two_1.mp3", Named("Pop/two_1")),  # a track, no segment of pop/two
    ("pop/one.mp3", Named("pop/one", known=False)),
  ],
)
def test_the_track_that_a_name_means(name, wanted):
  ids = ("blues.00012", "Metal/live/One", "Pop/two", "Metal/two", "Pop/two_1")
  assert Names(ids).find(name) == wanted


# What crosses.


def test_the_published_lists_leak_what_is_known_of_them(tmp_path):
  facts = survey(tmp_path, lists(track_lists.splits("filtered")))
  assert [of["tracks"] for of in facts["parts"].values()] == [443, 197, 290]
  assert facts["parts"]["test"]["genres"]["rock"] == 32
  assert len(facts["in_no_part"]) == 70
  assert facts["artist_unknown"] == 17
  # As computed when the lists were taken into this project: docs/data.md.
  between = facts["crossings"]["artists"]["between"]
  touched = [(one["groups"], one["tracks"]) for one in between]
  assert touched == [(4, 12), (7, 15), (4, 20)]
  artists = groups(facts)["artists"]
  nothing = {"tracks": [], "duplicates": [], "songs": []}
  assert groups(facts) == {**nothing, "artists": artists}
  facts = survey(tmp_path, lists(track_lists.splits("stratified")))
  of = {kind: of["between"][1] for kind, of in facts["crossings"].items() if of}
  assert (of["artists"]["groups"], of["artists"]["tracks"]) == (80, 206)
  assert of["songs"]["groups"] == 21
  assert {
    "parts": {"validation": ["rock.00016"], "test": ["metal.00058"]},
    "by": "published",
  } in groups(facts)["duplicates"]


def test_the_leak_of_kaggles_table_is_named(tmp_path, capsys):
  """Of 30 tracks three segments each are tested; of the last one all are."""
  rows = [
    f"rock.{i:05d}.{s}.wav,{'test' if s < 3 or i == 29 else 'train'}"
    for i in range(30)
    for s in range(10)
  ]
  files = {"features_3_sec.csv": "\n".join(["filename,split", *rows])}
  assert run(tmp_path, files) == 1
  out = capsys.readouterr().out
  assert "split of segments; 29 tracks have some in two parts" in out
  facts = survey(tmp_path, files)
  assert facts["parts"]["train"]["pieces"] == 7 * 29
  assert groups(facts)["tracks"] == [
    {
      "parts": {"train": [f"rock.{i:05d}"], "test": [f"rock.{i:05d}"]},
      "pieces": {"train": 7, "test": 3},
    }
    for i in range(29)
  ]


def test_a_pair_of_which_one_is_in_the_split_is_no_crossing(tmp_path):
  """metal.00034 = metal.00094; the track itself stands in both parts."""
  files = {"train.txt": "metal.00034", "test.txt": "metal.00034.1.wav"}
  itself = {
    "parts": {"train": ["metal.00034"], "test": ["metal.00034"]},
    "pieces": {"train": 0, "test": 1},
  }
  assert groups(survey(tmp_path, files)) == {
    **{"tracks": [itself], "duplicates": [], "songs": [], "artists": []},
  }


def test_a_track_that_crosses_is_not_counted_as_its_artists(tmp_path):
  files = {"train.txt": "blues.00000", "test.txt": "blues.00000\nblues.00001"}
  assert {
    kind: of["between"][0]["tracks"]
    for kind, of in survey(tmp_path, files)["crossings"].items()
    if of
  } == {"tracks": 1, "duplicates": 0, "songs": 0, "artists": 1}


def test_artists_of_a_table_of_ones_own(tmp_path):
  text = (
    "track,part,artist\nblues.00000,train,The Who\nblues.00001,test,Who\n"
    "rock.00000,train,Beyoncé\nrock.00001,test,BEYONCE\nrock.00002,test,\n"
    "pop.00000,train,Lauryn Hill; Bob Marley\npop.00001,test,bob  marley\n"
  )
  found = groups(survey(tmp_path, {"a.csv": text}))["artists"]
  assert {one["artist"]: one["parts"] for one in found} == {
    "The Who": {"train": ["blues.00000"], "test": ["blues.00001"]},
    "Beyoncé": {"train": ["rock.00000"], "test": ["rock.00001"]},
    "Bob Marley": {"train": ["pop.00000"], "test": ["pop.00001"]},
  }


@pytest.fixture(scope="module")
def music(tmp_path_factory):
  """Six tracks: b/1 is a/1 again, b/2 is a/2 from later on and not as loud;
  b/3 cannot be read."""
  root, rate = tmp_path_factory.mktemp("music"), corpora.RATE
  sounds = {}
  for g in "ab":
    (root / g).mkdir()
    for i in range(3):
      rng = np.random.default_rng([ord(g), i])
      notes = np.repeat(rng.integers(1, 60, 60), rate // 5)
      steps = np.cumsum(100 * 2 ** (notes / 12) / rate)
      sounds[f"{g}/{i}"] = 0.5 * np.sin(2 * np.pi * steps)
  sounds["b/1"] = sounds["a/1"]
  sounds["b/2"] = 0.1 * sounds["a/2"][2 * rate :]
  for name, sound in sounds.items():
    soundfile.write(root / f"{name}.wav", sound, rate)
  (root / "b" / "3.wav").write_bytes(b"RIFF")
  return root


SOUND = {
  "train.txt": "a/0.wav\na/1.wav\na/2.wav\nb/9.wav",
  "test.txt": "b/1.wav\nb/2.wav\nb/3.wav",
}


def test_what_is_found_by_listening(music, tmp_path):
  facts = survey(tmp_path, SOUND, tfds_gtzan.open_corpus(str(music)))
  assert groups(facts)["duplicates"] == [
    {"parts": {"train": ["a/1"], "test": ["b/1"]}, "by": "content"}
  ]
  (near,) = groups(facts)["near_duplicates"]
  assert near["parts"] == {"train": ["a/2"], "test": ["b/2"]}
  assert near["likeness"] > 0.8
  assert near["offset"] == pytest.approx(-2, abs=0.1)
  assert facts["unknown"] == ["b/9.wav"]
  assert facts["in_no_part"] == ["b/0"]
  assert list(facts["skipped"]) == ["b/3"]
  assert facts["artist_unknown"] == 7
  assert facts["fingerprint"]


def test_pictures_and_tables_are_compared_to_the_last_bit_alone(tmp_path):
  root = corpora.write_pictures(tmp_path / "images", {"blues": 3, "rock": 2})
  copied = (root / "blues" / "blues00000.png").read_bytes()
  (root / "rock" / "rock00001.png").write_bytes(copied)
  files = {"train.txt": "blues00000.png", "test.txt": "rock00001.png"}
  found = groups(survey(tmp_path, files, tfds_gtzan.open_corpus(str(root))))
  assert len(found["duplicates"]) == 1
  assert "near_duplicates" not in found


# The verb.


def run(folder, files, out=None, **overrides) -> int:
  config = default.get_config()
  config.update_from_flattened_dict(overrides)
  given = types.SimpleNamespace(
    files=write(folder, files),
    flags=types.SimpleNamespace(out=out and str(out)),
    overrides=overrides,
    config=config,
  )
  return verbs.check_splits(given)


def test_the_status_is_0_where_nothing_crosses(tmp_path, capsys):
  clean = {"train.txt": "blues.00000\npop.00000", "test.txt": "pop.00050"}
  assert run(tmp_path, clean) == 0
  out = capsys.readouterr().out
  assert "nothing crosses" in out
  assert "warning: test has no blues" in out
  unknown = {**clean, "train.txt": f"{clean['train.txt']}\nblues.00100"}
  assert run(tmp_path, unknown) == 1
  out = capsys.readouterr().out
  assert "warning: names that mean no track, compared as they stand: 1" in out
  assert "nothing crosses, as far as its names mean tracks" in out
  assert run(tmp_path, {**clean, "test.txt": "blues.00001"}) == 1
  assert "John Lee Hooker" in capsys.readouterr().out


def test_a_name_that_stands_twice_is_said_and_counts_once(tmp_path, capsys):
  files = {
    "train.txt": "blues.00000.1\nblues.00000.2\nblues/blues.00000.1.wav\nx\nx",
    "test.txt": "pop.00000",
  }
  facts = survey(tmp_path, files)
  assert facts["repeated"] == {"train": ["blues/blues.00000.1.wav", "x"]}
  assert facts["parts"]["train"]["pieces"] == 2
  assert run(tmp_path, files) == 1  # there is no track x
  words = "warning: train repeats 2 names, counted once: blues/blues.00000.1."
  assert words in capsys.readouterr().out


def test_what_is_written(music, tmp_path, capsys):
  out = tmp_path / "new" / "folder"
  assert run(tmp_path, SOUND, out, **{"data.path": str(music)}) == 1
  assert {file.name for file in out.iterdir()} == {
    *("check_splits.json", "check_splits.md"),
  }
  facts = json.loads((out / "check_splits.json").read_text())
  assert groups(facts)["near_duplicates"][0]["likeness"] > 0.8
  page = (out / "check_splits.md").read_text()
  for text in (capsys.readouterr().out, page):
    assert "train a/1; test b/1" in text
  row = "| train > test | - | 1 (1) | 1 (1) | - | - |"
  assert row in " ".join(page.split())


def test_names_cannot_break_the_page(tmp_path):
  evil = "<script>|`x`"
  text = f'track,part,artist\nblues.00000,train,"{evil}"\n'
  text += f'blues.00001,test,"{evil}"\n{evil},test,\n'
  run(tmp_path, {"a.csv": text}, tmp_path)
  page = (tmp_path / "check_splits.md").read_text()
  assert "<script" not in page
  assert page.count(r"&lt;script>&#124;\`x\`") == 2


@pytest.mark.parametrize(
  ("files", "words"),
  [
    ({}, "no files given"),
    ({"train.txt": "blues.00000"}, "only train.*two splits or more"),
    (
      {"train.txt": "blues.00000", "test.txt": "\n"},
      "only train in there, nothing in .*test.txt; give two",
    ),
    ({"mine.txt": "blues.00000"}, "mine.txt.*train, valid"),
    ({"train_or_test.txt": "blues.00000"}, "its name has to contain"),
    (
      {"train.txt": "a\nb", "test.txt": "blues.00000"},
      "train.txt.*none of its 2 names.*GTZAN.*'a'.*data.path",
    ),
    ({"a.csv": "sound,split\nblues.00000,train"}, "sound.*filename"),
    ({"a.csv": "track,genre\nblues.00000,blues"}, "a.csv.*split or subset"),
    ({"a.tsv": '"n\nn"\tfold\nblues.00000\t1\n'}, r"names among n\\n"),
    ({"a.json": '{"train": ["blues.00000"'}, "a.json is no JSON"),
    ({"a.json": "[" * 100_000}, "a.json is no JSON"),
    ({"a.json": "3"}, r"a.json.*{split: \[names\]}"),
    ({"a.json": '{"train": {"x": 1}, "test": []}'}, r"{split: \[names\]}"),
    (
      {"train_fold1.txt": "blues.00000", "train_fold2.txt": "blues.00001"},
      "train_fold1.txt.*train_fold2.txt.*the files of one fold",
    ),
  ],
)
def test_a_mistake_is_told_in_one_line(files, words, tmp_path):
  with pytest.raises(InputError, match=words) as caught:
    run(tmp_path, files)
  assert "\n" not in str(caught.value)


def test_files_that_cannot_be_read_or_written(music, tmp_path):
  def refused(words, call, *args, **options):
    with pytest.raises(InputError, match=words):
      call(*args, **options)

  read, file = split_files.read, tmp_path / "train.npz"
  refused("gone.txt cannot be read: No such", read, [f"{tmp_path}/gone.txt"])
  refused("cannot be read: Is a directory", read, [str(tmp_path)])
  file.write_bytes(b"PK\x03\x04\xff\xfe")
  refused("train.npz is no text: give lists", read, [str(file)])
  path = {"data.path": str(music)}
  refused("cannot be written: File exi", run, tmp_path, SOUND, file, **path)
  words = r"data\.dir applies to a corpus: also give"
  refused(words, run, tmp_path, SOUND, **{"data.dir": "x"})


# A split that a run is trained on.


@pytest.fixture
def collection(tmp_path):
  """Ten files of two genres, none of which is decoded."""
  for genre in ("rock", "jazz"):
    (tmp_path / "music" / genre).mkdir(parents=True)
    for i in range(5):
      path = tmp_path / "music" / genre / f"{genre} {i}.wav"
      path.write_bytes(f"{genre}{i}".encode())
  return tfds_gtzan.open_corpus(str(tmp_path / "music"))


GIVEN = {
  "train": ["rock 0.wav", "jazz 0.wav", "jazz/jazz 1"],
  "valid": ["rock 1", "jazz 2"],
  "test": ["rock 2", "rock 3", "jazz 3"],
}


@pytest.fixture
def given(collection, tmp_path):
  """Splits as config.data.splits gives them: {split: ids}, what is found of
  them, and the collection's rows, of two segments each."""

  def call(files):
    own, facts = crossings.given(write(tmp_path, files), collection)
    facts = corpus_checks.facts_of(collection) | {"splits": facts}
    rows = [
      tfds_gtzan.Row(t.id, t.genre, "", "unlisted", 2)
      for t in collection.tracks
    ]
    return own, corpus_checks.find(facts), rows

  return call


def test_a_corpus_is_cut_by_lists(given):
  own, found, rows = given(lists(GIVEN))
  assert own == {
    "train": ["rock/rock 0", "jazz/jazz 0", "jazz/jazz 1"],
    "validation": ["rock/rock 1", "jazz/jazz 2"],
    "test": ["rock/rock 2", "rock/rock 3", "jazz/jazz 3"],
  }
  cut = tfds_gtzan.apply("kfold10", rows, own=own)
  assert (cut.protocol, cut.leak) == ("splits", None)
  for part, ids in own.items():
    assert set(cut.parts[part]) == {(t, s) for t in ids for s in range(2)}
  assert [one.line() for one in found if one.check == "split_lists"] == [
    "2 tracks in none of config.data.splits: jazz/jazz 4; rock/rock 4"
  ]
  with pytest.raises(InputError, match="give the files of one fold"):
    tfds_gtzan.apply("kfold10", rows, own=own, fold=1)


WITH_ARTISTS = "file,split,artist\njazz 4,test,ann\n" + "".join(
  f"{name},{part},{'Ann' if name[:6] == 'rock 0' else name}\n"
  for part, names in GIVEN.items()
  for name in names
)


@pytest.mark.parametrize(
  ("files", "check", "line", "refused"),
  [
    (
      lists(GIVEN | {"test": ["rock 2", "ROCK 0.mp3"]}),
      "split_tracks",
      "1 track in two of config.data.splits: rock/rock 0 in train, rock/rock 0"
      " in test",
      True,
    ),
    (
      lists(GIVEN | {"valid": ["rock 1", "jazz 2", "gone"]}),
      "split_lists",
      "1 name of config.data.splits that match no track here or several: gone",
      False,
    ),
    (
      lists(GIVEN | {"train": ["jazz 0", "jazz 1"]}),
      "split_lists",
      "train of config.data.splits lacks 1 genre: rock",
      False,
    ),
    (
      {"s.csv": WITH_ARTISTS},
      "split_copies",
      "1 group of one artist across config.data.splits: rock/rock 0 in train,"
      " jazz/jazz 4 in test",
      False,
    ),
  ],
)
def test_what_is_wrong_with_a_split_is_found_before_training(
  given, files, check, line, refused
):
  own, found, rows = given(files)
  assert (check, line) in [(one.check, one.line()) for one in found]
  assert any(one.refused for one in found) == refused
  assert bool(tfds_gtzan.apply("filtered", rows, own=own).leak) == refused


@pytest.mark.parametrize(
  ("files", "message"),
  [
    ({"train.txt": "rock 0", "test.txt": "rock 1"}, "they have train, test;"),
    ({"fold0.txt": "rock 0", "fold1.txt": "rock 1"}, "they have fold0, fold1;"),
    ({"gone": ""}, "gone: its name has to contain"),
  ],
)
def test_other_splits_are_refused(collection, tmp_path, files, message):
  with pytest.raises(InputError) as error:
    crossings.given(write(tmp_path, files), collection)
  assert str(error.value).startswith("config.data.splits=")
  assert message in str(error.value)


@pytest.mark.parametrize(
  ("value", "wanted"),
  [
    ("", []),
    ("a.txt", ["a.txt"]),
    ("a.txt, /b/c d.txt,e.csv", ["a.txt", "/b/c d.txt", "e.csv"]),
    ("('a.txt', \"b.txt\",)", ["a.txt", "b.txt"]),
  ],
)
def test_files_of_a_split_are_listed(value, wanted):
  assert config_ranges.listed(value) == wanted


@pytest.mark.parametrize("value", [",", " , ", "('',)"])
def test_commas_without_names_are_refused(value):
  """As of a shell's variables that are not set."""
  with pytest.raises(InputError, match="no file name between"):
    config_ranges.listed(value)
