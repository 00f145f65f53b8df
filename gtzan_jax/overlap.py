"""What a run and other music have in common, and what has to be left out."""

import collections
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence

from gtzan_jax.errors import InputError


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


def select(run: Mapping, corpus) -> tuple[list, dict]:
  """The tracks of a corpus that a run can be tested on, and what is not.

  Args:
    run: run.json.
    corpus: `name`, `genres` and `tracks`, each with `id` and `genre`.

  Returns:
    the tracks in order, and in plain values: `tracks` (how many the corpus
    has), `genres` ({its name: the model's}), `unmatched` ({genre that the model
    does not know: tracks}), `absent` (the model's genres that the corpus lacks)
    and `learnt` (tracks left out, since the model has learnt from them or was
    chosen by them).

  Raises:
    InputError: no genre in common, or no track left.
  """
  genres = match(run["genres"], corpus.genres)
  if not genres:
    raise InputError(
      f"the {corpus.name} corpus has the genres {', '.join(corpus.genres)}, of"
      f" which the model knows none; it knows {', '.join(run['genres'])}"
    )
  known = [track for track in corpus.tracks if track.genre in genres]
  learnt = _learnt(run, corpus.name == "synthetic")
  tracks = [track for track in known if track.id not in learnt]
  if not tracks:
    raise InputError(
      f"the model has learnt from or was chosen by all {len(known)} tracks of"
      f" its genres in the {corpus.name} corpus, as {known[0].id}: give other"
      " music"
    )
  unmatched = collections.Counter(
    track.genre for track in corpus.tracks if track.genre not in genres
  )
  return tracks, {
    "tracks": len(corpus.tracks),
    "genres": genres,
    "unmatched": dict(unmatched),
    "absent": [g for g in run["genres"] if g not in genres.values()],
    "learnt": len(known) - len(tracks),
  }


def _learnt(run: Mapping, synthetic: bool) -> set[str]:
  """Ids of tracks that are not new to the model: on them, a test would leak.

  A synthetic track shares its id with a real one and nothing else; but weights
  that a run began with may have learnt from the real one.
  """
  trained_on_synthetic = not run["data_path"]
  begun_at_random = not run["config"]["train"]["init_from"]
  if begun_at_random and trained_on_synthetic != synthetic:
    return set()
  return {*run["tracks"]["train"], *run["tracks"]["validation"]}


def sentences(compared: Mapping) -> list[str]:
  """What `select` found, for the console."""
  pairs = [
    other if other == known else f"{other} as {known}"
    for other, known in compared["genres"].items()
  ]
  lines = [f"genres compared: {', '.join(pairs)}"]
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
  return lines
