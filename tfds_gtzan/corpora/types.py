"""What a corpus is made of: tracks, and what a track holds."""

import hashlib
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from gtzan_jax.audio import mono_waveform
from tfds_gtzan.facts import track_lists

GENRES = (
  "blues",
  "classical",
  "country",
  "disco",
  "hiphop",
  "jazz",
  "metal",
  "pop",
  "reggae",
  "rock",
)
# Line ends, tabs, bytes that are no UTF-8: not for lists, reports and messages.
_UNFIT = {"Cc", "Cs", "Zl", "Zp"}
# What a path may be, for messages.
FORMS = (
  "a folder or an archive (.tar.gz, .tgz, .tar, .zip) of audio, one of Kaggle's"
  " pictures (images_original), a log-mel .npz or a features .csv"
)

_HOP = 512  # of the frames of a log-mel archive

# Of each kind of content, `facts` are what a Row has of it. Of these, "content"
# is the sha256 (hex) of the decoded content: the same for copies, whatever
# their files are called and however packed.


def _sha256(array: np.ndarray) -> str:
  whole = hashlib.sha256(f"{array.dtype} {array.shape}".encode())
  whole.update(np.ascontiguousarray(array))
  return whole.hexdigest()


@dataclass(frozen=True)
class Audio:
  """A waveform: float32 `[n]` at 22,050 Hz, mono.

  `whole` has facts of all of it, where `samples` are only its start.
  """

  samples: np.ndarray
  whole: Mapping[str, Any] | None = None

  @property
  def facts(self) -> dict[str, Any]:
    return dict(self.whole or self.start([self.samples], 0).whole or {})

  @classmethod
  def start(cls, blocks: Iterable[np.ndarray], most: int) -> "Audio":
    """The first `most` samples, with facts of all; the rest is not kept."""
    kept, count = [np.zeros(0, np.float32)], 0
    level, digest = mono_waveform.Level(), hashlib.sha256()
    for block in blocks:
      kept.append(block[: max(0, most - count)].copy())
      count += len(block)
      level.add(block)
      with np.errstate(invalid="ignore"):  # NaN has no 16 bits
        digest.update(mono_waveform.to_int16(block))
    digest.update(f"int16 ({count},)".encode())
    facts = {
      "content": digest.hexdigest(),
      "seconds": level.seconds,
      "level": level.decibels,
      "bandwidth": level.bandwidth,
    }
    return cls(np.concatenate(kept), facts)


@dataclass(frozen=True)
class LogMel:
  """float32 `[columns, 128]`, absolute dB (reference 1.0).

  The columns were picked from `n_frames` frames, hop 512.
  """

  db: np.ndarray
  n_frames: int

  @property
  def facts(self) -> dict[str, Any]:
    return {
      "content": _sha256(self.db),
      "seconds": self.n_frames * _HOP / mono_waveform.SAMPLE_RATE,
    }


@dataclass(frozen=True)
class Picture:
  """A spectrogram picture: uint8 `[height, width, 3]`, RGB."""

  rgb: np.ndarray

  @property
  def facts(self) -> dict[str, Any]:
    return {"content": _sha256(self.rgb)}


@dataclass(frozen=True)
class Table:
  """Rows of Kaggle's table: float32 `[s, 57]`; `starts` in seconds, `[s]`."""

  rows: np.ndarray
  starts: np.ndarray

  @property
  def facts(self) -> dict[str, Any]:
    return {"content": _sha256(self.rows)}


Content = Audio | LogMel | Picture | Table


@dataclass(frozen=True)
class Track:
  """One track of a corpus.

  Attributes:
    id: unique in its corpus: "<genre>.<number>"; in collections whose files are
      not named as GTZAN's are, "<genre>/<name below it, without extension>".
    artist: "" if unknown.
    partition: "train", "validation", "test" or "unlisted": the TFDS split.
    read: decodes it, on any thread; raises InputError.
    blocks: its waveform, float32 `[n]` after `[n]`, in memory that does not
      depend on its length; None where it cannot be had so.
    rate: sample rate of its file in Hz, by the header, None where that cannot
      be read; None itself of tracks that are no files of sound.
  """

  id: str
  genre: str
  artist: str
  partition: str
  read: Callable[[], Content] = field(compare=False)
  blocks: Callable[[], Iterator[np.ndarray]] | None = field(
    default=None, compare=False
  )
  rate: Callable[[], int | None] | None = field(default=None, compare=False)
  content: ClassVar[str] = ""  # known once it is read, see Row


@dataclass(frozen=True)
class Corpus:
  """Tracks in a fixed order: by genre as in `genres`, then by id.

  Attributes:
    name: "audio", "archive", "images", "table" or "synthetic".
    kind: what its tracks hold, "audio", "logmel", "picture" or "table".
    genres: the labels, in label order.
    tracks: at least one of each genre.
    fingerprint: sha256 (hex) of its content, wherever that lies.
    columns_per_frame: of an archive, see gtzan_jax.features.logmel_archive.
    passed_over: {kind of file: how many} of what lies there and is no track.
    hint: for the user: how its names resemble GTZAN's, one line, or "".
    tables: names of the tables that lie in it beside the tracks.
    labels: of a table that gave genres: its `file`, `unlisted` (ids of tracks
      that it does not have, which are left out) and `unused` (its names that
      are no track's); empty without one.
  """

  name: str
  kind: str
  genres: tuple[str, ...]
  tracks: tuple[Track, ...]
  fingerprint: str
  columns_per_frame: float | None = None
  passed_over: Mapping[str, int] = field(default_factory=dict, compare=False)
  hint: str = field(default="", compare=False)
  tables: tuple[str, ...] = field(default=(), compare=False)
  labels: Mapping[str, object] = field(default_factory=dict, compare=False)


@dataclass(frozen=True)
class Row:
  """One readable track: what the track table of prepared data holds.

  Attributes:
    partition: "train", "validation", "test" or "unlisted".
    segments: >= 1.
    content: digest of what the track holds, the same for copies; "" if unknown.
    seconds: its length; None if unknown, or of what has none.
    level: RMS of its waveform in dB of full scale; None as well.
    bandwidth: Hz up to which its waveform has sound; None as well.
  """

  id: str
  genre: str
  artist: str
  partition: str
  segments: int
  content: str = ""
  seconds: float | None = None
  level: float | None = None
  bandwidth: float | None = None


def listed(
  id: str, genre: str, read: Callable[[], Content], **more: Any
) -> Track:
  """A track with what is published of GTZAN's track of that id."""
  artist = track_lists.artists().get(id, "")
  return Track(id, genre, artist, track_lists.partition(id), read, **more)


def in_order(tracks: Iterable[Track]) -> tuple[Track, ...]:
  """As in a Corpus: by genre, then by id."""
  tracks = list(tracks)
  genres = in_genre_order(track.genre for track in tracks)
  return tuple(sorted(tracks, key=lambda t: (genres.index(t.genre), t.id)))


def in_genre_order(genres: Iterable[str]) -> tuple[str, ...]:
  """GTZAN's genres in GTZAN's order, then any others alphabetically."""
  genres = {*genres}
  return (*(g for g in GENRES if g in genres), *sorted(genres - {*GENRES}))


def printable(name: str) -> bool:
  """Can a name be printed in lists, reports and messages, a line each?"""
  return not any(unicodedata.category(letter) in _UNFIT for letter in name)
