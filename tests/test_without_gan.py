"""gtzan_jax.gan could be deleted whole: nothing else needs it."""

import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[1]
PROGRAM = """
import importlib, sys
sys.modules["gtzan_jax.gan"] = None
for name in {names}: importlib.import_module(name)
from gtzan_jax.cli.main import main
for words, status in {commands}: assert main(["launch.py", *words]) == status
"""


@pytest.mark.slow
def test_every_other_module_imports_and_classifiers_train(tmp_path, data_dir):
  files = [
    file.relative_to(ROOT).with_suffix("").parts
    for package in ("gtzan_jax", "tfds_gtzan")
    for file in sorted((ROOT / package).rglob("*.py"))
  ]
  names = [
    ".".join(parts)
    for parts in files
    if not {"recipes", "gan", "beam"} & {*parts}
    and not parts[-1].endswith("_test")
  ]
  assert len(names) > 100
  same = [
    f"--config.data.dir={data_dir}",
    "--config.data.tracks_per_genre=4",
    "--config.eval.bootstrap=20",
    "--config.log.tensorboard=False",
  ]
  commands = [
    ([*words, f"--workdir={tmp_path / str(status)}", *same], status)
    for words, status in (
      (["--config=logreg_stats"], 0),
      (["--config=gan_features"], 2),
      (["--config=lstm_cgan", "--config.data.augment_with=a_gan"], 2),
    )
  ]
  program = PROGRAM.format(names=names, commands=commands)
  done = subprocess.run(
    [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True
  )
  assert done.returncode == 0, done.stderr
  assert "report.html" in done.stdout
  for message in (
    "config.task='gan': give one of classify",
    "this installation has no gtzan_jax.gan",
  ):
    assert message in done.stderr
