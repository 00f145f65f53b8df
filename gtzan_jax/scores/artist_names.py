"""Parses artist credits and groups tracks by artist."""

import re
import unicodedata
from collections.abc import Collection, Hashable, Sequence

_BETWEEN = ";"  # separates the names of a joint credit
_COPIES = "="  # first letter of a placeholder for an unknown artist


def artist_key(name: str) -> str:
  """A name without case, accents, punctuation and "the", & as "and"."""
  plain = unicodedata.normalize("NFKD", name).casefold().replace("&", " and ")
  plain = "".join(c for c in plain if not unicodedata.combining(c))
  return re.sub(r"^the ", "", " ".join(re.findall(r"\w+", plain)))


def names(credit: str) -> list[str]:
  """The names in a credit, as written."""
  return [name.strip() for name in credit.split(_BETWEEN) if name.strip()]


def of_copies(track: str) -> str:
  """A placeholder for the unknown artist of copies, from one track's id."""
  return _COPIES + " ".join(names(track))


def known(credit: str) -> list[str]:
  """The names in a credit, without placeholders."""
  return [name for name in names(credit) if not name.startswith(_COPIES)]


def credited(credit: str) -> dict[str, str]:
  """{artist_key(name): name} of the names in a credit."""
  keys = {artist_key(name): name for name in names(credit)}
  keys.pop("", None)
  return keys


def credit(artists: Collection[str]) -> str:
  """The credit of these artists, in alphabetical order."""
  return f"{_BETWEEN} ".join(sorted(artists))


def joined(labels: Sequence[Collection[Hashable]]) -> list[int]:
  """Groups items that share a label, directly or through other items.

  Args:
    labels: one or more of each item.

  Returns:
    the number of each item's group, from 0 in the order of their first items.
  """
  parent = {label: label for own in labels for label in own}

  def root(label: Hashable) -> Hashable:
    while parent[label] != label:
      label = parent[label]
    return label

  for own in labels:
    first, *others = own
    for other in others:
      parent[root(other)] = root(first)
  number: dict[Hashable, int] = {}
  return [
    number.setdefault(root(next(iter(own))), len(number)) for own in labels
  ]
