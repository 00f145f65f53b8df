"""A page about any corpus: its tracks, their statistics, and warnings.

`survey` reads each track once, `write` draws the page. Equal corpora give
equal bytes.
"""

import contextlib
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
  for track, found in tracks:
    genre = track.genre
    if isinstance(found, InputError):
      skipped.append({"track": track.id, "genre": genre, "reason": str(found)})
      continue
    rows.append(_row(track, found))
    wanted = genre not in examples and len(examples) < SHOWN
    if wanted and found.excerpt is not None:
      examples[genre] = {
        "track": track.id,
        "genre": genre,
        "start": found.start,
        "seconds": found.seconds,
        "media": measures.media(corpus.kind, found),
      }
  if not rows:
    raise InputError(
      f"not one of {len(skipped)} tracks can be read; the first is"
      f" {skipped[0]['track']}: {skipped[0]['reason']}"
    )
  facts = _facts(corpus, rows, skipped)
  facts["duplicates"] = summary.duplicates(rows, duplicates)
  facts["lists"] = summary.coverage(lists or {}, rows)
  facts["examples"] = list(examples.values())
  given = corpus_checks.facts_of(corpus)
  given["bandwidths"] = {row["id"]: row["bandwidth"] for row in rows}
  found = corpus_checks.find(given | facts)
  facts["warnings"] = [one.plain() for one in found]
  return facts


def _row(track, found: Measured) -> dict:
  return {
    "id": track.id,
    "genre": track.genre,
    "artist": track.artist,
    "partition": track.partition,
    "values": found.values,
    "digest": found.digest,
    "faults": found.faults,
    "bandwidth": found.bandwidth,
  }


def _facts(corpus, rows: list[dict], skipped: list[dict]) -> dict:
  measured = measures.MEASURES[corpus.kind]
  genres = list(corpus.genres)
  return {
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
      {key: row[key] for key in ("id", "genre", "artist", "partition")}
      | {"values": {k: summary.plain(v) for k, v in row["values"].items()}}
      for row in rows
    ],
  }


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
  texts = {PAGE: page.render(facts), FACTS: text + "\n"}
  with writing(f"--out={out}"), contextlib.ExitStack() as both:
    files = {
      name: both.enter_context(atomic.opened(out / name)) for name in texts
    }
    for name, text in texts.items():
      files[name].write(text.encode())
  return out / PAGE
