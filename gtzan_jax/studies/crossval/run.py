"""The verb crossval: a run of each fold, each a process, and all together.

    W/runs/   what `sweep` makes of the list: fold0, fold1, ...
    W/folds.json crossval.json crossval.md crossval.png predictions/   when all
              are done

The same command goes on where it was stopped; with more --seeds it adds some.
"""

import pathlib
from collections.abc import Callable, Iterable, Mapping, Sequence

from gtzan_jax import atomic
from gtzan_jax.cli.command_line import Given
from gtzan_jax.errors import InputError
from gtzan_jax.reports import report
from gtzan_jax.studies.crossval import measure as crossval
from gtzan_jax.studies.crossval import page as crossval_page
from gtzan_jax.studies.sweep import run as sweep
from gtzan_jax.training import workdir

# What may not be given, and why.
_OWN = {
  "seed": "seeds are 0, 1, ..., as many as --seeds says",
  "data.fold": "every fold is tested",
  "data.splits": "a split of one's own has no folds",
  "data.leak": "folds are tested whole, and arms of the leak meter are not",
}

Cut = Callable[..., object]


def run(
  given: Given,
  launcher: pathlib.Path,
  open_cuts: Callable[[object], tuple[Cut, Sequence]],
  known: Mapping[str, int],
) -> int:
  """Runs what is left of the folds, then pools what they said.

  Args:
    given: the command line.
    launcher: launch.py.
    open_cuts: a config -> a function (arguments of tfds_gtzan.apply that differ
      from the config's) -> Partition; and the track table.
    known: of all protocols how many folds they have.

  Returns:
    the exit status, see `sweep.run_all`.

  Raises:
    InputError: a key that cannot be given, no seed, a protocol without folds, a
      genre that a fold lacks; see `sweep.run_all`.
  """
  config, flags = given.config, given.flags
  seeds = range(1 if flags.seeds is None else flags.seeds)
  _check(given, seeds, known)
  default = workdir.default_path(config)
  out = given.workdir(default.with_name(f"crossval-{default.name}"))
  cut, rows = open_cuts(config)
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
    recipe=given.recipe,
    overrides=given.overrides,
    out=out / "runs",
    retry=flags.retry,
    folder=f"--workdir={out}",
  )
  if status:
    return status
  tested = crossval.collect(out, facts)
  found = crossval.measure(tested)
  crossval.save_pooled(tested, out)
  atomic.write_json(out / crossval.FOLDS_FILE, facts)
  atomic.write_json(out / crossval.CROSSVAL_FILE, found)
  text = crossval_page.write(found, out)
  print(f"\n{text}\ncross-validation: {out / crossval.CROSSVAL_FILE}")
  return 0


def _check(given: Given, seeds: range, known: Mapping[str, int]) -> None:
  """Refuses, before anything is prepared, what cannot be measured."""
  if not seeds:
    raise InputError(f"--seeds={given.flags.seeds}: give 1 or more")
  given.refuse(_OWN)
  protocol = given.config.data.protocol
  if known.get(protocol, 1) == 1:
    able = [name for name, folds in known.items() if folds > 1]
    raise InputError(
      f"protocol {protocol!r} has no folds: give --config.data.protocol="
      f"{' or '.join(able)}"
    )


def plan(data, cut: Cut, rows: Iterable, number: int) -> dict:
  """The folds, each of which has tracks of every genre in every part.

  Args:
    data: the data section of the config.
    cut: see `run`.
    rows: the track table.
    number: of folds.

  Returns:
    what folds.json holds beside the seeds: `tracks`, of the genres that are
    kept; `folds` [{part: its `tracks` and `segments`} and `sha256` of the
    tested].

  Raises:
    InputError: a fold without tracks of a genre in some part, or what the
      protocol refuses.
  """
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
          f" {part} part: leave the genre out (--config.data.genres), or take"
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
