"""The leaderboard: the report.json files of many runs, as tables.

Runs that differ in nothing but the seed are one row: mean and standard
deviation. Rows stand in one table where the same tracks were scored, cut by the
same protocol, of the same corpus. Other music that runs were tested on has a
table for each collection, which names it. Tables of leaking protocols say so,
and those of the synthetic corpus stand apart. Beside our figures stands what
the source projects publish. The same reports give the same bytes, in any
order.
"""

import collections
import fnmatch
import json
import os
import pathlib
import statistics
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from gtzan_jax import atomic, errors, provenance
from gtzan_jax.ranges import flatten
from gtzan_jax.reports import fold_tables, leaderboard_page, page
from gtzan_jax.reports.published import PUBLISHED
from gtzan_jax.reports.report import REPORT_FILE, read, trained_on

FILE = "leaderboard.md"
# Keys of the config that do not make another experiment: the seed, what the
# recipe, the protocol and the data fingerprint say already, and what only
# decides how much is logged, kept in memory or resampled.
SAME = (
  *("recipe", "seed", "data.path", "data.protocol", "data.dir"),
  *("data.cache_mb", "eval.", "log."),
)


class Spread(NamedTuple):
  """Mean over runs, and their standard deviation (n - 1); None for one run."""

  mean: float
  deviation: float | None


def find(paths: Iterable[str | os.PathLike]) -> list[pathlib.Path]:
  """Every report.json in these folders, at any depth; each once.

  Raises:
    InputError: no path, one that does not exist, or one without a report.
  """
  found = {}
  for path in map(pathlib.Path, paths):
    if not path.exists():
      raise errors.InputError(f"{path} does not exist: give folders of runs")
    files = [path] if path.is_file() else below(path, REPORT_FILE)
    if not files:
      raise errors.InputError(
        f"{path} holds no {REPORT_FILE} at any depth: give folders of runs that"
        " ended"
      )
    found |= {file.resolve(): file for file in files}
  if not found:
    raise errors.InputError(
      "no run given: give workdirs or folders with workdirs, docs/results for"
      " one"
    )
  return list(found.values())


def below(folder: pathlib.Path, pattern: str) -> list[pathlib.Path]:
  """Files of a folder at any depth, by a pattern of their names, in order.

  Raises:
    InputError: a folder that cannot be listed, of whose files nobody knows.
  """

  def refuse(error: OSError) -> None:
    raise errors.InputError(
      f"{errors.shown(error.filename)} cannot be listed: {error.strerror}"
    )

  return sorted(
    pathlib.Path(top, name)
    for top, _, names in os.walk(folder, onerror=refuse)
    for name in fnmatch.filter(names, pattern)
  )


def build(reports: Iterable[Mapping]) -> list[dict]:
  """The tables of a leaderboard as plain values.

  Args:
    reports: from `report.read`. One that equals another but for its seconds is
      a copy and counts once.

  Returns:
    one dict a table: corpus, source, protocol, fold ("fold 0", or "all folds"
    of a whole cross-validation, whose folds are pooled; None of protocols that
    have none), single_fold (whether it is one of several), collection (of an
    external test: its name and fingerprint, else None), leak, split (its
    headline part), n (tracks scored), synthetic, artists_decide (most of them
    are by artists of the train part), notes (sentences) and rows, the best
    first. A row has recipe, settings (in which
    it differs from other rows of its recipe), seeds, track, macro_f1, segment
    (Spreads), parameters, seconds (mean), commits, data (fingerprint of what
    was learnt from) and published (a Published or None).
  """
  tables = collections.defaultdict(list)
  scored = [one for one in _distinct(reports) if one["headline"] is not None]
  for one in fold_tables.pooled(scored):
    tables[_table_key(one)].append(_named(one))
  return [_table(tables[key]) for key in sorted(tables)]


def _distinct(reports: Iterable[Mapping]) -> list[Mapping]:
  """Without copies; of those that differ in their seconds the fastest stays."""
  by_content = {
    json.dumps({**one, "seconds": 0}, sort_keys=True): one
    for one in sorted(reports, key=lambda one: -one["seconds"])
  }
  return list(by_content.values())


def _named(one: Mapping) -> Mapping:
  """An external test is of a trained run: what it was trained on names it."""
  if "external" not in one or "members" in one["config"]:
    return one
  data = {"path": None, "protocol": "split unknown"}
  data |= one["config"].get("data", {})
  music = pathlib.Path(data["path"]).name if data["path"] else "synthetic"
  name = f"{one['recipe']} trained on {music}, {data['protocol']}"
  return {**one, "recipe": name}


def _headline(one: Mapping) -> Mapping:
  return one["splits"][one["headline"]]


def _table_key(one: Mapping) -> tuple:
  """Honest tables first, then leaking ones, then those of synthetic music."""
  return (
    one["corpus"] == "synthetic",
    one["leak"] or "",
    one["corpus"],
    one["source"],
    one["protocol"],
    fold_tables.fold(one) or "",
    one["headline"],
    _headline(one)["sha256"] or "",
    one["data_fingerprint"] if "external" in one else "",
  )


def _table(reports: list[Mapping]) -> dict:
  first = reports[0]
  groups = collections.defaultdict(list)
  for one in reports:
    settings = experiment(one)
    key = (one["recipe"], json.dumps(settings, sort_keys=True))
    groups[key].append(one)
  rows = [
    _row(group, _varying(recipe, groups))
    for (recipe, _), group in groups.items()
  ]
  rows.sort(
    key=lambda row: (-row["track"].mean, row["recipe"], str(row["settings"]))
  )
  artists, fold = _artists(reports), fold_tables.fold(first)
  return {
    **{key: first[key] for key in ("corpus", "source", "protocol", "leak")},
    "fold": fold,
    "single_fold": fold not in (None, fold_tables.ALL),
    "collection": _collection(reports),
    "split": first["headline"],
    "n": _headline(first)["track"]["n"],
    "synthetic": first["corpus"] == "synthetic",
    "artists_decide": page.artists_decide(artists),
    "notes": _notes(first, artists),
    "rows": rows,
  }


def _collection(reports: list[Mapping]) -> str | None:
  """What runs were tested on: the names that it went by, and what it is."""
  if "external" not in reports[0]:
    return None
  paths = {one["external"]["path"] for one in reports}
  names = {pathlib.Path(p).name or p if p else "synthetic" for p in paths}
  fingerprint = reports[0]["data_fingerprint"][:8]
  return f"{' or '.join(sorted(names))} ({fingerprint})"


def _artists(reports: list[Mapping]) -> Mapping:
  """The headline that has most tracks by artists of its train part."""
  return max(
    map(_headline, reports),
    key=lambda split: (split["known_artists"] or {"tracks": -1})["tracks"],
  )


def _notes(one: Mapping, artists: Mapping) -> list[str]:
  """What a reader of these numbers has to know beside a leak."""
  said = []
  if one["headline"] != "test":
    said.append(
      f"No test tracks at hand: the {one['headline']} part also chose the"
      " checkpoints, so expect somewhat less on unseen tracks."
    )
  if missing := _headline(one)["missing"]:
    said.append(f"{missing} tracks of this part are missing from the corpus.")
  if note := page.artist_note(one["headline"], artists):
    said.append(note)
  if one["source"] == "archive":
    said.append("The log-mel archive has a coarser time axis than audio gives.")
  return said


def experiment(one: Mapping) -> dict[str, object]:
  """What makes the experiment: the config but for SAME, and the training data.

  Of an ensemble the same of each member, whatever its folder is called.
  """
  if members := one["config"].get("members"):
    columns = zip(*sorted(map(_member, members.values())), strict=True)
    joined = [" + ".join(column) for column in columns]
    return dict(zip(("members", "data", "config"), joined, strict=True))
  return {"data": trained_on(one)[:8]} | {
    key: value
    for key, value in flatten(one["config"]).items()
    if not any(
      key == same or (same.endswith(".") and key.startswith(same))
      for same in SAME
    )
  }


def _member(member: Mapping) -> tuple[str, str, str]:
  """Name, data and config of an ensemble's member."""
  return (
    f"{member['recipe']} (seed {member['seed']})",
    member["data_fingerprint"][:8],
    member.get("config", "–")[:8],
  )


def _varying(recipe: str, groups: Mapping[tuple, list[Mapping]]) -> list[str]:
  """The settings in which the rows of a recipe differ."""
  all_settings = [
    experiment(group[0])
    for (name, _), group in groups.items()
    if name == recipe
  ]
  return [
    key
    for key in sorted(set().union(*all_settings))
    if any(
      settings.get(key) != all_settings[0].get(key) for settings in all_settings
    )
  ]


def _row(group: list[Mapping], varying: list[str]) -> dict:
  first, settings = group[0], experiment(group[0])
  splits = [_headline(one) for one in group]
  return {
    "recipe": first["recipe"],
    "settings": {key: settings.get(key, "–") for key in varying},
    "seeds": sorted(one["seed"] for one in group),
    "track": _spread(split["track"]["accuracy"] for split in splits),
    "macro_f1": _spread(split["track"]["macro_f1"] for split in splits),
    "segment": _spread(split["segment"]["accuracy"] for split in splits),
    "parameters": first["num_params"],
    "seconds": statistics.fmean(one["seconds"] for one in group),
    "data": " + ".join(dict.fromkeys(settings["data"].split(" + "))),
    "commits": sorted(
      {provenance.short(x) for one in group for x in fold_tables.commits(one)}
    ),
    "published": PUBLISHED.get(first["recipe"]),
  }


def _spread(values: Iterable[float]) -> Spread:
  values = list(values)
  deviation = statistics.stdev(values) if len(values) > 1 else None
  return Spread(statistics.fmean(values), deviation)


def _put(tables: str, page: pathlib.Path) -> str:
  try:
    return leaderboard_page.put(tables, page.read_text("utf-8"))
  except FileNotFoundError as error:
    raise errors.InputError(
      f"--out={page}: no such page; give a folder, or a page that is there,"
      " between whose marks the tables are drawn"
    ) from error
  except ValueError as error:
    raise errors.InputError(f"--out={page} {error}") from error


def write(
  paths: Iterable[str | os.PathLike], out: str | os.PathLike
) -> pathlib.Path:
  """Draws the tables as Markdown and as a page of HTML.

  Args:
    paths: see `find`. Reports of GANs are counted, and stand in no table.
    out: a folder, created where it does not exist, for leaderboard.md and
      leaderboard.html; or a page of Markdown, between whose marks the tables
      are drawn while all else stays (see `leaderboard_page.put`), with the HTML
      beside it.

  Returns:
    the path of the HTML.

  Raises:
    InputError: see `find` and `report.read`; `out` cannot be written, or is a
      page without marks.
  """
  found = _distinct([read(file) for file in find(paths)])
  reports = [one for one in found if "gan" not in one]
  tables = build(reports)
  unscored = [
    f"{one['recipe']} (seed {one['seed']}, {one['corpus']}, {one['protocol']})"
    for one in reports
    if one["headline"] is None
  ]
  pages = {
    kind: leaderboard_page.render(
      kind, tables, sorted(unscored), len(found) - len(reports)
    )
    for kind in ("md", "html")
  }
  out = pathlib.Path(out)
  file = out if out.suffix == ".md" else out / FILE
  with errors.writing(f"--out={out}"):
    if file == out:
      pages["md"] = _put(pages["md"], file)
    else:
      out.mkdir(parents=True, exist_ok=True)
      pages["md"] = f"# Leaderboard\n\n{pages['md']}"
    for kind, text in pages.items():
      atomic.write(file.with_suffix(f".{kind}"), text)
  return file.with_suffix(".html")
