"""Sweeps: the runs of a sweep file or a list, each in its own process.

    out/<run>/          the run folder; out/<run>.log has its console output
    out/sweep.json      the state of each run, written after every change
    out/leaderboard.*   drawn from the reports at the end

Finished runs are skipped, interrupted ones resumed, failed ones wait for
--retry. docs/sweeps.md describes sweep files.
"""

import difflib
import json
import math
import os
import pathlib
import re
import sys
import time
from collections.abc import Iterator, Mapping
from typing import IO, NamedTuple

import ml_collections

from gtzan_jax import atomic, config_ranges
from gtzan_jax.errors import InputError, shown
from gtzan_jax.reports import leaderboard_page, report
from gtzan_jax.studies.sweep import child_process
from gtzan_jax.training import find_recipe, workdir

OUT = pathlib.Path("runs/sweeps")
STATE_FILE = "sweep.json"
_NAME = r"[\w+-][\w.+-]*"


class Run(NamedTuple):
  """One run of a sweep. `name` is its folder; `overrides` are config keys
  ("{out}" in a string is the sweep's folder, so "{out}/NAME" is an earlier
  run); `recipe` is a name or a file (None: that of --config)."""

  name: str
  overrides: Mapping[str, object]
  recipe: str | None = None


class Plan(NamedTuple):
  """A checked run: recipe, all overrides, command."""

  recipe: str
  overrides: dict[str, object]
  command: list[str]


def load(path: str | os.PathLike) -> list[Run]:
  """The runs from get_sweep() of a sweep file; InputError for anything but Runs
  with unique names that are valid for folders."""
  runs = find_recipe.call(path, "get_sweep")
  if not (
    isinstance(runs, list) and runs and all(isinstance(x, Run) for x in runs)
  ):
    raise InputError(
      f"{path}: get_sweep() returns {str(runs)[:60]}: give a list of"
      " gtzan_jax.studies.sweep.run.Run"
    )
  names = [run.name for run in runs]
  for run in runs:
    if not (
      isinstance(run.overrides, Mapping)
      and all(isinstance(key, str) for key in run.overrides)
      and isinstance(run.recipe, str | None)
    ):
      raise InputError(
        f"{path}: {str(run)[:80]}: overrides are {{'section.key': value}}, and"
        " recipe is a file or None"
      )
    if not isinstance(run.name, str) or not re.fullmatch(_NAME, run.name):
      raise InputError(
        f"{path}: the run name {run.name!r} cannot be a folder: use letters,"
        " digits and _ + - ."
      )
    if names.count(run.name) > 1:
      raise InputError(f"{path}: two runs are called {run.name!r}")
  return runs


def plan(
  runs: list[Run],
  *,
  launcher: pathlib.Path,
  recipe: str,
  overrides: Mapping[str, object],
  out: pathlib.Path,
) -> dict[str, Plan]:
  """{name: Plan} in the order of `runs`, all checked before the first starts.
  InputError for an unknown key, a value of another type, or a key set
  differently by sweep and command line."""
  plans = {}
  for run in runs:
    file = (run.recipe and find_recipe.find(run.recipe)) or run.recipe or recipe
    config = find_recipe.load(file)
    merged = {**overrides, **run.overrides}
    for key, value in merged.items():
      if key in overrides and overrides[key] != value:
        raise InputError(
          f"--config.{key}={overrides[key]}: run {run.name!r} of the sweep sets"
          f" it to {value}; leave it out or write another sweep file"
        )
      if isinstance(value, str):  # a run may make use of an earlier one
        value = merged[key] = value.replace("{out}", str(out))
      _check_override(config, key, value, f"run {run.name!r} of {file}")
    plans[run.name] = Plan(
      config.recipe,
      merged,
      [
        *(sys.executable, str(launcher), f"--config={file}"),
        *(f"--config.{key}={value}" for key, value in merged.items()),
        f"--workdir={out / run.name}",
      ],
    )
  return plans


def _check_override(
  config: ml_collections.ConfigDict, key: str, value: object, where: str
) -> None:
  """Refuses an override that the run's own command line would refuse."""
  known = config_ranges.flatten(config.to_dict())
  if key not in known:
    section = [one for one in known if one.split(".")[0] == key.split(".")[0]]
    near = difflib.get_close_matches(key, known, 1) or section or known
    raise InputError(
      f"{where}: there is no key {key!r}; there are {', '.join(near)}"
    )
  try:
    if not isinstance(value, bool | int | float | str | tuple) or (
      isinstance(value, float) and not math.isfinite(value)
    ):
      raise TypeError(value)
    config.update_from_flattened_dict({key: value})
  except TypeError as error:
    raise InputError(
      f"{where}: {key}={value!r}: give a value like {known[key]!r}"
    ) from error
  accepted = config_ranges.CONFIG.get(key)
  if accepted and not accepted.holds(value):
    raise InputError(
      f"{where}: {key}={config_ranges.brief(value)}: give {accepted.accepted}"
    )


def run_all(
  runs: list[Run],
  *,
  name: str,
  launcher: pathlib.Path,
  recipe: str,
  overrides: Mapping[str, object],
  out: pathlib.Path,
  retry: bool = False,
  folder: str = "",
) -> int:
  """Runs what is left of a list, prints its states and writes a leaderboard.
  `launcher` starts a run, `recipe` is for runs without one, `overrides` for
  every run, `folder` is the flag for `out` in messages. Returns 0 if every run
  is done, 1 if not, 128 + the signal if stopped. InputError if `out` is in use
  or has a finished run of the same name with other values."""
  plans = plan(
    runs, launcher=launcher, recipe=recipe, overrides=overrides, out=out
  )
  folder = folder or f"--out={out}"
  with workdir.locked(out, folder) as lock, child_process.Stop() as stop:
    states = _read_states(out, plans, folder)
    for i, (run_name, one) in enumerate(plans.items(), 1):
      label = f"[{i}/{len(plans)}] {run_name}"
      path = out / run_name
      before = states.get(run_name, {"state": "new", "seconds": 0.0})
      if before["state"] == "done":
        print(f"{label}: done before")
      elif before["state"] == "failed" and not retry:
        print(f"{label}: failed before; --retry restarts it")
      else:
        print(f"{label}: running, see {path}.log", flush=True)
        for state in _stages(one, before["seconds"], path, lock, stop):
          states[run_name] = state
          atomic.write_json(out / STATE_FILE, {"sweep": name, "runs": states})
        print(f"{label}: {states[run_name]['state']}", flush=True)
      if stop.signal:
        break
  _report(out, {key: states.get(key, {}) for key in plans})
  if stop.signal:
    return 128 + stop.signal
  return int(any(states[key]["state"] != "done" for key in plans))


def _stages(
  one: Plan,
  seconds: float,
  path: pathlib.Path,
  lock: IO,
  stop: child_process.Stop,
) -> Iterator[dict]:
  """A run's state for sweep.json: before its process, then after it."""
  state = {"recipe": one.recipe, "overrides": one.overrides}
  state |= {"state": "running", "exit_status": None, "error": None}
  yield {**state, "seconds": seconds}
  begin = time.monotonic()
  log = path.with_name(f"{path.name}.log")
  status, text = child_process.run(one.command, log, stop, lock.fileno())
  seconds = round(seconds + time.monotonic() - begin, 3)
  state |= {"state": "done", "exit_status": status, "seconds": seconds}
  if status in child_process.STOPPED:
    state["state"] = "interrupted"
  elif status:
    state |= {
      "state": "failed",
      "error": child_process.error_line(status, text),
    }
  elif not (path / report.REPORT_FILE).is_file():
    state |= {"state": "failed", "error": "exited 0 but wrote no report.json"}
  yield state


def _report(out: pathlib.Path, states: Mapping[str, dict]) -> None:
  """Prints the table of runs, the leaderboard's path and the failures."""
  names = {"done": [], "failed": []}
  rows = [
    ("run", "state", "split", "tracks", "macro-F1", "segments", "seconds")
  ]
  for name, state in states.items():
    word = state.get("state", "new")
    names.setdefault(word, []).append(name)
    scores = _scores(out / name) if word == "done" else ("",) * 4
    rows.append((name, word, *scores, f"{state.get('seconds', 0):.0f}"))
  widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
  print()
  for row in rows:
    print("  ".join(map(str.ljust, row, widths)).rstrip())
  if done := [out / name for name in names.pop("done")]:
    print(f"\nleaderboard: {leaderboard_page.write(done, out)}", flush=True)
  for name in names.pop("failed"):
    reason = shown(states[name]["error"])
    print(
      f"failed: {name}: {reason} (more in {out / name}.log; --retry restarts"
      " it)",
      file=sys.stderr,
    )
  if names:
    print("not finished: the same command continues", file=sys.stderr)


def _scores(path: pathlib.Path) -> tuple[str, str, str, str]:
  """Headline split, its track accuracy, macro-F1 and segment accuracy."""
  result = report.read(path / report.REPORT_FILE)
  if result["headline"] is None:
    return ("none", "", "", "")
  split = result["splits"][result["headline"]]
  values = (
    split["track"]["accuracy"],
    split["track"]["macro_f1"],
    split["segment"]["accuracy"],
  )
  return (result["headline"], *(f"{value:.3f}" for value in values))


def _read_states(
  out: pathlib.Path, plans: Mapping[str, Plan], folder: str
) -> dict[str, dict]:
  """The states in sweep.json, without finished runs whose report is gone. A
  finished run whose data path changed is started again, and compares the
  fingerprint itself. InputError if one has other values."""
  file = out / STATE_FILE
  try:
    states = json.loads(file.read_text())["runs"] if file.exists() else {}
    values = {
      name: {"recipe": state["recipe"], **state["overrides"]}
      for name, state in states.items()
      if state["state"] and state["seconds"] >= 0
    }
  except (ValueError, LookupError, TypeError, AttributeError) as error:
    raise InputError(
      f"{file} is damaged: remove it; finished runs are known by their"
      " report.json"
    ) from error
  for name, one in plans.items():
    if states.get(name, {}).get("state") != "done":
      continue
    if not (out / name / report.REPORT_FILE).is_file():
      del states[name]
      continue
    # through JSON, which makes lists of tuples
    now = json.loads(json.dumps({"recipe": one.recipe, **one.overrides}))
    before = values[name]
    changed = {
      key: f"{key} (was {before.get(key)!r}, now {now.get(key)!r})"
      for key in sorted(before.keys() | now.keys())
      if workdir.comparable(key, before.get(key))
      != workdir.comparable(key, now.get(key))
    }
    if list(changed) == ["data.path"]:
      states[name]["state"] = "interrupted"
    elif changed:
      raise InputError(
        f"{out / name} was finished with other values:"
        f" {', '.join(changed.values())};"
        f" give another {folder.partition('=')[0]} or the values it had"
      )
  return states
