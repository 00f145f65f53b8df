"""gtzan_jax.gan could be deleted whole: nothing else needs it."""

import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[1]
BLOCKED = "import sys; sys.modules['gtzan_jax.gan'] = None\n"


def call(program: str) -> tuple[str, str]:
  """Its output and errors."""
  done = subprocess.run(
    [sys.executable, "-c", BLOCKED + program],
    cwd=ROOT,
    capture_output=True,
    text=True,
  )
  assert done.returncode == 0, done.stderr
  return done.stdout, done.stderr


@pytest.mark.slow
def test_every_other_module_imports():
  names = [
    ".".join(file.relative_to(ROOT).with_suffix("").parts)
    for package in ("gtzan_jax", "tfds_gtzan")
    for file in sorted((ROOT / package).rglob("*.py"))
    if not {"recipes", "gan"} & {*file.parts}
    and not file.stem.endswith("_test")
    and file.stem != "beam"
  ]
  assert len(names) > 100
  call(f"import importlib\nfor name in {names}: importlib.import_module(name)")


@pytest.mark.slow
def test_classifiers_train_and_a_gan_is_refused(tmp_path, data_dir):
  keys = {
    **{"data.dir": data_dir, "data.tracks_per_genre": 4, "eval.bootstrap": 20},
    "log.tensorboard": False,
  }
  flags = [f"--config.{key}={value}" for key, value in keys.items()]
  out, err = call(f"""
from gtzan_jax.cli.main import main
flags = {flags}
run = ["launch.py", "--workdir={tmp_path / "run"}", *flags]
assert main([*run, "--config=logreg_stats"]) == 0
assert main([*run, "--config=gan_features"]) == 2
given = ["--config=lstm_cgan", "--config.data.augment_with=a_gan"]
assert main(["launch.py", "--workdir={tmp_path / "b"}", *flags, *given]) == 2
""")
  assert "report.html" in out
  assert "config.task='gan': give one of classify" in err
  assert "this installation has no gtzan_jax.gan" in err
