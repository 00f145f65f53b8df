"""What crosses a split, in words: for the console and as a Markdown page."""

from collections.abc import Mapping, Sequence

from gtzan_jax.reports import document as doc

TITLES = {
  "tracks": "Tracks",
  "duplicates": "Exact duplicates",
  "near_duplicates": "Near-duplicates",
  "songs": "Songs",
  "artists": "Artists",
}
_LEGEND = "How many cross (and how many tracks on the right they touch)"
_NAMED = 10  # groups of a kind on the console, the first
_IDS = 4  # tracks of a group there, and names in a sentence
Table = list[list[str]]


def crosses(facts: Mapping) -> bool:
  """Whether anything crosses."""
  return bool(_crossing(facts))


def text(facts: Mapping) -> str:
  """For the console: sizes, counts, and the first groups of each kind."""
  blocks = [_aligned(_sizes(facts)), "\n".join(_notes(facts))]
  blocks.append(f"{_LEGEND}\n{_aligned(_counts(facts))}")
  for kind, groups in _crossing(facts).items():
    lines = [TITLES[kind]]
    lines += [f"  {_group(group, whole=False)}" for group in groups[:_NAMED]]
    if len(groups) > _NAMED:
      lines.append(f"  and {len(groups) - _NAMED:,} more")
    blocks.append("\n".join(lines))
  if not crosses(facts):
    known = ", as far as its names mean tracks" * bool(facts["unknown"])
    blocks.append(f"nothing crosses{known}")
  return "\n\n".join(filter(None, blocks))


def document(facts: Mapping) -> doc.Document:
  """The Markdown page."""
  return doc.Document(
    "What crosses this split",
    [
      f"Files: {', '.join(facts['files'])}",
      _table(_sizes(facts)),
      doc.items(*notes) if (notes := _notes(facts)) else None,
      f"{_LEGEND}:",
      _table(_counts(facts)),
      *(
        doc.part(TITLES[kind], doc.items(*map(_group, groups)))
        for kind, groups in _crossing(facts).items()
      ),
    ],
  )


def _table(rows: Table) -> doc.Block:
  return doc.table(rows[0], rows[1:], "lr")


def _crossing(facts: Mapping) -> dict[str, list[dict]]:
  """{kind: its groups that cross, the largest first}."""

  def size(group: Mapping) -> tuple[float, int]:
    return group.get("likeness", 0.0), sum(map(len, group["parts"].values()))

  return {
    kind: sorted(of["groups"], key=size, reverse=True)
    for kind, of in facts["crossings"].items()
    if of and of["groups"]
  }


def _sizes(facts: Mapping) -> Table:
  """A line for each genre, a column for each split."""
  parts = facts["parts"]
  genres = next(iter(parts.values()))["genres"]
  rows = [["", *parts]]
  rows += [
    [genre, *(f"{of['genres'][genre]:,}" for of in parts.values())]
    for genre in genres
  ]
  rows.append(["tracks", *(f"{of['tracks']:,}" for of in parts.values())])
  if any(of["pieces"] for of in parts.values()):
    rows.append(["segments", *(f"{of['pieces']:,}" for of in parts.values())])
  return rows


def _counts(facts: Mapping) -> Table:
  """A line for each pair of splits compared, a column for each kind."""
  crossings = facts["crossings"]
  rows = [["", *(TITLES[kind].lower() for kind in crossings)]]
  for at, side in enumerate(crossings["tracks"]["between"]):
    others = side["others"][0] if len(side["others"]) == 1 else "others"
    row = [f"{others} > {side['part']}"]
    for of in crossings.values():
      one = of and of["between"][at]
      touched = one and f"{one['groups']:,} ({one['tracks']:,})"
      row.append("?" if not one else touched if one["groups"] else "-")
    rows.append(row)
  return rows


def _notes(facts: Mapping) -> list[str]:
  """Further remarks, a sentence each."""
  notes = []
  tracks = facts["crossings"]["tracks"]["groups"]
  if pieces := sum("pieces" in track for track in tracks):
    notes.append(
      f"warning: a split of segments; {pieces:,} tracks have some in two"
      " parts or more"
    )
  for part, of in facts["parts"].items():
    absent = [genre for genre, n in of["genres"].items() if not n]
    if absent := [genre for genre in absent if genre != "unknown"]:
      notes.append(f"warning: {part} has no {', '.join(absent)}")
  for part, names in facts["repeated"].items():
    notes.append(
      f"warning: {part} repeats {len(names):,} names, counted once:"
      f" {_some(names)}"
    )
  for key, what in (
    ("unknown", "warning: names that mean no track, compared as they stand"),
    ("absent", "tracks not in the corpus, compared by lists alone"),
    ("skipped", "tracks that cannot be read, compared by lists alone"),
    ("in_no_part", "tracks in no split"),
  ):
    if facts[key]:
      notes.append(f"{what}: {len(facts[key]):,} ({_some(list(facts[key]))})")
  if facts["artist_unknown"]:
    notes.append(f"tracks of unknown artists: {facts['artist_unknown']:,}")
  if facts["crossings"]["near_duplicates"] is None:
    notes.append(
      "near-duplicates: not searched; --config.data.path must be audio or a"
      " log-mel archive"
    )
  return notes


def _some(names: Sequence[str]) -> str:
  more = ", ..." if len(names) > _IDS else ""
  return ", ".join(names[:_IDS]) + more


def _group(group: Mapping, whole: bool = True) -> str:
  """ "Dio: Gypsy: train metal.00041; test metal.00062"; numbers stand for long
  lists unless `whole`."""
  parts = group["parts"]
  title = group.get("song") or group.get("artist") or ""
  if "likeness" in group:
    likeness = f"{group['likeness']:.2f} at {group['offset']:+.1f} s"
    title = ", ".join(filter(None, [title, likeness]))
  elif group.get("by") == "published":
    title = "published"
  short = not whole and sum(map(len, parts.values())) > _IDS
  each = [
    f"{part} {len(ids) if short else ', '.join(ids)}"
    for part, ids in parts.items()
  ]
  if "pieces" in group:
    title = next(iter(parts.values()))[0]
    each = [
      f"{part} {f'{number:,} segments' if number else 'whole'}"
      for part, number in group["pieces"].items()
    ]
  return ": ".join(filter(None, [title, "; ".join(each)]))


def _aligned(rows: Table) -> str:
  widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
  return "\n".join(
    "  ".join(
      [row[0].ljust(widths[0])]
      + [c.rjust(w) for c, w in zip(row[1:], widths[1:], strict=True)]
    ).rstrip()
    for row in rows
  )
