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
  number = 1 if seeds is None else seeds
  seeds, known = range(number), {n: p.folds for n, p in PROTOCOLS.items()}
  _check(config.data.protocol, number, known)
  default = workdir.default_path(config)
  out = out or default.with_name(f"crossval-{default.name}")
  cut, rows = open_splits(config)
  facts = plan(config.data, cut, rows, known[config.data.protocol])
  facts = {"seeds": list(seeds), **facts}
  status = sweep.run_all(
    [
      sweep.Run(crossval.run_name(i, seed), {"data.fold": i, "seed": seed})
      for seed in seeds
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
  found = crossval.measure(tested)
  crossval.save_pooled(tested, out)
  atomic.write_json(out / crossval.FOLDS_FILE, facts)
  atomic.write_json(out / crossval.CROSSVAL_FILE, found)
  text = crossval_page.document(found).write(out, crossval_page.FILE)
  print(f"\n{text}\ncross-validation: {out / crossval.CROSSVAL_FILE}")
  return 0


def _check(protocol: str, seeds: int, known: Mapping[str, int]) -> None:
  if seeds < 1:
    raise InputError(f"--seeds={seeds}: give 1 or more")
  if known.get(protocol, 1) == 1:
    able = [name for name, folds in known.items() if folds > 1]
    raise InputError(
      f"protocol {protocol!r} has no folds: give --config.data.protocol="
      f"{' or '.join(able)}"
    )


def plan(data, cut: Cut, rows: Iterable, number: int) -> dict:
  """The content of folds.json without the seeds; `number` is that of the folds.
  InputError if a genre has no track in a split of a fold."""
  genre_of = {row.id: row.genre for row in rows}
  kept = set(data.genres) or set(genre_of.values())
  folds = []
  for fold in range(number):
    partition = cut(fold=fold)
    tracks = {
      part: {track for track, _ in partition.parts[part]}
      for part in report.SPLITS
    }
    for part, names in tracks.items():
      for genre in sorted(kept - {genre_of[name] for name in names}):
        raise InputError(
          f"fold {fold} of protocol {data.protocol!r} has no {genre} in its"
          f" {part} split: leave the genre out (--config.data.genres), or take"
          " another protocol or config.data.split_seed"
        )
    folds.append(
      {
        **{
          part: {"tracks": len(names), "segments": len(partition.parts[part])}
          for part, names in tracks.items()
        },
        "sha256": partition.sha256["test"],
      }
    )
  number_of_tracks = sum(genre in kept for genre in genre_of.values())
  return {"tracks": number_of_tracks, "folds": folds}
