"""Checks of a corpus before training.

One table, CHECKS. An opened corpus gives names, folders and artists, a prepared
one the rest; a check finds nothing where the facts lack its data. What makes
every number worthless is refused unless config.data.allow names it.
"""

import bisect
import collections
import re
import unicodedata
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

from gtzan_jax.errors import InputError
from gtzan_jax.features.feature_sets import FeatureSpec

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
  """Facts for `find`, of an opened corpus (tfds_gtzan.corpora.types.Corpus)."""
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
  return {
    track.id: rate
    for own in genres.values()
    for track in own[:: -(-len(own) // _HEADERS)]
    if track.rate and (rate := track.rate())
  }


def facts_of_rows(genres: Sequence[str], rows: Sequence) -> dict:
  """Facts for `find` of prepared rows (tfds_gtzan.Row): no partition."""
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
  genres: dict[str, list] = {name: [] for name in facts.get("genres", ())}
  for row in facts["tracks"]:
    genres.setdefault(row["genre"], []).append(row)
  facts = {**_UNKNOWN, **facts, "genres": genres}
  findings = [
    finding._replace(check=name)
    for name, check in CHECKS.items()
    for finding in check(facts)
    if finding.examples is None or finding.examples
  ]
  return sorted(findings, key=lambda finding: not finding.refused)


def refuse(findings: Iterable[Finding], allowed: Collection[str]) -> None:
  """Raises InputError for a refusing finding that `allowed` does not name."""
  refused = [x for x in findings if x.refused and x.check not in allowed]
  if refused:
    names = ",".join(dict.fromkeys([*allowed, *(x.check for x in refused)]))
    text = "; ".join(f"{x.line()}. {x.why}" for x in refused)
    raise InputError(
      f"{text.rstrip('.')}; --config.data.allow={names} permits it"
    )


def allowed(names: Iterable[str]) -> tuple[str, ...]:
  """The checks of config.data.allow, which may be joined by commas."""
  given = re.split(r"[\s,]+", ",".join(map(str, names)))
  checks = tuple(dict.fromkeys(filter(None, given)))
  for name in checks:
    if name not in REFUSING:
      raise InputError(
        f"config.data.allow={name}: unknown check; accepted:"
        f" {', '.join(REFUSING)}"
      )
  return checks


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


# The checks get the facts of `find`, with these defaults and `genres`
# {genre: [row]}; a genre of which none can be read has no row.
_UNKNOWN: Mapping[str, Any] = {
  "duplicates": {"groups": ()},
  **dict.fromkeys(("skipped", "faults", "tables"), ()),
  **{key: {} for key in ("labels", "splits", "rates", "bandwidths")},
}


def _folders_below(facts: Mapping) -> tuple[list[str], set[str]]:
  """Names of the folders that every genre has, and that any has."""
  below = []
  for genre, rows in facts["genres"].items():
    # Ids of GTZAN's form, or of labels that a table gives, name no folder.
    paths = [row["id"].split("/") for row in rows]
    below.append(
      {path[1] for path in paths if path[0] == genre and len(path) > 2}
    )
  return sorted(set.intersection(*below)), set.union(*below)


def _split_names(facts: Mapping) -> Iterable[Finding]:
  genres = facts["genres"]
  named = [genre for genre in genres if _is_split(genre)]
  below, _ = _folders_below(facts)
  instead = "a table of the tracks and their genres as config.data.labels"
  if below:
    names = ", ".join(below[:_NAMED])
    instead = f"the level below, whose folders are the genres ({names})"
  like = "is named like a split" if len(named) == 1 else "are named like splits"
  yield Finding(
    f"{len(named)} of {_count(len(genres), 'genre')} {like}",
    named,
    f"Folder names are genres, so these would become classes. Give {instead},"
    " or put all genres into one folder and the splits into"
    " config.data.splits.",
    len(named) > 1,
  )


def _numbers(facts: Mapping) -> Iterable[Finding]:
  genres = facts["genres"]
  numbers = list(filter(_is_number, genres))
  if facts["labels"] or len(numbers) < max(2, len(genres) / 2):
    return  # those of a table are meant
  names = " or ".join(facts["tables"][:_LISTED]) or "FILE.csv"
  yield Finding(
    f"{len(numbers)} of {_count(len(genres), 'genre')} are numbers",
    numbers,
    "Folder names are genres, so these would become classes. Give a table of"
    f" the tracks and their genres as config.data.labels={names}.",
    True,
  )


def _same_folders(facts: Mapping) -> Iterable[Finding]:
  genres, (names, whole) = facts["genres"], _folders_below(facts)
  if len(genres) < 2 or len(names) < max(2, SAME_FOLDERS * len(whole)):
    return
  if any(map(_is_split, genres)):
    return  # found by split_names
  why = (
    f"{', '.join(list(genres)[:_LISTED])} would become classes. If these"
    " folders are the genres, give the level above them, of one at a time."
  )
  splits = all(map(_is_split, names))
  if splits:
    why = (
      "The protocol splits all tracks again; give your own split as"
      " config.data.splits."
    )
  yield Finding(
    f"every genre has the same {_count(len(names), 'folder')}",
    names,
    why,
    not splits and not all(map(_is_number, names)),
  )


def _spellings(facts: Mapping) -> list[str]:
  same = collections.defaultdict(list)
  for genre in facts["genres"]:
    same[spelling(genre)].append(genre)
  return [" = ".join(names) for names in same.values() if len(names) > 1]


def _labels(facts: Mapping) -> Iterable[Finding]:
  if labels := facts["labels"]:
    lost, unused = labels["unlisted"], labels["unused"]
    yield Finding(
      f"{_count(len(lost), 'track')} without a genre in {labels['file']} left"
      f" out, and {_count(len(unused), 'name')} in it that match no track or"
      " several",
      [*lost[:_LISTED], *unused],
      "Names are compared without case, folders above and extension.",
    )


def _crossing(facts: Mapping, kind: str) -> list[str]:
  """Groups of one kind with tracks in two of the user's splits."""
  crossing = facts["splits"].get("crossings", {}).get(kind) or {}
  return [
    ", ".join(f"{ids[0]} in {split}" for split, ids in group["parts"].items())
    for group in crossing.get("groups", ())
  ]


def _split_copies(facts: Mapping) -> Iterable[Finding]:
  for noun in ("song", "artist"):
    groups = _crossing(facts, f"{noun}s")
    yield Finding(
      f"{_count(len(groups), 'group')} of one {noun} across config.data.splits",
      groups,
      "A model may know the test split by them; launch.py check-splits compares"
      " the sound as well.",
    )


def _split_lists(facts: Mapping) -> Iterable[Finding]:
  if not (splits := facts["splits"]):
    return
  unknown, unused = splits["unknown"], splits["in_no_part"]
  yield Finding(
    f"{_count(len(unknown), 'name')} of config.data.splits that match no"
    " track here or several",
    unknown,
    "They are left out.",
  )
  yield Finding(
    f"{_count(len(unused), 'track')} in none of config.data.splits",
    unused,
    "They are neither trained on nor tested.",
  )
  for split, row in splits["parts"].items():
    lacking = [
      g for g, n in row["genres"].items() if not n and g in facts["genres"]
    ]
    yield Finding(
      f"{split} of config.data.splits lacks {_count(len(lacking), 'genre')}",
      lacking,
      "A genre without training tracks is never predicted; one without test"
      " tracks is not scored.",
    )


def _separated(facts: Mapping, key: str, gap: float = 0.0) -> list[str]:
  """The value of `key` that separates most genres: up to it, and above.

  Needs APART of a genre's tracks on one side, by `gap` from the others.
  """
  known = {
    genre: own
    for genre, rows in facts["genres"].items()
    if len(own := sorted(x for r in rows if (x := facts[key].get(r["id"])))) > 2
  }
  most, sides = (0, 0), []
  for edge in sorted(set().union(*known.values())):
    below, above = [], []
    for genre, own in known.items():
      if bisect.bisect_right(own, edge) >= APART * len(own):
        below.append(genre)
      if len(own) - bisect.bisect_right(own, edge + gap) >= APART * len(own):
        above.append(genre)
    size = min(len(below), len(above)), len(below) + len(above)
    if below and above and size > most:
      most = size
      sides = [
        f"{', '.join(below)} up to {edge:,.0f} Hz",
        f"{', '.join(above)} above",
      ]
  return sides


def _identical(facts: Mapping, key: str = "id", nowhere: str = "") -> list[str]:
  """Groups of identical tracks that differ in a key, but for `nowhere`."""
  value = {row["id"]: row[key] for row in facts["tracks"]}
  return [
    " = ".join(ids)
    for ids in facts["duplicates"]["groups"]
    if len({value[name] for name in ids} - {nowhere}) > 1
  ]


def _replicas(facts: Mapping) -> Iterable[Finding]:
  groups = facts["duplicates"]["groups"]
  spare = sum(len(ids) - 1 for ids in groups)
  yield Finding(
    f"{spare:,} of {_count(len(facts['tracks']), 'track')}"
    f" {'is a replica' if spare == 1 else 'are replicas'}",
    _identical(facts),
    "Random protocols treat copies as one unit; published lists are used as"
    " they are.",
  )


def _skipped(facts: Mapping) -> Iterable[Finding]:
  lost = [row["track"] for row in facts["skipped"]]
  yield Finding(
    f"{len(lost):,} of {len(lost) + len(facts['tracks']):,} tracks cannot be"
    " read",
    lost,
    "They are skipped; preparing stops where they are several and more than"
    " 5 %, or leave a genre empty.",
  )


def _faults(facts: Mapping) -> Iterable[Finding]:
  faults = facts["faults"]
  yield Finding(
    f"{_count(len({row['track'] for row in faults}), 'track')} with faults",
    [f"{row['track']}: {row['fault']}" for row in faults],
  )


def _one_artist(facts: Mapping) -> list[str]:
  heavy = []
  for genre, rows in facts["genres"].items():
    artists = collections.Counter(sorted(row["artist"] for row in rows))
    del artists[""]
    for name, most in artists.most_common(1):
      if most >= max(2, ARTIST_SHARE * artists.total()):
        heavy.append(f"{genre}: {name}, {most} of {artists.total()}")
  return heavy


def _unknown_artists(facts: Mapping) -> Iterable[Finding]:
  total = len(facts["tracks"])
  unknown = sum(not row["artist"] for row in facts["tracks"])
  if unknown:
    share = f"{_count(unknown, 'track')} of {total:,}"
    yield Finding(
      f"Unknown artist: {'all tracks' if unknown == total else share}",
      None,
      "For these it is unknown whether their artists are also in the train"
      " split.",
    )


def _imbalance(facts: Mapping) -> Iterable[Finding]:
  sizes = {genre: len(rows) for genre, rows in facts["genres"].items()}
  few = min(sizes, key=sizes.__getitem__)
  many = max(sizes, key=sizes.__getitem__)
  if sizes[many] >= IMBALANCE * sizes[few] and sizes[few]:
    yield Finding(
      f"{many} has {sizes[many] / sizes[few]:.1f} times the tracks of {few}",
      None,
      f"{sizes[many]:,} and {sizes[few]:,}. Accuracy favours large genres;"
      " macro F1 counts each alike.",
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
      f"{_count(short, 'track')} shorter than one segment",
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


def _small(facts: Mapping) -> list[str]:
  sizes = {genre: len(rows) for genre, rows in facts["genres"].items()}
  return [f"{genre} ({size})" for genre, size in sizes.items() if size < 3]


Check = Callable[[Mapping], Iterable[Finding]]


def _listing(
  examples: Callable[[Mapping], list[str]],
  title: str,
  why: str,
  refused: bool = False,
) -> Check:
  """A check that lists examples; "{group}" in a title counts them as groups."""
  noun = (re.search(r"{(\w+)}", title) or ["", ""])[1]

  def check(facts: Mapping) -> Iterable[Finding]:
    names = examples(facts)
    count = {noun: _count(len(names), noun)}
    yield Finding(title.format(**count), names, why, refused)

  return check


_CHAIN = "A model may learn the recording chain instead of the music. "
CHECKS: dict[str, Check] = {
  "split_names": _split_names,
  "numbers": _numbers,
  "same_folders": _same_folders,
  "spellings": _listing(
    _spellings,
    "{genre} in two spellings or more",
    "They would become different classes: give them one name.",
    refused=True,
  ),
  "labels": _labels,
  "sample_rate": _listing(
    partial(_separated, key="rates"),
    "Sample rates separate genres",
    f"{_CHAIN}Use one source for all genres, or resample all to the lowest"
    " rate.",
  ),
  "bandwidth": _listing(
    partial(_separated, key="bandwidths", gap=BANDWIDTHS),
    "Bandwidths separate genres",
    f"{_CHAIN}All energy above that is more than 70 dB below the loudest band.",
  ),
  "split_tracks": _listing(
    partial(_crossing, kind="tracks"),
    "{track} in two of config.data.splits",
    "Training tracks would also be test tracks: name each track once.",
    refused=True,
  ),
  "split_copies": _split_copies,
  "split_lists": _split_lists,
  "identical_genres": _listing(
    partial(_identical, key="genre"),
    "{group} of identical tracks across genres",
    "One recording has two labels.",
  ),
  "identical_splits": _listing(
    partial(_identical, key="partition", nowhere="unlisted"),
    "{group} of identical tracks across splits of the published partition",
    "Training tracks would also be test tracks.",
  ),
  "replicas": _replicas,
  "skipped": _skipped,
  "faults": _faults,
  "one_artist": _listing(
    _one_artist,
    "One artist has half or more of {genre}",
    "A model may learn the artist instead of the genre; protocols that keep"
    " artists apart measure it.",
  ),
  "unknown_artists": _unknown_artists,
  "imbalance": _imbalance,
  "small": _listing(
    _small,
    "{genre} of fewer than three tracks",
    "Train, validation and test need one each.",
  ),
  "lengths": _lengths,
}
# What config.data.allow may name.
REFUSING = (
  *("split_names", "numbers", "same_folders", "spellings"),
  "split_tracks",
)


def _some(items: Sequence[str], most: int = _NAMED) -> str:
  more = f" and {len(items) - most:,} more" if len(items) > most else ""
  return "; ".join(items[:most]) + more


def _count(number: int, noun: str) -> str:
  return f"{number:,} {noun}{'' if number == 1 else 's'}"
