"""A strict world for every test: four devices, no silent broadcasting.

The flags have to be in the environment before JAX makes its first array, so
they are set when pytest loads this file.
"""

import functools
import importlib
import os
import pathlib
import signal
import tempfile
import types

# A shell's background job ignores Ctrl-C and hands that down to every child.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
  signal.signal(signal.SIGINT, signal.default_int_handler)
os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ.setdefault(
  "GTZAN_KEEP_MEMORY", "0"
)  # not for the tests' own process
if "xla_force_host_platform" not in os.environ.get("XLA_FLAGS", ""):
  flags = (
    os.environ.get("XLA_FLAGS", ""),
    "--xla_force_host_platform_device_count=4",
    # Compiling takes longer than what the tests compute.
    "--xla_backend_optimization_level=0",
    "--xla_llvm_disable_expensive_passes=true",
  )
  os.environ["XLA_FLAGS"] = " ".join(flags).strip()

import jax
import ml_collections
import pytest

jax.config.update("jax_numpy_rank_promotion", "raise")

# Each run jits anew; programs that an earlier test compiled come from here.
CACHE = tempfile.TemporaryDirectory()
jax.config.update("jax_compilation_cache_dir", CACHE.name)
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)

ROOT = pathlib.Path(__file__).resolve().parents[1]
# Fixtures that train or evaluate a run: whoever first needs one waits for it.
TRAINED = {"finished", "trained", "evaluated"}


def pytest_collection_modifyitems(items):
  for item in items:
    if TRAINED & {*getattr(item, "fixturenames", ())}:
      item.add_marker("slow")


@pytest.fixture(scope="session")
def gtzan_data() -> pathlib.Path:
  """The folder of real GTZAN material; the test is skipped without it."""
  given = os.environ.get("GTZAN_DATA")
  path = pathlib.Path(given) if given else ROOT.parent / "shared" / "data"
  if not path.is_dir():
    pytest.skip(f"no real GTZAN material at {path} (set GTZAN_DATA)")
  return path


@pytest.fixture(scope="session")
def data_dir(tmp_path_factory) -> pathlib.Path:
  """Prepared data shared by the whole session, its parallel workers too."""
  base = tmp_path_factory.getbasetemp()
  if os.environ.get("PYTEST_XDIST_WORKER"):
    base = base.parent
  return base / "prepared"


@pytest.fixture(scope="session", autouse=True)
def _rendered_once():
  """A synthetic track takes a quarter of a second to render: keep some."""
  from tfds_gtzan.corpora import open_corpus

  @functools.lru_cache(64)
  def render(track_id):
    samples = synthetic.render(track_id)
    samples.flags.writeable = False  # every test gets the same array
    return samples

  synthetic = open_corpus.synthetic
  kept = types.SimpleNamespace(**vars(synthetic) | {"render": render})
  with pytest.MonkeyPatch.context() as patch:
    patch.setattr(open_corpus, "synthetic", kept)
    yield


@pytest.fixture
def undrawn(monkeypatch):
  """Reports without their pictures and their page: drawing takes seconds."""
  from gtzan_jax.reports import page, plot_style

  monkeypatch.setattr(page, "pictures", lambda *_: ())
  monkeypatch.setattr(page, "render", lambda *_, **__: "page")
  monkeypatch.setattr(plot_style, "png", lambda _: b"")


@pytest.fixture
def text_only(monkeypatch):
  """Pages whose drawings are their descriptions: drawing takes seconds."""
  from gtzan_jax.reports import document

  monkeypatch.setattr(
    document, "figure", lambda name, alt, *_, css="": document.text(alt)
  )


@pytest.fixture
def make_config(data_dir):
  """A recipe's config, made small: 40 synthetic tracks, a tiny network."""

  def make(recipe: str = "quickstart", **changes):
    config = importlib.import_module(f"configs.{recipe}").get_config()
    config.data.dir = str(data_dir)
    config.data.features = "mfcc_slices"  # 130 x 13: quick on a CPU
    config.data.tracks_per_genre = 4
    config.model = ml_collections.ConfigDict(
      {"name": "mel_cnn", "channels": (4, 8), "dense": 16}
    )
    config.optim.learning_rate = 3e-3
    config.optim.schedule = "constant"
    config.eval.bootstrap = 50
    config.train.update(epochs=3, batch_size=32, patience=0)
    config.train.monitor = "validation/track_accuracy"
    config.log.update(every_steps=1, tensorboard=False, compilation_cache="")
    config.update_from_flattened_dict(changes)
    return config

  return make
