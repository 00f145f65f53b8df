"""A leaderboard's page: an overview, then its tables; Markdown and HTML."""

import collections
import os
import pathlib
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from gtzan_jax import atomic, errors
from gtzan_jax.reports import artist_note, leaderboard, report, stored_runs
from gtzan_jax.reports import document as doc
from gtzan_jax.reports.leaderboard import Spread
from gtzan_jax.reports.published_scores import PUBLISHED, Published

FILE = "leaderboard.md"


def overview(tables: Iterable[Mapping]) -> list[dict]:
  """One dict per recipe: `recipe`, `published`, and `same` and `honest`: its
  row under the source's own protocol and under an honest one, or None.
  Synthetic music and external tests are left out; the table of most tracks
  wins, then the most seeds, then the best. Single folds and tables of known
  artists are a last resort."""
  rows = collections.defaultdict(list)
  for table in tables:
    if not table["synthetic"] and not table["collection"]:
      for row in table["rows"]:
        rows[row["recipe"]].append({**row, "table": table})
  lines = []
  for recipe, own in rows.items():
    own.sort(key=_worth, reverse=True)
    published = PUBLISHED.get(recipe)
    there = published.protocol if published else None
    same = (row for row in own if row["table"]["protocol"] == there)
    honest = (row for row in own if not row["table"]["leak"])
    best = {"same": next(same, None), "honest": next(honest, None)}
    lines.append({"recipe": recipe, "published": published, **best})
  return sorted(lines, key=_place)


def _worth(row: Mapping) -> tuple:
  table = row["table"]
  kind = not table["artists_decide"], not table["single_fold"]
  return (*kind, table["n"], len(row["seeds"]), row["track"].mean)


def _place(line: Mapping) -> tuple:
  row = line["honest"]
  if row is None:
    return (1, 0, "", 0, line["recipe"])
  table = row["table"]
  where = f"{table['corpus']} {table['source']} {table['protocol']}"
  return (0, -table["n"], where, -row["track"].mean, line["recipe"])


# The page.

# Between these a page that somebody wrote holds the tables.
_BEGIN, _END = "<!-- drawn by ", "<!-- end of the leaderboard -->"
_MARKS = re.compile(rf"({_BEGIN}.*? -->\n).*?({_END})", re.S)
_INTRODUCTION = (
  "Accuracies and F1 in per cent, mean ± standard deviation over seeds. The"
  " deviation does not cover other tracks; each run's report has a confidence"
  " interval. Rows of one recipe name the settings in which they differ."
  " Published figures are as stated by their source, on its own split. Commit"
  " and data: code version and data fingerprint."
)
_OVERVIEW = (
  "One row per recipe. Source's split: ours under the protocol that splits as"
  " the source did, at the level that it counts; ⚠ marks a leaking protocol,"
  " whose numbers are no results. Honest: track accuracy under a protocol that"
  " does not leak. Of several, the one with most tracks is shown (mostly artist"
  " recognition, or a single fold, only if there is no other); of several"
  " settings those with most seeds, then the best, which is an optimistic"
  " choice. Only rows on the same tracks compare."
)
_SYNTHETIC = (
  "Tracks made by ten generators that ship with this project: these numbers"
  " show that everything works, not how well music is classified."
)


def document(
  tables: Sequence[Mapping], unscored: Sequence[str] = (), gans: int = 0
) -> doc.Document:
  """The tables of `leaderboard.build` as a page; `unscored` names runs without
  scores, `gans` counts the runs left out as GANs."""
  lines = overview(tables)
  music = [_part(table) for table in tables if not table["synthetic"]]
  synthetic = [_part(table) for table in tables if table["synthetic"]]
  if synthetic:
    title = "Synthetic corpus: not GTZAN"
    synthetic = [doc.part(title, _SYNTHETIC, *synthetic)]
  notes = []
  if unscored:
    notes.append(f"Without a scored split: {', '.join(unscored)}.")
  if gans:
    runs = "run is of a GAN" if gans == 1 else "runs are of GANs"
    notes.append(f"{gans} {runs}, without a table: a GAN classifies nothing.")
  return doc.Document(
    "Leaderboard",
    [
      _INTRODUCTION,
      lines and doc.part("Overview", _OVERVIEW, _overview_table(lines)),
      *music,
      *synthetic,
      *notes,
    ],
    window="Leaderboard · music genre classification",
    css="wide",
  )


def _part(table: Mapping) -> doc.Block:
  """A table with its title and notes."""
  fold = f", {table['fold']}" * bool(table["fold"])
  collection = f" on {table['collection']}" * bool(table["collection"])
  warning = doc.warning(report.LEAKS, table["leak"], stop=True)
  head = ["recipe", "seeds", "track accuracy", "macro-F1", "segment accuracy"]
  head += ["published (on)"] * (not table["synthetic"])
  return doc.part(
    f"{_corpus(table)}, protocol {table['protocol']}{fold}{collection}:"
    f" {table['split']} split, {table['n']} tracks",
    table["leak"] and warning,
    " ".join(table["notes"]) or None,
    doc.table(
      [*head, *_COSTS],
      [_cells(row, table["synthetic"]) for row in table["rows"]],
      f"llrrr{'' if table['synthetic'] else 'l'}rrl",
      "notes",
    ),
    css="leaky" if table["leak"] else "",
  )


_COSTS = ("parameters", "seconds", "commit", "data")


def _cells(row: Mapping, synthetic: bool) -> list[Any]:
  settings = [f"{key}={value}" for key, value in row["settings"].items()]
  published, seeds = row["published"], ", ".join(map(str, row["seeds"]))
  cells = [
    (doc.code(row["recipe"]), doc.small(f" {', '.join(settings)}"))
    if settings
    else doc.code(row["recipe"]),
    f"{len(row['seeds'])}: {seeds}",
    _score(row["track"], bar=True),
    _score(row["macro_f1"]),
    _score(row["segment"]),
  ]
  if not synthetic:
    source = f" ({published.source} project)" if published else ""
    cells.append((*_published(published), source))
  return [*cells, *_costs(row)]


def _overview_table(lines: Sequence[Mapping]) -> doc.Block:
  head = ["recipe", "source", "published (on)", "ours, source's split"]
  head += ["ours, honest", "measured on", *_COSTS]
  rows = []
  for line in lines:
    known, honest = line["published"], line["honest"]
    row = [doc.code(line["recipe"]), known.source if known else "–"]
    row += [_published(known), _as_there(known, line["same"])]
    if honest:
      row += [_score(honest["track"], bar=True), _where(honest["table"])]
      row += _costs(honest)
    rows.append(row + ["–"] * (len(head) - len(row)))
  return doc.table(head, rows, "llllrlrrl", "notes")


def _published(known: Published | None) -> tuple:
  return (doc.bold(known.percent), f": {known.measured}") if known else ("–",)


def _as_there(known: Published | None, row: Mapping | None) -> Any:
  if not (known and row):
    return "split unknown" if known and not known.protocol else "–"
  table = row["table"]
  return (
    "⚠ " * bool(table["leak"]),
    *_score(row[known.level]),
    f" of {known.level}s: ",
    *_where(table),
    f"; {', '.join(row['commits'])}, data {row['data']}",
  )


def _score(spread: Spread, bar: bool = False) -> tuple:
  deviation = spread.deviation
  after = "(n=1)" if deviation is None else f"± {doc.percent(deviation)}"
  mean = doc.Mark("strong", doc.percent(spread.mean))
  return (doc.Bar(spread.mean) if bar else mean, doc.muted(f" {after}"))


def _where(table: Mapping) -> tuple:
  after = f", {table['fold']}" * bool(table["fold"])
  after += f", {table['split']}, {table['n']} tracks"
  if table["artists_decide"] and not table["leak"]:
    after += f", {artist_note.MOSTLY}"
  return (f"{_corpus(table)}, ", doc.code(table["protocol"]), after)


def _corpus(table: Mapping) -> str:
  other = f" ({table['source']})" * (table["source"] != table["corpus"])
  return f"{table['corpus']}{other}"


def _costs(row: Mapping) -> tuple:
  seconds, commits = f"{row['seconds']:,.0f}", ", ".join(row["commits"])
  return (doc.number(row["parameters"]), seconds, commits, row["data"])


def has_marks(page: str) -> bool:
  """Whether a page has marks for tables, even if only one of the two."""
  return _BEGIN in page or _END in page


def of_runs(paths: Iterable[str | os.PathLike]) -> doc.Document:
  """The leaderboard of all runs in folders."""
  every = leaderboard.distinct(map(stored_runs.read, stored_runs.find(paths)))
  reports = [one for one in every if "gan" not in one]
  unscored = sorted(
    f"{one['recipe']} (seed {one['seed']}, {one['corpus']}, {one['protocol']})"
    for one in reports
    if one["headline"] is None
  )
  gans = len(every) - len(reports)
  return document(leaderboard.build(reports), unscored, gans)


def put(board: doc.Document, page: pathlib.Path) -> str:
  """A page's text with the leaderboard between its marks."""
  tables = board.markdown().partition("\n\n")[2]
  if not page.exists():
    raise errors.InputError(
      f"--out={page}: no such page; give a folder, or a page that is there,"
      " between whose marks the tables are drawn"
    )
  text, number = _MARKS.subn(
    lambda marks: f"{marks[1]}\n{tables}\n{marks[2]}", page.read_text("utf-8")
  )
  if number != 1:
    raise errors.InputError(
      f"--out={page} has no place for the leaderboard: it is drawn between the"
      f" marks `{_BEGIN}... -->` and `{_END}`"
    )
  return text


def write(
  paths: Iterable[str | os.PathLike], out: str | os.PathLike
) -> pathlib.Path:
  """Writes the leaderboard of `paths` and returns the path of the HTML. `out`
  is a folder for leaderboard.md and .html, or a Markdown page whose text
  between the marks is replaced."""
  board, out = of_runs(paths), pathlib.Path(out)
  file = out if out.suffix == ".md" else out / FILE
  with errors.writing(f"--out={out}"):
    if file == out:
      text = put(board, file)
    else:
      out.mkdir(parents=True, exist_ok=True)
      text = board.markdown()
    atomic.write(file, text)
    atomic.write(file.with_suffix(".html"), board.html())
  return file.with_suffix(".html")
