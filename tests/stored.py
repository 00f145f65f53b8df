"""Evaluated runs as they lie on disk, made of nothing but predictions."""

import numpy as np

from gtzan_jax import features
from gtzan_jax.recipes import resnet
from gtzan_jax.reports import report, schema
from gtzan_jax.scores.predictions import Predictions, digest
from gtzan_jax.training import workdir

GENRES = ("blues", "jazz", "rock")
FACTS = {
  "recipe": "mel_cnn",
  "corpus": "archive",
  "source": "archive",
  "protocol": "filtered",
  "leak": None,
  "seed": 1,
  "num_params": 1000,
  "commit": None,
  "versions": {},
  "device": "1 x cpu",
  "config": {"recipe": "mel_cnn", "eval": {"bootstrap": 10}},
  "data_fingerprint": "4e1fa8c2",
  "tracks": 20,
  "skipped": [],
  "best_epoch": 2,
  "epochs_run": 3,
  "seconds": 12.5,
  "monitor": {"name": "validation/track_accuracy", "value": 0.6},
}

# What the report of a GAN has besides.
GAN = {
  **{"domain": "features", "generated": 9, "chance": 1 / 3},
  **{"collapsed": False, "memorised": False, "genre_share": {}},
  "judge": {"recipe": "mel_cnn", "path": "judge", "accuracy": 0.7},
  "measures": {"validation": dict.fromkeys(schema.GAN_MEASURES, 0.5)},
}


def run_json(data_dir="unused") -> dict:
  """run.json of a run of the recipe `resnet` that has just begun."""
  config = resnet.get_config()
  config.data.dir = str(data_dir)
  return {
    "recipe": "resnet",
    "config": workdir.as_plain(config),
    "data_path": None,
    "data_files": {"data.labels": "", "data.splits": ""},
    "genres": ["blues", "rock"],
    "kind": "audio",
    "feature_spec": features.get("mfcc_slices").to_dict(),
    "example_shape": [130, 13],
    "columns_per_frame": None,
    "clip_seconds": 30.0,
    "tracks": {"train": [], "validation": []},
    "built_on": {},
    "data_fingerprint": "0" * 64,
  }


def table(rows, genres=GENRES) -> Predictions:
  """Predictions of (track, segment, label, probabilities) rows."""
  return Predictions(*map(list, zip(*rows, strict=True)), genres)


def made(tracks=9, segments=2, seed=0, first=0, genres=GENRES, artists=0):
  """Half-right predictions of track 0, 1, ... with its genre in its name.

  Their artists are nobody known, or so many in turn.
  """
  label = np.repeat(np.arange(tracks) % len(genres), segments)
  rng = np.random.default_rng(seed)
  probabilities = rng.dirichlet(np.ones(len(genres)), len(label))
  probabilities[np.arange(len(label)), label] += 0.2
  probabilities /= probabilities.sum(1, keepdims=True)
  names = [f"{genres[i % len(genres)]}.{first + i:05d}" for i in range(tracks)]
  by = [f"by {i % artists}" if artists else "" for i in range(tracks)]
  return Predictions(
    np.repeat(names, segments),
    np.tile(np.arange(segments), tracks),
    label,
    probabilities,
    genres,
    np.repeat(by, segments),
  )


def parts(seed, segments=2, train=12):
  return {
    "train": made(train, segments, seed, first=100),
    "validation": made(9, segments, seed),
  }


def run(folder, predictions, **changed):
  """A workdir as `report.write` leaves it, without pictures and page.

  Args:
    folder: a new one.
    predictions: {split: its table}.
    changed: other FACTS.

  Returns:
    the folder.
  """
  built = report.build(
    {**FACTS, **changed},
    predictions,
    [{"epoch": 1, "step": 3}],
    missing={"test": 290},
    sha256={
      split: digest(one.track.tolist()) for split, one in predictions.items()
    },
    resamples=10,
  )
  folder.mkdir(parents=True)
  for split, predicted in predictions.items():
    predicted.save(folder / "predictions" / f"{split}.npz")
  report.save(folder / "report.json", built)
  return folder
