"""Checks of a corpus before training.

One table, CHECKS. An opened corpus gives names, folders and artists, a prepared
one the rest; a check finds nothing where the facts lack its data. What makes
every number worthless is refused unless config.data.allow names it.
"""

import bisect
import collections
import re
import unicodedata
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import NamedTuple

from gtzan_jax.errors import InputError
from gtzan_jax.features.spec import FeatureSpec

SEGMENT_SECONDS = FeatureSpec.segment_samples / FeatureSpec.sample_rate
IMBALANCE = 1.5  # size of the largest genre over the smallest
LENGTHS = 1.1  # length of the longest track over the shortest
ARTIST_SHARE = 0.5  # of a genre's tracks whose artist is known
SAME_FOLDERS = 0.8  # of all subfolders: those that every genre has
APART = 0.8  # of a genre's tracks on one side of a value
BANDWIDTHS = 800.0  # Hz between bandwidths of two genres
_HEADERS = 30  # files of a genre of which the header is read
_NAMED = 4  # examples in a sentence
_LISTED = 3  # on a line of the console

_SPLIT = re.compile(
  "(train(ing)?|trn|val(id|idation)?|dev(elopment)?|test(ing)?|tst"
  "|eval(uation)?|holdout|heldout|unseen)(sets?)?"
)
# What people add to the name of a split.
_ADDED = re.compile(
  "sets?|data|dataset|audio|music|songs?|tracks?|clips?|files?|genres?|splits?"
  "|folds?|parts?|subset"
)
# "000", "12", "fold 1", "part_02": how people number folders, no genre's name.
_NUMBER = re.compile(
  r"(?:(?:fold|cv|split|part|chunk|batch|shard|folder|dir|disc|disk|cd|vol"
  r"|volume)[\W_]*)?\d+"
)


class Finding(NamedTuple):
  """What a check found: `title` in a few words, `why` with the remedy.

  `examples` are the names concerned, None where none are listed. `refused`: it
  makes every number of a run worthless. `check` is its key in CHECKS.
  """

  title: str
  examples: Sequence[str] | None
  why: str = ""
  refused: bool = False
  check: str = ""

  def line(self) -> str:
    """For the console."""
    examples = _some(self.examples or (), _LISTED)
    return ": ".join(filter(None, (self.title, examples)))

  def plain(self) -> dict[str, str]:
    """For JSON and pages."""
    examples = f"{_some(self.examples)}." if self.examples else ""
    text = " ".join(filter(None, (examples, self.why)))
    return {"check": self.check, "title": self.title, "text": text}


def facts_of(corpus) -> dict:
  """Facts for `find`, of an opened corpus (a tfds_gtzan.Corpus)."""
  return _facts(corpus.genres, corpus.tracks) | {
    "tables": list(corpus.tables),
    "labels": corpus.labels,
    "rates": _rates(corpus.tracks),
  }


def _rates(tracks: Iterable) -> dict[str, int]:
  """{track: sample rate}, of some tracks of each genre, evenly spread."""
  genres = collections.defaultdict(list)
  for track in tracks:
    genres[track.genre].append(track)
  some = [
    track
    for own in genres.values()
    for track in own[:: -(-len(own) // _HEADERS)]
  ]
  return {t.id: rate for t in some if t.rate and (rate := t.rate())}


def facts_of_rows(genres: Sequence[str], rows: Sequence) -> dict:
  """Facts for `find` of a prepared corpus (tfds_gtzan.Rows): no partition."""
  same = collections.defaultdict(list)
  for row in rows:
    same[row.content].append(row.id)
  same.pop("", None)
  facts = _facts(genres, rows)
  for row in facts["tracks"]:
    row["partition"] = "unlisted"
  groups = [sorted(ids) for ids in same.values() if len(ids) > 1]
  bandwidths = {row.id: row.bandwidth for row in rows}
  return facts | {"duplicates": {"groups": groups}, "bandwidths": bandwidths}


def _facts(genres: Sequence[str], tracks: Iterable) -> dict:
  keys = ("id", "genre", "artist", "partition")
  rows = [{key: getattr(track, key) for key in keys} for track in tracks]
  return {"genres": list(genres), "tracks": rows}


def find(facts: Mapping) -> list[Finding]:
  """Findings of all checks, those that refuse first.

  `facts` has `tracks` [{"id", "genre", "artist", "partition"}] and, if known:
  `genres`; in each track its `values`; `duplicates` {"groups": [[id]]},
  `skipped`, `faults` (see `explore.survey`); `tables`, the names of tables
  beside the music; `labels` of a table that gave genres (`file`, `unlisted`
  tracks, `unused` names); `splits`, the survey of a user's splits; `rates` and
  `bandwidths` in Hz, {track: value}.
  """
  genres: dict[str, list[Mapping]] = {
    genre: [] for genre in facts.get("genres", ())
  }
  for row in facts["tracks"]:
    genres.setdefault(row["genre"], []).append(row)
  found = [
    one._replace(check=name)
    for name, check in CHECKS.items()
    for one in check(facts, genres)
    if one.examples is None or one.examples
  ]
  return sorted(found, key=lambda one: not one.refused)


def refuse(found: Iterable[Finding], allowed: Collection[str]) -> None:
  """Raises InputError for a refusing finding that `allowed` does not name."""
  refused = [x for x in found if x.refused and x.check not in allowed]
  if refused:
    names = ",".join(dict.fromkeys([*allowed, *(x.check for x in refused)]))
    text = "; ".join(f"{one.line()}. {one.why}" for one in refused)
    raise InputError(
      f"{text.rstrip('.')}; --config.data.allow={names} permits it"
    )


def allowed(names: Iterable[str]) -> tuple[str, ...]:
  """The checks of config.data.allow, which may be joined by commas."""
  given = [one for name in names for one in re.split(r"[\s,]+", str(name))]
  given = list(dict.fromkeys(filter(None, given)))
  for name in given:
    if name not in REFUSING:
      raise InputError(
        f"config.data.allow={name}: unknown check; accepted:"
        f" {', '.join(REFUSING)}"
      )
  return tuple(given)


def noted(text: str) -> Finding:
  """A protocol's note on a corpus, as a finding."""
  return Finding(text.removeprefix("warning: "), None, check="protocol")


def spelling(name: str) -> str:
  """A name without case, accents and punctuation; & and 'n' are "and"."""
  text = unicodedata.normalize("NFKD", name).casefold()
  text = re.sub("[\u0300-\u036f]", "", re.sub("[&+]", " and ", text))
  # Marks of other scripts are letters: a word of Hindi or Japanese needs them.
  kept = (x if unicodedata.category(x)[0] in "LMN" else " " for x in text)
  words = "".join(kept).split()
  return "".join("and" if word == "n" else word for word in words) or name


def _is_split(name: str) -> bool:
  words = re.findall(r"[^\W\d_]+", name.casefold())
  return any(map(_SPLIT.fullmatch, words)) and all(
    _SPLIT.fullmatch(word) or _ADDED.fullmatch(word) for word in words
  )


def _is_number(name: str) -> bool:
  return bool(_NUMBER.fullmatch(name.strip().casefold()))


# The checks. `genres` are the tracks of each, {genre: [row]}; a genre of which
# none can be read has none.
Genres = Mapping[str, Sequence[Mapping]]


def _folders_below(genres: Genres) -> tuple[list[str], set[str]]:
  """Names of the folders that every genre has, and that any has."""
  below = []
  for genre, rows in genres.items():
    # Ids of GTZAN's form, or of labels that a table gives, name no folder.
    paths = [row["id"].split("/") for row in rows]
    below.append(
      {path[1] for path in paths if path[0] == genre and len(path) > 2}
    )
  return sorted(set.intersection(*below)), set.union(*below)


def _split_names(facts: Mapping, genres: Genres) -> Iterable[Finding]:
  found = [genre for genre in genres if _is_split(genre)]
  below, _ = _folders_below(genres)
  instead = "a table of the tracks and their genres as config.data.labels"
  if below:
    names = ", ".join(below[:_NAMED])
    instead = f"the level below, whose folders are the genres ({names})"
  like = "is named like a split" if len(found) == 1 else "are named like splits"
  yield Finding(
    f"{len(found)} of {_count(genres, 'genre')} {like}",
    found,
    f"Folder names are genres, so these would become classes. Give {instead},"
    " or put all genres into one folder and the splits into"
    " config.data.splits.",
    len(found) > 1,
  )


def _numbers(facts: Mapping, genres: Genres) -> Iterable[Finding]:
  found = list(filter(_is_number, genres))
  if facts.get("labels") or len(found) < max(2, len(genres) / 2):
    return  # those of a table are meant
  names = " or ".join(facts.get("tables", ())[:_LISTED]) or "FILE.csv"
  yield Finding(
    f"{len(found)} of {_count(genres, 'genre')} are numbers",
    found,
    "Folder names are genres, so these would become classes. Give a table of"
    f" the tracks and their genres as config.data.labels={names}.",
    True,
  )


def _same_folders(facts: Mapping, genres: Genres) -> Iterable[Finding]:
  names, whole = _folders_below(genres)
  if len(genres) < 2 or len(names) < max(2, SAME_FOLDERS * len(whole)):
    return
  if any(map(_is_split, genres)):
    return  # found by split_names
  title = f"every genre has the same {_count(names, 'folder')}"
  if all(map(_is_split, names)):
    yield Finding(
      title,
      names,
      "The protocol splits all tracks again; give your own split as"
      " config.data.splits.",
    )
  else:
    yield Finding(
      title,
      names,
      f"{', '.join(list(genres)[:_LISTED])} would become classes. If these"
      " folders are the genres, give the level above them, of one at a time.",
      not all(map(_is_number, names)),
    )


def _spellings(facts: Mapping, genres: Genres) -> Iterable[Finding]:
  same = collections.defaultdict(list)
  for genre in genres:
    same[spelling(genre)].append(genre)
  twins = [" = ".join(names) for names in same.values() if len(names) > 1]
  yield Finding(
    f"{_count(twins, 'genre')} in two spellings or more",
    twins,
    "They would become different classes: give them one name.",
    True,
  )


def _labels(facts: Mapping, genres: Genres) -> Iterable[Finding]:
  given = facts.get("labels") or {"file": "", "unlisted": (), "unused": ()}
  lost, unused = given["unlisted"], given["unused"]
  yield Finding(
    f"{_tracks(len(lost))} without a genre in {given['file']} left out, and"
    f" {_count(unused, 'name')} in it that match no track or several",
    [*lost[:_LISTED], *unused],
    "Names are compared without case, folders above and extension.",
  )


def _crossing(
  facts: Mapping, kind: str, noun: str, title: str, why: str, **more
) -> Finding:
  """Groups of tracks in two of the user's splits."""
  found = facts.get("splits", {}).get("crossings", {}).get(kind) or {}
  where = [
    ", ".join(f"{ids[0]} in {split}" for split, ids in one["parts"].items())
    for one in found.get("groups", ())
  ]
  return Finding(title.format(_count(where, noun)), where, why, **more)


def _split_tracks(facts: Mapping, genres: Genres) -> Iterable[Finding]:
  yield _crossing(
    *(facts, "tracks", "track", "{} in two of config.data.splits"),
    "Training tracks would also be test tracks: name each track once.",
    refused=True,
  )


def _split_copies(facts: Mapping, genres: Genres) -> Iterable[Finding]:
  for noun in ("song", "artist"):
    yield _crossing(
      *(facts, f"{noun}s", "group"),
      f"{{}} of one {noun} across config.data.splits",
      "A model may know the test split by them; launch.py check-splits compares"
      " the sound as well.",
    )


def _split_lists(facts: Mapping, genres: Genres) -> Iterable[Finding]:
  if not (splits := facts.get("splits")):
    return
  yield Finding(
    f"{_count(splits['unknown'], 'name')} of config.data.splits that match no"
    " track here or several",
    splits["unknown"],
    "They are left out.",
  )
  yield Finding(
    f"{_tracks(len(splits['in_no_part']))} in none of config.data.splits",
    splits["in_no_part"],
    "They are neither trained on nor tested.",
  )
  for split, row in splits["parts"].items():
    lacking = [g for g, n in row["genres"].items() if not n and g in genres]
    yield Finding(
      f"{split} of config.data.splits lacks {_count(lacking, 'genre')}",
      lacking,
      "A genre without training tracks is never predicted; one without test"
      " tracks is not scored.",
    )


def _separated(
  genres: Genres, values: Mapping[str, float | None], gap: float = 0.0
) -> list[str]:
  """The value that separates most genres: those up to it, and those above.

  Needs APART of a genre's tracks on one side, by `gap` from the others.
  """
  known = {
    genre: own
    for genre, rows in genres.items()
    if len(own := sorted(x for r in rows if (x := values.get(r["id"])))) > 2
  }
  best = None
  for edge in sorted({value for own in known.values() for value in own}):
    below = [
      genre
      for genre, own in known.items()
      if bisect.bisect_right(own, edge) >= APART * len(own)
    ]
    above = [
      genre
      for genre, own in known.items()
      if len(own) - bisect.bisect_right(own, edge + gap) >= APART * len(own)
    ]
    size = min(len(below), len(above)), len(below) + len(above)
    if all(size) and (best is None or size > best[0]):
      best = size, edge, below, above
  if best is None:
    return []
  _, edge, below, above = best
  return [
    f"{', '.join(below)} up to {edge:,.0f} Hz",
    f"{', '.join(above)} above",
  ]


_CHAIN = "A model may learn the recording chain instead of the music. "


def _sample_rate(facts: Mapping, genres: Genres) -> Iterable[Finding]:
  yield Finding(
    "Sample rates separate genres",
    _separated(genres, facts.get("rates", {})),
    f"{_CHAIN}Use one source for all genres, or resample all to the lowest"
    " rate.",
  )


def _bandwidth(facts: Mapping, genres: Genres) -> Iterable[Finding]:
  yield Finding(
    "Bandwidths separate genres",
    _separated(genres, facts.get("bandwidths", {}), BANDWIDTHS),
    f"{_CHAIN}All energy above that is more than 70 dB below the loudest band.",
  )


def _groups(facts: Mapping, key: str = "id", nowhere: str = "") -> list[str]:
  """Groups of identical tracks that differ in a key, but for `nowhere`."""
  value = {row["id"]: row[key] for row in facts["tracks"]}
  return [
    " = ".join(ids)
    for ids in facts.get("duplicates", {}).get("groups", ())
    if len({value[name] for name in ids} - {nowhere}) > 1
  ]


def _two_genres(facts: Mapping, genres: Genres) -> Iterable[Finding]:
  across = _groups(facts, "genre")
  yield Finding(
    f"{_count(across, 'group')} of identical tracks across genres",
    across,
    "One recording has two labels.",
  )


def _two_splits(facts: Mapping, genres: Genres) -> Iterable[Finding]:
  across = _groups(facts, "partition", "unlisted")
  yield Finding(
    f"{_count(across, 'group')} of identical tracks across splits of the"
    " published partition",
    across,
    "Training tracks would also be test tracks.",
  )


def _replicas(facts: Mapping, genres: Genres) -> Iterable[Finding]:
  groups = facts.get("duplicates", {}).get("groups", ())
  spare = sum(len(ids) - 1 for ids in groups)
  yield Finding(
    f"{spare:,} of {_tracks(len(facts['tracks']))}"
    f" {'is a replica' if spare == 1 else 'are replicas'}",
    _groups(facts),
    "Random protocols treat copies as one unit; published lists are used as"
    " they are.",
  )


def _skipped(facts: Mapping, genres: Genres) -> Iterable[Finding]:
  lost = [row["track"] for row in facts.get("skipped", ())]
  yield Finding(
    f"{len(lost):,} of {len(lost) + len(facts['tracks']):,} tracks cannot be"
    " read",
    lost,
    "They are skipped; preparing stops where they are several and more than"
    " 5 %, or leave a genre empty.",
  )


def _faults(facts: Mapping, genres: Genres) -> Iterable[Finding]:
  found = facts.get("faults", ())
  yield Finding(
    f"{_count({row['track'] for row in found}, 'track')} with faults",
    [f"{row['track']}: {row['fault']}" for row in found],
  )


def _one_artist(facts: Mapping, genres: Genres) -> Iterable[Finding]:
  heavy = []
  for genre, rows in genres.items():
    artists = collections.Counter(row["artist"] for row in rows)
    del artists[""]
    known = artists.total()
    name, most = min(
      artists.items(), key=lambda pair: (-pair[1], pair[0]), default=("", 0)
    )
    if most >= max(2, ARTIST_SHARE * known):
      heavy.append(f"{genre}: {name}, {most} of {known}")
  yield Finding(
    f"One artist has half or more of {_count(heavy, 'genre')}",
    heavy,
    "A model may learn the artist instead of the genre; protocols that keep"
    " artists apart measure it.",
  )


def _unknown_artists(facts: Mapping, genres: Genres) -> Iterable[Finding]:
  total = len(facts["tracks"])
  unknown = sum(not row["artist"] for row in facts["tracks"])
  if unknown:
    share = f"{_tracks(unknown)} of {total:,}"
    yield Finding(
      f"Unknown artist: {'all tracks' if unknown == total else share}",
      None,
      "For these it is unknown whether their artists are also in the train"
      " split.",
    )


def _imbalance(facts: Mapping, genres: Genres) -> Iterable[Finding]:
  sizes = {genre: len(rows) for genre, rows in genres.items()}
  size = sizes.__getitem__
  few, many = min(sizes, key=size), max(sizes, key=size)
  if sizes[many] >= IMBALANCE * sizes[few] and sizes[few]:
    yield Finding(
      f"{many} has {sizes[many] / sizes[few]:.1f} times the tracks of {few}",
      None,
      f"{sizes[many]:,} and {sizes[few]:,}. Accuracy favours large genres;"
      " macro F1 counts each alike.",
    )


def _small(facts: Mapping, genres: Genres) -> Iterable[Finding]:
  small = [f"{g} ({len(rows)})" for g, rows in genres.items() if len(rows) < 3]
  yield Finding(
    f"{_count(small, 'genre')} of fewer than three tracks",
    small,
    "Train, validation and test need one each.",
  )


def _lengths(facts: Mapping, genres: Genres) -> Iterable[Finding]:
  seconds = [
    row["values"]["seconds"]
    for row in facts["tracks"]
    if "seconds" in row.get("values", ())
  ]
  short = sum(value < SEGMENT_SECONDS for value in seconds)
  if short:
    yield Finding(
      f"{_tracks(short)} shorter than one segment",
      None,
      f"A segment lasts {SEGMENT_SECONDS:.2f} s (most feature sets); a shorter"
      " track is one segment, padded with zeros.",
    )
  if seconds and max(seconds) > LENGTHS * min(seconds):
    yield Finding(
      f"Lengths differ: {min(seconds):.1f} to {max(seconds):.1f} s",
      None,
      "A longer track gives more segments, ten at most, and so weighs more in"
      " training and in segment accuracy; track accuracy counts each once.",
    )


CHECKS = {
  "split_names": _split_names,
  "numbers": _numbers,
  "same_folders": _same_folders,
  "spellings": _spellings,
  "labels": _labels,
  "sample_rate": _sample_rate,
  "bandwidth": _bandwidth,
  "split_tracks": _split_tracks,
  "split_copies": _split_copies,
  "split_lists": _split_lists,
  "identical_genres": _two_genres,
  "identical_splits": _two_splits,
  "replicas": _replicas,
  "skipped": _skipped,
  "faults": _faults,
  "one_artist": _one_artist,
  "unknown_artists": _unknown_artists,
  "imbalance": _imbalance,
  "small": _small,
  "lengths": _lengths,
}
# What config.data.allow may name.
REFUSING = (
  *("split_names", "numbers", "same_folders", "spellings"),
  "split_tracks",
)


def _some(items: Iterable[str], most: int = _NAMED) -> str:
  items = list(items)
  more = f" and {len(items) - most:,} more" if len(items) > most else ""
  return "; ".join(items[:most]) + more


def _count(items: Collection, noun: str) -> str:
  return f"{len(items):,} {noun}{'' if len(items) == 1 else 's'}"


def _tracks(number: int) -> str:
  return f"{number:,} track{'' if number == 1 else 's'}"
