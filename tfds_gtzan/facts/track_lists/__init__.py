"""The published lists of GTZAN and the facts about its tracks.

Each file is the list as published, below a header with its source and its
sha256. Ids are file names without the extension: "blues.00012".
"""

import functools
import hashlib
import pathlib
from collections.abc import Mapping

FILTERED = {
  "train": "train_filtered",
  "validation": "valid_filtered",
  "test": "test_filtered",
}
STRATIFIED = {
  "train": "train_stratified",
  "validation": "valid_stratified",
  "test": "test_stratified",
}
FILES = (
  *FILTERED.values(),
  *STRATIFIED.values(),
  "sturm_index",
  "exact_duplicates",
)


def read(name: str) -> tuple[str, bytes]:
  """One of `FILES`: our header and, unchanged, what stands below it."""
  data = (pathlib.Path(__file__).parent / f"{name}.txt").read_bytes()
  end = data.index(b"\n", data.index(b"# ----")) + 1
  return data[:end].decode(), data[end:]


@functools.cache
def splits(kind: str) -> Mapping[str, frozenset[str]]:
  """{"train", "validation", "test"}: ids; kind "filtered" or "stratified".

  filtered: 443 / 197 / 290 tracks, without the 70 that repeat, are distorted
  or are mislabelled. stratified: 500 / 250 / 250, faults and all.
  """
  files = {"filtered": FILTERED, "stratified": STRATIFIED}[kind]
  return {
    split: frozenset(
      line.split("/")[1].removesuffix(".wav")
      for line in read(name)[1].decode().split()
    )
    for split, name in files.items()
  }


@functools.cache
def index() -> Mapping[str, tuple[str, str]]:
  """Artist and title of each of GTZAN's 1,000 tracks; "" if unknown."""
  lines = read("sturm_index")[1].decode().splitlines()
  fields = [line.split(":::") for line in lines if ":::" in line]
  return {
    name.strip().removesuffix(".wav"): (artist.strip(), title.strip())
    for name, artist, title in fields
  }


@functools.cache
def artists() -> Mapping[str, str]:
  """Artist of each of GTZAN's 1,000 tracks; "" for the 17 unidentified."""
  return {track: artist for track, (artist, _) in index().items()}


@functools.cache
def duplicates() -> tuple[tuple[str, str], ...]:
  """Pairs of tracks whose audio is exactly the same."""
  lines = read("exact_duplicates")[1].decode().splitlines()
  return tuple((line.split()[0], line.split()[1]) for line in lines)


def partition(track_id: str) -> str:
  """ "train", "validation" or "test" of the filtered lists, or "unlisted"."""
  for split, ids in splits("filtered").items():
    if track_id in ids:
      return split
  return "unlisted"


@functools.cache
def digest() -> str:
  """sha256 over all the files: it changes with any fact in them."""
  whole = hashlib.sha256()
  for name in FILES:
    whole.update(read(name)[1])
  return whole.hexdigest()
