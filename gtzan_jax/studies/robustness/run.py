"""A trained run hears its held-out tracks again, distorted."""

import dataclasses
import pathlib
import zlib
from collections.abc import Callable, Mapping, Sequence

from gtzan_jax import provenance
from gtzan_jax.audio.distortions import DISTORTIONS, Distortion
from gtzan_jax.errors import InputError
from gtzan_jax.inference import ensemble, evaluate, external
from gtzan_jax.scores.predictions import Predictions
from gtzan_jax.studies.robustness import measure as robustness
from gtzan_jax.training import runtime, workdir


def listen(
  path: pathlib.Path,
  run: Mapping,
  corpus,
  prepared: str,
  out: pathlib.Path,
  names: Sequence[str] = (),
) -> pathlib.Path:
  """What a run says of its held-out tracks, as they are and distorted.

  A track is read, distorted and then goes the way of `predict`: examples are
  made of the whole of it, by the code that an external test makes them with.

  Args:
    path: the workdir of an evaluated run.
    run: from `load`.
    corpus: what it was trained on: an opened tfds_gtzan.Corpus.
    prepared: the fingerprint that the corpus has when it is prepared for the
      run's features.
    out: folder of the results.
    names: of DISTORTIONS; all if none is given.

  Returns:
    the path of robustness.json.

  Raises:
    InputError: an unknown distortion; no model or no report; another corpus; a
      protocol that holds no whole tracks out; a track that cannot be read any
      more; an `out` that cannot be written to.
  """
  chosen = _chosen(names)
  model, _ = evaluate.load_model(path, run)
  member = ensemble.read(path)
  if run["data_fingerprint"] != prepared:
    raise InputError(
      f"--workdir={path} was trained on data {run['data_fingerprint'][:12]}, at"
      f" hand is {prepared[:12]}: give the corpus that it was trained on as"
      " --config.data.path"
    )
  stored = _held_out(path, run, member)
  artist = dict(zip(stored.track.tolist(), stored.artist.tolist(), strict=True))
  genres = {genre: genre for genre in run["genres"]}

  def hear(tracks: Sequence) -> Predictions:
    table, skipped = external.predict(model, run, corpus, tracks, genres)
    for one in skipped:
      raise InputError(f"{one['track']} cannot be read: {one['reason']}")
    return table.with_artists(artist)

  with workdir.locked(out, f"--out={out}"):
    facts = _facts(path, member)
    tracks = [track for track in corpus.tracks if track.id in artist]
    tables = {robustness.CLEAN: hear(tracks)}
    for key, level in chosen:
      one = robustness.name(key, level)
      kind = DISTORTIONS[key]
      tables[one] = hear([distorted(track, kind, level) for track in tracks])
      print(robustness.said(kind, level, tables[one], tables[robustness.CLEAN]))
    return robustness.write(robustness.build(facts, tables), tables, out)


def distorted(track, distortion: Distortion, level: float):
  """A track of audio that reads as the same sound, distorted.

  What is random follows from its id: the same noise at every level and in
  every run.
  """

  def read():
    content = track.read()
    seed = zlib.crc32(track.id.encode())
    samples = distortion.function(content.samples, level, seed)
    return dataclasses.replace(content, samples=samples)

  return dataclasses.replace(track, read=read, blocks=None)


def verb(given, open_corpus: Callable, fingerprint: Callable) -> int:
  """launch.py robustness: into --out, or robustness/ in the workdir.

  Args:
    given: the command line, command_line.Given.
    open_corpus: a config's data section -> the corpus that it names.
    fingerprint: (a feature spec as in run.json, a corpus) -> the fingerprint
      that the corpus has when it is prepared for it.
  """
  path = given.workdir()
  _chosen(given.files)
  run = load(path)
  config = workdir.config_of(path, run, given.config, given.overrides)
  runtime.use_compilation_cache(config.log.compilation_cache)
  corpus = open_corpus(config.data)
  prepared = fingerprint(run["feature_spec"], corpus)
  out = pathlib.Path(given.flags.out or path / "robustness")
  print(f"robustness: {listen(path, run, corpus, prepared, out, given.files)}")
  return 0


def load(path: pathlib.Path) -> dict:
  """run.json of a workdir whose run can be asked about distorted sound.

  Raises:
    InputError: no workdir, or a run that was not trained on audio.
  """
  run = workdir.load(path)
  if run["kind"] != "audio":
    raise InputError(
      f"--workdir={path} was trained on {run['kind']}: sound alone can be"
      " distorted, give a run that was trained on audio"
    )
  return run


def _chosen(names: Sequence[str]) -> list[tuple[str, float]]:
  """(distortion, level) of all that are to be tried."""
  for unknown in [one for one in names if one not in DISTORTIONS]:
    raise InputError(
      f"unknown distortion {unknown!r}: give some of {', '.join(DISTORTIONS)},"
      " or none for all"
    )
  return [
    (key, level)
    for key, one in DISTORTIONS.items()
    if key in names or not names
    for level in one.levels
  ]


def _held_out(
  path: pathlib.Path, run: Mapping, member: ensemble.Member
) -> Predictions:
  """The stored table of the part whose numbers stand for the run."""
  split = member.report["headline"]
  if split is None:
    raise InputError(f"--workdir={path} has no part that was scored")
  if arm := run["config"]["data"]["leak"]:
    raise InputError(
      f"--workdir={path} is the arm {arm!r} of a leak meter, which tests some"
      " segments of a track: give a run that is tested on whole tracks"
    )
  table = member.predictions[split]
  learnt = set(run["tracks"]["train"]) & set(table.track.tolist())
  if learnt:
    raise InputError(
      f"--workdir={path} has learnt from segments of the tracks that it is"
      f" tested on, as of {min(learnt)}: give a run of a protocol that holds"
      " whole tracks out"
    )
  return table


def _facts(path: pathlib.Path, member: ensemble.Member) -> dict:
  keys = ("recipe", "seed", "protocol", "leak", "corpus", "data_fingerprint")
  return {
    "workdir": path.resolve().name,
    **{key: member.report[key] for key in keys},
    "split": member.report["headline"],
    "commit": provenance.commit(),
    "versions": provenance.versions(),
  }
