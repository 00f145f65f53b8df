"""The page about a corpus: its numbers, its warnings, and that it is safe."""

import base64
import io
import json
import re
import types

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
from tfds_gtzan.corpora.types import Audio, LogMel, Picture, Table

RATE = 22_050


def corpus(kind, tracks, name="audio"):
  """A corpus of (id, genre, content); content that is a str is a fault."""

  def read(content):
    if isinstance(content, str):
      raise InputError(content)
    return content

  made = [
    types.SimpleNamespace(
      id=track,
      genre=genre,
      artist=facts.get("artist", track),
      partition=facts.get("partition", "unlisted"),
      read=lambda content=content: read(content),
      rate=lambda: None,
    )
    for track, genre, content, *rest in tracks
    for facts in [rest[0] if rest else {}]
  ]
  return types.SimpleNamespace(
    name=name,
    kind=kind,
    genres=tuple(dict.fromkeys(genre for _, genre, *_ in tracks)),
    fingerprint="0123456789abcdef" * 4,
    tracks=made,
    tables=(),
    labels={},
  )


def sound(samples):
  return Audio(np.asarray(samples, np.float32))


def picture(value, size=(8, 6)):
  rgb = np.full((size[1], size[0], 3), value, np.uint8)
  rgb[0, 0] = 255 - rgb[0, 0]
  return Picture(rgb)


def noise(seed, seconds=1.0, level=0.3):
  rng = np.random.default_rng(seed)
  return rng.uniform(-level, level, round(seconds * RATE))


def values(kind, content):
  return measures.measure(kind, content).values


# One track.


def test_a_waveforms_numbers_are_those_of_numpy():
  # A second of silence behind it: what is measured frame by frame shows it.
  samples = np.concatenate([noise(0), np.zeros(RATE)]).astype(np.float32)
  samples[100:110] = 1.0
  got = values("audio", sound(samples))
  padded = np.pad(samples.astype(np.float64), 1024)
  windows = np.lib.stride_tricks.sliding_window_view(padded, 2048)[::512]
  windows = windows[: 1 + len(samples) // 512]
  rms = np.sqrt((windows**2).mean(axis=1))
  hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(2048) / 2048)
  magnitude = np.abs(np.fft.rfft(windows * hann))
  hz = np.fft.rfftfreq(2048, 1 / RATE)
  total = np.maximum(magnitude.sum(axis=1), 1e-30)
  centroid = (magnitude * hz).sum(axis=1) / total
  assert got["seconds"] == 2.0
  assert got["peak"] == 1.0
  assert got["clipped"] == pytest.approx(100 * 10 / len(samples))
  assert got["silence"] == pytest.approx(100 * (rms < 1e-3).mean())
  assert got["rms"] == pytest.approx(rms.mean(), rel=1e-5)
  assert got["centroid"] == pytest.approx(centroid.mean(), rel=1e-4)
  assert set(got) == set(measures.MEASURES["audio"])


def test_of_a_long_track_the_middle_is_measured_and_all_of_it_looked_at(
  monkeypatch,
):
  monkeypatch.setattr(measures, "LONGEST", 12.0)
  samples = np.zeros(16 * RATE, np.float32)
  samples[0] = 1.0
  samples[RATE:-RATE] = 0.5 * np.sin(
    2 * np.pi * 440 / RATE * np.arange(14 * RATE)
  )
  got = measures.measure("audio", sound(samples))
  assert got.values["seconds"] == 16
  assert got.values["peak"] == 1.0
  assert got.values["silence"] == 0.0
  assert (got.start, got.seconds) == (3.0, 10.0)
  assert np.array_equal(got.excerpt, samples[3 * RATE : 13 * RATE])


def test_a_log_mels_numbers_are_those_of_numpy():
  db = np.full((50, 128), -190, np.float32)
  db[:25, 40] = 10.0
  db[25:, 40] = -10.0
  content = LogMel(db, 1292)
  got = values("logmel", content)
  edges = mel.mel_to_hz(np.linspace(0, mel.hz_to_mel(RATE / 2), 130))
  power = 10 ** (db.astype(np.float64) / 10)
  assert got["seconds"] == pytest.approx(1292 * 512 / RATE)
  assert got["level"] == pytest.approx(10 * np.log10(power.mean()))
  assert got["peak"] == 10.0
  assert got["dynamics"] == pytest.approx(20.0, abs=0.01)
  assert got["rolloff"] == pytest.approx(edges[41], rel=1e-6)
  assert got["centroid"] == pytest.approx(edges[41], rel=1e-4)
  assert set(got) == set(measures.MEASURES["logmel"])


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
    ours = values("audio", content)
    theirs = values("logmel", stored[track.id].read())
    for name in ("seconds", "centroid", "bandwidth", "rolloff"):
      assert theirs[name] == pytest.approx(ours[name], rel=0.1), track.id
    assert theirs["mfcc2"] == pytest.approx(ours["mfcc2"], abs=3), track.id


def test_a_pictures_numbers():
  rgb = np.zeros((4, 10, 3), np.uint8)
  rgb[:2] = 255
  rgb[2:, :, 0] = 51
  got = values("picture", Picture(rgb))
  assert (got["width"], got["height"]) == (10, 4)
  assert got["white"] == 50.0
  assert got["red"] == pytest.approx(0.6)
  assert got["blue"] == 0.5
  assert got["brightness"] == pytest.approx((1 + 0.2 / 3) / 2)
  assert got["contrast"] == pytest.approx((1 - 0.2 / 3) / 2)


def test_a_tables_numbers_are_the_means_of_its_lines():
  rows = np.arange(3 * 57, dtype=np.float32).reshape(3, 57)
  got = values("table", Table(rows, None))
  assert got["lines"] == 3
  assert got["chroma_stft_mean"] == 57.0
  assert got["mfcc20_var"] == 57.0 + 56
  assert set(got) == set(measures.MEASURES["table"])


@pytest.mark.parametrize(
  ("samples", "fault"),
  [
    (np.full(RATE, 0.25), "constant: nothing to hear"),
    (np.append(noise(0), np.zeros(3 * RATE)), "73 % of it is silent"),
    (np.clip(4 * noise(0), -0.9999, 0.9999), "% of its samples are clipped"),
    (
      np.append(noise(0), [np.nan, np.inf]),
      "2 of 22,052 values are not finite",
    ),
  ],
)
def test_faults_of_a_waveform(samples, fault):
  assert fault in measures.measure("audio", sound(samples)).faults[0]
  assert measures.measure("audio", sound(noise(1))).faults == ()


def test_faults_of_pictures_and_log_mels():
  one_colour = Picture(np.full((4, 4, 3), 9, np.uint8))
  flat = LogMel(np.zeros((9, 128), np.float32), 9)
  assert measures.measure("picture", one_colour).faults
  assert measures.measure("logmel", flat).faults
  assert not measures.measure("picture", picture(9)).faults


def test_the_player_plays_the_excerpt():
  time = np.arange(20 * RATE) / RATE
  samples = 0.5 * np.sin(2 * np.pi * np.where(time < 10, 440, 880) * time)
  measured = measures.Measured(
    {}, "", (), samples[5 * RATE : 15 * RATE].astype(np.float32)
  )
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


def table_corpus():
  """Forty tracks of four genres whose numbers are known."""
  rng = np.random.default_rng(5)
  rows = rng.normal(size=(40, 1, 57)).astype(np.float32)
  rows[:, :, 8] = np.arange(40)[:, None] // 10  # by genre alone
  rows[:, :, 9] = 7.0
  tracks = [
    (f"g{i // 10}.{i}", f"g{i // 10}", Table(rows[i], None)) for i in range(40)
  ]
  return corpus("table", tracks, "table"), rows[:, 0].astype(np.float64)


def test_statistics_and_correlation_are_those_of_numpy():
  made, rows = table_corpus()
  facts = explore.survey(made)
  names = [name for name in facts["measures"] if name != "lines"]
  order = [measures.kaggle_table.COLUMNS.index(name) for name in names]
  rms = facts["statistics"]["rms_mean"]
  column = rows[:, 2]
  of_g1 = column[10:20]
  for key, value in {
    "mean": of_g1.mean(),
    "std": of_g1.std(),
    "min": of_g1.min(),
    "median": np.median(of_g1),
    "max": of_g1.max(),
  }.items():
    assert rms["genres"]["g1"][key] == pytest.approx(value, rel=1e-5), key
  assert rms["genres"]["g1"]["n"] == 10
  assert rms["all"]["median"] == pytest.approx(np.median(column), rel=1e-5)
  low, high = np.percentile(column, (1, 99))
  assert (rms["edges"][0], rms["edges"][-1]) == pytest.approx((low, high), 1e-5)
  bins = np.floor((of_g1 - low) / (high - low) * 24).clip(0, 23)
  expected = np.bincount(bins.astype(int), minlength=24)
  assert rms["counts"]["g1"] == expected.tolist()
  means = column.reshape(4, 10).mean(axis=1)
  assert rms["between"] == pytest.approx(means.var() / column.var(), rel=1e-4)
  by_genre = names[order.index(8)]
  assert facts["statistics"][by_genre]["between"] == 1.0
  steady = names[order.index(9)]
  assert facts["statistics"][steady]["between"] is None
  got = facts["correlation"]
  assert got["names"] == [name for name in names if name != steady]
  kept = [i for i in order if i != 9]
  wanted = np.corrcoef(rows[:, kept].T)
  assert np.array(got["matrix"]) == pytest.approx(wanted, abs=1e-4)


def test_duplicates_are_found_by_content():
  same, other = noise(0), noise(1)
  made = corpus(
    "audio",
    [
      ("a.0", "a", sound(same)),
      ("a.1", "a", sound(other)),
      ("b.0", "b", sound(same.copy())),
      ("b.1", "b", sound(np.append(same, 0.0))),
    ],
  )
  facts = explore.survey(
    made, duplicates=[("a.0", "b.0"), ("a.0", "b.1"), ("a.0", "gone.0")]
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
  reads = []
  made = corpus(
    "picture",
    [
      ("a.0", "a", picture(10)),
      ("a.1", "a", "a.1: no header"),
      ("b.0", "b", picture(30)),
      ("b.1", "b", picture(40), {"artist": "", "partition": "test"}),
    ],
  )
  for track in made.tracks:
    track.read = lambda track=track, read=track.read: (
      reads.append(track.id) or read()
    )
  facts = explore.survey(
    made, lists={"known": {"train": ["a.0", "a.1", "x"], "test": ["b.0"]}}
  )
  assert sorted(reads) == ["a.0", "a.1", "b.0", "b.1"]
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
  assert facts["balance"]["b"]["artists"] == [["b.0", 1]]
  assert facts["balance"]["b"]["artist_unknown"] == 1
  assert facts["balance"]["b"]["partitions"]["test"] == 1
  assert [row["id"] for row in facts["tracks"]] == ["a.0", "b.0", "b.1"]
  assert facts["statistics"]["brightness"]["all"]["n"] == 3
  assert facts["lists"]["known"]["train"] == {"listed": 3, "at_hand": 1}
  assert facts["warnings"][0]["title"] == "1 of 4 tracks cannot be read"
  assert "a.1: no header" in explore_page.render(facts)


def test_a_corpus_without_a_readable_track_is_refused():
  made = corpus("picture", [("a.0", "a", "is bad"), ("b.0", "b", "is worse")])
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
  page = Page(explore_page.render(few(facts)))
  # Words of headings stand in no other; those of drawings are in them.
  for group, (heading, _) in explore_page.KINDS[kind][1].items():
    assert heading in page.text
    assert any(m["group"] == group for m in facts["measures"].values())
  assert {m["group"] for m in facts["measures"].values()} == set(
    explore_page.KINDS[kind][1]
  )
  assert ("audio" in page.tags) == (kind == "audio")
  assert ("img" in page.tags) == (kind == "picture")
  assert ("image" in page.tags) == (kind in ("audio", "logmel"))
  assert bool(page.links) == (kind != "table")
  assert "blues" in page.text
  assert opened.fingerprint[:12] in page.text


@pytest.mark.usefixtures("text_only")
def test_the_synthetic_corpus_says_that_it_is():
  opened = tfds_gtzan.open_corpus(None, 1)
  opened = types.SimpleNamespace(
    **{
      **{
        k: getattr(opened, k)
        for k in ("name", "kind", "fingerprint", "tables", "labels")
      },
      "genres": opened.genres[:1],
      "tracks": opened.tracks[:1],
    }
  )
  facts = explore.survey(opened)
  assert [row["track"] for row in facts["examples"]] == [
    track.id for track in opened.tracks
  ]
  text = explore_page.render(few(facts))
  assert "This is the synthetic corpus, not GTZAN." in text


def test_names_are_escaped_wherever_they_stand():
  evil = '"><script>alert(1)</script>&$x^2$'
  made = corpus(
    "logmel",
    [
      (
        f"{evil}{i}",
        f"<script>${i % 2}$流",
        LogMel(
          db=np.random.default_rng(min(i, 2)).normal(size=(9, 128)) * 20,
          n_frames=900,
        ),
        {"artist": evil},
      )
      for i in range(4)
    ]
    + [("bad", "<script>$0$流", f"{evil}: {evil}")],
    name=evil,
  )
  made.fingerprint = evil
  facts = explore.survey(
    made,
    duplicates=[(f"{evil}0", f"{evil}1")],
    lists={evil: {evil: [f"{evil}0"]}},
  )
  facts["faults"] = [{"track": evil, "fault": evil}]
  assert facts["duplicates"]["groups"]
  text = explore_page.render(few(facts))
  page = Page(text)
  assert "<script" not in text
  assert page.text.count("<script>alert(1)</script>&$x^2$") > 20
  # In the drawings as well: $ begins no formula, and a missing glyph is no
  # warning (which would be an error here).
  assert re.search(r"<text[^>]*>&lt;script&gt;\$0\$流<", text)


def test_of_many_genres_some_are_drawn_and_all_are_listed():
  made = corpus(
    "picture",
    [(f"genre{i:02d}.0", f"genre{i:02d}", picture(i)) for i in range(23)],
  )
  facts = explore.survey(made)
  assert len(facts["examples"]) == 20
  page = Page(explore_page.render(few(facts)))
  assert page.text.count("genre19") > page.text.count("genre20")
  assert page.text.count("genre22") >= 3
  assert "the first 20 of 23 genres" in page.text


@pytest.mark.usefixtures("text_only")
def test_long_tables_are_cut():
  facts = explore.survey(
    corpus("picture", [("a.0", "a", picture(1)), ("b.0", "b", picture(2))])
  )
  facts["skipped"] = [
    {"track": f"lost{i:04d}", "genre": "a", "reason": "no"} for i in range(250)
  ]
  page = Page(explore_page.render(few(facts)))
  assert "lost0199" in page.text
  assert "lost0200" not in page.text
  assert "The first 200 of 250" in page.text


# Writing.


@pytest.mark.slow
def test_two_files_the_same_for_the_same_corpus(made, tmp_path):
  written = []
  for name in ("one", "two"):
    facts = explore.survey(tfds_gtzan.open_corpus(str(made["audio"])))
    place = explore.write(few(facts), tmp_path / name)
    assert place == tmp_path / name / "explore.html"
    written.append(
      {file.name: file.read_bytes() for file in (tmp_path / name).iterdir()}
    )
  assert written[0] == written[1]
  assert sorted(written[0]) == ["explore.html", "explore.json"]
  kept = json.loads(written[0]["explore.json"])
  assert "media" not in kept["examples"][0]
  for example in facts["examples"]:
    assert example["media"]["sound"].encode() in written[0]["explore.html"]
    del example["media"]
  assert kept == few(json.loads(json.dumps(facts)))


def test_all_or_nothing(tmp_path, monkeypatch):
  facts = explore.survey(
    corpus("picture", [("a.0", "a", picture(1)), ("b.0", "b", picture(2))])
  )
  explore.write(few(facts), tmp_path)
  before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
  broken = {**few(facts), "fingerprint": float("nan")}
  with pytest.raises(ValueError, match="not JSON compliant"):
    explore.write(broken, tmp_path)

  def full(*_):
    raise OSError(28, "No space left on device")

  monkeypatch.setattr(explore.os, "replace", full)
  with pytest.raises(InputError, match=f"{tmp_path} .*No space left"):
    explore.write({**few(facts), "corpus": "other"}, tmp_path)
  assert {f.name: f.read_bytes() for f in tmp_path.iterdir()} == before


def test_a_place_that_cannot_be_written_is_known_beforehand(
  tmp_path, monkeypatch
):
  file = tmp_path / "file"
  file.write_text("")
  with pytest.raises(InputError, match=r"--out=.*file cannot be written"):
    explore.folder(file)
  assert explore.folder(tmp_path / "a" / "b").is_dir()

  def refused(**_):
    raise PermissionError(13, "Permission denied")

  monkeypatch.setattr(explore.tempfile, "TemporaryFile", refused)
  with pytest.raises(InputError, match=r"written: Permission denied"):
    explore.folder(tmp_path)
