"""explore.html: one self-contained page drawn from the facts of a survey.

Pictures, sound and style are inline and there is no script. Names come from
whoever made the corpus: everything is escaped.
"""

import warnings
from collections.abc import Iterator, Mapping, Sequence

from markupsafe import Markup

from gtzan_jax.reports import style as plots
from gtzan_jax.reports.page import templates
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
        "How it sounds",
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
        "How it sounds",
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


def render(facts: Mapping) -> str:
  """The page as text, below 6 MB.

  Pictures show the first 20 genres, tables that may be as long as the corpus
  200 rows.

  Args:
    facts: from `explore.survey`.
  """
  environment = templates()
  environment.filters.update(number=_number, duration=_duration)
  genre_of = {row["id"]: row["genre"] for row in facts["tracks"]}
  genres = facts["genres"][:SHOWN]
  with warnings.catch_warnings():
    # A browser has letters that matplotlib's font lacks.
    warnings.filterwarnings("ignore", "Glyph .* missing from font")
    pictures = {
      "groups": list(_groups(facts, genres)),
      "examples": [_example(i, one) for i, one in enumerate(facts["examples"])],
      **_overview(facts, genres),
    }
  return environment.get_template("explore.html.jinja").render(
    facts=facts,
    kind=KINDS[facts["kind"]][0],
    genres=genres,
    most=MOST_ROWS,
    partitions=PARTITIONS,
    seconds=_seconds(facts),
    artists=_artists(facts),
    spare=sum(len(ids) - 1 for ids in facts["duplicates"]["groups"]),
    replicas=[
      (ids, sorted({genre_of[name] for name in ids}))
      for ids in facts["duplicates"]["groups"]
    ],
    listed=any(
      part["at_hand"] for of in facts["lists"].values() for part in of.values()
    ),
    pairs=_pairs(_labels(facts), facts["correlation"]["matrix"]),
    **pictures,
  )


def _overview(facts: Mapping, genres: Sequence[str]) -> dict[str, Markup]:
  balance = {genre: facts["balance"][genre] for genre in genres}
  drawn = {
    "tracks": (figures.tracks(balance), "Tracks of each genre"),
    "shares": (
      figures.artists(balance),
      "Share of each artist in the tracks of each genre",
    ),
  }
  if facts["correlation"]["names"]:
    labels = _labels(facts)
    drawn["correlation"] = (
      figures.correlation(labels, facts["correlation"]["matrix"]),
      "Correlation of each pair of measures",
    )
  return {"correlation": None} | {
    name: Markup(plots.inline_svg(figure, name, text))
    for name, (figure, text) in drawn.items()
  }


def _groups(facts: Mapping, genres: Sequence[str]) -> Iterator[dict]:
  """Each group of measures; a histogram of each measure that varies."""
  for group, (heading, lead) in KINDS[facts["kind"]][1].items():
    names = [
      name for name, one in facts["measures"].items() if one["group"] == group
    ]
    overall = {name: facts["statistics"][name]["all"] for name in names}
    steady = [n for n in names if overall[n]["min"] == overall[n]["max"]]
    varying = [name for name in names if name not in steady]
    yield {
      "name": group,
      "heading": heading,
      "lead": lead,
      "steady": [(facts["measures"][n], overall[n]["min"]) for n in steady],
      "varying": varying,
      "ridges": [_ridges(facts, name, genres) for name in varying],
    }


def _ridges(facts: Mapping, name: str, genres: Sequence[str]) -> Markup:
  measure = facts["measures"][name]
  figure = figures.ridges(
    facts["statistics"][name], genres, measure["label"], measure["unit"]
  )
  text = f"Histogram of {measure['label']} in each genre"
  return Markup(plots.inline_svg(figure, f"m-{name}", text))


def _example(index: int, one: Mapping) -> dict:
  """What is shown of one track: a drawing or a picture, and a player."""
  media = one["media"]
  drawing = None
  if "levels" in media:
    drawing = Markup(
      plots.inline_svg(
        figures.excerpt(media, one["start"], one["seconds"]),
        f"e{index}",
        f"Excerpt of {one['track']}",
      )
    )
  return {
    **one,
    "drawing": drawing,
    "sound": media.get("sound"),
    "picture": media.get("picture"),
  }


def _labels(facts: Mapping) -> list[str]:
  """Of the measures that are correlated."""
  names = facts["correlation"]["names"]
  return [facts["measures"][name]["label"] for name in names]


def _pairs(names: Sequence[str], matrix: Sequence[Sequence]) -> list[tuple]:
  """(r, one, other) of the pairs that go together most closely."""
  pairs = [
    (matrix[i][j], names[i], names[j])
    for i in range(len(names))
    for j in range(i)
  ]
  return sorted(pairs, key=lambda pair: -abs(pair[0]))[:MOST_PAIRS]


def _seconds(facts: Mapping) -> float | None:
  """All tracks together; None where the corpus does not say."""
  if "seconds" not in facts["measures"]:
    return None
  return sum(row["values"].get("seconds", 0) for row in facts["tracks"])


def _artists(facts: Mapping) -> int:
  known = {row["artist"] for row in facts["tracks"]} - {""}
  return len(known)


def _number(value: float | None) -> str:
  """12345 as 12,345; 0.123456 as 0.123; 1234567 as 1.2e6."""
  if value is None:
    return "–"
  size = abs(value)
  if size >= 1e5 or 0 < size < 1e-3:
    mantissa, exponent = f"{value:.1e}".split("e")
    text = f"{mantissa}e{int(exponent)}"
  else:
    text = f"{value:,.0f}" if size >= 1000 else f"{value:.3g}"
  return text.replace("-", "−")


def _duration(seconds: float) -> str:
  minutes, rest = divmod(round(seconds), 60)
  hours, minutes = divmod(minutes, 60)
  if hours:
    return f"{hours:,} h {minutes} min"
  return f"{minutes} min {rest} s" if minutes else f"{rest} s"
