"""Runs a leakage meter, each run in its own process, and measures leakage.

W/runs/   the arms, then whole protocols, run as a sweep
W/plan.json leak.json leak.md leak.png   when all are done
"""

import pathlib
from collections.abc import Callable, Mapping, Sequence

import ml_collections

from gtzan_jax import atomic
from gtzan_jax.data.open_dataset import open_splits
from gtzan_jax.errors import InputError
from gtzan_jax.studies.leak import measure as leak
from gtzan_jax.studies.leak import page as leak_page
from gtzan_jax.studies.sweep import run as sweep
from gtzan_jax.training import workdir
from tfds_gtzan import PROTOCOLS

SEEDS = 3
NONE = "none"  # as --protocol: no protocols beside the arms
# Keys that may not be given, and why.
OWN = dict.fromkeys(
  ("seed", "data.leak", "data.train_segments"), "leak sets it itself"
)

Cut = Callable[..., object]


def run(
  config: ml_collections.ConfigDict,
  *,
  recipe: str,
  overrides: Mapping[str, object],
  launcher: pathlib.Path,
  out: pathlib.Path | None = None,
  seeds: int | None = None,
  chosen: Sequence[str] = (),
  retry: bool = False,
) -> int:
  """Runs what is left of a leakage meter, then measures. `config` has the
  `overrides`; `out` None: leak-... in the folder of runs; `seeds` runs of each
  (None: SEEDS, at least 2); `chosen` protocols beside the arms (empty: all;
  [NONE]: none); the rest, and the exit status, as in `sweep.run_all`.
  InputError for a protocol that leaks or cannot be cut into arms."""
  seeds = SEEDS if seeds is None else seeds
  _check(seeds, chosen)
  default = workdir.default_path(config)
  out = out or default.with_name(f"leak-{default.name}")
  config.data.leak = leak.CLEAN  # a protocol without arms is refused at once
  cut, _ = open_splits(config)
  facts, values = plan(config.data, cut, chosen)
  for name, reason in facts["left_out"].items():
    print(f"left out: {name}: {reason}")
  for name, twin in facts["same"].items():
    print(f"left out: {name}: the same segments as {twin} here")
  status = sweep.run_all(
    [  # the arms first, seed by seed
      sweep.Run(f"{name}-seed{seed}", {**values[name], "seed": seed})
      for group in ("arms", "protocols")
      for seed in range(seeds)
      for name in facts[group]
    ],
    name="leak meter",  # stored in sweep.json
    launcher=launcher,
    recipe=recipe,
    overrides={
      key: value
      for key, value in overrides.items()
      if key not in ("data.protocol", "data.fold", "data.splits")
    },
    out=out / "runs",
    retry=retry,
    folder=f"--workdir={out}",
  )
  if status not in (0, 1):
    return status
  atomic.write_json(out / leak.PLAN_FILE, facts)
  scores = leak.measure(out)
  atomic.write_json(out / leak.LEAK_FILE, scores)
  text = leak_page.document(scores).write(out, leak_page.FILE)
  print(f"\n{text}\nleak: {out / leak.LEAK_FILE}")
  return status


def _check(seeds: int, chosen: Sequence[str]) -> None:
  for name in chosen:
    if name not in PROTOCOLS and name != NONE:
      raise InputError(
        f"--protocol={name}: give some of {', '.join(PROTOCOLS)}; or {NONE}"
      )
  if NONE in chosen and len(chosen) > 1:
    raise InputError(
      f"--protocol={' --protocol='.join(chosen)}: give {NONE} alone"
    )
  if seeds < 2:
    raise InputError(
      f"--seeds={seeds}: give 2 or more; one run does not show the spread"
    )


def plan(data, cut: Cut, chosen: Sequence[str]) -> tuple[dict, dict[str, dict]]:
  """The content of plan.json, and overrides of each arm and protocol.
  InputError for a chosen protocol that the corpus does not allow."""
  left_out, same, beside = {}, {}, {}
  arms = {leak.CLEAN: cut(leak=leak.CLEAN)}
  for arm in leak.LEAKING:
    try:
      arms[arm] = cut(leak=arm)
    except InputError as error:
      left_out[arm] = str(error)
  names = [] if chosen == [NONE] else dict.fromkeys(chosen or PROTOCOLS)
  for name in names:
    try:
      partition = cut(name=name, fold=0, leak="")
    except InputError as error:
      if chosen:
        raise
      left_out[name] = str(error)
      continue
    if not (partition.parts["train"] and partition.parts["validation"]):
      left_out[name] = f"protocol {name!r} leaves train or validation empty"
    elif twins := [k for k, v in beside.items() if v.parts == partition.parts]:
      same[name] = twins[0]
    else:
      beside[name] = partition
  if len(arms) == 1 and not beside:
    raise InputError(f"nothing to compare: {'; '.join(left_out.values())}")
  size = min((len(x.parts["train"]) for x in beside.values()), default=0)
  base = {"data.protocol": data.protocol, "data.fold": data.fold}
  matched = {"data.fold": 0, "data.train_segments": size}
  if data.splits:  # of which the arms are made, and nothing else is
    base["data.splits"], matched["data.splits"] = data.splits, ""
  facts = {
    "arms": {arm: list(partition.touched) for arm, partition in arms.items()},
    "protocols": list(beside),
    "left_out": left_out,
    "same": same,
  }
  return facts, {
    **{arm: {**base, "data.leak": arm} for arm in arms},
    **{name: {"data.protocol": name, **matched} for name in beside},
  }
