"""Artist credits: who is named in one, and which tracks belong together."""

import re
import unicodedata
from collections.abc import Collection, Hashable, Sequence

_BETWEEN = ";"  # of the names in a joint credit: "Lauryn Hill; Bob Marley"
_COPIES = "="  # begins what stands for the unknown artist of several copies


def artist_key(name: str) -> str:
  """A name without case, accents, punctuation, "the", with & as "and"."""
  plain = unicodedata.normalize("NFKD", name).casefold().replace("&", " and ")
  plain = "".join(c for c in plain if not unicodedata.combining(c))
  return re.sub(r"^the ", "", " ".join(re.findall(r"\w+", plain)))


def names(credit: str) -> list[str]:
  """The names in a credit as they are written; none in an empty one."""
  return [name.strip() for name in credit.split(_BETWEEN) if name.strip()]


def of_copies(track: str) -> str:
  """What several copies share in place of a name where nobody is known.

  Args:
    track: the id of one of them.
  """
  return _COPIES + " ".join(names(track))


def known(credit: str) -> list[str]:
  """The names in a credit that are an artist's."""
  return [name for name in names(credit) if not name.startswith(_COPIES)]


def credited(credit: str) -> dict[str, str]:
  """{artist_key(name): name} of the names in a credit."""
  found = {artist_key(name): name for name in names(credit)}
  found.pop("", None)
  return found


def credit(found: Collection[str]) -> str:
  """The credit that names these artists, in alphabetical order."""
  return f"{_BETWEEN} ".join(sorted(found))


def joined(labels: Sequence[Collection[Hashable]]) -> list[int]:
  """Numbers groups of items: two are in one where they share a label.

  Items that share none are in one group as well where others link them: x and z
  for {x: a, y: a and b, z: b}.

  Args:
    labels: of each item, one or more.

  Returns:
    the number of each item's group; groups are numbered from 0 in the order of
    their first items.
  """
  parent = {label: label for own in labels for label in own}

  def root(label: Hashable) -> Hashable:
    while parent[label] != label:
      label = parent[label]
    return label

  for own in labels:
    one, *others = own
    for other in others:
      parent[root(other)] = root(one)
  number: dict[Hashable, int] = {}
  return [
    number.setdefault(root(next(iter(own))), len(number)) for own in labels
  ]
