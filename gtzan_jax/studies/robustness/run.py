"""Evaluates a run on distorted test audio."""

import dataclasses
import pathlib
import zlib
from collections.abc import Mapping, Sequence

from gtzan_jax.audio.distortions import DISTORTIONS, Distortion
from gtzan_jax.data.open_dataset import fingerprint
from gtzan_jax.errors import InputError
from gtzan_jax.inference import ensemble, external_evaluation
from gtzan_jax.reports import provenance
from gtzan_jax.scores.predictions import Predictions
from gtzan_jax.studies.robustness import measure as robustness
from gtzan_jax.studies.robustness import page
from gtzan_jax.training import evaluate, workdir


def run(
  path: pathlib.Path,
  facts: Mapping,
  corpus,
  out: pathlib.Path,
  names: Sequence[str] = (),
) -> pathlib.Path:
  """Predicts a run's held-out tracks undistorted and distorted, whole, as in
  external tests; returns the path of robustness.json. `names` are of
  DISTORTIONS (default: all)."""
  chosen = check_names(names)
  prepared = fingerprint(facts["feature_spec"], corpus)
  model, _ = evaluate.load_model(path, facts)
  member = ensemble.read(path)
  if facts["data_fingerprint"] != prepared:
    raise InputError(
      f"--workdir={path} was trained on data {facts['data_fingerprint'][:12]},"
      f" at hand is {prepared[:12]}: give the corpus that it was trained on as"
      " --config.data.path"
    )
  stored = _held_out(path, facts, member)
  artist = dict(zip(stored.track.tolist(), stored.artist.tolist(), strict=True))
  genres = {genre: genre for genre in facts["genres"]}

  def predict(tracks: Sequence) -> Predictions:
    table, skipped = external_evaluation.predict(
      model, facts, corpus, tracks, genres
    )
    for one in skipped:
      raise InputError(f"{one['track']} cannot be read: {one['reason']}")
    return table.with_artists(artist)

  with workdir.locked(out, f"--out={out}"):
    tracks = [track for track in corpus.tracks if track.id in artist]
    clean = predict(tracks)
    tables = {robustness.CLEAN: clean}
    for key, level in chosen:
      kind = DISTORTIONS[key]
      table = predict([distorted(track, kind, level) for track in tracks])
      print(robustness.line(kind, level, table, clean))
      tables[robustness.name(key, level)] = table
    return page.write(
      robustness.build(_facts(path, member), tables), tables, out
    )


def distorted(track, distortion: Distortion, level: float):
  """A track whose audio is distorted when read; the noise depends only on its
  id, so it is the same at every level and in every run."""

  def read():
    content = track.read()
    seed = zlib.crc32(track.id.encode())
    samples = distortion.function(content.samples, level, seed)
    return dataclasses.replace(content, samples=samples)

  return dataclasses.replace(track, read=read, blocks=None)


def load(path: pathlib.Path) -> dict:
  """run.json of a run trained on audio; InputError for another corpus kind."""
  run = workdir.load(path)
  if run["kind"] != "audio":
    raise InputError(
      f"--workdir={path} was trained on {run['kind']}: only audio can be"
      " distorted; give a run trained on audio"
    )
  return run


def check_names(names: Sequence[str]) -> list[tuple[str, float]]:
  """(distortion, level) of all chosen; InputError for an unknown distortion."""
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
  """The stored predictions of the headline split."""
  split = member.report["headline"]
  if split is None:
    raise InputError(f"--workdir={path} has no scored split")
  if arm := run["config"]["data"]["leak"]:
    raise InputError(
      f"--workdir={path} is the arm {arm!r} of a leakage meter, which tests"
      " some segments of a track: give a run tested on whole tracks"
    )
  table = member.predictions[split]
  learnt = set(run["tracks"]["train"]) & set(table.track.tolist())
  if learnt:
    raise InputError(
      f"--workdir={path} was trained on segments of its test tracks, such as"
      f" {min(learnt)}: give a run of a protocol that holds whole tracks out"
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
