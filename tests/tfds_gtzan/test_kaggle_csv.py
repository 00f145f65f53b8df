"""Kaggle's table of 57 columns as a corpus."""

import csv
import pathlib
import re

import corpora
import numpy as np
import pytest

import tfds_gtzan
from gtzan_jax import features
from gtzan_jax.errors import InputError
from gtzan_jax.features import kaggle_table
from tfds_gtzan import tfds_gtzan_dataset_builder

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
    [float(row[name]) for name in kaggle_table.COLUMNS], np.float32
  )


def test_columns_are_kaggles(gtzan_data):
  with (gtzan_data / "gtzan" / "features_30_sec.csv").open() as file:
    header = next(csv.reader(file))
  assert tuple(header) == ("filename", "length", *kaggle_table.COLUMNS, "label")


def test_a_line_a_track(tmp_path):
  rows = corpora.table_rows(TRACKS)
  path = corpora.write_table(tmp_path / "t.csv", rows)
  opened = tfds_gtzan.open_corpus(str(path))
  assert (opened.name, opened.kind) == ("table", "table")
  assert opened.genres == ("blues", "rock")
  ids = [track.id for track in opened.tracks]
  assert ids == ["blues.00000", "blues.00001", "rock.00001"]
  assert opened.tracks[0].artist == "John Lee Hooker"
  assert opened.tracks[0].partition == "validation"
  held = opened.tracks[2].read()
  assert held.rows.dtype == np.float32
  np.testing.assert_array_equal(held.rows, [values(rows[0])])
  assert held.starts.tolist() == [0.0]


def test_lines_of_three_seconds_are_grouped_by_track(tmp_path):
  rows = corpora.table_rows(PARTS)
  path = corpora.write_table(tmp_path / "t.csv", rows)
  opened = tfds_gtzan.open_corpus(str(path))
  assert [track.id for track in opened.tracks] == ["blues.00000", "rock.00001"]
  held = opened.tracks[0].read()
  assert held.starts.tolist() == [0.0, 6.0, 30.0]
  wanted = [values(rows[3]), values(rows[1]), values(rows[0])]
  np.testing.assert_array_equal(held.rows, wanted)


def test_columns_stand_in_any_order_and_others_are_passed_over(tmp_path):
  rows = corpora.table_rows(TRACKS)
  turned = [dict(reversed(row.items())) | {"more": "x"} for row in rows]
  path = corpora.write_table(tmp_path / "t.csv", turned, without=["length"])
  path.write_text("\ufeff" + path.read_text() + "\n")  # as spreadsheets write
  (held, *_) = [
    track.read() for track in tfds_gtzan.open_corpus(str(path)).tracks
  ]
  np.testing.assert_array_equal(held.rows, [values(rows[2])])


def test_fingerprint_is_of_the_content(tmp_path):
  rows = corpora.table_rows(TRACKS)
  first = corpora.write_table(tmp_path / "a.csv", rows)
  same = corpora.write_table(tmp_path / "b.csv", rows)
  rows[0]["tempo"] = "120"
  other = corpora.write_table(tmp_path / "c.csv", rows)
  found = [
    tfds_gtzan.open_corpus(str(p)).fingerprint for p in (first, same, other)
  ]
  assert found[0] == found[1] != found[2]


@pytest.mark.parametrize(
  ("row", "changed", "message"),
  [
    (1, {"tempo": "nan"}, "line 3, column tempo: 'nan' is no finite number"),
    (0, {"mfcc1_var": ""}, "line 2, column mfcc1_var: '' is no finite number"),
    (2, {"rms_mean": "1e99"}, "line 4, column rms_mean: '1e99' is no finite"),
    (0, {"rms_mean": "loud"}, "line 2, column rms_mean: 'loud' is no finite"),
    (
      0,
      {"label": "zouk"},
      "line 2: the filename 'rock.00001.wav' and the label 'zouk' disagree",
    ),
    (0, {"label": "pop"}, "'rock.00001.wav' and the label 'pop' disagree"),
    (0, {"filename": "song.wav"}, "line 2: the filename 'song.wav' does not"),
    (1, {"filename": " "}, "line 3: the filename '' is empty"),
    (1, {"label": "a\x07b"}, r"line 3: the label 'a\\x07b' .* cannot be pri"),
    (1, {"tempo": "1_0"}, "line 3, column tempo: '1_0' is no finite number"),
    (1, {"tempo": "\u0661\u0662"}, "line 3, column tempo: '.*' is no finite"),
    (1, {"tempo": "-inf"}, "line 3, column tempo: '-inf' is no finite"),
    (1, {"tempo": "0x1p3"}, "line 3, column tempo: '0x1p3' is no finite"),
    (1, {"tempo": "9" * 10**5}, r"column tempo: '9{40}\.\.\.' is no finite"),
    (1, {"tempo": "1,5"}, "line 3, column tempo: '1,5' is no finite"),
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
  if message is None:
    assert tfds_gtzan.open_corpus(str(path)).genres == ("blues", "pop")
    return
  with pytest.raises(InputError, match=rf"t\.csv.*{message}") as caught:
    tfds_gtzan.open_corpus(str(path))
  assert "\n" not in str(caught.value)


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
  with pytest.raises(InputError, match=message) as caught:
    tfds_gtzan.open_corpus(str(tmp_path / "t.csv"))
  assert "\n" not in str(caught.value)


def test_tables_that_lack_something(tmp_path):
  rows = corpora.table_rows(TRACKS)
  path = corpora.write_table(
    tmp_path / "a.csv", rows, without=["tempo", "label"]
  )
  with pytest.raises(InputError, match=r"lacks 2 .*: tempo, label; its header"):
    tfds_gtzan.open_corpus(str(path))
  path.write_text(",".join(rows[0]) + "\n")
  with pytest.raises(InputError, match="a header and no lines"):
    tfds_gtzan.open_corpus(str(path))
  path = corpora.write_table(tmp_path / "a.csv", rows[1:])
  with pytest.raises(InputError, match=r"one genre only \(blues\)"):
    tfds_gtzan.open_corpus(str(path))
  path = corpora.write_table(tmp_path / "a.csv", rows)
  path.write_text(path.read_text().replace(",rock\n", "\n", 1))
  with pytest.raises(InputError, match="line 2: 59 cells, and the header has"):
    tfds_gtzan.open_corpus(str(path))
  path = corpora.write_table(tmp_path / "a.csv", rows)
  path.write_text(path.read_text().replace("rms_var", "tempo", 1))
  with pytest.raises(InputError, match="rms_var"):
    tfds_gtzan.open_corpus(str(path))
  lines = corpora.write_table(tmp_path / "a.csv", rows).read_text().split()
  path.write_text("".join(f"{x},{x.split(',')[-2]}\n" for x in lines))
  with pytest.raises(InputError, match=r"the column .* occurs twice"):
    tfds_gtzan.open_corpus(str(path))


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
  wanted = tfds_gtzan.open_corpus(str(path))
  changed = change(path.read_text())
  data = changed if isinstance(changed, bytes) else changed.encode()
  (tmp_path / "u.tsv").write_bytes(data)
  found = tfds_gtzan.open_corpus(str(tmp_path / "u.tsv"))
  assert found.tracks == wanted.tracks
  for one, other in zip(found.tracks, wanted.tracks, strict=True):
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
  opened = tfds_gtzan.open_corpus(
    str(corpora.write_table(tmp_path / "t.csv", rows))
  )
  assert {t.id: len(t.read().rows) for t in opened.tracks} == tracks
  assert set(opened.genres) == set(names)
  for track in opened.tracks:
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
    "features",
    "label",
    "track",
    "artist",
    "segment",
    "start",
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


def test_a_table_feeds_nothing_else(tmp_path):
  path = corpora.write_table(tmp_path / "t.csv", corpora.table_rows(TRACKS))
  with pytest.raises(InputError, match=r"image_180 cannot .* corpus table,"):
    tfds_gtzan.prepare(str(path), "image_180", tmp_path / "d")


def test_the_real_table(gtzan_data):
  opened = tfds_gtzan.open_corpus(
    str(gtzan_data / "gtzan" / "features_30_sec.csv")
  )
  assert len(opened.tracks) == 710
  assert opened.genres == tfds_gtzan.GENRES
  assert opened.tracks[0].read().rows[0, 16] == pytest.approx(123.046875)


def test_rows_of_librosa_depend_on_its_version(monkeypatch):
  opened = tfds_gtzan.open_corpus(None, 1)
  fingerprint = tfds_gtzan_dataset_builder.fingerprint
  found = {}
  for name in ("table57", "mfcc_slices"):
    before = fingerprint(features.get(name), opened)
    with monkeypatch.context() as patch:
      patch.setattr("importlib.metadata.version", lambda _: "another")
      found[name] = fingerprint(features.get(name), opened) == before
  assert found == {"table57": False, "mfcc_slices": True}
