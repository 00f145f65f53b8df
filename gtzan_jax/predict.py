"""From files of any form to genres, with a workdir's model.

A file goes through the very functions that prepared the training data: read,
16 bits, segments, features; a model trained on a log-mel archive sees what the
archive would hold of the file, one trained on pictures takes pictures. The
answer is the mean over all segments, or over all clips of about the length that
the model was trained on.
"""

import functools
import pathlib
from collections.abc import Callable, Iterable, Mapping

import jax
import numpy as np

from gtzan_jax import audio, errors, evaluate, features, workdir
from gtzan_jax.features import archive, clips, image

BATCH = 32  # segments at a time: a file of any length compiles nothing new


def extensions(kind: str) -> tuple[str, ...]:
  """Of the files that a model takes, by what its training tracks held."""
  return image.EXTENSIONS if kind == "picture" else audio.EXTENSIONS


def find(paths: Iterable[str], kind: str = "audio") -> list[pathlib.Path]:
  """The files named, and those of the model's kind in the folders named.

  A folder without any stands for itself, as a file that cannot be read.

  Args:
    paths: files and folders.
    kind: run.json's: what the tracks that the model was trained on held.

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
      if file.suffix.lower() in extensions(kind)
      and not file.name.startswith(".")
    )
    found += inside or [path]
  if not found:
    raise errors.InputError("predict needs files or folders: none were named")
  return found


def examples(file: pathlib.Path, run: Mapping) -> np.ndarray:
  """A file -> a model's inputs, float32 [s, ...].

  Args:
    file: sound, or a picture where the model was trained on pictures.
    run: run.json's "kind", "feature_spec", "columns_per_frame" and
      "clip_seconds".

  Raises:
    InputError: a file of the other kind, or one that cannot be read.
  """
  spec = features.FeatureSpec.from_dict(run["feature_spec"])
  _check(file, run["kind"])
  if run["kind"] == "picture":
    return clips.from_picture(image.read(file), spec)
  pcm = audio.to_int16(audio.read(file, spec.sample_rate))
  if spec.whole_clip:
    # Parts of one length, about that of a track: a GTZAN track is one.
    count = max(1, round(len(pcm) / (run["clip_seconds"] * spec.sample_rate)))
    parts = np.array_split(audio.to_float(pcm), count)
    return np.concatenate([_clip(part, spec, run) for part in parts])
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


def _check(file: pathlib.Path, kind: str) -> None:
  wanted = "picture" if kind == "picture" else "audio"
  takes = ", ".join(extensions(kind))
  if file.is_dir():
    raise errors.InputError(f"{file} holds no {wanted} file ({takes})")
  given = "picture" if file.suffix.lower() in image.EXTENSIONS else "audio"
  if given != wanted:
    raise errors.InputError(
      f"{file}: the model takes {wanted} files ({takes}), no {given} files:"
      " give it what its training tracks were"
    )


def _clip(
  samples: np.ndarray, spec: features.FeatureSpec, run: Mapping
) -> np.ndarray:
  if run["kind"] == "logmel":
    db, _ = archive.from_audio(samples, run["columns_per_frame"])
    return clips.from_logmel(db, spec)
  return clips.from_audio(samples, spec)


def _from_audio(pcm: np.ndarray, spec: features.FeatureSpec) -> jax.Array:
  return features.extract(audio.to_float(pcm), spec)


def _batches(array: np.ndarray, size: int = BATCH):
  """(padded to `size`, how many are real), in order."""
  for start in range(0, len(array), size):
    batch = array[start : start + size]
    spare = ((0, size - len(batch)),) + ((0, 0),) * (batch.ndim - 1)
    yield np.pad(batch, spare), len(batch)


def load(path: pathlib.Path) -> Callable[[pathlib.Path], dict[str, float]]:
  """A workdir's model as a function: file -> {genre: probability}.

  The probabilities sum to 1, the likeliest genre first. The file is sound, or
  a picture (.png) where the model was trained on pictures. A model of Kaggle's
  table is given the row that `features.table57` computes of the sound.

  Raises:
    InputError: no workdir, or no checkpoint in it. The function raises it for a
      file of the other kind, or one that cannot be read.
  """
  run = workdir.load(path)
  spec = features.FeatureSpec.from_dict(run["feature_spec"])
  model, _ = evaluate.load_model(path, run)
  size = 1 if spec.whole_clip else BATCH  # a song is a few clips, if not one

  def predict(file: pathlib.Path) -> dict[str, float]:
    x = examples(file, run)
    rows = [np.asarray(model(batch))[:n] for batch, n in _batches(x, size)]
    mean = np.concatenate(rows).astype(np.float64).mean(0)
    mean /= mean.sum()
    order = np.argsort(-mean, kind="stable")
    return {run["genres"][i]: float(mean[i]) for i in order}

  return predict
