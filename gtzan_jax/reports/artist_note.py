"""Whether a score is mostly artist recognition, and the note that says so."""

from collections.abc import Mapping

# What a score measures where `artists_decide`.
MOSTLY = "mostly artist recognition"


def note(name: str, split: Mapping) -> str:
  """How many tracks of a split are by artists of the train split, or ""."""
  known = split["known_artists"]
  if not known or not known["tracks"]:
    return ""
  whole = f"{known['of']} {name} tracks"
  if known["of"] < split["track"]["n"]:
    whole = f"the {whole} whose artist is known"
  verdict = f": {MOSTLY}" if artists_decide(split) else ""
  return (
    f"{known['tracks']} of {whole} are by artists of the train split{verdict}."
  )


def artists_decide(split: Mapping) -> bool:
  """Whether at least half of a split is by artists of the train split."""
  known = split["known_artists"]
  return bool(known) and 2 * known["tracks"] >= known["of"] > 0
