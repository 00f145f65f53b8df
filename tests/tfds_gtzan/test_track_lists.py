"""The published lists: constants as published."""

import hashlib

import pytest

from gtzan_jax.scores.artist_names import artist_key, credited
from tfds_gtzan import GENRES
from tfds_gtzan.facts import track_lists


@pytest.mark.parametrize("name", track_lists.FILES)
def test_lists_are_as_published(name):
  header, body = track_lists.read(name)
  assert "# Source: " in header
  assert all(line.startswith("#") for line in header.splitlines())
  sha256 = hashlib.sha256(body).hexdigest()
  assert f"# sha256: {sha256}\n" in header
  published = {
    "train_filtered": "2b04966cef1486f1a7767b74271533fa"
    "23e220388db804a1937835e1fc4fa3fa",
    "valid_filtered": "f8fbee7c52397a0e0f3a91dc54fedecb"
    "2e27f5bdc9a9daeab8cb10d077e26956",
    "test_filtered": "09cafa6a89ce0a27f30ed250d56ecb4d"
    "03c22fffb5a693f96c7ae655ee02ac72",
  }
  assert published.get(name, sha256) == sha256


def test_list_counts():
  def counts(kind):
    return [len(ids) for ids in track_lists.splits(kind).values()]

  assert counts("filtered") == [443, 197, 290]
  assert counts("stratified") == [500, 250, 250]
  artists = track_lists.artists()
  assert len(artists) == 1000
  assert sum(not artist for artist in artists.values()) == 17
  assert artists["reggae.00051"] == "Amand Van Helden & DJ Sneak"
  everything = set(artists)
  for kind in ("filtered", "stratified"):
    parts = track_lists.splits(kind)
    union = set().union(*parts.values())
    assert len(union) == sum(map(len, parts.values()))  # disjoint
    assert union <= everything
  assert track_lists.partition("blues.00012") == "test"
  assert sum(track_lists.partition(i) == "unlisted" for i in everything) == 70


def test_filtered_counts_by_genre():
  wanted = {
    "train": (46, 48, 45, 42, 47, 43, 44, 41, 43, 44),
    "validation": (23, 20, 23, 22, 18, 17, 20, 13, 17, 24),
    "test": (31, 31, 30, 29, 27, 27, 27, 30, 26, 32),
  }
  for part, numbers in wanted.items():
    found = [i.split(".")[0] for i in track_lists.splits("filtered")[part]]
    assert tuple(found.count(genre) for genre in GENRES) == numbers


def test_of_each_duplicate_pair_the_filtered_lists_keep_one():
  pairs = track_lists.duplicates()
  assert len(pairs) == 14
  listed = set().union(*track_lists.splits("filtered").values())
  assert [len(set(pair) & listed) for pair in pairs] == [1] * 14


def test_artists_shared_by_filtered_parts():
  name = {i: credited(a) for i, a in track_lists.artists().items()}
  train, validation, test = track_lists.splits("filtered").values()

  def met(part):
    return set().union(*(name[i] for i in part))

  def tracks(part, others):
    return sum(not met(others).isdisjoint(name[i]) for i in part)

  assert met(train) & met(test) == {
    "anthrax",
    "boney m",
    "burning spear",
    "danzig",
    "earth wind and fire",
    "kc and the sunshine band",
    "bob marley",
  }
  assert tracks(validation, train) == 12
  assert tracks(test, train) == 15
  assert len(met(validation) & met(test)) == 4
  assert tracks(test, validation) == 20
  assert tracks(test, train | validation) == 28
  distinct = (9, 21, 45, 62, 30, 13, 33, 26, 22, 20)
  for genre, number in zip(GENRES, distinct, strict=True):
    assert len(met(i for i in name if i.startswith(genre))) == number


def test_artists_of_a_joint_credit():
  assert credited("Lauryn Hill;Böb Marley; ;bob marley ") == {
    "lauryn hill": "Lauryn Hill",
    "bob marley": "bob marley",
  }
  assert credited(" ; ") == credited("") == {}


def test_artist_keys():
  same = ("The Böney M.", "boney  m", "BONEY M")
  assert {artist_key(name) for name in same} == {"boney m"}
  assert artist_key("Earth, Wind & Fire") == "earth wind and fire"
  assert artist_key("") == ""
