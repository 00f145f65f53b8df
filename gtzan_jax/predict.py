"""From files of any form to genres, with a workdir's model.

A file goes through the very functions that prepared the training data: read,
16 bits, segments, features; a model trained on a log-mel archive sees what the
archive would hold of the file, one trained on pictures takes pictures. The
answer is the mean over all segments, or over all clips of about the length that
the model was trained on.
"""

import functools
import pathlib
from collections.abc import Callable, Iterable, Iterator, Mapping

import numpy as np

from gtzan_jax import audio, errors, evaluate, inputs, workdir
from gtzan_jax.features import image


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
  return np.concatenate([*stream(file, run)])


def stream(file: pathlib.Path, run: Mapping) -> Iterator[np.ndarray]:
  """`examples`, some after the other: hours of sound need no more memory."""
  _check(file, run["kind"])
  if run["kind"] == "picture":
    yield inputs.from_picture(image.read(file), run)
  else:
    yield from inputs.stream(functools.partial(audio.blocks, file), run)


def _check(file: pathlib.Path, kind: str) -> None:
  wanted = "picture" if kind == "picture" else "audio"
  name = errors.shown(file)
  takes = ", ".join(extensions(kind))
  if file.is_dir():
    raise errors.InputError(f"{name} holds no {wanted} file ({takes})")
  given = "picture" if file.suffix.lower() in image.EXTENSIONS else "audio"
  if given != wanted:
    raise errors.InputError(
      f"{name}: the model takes {wanted} files ({takes}), no {given} files:"
      " give it what its training tracks were"
    )


def load(
  path: pathlib.Path, run: Mapping | None = None
) -> Callable[[pathlib.Path], dict[str, float]]:
  """A workdir's model as a function: file -> {genre: probability}.

  The probabilities sum to 1, the likeliest genre first. The file is sound, or
  a picture (.png) where the model was trained on pictures. A model of Kaggle's
  table is given the row that `features.table57` computes of the sound.

  Args:
    path: the workdir.
    run: its run.json, where that has been read.

  Raises:
    InputError: no workdir, or no checkpoint in it. The function raises it for a
      file of the other kind, one that cannot be read, or one for which the
      model gives no numbers.
  """
  run = run or workdir.load(path)
  model, _ = evaluate.load_model(path, run)
  # A song is a few clips, if not one.
  size = 1 if run["feature_spec"]["whole_clip"] else inputs.BATCH

  def predict(file: pathlib.Path) -> dict[str, float]:
    batches = inputs.regrouped(stream(file, run), size)
    rows = [np.asarray(model(batch))[:n] for batch, n in batches]
    mean = np.concatenate(rows).astype(np.float64).mean(0)
    if not np.isfinite(mean).all():
      raise errors.InputError(
        f"{errors.shown(file)}: the model's answer is not a number (NaN)"
      )
    mean /= mean.sum()
    order = np.argsort(-mean, kind="stable")
    return {run["genres"][i]: float(mean[i]) for i in order}

  return predict
