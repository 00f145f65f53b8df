"""What is wrong with a corpus before anything is trained on it.

One table of checks. Opening a corpus gives names, folders and artists, reading
it gives the rest; a check of which the facts lack the data finds nothing. What
makes every number worthless is refused unless config.data.allow names it.
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
IMBALANCE = 1.5  # the largest genre of the smallest
LENGTHS = 1.1  # the longest track of the shortest
ARTIST_SHARE = 0.5  # of a genre's tracks whose artist is known
SAME_FOLDERS = 0.8  # of all subfolders: those that every genre has
APART = 0.8  # of a genre's tracks on one side of what separates genres
BANDWIDTHS = 800.0  # Hz by which these differ
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
  """What a check found.

  Attributes:
    title: what and how many, a few words.
    examples: names that it concerns.
    why: what it means and what can be done, in sentences.
    refused: whether it makes every number of a run worthless.
    check: the key in CHECKS.
  """

  title: str
  examples: Sequence[str]
  why: str
  refused: bool = False
  check: str = ""

  def line(self) -> str:
    """For the console."""
    return ": ".join(filter(None, (self.title, _some(self.examples, _LISTED))))

  def plain(self) -> dict[str, str]:
    """For JSON and pages."""
    examples = f"{_some(self.examples)}." if self.examples else ""
    text = " ".join(filter(None, (examples, self.why)))
    return {"check": self.check, "title": self.title, "text": text}


def facts_of(corpus) -> dict:
  """What is known of a corpus (a tfds_gtzan.Corpus) that has been opened."""
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
  found = {track.id: track.rate() for track in some}
  return {track: rate for track, rate in found.items() if rate}


def facts_of_rows(genres: Sequence[str], rows: Sequence) -> dict:
  """What is known of a corpus (its tfds_gtzan.Rows) that has been prepared.

  But for the published partition: a run has splits of its own.
  """
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
  """What all checks find, the gravest first.

  Args:
    facts: `tracks` [{"id", "genre", "artist", "partition"}] and, as far as they
      are known: `genres`; in each track its `values`; `duplicates` {"groups":
      [[id]]}, `skipped`, `faults` (see `explore.survey`); `tables`, the names
      of tables that lie beside the music; `labels`, of a table that gave
      genres: its `file`, `unlisted` (tracks that it lacks) and `unused` (its
      names that are no track's); `splits`, what a survey of a user's splits
      says (docs/check_splits.md); `rates` and `bandwidths` in Hz, {track:
      value}.
  """
  found = [
    one._replace(check=name)
    for name, check in CHECKS.items()
    for one in check(facts)
  ]
  return sorted(found, key=lambda one: not one.refused)


def refuse(found: Iterable[Finding], allowed: Collection[str]) -> None:
  """Refuses what makes every number worthless.

  Args:
    found: from `find`.
    allowed: names of checks, of config.data.allow.

  Raises:
    InputError: a check that is not allowed has found something.
  """
  refused = [x for x in found if x.refused and x.check not in allowed]
  if refused:
    names = ",".join(dict.fromkeys([*allowed, *(x.check for x in refused)]))
    text = "; ".join(f"{one.line()}. {one.why}" for one in refused)
    raise InputError(
      f"{text.rstrip('.')}; --config.data.allow={names} goes on all the same"
    )


def allowed(names: Iterable[str]) -> tuple[str, ...]:
  """The checks of config.data.allow, which may be joined by commas.

  Raises:
    InputError: a name that is no check's.
  """
  given = [one for name in names for one in re.split(r"[\s,]+", str(name))]
  given = list(dict.fromkeys(filter(None, given)))
  for name in given:
    if name not in REFUSING:
      raise InputError(
        f"config.data.allow={name}: there is no such check; give some of"
        f" {', '.join(REFUSING)}"
      )
  return tuple(given)


def noted(text: str) -> Finding:
  """A sentence on what a protocol makes of a corpus, as a finding."""
  return Finding(text.removeprefix("warning: "), (), "", check="protocol")


def spelling(name: str) -> str:
  """A name without case, accents, punctuation, with & and 'n' as "and"."""
  text = unicodedata.normalize("NFKD", name).casefold()
  text = re.sub("[\u0300-\u036f]", "", re.sub("[&+]", " and ", text))
  # Marks of other scripts are letters: a word of Hindi or Japanese needs them.
  kept = (x if unicodedata.category(x)[0] in "LMN" else " " for x in text)
  words = "".join(kept).split()
  return "".join("and" if word == "n" else word for word in words) or name


def _genres(facts: Mapping) -> dict[str, list[Mapping]]:
  """The tracks of each; none of a genre of which none can be read."""
  genres = {genre: [] for genre in facts.get("genres", ())}
  for row in facts["tracks"]:
    genres.setdefault(row["genre"], []).append(row)
  return genres


def _is_split(name: str) -> bool:
  words = re.findall(r"[^\W\d_]+", name.casefold())
  return any(map(_SPLIT.fullmatch, words)) and all(
    _SPLIT.fullmatch(word) or _ADDED.fullmatch(word) for word in words
  )


def _folders_below(facts: Mapping) -> tuple[set[str], set[str]]:
  """Names of the folders that every genre has, and that any has."""
  below = []
  for genre, rows in _genres(facts).items():
    # Ids of GTZAN's form, or of labels that a table gives, say no folder.
    paths = [row["id"].split("/") for row in rows]
    below.append(
      {path[1] for path in paths if path[0] == genre and len(path) > 2}
    )
  return set.intersection(*below), set.union(*below)


def _split_names(facts: Mapping) -> Iterable[Finding]:
  genres = _genres(facts)
  found = [genre for genre in genres if _is_split(genre)]
  if found:
    below, _ = _folders_below(facts)
    instead = "a table of the tracks and their genres as config.data.labels"
    if below:
      names = ", ".join(sorted(below)[:_NAMED])
      instead = f"the level below, whose folders are the genres ({names})"
    yield Finding(
      f"{len(found)} of {_count(genres, 'genre')}"
      f" {'is the name' if len(found) == 1 else 'are names'} of"
      f" {'a split' if len(found) == 1 else 'splits'}",
      found,
      "Genres are the names of the folders, so these would be learnt as genres:"
      f" give {instead}; or all genres in one folder, and the splits as"
      " config.data.splits.",
      len(found) > 1,
    )


def _numbers(facts: Mapping) -> Iterable[Finding]:
  genres = _genres(facts)
  found = [g for g in genres if _NUMBER.fullmatch(g.strip().casefold())]
  # Those of a table are meant.
  if (
    not facts.get("labels") and len(found) > 1 and 2 * len(found) >= len(genres)
  ):
    tables = facts.get("tables", ())
    names = " or ".join(tables[:_LISTED]) or "FILE.csv"
    yield Finding(
      f"{len(found)} of {_count(genres, 'genre')} are numbers",
      found,
      "Genres are the names of the folders, so these would be learnt as genres:"
      f" a table of the tracks and their genres is given as config.data.labels="
      f"{names}.",
      True,
    )


def _same_folders(facts: Mapping) -> Iterable[Finding]:
  genres = _genres(facts)
  shared, whole = _folders_below(facts)
  if len(genres) < 2 or len(shared) < max(2, SAME_FOLDERS * len(whole)):
    return
  if any(_is_split(genre) for genre in genres):
    return  # which are found as such
  names = sorted(shared)
  title = f"every genre holds the same {_count(names, 'folder')}"
  if all(map(_is_split, names)):
    yield Finding(
      title,
      names,
      "The protocol splits all of them anew; a split of one's own is given as"
      " config.data.splits.",
    )
  else:
    yield Finding(
      title,
      names,
      f"{', '.join(list(genres)[:_LISTED])} would be learnt as genres: if these"
      " folders are the genres, give the level above them, of one at a time.",
      not all(_NUMBER.fullmatch(name.casefold()) for name in names),
    )


def _spellings(facts: Mapping) -> Iterable[Finding]:
  same = collections.defaultdict(list)
  for genre in _genres(facts):
    same[spelling(genre)].append(genre)
  twins = [names for names in same.values() if len(names) > 1]
  if twins:
    yield Finding(
      f"{_count(twins, 'genre')} in two spellings or more",
      [" = ".join(names) for names in twins],
      "They would be learnt as different genres: give them one name.",
      True,
    )


def _labels(facts: Mapping) -> Iterable[Finding]:
  given = facts.get("labels")
  if given and (given["unlisted"] or given["unused"]):
    lost, unused = given["unlisted"], given["unused"]
    yield Finding(
      f"{_tracks(len(lost))} without a genre in {given['file']} left out, and"
      f" {_count(unused, 'name')} in it of no track or of several",
      [*lost[:_LISTED], *unused],
      "Names are compared without case, folders above and extension.",
    )


def _split_tracks(facts: Mapping) -> Iterable[Finding]:
  yield from _crossing(
    *(facts, "tracks", "{} in two of config.data.splits"),
    "What is trained on would be tested again: name each track once.",
    refused=True,
  )


def _split_copies(facts: Mapping) -> Iterable[Finding]:
  for kind, noun in (("songs", "song"), ("artists", "artist")):
    yield from _crossing(
      *(facts, kind, f"{{}} of one {noun} across config.data.splits"),
      "A model may know the test split by them; launch.py check-splits compares"
      " the sound as well.",
    )


def _crossing(
  facts: Mapping, kind: str, title: str, why: str, *, refused: bool = False
) -> Iterable[Finding]:
  found = facts.get("splits", {}).get("crossings", {}).get(kind) or {}
  groups = found.get("groups", ())
  if groups:
    where = [
      ", ".join(f"{ids[0]} in {part}" for part, ids in one["parts"].items())
      for one in groups
    ]
    title = title.format(_count(groups, "track" if refused else "group"))
    yield Finding(title, where, why, refused)


def _split_lists(facts: Mapping) -> Iterable[Finding]:
  splits = facts.get("splits")
  if not splits:
    return
  if unknown := splits["unknown"]:
    yield Finding(
      f"{_count(unknown, 'name')} of config.data.splits of no track here or of"
      " several",
      unknown,
      "They are left out.",
    )
  if outside := splits["in_no_part"]:
    yield Finding(
      f"{_tracks(len(outside))} in none of config.data.splits",
      outside,
      "They are neither learnt nor tested.",
    )
  for part, row in splits["parts"].items():
    known = _genres(facts)
    lacking = [g for g, n in row["genres"].items() if not n and g in known]
    if lacking:
      yield Finding(
        f"{part} of config.data.splits lacks {_count(lacking, 'genre')}",
        lacking,
        "A genre that is not learnt is never answered; one that is not tested"
        " does not count.",
      )


def _apart(
  facts: Mapping, values: Mapping[str, float | None], gap: float = 0.0
) -> tuple[float, list[str], list[str]] | None:
  """A number that separates genres: it, the genres up to it, those above.

  Of a genre APART of the tracks lie on one side, by `gap` from the others.
  """
  genres = {
    genre: own
    for genre, rows in _genres(facts).items()
    if len(own := sorted(x for r in rows if (x := values.get(r["id"])))) > 2
  }
  best = None
  for edge in sorted({value for own in genres.values() for value in own}):
    below = [
      genre
      for genre, own in genres.items()
      if bisect.bisect_right(own, edge) >= APART * len(own)
    ]
    above = [
      genre
      for genre, own in genres.items()
      if len(own) - bisect.bisect_right(own, edge + gap) >= APART * len(own)
    ]
    size = min(len(below), len(above)), len(below) + len(above)
    if all(size) and (best is None or size > best[0]):
      best = size, (edge, below, above)
  return best and best[1]


def _apart_by(
  facts: Mapping, what: str, why: str, gap: float = 0.0
) -> Iterable[Finding]:
  """Do sample "rates" or "bandwidths" separate genres?"""
  if found := _apart(facts, facts.get(what, {}), gap):
    edge, below, above = found
    yield Finding(
      f"{'Sample rates' if what == 'rates' else 'Bandwidths'} separate genres",
      [f"{', '.join(below)} up to {edge:,.0f} Hz", f"{', '.join(above)} above"],
      why,
    )


def _sample_rate(facts: Mapping) -> Iterable[Finding]:
  yield from _apart_by(
    *(facts, "rates"),
    "A model may learn what the recordings have been through in place of the"
    " music: take all from sources alike, or resample all to the lowest.",
  )


def _bandwidth(facts: Mapping) -> Iterable[Finding]:
  yield from _apart_by(
    *(facts, "bandwidths"),
    "Above that nothing is less than 70 dB below the loudest band. A model"
    " may learn what recordings have been through in place of the music.",
    BANDWIDTHS,
  )


def _across(
  facts: Mapping, key: str, nowhere: str | None = None
) -> list[Sequence[str]]:
  """The groups of identical tracks that stand in two genres or splits."""
  of = {row["id"]: row[key] for row in facts["tracks"]}
  return [
    ids
    for ids in facts.get("duplicates", {}).get("groups", ())
    if len({of[name] for name in ids} - {nowhere}) > 1
  ]


def _two_genres(facts: Mapping) -> Iterable[Finding]:
  across = _across(facts, "genre")
  if across:
    yield Finding(
      f"{_count(across, 'group')} of identical tracks across genres",
      [" = ".join(ids) for ids in across],
      "One recording stands under two labels.",
    )


def _two_splits(facts: Mapping) -> Iterable[Finding]:
  across = _across(facts, "partition", "unlisted")
  if across:
    yield Finding(
      f"{_count(across, 'group')} of identical tracks across parts of the"
      " published partition",
      [" = ".join(ids) for ids in across],
      "What is trained on would be tested again.",
    )


def _replicas(facts: Mapping) -> Iterable[Finding]:
  groups = facts.get("duplicates", {}).get("groups", ())
  if groups:
    spare = sum(len(ids) - 1 for ids in groups)
    yield Finding(
      f"{spare:,} of {_tracks(len(facts['tracks']))}"
      f" {'is a replica' if spare == 1 else 'are replicas'}",
      [" = ".join(ids) for ids in groups],
      "They count as one recording wherever a protocol deals tracks out;"
      " published lists are taken as they are.",
    )


def _skipped(facts: Mapping) -> Iterable[Finding]:
  lost = facts.get("skipped")
  if lost:
    yield Finding(
      f"{len(lost):,} of {len(lost) + len(facts['tracks']):,} tracks cannot be"
      " read",
      [row["track"] for row in lost],
      "They are skipped; preparing stops where they are several and more than"
      " 5 %, or leave a genre empty.",
    )


def _faults(facts: Mapping) -> Iterable[Finding]:
  found = facts.get("faults")
  if found:
    yield Finding(
      f"{_count({row['track'] for row in found}, 'track')} with faults",
      [f"{row['track']}: {row['fault']}" for row in found],
      "",
    )


def _one_artist(facts: Mapping) -> Iterable[Finding]:
  heavy = []
  for genre, rows in _genres(facts).items():
    artists = collections.Counter(row["artist"] for row in rows)
    del artists[""]
    known = artists.total()
    name, most = min(
      artists.items(), key=lambda pair: (-pair[1], pair[0]), default=("", 0)
    )
    if most >= max(2, ARTIST_SHARE * known):
      heavy.append(f"{genre}: {name}, {most} of {known}")
  if heavy:
    yield Finding(
      f"One artist holds half or more of {_count(heavy, 'genre')}",
      heavy,
      "A model may learn the artist in place of the genre; protocols that keep"
      " artists apart show it.",
    )


def _unknown_artists(facts: Mapping) -> Iterable[Finding]:
  unknown = [row["id"] for row in facts["tracks"] if not row["artist"]]
  if unknown:
    known = len(facts["tracks"]) - len(unknown)
    of = f"{_tracks(len(unknown))} of {known + len(unknown):,}"
    yield Finding(
      f"No artist is known of {of if known else 'any track'}",
      (),
      "Whether artists of the train split are in the test split as well is not"
      " known of these.",
    )


def _imbalance(facts: Mapping) -> Iterable[Finding]:
  sizes = {genre: len(rows) for genre, rows in _genres(facts).items()}
  few, many = min(sizes, key=sizes.get), max(sizes, key=sizes.get)
  if sizes[many] >= IMBALANCE * sizes[few] and sizes[few]:
    yield Finding(
      f"{many} has {sizes[many] / sizes[few]:.1f} times the tracks of {few}",
      (),
      f"{sizes[many]:,} and {sizes[few]:,}. Accuracy favours large genres;"
      " macro F1 counts each alike.",
    )


def _small(facts: Mapping) -> Iterable[Finding]:
  sizes = {genre: len(rows) for genre, rows in _genres(facts).items()}
  small = [f"{genre} ({n})" for genre, n in sizes.items() if n < 3]
  if small:
    yield Finding(
      f"{_count(small, 'genre')} of fewer than three tracks",
      small,
      "Train, validation and test need one each.",
    )


def _lengths(facts: Mapping) -> Iterable[Finding]:
  seconds = [
    row["values"]["seconds"]
    for row in facts["tracks"]
    if "seconds" in row.get("values", ())
  ]
  short = sum(value < SEGMENT_SECONDS for value in seconds)
  if short:
    yield Finding(
      f"{_tracks(short)} shorter than one segment",
      (),
      f"A segment lasts {SEGMENT_SECONDS:.2f} s (most feature sets); a shorter"
      " track is one segment, filled up with zeros.",
    )
  if seconds and max(seconds) > LENGTHS * min(seconds):
    yield Finding(
      f"Lengths differ: {min(seconds):.1f} to {max(seconds):.1f} s",
      (),
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
