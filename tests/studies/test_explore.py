"""The page about a corpus: its numbers, its warnings, and that it is safe."""

import base64
import dataclasses
import io
import json
import re

import corpora
import numpy as np
import pytest
import soundfile
from pages import Page
from PIL import Image

import tfds_gtzan
from gtzan_jax.errors import InputError
from gtzan_jax.features import mel
from gtzan_jax.studies.explore import measure as measures
from gtzan_jax.studies.explore import page as explore_page
from gtzan_jax.studies.explore import run as explore
from gtzan_jax.studies.explore import summary
from tfds_gtzan.corpora.types import (
  Audio,
  Corpus,
  LogMel,
  Picture,
  Table,
  Track,
)

RATE = 22_050


READS = []


def corpus(kind, contents, name="audio", own=None, **facts):
  """Tracks {id: content} of the genre before the dot; a str is a fault. `facts`
  are of all tracks, `own` of some: {id: facts}."""

  def track(name, content):
    def read():
      READS.append(name)
      if isinstance(content, str):
        raise InputError(content)
      return content

    known = {"genre": name.partition(".")[0], "artist": name}
    known |= {"partition": "unlisted", **facts, **(own or {}).get(name, {})}
    return Track(name, read=read, **known)

  tracks = tuple(track(*item) for item in contents.items())
  genres = tuple(dict.fromkeys(one.genre for one in tracks))
  return Corpus(name, kind, genres, tracks, "0123456789abcdef" * 4)


def sound(samples):
  return Audio(np.asarray(samples, np.float32))


def picture(value):
  rgb = np.full((6, 8, 3), value, np.uint8)
  rgb[0, 0] = 255 - rgb[0, 0]
  return Picture(rgb)


def noise(seed):
  return np.random.default_rng(seed).uniform(-0.3, 0.3, RATE)


# One track.


def test_the_numbers_of_a_waveform():
  samples = np.concatenate([noise(0), np.zeros(RATE)])
  samples[100:110] = 1.0
  got = measures.measure("audio", sound(samples)).values
  assert set(got) == set(measures.MEASURES["audio"])
  assert (got["seconds"], got["peak"]) == (2.0, 1.0)
  assert got["clipped"] == pytest.approx(100 * 10 / len(samples))
  assert got["silence"] == pytest.approx(50, abs=3)
  # Uniform noise in half of the frames, white up to 11,025 Hz.
  assert got["rms"] == pytest.approx(0.3 / np.sqrt(3) / 2, rel=0.05)
  assert got["centroid"] == pytest.approx(11_025 / 2 / 2, rel=0.1)


def test_of_a_long_track_the_middle_is_measured_but_levels_of_all(monkeypatch):
  monkeypatch.setattr(measures, "LONGEST", 12.0)
  samples = np.zeros(16 * RATE, np.float32)
  samples[0] = 1.0
  samples[RATE:-RATE] = 0.5 * np.sin(440 * np.arange(14 * RATE) / RATE)
  got = measures.measure("audio", sound(samples))
  levels = [got.values[key] for key in ("seconds", "peak", "silence")]
  assert levels == [16, 1.0, 0.0]
  assert (got.start, got.seconds) == (3.0, 10.0)
  assert np.array_equal(got.excerpt, samples[3 * RATE : 13 * RATE])


def test_the_numbers_of_a_log_mel():
  db = np.full((50, 128), -190, np.float32)
  db[:25, 40], db[25:, 40] = 10.0, -10.0
  got = measures.measure("logmel", LogMel(db, 1292)).values
  assert set(got) == set(measures.MEASURES["logmel"])
  centre = mel.mel_to_hz(np.linspace(0, mel.hz_to_mel(RATE / 2), 130))[41]
  assert got["seconds"] == pytest.approx(1292 * 512 / RATE)
  assert got["level"] == pytest.approx(10 * np.log10((10 + 0.1) / 2 / 128))
  assert got["peak"] == 10.0
  assert got["dynamics"] == pytest.approx(20.0, abs=0.01)
  assert got["rolloff"] == pytest.approx(centre, rel=1e-6)
  assert got["centroid"] == pytest.approx(centre, rel=1e-4)


@pytest.mark.slow
def test_the_archive_comes_near_what_the_sound_gives(gtzan_data):
  """Two roads to one measure: they differ by bands and thinned columns."""
  clips = tfds_gtzan.open_corpus(str(gtzan_data / "gtzan")).tracks
  stored = tfds_gtzan.open_corpus(str(gtzan_data / "gtzan_logmel.npz")).tracks
  stored = {track.id: track for track in stored}
  for track in [t for t in clips if t.id in stored][::10]:
    content = track.read()
    if len(content.samples) < 29 * RATE:
      continue
    ours = measures.measure("audio", content).values
    theirs = measures.measure("logmel", stored[track.id].read()).values
    for name in ("seconds", "centroid", "bandwidth", "rolloff"):
      assert theirs[name] == pytest.approx(ours[name], rel=0.1), track.id
    assert theirs["mfcc2"] == pytest.approx(ours["mfcc2"], abs=3), track.id


def test_the_numbers_of_a_picture_and_of_a_table():
  rgb = np.zeros((4, 10, 3), np.uint8)
  rgb[:2] = 255
  rgb[2:, :, 0] = 51
  assert measures.measure("picture", Picture(rgb)).values == pytest.approx(
    {
      **{"width": 10, "height": 4, "white": 50},
      **{"red": 0.6, "green": 0.5, "blue": 0.5},
      **{"brightness": (1 + 0.2 / 3) / 2, "contrast": (1 - 0.2 / 3) / 2},
    }
  )
  rows = np.arange(3 * 57, dtype=np.float32).reshape(3, 57)
  got = measures.measure("table", Table(rows, None)).values
  assert set(got) == set(measures.MEASURES["table"])
  assert got["lines"] == 3
  assert got["chroma_stft_mean"] == 57.0
  assert got["mfcc20_var"] == 57.0 + 56


@pytest.mark.parametrize(
  ("kind", "content", "fault"),
  [
    ("audio", sound(np.full(RATE, 0.25)), "constant: nothing to hear"),
    (
      *("audio", sound(np.append(noise(0), np.zeros(3 * RATE)))),
      "73 % of it is silent",
    ),
    (
      *("audio", sound(np.clip(4 * noise(0), -0.9999, 0.9999))),
      "% of its samples are clipped",
    ),
    (
      *("audio", sound(np.append(noise(0), [np.nan, np.inf]))),
      "2 of 22,052 values are not finite",
    ),
    ("audio", sound(noise(1)), None),
    ("picture", Picture(np.full((4, 4, 3), 9, np.uint8)), "constant: one col"),
    ("picture", picture(9), None),
    ("logmel", LogMel(np.zeros((9, 128), np.float32), 9), "constant: every"),
  ],
)
def test_faults(kind, content, fault):
  found = measures.measure(kind, content).faults
  assert fault in found[0] if fault else not found


def test_the_player_plays_the_excerpt():
  time = np.arange(10 * RATE) / RATE
  tone = 0.5 * np.sin(2 * np.pi * np.where(time < 5, 440, 880) * time)
  measured = measures.Measured({}, excerpt=tone.astype(np.float32))
  media = measures.media("audio", measured)
  coded = base64.b64decode(media["sound"])
  assert len(coded) < 5_100 * 10
  played, rate = soundfile.read(io.BytesIO(coded))
  assert rate == RATE
  assert len(played) == pytest.approx(10 * RATE, rel=0.01)
  for part, hz in ((played[: 4 * RATE], 440), (played[6 * RATE :], 880)):
    loudest = np.abs(np.fft.rfft(part)).argmax() * rate / len(part)
    assert loudest == pytest.approx(hz, abs=1)
  low, high = np.array(media["wave"])
  assert (low.min(), high.max()) == pytest.approx((-0.5, 0.5), abs=0.002)
  levels = np.asarray(Image.open(io.BytesIO(base64.b64decode(media["levels"]))))
  assert levels.shape == (128, 431)
  assert levels.max() == 255
  # 880 Hz stands above 440 Hz, and high is at the top.
  rows = levels[:, [100, 330]].argmax(axis=0)
  bands = mel.hz_to_mel([440, 880]) / mel.hz_to_mel(RATE / 2) * 128
  assert 127 - rows == pytest.approx(bands, abs=2)


# All tracks.


def test_statistics_and_correlation():
  rows = [
    {
      "genre": "ab"[i // 10],
      "values": {
        "up": float(i),
        "down": -2.0 * i,
        "half": i // 10,
        "same": 7.0,
      },
    }
    for i in range(20)
  ]
  rows.append({"genre": "a", "values": {}})  # of values that are not finite
  got = summary.statistics(("up", "half", "same"), ("a", "b", "c"), rows)
  up = got["up"]
  assert up["genres"]["b"] == {
    **{"n": 10, "mean": 14.5, "std": 2.87228},
    **{"min": 10.0, "median": 14.5, "max": 19.0},
  }
  assert up["all"]["median"] == 9.5
  assert up["genres"]["c"]["n"] == 0
  assert up["genres"]["c"]["mean"] is None
  assert (up["edges"][0], up["edges"][-1]) == (0.19, 18.81)
  assert len(up["edges"]) == 25
  counts = np.array([up["counts"][genre] for genre in "abc"])
  assert counts.sum(axis=1).tolist() == [10, 10, 0]
  assert counts[0, 0] == counts[1, -1] == 1  # those beyond the edges
  assert up["between"] == pytest.approx(20 * 5**2 / 665, abs=1e-5)
  assert (got["half"]["between"], got["same"]["between"]) == (1.0, None)
  assert summary.correlation(("up", "down", "same"), rows) == {
    "names": ["up", "down"],
    "matrix": [[1.0, -1.0], [-1.0, 1.0]],
  }


def test_duplicates_are_found_by_content():
  same = noise(0)
  contents = {"a.0": same, "a.1": noise(1), "b.0": same.copy()}
  contents["b.1"] = np.append(same, 0.0)
  facts = explore.survey(
    corpus("audio", {name: sound(x) for name, x in contents.items()}),
    duplicates=[("a.0", "b.0"), ("a.0", "b.1"), ("a.0", "gone.0")],
  )
  assert facts["duplicates"] == {
    "groups": [["a.0", "b.0"]],
    "published": 2,
    "not_identical": [["a.0", "b.1"]],
  }
  titles = [warning["title"] for warning in facts["warnings"]]
  assert titles[:2] == [
    "1 group of identical tracks across genres",
    "1 of 4 tracks is a replica",
  ]


@pytest.mark.usefixtures("text_only")
def test_unreadable_tracks_are_listed_and_nothing_else_counts_them():
  contents = {"a.0": picture(10), "a.1": "a.1: no header", "b.0": picture(30)}
  contents["b.1"] = picture(40)
  READS.clear()
  facts = explore.survey(
    corpus(
      "picture", contents, own={"b.1": {"artist": "", "partition": "test"}}
    ),
    lists={"known": {"train": ["a.0", "a.1", "x"], "test": ["b.0"]}},
  )
  assert sorted(READS) == ["a.0", "a.1", "b.0", "b.1"]
  assert facts["skipped"] == [
    {"track": "a.1", "genre": "a", "reason": "a.1: no header"}
  ]
  assert facts["balance"]["a"] == {
    "tracks": 1,
    "unreadable": 1,
    "artists": [["a.0", 1]],
    "artist_unknown": 0,
    "partitions": {"train": 0, "validation": 0, "test": 0, "unlisted": 1},
  }
  b = facts["balance"]["b"]
  assert (b["artists"], b["artist_unknown"]) == ([["b.0", 1]], 1)
  assert b["partitions"]["test"] == 1
  assert [row["id"] for row in facts["tracks"]] == ["a.0", "b.0", "b.1"]
  assert facts["statistics"]["brightness"]["all"]["n"] == 3
  assert facts["lists"]["known"]["train"] == {"listed": 3, "at_hand": 1}
  assert facts["warnings"][0]["title"] == "1 of 4 tracks cannot be read"
  assert "a.1: no header" in explore_page.render(facts)


def test_a_corpus_without_a_readable_track_is_refused():
  made = corpus("picture", {"a.0": "is bad", "b.0": "is worse"})
  with pytest.raises(InputError, match=r"not one of 2 tracks .* a\.0: is bad"):
    explore.survey(made)


# The page.


def few(facts):
  """The same facts with two measures of each group: drawing takes time."""
  groups = {}
  for name, measure in facts["measures"].items():
    groups.setdefault(measure["group"], []).append(name)
  kept = [name for names in groups.values() for name in names[:2]]
  names, matrix = facts["correlation"].values()
  both = [i for i, name in enumerate(names) if name in kept]
  return {
    **facts,
    "measures": {name: facts["measures"][name] for name in kept},
    "correlation": {
      "names": [names[i] for i in both],
      "matrix": [[matrix[i][j] for j in both] for i in both],
    },
  }


@pytest.fixture(scope="module")
def made(tmp_path_factory):
  """The path of a small corpus of each form."""
  root = tmp_path_factory.mktemp("corpora")
  names = [f"{genre}.{i:05d}" for genre in ("blues", "rock") for i in range(4)]
  return {
    "audio": corpora.write_folder(
      root / "audio", {"blues": (1, 2, 1), "rock": (1, 1)}
    ),
    "logmel": corpora.write_archive(
      root / "archive.npz", **corpora.archive_arrays(names, 40)
    ),
    "picture": corpora.write_pictures(root / "images", {"blues": 3, "rock": 2}),
    "table": corpora.write_table(
      root / "table.csv", corpora.table_rows([f"{name}.wav" for name in names])
    ),
  }


@pytest.mark.slow
@pytest.mark.parametrize("kind", measures.MEASURES)
def test_each_kind_has_its_page(kind, made):
  opened = tfds_gtzan.open_corpus(str(made[kind]))
  facts = explore.survey(opened)
  assert facts["kind"] == kind
  groups = explore_page.KINDS[kind][1]
  assert {m["group"] for m in facts["measures"].values()} == groups.keys()
  page = Page(explore_page.render(few(facts)))
  assert all(heading in page.text for heading, _ in groups.values())
  assert ("audio" in page.tags) == (kind == "audio")
  assert ("img" in page.tags) == (kind == "picture")
  assert ("image" in page.tags) == (kind in ("audio", "logmel"))
  assert bool(page.links) == (kind != "table")
  assert "blues" in page.text
  assert opened.fingerprint[:12] in page.text


@pytest.mark.usefixtures("text_only")
def test_the_synthetic_corpus_says_that_it_is():
  opened = tfds_gtzan.open_corpus(None, 1)
  opened = dataclasses.replace(
    opened, genres=opened.genres[:1], tracks=opened.tracks[:1]
  )
  facts = explore.survey(opened)
  assert [row["track"] for row in facts["examples"]] == [opened.tracks[0].id]
  text = explore_page.render(few(facts))
  assert "This is the synthetic corpus, not GTZAN." in text


def test_names_are_escaped_wherever_they_stand():
  evil = '"><script>alert(1)</script>&$x^2$'
  rng = np.random.default_rng(0)
  dbs = [rng.normal(size=(9, 128)) * 20 for _ in range(3)]
  contents = {f"{evil}{i}": LogMel(dbs[min(i, 2)], 900) for i in range(4)}
  facts = explore.survey(
    dataclasses.replace(
      corpus(
        "logmel",
        contents | {"bad": f"{evil}: {evil}"},
        evil,
        genre="<script>$0$流",
        artist=evil,
      ),
      fingerprint=evil,
    ),
    duplicates=[(f"{evil}0", f"{evil}1")],
    lists={evil: {evil: [f"{evil}0"]}},
  )
  facts["faults"] = [{"track": evil, "fault": evil}]
  assert facts["duplicates"]["groups"]
  text = explore_page.render(few(facts))
  page = Page(text)
  assert "<script" not in text
  assert page.text.count("<script>alert(1)</script>&$x^2$") > 15
  # In the drawings as well: $ begins no formula, and a missing glyph is no
  # warning (which would be an error here).
  assert re.search(r"<text[^>]*>&lt;script&gt;\$0\$流<", text)


def test_of_many_genres_some_are_drawn_and_long_tables_are_cut():
  contents = {f"genre{i:02d}.0": picture(i) for i in range(23)}
  facts = explore.survey(corpus("picture", contents))
  assert len(facts["examples"]) == 20
  facts["skipped"] = [
    {"track": f"lost{i:04d}", "genre": "a", "reason": "no"} for i in range(250)
  ]
  text = Page(explore_page.render(few(facts))).text
  assert text.count("genre19") > text.count("genre20")
  assert text.count("genre22") >= 3
  assert "the first 20 of 23 genres" in text
  assert "lost0199" in text
  assert "lost0200" not in text
  assert "The first 200 of 250" in text


# Writing.


@pytest.mark.slow
def test_two_files_the_same_for_the_same_corpus(made, tmp_path):
  written = []
  for name in ("one", "two"):
    facts = explore.survey(tfds_gtzan.open_corpus(str(made["audio"])))
    place = explore.write(few(facts), tmp_path / name)
    assert place == tmp_path / name / "explore.html"
    written.append({f.name: f.read_bytes() for f in place.parent.iterdir()})
  assert written[0] == written[1]
  assert sorted(written[0]) == ["explore.html", "explore.json"]
  for example in facts["examples"]:
    sound = example.pop("media")["sound"]
    assert sound.encode() in written[0]["explore.html"]
  kept = json.loads(written[0]["explore.json"])
  assert kept == few(json.loads(json.dumps(facts)))


@pytest.mark.usefixtures("text_only")
def test_all_or_nothing(tmp_path, monkeypatch):
  contents = {"a.0": picture(1), "b.0": picture(2)}
  facts = few(explore.survey(corpus("picture", contents)))
  explore.write(facts, tmp_path)
  before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
  with pytest.raises(ValueError, match="not JSON compliant"):
    explore.write({**facts, "fingerprint": float("nan")}, tmp_path)

  def full(*_):
    raise OSError(28, "No space left on device")

  monkeypatch.setattr(explore.os, "replace", full)
  with pytest.raises(InputError, match=f"{tmp_path} .*No space left"):
    explore.write({**facts, "corpus": "other"}, tmp_path)
  assert {f.name: f.read_bytes() for f in tmp_path.iterdir()} == before


def test_a_place_that_cannot_be_written_is_known_beforehand(
  tmp_path, monkeypatch
):
  file = tmp_path / "file"
  file.touch()
  with pytest.raises(InputError, match=r"--out=.*file cannot be written"):
    explore.folder(file)
  assert explore.folder(tmp_path / "a" / "b").is_dir()

  def refused(**_):
    raise PermissionError(13, "Permission denied")

  monkeypatch.setattr(explore.tempfile, "TemporaryFile", refused)
  with pytest.raises(InputError, match=r"written: Permission denied"):
    explore.folder(tmp_path)
