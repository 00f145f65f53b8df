"""What to know of a corpus before training on it, in words."""

from collections.abc import Iterable, Mapping, Sequence

from gtzan_jax.features.spec import FeatureSpec

SEGMENT_SECONDS = FeatureSpec.segment_samples / FeatureSpec.sample_rate
IMBALANCE = 1.5  # the largest genre of the smallest
LENGTHS = 1.1  # the longest track of the shortest
ARTIST_SHARE = 0.5  # of a genre's tracks whose artist is known
_NAMED = 4  # examples in a sentence


def find(facts: Mapping) -> list[dict[str, str]]:
  """Title and text of each warning, the gravest first.

  Args:
    facts: from `explore.survey`, all but its warnings.
  """
  return [
    {"title": title, "text": text}
    for check in CHECKS
    for title, text in check(facts)
  ]


def _duplicates(facts: Mapping) -> Iterable[tuple[str, str]]:
  of = {row["id"]: row for row in facts["tracks"]}
  groups = facts["duplicates"]["groups"]
  for key, nowhere, what, why in (
    ("genre", None, "genres", "One recording stands under two labels."),
    (
      "partition",
      "unlisted",
      "parts of the published partition",
      "What is trained on would be tested again.",
    ),
  ):
    across = [
      ids
      for ids in groups
      if len({of[name][key] for name in ids} - {nowhere}) > 1
    ]
    if across:
      yield (
        f"{_count(across, 'group')} of identical tracks across {what}",
        f"{_some(' = '.join(ids) for ids in across)}. {why}",
      )
  if groups:
    spare = sum(len(ids) - 1 for ids in groups)
    yield (
      f"{spare:,} of {_tracks(len(of))} {_replicas(spare)}",
      f"{_some(' = '.join(ids) for ids in groups)}. Protocols that cut at"
      " random may put one into train and its replica into test.",
    )


def _skipped(facts: Mapping) -> Iterable[tuple[str, str]]:
  lost = facts["skipped"]
  if lost:
    yield (
      f"{len(lost):,} of {len(lost) + len(facts['tracks']):,} tracks cannot be"
      " read",
      f"{_some(row['track'] for row in lost)}. They are skipped; preparing"
      " stops where they are more than 5 % or leave a genre empty.",
    )


def _faults(facts: Mapping) -> Iterable[tuple[str, str]]:
  found = facts["faults"]
  if found:
    yield (
      f"{_count({row['track'] for row in found}, 'track')} with faults",
      _some(f"{row['track']}: {row['fault']}" for row in found) + ".",
    )


def _artists(facts: Mapping) -> Iterable[tuple[str, str]]:
  heavy, unknown, known = [], 0, 0
  for genre, row in facts["balance"].items():
    of_genre = row["tracks"] - row["artist_unknown"]
    unknown, known = unknown + row["artist_unknown"], known + of_genre
    name, most = row["artists"][0] if of_genre else ("", 0)
    if most >= max(2, ARTIST_SHARE * of_genre):
      heavy.append(f"{genre}: {name}, {most} of {of_genre}")
  if heavy:
    yield (
      f"One artist holds half or more of {_count(heavy, 'genre')}",
      f"{_some(heavy, len(heavy))}. A model may learn the artist in place of"
      " the genre; protocols that keep artists apart show it.",
    )
  if unknown:
    yield (
      f"No artist is known of {'any track' if not known else _tracks(unknown)}",
      "Whether the artists that are trained on are tested on as well, nobody"
      " can say of these.",
    )


def _imbalance(facts: Mapping) -> Iterable[tuple[str, str]]:
  sizes = {genre: row["tracks"] for genre, row in facts["balance"].items()}
  few, many = min(sizes, key=sizes.get), max(sizes, key=sizes.get)
  if sizes[many] >= IMBALANCE * sizes[few] and sizes[few]:
    yield (
      f"{many} has {sizes[many] / sizes[few]:.1f} times the tracks of {few}",
      f"{sizes[many]:,} and {sizes[few]:,}. Accuracy favours large genres;"
      " macro F1 counts each alike.",
    )
  small = [f"{genre} ({n})" for genre, n in sizes.items() if n < 3]
  if small:
    yield (
      f"{_count(small, 'genre')} of fewer than three tracks",
      f"{_some(small)}. Train, validation and test need one each.",
    )


def _lengths(facts: Mapping) -> Iterable[tuple[str, str]]:
  seconds = [
    row["values"]["seconds"]
    for row in facts["tracks"]
    if "seconds" in row["values"]
  ]
  short = sum(value < SEGMENT_SECONDS for value in seconds)
  if short:
    yield (
      f"{_tracks(short)} shorter than one segment",
      f"A segment lasts {SEGMENT_SECONDS:.2f} s (most feature sets); a shorter"
      " track is one segment, filled up with zeros.",
    )
  if seconds and max(seconds) > LENGTHS * min(seconds):
    yield (
      f"Lengths differ: {min(seconds):.1f} to {max(seconds):.1f} s",
      "A longer track gives more segments, ten at most, and so weighs more in"
      " training and in segment accuracy; track accuracy counts each once.",
    )


CHECKS = (_duplicates, _skipped, _faults, _artists, _imbalance, _lengths)


def _some(items: Iterable[str], most: int = _NAMED) -> str:
  items = list(items)
  more = f" and {len(items) - most:,} more" if len(items) > most else ""
  return "; ".join(items[:most]) + more


def _count(items: Sequence, noun: str) -> str:
  return f"{len(items):,} {noun}{'' if len(items) == 1 else 's'}"


def _tracks(number: int) -> str:
  return f"{number:,} track{'' if number == 1 else 's'}"


def _replicas(number: int) -> str:
  return "is a replica" if number == 1 else "are replicas"
