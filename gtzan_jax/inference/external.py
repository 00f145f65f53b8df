"""A trained run on other music: the external tests of the LSTM-GAN project.

Nothing is prepared: a track's examples are made while the model hears others,
by the code that makes a file's (gtzan_jax/inference/inputs.py). So any corpus
will do whose tracks hold what the model can be asked about.
"""

import itertools
import os
import pathlib
from collections.abc import Callable, Iterator, Mapping, Sequence

import grain
import jax
import numpy as np

from gtzan_jax import errors
from gtzan_jax.errors import InputError, StopError, shown
from gtzan_jax.inference import inputs
from gtzan_jax.reports import report
from gtzan_jax.scores.predictions import Predictions, digest
from gtzan_jax.training import evaluate as evaluation
from gtzan_jax.training import overlap, sharding, workdir

PROTOCOL = "external"
SPLIT = "test"

# track id, segment, label, features [...]
Example = tuple[str, int, int, np.ndarray]


def evaluate(
  path: pathlib.Path,
  corpus,
  out: pathlib.Path,
  place: str | None = None,
  prepared: str | None = None,
  artists: Mapping[str, str] | None = None,
  warnings: Sequence[Mapping[str, str]] = (),
) -> pathlib.Path:
  """Scores a workdir's model on another corpus and writes a report on it.

  Args:
    path: a workdir that training has been through.
    corpus: an opened tfds_gtzan.Corpus: `name`, `kind`, `genres`, `tracks`
      (each with `id`, `genre` and `read`) and `fingerprint`.
    out: folder of the report: new, empty or of this very test. The only split
      is "test", the genres are the model's, and the key "external" says what
      was compared and what was left out (see docs/report.md).
    place: where the corpus lies, as the user named it.
    prepared: the fingerprint that it has when prepared for the run's features;
      one that equals the run's is of the very music that it was trained on.
    artists: {track: whose it is}; None where nobody knows.
    warnings: what is wrong with the corpus: `check`, `title` and `text` each.

  Returns:
    the path of report.html.

  Raises:
    InputError: no model; a corpus whose tracks it cannot be asked about, of
      none of its genres, or of tracks that it has learnt from alone; more than
      5 % unreadable tracks, or none that can be read; an `out` that holds
      something else.
  """
  run = workdir.load(path)
  _check_kind(path, run["kind"], inputs.kinds(run), corpus)
  tracks, compared = overlap.select(run, corpus, prepared, place)
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
  print("\n".join(map(shown, overlap.sentences(compared))))
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
  """What a model says of tracks that nobody has prepared for it.

  Args:
    model: features [b, ...] -> probabilities [b, genres].
    run: run.json of its workdir.
    corpus: the tracks'; see `evaluate`.
    tracks: some of its tracks, or changed ones.
    genres: {a track's genre: the model's}.

  Returns:
    a row a segment; and {track, reason} of each track that cannot be read.

  Raises:
    InputError: see `errors.check_unreadable`; or no track can be read.
  """
  skipped: list[dict] = []
  examples = _examples(run, corpus, tracks, genres, skipped)
  return _predictions(model, examples, tuple(run["genres"])), skipped


def _check_kind(
  path: pathlib.Path, trained_on: str, able: Sequence[str], corpus
) -> None:
  if corpus.kind not in able:
    raise InputError(
      f"--workdir={path} was trained on {trained_on} and cannot be tested on"
      f" the {corpus.name} corpus, whose tracks hold {corpus.kind}: give one"
      f" whose tracks hold {' or '.join(able)}"
    )


def _examples(
  run: Mapping,
  corpus,
  tracks: Sequence,
  genres: Mapping[str, str],
  skipped: list[dict],
) -> Iterator[Example]:
  """Examples of all tracks in order; `skipped` learns why one has none."""

  def read(track) -> tuple[object, np.ndarray | InputError]:
    try:
      return track, inputs.examples(track.read(), corpus.kind, run)
    except InputError as error:
      return track, error

  # Threads and not processes: JAX has started, and must not be forked.
  threads = min(8, os.cpu_count() or 1)
  stream = grain.MapDataset.source(tracks).map(read)
  for track, x in stream.to_iter_dataset(
    grain.ReadOptions(threads, 2 * threads)
  ):
    if isinstance(x, InputError):
      _skip(track, x, skipped, len(corpus.tracks))
      continue
    label = run["genres"].index(genres[track.genre])
    for segment, example in enumerate(x):
      yield track.id, segment, label, example
  if len(skipped) == len(tracks):
    raise InputError(
      f"not one of the {len(tracks)} tracks that the model can be tested on can"
      f" be read; the first: {skipped[0]['reason']}"
    )


def _skip(track, reason: InputError, skipped: list[dict], total: int) -> None:
  if isinstance(reason, StopError):
    raise reason
  print(shown(f"skipped: {track.id}: {reason}"))
  skipped.append({"track": track.id, "reason": str(reason)})
  errors.check_unreadable(len(skipped), total, skipped[0]["reason"])


def _predictions(
  model: Callable[[np.ndarray], jax.Array],
  examples: Iterator[Example],
  genres: tuple[str, ...],
) -> Predictions:
  """What the model says, a batch of one size at a time: compiled once."""
  rows = []
  while some := list(itertools.islice(examples, inputs.BATCH)):
    *ids, x = zip(*some, strict=True)
    ((batch, n),) = inputs.batches(np.stack(x))
    rows.append((*ids, np.asarray(model(batch))[:n]))
  track, segment, label, probabilities = map(
    np.concatenate, zip(*rows, strict=True)
  )
  return Predictions(track, segment, label, probabilities, genres)
