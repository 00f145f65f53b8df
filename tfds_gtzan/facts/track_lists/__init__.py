"""The published lists of GTZAN and the facts about its tracks.

Each file is the list as published, below a header with its source and its
sha256. Ids are file names without the extension: "blues.00012".
"""

import functools
import hashlib
import pathlib
from collections.abc import Mapping

_KINDS = ("filtered", "stratified")
_SPLITS = {"train": "train", "validation": "valid", "test": "test"}
FILES = (
  *(f"{split}_{kind}" for kind in _KINDS for split in _SPLITS.values()),
  *("sturm_index", "exact_duplicates"),
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
  return {
    split: frozenset(
      line.split("/")[1].removesuffix(".wav")
      for line in read(f"{name}_{kind}")[1].decode().split()
    )
    for split, name in _SPLITS.items()
  }


@functools.cache
def index() -> Mapping[str, tuple[str, str]]:
  """Artist and title of each of GTZAN's 1,000 tracks; "" if unknown."""
  lines = read("sturm_index")[1].decode().splitlines()
  fields = [line.split(":::") for line in lines if ":::" in line]
  return {
    file.strip().removesuffix(".wav"): (artist.strip(), title.strip())
    for file, artist, title in fields
  }


@functools.cache
def artists() -> Mapping[str, str]:
  """Artist of each of GTZAN's 1,000 tracks; "" for the 17 unidentified."""
  return {track: artist for track, (artist, _) in index().items()}


@functools.cache
def duplicates() -> tuple[tuple[str, str], ...]:
  """Pairs of tracks whose audio is exactly the same."""
  lines = read("exact_duplicates")[1].decode().splitlines()
  return tuple((one, other) for one, other, *_ in map(str.split, lines))


def partition(track_id: str) -> str:
  """ "train", "validation" or "test" of the filtered lists, or "unlisted"."""
  lists = splits("filtered")
  return next((x for x in lists if track_id in lists[x]), "unlisted")


@functools.cache
def digest() -> str:
  """sha256 over all the files: it changes with any fact in them."""
  return hashlib.sha256(b"".join(read(x)[1] for x in FILES)).hexdigest()
