"""Predicts genres of audio files (or pictures) with a trained run.

A file becomes model inputs as in prepared data (inputs.py). The prediction is
the mean over all segments, or over clips of about the training tracks' length.
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
from gtzan_jax.audio import waveform
from gtzan_jax.data.open_dataset import open_tree
from gtzan_jax.features import image
from gtzan_jax.inference import input_warnings, inputs
from gtzan_jax.training import evaluate, workdir


def _takes(kind: str) -> tuple[str, tuple[str, ...]]:
  """("picture" or "audio", extensions) of the files that a model accepts."""
  if kind == "picture":
    return "picture", image.EXTENSIONS
  return "audio", waveform.EXTENSIONS


class Source(NamedTuple):
  """A file to predict.

  Attributes:
    name: its path, which may continue inside an archive.
    on_disk: a context manager that gives a readable path or raises InputError.
  """

  name: str
  on_disk: Callable[[], contextlib.AbstractContextManager[pathlib.Path]]


def find(
  paths: Iterable[str],
  kind: str,
  data: ml_collections.ConfigDict,
) -> tuple[list[Source], dict[str, int]]:
  """The given files, and the files of the model's kind in folders and archives.

  A folder or archive that cannot be read, or holds no such file, is a Source
  that raises InputError.

  Args:
    paths: files, folders and archives.
    kind: run.json's corpus kind.
    data: a config's data section; archives are unpacked into its `dir`.

  Returns:
    the files, and {kind of ignored file: number}.

  Raises:
    InputError: no path.
  """
  found: list[Source] = []
  passed_over: collections.Counter[str] = collections.Counter()
  what, takes = _takes(kind)
  for path in paths:
    try:
      with errors.reading(path):
        tree = open_tree(path, data)
    except errors.InputError as error:
      found.append(Source(path, functools.partial(_refused, str(error))))
      continue
    if tree is None:  # a file: reading it shows whether it can be read
      found.append(_readable(path, pathlib.Path(path)))
      continue
    names = [name for name in tree.files if name.lower().endswith(takes)]
    found += [
      _readable(os.path.join(tree.place, name), tree.files[name])
      for name in sorted(names, key=lambda name: name.split("/"))
    ]
    refused = list(tree.unlisted)
    if not names and not refused:
      refused = [
        f"{errors.shown(path)} holds no {what} file ({', '.join(takes)})"
      ]
    found += [Source(path, functools.partial(_refused, x)) for x in refused]
    passed_over.update(tree.passed_over(tree.files[x] for x in names))
  if not found:
    raise errors.InputError("predict: no files or folders given")
  return found, dict(passed_over.most_common())


def _readable(name: str, path: pathlib.Path) -> Source:
  return Source(name, functools.partial(_there, path))


@contextlib.contextmanager
def _there(path: pathlib.Path) -> Iterator[pathlib.Path]:
  yield path


@contextlib.contextmanager
def _refused(reason: str) -> Iterator[pathlib.Path]:
  raise errors.InputError(reason)
  yield  # a context manager all the same


@contextlib.contextmanager
def opened(source: Source) -> Iterator[pathlib.Path]:
  """The readable path of a Source; errors name the file as the user did."""
  with source.on_disk() as path:
    try:
      yield path
    except errors.InputError as error:
      reason = str(error).replace(
        errors.shown(path), errors.shown(source.name), 1
      )
      raise type(error)(reason) from error


def examples(file: pathlib.Path, run: Mapping) -> np.ndarray:
  """Model inputs of a file, float32 [s, ...]; see `stream`."""
  return np.concatenate([*stream(file, run)])


def stream(
  file: pathlib.Path, run: Mapping, level: waveform.Level | None = None
) -> Iterator[np.ndarray]:
  """Model inputs of a file, `[s, ...]` at a time, in bounded memory.

  Args:
    file: audio, or a picture for a model of pictures.
    run: as for `inputs.examples`.
    level: measures the audio, if given.

  Raises:
    InputError: a file of the other kind, or one that cannot be read.
  """
  what, takes = _takes(run["kind"])
  given = "picture" if file.suffix.lower() in image.EXTENSIONS else "audio"
  if given != what:
    raise errors.InputError(
      f"{errors.shown(file)}: the model accepts {what} files"
      f" ({', '.join(takes)}), not {given} files"
    )
  if what == "picture":
    yield inputs.from_picture(image.read(file), run)
    return
  to_measure = [level] if level is not None else []

  def blocks() -> Iterator[np.ndarray]:
    to = to_measure.pop() if to_measure else None  # it may be read twice
    for block in waveform.blocks(file):
      if to is not None:
        to.add(block)
      yield block

  yield from inputs.stream(blocks, run)


def load(
  path: pathlib.Path, run: Mapping | None = None
) -> Callable[..., dict[str, float]]:
  """The model in a run folder as a function: file -> {genre: probability}.

  Args:
    path: the run folder.
    run: its run.json, if already read.

  Returns:
    predict(file, warnings=None): probabilities in descending order; the
    warnings of `input_warnings.out_of_range` are added to the list.

  Raises:
    InputError: no run folder, or no checkpoint in it. The function raises it as
      `stream` does, and where the model predicts NaN.
  """
  run = run or workdir.load(path)
  model, _ = evaluate.load_model(path, run)
  # A song is one clip or a few.
  size = 1 if run["feature_spec"]["whole_clip"] else inputs.BATCH

  def predict(
    file: pathlib.Path, warnings: list[str] | None = None
  ) -> dict[str, float]:
    level = waveform.Level()
    batches = inputs.regrouped(stream(file, run, level), size)
    rows = [np.asarray(model(batch))[:n] for batch, n in batches]
    mean = np.concatenate(rows).astype(np.float64).mean(0)
    if not np.isfinite(mean).all():
      raise errors.InputError(f"{errors.shown(file)}: the model predicted NaN")
    if warnings is not None and level.seconds:
      warnings += input_warnings.out_of_range(level, run)
    mean /= mean.sum()
    order = np.argsort(-mean, kind="stable")
    return {run["genres"][i]: float(mean[i]) for i in order}

  return predict
