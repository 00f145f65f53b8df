"""What a run and other music have in common, and what has to be left out."""

import collections
import os
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from gtzan_jax.errors import InputError

# A track of GTZAN, blues.00000, or of the synthetic corpus, blues.s00000: the
# same track wherever it lies.
_EVERYWHERE = re.compile(r"([^/]+)\.(s?\d{5})")


def match(known: Sequence[str], others: Iterable[str]) -> dict[str, str]:
  """{other: known} of the names that are the same but for case and marks.

  "Hip-Hop" is "hiphop"; nothing else is guessed.
  """
  same = {_plain(name): name for name in known}
  same |= {name: name for name in known}
  found = {name: same.get(name) or same.get(_plain(name)) for name in others}
  return {other: name for other, name in found.items() if name}


def _plain(name: str) -> str:
  name = unicodedata.normalize("NFKC", name).casefold()
  return re.sub(r"[\W_]+", "", name) or name


def identity(track: str) -> str:
  """What an id is compared by: Blues.00000 and blues.00000 are one track."""
  found = _EVERYWHERE.fullmatch(track)
  return f"{_plain(found[1])}.{found[2]}" if found else track


def known(
  run: Mapping,
  parts: Iterable[str],
  fingerprint: str | None = None,
  place: str | None = None,
) -> set[str]:
  """Identities that in some collection mean tracks of these parts of a run.

  In another collection than the run's only ids that GTZAN's tracks have, or the
  synthetic corpus's, mean anything: its `rock/01` is other music. A run that
  began with given weights, learnt from a GAN's examples or asked a judge may
  know tracks of two collections, and which is of which nobody has written down:
  there all ids count, rather one too many.

  Args:
    run: run.json.
    parts: of "train" and "validation".
    fingerprint: of the collection as it is prepared for the run's features.
    place: its path; at the run's own the collection may have grown since.
  """
  ids = {identity(track) for part in parts for track in run["tracks"][part]}
  config = run["config"]
  if (
    config["train"]["init_from"]
    or config["data"]["augment_with"]
    or config["gan"]["judge"]
    or fingerprint == run["data_fingerprint"]
    or (place and run["data_path"] and _real(place) == _real(run["data_path"]))
  ):
    return ids
  return {track for track in ids if _EVERYWHERE.fullmatch(track)}


def _real(place: str) -> str:
  return os.path.realpath(os.path.expanduser(place))


def check(
  key: str,
  path: str,
  run: Mapping,
  dataset,
  place: str | None = None,
  *,
  same: Sequence[str] = ("genres", "feature_spec", "example_shape"),
) -> None:
  """Refuses a run that would say nothing to another one, or too much.

  Of namesakes in another collection it says that they are there.

  Args:
    key: what the user named it by.
    path: its workdir.
    run: its run.json.
    dataset: the other's pipeline.Dataset.
    place: where the other's music lies; None of the synthetic corpus.
    same: keys of run.json in which both have to agree.

  Raises:
    InputError: other genres or features; or it has learnt from, or was chosen
      by, tracks that the other holds out.
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
    return  # which is announced anyway
  held = {
    part: {identity(track) for track, _ in ids}
    for part, ids in dataset.parts.items()
  }
  music = (dataset.metadata["fingerprint"], place)
  learnt = held["validation"] | held["test"]
  learnt &= known(run, ["train"], *music)
  learnt |= held["test"] & known(run, ["validation"], *music)
  namesakes = held["validation"] | held["test"]
  namesakes &= {identity(track) for track in run["tracks"]["train"]}
  if namesakes and not learnt:
    print(
      f"beware: {len(namesakes)} tracks that this run holds out bear the names"
      f" of tracks that {key}={path} has learnt from in another collection, as"
      f" {min(namesakes)}: if they are the same music, this run is no test"
    )
  if learnt:
    raise InputError(
      f"{key}={path} has learnt from {len(learnt)} of the tracks that this run"
      f" holds out, as {min(learnt)}: give both the same protocol, fold and"
      " split_seed"
    )


_WORDS = {
  "genres": "genres",
  "feature_spec": "features",
  "example_shape": "examples",
}


def _differing(theirs: Any, ours: Any) -> list[str]:
  """Both in words; of two feature specs of one name, what is not the same."""
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
  """The tracks of a corpus that a run can be tested on, and what is not.

  Args:
    run: run.json.
    corpus: `name`, `genres` and `tracks`, each with `id` and `genre`.
    fingerprint: see `known`.
    place: see `known`.

  Returns:
    the tracks in order, and in plain values: `tracks` (how many the corpus
    has), `genres` ({its name: the model's}), `unmatched` ({genre that the model
    does not know: tracks}), `absent` (the model's genres that the corpus
    lacks), `learnt` (tracks left out, since the model has learnt from them or
    was chosen by them) and `namesakes` (tracks that bear the ids of such, but
    in another collection: they are not left out).

  Raises:
    InputError: no genre in common, or no track left.
  """
  genres = match(run["genres"], corpus.genres)
  if not genres:
    raise InputError(
      f"the {corpus.name} corpus has the genres {', '.join(corpus.genres)}, of"
      f" which the model knows none; it knows {', '.join(run['genres'])}"
    )
  comparable = [track for track in corpus.tracks if track.genre in genres]
  learnt = known(run, ("train", "validation"), fingerprint, place)
  tracks = [track for track in comparable if identity(track.id) not in learnt]
  if not tracks:
    raise InputError(
      f"the model has learnt from or was chosen by all {len(comparable)} tracks"
      f" of its genres in the {corpus.name} corpus, as {comparable[0].id}: give"
      " other music"
    )
  ids = {
    identity(one)
    for part in ("train", "validation")
    for one in run["tracks"][part]
  }
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
  """What `select` found, for the console."""
  pairs = [
    other if other == known else f"{other} as {known}"
    for other, known in compared["genres"].items()
  ]
  lines = [f"genres compared: {', '.join(pairs)}"]
  if len(tested := set(compared["genres"].values())) == 1:
    lines.append(
      f"of {tested.pop()} alone the accuracy is its recall; precision and F1"
      " need tracks of other genres"
    )
  if compared["absent"]:
    lines.append(f"genres not in this corpus: {', '.join(compared['absent'])}")
  lines += [
    f"left out: {number} tracks of {genre}, which is no genre of the model's"
    for genre, number in compared["unmatched"].items()
  ]
  if compared["learnt"]:
    lines.append(
      f"left out: {compared['learnt']} tracks that the model has learnt from or"
      " was chosen by; the rest is of the same collection, which may repeat"
      " recordings and artists"
    )
  if compared["namesakes"]:
    lines.append(
      f"beware: {compared['namesakes']} tracks bear the names of tracks that"
      " the model has learnt from in another collection: if they are the same"
      " music, this is no test"
    )
  return lines
