"""Sweeps: what is started, passed over, tried again and reported.

Runs are stood in for by a small script that has launch.py's command line.
"""

import collections
import contextlib
import json
import os
import pathlib
import signal
import subprocess
import sys
import time

import pytest
from report_maker import made

from gtzan_jax import config_ranges, errors
from gtzan_jax.cli import parse_flags
from gtzan_jax.cli.verbs import VERBS
from gtzan_jax.models import published_sizes
from gtzan_jax.reports.published_scores import PUBLISHED
from gtzan_jax.studies.sweep import child_process
from gtzan_jax.studies.sweep import run as sweep
from gtzan_jax.training import find_recipe
from tfds_gtzan.protocols.protocol_table import PROTOCOLS

ROOT = pathlib.Path(__file__).resolve().parents[2]
RECIPE = ROOT / "configs" / "resnet.py"
SWEEPS = sorted((ROOT / "configs" / "sweeps").glob("*.py"))

# Does to a run what behave.json says of its name; notes its command line.
STUB = """
import json, os, pathlib, signal, sys, time
here = pathlib.Path(__file__).parent
with (here / "calls").open("a") as calls:
  calls.write(json.dumps(sys.argv[1:]) + "\\n")
path = pathlib.Path(sys.argv[-1].removeprefix("--workdir="))
what = json.loads((here / "behave.json").read_text()).get(path.name)
print("epoch 1")
if what == "refuse":
  print("error: /no/such does not exist", file=sys.stderr)
  sys.exit(2)
if what == "mumble":
  sys.exit("last words")
if what == "raise":
  raise FloatingPointError("not a number")
if what == "die":
  os.kill(os.getpid(), signal.SIGKILL)
if what == "wait":
  (here / "pid").write_text(str(os.getpid()))
  (here / "pid").rename(here / "waiting")
  time.sleep(60)
path.mkdir(exist_ok=True)
if what != "nothing":
  (path / "report.json").write_text((here / "report.json").read_text())
"""


@pytest.fixture
def work(tmp_path):
  """A folder with the stub, a sweep of two runs and their report to come."""
  (tmp_path / "launch.py").write_text(STUB)
  (tmp_path / "report.json").write_text(json.dumps(made(accuracy=0.625)))
  behave(tmp_path)
  write_sweep(
    tmp_path,
    "Run('slow', {'optim.learning_rate': 0.0001}),"
    "Run('fast', {'optim.learning_rate': 0.01, 'optim.name': 'sgd'})",
  )
  return tmp_path


def behave(work, **what) -> None:
  (work / "behave.json").write_text(json.dumps(what))


def write_sweep(work, runs: str) -> None:
  (work / "two.py").write_text(
    "from gtzan_jax.studies.sweep.run import Run\n"
    f"def get_sweep():\n  return [{runs}]\n"
  )


def run(work, overrides=None, **options) -> int:
  return sweep.run_all(
    sweep.load(work / "two.py"),
    name="two.py",
    launcher=work / "launch.py",
    recipe=str(RECIPE),
    overrides=overrides or {},
    out=work / "out",
    **options,
  )


def calls(work) -> list[list[str]]:
  """Command lines of the runs that were started since the last call."""
  file = work / "calls"
  lines = file.read_text().splitlines() if file.exists() else []
  file.unlink(missing_ok=True)
  return [json.loads(line) for line in lines]


def started(work) -> list[str]:
  return [call[-1].rsplit("/", 1)[1] for call in calls(work)]


def states(work) -> dict[str, str]:
  runs = json.loads((work / "out" / "sweep.json").read_text())["runs"]
  return {name: state["state"] for name, state in runs.items()}


def test_every_run_is_a_process_with_its_own_command_line(work, capfd):
  overrides = {"data.path": "my music", "log.tensorboard": False}
  assert run(work, overrides) == 0
  common = ["data.path=my music", "log.tensorboard=False"]
  assert calls(work) == [
    [
      f"--config={RECIPE}",
      *(f"--config.{key}" for key in common + own),
      f"--workdir={work / 'out' / name}",
    ]
    for name, own in (
      ("slow", ["optim.learning_rate=0.0001"]),
      ("fast", ["optim.learning_rate=0.01", "optim.name=sgd"]),
    )
  ]
  assert (work / "out" / "slow.log").read_text() == "epoch 1\n"
  out, err = capfd.readouterr()
  row = next(line for line in out.splitlines() if line.startswith("slow"))
  assert row.split()[:4] == ["slow", "done", "test", "0.625"]
  assert f"leaderboard: {work / 'out' / 'leaderboard.html'}" in out
  assert (work / "out" / "leaderboard.md").exists()
  assert not err


def test_done_runs_are_skipped_and_moved_data_is_checked_by_the_run(
  work, monkeypatch
):
  monkeypatch.chdir(work)
  for path, left in (
    ("music", ["slow", "fast"]),
    ("music", []),
    (str(work / "music/"), []),
    ("moved", ["slow", "fast"]),
  ):
    assert run(work, {"data.path": path}) == 0
    assert started(work) == left
  (work / "out" / "fast" / "report.json").unlink()
  assert run(work, {"data.path": path}) == 0
  assert started(work) == ["fast"]
  with pytest.raises(
    errors.InputError, match=r"slow was finished .* seed \(was None, now 1\)"
  ):
    run(work, {"data.path": "music", "seed": 1})


@pytest.mark.parametrize(
  ("what", "status", "line"),
  [
    ("refuse", 2, "/no/such does not exist"),
    ("mumble", 1, "last words"),
    ("raise", 1, "FloatingPointError: not a number"),
    ("die", -9, "ended by signal 9 (Killed)"),
    ("nothing", 0, "exited 0 but wrote no report.json"),
  ],
)
def test_a_failure_is_reported_and_retried_on_request(
  work, capfd, what, status, line
):
  behave(work, slow="refuse")
  assert run(work) == 1
  assert started(work) == ["slow", "fast"], "the others go on"
  behave(work, slow=what)
  assert run(work, retry=True) == 1
  state = json.loads((work / "out" / "sweep.json").read_text())["runs"]["slow"]
  assert (state["exit_status"], state["error"]) == (status, line)
  err = capfd.readouterr().err.splitlines()
  assert len(err) == 2
  assert err[1].startswith(f"failed: slow: {line} (")
  behave(work)
  started(work)
  assert run(work) == 1
  assert started(work) == [], "not without --retry"
  out, err = capfd.readouterr()
  assert line in err
  assert "slow: failed before" in out
  assert run(work, retry=True) == 0
  assert started(work) == ["slow"]
  assert states(work) == {"slow": "done", "fast": "done"}
  assert (work / "out" / "slow.log").read_text().count("epoch 1") == 3


def test_an_exceptions_line_is_found_among_others():
  notes = (
    "Traceback (most recent call last):\n  File ...\njax.errors.JaxError: bad\n"
    "--------------------\nFor simplicity, JAX has removed its frames.\n"
  )
  assert child_process.error_line(1, notes) == "jax.errors.JaxError: bad"
  assert child_process.error_line(3, "last words\n\n") == "last words"
  assert "status 3" in child_process.error_line(3, "")


# A sweep as a process: signals.

DRIVER = """
import pathlib, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # as in a terminal
sys.path.insert(0, {root!r})
from gtzan_jax.studies.sweep import run as sweep
work = pathlib.Path({work!r})
sys.exit(sweep.run_all(
  sweep.load(work / "two.py"), name="two.py", launcher=work / "launch.py",
  recipe={recipe!r}, overrides={{}}, out=work / "out",
))
"""


def start_waiting(work) -> subprocess.Popen:
  """A sweep whose first run has begun and waits."""
  behave(work, slow="wait")
  driver = DRIVER.format(root=str(ROOT), work=str(work), recipe=str(RECIPE))
  started = subprocess.Popen(
    [sys.executable, "-c", driver], stderr=subprocess.PIPE, text=True
  )
  deadline = time.monotonic() + 60
  while not (work / "waiting").exists():
    assert started.poll() is None, started.stderr.read()
    assert time.monotonic() < deadline
    time.sleep(0.05)
  return started


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_is_passed_on_and_the_sweep_resumes(work, number):
  with start_waiting(work) as driver:
    driver.send_signal(number)
    assert driver.wait(timeout=30) == 128 + number
    assert "the same command continues" in driver.stderr.read()
  assert started(work) == ["slow"], "none was started after the signal"
  assert states(work) == {"slow": "interrupted"}
  behave(work)
  assert run(work) == 0
  assert started(work) == ["slow", "fast"]


def test_a_run_that_outlives_its_sweep_keeps_others_out(work):
  with start_waiting(work) as driver:
    driver.kill()
    driver.wait(timeout=30)
  assert states(work) == {"slow": "running"}
  try:
    with pytest.raises(errors.InputError, match="is in use by another process"):
      run(work)
  finally:
    os.kill(int((work / "waiting").read_text()), signal.SIGKILL)
  behave(work)
  deadline = time.monotonic() + 30
  while states(work) != {"slow": "done", "fast": "done"}:
    assert time.monotonic() < deadline
    time.sleep(0.05)
    with contextlib.suppress(errors.InputError):  # the lock goes with the run
      assert run(work) == 0


# Refusals, all before the first run starts.


@pytest.mark.parametrize(
  ("runs", "words"),
  [
    ("Run('b', {'optim.learning_rat': 1.0})", "optim.learning_rate"),
    ("Run('b', {'optin.name': 'sgd'})", "optim.name"),
    ("Run('b', {'optim': 'sgd'})", "no key 'optim'"),
    ("Run('b', {'train.epochs': 2.5})", "train.epochs=2.5: give a value like"),
    ("Run('b', {'train.epochs': 0})", "train.epochs=0: give a whole number"),
    ("Run('b', {'loss.l2': -1.0})", "loss.l2=-1.0: give a number from 0 to"),
    ("Run('b', {'optim.name': None})", "optim.name=None"),
    ("Run('b', {'data.path': ('a', 'b')})", "data.path=('a', 'b')"),
    ("Run('b', {}, recipe='configs/no.py')", "configs/no.py cannot be read"),
    ("Run('a', {})", "two runs are called 'a'"),
    ("Run('../b', {})", "'../b' cannot be a folder"),
    ("Run('', {})", "'' cannot be a folder"),
    ("Run(None, {})", "None cannot be a folder"),
    ("Run('b', None)", "overrides=None, recipe=None): overrides are {'"),
    ("Run('b', {1: 2})", "overrides are {'section.key': value}"),
    ("Run('b', {}, 3)", "recipe is a file or None"),
    ("Run('b', {'optim.learning_rate': float('nan')})", "learning_rate=nan"),
    ("exit(3)", "fails: SystemExit: 3"),
    ("('b', {})", "give a list of gtzan_jax.studies.sweep.run.Run"),
    ("1 / 0", "ZeroDivisionError"),
    ("1 +", "SyntaxError"),
    (None, "has no get_sweep"),
    ([], "returns []"),
    (3, "returns 3"),
    (..., "two.py cannot be read"),
  ],
)
def test_a_sweep_with_a_mistake_starts_nothing(work, runs, words):
  if isinstance(runs, str):
    write_sweep(work, f"Run('a', {{}}), {runs}")
  elif runs is ...:
    (work / "two.py").unlink()
  else:
    text = "" if runs is None else f"def get_sweep(): return {runs}"
    (work / "two.py").write_text(text)
  with pytest.raises(errors.InputError) as caught:
    run(work)
  assert words in str(caught.value)
  assert "\n" not in str(caught.value)
  assert not started(work)
  assert not (work / "out").exists()


def test_command_line_and_sweep_may_agree_but_not_differ(work):
  with pytest.raises(
    errors.InputError, match=r"learning_rate=0.01: run 'slow' .* to 0.0001"
  ):
    run(work, {"optim.learning_rate": 0.01})
  assert not started(work)
  write_sweep(work, "Run('one', {'optim.learning_rate': 0.01})")
  assert run(work, {"optim.learning_rate": 0.01}) == 0


def test_a_run_may_name_its_own_recipe(work):
  (work / "mine.py").write_text(
    "import ml_collections\n"
    "def get_config():\n"
    "  return ml_collections.ConfigDict({'recipe': 'mine', 'sizes': (4, 8)})\n"
  )
  mine = str(work / "mine.py")
  write_sweep(work, f"Run('a', {{}}), Run('b', {{'sizes': (2,)}}, {mine!r})")
  assert run(work) == 0
  assert [call[:-1] for call in calls(work)] == [
    [f"--config={RECIPE}"],
    [f"--config={work / 'mine.py'}", "--config.sizes=(2,)"],
  ]
  assert run(work) == 0, "a tuple is the same after sweep.json"
  with pytest.raises(errors.InputError, match=r"run 'b' of .*no key 'seed'"):
    run(work, {"seed": 1})


@pytest.mark.parametrize(
  "text",
  [
    *("", "[]", '{"runs": {"slow": {}}}'),
    '{"runs": {"slow": {"recipe": "resnet", "overrides": {}}}}',
  ],
)
def test_a_damaged_state_file_is_named(work, text):
  (work / "out").mkdir()
  (work / "out" / "sweep.json").write_text(text)
  with pytest.raises(errors.InputError, match=r"sweep.json is damaged: remove"):
    run(work)


def test_a_folder_that_cannot_be_written(work):
  (work / "out").write_text("a file")
  with pytest.raises(errors.InputError, match=r"--out=.*out cannot be written"):
    run(work)


def planned(path, recipe=RECIPE) -> tuple[list, dict]:
  """The runs of a sweep and their plans."""
  runs = sweep.load(path)
  return runs, sweep.plan(
    runs,
    launcher=ROOT / "launch.py",
    recipe=str(recipe),
    overrides={},
    out=pathlib.Path("out"),
  )


@pytest.mark.slow
@pytest.mark.parametrize("path", SWEEPS, ids=lambda path: path.stem)
def test_the_sweeps_here_fit_the_recipes(path):
  for recipe in ("resnet", "mel_cnn"):
    runs, plans = planned(path, ROOT / "configs" / f"{recipe}.py")
    assert len(plans) >= 3
    unnamed = [run.name for run in runs if run.recipe is None]
    assert {plans[name].recipe for name in unnamed} <= {recipe}
  assert f"--sweep=configs/sweeps/{path.name}" in path.read_text()


def leaderboard(*names) -> list[tuple]:
  """(run, its recipe's name in the report), of sweeps."""
  found = []
  for name in names:
    runs, plans = planned(ROOT / "configs" / "sweeps" / f"{name}.py")
    found += [(run, plans[run.name].recipe) for run in runs]
  return found


def test_what_the_quick_leaderboard_cuts_short_has_another_name():
  short, whole = set(), set()
  for run, recipe in leaderboard("leaderboard_quick"):
    assert recipe == run.name
    (short if len(run.overrides) > 1 else whole).add(run.name)
    full = find_recipe.load(ROOT / run.recipe).train.epochs
    assert run.overrides.get("train.epochs", 0) < full
    assert run.overrides["data.protocol"] == "filtered"
  assert {"mel_cnn_quick", "cnn_gru_quick", "transformer_quick"} <= short
  assert {"majority", "svm_stats", "logreg_logmel"} <= whole
  assert {name.endswith("_quick") for name in short} == {True}
  assert {name.endswith("_quick") for name in whole} == {False}
  assert not short & PUBLISHED.keys()


def test_the_leaderboard_has_every_recipe_honestly_and_as_its_source_split():
  seeds = collections.defaultdict(set)
  for run, recipe in leaderboard("leaderboard", "leaderboard_audio"):
    protocol, seed = run.overrides["data.protocol"], run.overrides["seed"]
    assert run.name == f"{recipe}-{protocol}-seed{seed}"
    assert "train.epochs" not in run.overrides
    seeds[recipe, protocol].add(seed)
  wanted = {(recipe, "filtered") for recipe in published_sizes.REFERENCE}
  wanted |= {(r, p.protocol) for r, p in PUBLISHED.items() if p.protocol}
  assert wanted <= seeds.keys()
  assert seeds["mel_cnn", "filtered"] == seeds["mlp", "filtered"] == {0, 1, 2}
  assert seeds["image_cnn2", "filtered"] == {0}  # an hour each
  assert {p for _, p in seeds} <= PROTOCOLS.keys()


def test_flags_give_each_value_back_as_it_was(tmp_path):
  """launch.py reads what a sweep writes on a command line."""
  overrides = {
    **{"optim.learning_rate": 1e-05, "train.epochs": 3, "optim.clip_norm": 2},
    **{"log.tensorboard": False, "model.channels": (4, 8), "model.dense": 16},
    **{"data.path": "/my music/a=b", "log.compilation_cache": ""},
  }
  plans = sweep.plan(
    [sweep.Run("a", overrides)],
    launcher=ROOT / "launch.py",
    recipe=str(ROOT / "configs" / "mel_cnn.py"),
    overrides={},
    out=tmp_path,
  )
  given = parse_flags.parse(plans["a"].command[2:], VERBS)
  flat = config_ranges.flatten(given.config.to_dict())
  assert {key: flat[key] for key in overrides} == overrides
  assert given.overrides == overrides
  assert given.flags.workdir == [str(tmp_path / "a")]
