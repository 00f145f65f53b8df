"""External tests: a trained run on another corpus.

Nothing is prepared: each track becomes model inputs as in `predict`, so any
corpus of an accepted kind will do.
"""

import os
import pathlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import grain
import jax
import numpy as np

from gtzan_jax import input_limits
from gtzan_jax.errors import InputError, StopError, shown
from gtzan_jax.inference import inputs
from gtzan_jax.reports import report
from gtzan_jax.scores.predictions import Predictions, digest
from gtzan_jax.training import evaluate as evaluation
from gtzan_jax.training import sharding, shared_tracks, workdir

PROTOCOL = "external"
SPLIT = "test"


def evaluate(
  path: pathlib.Path,
  corpus,
  out: pathlib.Path,
  place: str | None = None,
  prepared: str | None = None,
  artists: Mapping[str, str] | None = None,
  warnings: Sequence[Mapping[str, str]] = (),
) -> pathlib.Path:
  """Evaluates a run on another corpus; writes a report, returns report.html.

  Args:
    path: the run folder.
    corpus: an opened tfds_gtzan.Corpus.
    out: folder of the report: new, empty or of this test. Its split is "test",
      its genres are the model's; docs/report.md describes "external".
    place: the corpus's path, as given.
    prepared: its fingerprint for the run's features; if equal to the run's, it
      is the training corpus.
    artists: {track: artist}.
    warnings: of the corpus: `check`, `title` and `text` each.

  InputError: no model; a corpus of a kind that it does not accept, without its
  genres, or of training tracks only; over 5 % unreadable tracks, or no readable
  one; an `out` with other content.
  """
  run = workdir.load(path)
  able = inputs.kinds(run)
  if corpus.kind not in able:
    raise InputError(
      f"--workdir={path} was trained on {run['kind']} and cannot be tested on"
      f" the {corpus.name} corpus of kind {corpus.kind}: give one of kind"
      f" {' or '.join(able)}"
    )
  tracks, compared = shared_tracks.select(run, corpus, prepared, place)
  test = {
    "data_fingerprint": corpus.fingerprint,
    "external": {
      "workdir": path.resolve().name,
      "trained_on": run["data_fingerprint"],
      "kind": run["kind"],
      "path": place or None,
      **compared,
    },
  }
  report.check_out(out, {"config": run["config"], **test})
  model, num_params = evaluation.load_model(path, run)
  print(f"external test: {len(tracks)} of {len(corpus.tracks)} tracks")
  print("\n".join(map(shown, shared_tracks.sentences(compared))))
  with workdir.locked(out, f"--out={out}"):
    table, skipped = predict(model, run, corpus, tracks, compared["genres"])
    table = table.with_artists(artists or {})
    ids = set(table.track.tolist())
    mesh = sharding.make_mesh(jax.devices()[:1])  # as load_model has it
    facts, history = evaluation.facts_of(path, run, mesh)
    facts |= test | {
      "corpus": corpus.name,
      "source": "audio" if corpus.kind == "audio" else corpus.name,
      "protocol": PROTOCOL,
      "leak": None,
      "num_params": num_params,
      "tracks": len(ids),
      "skipped": skipped,
      "warnings": list(warnings),
    }
    built = report.build(
      facts,
      {SPLIT: table},
      history,
      missing={},
      sha256={SPLIT: digest(ids)},
      resamples=run["config"]["eval"]["bootstrap"],
    )
    return report.write(out, built, {SPLIT: table})


def predict(
  model: Callable[[np.ndarray], jax.Array],
  run: Mapping,
  corpus,
  tracks: Sequence,
  genres: Mapping[str, str],
) -> tuple[Predictions, list[dict]]:
  """Predictions for tracks of a corpus that was not prepared.

  `model` maps features [b, ...] to probabilities [b, genres], `run` is its
  run.json; `tracks` are some of the corpus, or changed ones; `genres` is
  {a track's genre: the model's}. Returns a row a segment, and {track, reason}
  of each unreadable track. InputError: see `input_limits.check_unreadable`;
  or no track can be read.
  """
  rows: list[tuple[str, int, int]] = []
  skipped: list[dict] = []

  def read(track) -> tuple[Any, np.ndarray | InputError]:
    try:
      return track, inputs.examples(track.read(), corpus.kind, run)
    except InputError as error:
      return track, error

  def examples() -> Iterator[np.ndarray]:
    """`[s, ...]` of each readable track."""
    # Threads, not processes: JAX has started and must not be forked.
    threads = min(8, os.cpu_count() or 1)
    options = grain.ReadOptions(threads, 2 * threads)
    stream = grain.MapDataset.source(tracks).map(read)
    for track, x in stream.to_iter_dataset(options):
      if isinstance(x, StopError):
        raise x
      if isinstance(x, InputError):
        print(shown(f"skipped: {track.id}: {x}"))
        skipped.append({"track": track.id, "reason": str(x)})
        first = skipped[0]["reason"]
        input_limits.check_unreadable(len(skipped), len(corpus.tracks), first)
        continue
      label = run["genres"].index(genres[track.genre])
      rows.extend((track.id, segment, label) for segment in range(len(x)))
      yield x

  batches = inputs.regrouped(examples(), inputs.BATCH)
  probabilities = [np.asarray(model(batch))[:n] for batch, n in batches]
  if not rows:
    raise InputError(
      f"none of the {len(tracks)} tracks that the model can be tested on can be"
      f" read; first reason: {skipped[0]['reason']}"
    )
  track, segment, label = map(np.array, zip(*rows, strict=True))
  known = tuple(run["genres"])
  table = Predictions(
    track, segment, label, np.concatenate(probabilities), known
  )
  return table, skipped
