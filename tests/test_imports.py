"""What an import loads: each in a process of its own."""

import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[1]
HEAVY = "matplotlib tensorflow_datasets orbax grain"
LOADED = """
absent = set({absent!r}.split()) & set(sys.modules)
assert not absent, absent
"""
# As a library: no data set, no config, no loop; README's own lines.
LIBRARY = """
import jax, jax.numpy as jnp
from gtzan_jax import features, models
x = features.extract(jnp.zeros((1, 4096)), "logmel_1024")
model = models.create("cnn_gru", num_classes=10, channels=(2, 2),
                      pool_frames=(2, 1), pool_bins=(4, 4), hidden=4, dense=4)
variables = model.init(jax.random.key(0), x, train=False)
assert model.apply(variables, x, train=False).shape == (1, 10)
"""
LOOP = """
import gtzan_jax.training.loop
ours = [x for x in sys.modules if x.startswith(("gtzan_jax", "tfds_gtzan"))]
assert len(ours) <= 35, ours
import gtzan_jax
assert callable(gtzan_jax.open_dataset)
assert all(hasattr(gtzan_jax, name) for name in dir(gtzan_jax))
"""
HELP = """
from gtzan_jax.cli.main import main
assert main(["launch.py", "--help"]) == 0
assert main(["launch.py", "train"]) == 2
"""
FIRST_STEP = """
from gtzan_jax.cli import print_scores, tasks
from gtzan_jax.data import open_dataset, pipeline
from gtzan_jax.training import allocator, jax_process, sharding, workdir
assert sorted(map(pipeline.shuffled(9, 0), range(9))) == list(range(9))
"""
BEGIN_AT_PREDICTIONS = (
  "gtzan_jax.scores.metrics",
  "gtzan_jax.reports.report",
  "gtzan_jax.reports.leaderboard",
  "gtzan_jax.studies.sweep.run",
  "gtzan_jax.studies.verify.run",
)
PROGRAMS = {
  "import gtzan_jax": f"jax numpy {HEAVY}",
  "import gtzan_jax.models, gtzan_jax.features": HEAVY,
  f"import {', '.join(BEGIN_AT_PREDICTIONS)}": "jax",
  LIBRARY: f"ml_collections tfds_gtzan librosa sklearn {HEAVY}",
  "from gtzan_jax.inference import predict": (
    "matplotlib tensorflow_datasets grain tfds_gtzan"
  ),
  LOOP: "matplotlib grain orbax h5py",
  FIRST_STEP: "matplotlib grain orbax h5py scipy sklearn",
  HELP: f"jax numpy {HEAVY}",
}


@pytest.mark.slow
@pytest.mark.parametrize("program", PROGRAMS)
def test_an_import_loads_no_more_than_it_needs(program):
  text = f"import sys\n{program}{LOADED.format(absent=PROGRAMS[program])}"
  done = subprocess.run(
    [sys.executable, "-c", text], cwd=ROOT, capture_output=True, text=True
  )
  assert done.returncode == 0, done.stderr
