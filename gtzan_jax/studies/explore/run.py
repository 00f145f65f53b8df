"""A page about any corpus: its tracks, their statistics, and warnings.

`survey` reads each track once, `write` draws the page. Equal corpora give
equal bytes.
"""

import json
import os
import pathlib
import tempfile
from collections.abc import Iterable, Iterator, Mapping

import grain
import tqdm

from gtzan_jax import atomic
from gtzan_jax.data import corpus_checks
from gtzan_jax.errors import InputError, StopError, writing
from gtzan_jax.studies.explore import measure as measures
from gtzan_jax.studies.explore import page, summary
from gtzan_jax.studies.explore.measure import SHOWN, Measured

PAGE = "explore.html"
FACTS = "explore.json"
_TRACK = ("id", "genre", "artist", "partition")


def survey(
  corpus,
  *,
  duplicates: Iterable[tuple[str, str]] = (),
  lists: Mapping[str, Mapping[str, Iterable[str]]] | None = None,
  progress: bool = False,
) -> dict:
  """Reads every track once; docs/using.md lists the keys returned. `duplicates`
  are published pairs of ids, `lists` {name: {split: ids}}. InputError if no
  track can be read."""
  rows, skipped, examples = [], [], {}
  tracks = tqdm.tqdm(
    _ahead(corpus),
    total=len(corpus.tracks),
    desc="reading",
    unit="track",
    disable=None if progress else True,
  )
  for track, result in tracks:
    named = {"track": track.id, "genre": track.genre}
    if isinstance(result, InputError):
      skipped.append({**named, "reason": str(result)})
      continue
    facts = result._replace(excerpt=None)._asdict()
    rows.append({key: getattr(track, key) for key in _TRACK} | facts)
    wanted = track.genre not in examples and len(examples) < SHOWN
    if wanted and result.excerpt is not None:
      examples[track.genre] = {
        **named,
        "start": result.start,
        "seconds": result.seconds,
        "media": measures.media(corpus.kind, result),
      }
  if not rows:
    raise InputError(
      f"not one of {len(skipped)} tracks can be read; the first is"
      f" {skipped[0]['track']}: {skipped[0]['reason']}"
    )
  measured, genres = measures.MEASURES[corpus.kind], list(corpus.genres)
  facts = {
    "corpus": corpus.name,
    "kind": corpus.kind,
    "fingerprint": corpus.fingerprint,
    "genres": genres,
    "measures": {name: one._asdict() for name, one in measured.items()},
    "balance": summary.balance(genres, rows, skipped),
    "statistics": summary.statistics(measured, genres, rows),
    "correlation": summary.correlation(measured, rows),
    "faults": [
      {"track": row["id"], "fault": fault}
      for row in rows
      for fault in row["faults"]
    ],
    "skipped": skipped,
    "tracks": [
      {key: row[key] for key in _TRACK}
      | {"values": {k: summary.plain(v) for k, v in row["values"].items()}}
      for row in rows
    ],
    "duplicates": summary.duplicates(rows, duplicates),
    "lists": summary.coverage(lists or {}, rows),
    "examples": list(examples.values()),
  }
  bandwidths = {row["id"]: row["bandwidth"] for row in rows}
  known = corpus_checks.facts_of(corpus) | facts | {"bandwidths": bandwidths}
  facts["warnings"] = [one.plain() for one in corpus_checks.find(known)]
  return facts


def _ahead(corpus) -> Iterator[tuple]:
  """Measures tracks in order on threads, a few ahead; errors are values. Of a
  track's content only the excerpt is kept."""

  def measured(track) -> tuple[object, Measured | InputError]:
    try:
      return track, measures.measure(corpus.kind, track.read())
    except StopError:
      raise
    except InputError as error:
      return track, error

  threads = min(8, os.cpu_count() or 1)
  stream = grain.MapDataset.source(corpus.tracks).map(measured)
  return iter(stream.to_iter_dataset(grain.ReadOptions(threads, 2 * threads)))


def folder(out: str | os.PathLike) -> pathlib.Path:
  """Makes the folder of a page, before the survey: a bad path fails early."""
  out = pathlib.Path(out)
  with writing(f"--out={out}"):
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=out):
      pass
  return out


def write(facts: Mapping, out: str | os.PathLike) -> pathlib.Path:
  """Writes explore.html and explore.json, both or none; returns the HTML's
  path. Pictures and sound are in the HTML alone."""
  out = folder(out)
  examples = [
    {key: value for key, value in one.items() if key != "media"}
    for one in facts["examples"]
  ]
  text = json.dumps({**facts, "examples": examples}, indent=1, allow_nan=False)
  html = page.render(facts)
  with (
    writing(f"--out={out}"),
    atomic.opened(out / PAGE) as shown,
    atomic.opened(out / FACTS) as kept,
  ):
    shown.write(html.encode())
    kept.write(f"{text}\n".encode())
  return out / PAGE
