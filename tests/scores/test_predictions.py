"""Predictions: checks, votes, files."""

import hashlib
import pickle
import zipfile

import numpy as np
import pytest

from gtzan_jax.errors import InputError
from gtzan_jax.scores.predictions import Predictions, digest, load

GENRES = ("blues", "jazz", "rock")


def table(rows, genres=GENRES) -> Predictions:
  """Predictions of (track, segment, label, probabilities) rows."""
  return Predictions(*map(list, zip(*rows, strict=True)), genres)


def of_one_track(rows) -> Predictions:
  return table([("a", i, 0, row) for i, row in enumerate(rows)])


def empty() -> Predictions:
  return Predictions([], [], [], np.zeros((0, 3)), GENRES)


def test_types_are_the_documented_ones():
  p = table([("a", 0, 1, [0.2, 0.5, 0.3])])
  assert p.track.dtype.kind == "U"
  assert p.segment.dtype == p.label.dtype == np.int32
  assert p.probabilities.dtype == np.float64
  assert p.artist.tolist() == [""]
  assert len(p) == 1
  assert p.predicted.tolist() == [1]


@pytest.mark.parametrize(
  ("change", "message"),
  [
    ({"track": np.array([b"a", b"a"])}, "track: .* str is accepted"),
    ({"track": np.array([["a", "a"]])}, "track: shape"),
    ({"segment": np.array([0.0, 1.0])}, "segment: float64 .* int32"),
    ({"segment": np.array([0, 0])}, "segment: 0 of track a occurs 2 times"),
    ({"label": np.array([3, 3])}, "label: 3 at track a .* 0 to 2"),
    ({"label": np.array([-1, -1])}, "label: -1"),
    ({"label": np.array([2**40] * 2)}, "label: 1099511627776 received, int32"),
    ({"segment": np.array([0, 2**32])}, "segment: 4294967296 received"),
    ({"genres": np.array("abc")}, r"genres: shape \(\) received"),
    ({"genres": np.array([["a", "b", "c"]])}, r"genres: shape \(1, 3\)"),
    ({"label": np.array([0])}, r"label: shape \(1,\)"),
    ({"label": np.array([0, 1])}, "label: two genres for track a"),
    ({"probabilities": np.full((2, 2), 0.5)}, r"probabilities: shape \(2, 2\)"),
    ({"probabilities": np.full((2, 3), 0.5)}, "sums to 1.5"),
    ({"probabilities": np.array([[1.5, -0.5, 0]] * 2)}, "a negative part"),
    ({"genres": ("blues", "blues", "rock")}, "genres: .* each once"),
    ({"probabilities": np.full((2, 3), np.inf)}, "sums to inf"),
    (
      {"probabilities": np.array([["a", "b", "c"]] * 2)},
      "probabilities: <U1 received, float32 is accepted",
    ),
    ({"probabilities": np.array([[1j, 0, 0]] * 2)}, "complex128 received"),
    ({"genres": ("blues",)}, "genres: .* two or more"),
    ({"artist": np.array(["x"])}, r"artist: shape \(1,\)"),
    ({"artist": np.array([1, 1])}, "artist: int64 received, str"),
    ({"artist": np.array(["x", ""])}, "artist: two artists for track a"),
  ],
)
def test_contradictions_are_refused(change, message):
  good = {
    "track": np.array(["a", "a"]),
    "segment": np.array([0, 1]),
    "label": np.array([0, 0]),
    "probabilities": np.full((2, 3), 1 / 3),
    "genres": GENRES,
  }
  Predictions(**good)
  with pytest.raises(InputError, match=message) as caught:
    Predictions(**{**good, **change})
  assert "\n" not in str(caught.value)


def test_mean_vote_by_hand_in_order_of_first_appearance():
  rows = [
    ("z", 1, 2, [0.1, 0.2, 0.7]),
    ("a", 0, 0, [0.6, 0.4, 0.0]),
    ("z", 0, 2, [0.3, 0.6, 0.1]),
  ]
  tracks = table(rows).by_track("mean")
  assert tracks.track.tolist() == ["z", "a"]
  assert tracks.segment.tolist() == [-1, -1]
  assert tracks.label.tolist() == [2, 0]
  np.testing.assert_allclose(
    tracks.probabilities, [[0.2, 0.4, 0.4], [0.6, 0.4, 0.0]], atol=1e-12
  )


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_a_file_holds_the_table_to_the_last_bit(tmp_path, dtype):
  """In no more bytes than it has: older tables are of half precision."""
  rows = np.random.default_rng(0).dirichlet(np.full(3, 0.3), 500).astype(dtype)
  rows[7] = np.nan
  p = table([(f"t{i % 70}", i, i % 70 % 3, row) for i, row in enumerate(rows)])
  p = p.with_artists({f"t{i}": f"artist {i % 9}" for i in range(69)})
  np.testing.assert_array_equal(p.probabilities, rows)
  path = tmp_path / "deep" / "test.npz"
  p.save(path)
  with np.load(path, allow_pickle=False) as plain:  # by any numpy
    assert plain["probabilities"].dtype == dtype
    assert plain["genres"].tolist() == list(GENRES)
  again = load(path)
  assert again.genres == GENRES
  for name in ("track", "segment", "label", "probabilities", "artist"):
    np.testing.assert_array_equal(getattr(p, name), getattr(again, name))
  once = again.by_track("mean")
  twice = once.by_track("mean")
  np.testing.assert_array_equal(once.probabilities, twice.probabilities)
  first = path.read_bytes()
  p.save(path)
  assert path.read_bytes() == first
  assert list(path.parent.iterdir()) == [path]


_STEP = 2.0**-12  # of half precision, from 0.25 to 0.5


@pytest.mark.parametrize(
  ("rows", "winner"),
  [
    ([[0.45, 0.45005, 0.09995]], 1),  # a tie in half precision
    # The rows are of half precision, their mean is not.
    ([[0.5, 0.5, 0]] * 9 + [[0.5 - _STEP, 0.5 + 2 * _STEP, 0]], 1),
    # Half precision rounds the first genre up once, the second down twice.
    (
      [
        [0.375 + 0.6 * _STEP, 0.375 + 0.4 * _STEP, 0.25 - _STEP],
        [0.375, 0.375 + 0.4 * _STEP, 0.25 - 0.4 * _STEP],
      ],
      1,
    ),
    # Two segments as sure as can be: the means differ by less than float32's.
    ([[1, 1e-9, 0], [0, 1, 0]], 1),
    ([[0.5, 0.25, 0.25], [0.25, 0.5, 0.25]], 0),  # equal: the first
  ],
)
def test_a_tie_is_decided_before_anything_is_rounded(tmp_path, rows, winner):
  rows = np.asarray(rows, np.float32)  # as a network gives them
  of_one_track(rows).save(tmp_path / "p")
  tracks = load(tmp_path / "p").by_track("mean")
  assert tracks.predicted.tolist() == [winner]
  tracks.save(tmp_path / "tracks")
  assert load(tmp_path / "tracks").predicted.tolist() == [winner]


def test_artists_stay_with_their_tracks_and_make_the_clusters():
  rows = [
    (track, s, 0, [1, 0, 0])
    for track, s in (("z", 0), ("b", 0), ("z", 1), ("a", 0), ("x", 0))
  ]
  p = table(rows)
  assert len(set(p.clusters.tolist())) == 4  # tracks
  known = p.with_artists({"z": "x", "b": "x", "a": ""})
  assert known.artist.tolist() == ["x", "x", "x", "", ""]
  assert known.by_track().artist.tolist() == ["x", "x", "", ""]
  # The artist x is not the track x, whose artist is unknown.
  z, b, again, a, x = known.clusters.tolist()
  assert z == b == again
  assert len({z, a, x}) == 3
  assert p.artist.tolist() == [""] * 5


def test_the_digest_is_of_sorted_tracks_a_line_each():
  wanted = hashlib.sha256(b"blues.00000\nrock.00001\n").hexdigest()
  assert digest(["rock.00001", "blues.00000", "rock.00001"]) == wanted


def test_majority_differs_from_the_mean_where_one_segment_is_certain():
  p = of_one_track([[0.4, 0.35, 0.25], [0.4, 0.35, 0.25], [0.0, 1.0, 0.0]])
  assert p.by_track("mean").predicted.tolist() == [1]
  majority = p.by_track("majority")
  assert majority.predicted.tolist() == [0]
  np.testing.assert_array_equal(majority.probabilities, [[2 / 3, 1 / 3, 0]])
  with pytest.raises(InputError, match=r"'loudest'.*'mean' or 'majority'"):
    p.by_track("loudest")


@pytest.mark.parametrize(
  ("rows", "winner"),
  [
    # One vote each for 0 and 1; the mean prefers 1.
    ([[0.5, 0.4, 0.1], [0.1, 0.9, 0.0]], 1),
    # The mean prefers 2, which has no vote and cannot win, then 1.
    ([[0.45, 0.15, 0.4], [0.05, 0.5, 0.45]], 1),
    # Two votes each for 1 and 2, the mean prefers 2 by a hair.
    ([[0, 0.6, 0.4]] * 2 + [[0, 0.4, 0.6], [0, 0.398, 0.602]], 2),
    # As many ties as ten votes allow: the rounding must not undo them.
    ([[0.52, 0.48, 0]] * 5 + [[0.45, 0.55, 0]] * 5, 1),
    ([[0.9, 0.1, 0]] * 3 + [[0, 0.9, 0.1]] * 3 + [[0, 0, 1]] * 3, 2),
  ],
)
def test_tied_votes_are_broken_by_the_mean(rows, winner):
  tracks = of_one_track(rows).by_track("majority")
  assert tracks.predicted.tolist() == [winner]
  votes = np.bincount(np.argmax(rows, axis=1), minlength=3) / len(rows)
  np.testing.assert_allclose(tracks.probabilities[0], votes, atol=1e-3)
  assert tracks.probabilities.sum() == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("vote", ["mean", "majority"])
def test_no_rows_and_a_diverged_row_predict_nothing(vote, tmp_path):
  assert len(empty().by_track(vote)) == 0
  empty().save(tmp_path / "none.npz")
  assert load(tmp_path / "none.npz").probabilities.shape == (0, 3)
  p = table([("a", 0, 0, [np.nan] * 3), ("b", 0, 1, [0, 1, 0])])
  assert p.predicted.tolist() == [-1, 1]
  assert p.by_track(vote).predicted.tolist() == [-1, 1]


def test_a_failed_save_leaves_the_old_file_and_no_litter(tmp_path, monkeypatch):
  path = tmp_path / "test.npz"
  empty().save(path)
  before = path.read_bytes()

  def full(file, **_):
    file.write(b"half")
    raise OSError("no space left on device")

  monkeypatch.setattr(np, "savez_compressed", full)
  with pytest.raises(OSError, match="no space"):
    empty().save(path)
  assert path.read_bytes() == before
  assert list(tmp_path.iterdir()) == [path]


def test_every_bad_file_is_one_clear_line(tmp_path):
  good = {"track": ["a"], "segment": [0], "label": [0], "artist": [""]}
  good |= {"probabilities": [[1.0, 0, 0]], "genres": GENRES}
  for name, columns in {
    "other.npz": {"x": np.zeros(3)},
    "old.npz": {k: v for k, v in good.items() if k != "artist"},
    "objects.npz": {**good, "track": np.array(["a"], dtype=object)},
    "sums.npz": {**good, "probabilities": [[1.0, 1.0, 1.0]]},
  }.items():
    np.savez(tmp_path / name, **columns)
  with open(tmp_path / "single.npz", "wb") as file:
    np.save(file, np.zeros(3))
  empty().save(tmp_path / "whole")
  whole = (tmp_path / "whole").read_bytes()
  for name, content in {
    "zero.npz": b"",
    "text.npz": b"these are no predictions",
    "cut.npz": whole[: len(whole) // 2],
    "pickled.npz": pickle.dumps({"track": 1}),
  }.items():
    (tmp_path / name).write_bytes(content)
  with (
    zipfile.ZipFile(tmp_path / "whole") as old,
    zipfile.ZipFile(tmp_path / "garbled.npz", "w") as new,
  ):
    for name in old.namelist():
      new.writestr(name, b"nonsense" if name == "label.npy" else old.read(name))
  bad = [tmp_path / "absent.npz", tmp_path, *tmp_path.glob("*.npz")]
  assert len(bad) == 12
  for path in bad:
    with pytest.raises(InputError) as caught:
      load(path)
    assert str(caught.value).startswith(str(path)), path
    assert "accepted" in str(caught.value), path
    assert "\n" not in str(caught.value), path


@pytest.mark.slow
def test_a_flipped_byte_is_one_line_or_does_no_harm(tmp_path):
  path = tmp_path / "flipped.npz"
  empty().save(path)
  whole, messages = path.read_bytes(), []
  for place in range(len(whole)):
    for mask in (0x01, 0xFF):
      flipped = bytearray(whole)
      flipped[place] ^= mask
      path.write_bytes(flipped)
      try:
        load(path)
      except InputError as error:  # anything else is a traceback
        messages.append(str(error))
  assert len(messages) > len(whole)
  assert not any("\n" in line for line in messages)
