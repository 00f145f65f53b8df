"""From files of any form to genres, with a workdir's model.

A file goes through the very functions that prepared the training data: read,
16 bits, segments, features; a model trained on a log-mel archive sees what the
archive would hold of the file, one trained on pictures takes pictures. The
answer is the mean over all segments, or over all clips of about the length that
the model was trained on.
"""

import collections
import contextlib
import functools
import os
import pathlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple

import ml_collections
import numpy as np

from gtzan_jax import errors
from gtzan_jax.audio import files as audio
from gtzan_jax.data.open_dataset import open_tree
from gtzan_jax.features import image
from gtzan_jax.inference import inputs
from gtzan_jax.training import evaluate, workdir

FACTOR_2 = 20 * np.log10(2)  # in dB


def extensions(kind: str) -> tuple[str, ...]:
  """Of the files that a model takes, by what its training tracks held."""
  return image.EXTENSIONS if kind == "picture" else audio.EXTENSIONS


class Source(NamedTuple):
  """A file that was asked about.

  Attributes:
    name: its path, which may go on inside an archive.
    on_disk: yields where it can be read, in a `with`; that raises InputError.
  """

  name: str
  on_disk: Callable[[], contextlib.AbstractContextManager[pathlib.Path]]


def find(
  paths: Iterable[str],
  kind: str,
  data: ml_collections.ConfigDict,
) -> tuple[list[Source], dict[str, int]]:
  """The files named, and those of the model's kind in what else was named.

  What cannot be walked, or holds no such file, stands for itself: as a file
  that cannot be read.

  Args:
    paths: files, folders and archives.
    kind: run.json's: what the tracks that the model was trained on held.
    data: a config's data section, of which `dir` is where archives are
      unpacked.

  Returns:
    the files, and {kind of file: how many} of those passed over.

  Raises:
    InputError: nothing was named.
  """
  found: list[Source] = []
  passed_over: collections.Counter[str] = collections.Counter()
  for path in paths:
    try:
      with errors.reading(path):
        tree = open_tree(path, data)
    except errors.InputError as error:
      found.append(Source(path, functools.partial(_refused, str(error))))
      continue
    if tree is None:  # whether it can be read is for reading to say
      on_disk = functools.partial(_there, pathlib.Path(path))
      found.append(Source(path, on_disk))
      continue
    takes = extensions(kind)
    names = [name for name in tree.files if name.lower().endswith(takes)]
    found += [
      Source(
        os.path.join(tree.place, name),
        functools.partial(_there, tree.files[name]),
      )
      for name in sorted(names, key=lambda name: name.split("/"))
    ]
    refused = list(tree.unlisted)
    if not names and not refused:
      wanted = "picture" if kind == "picture" else "audio"
      shown = errors.shown(path)
      refused = [f"{shown} holds no {wanted} file ({', '.join(takes)})"]
    found += [Source(path, functools.partial(_refused, x)) for x in refused]
    passed_over.update(tree.passed_over(names))
  if not found:
    raise errors.InputError("predict needs files or folders: none were named")
  return found, dict(passed_over.most_common())


@contextlib.contextmanager
def _there(path: pathlib.Path) -> Iterator[pathlib.Path]:
  yield path


@contextlib.contextmanager
def _refused(reason: str) -> Iterator[pathlib.Path]:
  raise errors.InputError(reason)
  yield  # a context manager all the same


@contextlib.contextmanager
def opened(source: Source) -> Iterator[pathlib.Path]:
  """Where a file can be read; what is wrong with it is said by its name."""
  with source.on_disk() as path:
    try:
      yield path
    except errors.InputError as error:
      reason = str(error).replace(
        errors.shown(path), errors.shown(source.name), 1
      )
      raise type(error)(reason) from error


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


def stream(
  file: pathlib.Path, run: Mapping, level: audio.Level | None = None
) -> Iterator[np.ndarray]:
  """`examples`, some after the other: hours of sound need no more memory.

  Args:
    file: as for `examples`.
    run: as well.
    level: is given all of the sound, once.
  """
  _check(file, run["kind"])
  if run["kind"] == "picture":
    yield inputs.from_picture(image.read(file), run)
    return
  to_measure = [level] if level is not None else []

  def blocks() -> Iterator[np.ndarray]:
    to = to_measure.pop() if to_measure else None  # it may be read twice
    for block in audio.blocks(file):
      if to is not None:
        to.add(block)
      yield block

  yield from inputs.stream(blocks, run)


def _check(file: pathlib.Path, kind: str) -> None:
  wanted = "picture" if kind == "picture" else "audio"
  name = errors.shown(file)
  takes = ", ".join(extensions(kind))
  given = "picture" if file.suffix.lower() in image.EXTENSIONS else "audio"
  if given != wanted:
    raise errors.InputError(
      f"{name}: the model takes {wanted} files ({takes}), no {given} files:"
      " give it what its training tracks were"
    )


def outside(level: audio.Level, run: Mapping) -> list[str]:
  """In which ways a file is unlike all that a run has learnt from.

  Length and level count by more than a factor of two beyond the shortest and
  the longest, the quietest and the loudest of its training tracks.
  """
  found = []
  known = run.get("train_range") or {}
  if limits := known.get("seconds"):
    low, high = limits
    if not low / 2 <= level.seconds <= 2 * high:
      found.append(
        f"it lasts {level.seconds:,.1f} s, and the model learnt from tracks of"
        f" {low:,.1f} to {high:,.1f} s"
      )
  if (limits := known.get("level")) and level.decibels is not None:
    low, high = limits
    if not low - FACTOR_2 <= level.decibels <= high + FACTOR_2:
      found.append(
        f"its level is {level.decibels:.0f} dB of full scale, and the model"
        f" learnt from tracks of {low:.0f} to {high:.0f} dB"
      )
  return found


def about(run: Mapping) -> list[str]:
  """What is to be known of a run before any answer of it is believed."""
  if run["data_path"]:
    return []
  return [
    "the model learnt from the synthetic corpus: what it answers about real"
    " music means nothing"
  ]


def load(
  path: pathlib.Path, run: Mapping | None = None
) -> Callable[..., dict[str, float]]:
  """A workdir's model as a function: file -> {genre: probability}.

  The probabilities sum to 1, the likeliest genre first. The file is sound, or
  a picture (.png) where the model was trained on pictures. A model of Kaggle's
  table is given the row that `features.table57` computes of the sound.

  Args:
    path: the workdir.
    run: its run.json, where that has been read.

  Returns:
    the function. What it is given beside the file is a list, to which it adds
    the warnings of `outside` for the file.

  Raises:
    InputError: no workdir, or no checkpoint in it. The function raises it for a
      file of the other kind, one that cannot be read, or one for which the
      model gives no numbers.
  """
  run = run or workdir.load(path)
  model, _ = evaluate.load_model(path, run)
  # A song is a few clips, if not one.
  size = 1 if run["feature_spec"]["whole_clip"] else inputs.BATCH

  def predict(
    file: pathlib.Path, warnings: list[str] | None = None
  ) -> dict[str, float]:
    level = audio.Level()
    batches = inputs.regrouped(stream(file, run, level), size)
    rows = [np.asarray(model(batch))[:n] for batch, n in batches]
    mean = np.concatenate(rows).astype(np.float64).mean(0)
    if not np.isfinite(mean).all():
      raise errors.InputError(
        f"{errors.shown(file)}: the model's answer is not a number (NaN)"
      )
    if warnings is not None and level.seconds:
      warnings += outside(level, run)
    mean /= mean.sum()
    order = np.argsort(-mean, kind="stable")
    return {run["genres"][i]: float(mean[i]) for i in order}

  return predict
