"""Genres and artists that a user gives, by a table or by folders."""

import csv
import dataclasses
import json

import corpora
import pytest
import stored

import tfds_gtzan
from gtzan_jax.cli import parse_flags
from gtzan_jax.cli.verbs import VERBS
from gtzan_jax.data import corpus_checks
from gtzan_jax.data import open_dataset as opening
from gtzan_jax.errors import InputError
from gtzan_jax.recipes import resnet
from gtzan_jax.training import workdir
from tfds_gtzan.corpora import labels, track_names

FILES = ("000/000002", "000/000003", "001/000012", "155/155066")
ROWS = [
  ("track_id", "genre_top", "artist"),
  ("2", "Rock", "Ann"),
  ("3", "Folk", "Bob"),
  ("12", "Rock", "Various Artists"),
  ("155066", "Folk", "Ann; Cid"),
]


@pytest.fixture(scope="module")
def music(tmp_path_factory):
  """Files in numbered folders; none is decoded here."""
  root = tmp_path_factory.mktemp("labels") / "music"
  return corpora.write_names(root, [f"{name}.wav" for name in FILES])


def write(path, rows, separator=","):
  with path.open("w", newline="") as file:
    csv.writer(file, delimiter=separator).writerows(rows)
  return str(path)


def opened(music, table):
  corpus = tfds_gtzan.open_corpus(str(music), label_table=table)
  return corpus, {t.id: (t.genre, t.artist) for t in corpus.tracks}


WANTED = {
  "000/000002": ("Rock", "Ann"),
  "000/000003": ("Folk", "Bob"),
  "001/000012": ("Rock", ""),
  "155/155066": ("Folk", "Ann; Cid"),
}


NUMBERS = [row[0] for row in ROWS[1:]]


@pytest.mark.parametrize(
  ("header", "names", "separator"),
  [
    (ROWS[:1], NUMBERS, ","),
    ([("Track ID", "Genre", "Artist name")], ["2.0", "3.0", "12.0"], ";"),
    ([("file", "label", "performer")], [f"{x}.mp3" for x in FILES], "\t"),
    ([("path", "main genre", "Artist")], [f"/old/{x}.wav" for x in FILES], "|"),
    ([("filename", "class", "band")], [f"{x[4:]}.WAV" for x in FILES], ","),
    (  # three lines, as FMA has it
      [
        ("", "track", "artist", "track"),
        ("", "genre_top", "name", "genres"),
        ("track_id", "", "", ""),
      ],
      *(NUMBERS, ","),
    ),
  ],
)
def test_a_table_gives_genres_and_artists(
  music, tmp_path, header, names, separator
):
  names = [*names, *NUMBERS[len(names) :]]
  rows = [(name, *row[1:]) for name, row in zip(names, ROWS[1:], strict=True)]
  table = write(tmp_path / "t.csv", [*header, *rows], separator)
  corpus, found = opened(music, table)
  assert found == WANTED
  assert corpus.genres == ("Folk", "Rock")
  assert corpus_checks.find(corpus_checks.facts_of(corpus))[0].title != "labels"


def test_a_table_as_spreadsheets_leave_it(music, tmp_path):
  """UTF-16 with its mark, tabs, empty rows and short ones; "sep=;"; CR."""
  rows = [(), ROWS[0], ("", "", ""), *ROWS[1:], ("7",)]
  text = "".join("\t".join(row) + "\r\n" for row in rows)
  path = tmp_path / "t.txt"
  path.write_bytes(text.encode("utf-16"))
  assert opened(music, str(path))[1] == WANTED
  artists = [(*row[:2], row[2].replace(";", " feat. ")) for row in ROWS]
  text = "sep=|\r" + "".join("|".join(row) + "\r" for row in artists)
  path.write_bytes(text.encode())
  wanted = WANTED | {"155/155066": ("Folk", "Ann feat.  Cid")}
  assert opened(music, str(path))[1] == wanted


@pytest.mark.parametrize(
  ("name", "track"),
  [
    *(("2", "a/2"), ("000002.mp3", "b/000002"), ("0007", "b/7")),
    *(("02", None), ("70", None)),
  ],
)
def test_leading_zeros_tell_two_files_apart(name, track):
  named = track_names.Names(["a/2", "b/000002", "b/7"]).find(name)
  assert (named.track if named.known else None) == track


def test_what_has_no_genre_is_left_out_and_counted(music, tmp_path):
  rows = [("12", "nan", "x"), ("155066", "Rock", ""), ("99", "Pop", "")]
  table = write(tmp_path / "t.csv", [*ROWS[:3], *rows])
  corpus, found = opened(music, table)
  assert sorted(found) == ["000/000002", "000/000003", "155/155066"]
  assert corpus.passed_over == {}  # the same file would be counted twice
  findings = corpus_checks.find(corpus_checks.facts_of(corpus))
  (finding,) = [x for x in findings if x.check == "labels"]
  assert finding.line() == (
    f"1 track without a genre in config.data.labels={table} left"
    " out, and 1 name in it that match no track or several: 001/000012; 99"
  )


def test_a_flat_folder_and_an_archive_are_labelled(music, tmp_path):
  table = write(tmp_path / "t.csv", ROWS)
  names = [f"{name[4:]}.wav" for name in FILES]
  flat = corpora.write_names(tmp_path / "flat", names)
  wanted = {name[4:]: given for name, given in WANTED.items()}
  assert opened(flat, table)[1] == wanted
  packed = corpora.pack(music, tmp_path / "m.zip")
  of_zip, found = opened(packed, table)
  assert found == WANTED
  assert of_zip.fingerprint == opened(music, table)[0].fingerprint


def test_labels_and_artists_are_part_of_the_fingerprint(music, tmp_path):
  """What is prepared holds both, so another table is another data set."""
  first, same, other = (
    opened(music, write(tmp_path / name, rows))[0].fingerprint
    for name, rows in {
      "a.csv": ROWS,
      "b.csv": ROWS,
      "c.csv": [*ROWS[:4], ("155066", "Folk", "Dan")],
    }.items()
  )
  assert first == same != other


@pytest.mark.parametrize(
  ("rows", "message"),
  [
    (
      [*ROWS, ("000003.wav", "Rock", "")],
      "lists the track 000/000003 twice, as Folk and as Rock (000003.wav)",
    ),
    (
      [("name", "bpm"), ("2", "120")],
      "has no column of genres among name, bpm",
    ),
    ([("x", "genre"), ("2", "Rock")], "has no column of names among x, genre"),
    ([ROWS[0], ("2", "", "")], "has no row with a name and a genre"),
    (
      [ROWS[0], ("77", "Rock", "")],
      "none of its 1 names is a track's, such as",
    ),
    (ROWS[:2], "one genre only (Rock)"),
    ([ROWS[0], ("2", "Ro\x07ck", "")], "'Ro\\x07ck' cannot be printed"),
    ([ROWS[0], ("2", "é" * 101, "")], "is longer than 200 bytes"),
  ],
)
def test_a_table_that_cannot_be_used_is_refused(music, tmp_path, rows, message):
  table = write(tmp_path / "t.csv", rows)
  with pytest.raises(InputError) as error:
    opened(music, table)
  assert message in str(error.value)
  assert f"config.data.labels={table}" in str(error.value)


def test_a_table_of_a_folder_without_tracks_is_refused(tmp_path):
  (tmp_path / "music").mkdir()
  with pytest.raises(InputError, match=r"music holds no track; .*\.mp3, .*png"):
    opened(tmp_path / "music", write(tmp_path / "t.csv", ROWS))


@pytest.mark.parametrize(
  ("name", "ids", "message"),
  [
    ("song.mp3", ["a/song", "b/song"], r"'song\.mp3', which a/song and b/song"),
    ("rock/song.1", ["rock/song"], "none of its 1 names"),  # a piece of it
  ],
)
def test_names_that_mean_no_track(name, ids, message):
  given = labels.Labels("t", [labels.Row(name, "Rock", "")], "")
  with pytest.raises(InputError, match=message):
    labels.match(given, ids)


def test_folders_below_genres_give_artists(tmp_path):
  artists = {
    "rock/Ann/One/1": "Ann",
    "rock/Various Artists/2": "",
    "rock/3": "",
    "jazz/Bob/4": "Bob",
  }
  corpora.write_names(tmp_path, [f"{name}.wav" for name in artists])
  plain = tfds_gtzan.open_corpus(str(tmp_path))
  corpus = tfds_gtzan.open_corpus(str(tmp_path), artists="folder")
  assert {t.id: t.artist for t in corpus.tracks} == artists
  assert corpus.fingerprint != plain.fingerprint
  assert dataclasses.replace(corpus.tracks[0], artist="") == plain.tracks[0]


@pytest.mark.parametrize(
  ("given", "message"),
  [
    ({"artists": "folders"}, "config.data.artists=folders: give folder"),
    ({"artists": "folder"}, "no track of the synthetic corpus lies in"),
    ({"label_table": "t.csv"}, "the synthetic corpus has its genres"),
    ({"artists": "folder", "label_table": "t.csv"}, "give one of the two"),
  ],
)
def test_what_a_corpus_cannot_be_given(tmp_path, monkeypatch, given, message):
  monkeypatch.chdir(tmp_path)
  write(tmp_path / "t.csv", ROWS)
  with pytest.raises(InputError) as error:
    tfds_gtzan.open_corpus(None, 1, **given)
  assert message in str(error.value)


def test_a_run_keeps_where_its_table_lies(tmp_path, monkeypatch, capsys):
  run = stored.run_json()
  run["config"]["data"]["labels"] = "t.csv"
  run["data_path"] = "/music"
  run["data_files"]["data.labels"] = "/x/t.csv"
  given = resnet.get_config()
  config = workdir.config_of(tmp_path, run, given, {})
  assert config.data.labels == "/x/t.csv"
  assert "data.labels: /x/t.csv, as " in capsys.readouterr().out


def test_other_music_is_not_given_the_labels_of_a_run(tmp_path, monkeypatch):
  run = stored.run_json()
  run["data_path"] = "/music"
  run["data_files"]["data.labels"] = "/x/t.csv"
  (tmp_path / "run.json").write_text(json.dumps(run))
  opened = []

  def open_corpus(data, genres):
    opened.append((data.path, data.labels, data.artists))
    raise InputError("enough")

  monkeypatch.setattr(opening, "open_corpus", open_corpus)
  for more, wanted in (((), ""), (("--config.data.labels=o.csv",), "o.csv")):
    argv = ["evaluate", f"--workdir={tmp_path}"]
    argv += ["--config.data.path=/other", *more]
    verb = VERBS["evaluate"]
    line = parse_flags.parse(argv, VERBS)
    with pytest.raises(InputError, match="enough"):
      verb.function(line)
    assert opened.pop() == ("/other", wanted, "")
