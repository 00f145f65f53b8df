"""explore.html, drawn from the facts of a survey."""

import functools
import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from gtzan_jax.reports import document as doc
from gtzan_jax.reports.document import code, number, part, side, text
from gtzan_jax.studies.explore import figures
from gtzan_jax.studies.explore.measure import SHOWN
from gtzan_jax.studies.explore.summary import PARTITIONS

MOST_ROWS = 200  # of a table that may be as long as the corpus
MOST_PAIRS = 12  # of correlated measures

_LENGTHS = "How long the tracks last."
_MFCC = (
  "MFCC",
  "Means of the first 13 mel-frequency cepstral coefficients. The first follows"
  " the level, the others the shape of the spectrum, from coarse to fine.",
)
# What a corpus is called, and heading and introduction of each of its groups.
KINDS: dict[str, tuple[str, dict[str, tuple[str, str]]]] = {
  "audio": (
    "sound",
    {
      "length": ("Lengths", _LENGTHS),
      "level": (
        "Level",
        "Of each track as it is read, mono at 22,050 Hz. Clipped: samples at"
        " 0.999 of full scale or beyond. Silent: frames of 2,048 samples whose"
        " RMS is below −60 dB of full scale.",
      ),
      "sound": (
        "Spectrum and level",
        "Means over a track's frames (2,048 samples, one each 512), as the"
        " columns of Kaggle's table are. Of a track longer than two minutes,"
        " the two in its middle are measured.",
      ),
      "more": _MFCC,
    },
  ),
  "logmel": (
    "log-mel archive",
    {
      "length": ("Lengths", _LENGTHS),
      "sound": (
        "Spectrum and level",
        "From the stored mel bands, 0 dB being 1.0. Dynamics: from the level"
        " that 5 % of the columns stay below to that which 5 % exceed."
        " Centroid, bandwidth and roll-off are means over the columns; bands"
        " are coarser than the bins of a spectrum, so these come near what the"
        " sound itself would give and are not the same.",
      ),
      "more": _MFCC,
    },
  ),
  "picture": (
    "pictures",
    {
      "length": ("Sizes", "Of each picture, in pixels."),
      "sound": (
        "Light and colour",
        "Means over a picture, 1 being white. Contrast is the standard"
        " deviation of the brightness; white are pixels whose three colours"
        " are all at 250 of 255 or above, such as margins.",
      ),
    },
  ),
  "table": (
    "table of features",
    {
      "length": ("Lines", "Lines of each track in the table."),
      "sound": (
        "Columns",
        "Values of each track; where it has several lines, their means.",
      ),
      "more": ("Variances and MFCC", "All other columns, in the same way."),
    },
  ),
}


three = functools.partial(number, digits=3)


def render(facts: Mapping) -> str:
  """The page of a survey, below 6 MB: pictures show the first 20 genres, long
  tables 200 rows."""
  kind, genres = facts["kind"], facts["genres"]
  footer = "Drawn from explore.json beside it, which has every number, also of"
  footer += " each track."
  if len(genres) > SHOWN:
    footer += f" Pictures show the first {SHOWN} of {len(genres)} genres."
  if kind == "audio":
    footer += (
      " The sound is in this page alone: do not share the page if you may not"
      " share the sound."
    )
  return doc.Document(
    title=facts["corpus"],
    eyebrow="Music genre classification · a corpus explored",
    window=f"{facts['corpus']} · corpus explored",
    chips=[
      ("holds", KINDS[kind][0]),
      ("tracks", number(len(facts["tracks"]))),
      ("genres", len(genres)),
      ("fingerprint", code(facts["fingerprint"][:12], facts["fingerprint"])),
    ],
    blocks=[
      *_warnings(facts),
      _cards(facts),
      _balance(facts, genres[:SHOWN]),
      facts["examples"] and _examples(facts),
      *_groups(facts, genres[:SHOWN]),
      facts["correlation"]["names"] and _correlation(facts),
      _replicas(facts),
      _lists(facts),
      *_faults(facts),
    ],
    footer=footer,
  ).html()


def _table(
  head: Sequence[Any],
  rows: Iterable[Sequence[Any]],
  align: str = "l",
  most: int | None = None,
) -> list[doc.Block]:
  """A table, whole numbers with separators; of at most so many rows."""
  cells = [[number(x) if type(x) is int else x for x in row] for row in rows]
  cut = f"The first {most} of {number(len(cells))}; explore.json has all."
  return [
    doc.table(head, cells[:most], align, "dense"),
    *([text(cut, "caption")] if most and len(cells) > most else ()),
  ]


def _warnings(facts: Mapping) -> Iterator[doc.Block]:
  if facts["corpus"] == "synthetic":
    yield doc.warning(
      "This is the synthetic corpus, not GTZAN.",
      "Its tracks were made by ten generators that ship with this project.",
    )
  if facts["warnings"]:
    items = [(one["title"], one["text"]) for one in facts["warnings"]]
    yield doc.warning("Before training on it", items=items)


def _cards(facts: Mapping) -> doc.Block:
  tracks, balance = facts["tracks"], facts["balance"].values()
  sizes = [row["tracks"] for row in balance]
  unknown = sum(row["artist_unknown"] for row in balance)
  artists = {row["artist"] for row in tracks} - {""}
  spare = sum(len(ids) - 1 for ids in facts["duplicates"]["groups"])
  unread = f"{number(len(facts['skipped']))} cannot be read"
  cards = [("Tracks", number(len(tracks)), unread)]
  if "seconds" in facts["measures"]:
    seconds = sum(row["values"].get("seconds", 0) for row in tracks)
    median = three(facts["statistics"]["seconds"]["all"]["median"])
    cards.append(("Together", doc.duration(seconds), f"median {median} s"))
  ends = f"{number(min(sizes))} to {number(max(sizes))} tracks"
  nobody = f"{number(unknown)} of unknown artist"
  cards += [
    ("Genres", number(len(sizes)), ends),
    ("Known artists", number(len(artists)), nobody),
    ("Replicas", number(spare), "same as another"),
  ]
  return doc.cards(*itertools.starmap(doc.Card, cards), css="")


def _balance(facts: Mapping, genres: Sequence[str]) -> doc.Block:
  balance, total = facts["balance"], len(facts["tracks"])
  shown = {genre: balance[genre] for genre in genres}
  rows = [
    (
      *(genre, row["tracks"], f"{doc.percent(row['tracks'] / total)} %"),
      *(row["unreadable"], len(row["artists"])),
      "{} ({})".format(*row["artists"][0]) if row["artists"] else "–",
      row["artist_unknown"],
    )
    for genre, row in balance.items()
  ]
  head = "Genre", "Tracks", "Share", "Unreadable", "Artists", "Most tracks"
  key = [("", "the artist with most tracks"), ("middle", "the second")]
  key += [("pale", "others, a piece each"), ("grid", "unknown")]
  key += [("warm", "cannot be read (left)")] * bool(facts["skipped"])
  alt = "Share of each artist in the tracks of each genre"
  return part(
    "Genres and artists",
    "How many tracks each genre has, and how many artists they come from:"
    " where one artist has most of a genre, a model may learn the artist"
    " instead.",
    side(
      doc.figure("tracks", "Tracks of each genre", figures.tracks, shown),
      doc.figure("shares", alt, figures.artists, shown),
      css="even",
    ),
    doc.key(key),
    *_table((*head, "Artist unknown"), rows, "lrrrrlr"),
  )


def _examples(facts: Mapping) -> doc.Block:
  lead = {
    "audio": "The first track of each genre that can be read, ten seconds from"
    " its middle: waveform, and log-mel spectrogram (128 bands, 80 dB from"
    " black to pale in steps of 2). Time counts from the start of the track."
    " The player has an MP3 of 40 kbit a second.",
    "logmel": "The first track of each genre: its stored log-mel spectrogram,"
    " 80 dB from black to pale in steps of 2.",
    "picture": "The first picture of each genre that can be read.",
  }
  blocks = itertools.starmap(_example, enumerate(facts["examples"]))
  return part(
    "An example of each genre", lead[facts["kind"]], side(*blocks, css="even")
  )


def _example(index: int, one: Mapping) -> doc.Block:
  """A player, and a drawing or a picture."""
  media, track = one["media"], one["track"]
  blocks = []
  if "sound" in media:
    blocks.append(doc.media(media["sound"], "audio/mpeg"))
  if "levels" in media:
    drawing = (figures.excerpt, media, one["start"], one["seconds"])
    blocks.append(doc.figure(f"e{index}", f"Excerpt of {track}", *drawing))
  if "picture" in media:
    blocks.append(doc.media(media["picture"], "image/jpeg", track))
  return part((f"{one['genre']} ", doc.small(code(track))), *blocks)


def _groups(facts: Mapping, genres: Sequence[str]) -> Iterator[doc.Block]:
  """Each group of measures; a histogram of each measure that varies."""
  for group, (heading, lead) in KINDS[facts["kind"]][1].items():
    varying, steady = [], []
    for name, measure in facts["measures"].items():
      overall = facts["statistics"][name]["all"]
      if measure["group"] != group:
        continue
      if overall["min"] != overall["max"]:
        varying.append(name)
        continue
      value = f"{measure['label']} {three(overall['min'])} {measure['unit']}"
      steady.append(value.strip())
    blocks: list[Any] = []
    if varying:
      blocks = [
        side(*[_ridges(facts, name, genres) for name in varying], css="three"),
        text(
          "In each genre its own tallest bar is as high as the row: compare"
          " shapes and places, not heights. The line is the median. The"
          " outermost bars include what lies beyond them (1 % of all tracks on"
          " either side).",
          "caption",
        ),
      ]
      if group == "more":
        title = f"Histograms of these {len(varying)}"
        blocks = [*_medians(facts, varying), doc.details(title, *blocks)]
      elif group == "length":
        blocks += itertools.chain(*(_extremes(facts, name) for name in varying))
      else:
        blocks += _medians(facts, varying)
    same = steady and f"The same in every track: {', '.join(steady)}."
    yield part(heading, lead, same, *blocks)


def _ridges(facts: Mapping, name: str, genres: Sequence[str]) -> doc.Block:
  label, unit, _ = facts["measures"][name].values()
  alt = f"Histogram of {label} in each genre"
  values = (facts["statistics"][name], genres, label, unit)
  return doc.figure(f"m-{name}", alt, figures.ridges, *values)


def _medians(facts: Mapping, names: Sequence[str]) -> list[doc.Block]:
  rows = []
  for name in names:
    one, measure = facts["statistics"][name], facts["measures"][name]
    share = one["between"]
    rows.append(
      [
        (f"{measure['label']} ", doc.small(measure["unit"])),
        "–" if share is None else f"{100 * share:.0f} %",
        doc.bold(three(one["all"]["median"])),
        *map(_median, one["genres"].values()),
      ]
    )
  note = (
    "Between genres: how much of the variance over tracks lies between the"
    " genres' means, 100 % where a genre is one value."
  )
  head = ("Median", "Between genres", "All", *facts["genres"])
  return [*_table(head, rows, "lr"), text(note, "caption")]


def _median(of: Mapping) -> doc.Mark:
  """The median, with the other numbers as a tooltip."""
  low, high, mean, std = (three(of[k]) for k in ("min", "max", "mean", "std"))
  note = f"n {of['n']}, {low} to {high}, mean {mean} ± {std}"
  return doc.Mark("plain", three(of["median"]), note)


def _extremes(facts: Mapping, name: str) -> list[doc.Block]:
  keys = ("min", "median", "max", "mean")
  head, show = ("Least", "Median", "Most", "Mean"), three
  if name == "seconds":
    head, show = ("Shortest", "Median", "Longest", "Mean"), "{:.1f}".format
  if unit := facts["measures"][name]["unit"]:
    head = tuple(f"{end}, {unit}" for end in head)
  of_genres = facts["statistics"][name]["genres"].items()
  rows = [
    (genre, *(show(of[k]) if of["n"] else "–" for k in keys))
    for genre, of in of_genres
  ]
  return _table(("Genre", *head), rows, "lr")


def _correlation(facts: Mapping) -> doc.Block:
  names, matrix = facts["correlation"]["names"], facts["correlation"]["matrix"]
  labels = [facts["measures"][name]["label"] for name in names]
  pairs = sorted(
    itertools.combinations(range(len(names)), 2),
    key=lambda pair: -abs(matrix[pair[1]][pair[0]]),
  )
  rows = [
    (labels[j], labels[i], f"{matrix[j][i]:+.2f}".replace("-", "−"))
    for i, j in pairs[:MOST_PAIRS]
  ]
  alt = "Correlation of each pair of measures"
  drawing = (figures.correlation, labels, matrix)
  key = [("", "rise together"), ("warm", "one falls as the other rises")]
  return part(
    "Correlation",
    "Pearson's correlation of each pair over the tracks. Highly correlated"
    " measures carry the same information; those that never vary are left"
    " out. The stronger the colour, the closer to ±1.",
    doc.figure("correlation", alt, *drawing, css="square"),
    doc.key(key),
    part("The closest pairs", *_table(("One", "Other", "r"), rows, "llr")),
  )


def _replicas(facts: Mapping) -> doc.Block:
  duplicates = facts["duplicates"]
  genre_of = {row["id"]: row["genre"] for row in facts["tracks"]}
  lead = "No two tracks have the same content to the last bit."
  if duplicates["groups"]:
    lead = "Tracks whose content is the same to the last bit."
  lead += " Other excerpts, codings or versions of a recording are not found."
  if number_of_pairs := duplicates["published"]:
    lead += f" Pairs published as replicas that are at hand: {number_of_pairs}"
    pairs = [" and ".join(pair) for pair in duplicates["not_identical"]]
    if pairs:
      lead += f"; {len(pairs)} not the same to the last bit: {', '.join(pairs)}"
    lead += "."
  rows = [
    (code(" = ".join(ids)), ", ".join(sorted({genre_of[name] for name in ids})))
    for ids in duplicates["groups"]
  ]
  listed = rows and _table(("Tracks", "Genres"), rows, most=MOST_ROWS)
  return part("Replicas", lead, *listed)


def _lists(facts: Mapping) -> doc.Block:
  rows = [
    (name, split, of["listed"], of["at_hand"], of["listed"] - of["at_hand"])
    for name, splits in facts["lists"].items()
    for split, of in splits.items()
  ]
  listed = any(at_hand for *_, at_hand, _ in rows)
  lead = "No published list has a track of this corpus."
  if listed:
    lead = "How many tracks of each list can be read here."
  partition = [
    (genre, *(row["partitions"][name] for name in PARTITIONS))
    for genre, row in facts["balance"].items()
  ]
  head = ("List", "Split", "Listed", "At hand", "Missing")
  return part(
    "Published lists",
    f"{lead} The partition is what the prepared data is filed by; tracks that"
    " it does not list are unlisted.",
    *(_table(head, rows, "llr") if listed else ()),
    part(
      "Partition by genre", *_table(("Genre", *PARTITIONS), partition, "lr")
    ),
  )


def _faults(facts: Mapping) -> Iterator[doc.Block]:
  if faults := facts["faults"]:
    rows = [(code(row["track"]), row["fault"]) for row in faults]
    yield part(
      "Faults",
      "Tracks that can be read and should be checked: values that are not"
      " finite, nothing but one level, more than half silent, more than 1 %"
      " clipped.",
      *_table(("Track", "Fault"), rows, most=MOST_ROWS),
    )
  if skipped := facts["skipped"]:
    whole = number(len(facts["tracks"]) + len(skipped))
    rows = [
      (code(row["track"]), row["genre"], row["reason"]) for row in skipped
    ]
    yield part(
      "Unreadable",
      f"{number(len(skipped))} of {whole} tracks could not be read; nothing"
      " else on this page counts them.",
      *_table(("Track", "Genre", "Reason"), rows, most=MOST_ROWS),
    )
