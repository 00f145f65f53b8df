"""leak.md and leak.png: the accuracies of a leak study, and its differences."""

from collections.abc import Iterator, Mapping
from typing import Any

from matplotlib.figure import Figure

from gtzan_jax.reports import artist_note, figures, plot_style
from gtzan_jax.reports import document as doc
from gtzan_jax.reports.document import code, points
from gtzan_jax.reports.plot_style import PALETTE
from gtzan_jax.scores import paired_tests

FILE = "leak.md"
FEWEST = 5  # artists behind an interval that is shown
LEVELS = ("track", "segment")
# What stands in the train split of an arm in place of another track's segments.
WORDS = {
  "clean": "nothing",
  "tracks": "the tested tracks' other segments",
  "artists": "other tracks by the tested artists",
}


def document(facts: Mapping) -> doc.Document:
  """The page of what `leak.measure` returned."""
  seeds = ", ".join(map(str, facts["seeds"]))
  rows = [*facts["arms"].values(), *facts["protocols"]]
  commits = sorted({commit for row in rows for commit in row["commits"]})
  note: Any = (
    "No arm can leak here: there is nothing to compare with ",
    *(code("clean"), "."),
  )
  if facts["differences"]:
    note = (
      "A difference is to the clean arm, in points, and of those tested tracks"
      " alone that the arm leaks. The last column is the difference on the"
      " tested tracks that it does not leak: what else the arm changed, as more"
      " artists to learn from."
    )
  return doc.Document(
    f"Leak study: {facts['recipe']} on {facts['corpus']}",
    [
      f"Tested are the same {facts['segments']} segments of {facts['tracks']}"
      f" tracks by {facts['clusters']} artists ({facts['split']} split) in"
      " every arm, after training on as many segments of every genre; seeds"
      f" {seeds}. Accuracies in per cent, mean ± standard deviation over"
      " seeds; in brackets the 95 % interval of the mean, a bootstrap over"
      " artists (tracks, where an artist is not known).",
      (facts["differences"] or facts["protocols"])
      and doc.figure("leak", "accuracies and differences", picture, facts),
      _arms(facts),
      note,
      tuple(_notes(facts)),
      *_protocols(facts),
      doc.items(
        f"Measured by the code of {', '.join(commits)} on data"
        f" {facts['data_fingerprint'][:8]}.",
        *(f"Left out: {why}." for why in facts["left_out"].values()),
        *(
          (code(name), " has the same segments as ", code(twin), " here.")
          for name, twin in facts["same"].items()
        ),
      ),
    ],
  )


def _notes(facts: Mapping) -> Iterator[Any]:
  clean = facts["arms"]["clean"]
  if both := facts["tracks_over_artists"]:
    yield f"On the {_tracks(both)} that both leak, "
    yield from (code("tracks"), f" has {_points(both['track'])} over ")
    yield from (code("artists"), ", in tracks. ")
  if facts["split"] != "test":
    yield f"No test tracks at hand: the {facts['split']} split also chose the"
    yield " checkpoints, in all arms alike. "
  if artist_note.artists_decide(clean):
    met = clean["known_artists"]
    yield doc.bold(artist_note.MOSTLY.capitalize())
    yield f": {met['tracks']} of {met['of']} tested tracks are by artists of"
    yield " the train split, in every arm. "
  if facts["untested"]:
    yield f"No track of {', '.join(facts['untested'])} is tested. "
  if facts["clusters"] < FEWEST:
    yield f"Warning: {facts['clusters']} artists are too few for an interval. "
  if facts["alike"]:
    yield "All seeds gave the same predictions, so that ± 0.0 is of one fit:"
    yield " the recipe has no randomness. "
  if facts["corpus"] == "synthetic":
    yield "The synthetic corpus: these are no numbers of GTZAN. "


def _arms(facts: Mapping) -> doc.Block:
  rows = []
  for name, arm in facts["arms"].items():
    row = [code(name), WORDS[name], doc.number(arm["n_train"]), _met(arm)]
    row += [paired_tests.as_text(arm[level]) for level in LEVELS]
    if change := facts["differences"].get(name):
      other = change["untouched"]
      row += [change["track"]["n"], *(_points(change[x]) for x in LEVELS)]
      row.append(_points(other["track"]) if other else "–")
    rows.append(row if change else [*row, "–", "–", "–", "–"])
  head = ("arm", "swapped in for other tracks", "train segments")
  head += ("by artists met", "track accuracy", "segment accuracy", "of tracks")
  head += ("track difference", "segment difference", "of the other tracks")
  return doc.table(head, rows)


def _protocols(facts: Mapping) -> Iterator[Any]:
  protocols = facts["protocols"]
  if not protocols:
    return
  note = (
    " Where half of the tracks or more are by artists met, that is"
    f" {artist_note.MOSTLY}."
  )
  yield (
    "Protocols as they stand, with as many train segments each. Each tests"
    " other tracks, so these accuracies differ by more than by leaks."
    + note
    * any(map(artist_note.artists_decide, protocols))
  )
  rows = [
    (
      code(run["protocol"]),
      _LEAKS[_kind(run)],
      doc.number(run["n_train"]),
      f"{run['tracks']} tracks ({run['split']})",
      _met(run),
      len(run["seeds"]),
      *(paired_tests.as_text(run[level]) for level in LEVELS),
    )
    for run in protocols
  ]
  head = ("protocol", "leaks", "train segments", "tested", "by artists met")
  yield doc.table((*head, "seeds", "track accuracy", "segment accuracy"), rows)


def _points(change: Mapping) -> str:
  text = points(change["difference"])
  if change["clusters"] < FEWEST:
    return f"{text} (artists: {change['clusters']})"
  return f"{text} [{', '.join(map(points, change['ci95']))}]"


def _kind(run: Mapping) -> str:
  """A key of _LEAKS, and its colour."""
  if run["leak"]:
    return "warm"
  return "middle" if artist_note.artists_decide(run) else "accent"


_LEAKS = {"warm": "yes", "middle": "artists", "accent": "no"}


def _met(run: Mapping) -> str:
  """How many of the tested tracks are by artists of the train split."""
  met = run["known_artists"]
  return f"{met['tracks']} of {met['of']}" if met else "–"


def _tracks(change: Mapping) -> str:
  n = change["track"]["n"]
  return f"{n} track" if n == 1 else f"{n} tracks"


# The picture: accuracies of the arms, what their leak is worth, the protocols.

_LABELS = {
  "clean": "clean",
  "tracks": "+ the tracks'\nother segments",
  "artists": "+ the artists'\nother tracks",
}


@plot_style.style()
def picture(facts: Mapping) -> Figure:
  """Track accuracies and differences, each with its 95 % interval."""
  beside = facts["protocols"]
  drawn = [_draw_arms, _draw_differences] if facts["differences"] else []
  drawn += [_draw_protocols] if beside else []
  figure = plot_style.new_figure(
    4.2 * len(drawn), 1.4 + 0.36 * max(4, len(beside))
  )
  panels = figure.subplots(1, len(drawn), squeeze=False)[0]
  for axes, draw in zip(panels, drawn, strict=True):
    axes.set_title(draw(axes, facts), pad=10)
  return figure


# Each draws a panel and returns its title.


def _draw_arms(axes, facts: Mapping) -> str:
  arms = facts["arms"]
  rows = [(_LABELS[k], _kind(arm), arm["track"]) for k, arm in arms.items()]
  figures.accuracies(axes, rows)
  met = f"\n({artist_note.MOSTLY})" * artist_note.artists_decide(arms["clean"])
  return f"{facts['recipe']}\nThe same {facts['tracks']} tracks{met}"


def _draw_protocols(axes, facts: Mapping) -> str:
  rows = [
    (run["protocol"], _kind(run), run["track"]) for run in facts["protocols"]
  ]
  order = [*reversed(_LEAKS)]
  figures.accuracies(axes, sorted(rows, key=lambda row: order.index(row[1])))
  size = facts["protocols"][0]["n_train"]
  met = any(kind == "middle" for _, kind, _ in rows)
  pale = f"\n(pale: {artist_note.MOSTLY})" * met
  return f"Protocols, {size:,} train segments{pale}"


def _draw_differences(axes, facts: Mapping) -> str:
  axes.axvline(0, color=PALETTE["muted"], linewidth=1)
  labels, ends = [], [0.0, 0.1]
  for y, (name, levels) in enumerate(facts["differences"].items()):
    change = levels["track"]
    text = points(change["difference"])
    drawn = change["ci95"] if change["clusters"] >= FEWEST else []
    plot_style.interval(axes, y, change["difference"], drawn, "warm", text)
    labels.append(f"{_LABELS[name]}\n({_tracks(levels)})")
    ends += change["ci95"]
  axes.set_xlim(min(ends) - 0.03, max(ends) + 0.03)
  axes.xaxis.set_major_formatter(lambda x, _: f"{100 * x:+.0f}" if x else "0")
  axes.set_xlabel("points above clean, 95 % interval")
  plot_style.name_rows(axes, labels)
  return "What the leak is worth"
