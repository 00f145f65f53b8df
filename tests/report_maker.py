"""Reports with given numbers, for tests of what reads them."""

from stored import FACTS

from gtzan_jax.reports import schema


def level(accuracy: float, macro_f1: float = 0.5) -> dict:
  scores = dict.fromkeys(
    ("top3", "macro_precision", "macro_recall", "weighted_f1", "loss", "ece"),
    0.5,
  )
  return {
    **{"n": 40, "accuracy": accuracy, "ci95": [0.1, 0.9]},
    **{"macro_f1": macro_f1, "per_genre": {}, "confusion": [[1]], **scores},
  }


def split(track: dict, segment: dict, sha256: str = "a" * 64) -> dict:
  return {
    **{"n": 40, "missing": 0, "sha256": sha256, "clusters": 40},
    "track": track,
    **{"segment": segment, "track_majority": track},
    **{"hardest": [], "reliability": [], "known_artists": None},
  }


def made(
  recipe="resnet", seed=0, accuracy=0.5, config=(), part="test", **changes
) -> dict:
  """A whole report with the numbers that a test is about."""
  value = FACTS | {
    **{"recipe": recipe, "corpus": "audio", "source": "audio", "seed": seed},
    **{"num_params": 216778, "commit": "9f2c1ab7e01d", "tracks": 200},
    "config": {
      **{"recipe": recipe, "seed": seed},
      "data": {"path": "/music", "protocol": "filtered"},
      "optim": {"learning_rate": 0.001},
      "train": {"epochs": 50},
      "log": {"every_steps": 20},
    },
    "genres": ["blues"],
    "headline": part,
    "splits": {part: split(level(accuracy, accuracy / 2), level(0.25))},
    "calibration": None,
    "history": [],
    **changes,
  }
  for key, item in dict(config).items():
    section, name = key.split(".")
    value["config"][section][name] = item
  assert not list(schema.violations(value))
  return value
