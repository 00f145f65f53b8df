"""check-splits: what files say, which tracks names mean, what crosses."""

import json
import types

import corpora
import numpy as np
import pytest
import soundfile
from sklearn.model_selection import train_test_split

import tfds_gtzan
from gtzan_jax import ranges
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


# What files say.

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
  facts = survey(tmp_path, FORMS[form])
  found = split_files.read(write(tmp_path, FORMS[form]))
  names = Names(track_lists.artists())
  for part, ids in PARTS.items():
    lines = [line.name for line in found if line.split == part]
    assert [names.find(name) for name in lines] == [Named(i) for i in ids]
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
      "part": part,
      "others": [other for other in parts if other != part],
      "groups": 1,
      "tracks": 1,
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
  filtered = survey(tmp_path, lists(track_lists.splits("filtered")))
  crossing = filtered["crossings"]
  sizes = [of["tracks"] for of in filtered["parts"].values()]
  assert sizes == [443, 197, 290]
  assert filtered["parts"]["test"]["genres"]["rock"] == 32
  assert len(filtered["in_no_part"]) == 70
  assert filtered["artist_unknown"] == 17
  # As computed when the lists were taken into this project: docs/data.md.
  touched = [(b["groups"], b["tracks"]) for b in crossing["artists"]["between"]]
  assert touched == [(4, 12), (7, 15), (4, 20)]
  for kind in ("tracks", "duplicates", "songs"):
    assert crossing[kind]["groups"] == []
  assert crossing["near_duplicates"] is None
  crossing = survey(tmp_path, lists(track_lists.splits("stratified")))
  crossing = crossing["crossings"]
  train_test = {kind: of["between"][1] for kind, of in crossing.items() if of}
  assert train_test["artists"]["groups"] == 80
  assert train_test["artists"]["tracks"] == 206
  assert train_test["songs"]["groups"] == 21
  assert {"parts": {"validation": ["rock.00016"], "test": ["metal.00058"]},
          "by": "published"} in crossing["duplicates"]["groups"]  # fmt: skip


def test_the_leak_of_kaggles_table_is_named(tmp_path, capsys):
  names = [f"rock.{i:05d}.{s}.wav" for i in range(30) for s in range(10)]
  train, test = train_test_split(names, test_size=0.3, random_state=0)
  rows = [f"{name},rock,train" for name in train]
  rows += [f"{name},rock,test" for name in test]
  files = {"features_3_sec.csv": "\n".join(["filename,label,split", *rows])}
  both = {n[:10] for n in train} & {n[:10] for n in test}
  assert run(tmp_path, files) == 1
  out = capsys.readouterr().out
  assert f"split of segments; {len(both)} tracks have some in two parts" in out
  facts = survey(tmp_path, files)
  assert facts["parts"]["train"]["pieces"] == 210
  groups = facts["crossings"]["tracks"]["groups"]
  assert {group["parts"]["test"][0] for group in groups} == both
  for group in groups:
    (track,) = group["parts"]["train"]
    assert group["pieces"] == {
      "train": sum(name.startswith(track) for name in train),
      "test": sum(name.startswith(track) for name in test),
    }


def test_a_pair_of_which_one_is_in_the_split_is_no_crossing(tmp_path):
  """metal.00034 = metal.00094; the track itself stands in both parts."""
  facts = survey(
    tmp_path, {"train.txt": "metal.00034", "test.txt": "metal.00034.1.wav"}
  )
  crossing = facts["crossings"]
  assert crossing["tracks"]["groups"] == [
    {
      "parts": {"train": ["metal.00034"], "test": ["metal.00034"]},
      "pieces": {"train": 0, "test": 1},
    }
  ]
  for kind in ("duplicates", "songs", "artists"):
    assert crossing[kind]["groups"] == []


def test_a_track_that_crosses_is_not_counted_as_its_artists(tmp_path):
  facts = survey(
    tmp_path,
    {"train.txt": "blues.00000", "test.txt": "blues.00000\nblues.00001"},
  )
  touched = {
    kind: of["between"][0]["tracks"]
    for kind, of in facts["crossings"].items()
    if of
  }
  assert touched == {"tracks": 1, "duplicates": 0, "songs": 0, "artists": 1}


def test_artists_of_a_table_of_ones_own(tmp_path):
  text = (
    "track,part,artist\nblues.00000,train,The Who\nblues.00001,test,Who\n"
    "rock.00000,train,Beyoncé\nrock.00001,test,BEYONCE\nrock.00002,test,\n"
    "pop.00000,train,Lauryn Hill; Bob Marley\npop.00001,test,bob  marley\n"
  )
  facts = survey(tmp_path, {"a.csv": text})
  (by_who, joint, by_her) = sorted(
    facts["crossings"]["artists"]["groups"], key=lambda one: str(one["parts"])
  )
  assert joint == {
    "parts": {"train": ["pop.00000"], "test": ["pop.00001"]},
    "artist": "Bob Marley",
  }
  assert by_who["artist"] == "The Who"
  assert by_her["parts"] == {"train": ["rock.00000"], "test": ["rock.00001"]}


@pytest.fixture(scope="module")
def music(tmp_path_factory):
  """Six tracks: b/1 is a/1 again, b/2 is a/2 from later on and not as loud."""
  root = tmp_path_factory.mktemp("music")
  corpora.write_folder(root, {"a": [12.0, 12.0, 12.0], "b": [12.0] * 3})
  for g in "ab":
    for i in range(3):
      rng = np.random.default_rng([ord(g), i])
      notes = np.repeat(rng.integers(1, 60, 60), corpora.RATE // 5)
      steps = np.cumsum(100 * 2 ** (notes / 12) / corpora.RATE)
      sound = 0.5 * np.sin(2 * np.pi * steps)
      soundfile.write(root / g / f"{i}.wav", sound, corpora.RATE)
      (root / g / f"{g}.{i:05d}.wav").unlink()
  first, rate = soundfile.read(root / "a" / "1.wav")
  soundfile.write(root / "b" / "1.wav", first, rate)
  second, rate = soundfile.read(root / "a" / "2.wav")
  soundfile.write(root / "b" / "2.wav", 0.1 * second[2 * rate :], rate)
  (root / "b" / "3.wav").write_bytes(b"RIFF")
  return root


SOUND = {
  "train.txt": "a/0.wav\na/1.wav\na/2.wav\nb/9.wav",
  "test.txt": "b/1.wav\nb/2.wav\nb/3.wav",
}


def test_what_is_found_by_listening(music, tmp_path):
  facts = survey(tmp_path, SOUND, tfds_gtzan.open_corpus(str(music)))
  crossing = facts["crossings"]
  assert crossing["duplicates"]["groups"] == [
    {"parts": {"train": ["a/1"], "test": ["b/1"]}, "by": "content"}
  ]
  (near,) = crossing["near_duplicates"]["groups"]
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
  facts = survey(
    tmp_path,
    {"train.txt": "blues00000.png", "test.txt": "rock00001.png"},
    tfds_gtzan.open_corpus(str(root)),
  )
  assert len(facts["crossings"]["duplicates"]["groups"]) == 1
  assert facts["crossings"]["near_duplicates"] is None


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
  printed = capsys.readouterr().out
  assert sorted(file.name for file in out.iterdir()) == [
    "check_splits.json",
    "check_splits.md",
  ]
  facts = json.loads((out / "check_splits.json").read_text())
  assert facts["crossings"]["near_duplicates"]["groups"][0]["likeness"] > 0.8
  page = (out / "check_splits.md").read_text()
  for text in (printed, page):
    assert "train a/1; test b/1" in text
  assert "| train > test | - | 1 (1) | 1 (1) | - | - |" in " ".join(
    page.split()
  )


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
    ({}, ("no files given",)),
    ({"train.txt": "blues.00000"}, ("only train", "two splits or more")),
    (
      {"train.txt": "blues.00000", "test.txt": "\n"},
      ("only train in there, nothing in ", "test.txt; give two"),
    ),
    ({"mine.txt": "blues.00000"}, ("mine.txt", "train, valid")),
    ({"train_or_test.txt": "blues.00000"}, ("its name has to contain",)),
    ({"train.txt": "a\nb", "test.txt": "blues.00000"},
     ("train.txt", "none of its 2 names", "GTZAN", "'a'", "data.path")),
    ({"a.csv": "sound,split\nblues.00000,train"}, ("sound", "filename")),
    ({"a.csv": "track,genre\nblues.00000,blues"}, ("a.csv", "split or subset")),
    ({"a.json": '{"train": ["blues.00000"'}, ("a.json is no JSON",)),
    ({"a.json": "[" * 100_000}, ("a.json is no JSON",)),
    ({"a.json": "3"}, ("a.json", "{split: [names]}")),
    ({"a.json": '{"train": {"x": 1}, "test": []}'}, ("{split: [names]}",)),
    ({"train_fold1.txt": "blues.00000", "train_fold2.txt": "blues.00001"},
     ("train_fold1.txt", "train_fold2.txt", "the files of one fold")),
  ],
)  # fmt: skip
def test_a_mistake_is_told_in_one_line(files, words, tmp_path):
  with pytest.raises(InputError) as caught:
    run(tmp_path, files)
  assert "\n" not in str(caught.value)
  for word in words:
    assert word in str(caught.value)


def test_files_that_cannot_be_read_or_written(music, tmp_path):
  read = split_files.read
  with pytest.raises(InputError, match=r"gone.txt cannot be read: No such"):
    read([str(tmp_path / "train_gone.txt")])
  with pytest.raises(InputError, match="cannot be read: Is a directory"):
    read([str(tmp_path)])
  (tmp_path / "train.npz").write_bytes(b"PK\x03\x04\xff\xfe")
  with pytest.raises(InputError, match=r"train.npz is no text: give lists"):
    read([str(tmp_path / "train.npz")])
  blocked = tmp_path / "file"
  blocked.write_text("")
  with pytest.raises(InputError, match="file cannot be written: File exists"):
    run(tmp_path, SOUND, blocked, **{"data.path": str(music)})
  with pytest.raises(
    InputError, match=r"data\.dir applies to a corpus: also give"
  ):
    run(tmp_path, SOUND, **{"data.dir": "x"})


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


def test_a_corpus_is_cut_by_lists(collection, tmp_path):
  files = write(tmp_path, lists(GIVEN))
  own, facts = crossings.given(files, collection)
  assert own == {
    "train": ["rock/rock 0", "jazz/jazz 0", "jazz/jazz 1"],
    "validation": ["rock/rock 1", "jazz/jazz 2"],
    "test": ["rock/rock 2", "rock/rock 3", "jazz/jazz 3"],
  }
  rows = [
    tfds_gtzan.Row(t.id, t.genre, "", "unlisted", 2) for t in collection.tracks
  ]
  cut = tfds_gtzan.apply("kfold10", rows, own=own)
  assert (cut.protocol, cut.leak) == ("splits", None)
  assert {part: {t for t, _ in ids} for part, ids in cut.parts.items()} == {
    part: set(ids) for part, ids in own.items()
  }
  assert len(cut.parts["test"]) == 6
  found = corpus_checks.find(
    corpus_checks.facts_of(collection) | {"splits": facts}
  )
  assert [one.line() for one in found if one.check == "split_lists"] == [
    "2 tracks in none of config.data.splits: jazz/jazz 4; rock/rock 4"
  ]
  with pytest.raises(InputError, match="give the files of one fold"):
    tfds_gtzan.apply("kfold10", rows, own=own, fold=1)


@pytest.mark.parametrize(
  ("changes", "check", "line", "refused"),
  [
    (
      {"test": ["rock 2", "ROCK 0.mp3"]},
      "split_tracks",
      "1 track in two of config.data.splits: rock/rock 0 in train, rock/rock 0"
      " in test",
      True,
    ),
    (
      {"valid": ["rock 1", "jazz 2", "gone"]},
      "split_lists",
      "1 name of config.data.splits that match no track here or several: gone",
      False,
    ),
    (
      {"train": ["jazz 0", "jazz 1"]},
      "split_lists",
      "train of config.data.splits lacks 1 genre: rock",
      False,
    ),
  ],
)
def test_what_is_wrong_with_a_split_is_found_before_training(
  collection, tmp_path, changes, check, line, refused
):
  files = write(tmp_path, lists(GIVEN | changes))
  own, facts = crossings.given(files, collection)
  found = corpus_checks.find(
    corpus_checks.facts_of(collection) | {"splits": facts}
  )
  assert (check, line) in [(one.check, one.line()) for one in found]
  assert any(one.refused for one in found) == refused
  rows = [
    tfds_gtzan.Row(t.id, t.genre, "", "unlisted", 1) for t in collection.tracks
  ]
  assert bool(tfds_gtzan.apply("filtered", rows, own=own).leak) == refused


def test_artists_in_two_splits_are_found(collection, tmp_path):
  table = "file,split,artist\n" + "".join(
    f"{name},{part},{'Ann' if name[:6] == 'rock 0' else name}\n"
    for part, names in GIVEN.items()
    for name in names
  )
  files = write(tmp_path, {"s.csv": table + "jazz 4,test,ann\n"})
  _, facts = crossings.given(files, collection)
  found = corpus_checks.find(
    corpus_checks.facts_of(collection) | {"splits": facts}
  )
  assert [one.line() for one in found if one.check == "split_copies"] == [
    "1 group of one artist across config.data.splits: rock/rock 0 in train,"
    " jazz/jazz 4 in test"
  ]


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
  assert ranges.listed(value) == wanted


def test_a_column_named_by_two_lines_is_refused_in_one(tmp_path):
  (tmp_path / "all.tsv").write_text('"n\nn"\tfold\nblues.00000\t1\n')
  with pytest.raises(InputError, match=r"column of names among n\\n") as caught:
    split_files.read([str(tmp_path / "all.tsv")])
  assert "\n" not in str(caught.value)


@pytest.mark.parametrize("value", [",", " , ", "('',)"])
def test_commas_without_names_are_refused(value):
  """As of a shell's variables that are not set."""
  with pytest.raises(InputError, match="no file name between"):
    ranges.listed(value)
