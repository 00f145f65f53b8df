"""launch.py check-splits: what crosses a split that a user brings.

What names mean and what is known of tracks is for the data set's package to
say; what only reading the tracks tells is found out here.
"""

import json
import pathlib
from collections.abc import Mapping, Sequence

import tqdm

from gtzan_jax import atomic
from gtzan_jax.errors import InputError, StopError, writing
from gtzan_jax.features import fingerprint as similarity
from gtzan_jax.studies.split_audit import page as split_report
from tfds_gtzan.corpora.track import Corpus
from tfds_gtzan.split_audit import crossings

FACTS = "check_splits.json"
PAGE = "check_splits.md"


def run(
  files: Sequence[str], corpus: Corpus | None = None, out: str | None = None
) -> int:
  """Prints what is shared between the splits of files, and writes it to `out`.

  Args:
    files: of a split.
    corpus: that they split; None: what is known of GTZAN's tracks is checked.
    out: a folder.

  Returns:
    0 where nothing is shared; 1 where something is, or a name matches no track.

  Raises:
    InputError: what `crossings.survey` refuses, or `out` cannot be written.
  """
  if out:
    _write(out, {})  # a folder that cannot be written is known beforehand
  facts = crossings.survey(files, corpus, look)
  print(split_report.text(facts))
  if out:
    _write(
      out,
      {
        FACTS: json.dumps(facts, indent=1, allow_nan=False) + "\n",
        PAGE: split_report.as_markdown(facts),
      },
    )
    print(f"written: {pathlib.Path(out, PAGE)}, {FACTS}")
  return 1 if split_report.crosses(facts) or facts["unknown"] else 0


def _write(out: str, texts: Mapping[str, str]) -> None:
  """Each file whole or not at all."""
  folder = pathlib.Path(out)
  with writing(f"--out={out}"):
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
      atomic.write(folder / name, text)


# What makes the fingerprint of a track's content, by kind; pictures and tables
# have none.
_FINGERPRINTS = {
  "audio": lambda held: similarity.of_audio(held.samples),
  "logmel": lambda held: similarity.fingerprint(held.db, held.n_frames),
}


def look(kind: str, tracks: Sequence) -> tuple[dict, list | None, dict]:
  """Reads tracks and finds those that are the same, or nearly.

  Args:
    kind: what they hold: "audio", "logmel", "picture" or "table".
    tracks: each with `id` and `read`, which raises InputError where it cannot
      be read.

  Returns:
    {id: digest of what it holds}; (id, id, likeness, offset in seconds)
    of each two that are alike, None of pictures and tables; {id: reason} of
    what cannot be read.
  """
  fingerprint = _FINGERPRINTS.get(kind)
  digests, prints, skipped = {}, {}, {}
  for track in tqdm.tqdm(tracks, desc="reading", unit="track", disable=None):
    try:
      held = track.read()
    except StopError:
      raise
    except InputError as error:
      skipped[track.id] = str(error)
      continue
    digests[track.id] = held.digest
    if fingerprint:
      prints[track.id] = fingerprint(held)
  if not fingerprint:
    return digests, None, skipped
  ids = list(prints)
  near = [
    (ids[pair.first], ids[pair.second], pair.likeness, pair.offset)
    for pair in similarity.alike(list(prints.values()))
  ]
  return digests, near, skipped
