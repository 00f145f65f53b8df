"""Cross-validation: a run of each fold in its own process, then pooled.

W/runs/   fold0, fold1, ..., run as a sweep
W/folds.json crossval.json crossval.md crossval.png predictions/   then
"""

import pathlib
from collections.abc import Callable, Iterable, Mapping

import ml_collections

from gtzan_jax import atomic
from gtzan_jax.data.open_dataset import open_splits
from gtzan_jax.errors import InputError
from gtzan_jax.reports import report
from gtzan_jax.studies.crossval import measure as crossval
from gtzan_jax.studies.crossval import page as crossval_page
from gtzan_jax.studies.sweep import run as sweep
from gtzan_jax.training import workdir
from tfds_gtzan import PROTOCOLS

# Keys that may not be given, and why.
OWN = {
  "seed": "seeds are 0, 1, ... up to the number --seeds",
  "data.fold": "every fold is tested",
  "data.splits": "given splits have no folds",
  "data.leak": "arms of the leakage meter test parts of a fold",
}

Cut = Callable[..., object]


def run(
  config: ml_collections.ConfigDict,
  *,
  recipe: str,
  overrides: Mapping[str, object],
  launcher: pathlib.Path,
  out: pathlib.Path | None = None,
  seeds: int | None = None,
  retry: bool = False,
) -> int:
  """Runs the folds that are left, then pools their predictions. `config` has
  the `overrides`; `out` None: crossval-... in the folder of runs; `seeds` runs
  of each fold (None: 1); the rest, and the exit status, as in `sweep.run_all`.
  InputError for a protocol without folds."""
  folds = {name: p.folds for name, p in PROTOCOLS.items() if p.folds > 1}
  if config.data.protocol not in folds:
    raise InputError(
      f"protocol {config.data.protocol!r} has no folds: give"
      f" --config.data.protocol={' or '.join(folds)}"
    )
  default = workdir.default_path(config)
  out = out or default.with_name(f"crossval-{default.name}")
  cut, rows = open_splits(config)
  facts = {
    "seeds": list(range(1 if seeds is None else seeds)),
    **plan(config.data, cut, rows, folds[config.data.protocol]),
  }
  status = sweep.run_all(
    [
      sweep.Run(crossval.run_name(i, seed), {"data.fold": i, "seed": seed})
      for seed in facts["seeds"]
      for i in range(len(facts["folds"]))
    ],
    name="cross-validation",
    launcher=launcher,
    recipe=recipe,
    overrides=overrides,
    out=out / "runs",
    retry=retry,
    folder=f"--workdir={out}",
  )
  if status:
    return status
  tested = crossval.collect(out, facts)
  scores = crossval.measure(tested)
  crossval.save_pooled(tested, out)
  atomic.write_json(out / crossval.FOLDS_FILE, facts)
  atomic.write_json(out / crossval.CROSSVAL_FILE, scores)
  text = crossval_page.document(scores).write(out, crossval_page.FILE)
  print(f"\n{text}\ncross-validation: {out / crossval.CROSSVAL_FILE}")
  return 0


def plan(data, cut: Cut, rows: Iterable, number: int) -> dict:
  """The content of folds.json without the seeds; `number` is that of the folds.
  InputError if a genre has no track in a split of a fold."""
  genre_of = {row.id: row.genre for row in rows}
  kept = set(data.genres) or set(genre_of.values())
  folds = []
  for fold in range(number):
    partition = cut(fold=fold)
    sizes = {}
    for part in report.SPLITS:
      tracks = {track for track, _ in partition.parts[part]}
      for genre in sorted(kept - {genre_of[track] for track in tracks}):
        raise InputError(
          f"fold {fold} of protocol {data.protocol!r} has no {genre} in its"
          f" {part} split: leave the genre out (--config.data.genres), or take"
          " another protocol or config.data.split_seed"
        )
      segments = len(partition.parts[part])
      sizes[part] = {"tracks": len(tracks), "segments": segments}
    folds.append({**sizes, "sha256": partition.sha256["test"]})
  number_of_tracks = sum(genre in kept for genre in genre_of.values())
  return {"tracks": number_of_tracks, "folds": folds}
