"""Kaggle's table of 57 columns as a corpus."""

import csv
import pathlib
import re

import corpora
import numpy as np
import pytest
from corpora import opened, refused

import tfds_gtzan
from gtzan_jax.features import kaggle_columns

ROOT = pathlib.Path(__file__).resolve().parents[2]
TRACKS = ("rock.00001.wav", "blues.00001.wav", "blues.00000.wav")
PARTS = (
  "blues.00000.10.wav",
  "blues.00000.2.wav",
  "rock.00001.0.wav",
  "blues.00000.0.wav",
)


def values(row) -> np.ndarray:
  return np.array(
    [float(row[name]) for name in kaggle_columns.COLUMNS], np.float32
  )


def test_columns_are_kaggles(gtzan_data):
  with (gtzan_data / "gtzan" / "features_30_sec.csv").open() as file:
    header = next(csv.reader(file))
  assert tuple(header) == (
    "filename",
    "length",
    *kaggle_columns.COLUMNS,
    "label",
  )


@pytest.mark.parametrize(
  ("names", "tracks"),
  [
    # {track: (its rows, their starts)}
    (
      TRACKS,
      {
        **{"blues.00000": ([2], [0.0]), "blues.00001": ([1], [0.0])},
        "rock.00001": ([0], [0.0]),
      },
    ),
    (
      PARTS,
      {
        "blues.00000": ([3, 1, 0], [0.0, 6.0, 30.0]),
        "rock.00001": ([2], [0.0]),
      },
    ),
  ],
)
def test_lines_are_tracks_or_grouped_by_track(tmp_path, names, tracks):
  rows = corpora.table_rows(names)
  corpus = opened(corpora.write_table(tmp_path / "t.csv", rows))
  assert (corpus.name, corpus.kind) == ("table", "table")
  assert corpus.genres == ("blues", "rock")
  assert [track.id for track in corpus.tracks] == list(tracks)
  assert corpus.tracks[0].artist == "John Lee Hooker"
  assert corpus.tracks[0].partition == "validation"
  for track, (places, starts) in zip(
    corpus.tracks, tracks.values(), strict=True
  ):
    held = track.read()
    assert held.rows.dtype == np.float32
    np.testing.assert_array_equal(held.rows, [values(rows[i]) for i in places])
    assert held.starts.tolist() == starts


def test_columns_stand_in_any_order_and_others_are_passed_over(tmp_path):
  rows = corpora.table_rows(TRACKS)
  turned = [dict(reversed(row.items())) | {"more": "x"} for row in rows]
  path = corpora.write_table(tmp_path / "t.csv", turned, without=["length"])
  path.write_text("\ufeff" + path.read_text() + "\n")  # as spreadsheets write
  held = opened(path).tracks[0].read()
  np.testing.assert_array_equal(held.rows, [values(rows[2])])


def test_fingerprint_is_of_the_content(tmp_path):
  rows = corpora.table_rows(TRACKS)
  first, same, other = (
    opened(corpora.write_table(tmp_path / f"{name}.csv", changed))
    for name, changed in (("a", rows), ("b", rows), ("c", rows[::-1]))
  )
  assert first.fingerprint == same.fingerprint != other.fingerprint


@pytest.mark.parametrize(
  ("row", "changed", "message"),
  [
    *(
      (1, {"tempo": cell}, f"line 3, column tempo: {shown} is no finite number")
      for cell, shown in [
        *((x, f"'{x}'") for x in ("nan", "-inf", "1_0", "0x1p3", "loud")),
        *(("1,5", "'1,5'"), ("\u0661\u0662", "'.*'")),
        ("9" * 10**5, r"'9{40}\.\.\.'"),
      ]
    ),
    (0, {"mfcc1_var": ""}, "line 2, column mfcc1_var: '' is no finite number"),
    (2, {"rms_mean": "1e99"}, "line 4, column rms_mean: '1e99' is no finite"),
    (
      0,
      {"label": "zouk"},
      "line 2: the filename 'rock.00001.wav' and the label 'zouk' disagree",
    ),
    (0, {"label": "pop"}, "'rock.00001.wav' and the label 'pop' disagree"),
    (0, {"filename": "song.wav"}, "line 2: the filename 'song.wav' does not"),
    (1, {"filename": " "}, "line 3: the filename '' is empty"),
    (1, {"label": "a\x07b"}, r"line 3: the label 'a\\x07b' .* cannot be pri"),
    (1, {"filename": f"blues.00001.{'7' * 5000}.wav"}, "line 3: .*not fit"),
    (0, {"filename": "rock.001.wav"}, "filename 'rock.001.wav' does not fit"),
    (
      0,
      {"filename": "rock.00001.1.2.wav"},
      "does not fit among .*; accepted are rock.",
    ),
    (2, {"filename": "blues.00001.wav"}, "4: blues.00001.wav occurs twice"),
    (2, {"filename": "blues.00000.3.wav"}, "4: .* among lines of another kind"),
    (0, {"filename": "pop.00000.wav", "label": "pop"}, None),
  ],
)
def test_lines_that_cannot_be(tmp_path, row, changed, message):
  rows = corpora.table_rows(TRACKS)
  rows[row] |= changed
  path = corpora.write_table(tmp_path / "t.csv", rows)
  if message:
    refused(path, rf"t\.csv.*{message}")
  else:
    assert opened(path).genres == ("blues", "pop")


@pytest.mark.parametrize(
  ("content", "message"),
  [
    (b"", "is empty; a table begins with a header"),
    (b"\n\n", "is empty"),
    (b"a,b\n1,2\n", "lacks 59 of the columns .*: filename, chroma_stft_mean,"),
    (b"\xff\xfe\x00f\x00", "cannot be read as a table"),
    (b"caf\xe9,b\n", "cannot be read as a table"),
    (b"filename\0,b\n", "lacks"),
    (b'"a\n', "lacks"),
  ],
)
def test_files_that_are_no_table(tmp_path, content, message):
  (tmp_path / "t.csv").write_bytes(content)
  refused(tmp_path / "t.csv", message)


@pytest.mark.parametrize(
  ("change", "message"),
  [
    (lambda text: text.split("\n")[0], "a header and no lines"),
    (
      lambda text: re.sub("^rock.*\n", "", text, flags=re.M),
      r"one genre only \(blues\)",
    ),
    (
      lambda text: text.replace(",rock\n", "\n", 1),
      "line 2: 59 cells, and the header has 60, separated by commas",
    ),
    (
      lambda text: text.replace("tempo", "x", 1).replace(",label", ",y", 1),
      r"lacks 2 .*: tempo, label; its header has 60, separated by commas",
    ),
    (lambda text: text.replace("rms_var", "tempo", 1), "rms_var"),
    (
      lambda text: re.sub(",([^,]*),([^,]*)\n", r",\1,\2,\1\n", text),
      r"the column 'mfcc20_var' occurs twice",
    ),
  ],
)
def test_tables_that_lack_something(tmp_path, change, message):
  path = corpora.write_table(tmp_path / "a.csv", corpora.table_rows(TRACKS))
  path.write_text(change(path.read_text()))
  refused(path, message)


def semicolons(text):
  """As a spreadsheet that writes decimals with a comma."""
  lines = text.split("\n")
  rows = [line.replace(",", ";") for line in lines[1:]]
  rows = [re.sub(r"(?<=\d)\.(?=\d+(;|e))", ",", row) for row in rows]
  return "\n".join([lines[0].replace(",", ";"), *rows])


@pytest.mark.parametrize(
  "change",
  [
    semicolons,
    lambda text: "sep=;\n" + semicolons(text),
    lambda text: text.replace(",", ";"),
    lambda text: text.replace(",", "\t"),
    lambda text: text.replace(",", "|"),
    lambda text: text.replace(",", " , "),
    lambda text: text.replace("\n", ",,\n"),
    lambda text: f"{text}{',' * 59}\n\n  ,{',' * 58}\n",
    lambda text: text.replace("\n", "\r"),
    lambda text: text.replace("blues.", "genres_original/blues/blues."),
    lambda text: text.replace("rock.", r"C:\\Data\\rock\\rock."),
    lambda text: text.replace("filename", "Filename").replace("label", "LABEL"),
    lambda text: text.replace(".wav", ".au"),
    lambda text: text.encode("utf-16"),
    lambda text: b"\xef\xbb\xbf" + text.encode(),
  ],
)
@pytest.mark.parametrize("names", [TRACKS, PARTS])
def test_tables_as_spreadsheets_leave_them(tmp_path, names, change):
  path = corpora.write_table(tmp_path / "t.csv", corpora.table_rows(names))
  changed = change(path.read_text())
  data = changed if isinstance(changed, bytes) else changed.encode()
  (tmp_path / "u.tsv").write_bytes(data)
  tracks, wanted = opened(tmp_path / "u.tsv").tracks, opened(path).tracks
  assert tracks == wanted
  for one, other in zip(tracks, wanted, strict=True):
    np.testing.assert_array_equal(one.read().rows, other.read().rows)
    np.testing.assert_array_equal(one.read().starts, other.read().starts)


@pytest.mark.parametrize(
  ("names", "tracks"),
  [
    # {label: filenames}: {track: its rows}
    (
      {"ambient": ["ambient.00003.wav"], "rock": ["rock.00001.wav"]},
      {"rock.00001": 1, "ambient.00003": 1},
    ),
    (
      {
        "Ska": ["music/Ska/live/a 1.mp3", "x/b"],
        "dub": ["2. take.flac", "x/b"],
      },
      {"Ska/live/a 1": 1, "Ska/x/b": 1, "dub/2. take": 1, "dub/x/b": 1},
    ),
    (
      {"Ska": ["a.0.wav", "a.1.wav", "b.0.wav"], "dub": ["a.0.wav", "c.4.wav"]},
      {"Ska/a": 2, "Ska/b": 1, "dub/a": 1, "dub/c": 1},
    ),
    (
      {"Ska": ["Track.01.wav", "Track.02.wav"], "dub": ["Track.01.wav"]},
      {"Ska/Track.01": 1, "Ska/Track.02": 1, "dub/Track.01": 1},
    ),
  ],
)
def test_own_genres_and_names(tmp_path, names, tracks):
  rows = corpora.table_rows([n for of in names.values() for n in of])
  labels = [label for label, of in names.items() for _ in of]
  for row, label in zip(rows, labels, strict=True):
    row["label"] = label
  corpus = opened(corpora.write_table(tmp_path / "t.csv", rows))
  assert {t.id: len(t.read().rows) for t in corpus.tracks} == tracks
  assert set(corpus.genres) == set(names)
  for track in corpus.tracks:
    assert track.genre == track.id.replace(".", "/").split("/")[0]


def test_it_is_prepared_as_it_is(tmp_path):
  rows = corpora.table_rows(PARTS)
  path = corpora.write_table(tmp_path / "t.csv", rows)
  done = tfds_gtzan.prepare(str(path), "table57", tmp_path / "d")
  assert (done.corpus, done.kind, done.source) == ("table", "table", "table")
  assert {row.id: row.segments for row in done.rows} == {
    "blues.00000": 3,
    "rock.00001": 1,
  }
  assert set(done.example) == {
    *("features", "label", "track", "artist", "segment", "start"),
  }
  by_start = {
    (row.id, float(record["start"])): record
    for row, record in corpora.records(done)
  }
  for row in rows:
    genre, number, part, _ = row["filename"].split(".")
    record = by_start[f"{genre}.{number}", int(part) * 3.0]
    np.testing.assert_array_equal(record["features"], values(row))
    assert done.genres[record["label"]] == row["label"]


def test_the_real_table(gtzan_data):
  corpus = opened(gtzan_data / "gtzan" / "features_30_sec.csv")
  assert len(corpus.tracks) == 710
  assert corpus.genres == tfds_gtzan.GENRES
  assert corpus.tracks[0].read().rows[0, 16] == pytest.approx(123.046875)
