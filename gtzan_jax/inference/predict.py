"""Predicts genres of audio files (or pictures) with a trained run.

A file becomes model inputs as in prepared data (inputs.py). The prediction is
the mean over all segments, or over clips of about the training tracks' length.
"""

import collections
import contextlib
import os
import pathlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple

import ml_collections
import numpy as np

from gtzan_jax import errors
from gtzan_jax.audio import mono_waveform
from gtzan_jax.features import image
from gtzan_jax.inference import input_warnings, inputs
from gtzan_jax.training import evaluate, workdir


def _takes(kind: str) -> tuple[str, tuple[str, ...]]:
  """("picture" or "audio", extensions) of the files that a model accepts."""
  if kind == "picture":
    return "picture", image.EXTENSIONS
  return "audio", mono_waveform.EXTENSIONS


class Source(NamedTuple):
  """A file to predict.

  Attributes:
    name: its path, which may continue inside an archive.
    path: a readable path, or None ...
    refusal: ... for this reason.
  """

  name: str
  path: pathlib.Path | None
  refusal: str = ""


def find(
  paths: Iterable[str],
  kind: str,
  data: ml_collections.ConfigDict,
) -> tuple[list[Source], dict[str, int]]:
  """The given files, and the files of the model's kind in folders and archives.

  A folder or archive that cannot be read, or holds no such file, is a Source
  without a path.

  `kind` is run.json's corpus kind; archives are unpacked into the `dir` of
  `data`, a config's section. Returns the files, and {kind of ignored file:
  number}. InputError: no path.
  """
  sources: list[Source] = []
  passed_over: collections.Counter[str] = collections.Counter()
  what, takes = _takes(kind)
  for path in paths:
    if path.lower().endswith(takes) and os.path.isfile(path):
      sources.append(Source(path, pathlib.Path(path)))
      continue
    from gtzan_jax.data.open_dataset import open_tree  # and TFDS

    try:
      with errors.reading(path):
        tree = open_tree(path, data)
    except errors.InputError as error:
      sources.append(Source(path, None, str(error)))
      continue
    if tree is None:  # a file: reading it shows whether it can be read
      sources.append(Source(path, pathlib.Path(path)))
      continue
    names = [name for name in tree.files if name.lower().endswith(takes)]
    sources += [
      Source(os.path.join(tree.place, name), tree.files[name])
      for name in sorted(names, key=lambda name: name.split("/"))
    ]
    refused = list(tree.unlisted)
    if not names and not refused:
      refused = [
        f"{errors.shown(path)} holds no {what} file ({', '.join(takes)})"
      ]
    sources += [Source(path, None, reason) for reason in refused]
    passed_over.update(tree.passed_over(tree.files[x] for x in names))
  if not sources:
    raise errors.InputError("predict: no files or folders given")
  return sources, dict(passed_over.most_common())


@contextlib.contextmanager
def opened(source: Source) -> Iterator[pathlib.Path]:
  """The readable path of a Source; errors name the file as the user did.

  InputError for a Source without a path.
  """
  if source.path is None:
    raise errors.InputError(source.refusal)
  try:
    yield source.path
  except errors.InputError as error:
    shown = errors.shown(source.path), errors.shown(source.name)
    raise type(error)(str(error).replace(*shown, 1)) from error


def examples(file: pathlib.Path, run: Mapping) -> np.ndarray:
  """Model inputs of a file, float32 [s, ...]; see `stream`."""
  return np.concatenate([*stream(file, run)])


def stream(
  file: pathlib.Path, run: Mapping, level: mono_waveform.Level | None = None
) -> Iterator[np.ndarray]:
  """Model inputs of a file, `[s, ...]` at a time, in bounded memory.

  `file` is audio, or a picture for a model of pictures, `run` as for
  `inputs.examples`; `level` measures the audio. InputError: a file of the other
  kind, or one that cannot be read.
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
    for block in mono_waveform.blocks(file):
      if to is not None:
        to.add(block)
      yield block

  yield from inputs.stream(blocks, run)


def load(
  path: pathlib.Path, run: Mapping | None = None
) -> Callable[..., dict[str, float]]:
  """The model in a run folder as a function: file -> {genre: probability}.

  `run` is its run.json, if already read. Returns predict(file, warnings=None):
  probabilities in descending order; the warnings of
  `input_warnings.out_of_range` are added to the list. InputError: no run
  folder, or no checkpoint in it; the function raises it as `stream` does, and
  where the model predicts NaN.
  """
  run = run or workdir.load(path)
  model, _ = evaluate.load_model(path, run)
  # A song is one clip or a few.
  size = 1 if run["feature_spec"]["whole_clip"] else inputs.BATCH

  def predict(
    file: pathlib.Path, warnings: list[str] | None = None
  ) -> dict[str, float]:
    level = mono_waveform.Level()
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
