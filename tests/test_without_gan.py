"""gtzan_jax.gan could be deleted whole: nothing else needs it."""

import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[1]
BLOCKED = "import sys; sys.modules['gtzan_jax.gan'] = None\n"


def call(program: str, **options) -> subprocess.CompletedProcess:
  return subprocess.run(
    [sys.executable, "-c", BLOCKED + program],
    **{"cwd": ROOT, "capture_output": True, "text": True, **options},
  )


@pytest.mark.slow
def test_every_other_module_imports():
  names = [
    ".".join(file.relative_to(ROOT).with_suffix("").parts)
    for package in ("gtzan_jax", "tfds_gtzan")
    for file in sorted((ROOT / package).rglob("*.py"))
    if "recipes" not in file.parts
    and "gan" not in file.parts
    and not file.stem.endswith("_test")
    and file.stem != "beam"
  ]
  assert len(names) > 100
  program = (
    f"import importlib\nfor name in {names}: importlib.import_module(name)"
  )
  done = call(program)
  assert done.returncode == 0, done.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
  ("words", "status", "said"),
  [
    (["--config=logreg_stats"], 0, "report.html"),
    (["--config=gan_features"], 2, "config.task='gan': give one of classify"),
    (
      ["--config=lstm_cgan", "--config.data.augment_with=a_gan"],
      2,
      "this installation has no gtzan_jax.gan",
    ),
  ],
)
def test_classifiers_train_and_a_gan_is_refused(
  words, status, said, tmp_path, data_dir
):
  argv = ["launch.py", *words, f"--workdir={tmp_path / 'run'}"]
  argv += [f"--config.data.dir={data_dir}", "--config.data.tracks_per_genre=4"]
  argv += ["--config.eval.bootstrap=20", "--config.log.tensorboard=False"]
  done = call(f"from gtzan_jax.cli.main import main\nsys.exit(main({argv}))")
  assert done.returncode == status, done.stderr
  assert said in done.stdout + done.stderr
