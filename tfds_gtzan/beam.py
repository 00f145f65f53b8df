"""Shards written by Apache Beam's workers, byte for byte as without it.

TFDS's own pipeline for a ShardBasedBuilder (4.9.10) is not used: for each split
it writes all earlier ones again, and sorts more than ten shards as text.
"""

import contextlib
import functools
import io
import json
import pickle
import shlex
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import tensorflow_datasets as tfds

from gtzan_jax.errors import InputError, install
from tfds_gtzan import track_examples
from tfds_gtzan.corpora.types import Track


def options(text: str) -> Any:
  """Beam's PipelineOptions ("--runner=DirectRunner --direct_num_workers=2").

  InputError if Beam is missing or refuses them.
  """
  try:
    import apache_beam
    from apache_beam.options import pipeline_options
  except ImportError as error:
    raise InputError(
      f"Beam options {text!r} need Apache Beam, which is not installed:"
      f" {install('apache_beam')}"
    ) from error
  usage = io.StringIO()  # of argparse: 200 lines, the reason the last
  try:
    options = pipeline_options.PipelineOptions(shlex.split(text))
    with contextlib.redirect_stderr(usage):
      options.get_all_options()
    apache_beam.Pipeline(options=options)  # the runner checks them
  except (ValueError, ImportError, RuntimeError, SystemExit) as error:
    reason = usage.getvalue().rpartition("error: ")[2] or str(error)
    raise InputError(
      f"Beam does not accept the options {text!r}: {' '.join(reason.split())}"
    ) from error
  return options


def write(
  shards: Mapping[str, Sequence[Sequence[Track]]],
  templates: Mapping[str, tfds.core.ShardedFileTemplate],
  write_shard: Callable[
    [tfds.core.Path, Sequence[Track], track_examples.Note], None
  ],
  note: track_examples.Note,
  config: tfds.download.DownloadConfig,
) -> tfds.core.SplitDict:
  """Writes each shard ({split: tracks of each}) on some worker.

  Workers need this package, the corpus and the shards' folder at the same
  paths. `write_shard` is pickled; `note` is called here, in track order.
  """
  import apache_beam as beam

  tasks = {}
  for split, own in shards.items():
    paths = templates[split].sharded_filepaths(len(own))
    tasks[split] = list(zip(paths, own, strict=True))
  # As bytes, or Beam would need coders of what is in them.
  pickled = [pickle.dumps(task) for shard in tasks.values() for task in shard]
  on_worker = functools.partial(_on_worker, write_shard)
  with beam.Pipeline(config.beam_runner, config.beam_options) as pipeline:
    created = pipeline | "Shards" >> beam.Create(pickled)
    _ = created | "Write" >> beam.Map(on_worker)
  return tfds.core.SplitDict(
    [
      tfds.core.SplitInfo(
        name=split,
        shard_lengths=[_note_all(path, tracks, note) for path, tracks in own],
        num_bytes=sum(path.stat().length for path, _ in own),
        filename_template=templates[split],
      )
      for split, own in tasks.items()
    ]
  )


def _on_worker(write_shard: Callable, task: bytes) -> None:
  """Writes a shard and, beside it, the outcomes of its tracks.

  Several workers may get the same task, so each writes under its own name.
  """
  path, tracks = pickle.loads(task)
  if not path.parent.is_dir():
    return  # see _note_all
  outcomes: list[track_examples.Outcome] = []
  noted: list[track_examples.Outcome] | str = outcomes
  try:
    with tfds.core.utils.incomplete_file(path) as part:
      write_shard(part, tracks, lambda _, outcome: outcomes.append(outcome))
  except InputError as error:
    noted = str(error)  # for the user, without the trace of a worker
  with tfds.core.utils.incomplete_file(_notes(path)) as part:
    part.write_text(json.dumps(noted))


def _notes(path: tfds.core.Path) -> tfds.core.Path:
  return path.with_name(f"{path.name}.notes.json")


def _note_all(
  path: tfds.core.Path, tracks: Sequence[Track], note: track_examples.Note
) -> int:
  """Notes a shard's outcomes, removes their file and counts its examples."""
  try:
    noted = json.loads(_notes(path).read_text())
  except FileNotFoundError as error:
    raise InputError(
      f"Beam's workers cannot read {path.parent}: they need this folder"
      " (config.data.dir) and the corpus at the paths that they have here"
    ) from error
  if isinstance(noted, str):
    raise InputError(noted)
  _notes(path).unlink()
  for track, outcome in zip(tracks, noted, strict=True):
    note(track, outcome)
  return sum(outcome[0] for outcome in noted if not isinstance(outcome, str))
