"""leak.md and leak.png: the accuracies of a leak study, and its differences."""

from collections.abc import Iterator, Mapping
from typing import Any

from matplotlib.figure import Figure

from gtzan_jax.reports import document as doc
from gtzan_jax.reports import figures, plot_style, report
from gtzan_jax.reports.document import code, points
from gtzan_jax.reports.plot_style import PALETTE
from gtzan_jax.scores import compare

FILE = "leak.md"
FEWEST = 5  # artists behind an interval that is shown
LEVELS = ("track", "segment")
# What stands in the train split of an arm in place of another track's segments.
WORDS = {
  "clean": "nothing",
  "tracks": "the tested tracks' other segments",
  "artists": "other tracks by the tested artists",
}


def document(found: Mapping) -> doc.Document:
  """The page of what `leak.measure` returned."""
  seeds = ", ".join(map(str, found["seeds"]))
  rows = [*found["arms"].values(), *found["protocols"]]
  commits = sorted({commit for row in rows for commit in row["commits"]})
  note: Any = (
    "No arm can leak here: there is nothing to compare with ",
    *(code("clean"), "."),
  )
  if found["differences"]:
    note = (
      "A difference is to the clean arm, in points, and of those tested tracks"
      " alone that the arm leaks. The last column is the difference on the"
      " tested tracks that it does not leak: what else the arm changed, as more"
      " artists to learn from."
    )
  return doc.Document(
    f"Leak study: {found['recipe']} on {found['corpus']}",
    [
      f"Tested are the same {found['segments']} segments of {found['tracks']}"
      f" tracks by {found['clusters']} artists ({found['split']} split) in"
      " every arm, after training on as many segments of every genre; seeds"
      f" {seeds}. Accuracies in per cent, mean ± standard deviation over"
      " seeds; in brackets the 95 % interval of the mean, a bootstrap over"
      " artists (tracks, where an artist is not known).",
      (found["differences"] or found["protocols"])
      and doc.figure("leak", "accuracies and differences", picture, found),
      _arms(found),
      note,
      tuple(_notes(found)),
      *_protocols(found),
      doc.items(
        f"Measured by the code of {', '.join(commits)} on data"
        f" {found['data_fingerprint'][:8]}.",
        *(f"Left out: {why}." for why in found["left_out"].values()),
        *(
          (code(name), " has the same segments as ", code(twin), " here.")
          for name, twin in found["same"].items()
        ),
      ),
    ],
  )


def _notes(found: Mapping) -> Iterator[Any]:
  clean = found["arms"]["clean"]
  if both := found["tracks_over_artists"]:
    yield f"On the {_tracks(both)} that both leak, "
    yield from (code("tracks"), f" has {_points(both['track'])} over ")
    yield from (code("artists"), ", in tracks. ")
  if found["split"] != "test":
    yield f"No test tracks at hand: the {found['split']} split also chose the"
    yield " checkpoints, in all arms alike. "
  if report.artists_decide(clean):
    met = clean["known_artists"]
    yield doc.bold(report.MOSTLY.capitalize())
    yield f": {met['tracks']} of {met['of']} tested tracks are by artists of"
    yield " the train split, in every arm. "
  if found["untested"]:
    yield f"No track of {', '.join(found['untested'])} is tested. "
  if found["clusters"] < FEWEST:
    yield f"Warning: {found['clusters']} artists are too few for an interval. "
  if found["alike"]:
    yield "All seeds gave the same predictions, so that ± 0.0 is of one fit:"
    yield " the recipe has no randomness. "
  if found["corpus"] == "synthetic":
    yield "The synthetic corpus: these are no numbers of GTZAN. "


def _arms(found: Mapping) -> doc.Block:
  rows = []
  for name, arm in found["arms"].items():
    row = [code(name), WORDS[name], doc.number(arm["n_train"]), _met(arm)]
    row += [compare.as_text(arm[level]) for level in LEVELS]
    if change := found["differences"].get(name):
      other = change["untouched"]
      row += [change["track"]["n"], *(_points(change[x]) for x in LEVELS)]
      row.append(_points(other["track"]) if other else "–")
    rows.append(row if change else [*row, "–", "–", "–", "–"])
  head = ("arm", "swapped in for other tracks", "train segments")
  head += ("by artists met", "track accuracy", "segment accuracy", "of tracks")
  head += ("track difference", "segment difference", "of the other tracks")
  return doc.table(head, rows)


def _protocols(found: Mapping) -> Iterator[Any]:
  protocols = found["protocols"]
  if not protocols:
    return
  note = (
    " Where half of the tracks or more are by artists met, that is"
    f" {report.MOSTLY}."
  )
  yield (
    "Protocols as they stand, with as many train segments each. Each tests"
    " other tracks, so these accuracies differ by more than by leaks."
    + note
    * any(map(report.artists_decide, protocols))
  )
  rows = [
    (
      code(one["protocol"]),
      _LEAKS[_kind(one)],
      doc.number(one["n_train"]),
      f"{one['tracks']} tracks ({one['split']})",
      _met(one),
      len(one["seeds"]),
      *(compare.as_text(one[level]) for level in LEVELS),
    )
    for one in protocols
  ]
  head = ("protocol", "leaks", "train segments", "tested", "by artists met")
  yield doc.table((*head, "seeds", "track accuracy", "segment accuracy"), rows)


def _points(change: Mapping) -> str:
  found = points(change["difference"])
  if change["clusters"] < FEWEST:
    return f"{found} (artists: {change['clusters']})"
  return f"{found} [{', '.join(map(points, change['ci95']))}]"


def _kind(one: Mapping) -> str:
  """A key of _LEAKS, and its colour."""
  if one["leak"]:
    return "warm"
  return "middle" if report.artists_decide(one) else "accent"


_LEAKS = {"warm": "yes", "middle": "artists", "accent": "no"}


def _met(one: Mapping) -> str:
  """How many of the tested tracks are by artists of the train split."""
  met = one["known_artists"]
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


def picture(found: Mapping) -> Figure:
  """Track accuracies and differences, each with its 95 % interval."""
  beside = found["protocols"]
  drawn = [_draw_arms, _draw_differences] if found["differences"] else []
  drawn += [_draw_protocols] if beside else []
  with plot_style.style():
    figure = plot_style.new_figure(
      4.2 * len(drawn), 1.4 + 0.36 * max(4, len(beside))
    )
    panels = figure.subplots(1, len(drawn), squeeze=False)[0]
    for axes, draw in zip(panels, drawn, strict=True):
      axes.set_title(draw(axes, found), pad=10)
  return figure


# Each draws a panel and returns its title.


def _draw_arms(axes, found: Mapping) -> str:
  arms = found["arms"]
  rows = [(_LABELS[k], _kind(arm), arm["track"]) for k, arm in arms.items()]
  figures.accuracies(axes, rows)
  met = f"\n({report.MOSTLY})" * report.artists_decide(arms["clean"])
  return f"{found['recipe']}\nThe same {found['tracks']} tracks{met}"


def _draw_protocols(axes, found: Mapping) -> str:
  rows = [
    (one["protocol"], _kind(one), one["track"]) for one in found["protocols"]
  ]
  order = [*reversed(_LEAKS)]
  figures.accuracies(axes, sorted(rows, key=lambda row: order.index(row[1])))
  size = found["protocols"][0]["n_train"]
  met = any(kind == "middle" for _, kind, _ in rows)
  pale = f"\n(pale: {report.MOSTLY})" * met
  return f"Protocols, {size:,} train segments{pale}"


def _draw_differences(axes, found: Mapping) -> str:
  axes.axvline(0, color=PALETTE["muted"], linewidth=1)
  labels, ends = [], [0.0, 0.1]
  for y, (name, one) in enumerate(found["differences"].items()):
    change = one["track"]
    text = points(change["difference"])
    drawn = change["ci95"] if change["clusters"] >= FEWEST else []
    plot_style.interval(axes, y, change["difference"], drawn, "warm", text)
    labels.append(f"{_LABELS[name]}\n({_tracks(one)})")
    ends += change["ci95"]
  axes.set_xlim(min(ends) - 0.03, max(ends) + 0.03)
  axes.xaxis.set_major_formatter(lambda x, _: f"{100 * x:+.0f}" if x else "0")
  axes.set_xlabel("points above clean, 95 % interval")
  plot_style.name_rows(axes, labels)
  return "What the leak is worth"
