"""Tracks that several runs get wrong: seeds of one recipe, or several
recipes."""

import os
import pathlib
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from gtzan_jax.inference import ensemble
from gtzan_jax.inference.ensemble import Member
from gtzan_jax.reports import schema
from gtzan_jax.scores import alignment, bootstrap, metrics, paired_tests
from gtzan_jax.scores.predictions import Predictions
from gtzan_jax.training import workdir

FILE = "failures.json"
ANY = "any of these"
# What `again` requires of a file.
_RAW = {
  "runs": [{"workdir": str, ...: object}],
  "always_wrong": [{"track": str, "artist": str, "title": str, ...: object}],
  "notes": {...: {...: str}},
  ...: object,
}


def compute(
  paths: Sequence[str | os.PathLike],
  seen_from: str | os.PathLike = ".",
  about: Callable | None = None,
) -> dict:
  """What failures.json holds (docs/measures.md) for two or more evaluated runs
  of the same tracks; paths in it are relative to `seen_from`. `about`(track id)
  is (artist, title, published faults), by default those of GTZAN."""
  if about is None:
    from tfds_gtzan.facts import faults  # imports JAX, which `verify` does not

    about = faults.about
  members = ensemble.read_all(paths, "failures", given="")
  split = ensemble.same_test(members, given="")
  tables = [member.predictions[split] for member in members]
  tracks = [table.by_track("mean") for table in tables]
  first, predicted = tracks[0], _predicted(tracks)
  wrong = predicted != first.label
  known = {track: about(track) for track in first.track.tolist()}
  runs = _runs(members, predicted, first.label, seen_from)
  new = [i for i, run in enumerate(runs) if run["copy_of"] is None]
  confusion = np.zeros([len(first.genres)] * 2, int)  # summed over runs
  true = np.broadcast_to(first.label, predicted.shape)
  np.add.at(confusion, (true, predicted), 1)
  return {
    "split": split,
    "runs": runs,
    "n": len(first),
    "clusters": first.n_clusters,
    "confused": metrics.confused(confusion.tolist(), list(first.genres), 10),
    # How many tracks no run, one run, two ... get wrong.
    "wrong_in": _counts(wrong.sum(axis=0), len(wrong) + 1),
    # Expected count of always wrong tracks if runs erred independently; a copy
    # adds nothing.
    "by_chance": float(len(first) * wrong[new].mean(axis=1).prod())
    if len(new) > 1
    else None,
    "always_wrong": _always_wrong(tracks, predicted, known),
    "notes": {t: dict(one[2]) for t, one in known.items() if one[2]},
    "faults": _faults(first.track, wrong.all(axis=0), known),
    "position": _by_position(tables),
  }


def again(folder: str | os.PathLike) -> dict:
  """Recomputes failures.json; published facts of tracks are taken as stored."""
  file = pathlib.Path(folder) / FILE
  result = schema.read_json(file, _RAW, "failures")
  paths = [file.parent / run["workdir"] for run in result["runs"]]
  names = {
    row["track"]: (row["artist"], row["title"])
    for row in result["always_wrong"]
  }
  faults = result["notes"]

  def about(track: str) -> tuple[str, str, Mapping[str, str]]:
    return *names.get(track, ("", "")), faults.get(track, {})

  return compute(paths, folder, about)


def _runs(
  members: Sequence[Member], predicted: np.ndarray, label: np.ndarray, folder
) -> list[dict]:
  """Facts of the runs. `copy_of` is an earlier run with equal predictions, as
  by seeds of a recipe without randomness."""
  names = [workdir.seen_from(member.path, folder) for member in members]
  return [
    {
      "workdir": names[i],
      **{k: member.report[k] for k in ("recipe", "seed", "protocol", "leak")},
      "accuracy": float((predicted[i] == label).mean()),
      "copy_of": next(
        (names[j] for j in range(i) if (predicted[j] == predicted[i]).all()),
        None,
      ),
    }
    for i, member in enumerate(members)
  ]


def _counts(values: np.ndarray, length: int) -> list[int]:
  """How often 0, 1, ... occur."""
  return np.bincount(values, minlength=length).tolist()


def _predicted(tables: Sequence[Predictions]) -> np.ndarray:
  """[runs, N] predicted genres, rows as in the first table."""
  places = [alignment.places(tables[0], table) for table in tables]
  return np.stack(
    [t.predicted[place] for t, place in zip(tables, places, strict=True)]
  )


def _always_wrong(
  tracks: Sequence[Predictions], predicted: np.ndarray, known: Mapping
) -> list[dict]:
  """Tracks that no run gets right, the lowest true probability first; `heard`
  is {genre: number of runs that predict it}, most frequent first."""
  pooled = ensemble.combine(tracks)
  p_true = pooled.probabilities[np.arange(len(pooled)), pooled.label]
  chosen = np.flatnonzero((predicted != pooled.label).all(axis=0))
  rows = []
  for i in chosen[np.lexsort((pooled.track[chosen], p_true[chosen]))]:
    track = str(pooled.track[i])
    artist, title, _ = known[track]
    votes = _counts(predicted[:, i], len(pooled.genres))
    heard = zip(pooled.genres, votes, strict=True)
    rows.append(
      {
        "track": track,
        "genre": pooled.genres[pooled.label[i]],
        "heard": {g: n for g, n in sorted(heard, key=lambda x: -x[1]) if n},
        "true_probability": float(p_true[i]),
        "artist": artist or str(pooled.artist[i]),
        "title": title,
      }
    )
  return rows


def _faults(track: np.ndarray, always: np.ndarray, known: Mapping) -> dict:
  """Fisher's exact test (two-sided) for each kind of published fault: are its
  tracks more often always wrong? Tracks count as independent, though those of
  one artist are not."""
  kinds = dict.fromkeys(kind for one in known.values() for kind in one[2])
  has = {
    kind: np.array([kind in known[one][2] for one in track.tolist()])
    for kind in kinds
  }
  if len(has) > 1:
    has[ANY] = np.any(list(has.values()), axis=0)
  return {kind: _fisher(always, noted) for kind, noted in has.items()}


def _fisher(always: np.ndarray, noted: np.ndarray) -> dict:
  from scipy import stats

  counts = [
    [int((side & noted).sum()), int((side & ~noted).sum())]
    for side in (always, ~always)
  ]
  odds, p = stats.fisher_exact(counts)
  return {
    "always_wrong": counts[0],  # with the note, without it
    "others": counts[1],
    "odds_ratio": float(odds) if np.isfinite(odds) else None,
    "p": float(p),
  }


def _by_position(tables: Sequence[Predictions]) -> list[dict] | None:
  """Accuracy by segment number, mean over runs; None if tracks were cut
  differently or not at all."""
  first = tables[0]
  numbers = np.unique(first.segment)
  if len(numbers) < 2 or not alignment.same_rows(tables):
    return None
  share = (_predicted(tables) == first.label).mean(axis=0)
  clusters, rows = first.clusters, []
  for number in numbers.tolist():
    here = first.segment == number
    drawn = clusters[here], share[here]
    row = {"segment": number, "n": int(here.sum())}
    row["accuracy"] = float(share[here].mean())
    row["ci95"] = bootstrap.interval(*drawn, resamples=paired_tests.RESAMPLES)
    rows.append(row)
  return rows
