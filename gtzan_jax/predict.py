"""From audio files of any form to genres, with a workdir's model.

A file goes through the very functions that prepared the training data: read,
16 bits, segments, features; a model trained on a log-mel archive sees what the
archive would hold of the file. The answer is the mean over all segments.
"""

import functools
import pathlib
from collections.abc import Callable, Iterable, Mapping

import jax
import numpy as np

from gtzan_jax import audio, errors, evaluate, features, workdir
from gtzan_jax.features import archive
from gtzan_jax.tasks import classify

EXTENSIONS = (".au", ".wav", ".flac", ".ogg", ".mp3")
BATCH = 32  # segments at a time: a file of any length compiles nothing new


def find(paths: Iterable[str]) -> list[pathlib.Path]:
  """The audio files named, and those in the folders named, sorted.

  A folder without any stands for itself, as a file that cannot be read.

  Raises:
    InputError: nothing was named.
  """
  found = []
  for path in map(pathlib.Path, paths):
    if not path.is_dir():
      found.append(path)  # whether it can be read is for reading to say
      continue
    inside = sorted(
      file
      for file in path.rglob("*")
      if file.suffix.lower() in EXTENSIONS and not file.name.startswith(".")
    )
    found += inside or [path]
  if not found:
    raise errors.InputError("predict needs files or folders: none were named")
  return found


def examples(samples: np.ndarray, run: Mapping) -> np.ndarray:
  """A waveform [n] at the model's rate -> its inputs [s, frames, bins]."""
  spec = features.FeatureSpec.from_dict(run["feature_spec"])
  pcm = audio.to_int16(samples)
  if run["kind"] == "audio":
    cut = audio.segments(pcm, spec.segment_samples, None)
    compute = functools.partial(_from_audio, spec=spec)
  else:
    db, n_frames = archive.from_audio(
      audio.to_float(pcm), run["columns_per_frame"]
    )
    width = archive.segment_columns(spec, run["columns_per_frame"])
    cut = archive.segments(db, n_frames, spec, width, None)
    compute = functools.partial(features.from_logmel, name=spec)
  return np.concatenate([compute(batch)[:n] for batch, n in _batches(cut)])


def _from_audio(pcm: np.ndarray, spec: features.FeatureSpec) -> jax.Array:
  return features.extract(audio.to_float(pcm), spec)


def _batches(array: np.ndarray):
  """(padded to BATCH, how many are real), in order."""
  for start in range(0, len(array), BATCH):
    batch = array[start : start + BATCH]
    spare = ((0, BATCH - len(batch)),) + ((0, 0),) * (batch.ndim - 1)
    yield np.pad(batch, spare), len(batch)


def load(path: pathlib.Path) -> Callable[[pathlib.Path], dict[str, float]]:
  """A workdir's model as a function: audio file -> {genre: probability}.

  The probabilities sum to 1, the likeliest genre first.

  Raises:
    InputError: no workdir, or no checkpoint in it. The function raises it for a
      file that cannot be read.
  """
  run = workdir.load(path)
  spec = features.FeatureSpec.from_dict(run["feature_spec"])
  model, variables, _ = evaluate.restore_best(path, run)
  apply = jax.jit(functools.partial(classify.predict, model, variables))

  def predict(file: pathlib.Path) -> dict[str, float]:
    if file.is_dir():
      raise errors.InputError(
        f"{file} holds no audio file ({', '.join(EXTENSIONS)})"
      )
    x = examples(audio.read(file, spec.sample_rate), run)
    rows = [np.asarray(apply(batch))[:n] for batch, n in _batches(x)]
    mean = np.concatenate(rows).astype(np.float64).mean(0)
    mean /= mean.sum()
    order = np.argsort(-mean, kind="stable")
    return {run["genres"][i]: float(mean[i]) for i in order}

  return predict
