"""leak.md and leak.png: what a leak meter measured, to be read and seen."""

import pathlib
from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure

from gtzan_jax import atomic
from gtzan_jax.reports import markdown, page
from gtzan_jax.reports import style as plots
from gtzan_jax.reports.style import PALETTE
from gtzan_jax.scores import compare

FILE = "leak.md"
FEWEST = 5  # artists behind an interval that is shown
# What stands in the train part of an arm in place of another track's segments.
WORDS = {
  "clean": "nothing",
  "tracks": "the tested tracks' other segments",
  "artists": "other tracks by the tested artists",
}


def write(found: Mapping, folder: pathlib.Path) -> str:
  """Writes leak.md and leak.png; returns the text of leak.md.

  Args:
    found: from `leak.measure`.
    folder: where to.
  """
  said = as_markdown(found)
  atomic.write(folder / FILE, said)
  plots.save_png(picture(found), folder / "leak.png")
  return said


def as_markdown(found: Mapping) -> str:
  """The tables, with columns wide enough to be read as they are."""
  lines = [
    f"# Leak meter: {found['recipe']} on {found['corpus']}",
    "",
    f"Tested are the same {found['segments']} segments of {found['tracks']}"
    f" tracks by {found['clusters']} artists ({found['split']} part) in every"
    " arm, after training on as many segments of every genre; seeds"
    f" {', '.join(map(str, found['seeds']))}. Accuracies in per cent, mean ±"
    " standard deviation over seeds; in brackets the 95 % interval of the mean,"
    " a bootstrap over artists (tracks, where an artist is not known).",
    "",
    _arms(found),
    "",
    "A difference is to the clean arm, in points, and of those tested tracks"
    " alone that the arm leaks. The last column is the difference on the tested"
    " tracks that it does not leak: what else the arm changed, as more artists"
    " to learn from."
    if found["differences"]
    else "No arm can leak here: there is nothing to compare with `clean`.",
    *_notes(found),
  ]
  if found["protocols"]:
    lines += [
      "",
      "Protocols as they stand, with as many train segments each. Each tests"
      " other tracks, so these accuracies differ by more than by leaks."
      + (
        " Where half of the tracks or more are by artists met, that is"
        f" {page.MOSTLY}."
        if any(map(page.artists_decide, found["protocols"]))
        else ""
      ),
      "",
      _protocols(found),
    ]
  lines += ["", f"- {_provenance(found)}"]
  lines += [f"- Left out: {why}." for why in found["left_out"].values()]
  lines += [
    f"- `{name}` comes to the same segments as `{twin}` here."
    for name, twin in found["same"].items()
  ]
  return "\n".join(lines) + "\n"


def _provenance(found: Mapping) -> str:
  rows = [*found["arms"].values(), *found["protocols"]]
  commits = sorted({one for row in rows for one in row["commits"]})
  return (
    f"Measured by the code of {', '.join(commits)} on data"
    f" {found['data_fingerprint'][:8]}."
  )


def _notes(found: Mapping) -> list[str]:
  said = []
  if both := found["tracks_over_artists"]:
    said.append(
      f"On the {_tracks(both)} that both leak, `tracks` has"
      f" {_points(both['track'])} over `artists`, in tracks."
    )
  if found["split"] != "test":
    said.append(
      f"No test tracks at hand: the {found['split']} part also chose the"
      " checkpoints, in all arms alike."
    )
  if page.artists_decide(found["arms"]["clean"]):
    met = found["arms"]["clean"]["known_artists"]
    said.append(
      f"**{page.MOSTLY.capitalize()}**: {met['tracks']} of {met['of']} tested"
      " tracks are by artists of the train part, in every arm."
    )
  if found["untested"]:
    said.append(f"No track of {', '.join(found['untested'])} is tested.")
  if found["clusters"] < FEWEST:
    said.append(
      f"Beware: of {found['clusters']} artists no interval means anything."
    )
  if found["alike"]:
    said.append(
      "All seeds answered alike, so that ± 0.0 is of one fit: the recipe has no"
      " chance in it."
    )
  if found["corpus"] == "synthetic":
    said.append("The synthetic corpus: these are no numbers of GTZAN.")
  return ["", " ".join(said)] if said else []


def _arms(found: Mapping) -> str:
  head = (
    "arm",
    "swapped in for other tracks",
    "train segments",
    "by artists met",
    "track accuracy",
    "segment accuracy",
    "of tracks",
    "track difference",
    "segment difference",
    "of the other tracks",
  )
  rows = []
  for name, arm in found["arms"].items():
    change = found["differences"].get(name)
    rows.append(
      (
        f"`{name}`",
        WORDS[name],
        f"{arm['n_train']:,}",
        _met(arm),
        *(compare.said(arm[level]) for level in ("track", "segment")),
        str(change["track"]["n"]) if change else "–",
        *(
          _points(change[level]) if change else "–"
          for level in ("track", "segment")
        ),
        _points(change["untouched"]["track"])
        if change and change["untouched"]
        else "–",
      )
    )
  return markdown.table(head, rows)


def _protocols(found: Mapping) -> str:
  head = (
    "protocol",
    "leaks",
    "train segments",
    "tested",
    "by artists met",
    "seeds",
    "track accuracy",
    "segment accuracy",
  )
  rows = []
  for one in found["protocols"]:
    rows.append(
      (
        f"`{one['protocol']}`",
        _LEAKS[_kind(one)],
        f"{one['n_train']:,}",
        f"{one['tracks']} tracks ({one['split']})",
        _met(one),
        str(len(one["seeds"])),
        *(compare.said(one[level]) for level in ("track", "segment")),
      )
    )
  return markdown.table(head, rows)


def _points(change: Mapping) -> str:
  found = f"{100 * change['difference']:+z.1f}"
  if change["clusters"] < FEWEST:
    return f"{found} (artists: {change['clusters']})"
  low, high = (f"{100 * x:+z.1f}" for x in change["ci95"])
  return f"{found} [{low}, {high}]"


def _kind(one: Mapping) -> str:
  """A key of _LEAKS, and a colour of the picture."""
  if one["leak"]:
    return "warm"
  return "middle" if page.artists_decide(one) else "accent"


_LEAKS = {"warm": "yes", "middle": "artists", "accent": "no"}


def _met(one: Mapping) -> str:
  """How many of the tested tracks are by artists of the train part."""
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
  with plots.style():
    figure = plots.new_figure(
      4.2 * len(drawn), 1.4 + 0.36 * max(4, len(beside))
    )
    panels = figure.subplots(1, len(drawn), squeeze=False)[0]
    for axes, draw in zip(panels, drawn, strict=True):
      draw(axes, found)
  return figure


def _draw_arms(axes, found: Mapping) -> None:
  rows = [
    (_LABELS[name], _kind(arm), arm["track"])
    for name, arm in found["arms"].items()
  ]
  _accuracies(axes, rows)
  title = f"{found['recipe']}\nThe same {found['tracks']} tracks"
  if page.artists_decide(found["arms"]["clean"]):
    title += f"\n({page.MOSTLY})"
  axes.set_title(title, pad=10)


def _draw_protocols(axes, found: Mapping) -> None:
  rows = [
    (one["protocol"], _kind(one), one["track"]) for one in found["protocols"]
  ]
  order = [*reversed(_LEAKS)]
  _accuracies(axes, sorted(rows, key=lambda row: order.index(row[1])))
  size = found["protocols"][0]["n_train"]
  title = f"Protocols, {size:,} train segments"
  if any(kind == "middle" for _, kind, _ in rows):
    title += f"\n(pale: {page.MOSTLY})"
  axes.set_title(title, pad=10)


def _draw_differences(axes, found: Mapping) -> None:
  axes.axvline(0, color=PALETTE["muted"], linewidth=1)
  labels, ends = [], [0.0, 0.1]
  for y, (name, one) in enumerate(found["differences"].items()):
    change = one["track"]
    text = f"{100 * change['difference']:+z.1f}"
    drawn = change["ci95"] if change["clusters"] >= FEWEST else []
    plots.interval(axes, y, change["difference"], drawn, "warm", text)
    labels.append(f"{_LABELS[name]}\n({_tracks(one)})")
    ends += change["ci95"]
  axes.set_xlim(min(ends) - 0.03, max(ends) + 0.03)
  axes.xaxis.set_major_formatter(lambda x, _: f"{100 * x:+.0f}" if x else "0")
  axes.set_xlabel("points above clean, 95 % interval")
  plots.name_rows(axes, labels)
  axes.set_title("What the leak is worth", pad=10)


def _accuracies(axes, rows: Sequence[tuple[str, str, Mapping]]) -> None:
  for y, (_, colour, level) in enumerate(rows):
    text = f"{100 * level['accuracy']:.1f}"
    plots.interval(axes, y, level["accuracy"], level["ci95"], colour, text)
  axes.set_xlim(0, 1)
  plots.percent(axes.xaxis)
  axes.set_xlabel("track accuracy, 95 % interval")
  plots.name_rows(axes, [name for name, _, _ in rows])
