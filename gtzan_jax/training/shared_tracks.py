"""Tracks and genres shared by a run and another corpus."""

import collections
import functools
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from gtzan_jax.errors import InputError
from gtzan_jax.training import workdir

_real = functools.partial(workdir.comparable, "data.path")
# A track of GTZAN, blues.00000, or of the synthetic corpus, blues.s00000.
_EVERYWHERE = re.compile(r"([^/]+)\.(s?\d{5})")


def match(known: Sequence[str], others: Iterable[str]) -> dict[str, str]:
  """{other: known} of names that are equal without case and punctuation.

  "Hip-Hop" is "hiphop"; nothing else is guessed.
  """
  same = {_plain(name): name for name in known}
  same |= {name: name for name in known}
  return {
    other: name
    for other in others
    if (name := same.get(other) or same.get(_plain(other)))
  }


def _plain(name: str) -> str:
  name = unicodedata.normalize("NFKC", name).casefold()
  return re.sub(r"[\W_]+", "", name) or name


def identity(track: str) -> str:
  """An id as it is compared: Blues.00000 and blues.00000 are one track."""
  parts = _EVERYWHERE.fullmatch(track)
  return f"{_plain(parts[1])}.{parts[2]}" if parts else track


def known(
  run: Mapping,
  parts: Iterable[str],
  fingerprint: str | None = None,
  place: str | None = None,
) -> set[str]:
  """Identities that mean tracks of a run's splits in a given collection.

  In another collection than the run's only ids of GTZAN and of the synthetic
  corpus mean the same tracks: its `rock/01` is another recording. The ids of a
  run with upstream runs may come from two collections; there all ids count.
  `parts` are of "train" and "validation"; `fingerprint` is of the collection as
  prepared for the run's features; at the run's own `place` (config.data.path)
  the collection may have grown.
  """
  ids = {identity(track) for part in parts for track in run["tracks"][part]}
  config = run["config"]
  if (
    config["train"]["init_from"]
    or config["data"]["augment_with"]
    or config["gan"]["judge"]
    or fingerprint == run["data_fingerprint"]
    or (place and _real(place) == _real(run["data_path"]))
  ):
    return ids
  return {track for track in ids if _EVERYWHERE.fullmatch(track)}


def check(
  key: str,
  path: str,
  run: Mapping,
  dataset,
  place: str | None = None,
  *,
  same: Sequence[str] = ("genres", "feature_spec", "example_shape"),
) -> None:
  """InputError for an upstream run that does not fit or knows the test tracks.

  Both runs agree in the keys `same` of run.json, and the upstream run was not
  trained on or selected by the other's validation or test tracks. Equal ids in
  another collection print a warning. `key`, `path` and `run` are the upstream
  run's, `dataset` and `place` (config.data.path) the downstream run's.
  """
  ours = {
    "genres": list(dataset.genres),
    "feature_spec": dataset.metadata["feature_spec"],
    "example_shape": list(dataset.example_shape),
  }
  for name in same:
    if run[name] != ours[name]:
      theirs, here = _differing(run[name], ours[name])
      raise InputError(
        f"{key}={path} was trained on other {_WORDS[name]}: {theirs}, and this"
        f" run has {here}"
      )
  if dataset.leak:
    return  # which a banner says
  held = {
    part: {identity(track) for track, _ in ids}
    for part, ids in dataset.parts.items()
  }
  music = (dataset.metadata["fingerprint"], place)
  learnt = held["validation"] | held["test"]
  learnt &= known(run, ["train"], *music)
  learnt |= held["test"] & known(run, ["validation"], *music)
  namesakes = held["validation"] | held["test"]
  namesakes &= known(run, ["train"], run["data_fingerprint"])
  if namesakes and not learnt:
    print(
      f"warning: {len(namesakes)} validation or test tracks share ids with"
      f" training tracks of {key}={path} in another corpus (such as"
      f" {min(namesakes)}); if they are the same recordings, the scores are not"
      " valid"
    )
  if learnt:
    raise InputError(
      f"{key}={path} was trained on {len(learnt)} of this run's validation or"
      f" test tracks (such as {min(learnt)}); give both runs the same protocol,"
      " fold and split_seed"
    )


_WORDS = {
  "genres": "genres",
  "feature_spec": "features",
  "example_shape": "examples",
}


def _differing(theirs: Any, ours: Any) -> list[str]:
  """Both as text; of two feature specs of one name, what differs."""
  both = theirs, ours
  if not isinstance(ours, Mapping):
    return [", ".join(map(str, value)) for value in both]
  if theirs["name"] != ours["name"]:
    return [value["name"] for value in both]
  keys = [k for k in sorted({*theirs, *ours}) if theirs.get(k) != ours.get(k)]
  return [
    f"{value['name']} of " + ", ".join(f"{k} {value.get(k)}" for k in keys)
    for value in both
  ]


def select(
  run: Mapping,
  corpus,
  fingerprint: str | None = None,
  place: str | None = None,
) -> tuple[list, dict]:
  """The tracks of a corpus that a run can be tested on; facts on the others.

  `fingerprint` and `place` as in `known`. The facts: `tracks` (how many the
  corpus has), `genres` ({its name: the model's}), `unmatched` ({genre that the
  model lacks: tracks}), `absent` (the model's genres that the corpus lacks),
  `learnt` (tracks left out, as the model was trained on or selected by them)
  and `namesakes` (tracks with ids of such in another collection, not left out).
  InputError: no genre in common, or no track left.
  """
  genres = match(run["genres"], corpus.genres)
  if not genres:
    raise InputError(
      f"corpus {corpus.name} has no genre of the model: it has"
      f" {', '.join(corpus.genres)}; the model has {', '.join(run['genres'])}"
    )
  comparable = [track for track in corpus.tracks if track.genre in genres]
  learnt = known(run, ("train", "validation"), fingerprint, place)
  tracks = [track for track in comparable if identity(track.id) not in learnt]
  if not tracks:
    raise InputError(
      f"the model was trained on or selected by all {len(comparable)} tracks of"
      f" its genres in corpus {corpus.name} (such as {comparable[0].id}); give"
      " another corpus"
    )
  ids = known(run, ("train", "validation"), run["data_fingerprint"])
  unmatched = collections.Counter(
    track.genre for track in corpus.tracks if track.genre not in genres
  )
  return tracks, {
    "tracks": len(corpus.tracks),
    "genres": genres,
    "unmatched": dict(unmatched),
    "absent": [g for g in run["genres"] if g not in genres.values()],
    "learnt": len(comparable) - len(tracks),
    "namesakes": sum(identity(track.id) in ids for track in tracks),
  }


def sentences(compared: Mapping) -> list[str]:
  """The findings of `select`, for the console."""
  pairs = [
    other if other == known else f"{other} as {known}"
    for other, known in compared["genres"].items()
  ]
  lines = [f"genres compared: {', '.join(pairs)}"]
  if len(tested := set(compared["genres"].values())) == 1:
    lines.append(
      f"only genre {tested.pop()} is present: accuracy is its recall; precision"
      " and F1 need other genres"
    )
  if compared["absent"]:
    lines.append(f"genres not in this corpus: {', '.join(compared['absent'])}")
  lines += [
    f"left out: {number} tracks of {genre}, a genre that the model does not"
    " have"
    for genre, number in compared["unmatched"].items()
  ]
  if compared["learnt"]:
    lines.append(
      f"left out: {compared['learnt']} tracks that the model was trained on or"
      " selected by; the remaining tracks are from the same collection and may"
      " repeat recordings and artists"
    )
  if compared["namesakes"]:
    lines.append(
      f"warning: {compared['namesakes']} tracks share ids with training tracks"
      " of the model in another corpus; if they are the same recordings, the"
      " scores are not valid"
    )
  return lines
